"""Zip and tar archives: listed once, then each member is read by itself, by any thread or process.

A member keeps the position of its bytes in the archive, so the archive's directory is not read again.
Stored members are read in place. A compressed tar has no random access: it is unpacked once, into a
temporary file.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import imagecodecs

from ngff_bio.errors import NgffBioError, SourceError, plain_reason
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.model import SourceFile, leads_out
from ngff_bio.sources.files.ranges import LocalFile, open_range, temporary_copy

#: Endings of archives' names, in lower case.
ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

#: Compressed members larger than this are unpacked to disk when they are opened, not to memory.
_IN_MEMORY = 256 << 20

#: Local file header of a zip (APPNOTE 4.3.7): signature, ..., lengths of the name and of extras.
_LOCAL_HEADER = struct.Struct("<4s22xHH")

#: Bytes of a member that are checked at once.
_PIECE = 4 << 20

#: Most bytes that a byte of deflate can encode.
_DEFLATE_BYTES = 1032

_OPENERS: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A file inside an archive.

    Parameters
    ----------
    container
        The archive.
    name
        Name below the source's root.
    size
        Bytes when unpacked.
    offset
        Position of its local header in a zip, of its first byte in a tar.
    packed
        Bytes in the archive.
    method
        Compression method of a zip; -1 in a tar.
    crc
        CRC-32 of its bytes; ``None`` in a tar.
    """

    container: SourceFile
    name: str
    size: int
    offset: int
    packed: int
    method: int = -1
    crc: int | None = None

    @property
    def identity(self) -> str | None:
        """That of the archive, with its own name, size and checksum."""
        of_archive = self.container.identity
        known = of_archive is not None or self.crc is not None
        return f"{of_archive}/{self.name} {self.size} {self.crc}" if known else None

    @property
    def path(self) -> None:
        """It has no path of its own."""
        return

    def open(self) -> BinaryIO:
        """The file, seekable: in place if it is stored, else unpacked."""
        if self.method <= 0:
            _check_stored(self, self.identity)
            return open_range(self.container.read_range, self._start(), self.size)
        if self.size <= _IN_MEMORY:
            return io.BytesIO(self.read())
        return self._copy()

    def read(self) -> bytes:
        """All of its bytes, checked against the archive's checksum."""
        data = self.container.read_range(self._start(), self.packed)
        if len(data) != self.packed:
            raise self._damaged(f"{len(data)} of {self.packed} bytes")
        if self.method == zipfile.ZIP_DEFLATED:
            try:
                data = bytes(imagecodecs.deflate_decode(data, raw=True, out=self.size))
            except (imagecodecs.DeflateError, ValueError, RuntimeError) as error:
                raise self._damaged(error) from error
        elif self.method > 0:
            self._unpack(target := io.BytesIO())
            data = target.getvalue()
        if len(data) != self.size or (self.crc is not None and zlib.crc32(data) != self.crc):
            raise self._damaged("bytes with another checksum")
        return data

    def read_range(self, offset: int, size: int) -> bytes:
        """Some of its bytes. A compressed member is unpacked to disk for it, once."""
        size = max(min(size, self.size - offset), 0)
        if self.method <= 0:
            _check_stored(self, self.identity)
            return self.container.read_range(self._start() + offset, size)
        with self._copy() as stream:
            stream.seek(offset)
            return stream.read(size)

    def check_stored(self) -> None:
        """Compare bytes that are not compressed with the archive's checksum.

        Raises
        ------
        ngff_bio.errors.SourceError
            If they differ.
        """
        start, found = self._start(), 0
        for at in range(0, self.size, _PIECE):
            size = min(_PIECE, self.size - at)
            found = zlib.crc32(self.container.read_range(start + at, size), found)
        if found != self.crc:
            raise self._damaged("bytes with another checksum")

    def _start(self) -> int:
        """Position of its first byte; in a zip, it follows a header of variable length."""
        if self.method < 0:
            return self.offset
        head = self.container.read_range(self.offset, _LOCAL_HEADER.size)
        if len(head) < _LOCAL_HEADER.size or not head.startswith(b"PK\3\4"):
            raise self._damaged("no local header")
        _, name, extra = _LOCAL_HEADER.unpack(head)
        return int(self.offset + _LOCAL_HEADER.size + name + extra)

    def _copy(self) -> BinaryIO:
        return temporary_copy(self, self._unpack).open("rb")

    def _unpack(self, target: BinaryIO) -> None:
        try:
            with zipfile.ZipFile(self.container.open()) as archive:
                info = next(i for i in archive.infolist() if i.header_offset == self.offset)
                with archive.open(info) as source:
                    complete = _copy_at_most(source, target, self.size)
        except NgffBioError:
            raise
        except Exception as error:  # the modules of archives raise many kinds for damaged ones
            raise self._damaged(error) from error
        if not complete:
            raise self._damaged(f"more than {self.size} bytes, the size in the directory")

    def _damaged(self, found: object) -> SourceError:
        return SourceError(
            "a member of the archive is damaged",
            file=self.name,
            found=found,
            hint=f"download or copy {self.container.name} again",
        )


@lru_cache(maxsize=1 << 16)
def _check_stored(member: ArchiveMember, identity: str | None) -> None:
    """Check a stored member once in each process; `identity` is another one where the archive is.

    Of an archive behind a URL only the parts that are needed are read.
    """
    if member.crc is not None and member.container.path is not None:
        member.check_stored()


@dataclass(frozen=True, slots=True)
class UnpackedTar(LocalFile):
    """The temporary copy of a compressed tar, `container`, without its compression."""

    container: SourceFile

    @property
    def identity(self) -> str | None:  # type: ignore[override]  # of a file that may be remote
        """That of the compressed tar."""
        return self.container.identity


def is_archive(name: str) -> bool:
    """Whether a name ends as archives do."""
    return name.lower().endswith(ENDINGS)


def list_archive(
    container: SourceFile, prefix: str = "", limits: Limits = DEFAULT_LIMITS
) -> dict[str, ArchiveMember]:
    """Files of an archive by name, without links and folders.

    Parameters
    ----------
    container
        A zip, or a tar that may be compressed with gzip, bzip2 or xz.
    prefix
        Put before each name: ``images.zip/``.
    limits
        ``max_bytes`` of a compressed tar as a whole; members of a zip are checked on access.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is damaged, is not an archive, or a member's name leads out of it.
    """
    try:
        with container.open() as stream:
            magic = stream.read(6)
        if not magic.strip(b"\0"):  # an empty tar, by the letter
            raise tarfile.ReadError("no header")
        members = _zip_members if magic.startswith(b"PK") else partial(_tar_members, magic, limits)
        return {m.name: m for m in members(container, prefix)}
    except NgffBioError:
        raise
    except Exception as error:  # the modules of archives raise many kinds for damaged ones
        raise SourceError(
            "the archive cannot be read",
            file=container.name,
            expected="a zip or a tar",
            found=plain_reason(error),
            hint="download or copy the file again",
        ) from error


def _zip_members(container: SourceFile, prefix: str) -> Iterator[ArchiveMember]:
    with zipfile.ZipFile(container.open()) as archive:
        free = 0  # first byte after the members so far
        for info in sorted(archive.infolist(), key=lambda i: i.header_offset):
            if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
                continue
            name = _checked_name(info.filename, container.name)
            start, free = info.header_offset - free, info.header_offset + info.compress_size
            free += _LOCAL_HEADER.size
            deflated = info.compress_type == zipfile.ZIP_DEFLATED
            most = (info.compress_size + 1) * _DEFLATE_BYTES if deflated else info.file_size
            if start < 0 or free > container.size or info.file_size > most:
                what = "is larger than its data" if start >= 0 else "has the bytes of another"
                raise SourceError(
                    f"the archive is damaged: a member {what}",
                    file=container.name,
                    record=name,
                    hint="download or copy it again; do not trust it if that does not help",
                )
            if info.flag_bits & 1:
                raise SourceError(
                    "the archive is encrypted",
                    file=container.name,
                    record=name,
                    hint="unpack it with its password, and name the folder",
                )
            yield ArchiveMember(
                container,
                prefix + name,
                info.file_size,
                info.header_offset,
                info.compress_size,
                info.compress_type,
                info.CRC,
            )


def _tar_members(
    magic: bytes, limits: Limits, container: SourceFile, prefix: str
) -> Iterator[ArchiveMember]:
    plain = _uncompressed(container, magic, limits)
    with plain.open() as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        for info in archive:
            if not info.isreg():
                continue
            name = _checked_name(info.name, container.name)
            if info.size < 0 or info.offset_data + info.size > plain.size or info.issparse():
                what = (
                    "has a sparse file, which cannot be read" if info.issparse() else "is truncated"
                )
                raise SourceError(
                    f"the archive {what}",
                    file=container.name,
                    record=name,
                    hint="unpack it" if info.issparse() else "download or copy it again",
                )
            yield ArchiveMember(plain, prefix + name, info.size, info.offset_data, info.size)


def _uncompressed(container: SourceFile, magic: bytes, limits: Limits) -> SourceFile:
    """A tar without compression: the file itself, or a temporary copy."""
    opener = next((o for m, o in _OPENERS.items() if magic.startswith(m)), None)
    if opener is None:
        return container

    def write(target: BinaryIO) -> None:
        with container.open() as packed, opener(packed) as source:
            if not _copy_at_most(source, target, limits.most_bytes):
                raise SourceError(
                    "the archive unpacks to more than allowed",
                    file=container.name,
                    expected=f"at most {limits.most_bytes:,} bytes",
                    hint="raise the limit with --max-bytes if the archive can be trusted",
                )

    path = temporary_copy(("tar", container, container.identity), write)
    return UnpackedTar(str(path.parent), path.name, container)


def _copy_at_most(source: Any, target: BinaryIO, limit: int) -> bool:
    """Copy a stream; ``False`` as soon as it turns out to have more than `limit` bytes."""
    copied = 0
    while block := source.read(1 << 20):
        copied += len(block)
        if copied > limit:
            return False
        target.write(block)
    return True


def _checked_name(name: str, archive: str) -> str:
    """A member's name with ``/``; refused if it leads out of the archive."""
    name = name.replace("\\", "/")
    if leads_out(name):
        raise SourceError(
            "a member of the archive is outside of it",
            file=archive,
            record=name,
            expected="names without .. that do not start with /",
            hint="do not trust this archive; unpack it by hand if you know it",
        )
    return "/".join(p for p in PurePosixPath(name).parts if p != ".")
