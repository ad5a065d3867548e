"""Objects in a zip (``.zip``, ``.ozx``), read-only: a local file, or one in any other storage.

The file is never fetched whole: its directory is read once, and then each object, or the part of
an object that is needed. Objects that are stored without compression, as in ``.ozx`` (OME-NGFF
RFC 9), are read in place.
"""

from __future__ import annotations

import struct
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ngff_bio.errors import StorageError
from ngff_bio.storage.base import Locality, ReadOnlyStorage, Storage, open_object

#: Names of files that are opened as zips.
ENDINGS = (".zip", ".ozx")

#: Local file header (APPNOTE 4.3.7): its fixed part ends with lengths of the name and of extras.
_HEADER = struct.Struct("<4s22xHH")

#: Bytes from the end that are fetched at first: the directory of most stores.
_TAIL = 256 << 10

_ROOTS = ("zarr.json", ".zgroup", ".zarray")


@dataclass
class ZipStorage(ReadOnlyStorage):
    """Storage in a zip.

    Parameters
    ----------
    outer
        Storage that contains the zip.
    key
        Its key there.
    """

    refusal = "a zip can only be read"
    advice = (
        "write to a folder, then pack it with `ngff-bio copy FOLDER FILE.zip`; "
        "`ngff-bio copy FILE.zip FOLDER` unpacks a store"
    )

    outer: Storage
    key: str
    _entries: dict[str, zipfile.ZipInfo] | None = field(default=None, repr=False, compare=False)
    _starts: dict[str, int] = field(default_factory=dict, repr=False, compare=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return (ZipStorage, (self.outer, self.key))

    @property
    def url(self) -> str:
        """Where the zip is."""
        return f"{self.outer.url}/{self.key}"

    @property
    def locality(self) -> Locality:
        """That of the storage that contains it."""
        return self.outer.locality

    @property
    def entries(self) -> dict[str, zipfile.ZipInfo]:
        """Objects by key: names below the folder that holds the store's root.

        Raises
        ------
        ngff_bio.errors.StorageError
            If there is no zip, or it is damaged.
        """
        with self._lock:
            if self._entries is None:
                self._entries = _below_root(self._directory())
            return self._entries

    def _directory(self) -> dict[str, zipfile.ZipInfo]:
        try:
            file = open_object(self.outer, self.key, _TAIL)
        except FileNotFoundError:
            raise StorageError("there is no such file", file=self.url) from None
        try:
            with zipfile.ZipFile(file) as archive:
                names = {i.filename: i for i in archive.infolist()}
                return {name: i for name, i in names.items() if name and name[-1] != "/"}
        # zipfile raises all of these for damaged headers.
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            ValueError,
            OverflowError,
            struct.error,
        ) as error:
            raise StorageError(
                "the file is not a zip, or is damaged",
                file=self.url,
                found=error,
                hint="copy it again from where it came",
            ) from error

    def get(self, key: str) -> bytes | None:
        """All bytes of an object, or ``None``."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        raw = self._raw(key, entry, 0, entry.compress_size)
        return raw if entry.compress_type == zipfile.ZIP_STORED else self._inflated(raw, entry)

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Part of an object, or ``None``; a negative ``start`` counts from the end."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        if start < 0:
            start = max(entry.file_size + start, 0)
        if entry.compress_type == zipfile.ZIP_STORED:
            return self._raw(key, entry, start, min(length, max(entry.file_size - start, 0)))
        whole = self.get(key)
        return None if whole is None else whole[start : start + length]

    def size(self, key: str) -> int | None:
        """Size in bytes, or ``None``."""
        entry = self.entries.get(key)
        return None if entry is None else entry.file_size

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Keys below ``prefix`` with their sizes."""
        return ((key, size) for key, size, _ in self.versions(prefix))

    def versions(self, prefix: str = "") -> Iterator[tuple[str, int, str]]:
        """Keys below ``prefix`` with their sizes, and the checksums of the zip's directory."""
        start = f"{prefix}/" if prefix else ""
        for key, entry in self.entries.items():
            if key.startswith(start):
                yield key, entry.file_size, str(entry.CRC)

    def _raw(self, key: str, entry: zipfile.ZipInfo, start: int, length: int) -> bytes:
        """Bytes of an entry as they are in the zip."""
        if not length:
            return b""
        if key not in self._starts:
            # Where the data begins is only known from the header before it: its extra fields can
            # differ from those in the directory.
            utf8 = entry.flag_bits & 0x800
            stated = entry.orig_filename.encode("utf-8" if utf8 else "cp437", "replace")
            size = _HEADER.size + len(stated)
            head = self.outer.get_range(self.key, entry.header_offset, size)
            if head is None or len(head) < _HEADER.size or head[:4] != b"PK\x03\x04":
                self._damaged(entry)
            if head[_HEADER.size :] != stated:  # else it could be another chunk of the array
                self._damaged(entry)
            _, name, extra = _HEADER.unpack_from(head)
            self._starts[key] = entry.header_offset + _HEADER.size + name + extra
        data = self.outer.get_range(self.key, self._starts[key] + start, length)
        if data is None or len(data) < length:
            self._damaged(entry)
        return data

    def _inflated(self, raw: bytes, entry: zipfile.ZipInfo) -> bytes:
        import zlib

        try:
            if entry.compress_type == zipfile.ZIP_DEFLATED and not entry.flag_bits & 1:
                # One byte more than the directory states shows that it is more.
                found = zlib.decompressobj(-15).decompress(raw, entry.file_size + 1)
                if len(found) == entry.file_size:
                    return found
                self._damaged(entry)
        except (zlib.error, OverflowError):
            self._damaged(entry)
        raise StorageError(
            "unsupported compression of an object in the zip",
            file=self.url,
            record=entry.filename,
            expected="stored, or deflated, without a password",
            hint="pack the store again without compression: zip -0 -r",
        )

    def _damaged(self, entry: zipfile.ZipInfo) -> NoReturn:
        raise StorageError(
            "the zip is damaged",
            file=self.url,
            record=entry.filename,
            hint="copy it again from where it came",
        )


def _below_root(entries: dict[str, zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Keys from the store's root on: many zips hold the store in a folder of its own."""
    roots = [n for n in entries if n.rpartition("/")[2] in _ROOTS]
    if not roots:
        return entries
    first = min(roots, key=lambda n: (n.count("/"), n))
    start = first[: len(first) - len(first.rpartition("/")[2])]
    return {n[len(start) :]: e for n, e in entries.items() if n.startswith(start)}
