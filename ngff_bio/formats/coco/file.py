"""A COCO file as places: its entries of images whole, its annotations to be read when needed."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.formats.json.scan import Elements, JsonWalk
from ngff_bio.model import Category, SourceFile

#: White space of JSON.
SPACE = b" \t\r\n"

#: Code of an annotation that is not taken.
DROPPED = -1


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One entry of ``images``.

    ``index`` is its place in the list, ``size`` (height, width) as it says, ``record`` the entry
    itself.
    """

    index: int
    id: int | str
    file_name: str
    size: tuple[int, int] | None
    record: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationRuns:
    """The annotations of one image: where in the file they lie.

    Parameters
    ----------
    file
        The COCO file.
    name
        What reports and tables call it.
    is_list
        Whether ``annotations`` is a list; else an object.
    runs
        int64 (n, 4): annotations that follow each other in the file. Index of the first, how many,
        first byte, byte after the last.
    digest
        Of these bytes, where it was asked for.
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
        """Place of each in the file's ``annotations``."""
        return [i for first, count, *_ in self.runs.tolist() for i in range(first, first + count)]

    def texts(self) -> tuple[list[bytes], list[str] | None]:
        """JSON text of each record, and the keys of an object.

        Raises
        ------
        ngff_bio.errors.SourceError
            If the file is no longer what it was.
        """
        if not len(self.runs):
            return [], None if self.is_list else []
        pieces = [p.strip(SPACE + b",") for p in read_ranges(self.file, self.runs[:, 2:])]
        try:
            if self.is_list:
                texts = [bytes(r) for r in _list_of_raw.decode(b"[" + b",".join(pieces) + b"]")]
                keys = None
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
    texts: list[bytes] = []
    keys: list[str] = []
    try:
        for part in JsonWalk(io.BytesIO(text), "", {"annotations"}):
            if isinstance(part, Elements):
                for a, b in zip(part.starts.tolist(), part.stops.tolist(), strict=True):
                    one = part.text[a:b].lstrip(SPACE + b",")
                    if not is_list:
                        end = key_end(one)
                        keys.append(json.loads(one[:end]))
                        one = one[one.index(b":", end) + 1 :].lstrip(SPACE)
                    texts.append(one)
    except SourceError:
        return [], None
    return texts, None if is_list else keys


_list_of_raw = msgspec.json.Decoder(list[msgspec.Raw])
_dict_of_raw = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_ranges(file: SourceFile, ranges: NDArray[np.int64]) -> list[bytes]:
    """Bytes of a file, one piece for each (start, stop)."""
    pieces = []
    if file.path is None and hasattr(file, "read_range"):
        return [file.read_range(a, b - a) for a, b in ranges.tolist()]
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
        The file, and what reports and tables call it.
    keys
        Members of the outermost object, in their order.
    rest
        All of them but ``images`` and ``annotations``, whole.
    form
        What ``annotations`` is.
    images
        Entries that are taken.
    categories
        As ``categories`` lists them; none where there is no such key.
    count
        Number of annotations in the file.
    """

    file: SourceFile
    name: str
    keys: tuple[str, ...]
    rest: dict[str, Any]
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
        code = self._rows.get(image.index, DROPPED)
        runs = self._runs[:0]
        if code != DROPPED:
            runs = self._runs[self._firsts[code] : self._firsts[code + 1]]
        return AnnotationRuns(
            self.file, self.name, self.form == "list", runs.copy(), self._digests.get(code, b"")
        )

    def attributes(self, missing: Iterable[CocoImage] = ()) -> dict[str, Any]:
        """What a store keeps of it, so that the file can be written again.

        `missing` are entries whose picture is not there: no image of the store holds them.
        """
        found: dict[str, Any] = {
            "file": self.name,
            "keys": list(self.keys),
            "annotations": self.form,
            "rest": self.rest,
        }
        lost = {str(i.index): i.record for i in missing}
        return {**found, "missing": lost} if lost else found

    def missing_error(self, missing: Sequence[CocoImage]) -> SourceError:
        """The error for entries whose picture is not there."""
        lost = sum(self.annotations(i).count for i in missing)
        number = len(missing)
        which = "an image is" if number == 1 else f"{number} images are"
        return SourceError(
            f"{which} listed and without a file; so are {lost} annotations",
            file=self.name,
            record=f"images[{missing[0].index}] ({missing[0].file_name})",
            expected="a file of that name",
            found=f"{number} of {len(self.images)} listed images have none",
            hint="add the images, or go on without them with --on-error skip",
        )


def key_end(text: bytes) -> int:
    """Position after the key that a member of an object begins with."""
    at = text.index(b'"') + 1
    while text[at] != ord('"'):
        at += 2 if text[at] == ord("\\") else 1
    return at + 1


#: Bytes at the start of a file that are looked into to tell what it is.
_SNIFFED = 1 << 16


def looks_like_coco(file: SourceFile) -> bool:
    """Whether a JSON file seems to be COCO, by its first kilobytes."""
    with file.open() as stream:
        head = stream.read(_SNIFFED)
    return re.search(rb'"(?:images|annotations)"\s*:\s*[\[{]', head) is not None
