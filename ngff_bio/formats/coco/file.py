"""A COCO file with its images in memory and its annotations as positions in the file."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.formats.json.scan import SEPARATORS, JsonWalk
from ngff_bio.formats.json.text import JsonObject, checked
from ngff_bio.formats.problems import SourceRecord
from ngff_bio.model import Category, SourceFile


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationRuns:
    """The annotations of one image, as positions in the file.

    Parameters
    ----------
    file
        The COCO file.
    name
        Its name in reports and tables.
    is_list
        Whether ``annotations`` is a list; else it is an object.
    runs
        int64 (n, 4), annotations that follow each other in the file: index of the first, their
        number, first byte, byte after the last.
    digest
        Digest of these bytes, if it was requested.
    """

    file: SourceFile
    name: str
    is_list: bool
    runs: NDArray[np.int64]
    digest: bytes = b""

    @property
    def count(self) -> int:
        """Number of annotations."""
        return int(self.runs[:, 1].sum())

    def indices(self) -> list[int]:
        """Position of each in the file's ``annotations``."""
        return [i for first, count, *_ in self.runs.tolist() for i in range(first, first + count)]

    def texts(self) -> tuple[list[bytes], list[str] | None]:
        """JSON text of each record, and the keys of an object.

        Raises
        ------
        ngff_bio.errors.SourceError
            If the file has changed since it was indexed.
        """
        if not len(self.runs):
            return [], None if self.is_list else []
        pieces = [p.strip(SEPARATORS) for p in read_ranges(self.file, self.runs[:, 2:])]
        keys: list[str] | None = None
        try:
            if self.is_list:
                texts = [bytes(r) for r in _list_of_raw.decode(b"[" + b",".join(pieces) + b"]")]
            else:
                found = _dict_of_raw.decode(b"{" + b",".join(pieces) + b"}")
                texts, keys = [bytes(r) for r in found.values()], list(found)
        except msgspec.DecodeError:
            texts, keys = _split(pieces, self.is_list)
        if len(texts) != self.count:
            raise SourceError(
                "the annotation file has changed while it was read",
                file=self.name,
                hint="run the command again",
            )
        return texts, keys


def _split(pieces: list[bytes], is_list: bool) -> tuple[list[bytes], list[str] | None]:
    """Texts and keys of records that hold NaN, which a strict parser does not take."""
    opening, closing = (b"[", b"]") if is_list else (b"{", b"}")
    text = b'{"annotations":' + opening + b",".join(pieces) + closing + b"}"
    try:
        walk = JsonWalk(io.BytesIO(text), "", {"annotations"})
        items = [item for part in walk for item in part.items()]
    except SourceError:
        return [], None
    return [t for _, t in items], None if is_list else [k or "" for k, _ in items]


_list_of_raw = msgspec.json.Decoder(list[msgspec.Raw])
_dict_of_raw = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_ranges(file: SourceFile, ranges: NDArray[np.int64]) -> list[bytes]:
    """The bytes of a file in each range (start, stop)."""
    if file.path is None:
        return [file.read_range(a, b - a) for a, b in ranges.tolist()]
    pieces = []
    with file.open() as stream:
        for start, stop in ranges.tolist():
            stream.seek(start)
            pieces.append(stream.read(stop - start))
    return pieces


@dataclass(frozen=True, slots=True, eq=False)
class CocoFile:
    """A COCO file without its annotations.

    Parameters
    ----------
    file, name
        The file, and its name in reports and tables.
    keys
        Members of the outermost object, in their order.
    rest
        All of them except ``images`` and ``annotations``.
    form
        What ``annotations`` is.
    images
        Valid entries of ``images``.
    categories
        Valid entries of ``categories``; empty if there is no such key.
    count
        Number of annotations in the file.
    """

    file: SourceFile
    name: str
    keys: tuple[str, ...]
    rest: JsonObject
    form: Literal["list", "object", "missing"]
    images: tuple[CocoImage, ...]
    categories: tuple[Category, ...]
    count: int
    _runs: NDArray[np.int64] = field(repr=False)
    _firsts: NDArray[np.int64] = field(repr=False)
    _rows: dict[int, int] = field(repr=False)
    _digests: dict[int, bytes] = field(repr=False)

    def annotations(self, image: CocoImage) -> AnnotationRuns:
        """The annotations of one image, in the order of the file."""
        code = self._rows.get(image.index)
        runs, digest = self._runs[:0], b""
        if code is not None:
            runs = self._runs[self._firsts[code] : self._firsts[code + 1]]
            digest = self._digests.get(code, b"")
        return AnnotationRuns(self.file, self.name, self.form == "list", runs.copy(), digest)

    def attributes(self, missing: Iterable[CocoImage] = ()) -> JsonObject:
        """What a store keeps of it, so that the file can be written again.

        `missing` are entries without an image file: no image of the store has their records.
        """
        found: JsonObject = {
            "file": self.name,
            "keys": list(self.keys),
            "annotations": self.form,
            "rest": self.rest,
        }
        lost = {str(i.index): i.record for i in missing}
        return {**found, "missing": lost} if lost else found

    def missing_error(self, missing: Sequence[CocoImage]) -> SourceError:
        """The error for entries without an image file."""
        lost = sum(self.annotations(i).count for i in missing)
        number = len(missing)
        return SourceError(
            f"{number} listed image{'s' * (number != 1)} not found ({lost} annotations affected)",
            file=self.name,
            record=f"images[{missing[0].index}] ({missing[0].file_name})",
            expected="a file of that name",
            found=f"no file for {number} of {len(self.images)} listed images",
            hint="add the image files, or skip them with --on-error skip",
        )


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One entry of ``images``.

    Parameters
    ----------
    index
        Its position in the list.
    id
        Its id, which may be text.
    file_name
        Name of the image file, relative to some folder of the dataset, or of another computer: it is
        looked up among the files of the source, and never opened.
    size
        (height, width) in pixels; ``None`` if the entry does not give both.
    record
        The entry itself.
    """

    index: int
    id: int | str
    file_name: str
    size: tuple[int, int] | None
    record: JsonObject


class _Image(msgspec.Struct):
    id: int | str
    file_name: Annotated[str, msgspec.Meta(min_length=1)]
    height: int | None = None
    width: int | None = None


class _Category(msgspec.Struct):
    id: int | str
    name: str


def parse_image(index: int, entry: JsonObject, name: str) -> CocoImage:
    """One entry of ``images`` of the file `name`."""
    at = SourceRecord(name, f"images[{index}]")
    found = checked(entry, _Image, at)
    size = None
    if found.height is not None and found.width is not None:
        size = (found.height, found.width)
    return CocoImage(index, found.id, found.file_name, size, entry)


def parse_category(index: int, entry: JsonObject, name: str) -> Category:
    """One entry of ``categories`` of the file `name`."""
    found = checked(entry, _Category, SourceRecord(name, f"categories[{index}]"))
    rest = {k: v for k, v in entry.items() if k not in ("id", "name")}
    return Category(found.id, found.name, None, rest)
