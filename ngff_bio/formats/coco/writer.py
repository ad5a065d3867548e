"""Writing COCO files record by record, in bounded memory.

Format: https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import json
import re
import tempfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import msgspec
import numpy as np

from ngff_bio.formats.json.text import JsonObject

_encode = msgspec.json.Encoder().encode
#: Replaces a segmentation that other columns hold; the second form an RLE with its counts first.
_EMPTY_SEGMENTATION = re.compile(
    rb'"segmentation"\s*:\s*(?:null|(\{"counts":\s*null,\s*"size":\s*null\}))'
)
_KEY = b'"segmentation"'
_ROWS = 1 << 14


class CocoWriter:
    """Writes ``info``, ``annotations``, ``images`` and ``categories``, in this order.

    Annotations are written to the file as they are added, with ids from 1.
    """

    def __init__(self, path: Path, info: Mapping[str, object]) -> None:
        self.images: list[Mapping[str, object]] = []
        self.categories: list[Mapping[str, object]] = []
        self.count = 0
        self._path, self._info = path, info
        self._file: IO[bytes] | None = None

    def __enter__(self) -> CocoWriter:
        self._file = self._path.open("wb")
        self._file.write(b'{"info":' + _encode(self._info) + b',"annotations":[')
        return self

    def add_image(self, record: Mapping[str, object]) -> int:
        """Add an image; its id is set, and returned."""
        number = len(self.images) + 1
        self.images.append({"id": number, **record})
        return number

    def add_annotation(self, record: Mapping[str, object]) -> None:
        """Add an annotation; its id is set."""
        if self._file is None:
            raise ValueError("the file is not open")
        self._file.write(b",\n" if self.count else b"\n")
        self.count += 1
        self._file.write(_encode({**record, "id": self.count}))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is None:
            return
        with self._file as file:
            if kind is None:
                images, categories = _encode(self.images), _encode(self.categories)
                file.write(b'\n],"images":' + images + b',"categories":' + categories + b"}")


def restored_record(
    record: str,
    polygons: Sequence[Sequence[float]] | None,
    rle: Mapping[str, object] | None,
    variant: str | None = None,
) -> bytes:
    """The JSON text of an annotation, restored from a row of the table.

    Parameters
    ----------
    record
        The source's record; its ``segmentation`` is null where other columns hold it.
    polygons, rle
        What these columns hold.
    variant
        JSON text of the members that differ in this file.
    """
    text = record.encode()
    if variant is not None:
        differs = json.loads(variant)
        differs.pop("key", None)
        if differs:
            text = json.dumps(json.loads(text) | differs, ensure_ascii=False).encode()
    shape = polygons if polygons is not None else rle
    if shape is None:
        return text
    if text.count(_KEY) == 1:
        return _EMPTY_SEGMENTATION.sub(
            lambda found: _KEY + b":" + _encode(_ordered(shape, found[1] is not None)),
            text,
            count=1,
        )
    whole = json.loads(text)
    whole["segmentation"] = _ordered(shape, whole.get("segmentation") is not None)
    return json.dumps(whole, ensure_ascii=False).encode()


def _ordered(shape: Any, counts_first: bool) -> object:
    """A segmentation; the keys of an RLE in the source's order."""
    return {k: shape[k] for k in ("counts", "size")} if counts_first else shape


@dataclass
class CocoCopy:
    """A copy of a COCO file: records are added in any order, and written in that of the file.

    Parameters
    ----------
    about
        Attributes that a store keeps of the file (`CocoFile.attributes`): ``file``, ``keys`` in
        their order, the form of ``annotations`` (list, object or missing) and the ``rest``.
    folder
        Folder of the temporary file for annotations.
    images
        Entries of ``images`` by their positions.
    """

    about: JsonObject
    folder: Path
    images: dict[int, object] = field(default_factory=dict)
    #: Position in the file, first byte in the temporary file and size of each annotation.
    _places: array[int] = field(default_factory=lambda: array("q"))
    _spool: IO[bytes] | None = None
    _size: int = 0

    @property
    def count(self) -> int:
        """Number of annotations so far."""
        return len(self._places) // 3

    def add(self, place: int, text: bytes, key: str | None = None) -> None:
        """Add an annotation by its position in the file; `key` is its key if they are an object."""
        if self._spool is None:
            # Closed by `close`.
            self._spool = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115
        if self.about.get("annotations") == "object":
            text = _encode(key) + b":" + text
        self._spool.write(text)
        self._places.extend((place, self._size, len(text)))
        self._size += len(text)

    def write(self, path: Path) -> None:
        """Write the whole file."""
        keys = list(self.about.get("keys") or ())
        keys += [k for k in ("images",) if k not in keys]
        with path.open("wb") as out:
            for number, key in enumerate(keys):
                out.write(b",\n" if number else b"{")
                out.write(_encode(key) + b":")
                if key == "images":
                    out.write(_encode([self.images[i] for i in sorted(self.images)]))
                elif key == "annotations":
                    self._write_annotations(out)
                else:
                    rest = self.about.get("rest") or {}
                    out.write(json.dumps(rest.get(key), ensure_ascii=False).encode())
            out.write(b"}")

    def _write_annotations(self, out: IO[bytes]) -> None:
        ends = (b"{", b"}") if self.about.get("annotations") == "object" else (b"[", b"]")
        out.write(ends[0])
        for number, piece in enumerate(self._ordered()):
            out.write(b",\n" if number else b"\n")
            out.write(piece)
        out.write(ends[1])

    def _ordered(self) -> Iterator[bytes]:
        if self._spool is None:
            return
        places = np.frombuffer(self._places, np.int64).reshape(-1, 3)
        order = np.argsort(places[:, 0], kind="stable")
        self._spool.flush()
        at = -1
        for first in range(0, len(order), _ROWS):
            for _, start, size in places[order[first : first + _ROWS]].tolist():
                if at != start:
                    self._spool.seek(start)
                yield self._spool.read(size)
                at = start + size

    def close(self) -> None:
        """Remove the temporary file."""
        if self._spool is not None:
            self._spool.close()
            self._spool = None
