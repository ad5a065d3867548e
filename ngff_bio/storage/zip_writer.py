"""Writing a store to one zip file, once: ``.ozx`` as OME-NGFF RFC 9 recommends, or any ``.zip``."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from glob import escape
from pathlib import Path

from ngff_bio.errors import StorageError
from ngff_bio.storage.base import Buffer
from ngff_bio.storage.folder import UNFINISHED

#: The same objects give the same file: no time is the earliest that a zip can state.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def zip_order(keys: Iterable[str]) -> list[str]:
    """Keys in the order of RFC 9: each ``zarr.json`` first, breadth first from the root."""
    return sorted(keys, key=lambda k: (k.rpartition("/")[2] != "zarr.json", k.count("/"), k))


def zip_comment(version: str) -> bytes:
    """The comment of a file whose documents come first, in the terms of RFC 9."""
    ome = {"version": version, "zipFile": {"centralDirectory": {"jsonFirst": True}}}
    return json.dumps({"ome": ome}).encode()


class ZipWriter:
    """A zip file that appears whole, when the block ends without an error.

    Objects are stored without compression: chunks are compressed already, and can be read in place.

    Parameters
    ----------
    path
        Of the file; one that is there is replaced.
    comment
        Comment of the archive.

    Raises
    ------
    ngff_bio.errors.StorageError
        If the file cannot be written.
    """

    def __init__(self, path: Path, comment: bytes = b"") -> None:
        self.path, self._comment = path, comment
        self._beside = path.with_name(f"{path.name}.{os.getpid()}{UNFINISHED}")

    def __enter__(self) -> ZipWriter:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for left in self.path.parent.glob(f"{escape(self.path.name)}.*{UNFINISHED}"):
                left.unlink()  # of a process that was killed
            self._zip = zipfile.ZipFile(self._beside, "w", zipfile.ZIP_STORED, allowZip64=True)
        except OSError as error:
            raise self._failed(error) from error
        self._zip.comment = self._comment
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._zip.close()
            if kind is None:
                os.replace(self._beside, self.path)
        except OSError as error:
            raise self._failed(error) from error
        finally:
            with suppress(OSError):
                os.unlink(self._beside)

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> None:
        """Add one object."""
        info = zipfile.ZipInfo(key, _NO_TIME)
        info.external_attr = 0o644 << 16
        parts = [data] if isinstance(data, bytes | bytearray | memoryview) else data
        try:
            self._zip.writestr(info, b"".join(parts))
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> StorageError:
        return StorageError(f"cannot write: {error.strerror or error}", file=self.path)
