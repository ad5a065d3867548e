"""Annotation documents: what text, JSON and XML formats of annotation tools have in common.

A document states the annotations of one image or of several. A format reads it in one place, by its
`DocumentReader`; sources find the image files, and the rows of each image are read when they are
written.
"""

from __future__ import annotations

import copy
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from threading import Lock
from typing import Protocol

from ngff_bio.formats.outlines import box_of
from ngff_bio.formats.problems import Problems, damage_named
from ngff_bio.model import (
    Category,
    Geometry,
    Instance,
    OutlineRule,
    Polygons,
    SourceFile,
    SourcePart,
    SourceParts,
)

#: How outlines are drawn if the format's program has no other rule.
_COCO: OutlineRule = "coco"

#: Documents that are kept in memory: the images of one are written one after another.
_KEPT = 8


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """What a document states about one image.

    Parameters
    ----------
    name
        The image file as the document names it.
    instances
        In the order of the document, their geometry in pixels. Label values are 0, except of tracks:
        these have one value each, from 1 on.
    size
        Height and width according to the document.
    splits
        Splits that the document puts the image in.
    record
        Other members of its entry, JSON values only.
    layer
        What distinguishes these annotations from others of the same image: an annotator, for example.
    placed
        Whether instances state their frame (and plane); else all apply to the first frame.
    tracked, parents
        Whether instances are tracks; label value of the object that each one is a part of.
    series
        Which image of the file it is, if this has several.
    """

    name: str
    instances: Sequence[Instance]
    size: tuple[int, int] | None = None
    splits: tuple[str, ...] = ()
    record: Mapping[str, object] = field(default_factory=dict)
    layer: str | None = None
    placed: bool = False
    tracked: bool = False
    parents: Mapping[int, int] = field(default_factory=dict)
    series: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a document; ``record`` has what belongs to no image, JSON values only.

    ``movie`` is set if its images are the frames of one movie, in their order; instances are tracks
    then.
    """

    images: Sequence[AnnotatedImage]
    categories: tuple[Category, ...] = ()
    record: Mapping[str, object] = field(default_factory=dict)
    movie: bool = False


class DocumentReader(Protocol):
    """Reads one document. Pickles to some hundred bytes; hashable.

    If it has an attribute ``rule``, outlines are drawn by this rule; see `Polygons`.
    """

    @property
    def file(self) -> SourceFile:
        """The file that it is in."""
        ...

    def read(self, problems: Problems) -> Document:
        """Read the document.

        Parameters
        ----------
        problems
            Receives the errors of records that cannot be read; they are left out.

        Raises
        ------
        ngff_bio.errors.SourceError
            If it is damaged.
        """
        ...


@dataclass(slots=True)
class _Kept:
    lock: Lock = field(default_factory=Lock)
    document: Document | None = None


class _Documents:
    """The documents that were read last, by reader and identity of the file."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[DocumentReader, str | None], _Kept] = OrderedDict()
        self._lock = Lock()

    def read(self, reader: DocumentReader, problems: Problems | None) -> Document:
        if (identity := reader.file.identity) is None:  # nothing is known that changes with it
            return _read(reader, problems or Problems("skip"))
        key = (reader, identity)
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        with kept.lock:  # several threads may need one large document
            if problems is not None or kept.document is None:
                # What is wrong was reported, or raised, when the document was first read.
                kept.document = _read(reader, problems or Problems("skip"))
            return kept.document


def _read(reader: DocumentReader, problems: Problems) -> Document:
    """The boundary of all formats: whatever else is raised for wrong members becomes a SourceError."""
    with damage_named(reader.file.name, "the file does not have the structure of its format"):
        return reader.read(problems)


_documents = _Documents()


def read_document(reader: DocumentReader, problems: Problems) -> Document:
    """Read a document; its errors go to `problems`."""
    return _documents.read(reader, problems)


@dataclass(frozen=True, slots=True, eq=False)
class DocumentInstances:
    """Instances of one image: some of the images of a document, as frames.

    Parameters
    ----------
    reader
        Reads the document.
    images
        For each frame the position of its image in the document; ``None`` without annotations.
    tracked
        Whether instances are tracks, with label values of their own.
    placed
        Whether instances of the first of these images state their frame.
    """

    reader: DocumentReader
    images: Sequence[int | None]
    tracked: bool = False
    placed: bool = False

    def read(self, t: int) -> list[Instance]:
        """All instances of frame ``t``, in source order, with their label values set."""
        index = self.images[0 if self.placed else t]
        if index is None:
            return []
        document = _documents.read(self.reader, None)
        earlier = (
            [] if self.tracked or self.placed else [i for i in self.images[:t] if i is not None]
        )
        first = 1 + sum(len(document.images[i].instances) for i in earlier)
        found = []
        rule: OutlineRule = getattr(self.reader, "rule", _COCO)
        for number, instance in enumerate(document.images[index].instances):
            if self.placed and instance.t != t:
                continue
            one = copy.copy(instance)
            one.t = t
            if isinstance(one.geometry, Polygons):
                one.geometry = Polygons(one.geometry.parts, rule)
            if not self.tracked:
                one.value = first + number
            one.files = (self.reader.file.name,)
            one.indices = one.indices or (number,)
            found.append(one)
        return found

    @property
    def attributes(self) -> dict[str, str]:
        """What the layer keeps: the rule by which outlines are drawn, if it is not COCO's."""
        rule: OutlineRule = getattr(self.reader, "rule", _COCO)
        return {} if rule == _COCO else {"outline_rule": rule}

    def source_parts(self) -> SourceParts:
        """The document, files that its reader needs besides, and what else the reader knows."""
        parts: Iterable[SourcePart | None] = getattr(self.reader, "parts", (self.reader.file,))
        return (*parts, _settings_of(self.reader))


def _settings_of(reader: DocumentReader) -> str:
    """What a reader got from other files and from options: class names, sizes, the first pixel."""
    names: list[str] = [f.name for f in fields(reader)] if is_dataclass(reader) else []
    values = {name: getattr(reader, name) for name in names}
    own = {name: v for name, v in values.items() if not isinstance(v, SourceFile)}
    return f"{type(reader).__name__} {own}"


def instance_of(
    shape: Geometry | None,
    record: object,
    number: int,
    *,
    category: str | None = None,
    category_id: int | str | None = None,
    source_id: object = None,
    t: int = 0,
    z: int | None = None,
    box: tuple[float, float, float, float] | None = None,
) -> Instance:
    """The instance of a shape.

    Parameters
    ----------
    record
        The record of the shape, JSON values only.
    number
        Its position in the document.
    category, category_id
        Its class; the name is the id, too, where the format has no ids.
    source_id
        Its id in the document; one that is neither an integer nor text is none.
    t, z
        The frame and plane that it is on.
    box
        Its x, y, width and height, if the document states one; that of a `Box` is its own.
    """
    return Instance(
        0,
        shape,
        t=t,
        z=z,
        category=category,
        category_id=category if category_id is None else category_id,
        source_id=source_id if isinstance(source_id, int | str) else None,
        box=box or box_of(shape),
        record=record_text(record),
        indices=(number,),
    )


def record_text(record: object) -> str:
    """A record of a document as the text of `Instance.record`."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))
