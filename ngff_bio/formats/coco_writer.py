"""COCO files, written record by record so that memory does not grow with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import msgspec

_encode = msgspec.json.Encoder().encode


class CocoWriter:
    """Writes ``info``, ``annotations``, ``images`` and ``categories``, in this order.

    Annotations go to the file as they are added; ids are given from 1 on.
    """

    def __init__(self, path: Path, info: Mapping[str, Any]) -> None:
        self.images: list[Mapping[str, Any]] = []
        self.categories: list[Mapping[str, Any]] = []
        self.count = 0
        self._path, self._info = path, info
        self._file: IO[bytes] | None = None

    def __enter__(self) -> CocoWriter:
        self._file = self._path.open("wb")
        self._file.write(b'{"info":' + _encode(self._info) + b',"annotations":[')
        return self

    def add_image(self, record: Mapping[str, Any]) -> int:
        """Add an image; returns its id."""
        self.images.append(record)
        return int(record["id"])

    def add_annotation(self, record: Mapping[str, Any]) -> None:
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
