"""Zip and tar archives: listed once, then each member is read by itself, by any thread or process.

A member knows where its bytes lie in the archive, so nothing needs the archive's directory again.
Stored members are read in place. A compressed tar cannot be read from its middle: it is unpacked once
into a temporary file.
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import imagecodecs

from ngff_bio.errors import NgffBioError, SourceError
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.sources.files.ranges import RangedFile, copy_at_most, open_range, unpacked

#: Endings of names that are archives, in lower case.
ZIP_ENDINGS = (".zip",)
TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ARCHIVE_ENDINGS = ZIP_ENDINGS + TAR_ENDINGS

#: Compressed members larger than this are unpacked to disk when they are opened, not to memory.
_IN_MEMORY = 256 << 20

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A file inside an archive.

    Parameters
    ----------
    container
        The archive.
    name
        Its name below the source's root.
    size
        Bytes when unpacked.
    offset
        Of its local header in a zip, of its first byte in a tar.
    packed
        Bytes in the archive.
    method
        Zip's compression method; -1 in a tar.
    crc
        CRC-32 of its bytes; ``None`` in a tar.
    """

    container: RangedFile
    name: str
    size: int
    offset: int
    packed: int
    method: int
    crc: int | None

    @property
    def path(self) -> None:
        """It has no path of its own."""
        return

    def open(self) -> BinaryIO:
        """The file, seekable: in place where it is stored as it is, else unpacked."""
        if self.method <= 0:
            return open_range(self.container.read_range, self._start(), self.size)
        if self.size <= _IN_MEMORY:
            return io.BytesIO(self.read())
        return unpacked(self, self._unpack).open("rb")

    def read(self) -> bytes:
        """All of its bytes, checked against the archive's checksum."""
        data = self.container.read_range(self._start(), self.packed)
        if len(data) != self.packed:
            raise self._damaged(f"{len(data)} bytes are left of {self.packed}")
        if self.method == zipfile.ZIP_DEFLATED:
            try:
                data = bytes(imagecodecs.deflate_decode(data, raw=True, out=self.size))
            except (imagecodecs.DeflateError, ValueError, RuntimeError) as error:
                raise self._damaged(error) from error
        elif self.method > 0:
            data = self._by_zipfile()
        if len(data) != self.size or (self.crc is not None and zlib.crc32(data) != self.crc):
            raise self._damaged("its bytes do not have its checksum")
        return data

    def read_range(self, offset: int, size: int) -> bytes:
        """Some of its bytes. A compressed member is unpacked to disk for it, once."""
        size = max(min(size, self.size - offset), 0)
        if self.method <= 0:
            return self.container.read_range(self._start() + offset, size)
        with unpacked(self, self._unpack).open("rb") as stream:
            stream.seek(offset)
            return stream.read(size)

    def _start(self) -> int:
        """Where its bytes start: in a zip, behind a header of its own length."""
        if self.method < 0:
            return self.offset
        head = self.container.read_range(self.offset, _LOCAL_HEADER.size)
        if len(head) < _LOCAL_HEADER.size or not head.startswith(b"PK\3\4"):
            raise self._damaged("no header where the directory says it is")
        *_, name, extra = _LOCAL_HEADER.unpack(head)
        return int(self.offset + _LOCAL_HEADER.size + name + extra)

    def _unpack(self, target: BinaryIO) -> None:
        try:
            with zipfile.ZipFile(self.container.open()) as archive:
                info = next(i for i in archive.infolist() if i.header_offset == self.offset)
                with archive.open(info) as source:
                    whole = copy_at_most(source, target, self.size)  # type: ignore[arg-type]
        except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError) as error:
            raise self._damaged(error) from error
        if not whole:
            raise self._damaged(f"more than the {self.size} bytes that the directory claims")

    def _by_zipfile(self) -> bytes:
        target = io.BytesIO()
        self._unpack(target)
        return target.getvalue()

    def _damaged(self, found: object) -> SourceError:
        return SourceError(
            "a member of the archive is damaged",
            file=self.name,
            found=found,
            hint=f"download or copy {self.container.name} again",
        )


def is_archive(name: str) -> bool:
    """Whether a name ends as archives do."""
    return name.lower().endswith(ARCHIVE_ENDINGS)


def list_archive(
    container: RangedFile, prefix: str = "", limits: Limits = DEFAULT_LIMITS
) -> dict[str, ArchiveMember]:
    """Files of an archive by name; links and folders are left out.

    Parameters
    ----------
    container
        A zip, or a tar that may be compressed by gzip, bzip2 or xz.
    prefix
        Put before each name: ``images.zip/``.
    limits
        ``max_bytes`` of a compressed tar as a whole; members of a zip are checked when asked for.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is damaged, is no archive, or a member's name leads out of it.
    """
    try:
        with container.open() as stream:
            magic = stream.read(6)
        if magic.startswith(b"PK"):
            return _list_zip(container, prefix)
        return _list_tar(_plain_tar(container, magic, limits), container, prefix)
    except NgffBioError:
        raise
    except (zipfile.BadZipFile, tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise SourceError(
            "the archive cannot be read",
            file=container.name,
            expected="a zip or a tar",
            found=f"{type(error).__name__}: {error}",
            hint="download or copy the file again",
        ) from error


def _list_zip(container: RangedFile, prefix: str) -> dict[str, ArchiveMember]:
    found = {}
    with zipfile.ZipFile(container.open()) as archive:
        for info in archive.infolist():
            if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
                continue
            name = _inside(info.filename, container.name)
            if info.flag_bits & 1:
                raise SourceError(
                    "the archive is encrypted",
                    file=container.name,
                    record=name,
                    hint="unpack it with its password, and name the folder",
                )
            found[prefix + name] = ArchiveMember(
                container,
                prefix + name,
                info.file_size,
                info.header_offset,
                info.compress_size,
                info.compress_type,
                info.CRC,
            )
    return found


def _plain_tar(container: RangedFile, magic: bytes, limits: Limits) -> RangedFile:
    openers: dict[bytes, Callable[[BinaryIO], Any]] = {
        b"\x1f\x8b": gzip.open,
        b"BZh": bz2.open,
        b"\xfd7zXZ": lzma.open,
    }
    opener = next((o for m, o in openers.items() if magic.startswith(m)), None)
    if opener is None:
        return container

    def write(target: BinaryIO) -> None:
        with container.open() as packed, opener(packed) as source:
            if not copy_at_most(source, target, limits.most_bytes):
                raise SourceError(
                    "the archive unpacks to more than allowed",
                    file=container.name,
                    expected=f"at most {limits.most_bytes:,} bytes",
                    hint="raise the limit with --max-bytes if the archive can be trusted",
                )

    from ngff_bio.sources.files.tree import LocalFile

    try:
        place = unpacked(("tar", container, limits.most_bytes), write)
    except NgffBioError:
        raise
    except (lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise SourceError(
            "the archive is damaged",
            file=container.name,
            found=f"{type(error).__name__}: {error}",
            hint="download or copy it again",
        ) from error
    return LocalFile(str(place.parent), place.name)


def _list_tar(plain: RangedFile, container: RangedFile, prefix: str) -> dict[str, ArchiveMember]:
    found = {}
    with plain.open() as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        for info in archive:
            if not info.isreg():
                continue
            name = _inside(info.name, container.name)
            if info.offset_data + info.size > plain.size:
                raise SourceError(
                    "the archive is cut off",
                    file=container.name,
                    record=name,
                    hint="download or copy it again",
                )
            found[prefix + name] = ArchiveMember(
                plain, prefix + name, info.size, info.offset_data, info.size, -1, None
            )
    return found


def _inside(name: str, archive: str) -> str:
    """A member's name with ``/``, refused where it leads out of the archive."""
    name = name.replace("\\", "/")
    parts = PurePosixPath(name).parts
    if ".." in parts or name.startswith("/") or name[1:3] == ":/":
        raise SourceError(
            "a member of the archive lies outside of it",
            file=archive,
            record=name,
            expected="names without .. that do not start with /",
            hint="do not trust this archive; unpack it by hand if you know it",
        )
    return "/".join(p for p in parts if p != ".")
