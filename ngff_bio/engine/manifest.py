"""The manifest: what a store must hold, to the byte, so that it can be proved without its source.

One Parquet file in the store, ``ngff_bio/manifest.parquet``, with a row for each

- ``object``: an object of the store, but for the two of the manifest itself. ``path`` is its key.
- ``pixels``: a region of an image or label image as it was read from the source, decoded. ``path`` is
  the array of level 0, ``region`` half-open ranges as text (``0:50,0:800,0:800``); the checksum is of
  the pixels in C order, little-endian, in the type of the array.
- ``source``: a file that the pixels and annotations were read from. ``path`` is its name below the
  folder of the source (or of the archive that it was read from).

``size`` is in bytes, ``crc32c`` the CRC-32C (Castagnoli, RFC 3720) of these bytes, null where it was
not calculated. Rows are sorted by kind, path, region. ``ngff_bio/manifest.crc32c`` holds size and
checksum of the Parquet file as one line of text, so that damage to the manifest is told from damage
to the store.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ngff_bio.engine.records import ObjectRecord
from ngff_bio.engine.shard import crc32c
from ngff_bio.errors import StoreError
from ngff_bio.storage import Buffer, Storage

MANIFEST = "ngff_bio/manifest.parquet"
SEAL = "ngff_bio/manifest.crc32c"

Kind = Literal["object", "pixels", "source"]


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A row of the manifest."""

    kind: Kind
    path: str
    region: str | None
    size: int
    crc32c: int | None


#: Gives the source's files when the store is about to be finished: name, size, checksum.
SourceFiles = Callable[[], Iterable[tuple[str, int, int | None]]]


def no_files() -> Iterator[tuple[str, int, int | None]]:
    """Name no source file."""
    return iter(())


class NotingStorage:
    """A storage that remembers size and checksum of everything that is put through it.

    Parameters
    ----------
    storage
        Where everything goes, and what answers everything else.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.noted: dict[str, ObjectRecord] = {}

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        """Write one object, and note it."""
        whole = [data] if isinstance(data, bytes | bytearray | memoryview) else list(data)
        crc = 0
        for piece in whole:
            crc = crc32c(memoryview(piece), crc)
        size = self.storage.put(key, whole)
        self.noted[key] = ObjectRecord(key, size, crc)
        return size

    def __getattr__(self, name: str) -> Any:
        return getattr(self.storage, name)


def region_text(region: Iterable[tuple[int, int]]) -> str:
    """Half-open ranges as text: ``0:50,0:800,0:800``."""
    return ",".join(f"{a}:{b}" for a, b in region)


def parse_region(text: str) -> tuple[tuple[int, int], ...]:
    """Ranges of :func:`region_text`."""
    pairs = [part.split(":") for part in text.split(",")]
    return tuple((int(a), int(b)) for a, b in pairs)


def write_manifest(storage: Storage, entries: Iterable[Entry]) -> None:
    """Write the manifest of a store; the same entries give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = sorted(entries, key=lambda e: (e.kind, e.path, e.region or ""))
    table = pa.Table.from_arrays(
        [
            pa.array([r.kind for r in rows], pa.string()),
            pa.array([r.path for r in rows], pa.string()),
            pa.array([r.region for r in rows], pa.string()),
            pa.array([r.size for r in rows], pa.int64()),
            pa.array([r.crc32c for r in rows], pa.uint32()),
        ],
        names=["kind", "path", "region", "size", "crc32c"],
    )
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", row_group_size=1 << 20)
    data = out.getvalue()
    storage.put(MANIFEST, data)
    storage.put(SEAL, seal_of(data))


def seal_of(manifest: bytes) -> bytes:
    """The line that says what the bytes of the manifest are."""
    return f"{len(manifest)} {crc32c(manifest):08x}\n".encode()


def read_manifest(storage: Storage) -> list[Entry]:
    """Rows of a store's manifest.

    Raises
    ------
    ngff_bio.errors.StoreError
        If there is none, or it cannot be read.
    """
    data = storage.get(MANIFEST)
    if data is None:
        raise StoreError(
            "the store has no manifest",
            file=storage.url,
            expected=MANIFEST,
            mend="stores of other programs have none; name the source to compare with instead",
        )
    return parse_manifest(data, f"{storage.url}/{MANIFEST}")


def parse_manifest(data: bytes, file: str = MANIFEST) -> list[Entry]:
    """Rows of a manifest's bytes.

    Raises
    ------
    ngff_bio.errors.StoreError
        If it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table: Any = pq.read_table(pa.BufferReader(data))
        columns = [table[name].to_pylist() for name in ("kind", "path", "region", "size", "crc32c")]
    except (pa.ArrowException, KeyError, OSError) as error:
        raise StoreError("the manifest cannot be read", file=file, found=error) from error
    return [Entry(*row) for row in zip(*columns, strict=True)]
