"""The manifest: what a store must contain, to the byte, so that it can be verified without its source.

One Parquet file in the store, ``ngff_bio/manifest.parquet``, with a row for each

- ``object``: an object of the store, except the two of the manifest itself. ``path`` is its key.
- ``pixels``: a region of an image or label image as it was decoded from the source. ``path`` is the
  array of level 0, ``region`` half-open ranges as text (``0:50,0:800,0:800``); the checksum is of the
  pixels in C order, little-endian, in the type of the array.
- ``source``: a file that pixels or annotations were read from. ``path`` is its name below the folder
  of the source, or that of the archive that contains it.

``size`` is in bytes, ``crc32c`` the CRC-32C (Castagnoli, RFC 3720) of these bytes, null where it was
not calculated. Rows are sorted by kind, path, region. ``ngff_bio/manifest.crc32c`` holds size and
checksum of the Parquet file as one line of text, so that damage to the manifest can be distinguished
from damage to the store.

The metadata of the Parquet file has, as JSON in ``conversion``, what the store was converted with
(settings, layout, names of the source): the same command recognizes its own store by it.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ngff_bio.checksums import crc32c
from ngff_bio.engine.plan.plan import Plan
from ngff_bio.engine.write.records import UnitRecord, load_record
from ngff_bio.errors import NgffBioError, StorageError, StoreError, plain_reason
from ngff_bio.parallel import WorkerPool
from ngff_bio.storage import Storage, open_object
from ngff_bio.zarrio.journal import STATE
from ngff_bio.zarrio.tables import read_parquet

MANIFEST = "ngff_bio/manifest.parquet"
MANIFEST_CHECKSUM = "ngff_bio/manifest.crc32c"

#: Key of the metadata of the Parquet file.
_CONVERSION = b"conversion"

_COLUMNS = ("kind", "path", "region", "size", "crc32c")

Kind = Literal["object", "pixels", "source"]


@dataclass(frozen=True, slots=True, order=True)
class ManifestEntry:
    """A row of the manifest."""

    kind: Kind
    path: str
    region: str | None
    size: int
    crc32c: int | None


#: Name, size and checksum of a source file.
SourceRow = tuple[str, int, int | None]

#: Returns that of each source file; called when the store is about to be finished.
SourceFiles = Callable[[], Iterable[SourceRow]]


def no_files() -> Iterator[SourceRow]:
    """Name no source file."""
    return iter(())


def make_entries(
    plan: Plan,
    records: Sequence[UnitRecord],
    storage: Storage,
    written: Mapping[str, tuple[int, int]],
    source_files: SourceFiles,
    pool: WorkerPool,
    *,
    added: bool = False,
) -> Iterable[ManifestEntry]:
    """Rows of the manifest of a store that is about to be finished.

    Parameters
    ----------
    plan
        Of what was converted. Objects of images that are not in it were removed.
    records
        Of all units.
    written
        Size and checksum of all other objects: tables, documents.
    source_files
        Names the files that were read.
    pool
        Reads records and objects, several at once where each is a request.
    added
        Whether something was appended to a store: rows of its manifest are kept.
    """
    found: dict[tuple[str, str, str | None], ManifestEntry] = {}

    def add(entries: Iterable[ManifestEntry]) -> None:
        found.update(((e.kind, e.path, e.region), e) for e in entries)

    if added:
        add(_entries_before(storage))
    # The objects of a large store are not held in memory.
    whole = pool.map(lambda r: r if r.objects else load_record(storage, r.id), records)
    starts = tuple(f"{image.path}/" if image.path else "" for image in plan.dataset.images)
    add(
        ManifestEntry("object", key, None, size, record.checksums.get(key))
        for record in whole
        if record is not None
        for key, size in record.objects
        if key.startswith(starts)
    )
    add(_pixel_entries(plan, records))
    add(object_entries(written))
    add(ManifestEntry("source", name, None, size, crc) for name, size, crc in source_files())
    return found.values()


def object_entries(written: Mapping[str, tuple[int, int]]) -> Iterator[ManifestEntry]:
    """Rows of objects, from size and checksum by key."""
    for key, (size, crc) in written.items():
        yield ManifestEntry("object", key, None, size, crc)


def _entries_before(storage: Storage) -> Iterable[ManifestEntry]:
    """Rows of a store that was appended to; its objects are read if it has no manifest."""
    if storage.size(MANIFEST) is not None:
        return read_manifest(storage)
    return [
        ManifestEntry("object", key, None, size, crc32c(storage.get(key) or b""))
        for key, size in storage.list()
        if not key.startswith(f"{STATE}/")
    ]


def _pixel_entries(plan: Plan, records: Iterable[UnitRecord]) -> Iterator[ManifestEntry]:
    for record in records:
        for part in record.parts:
            array = plan.arrays[part.array].plan
            if part.crc32c is not None:
                size = math.prod(b - a for a, b in part.region) * np.dtype(array.dtype).itemsize
                path = f"{array.path}/{array.levels[0].path}".lstrip("/")
                yield ManifestEntry("pixels", path, region_text(part.region), size, part.crc32c)


def region_text(region: Iterable[tuple[int, int]]) -> str:
    """Half-open ranges as text: ``0:50,0:800,0:800``."""
    return ",".join(f"{a}:{b}" for a, b in region)


def parse_region(text: str) -> tuple[tuple[int, int], ...]:
    """Ranges of :func:`region_text`."""
    pairs = [part.split(":") for part in text.split(",")]
    return tuple((int(a), int(b)) for a, b in pairs)


def write_manifest(
    storage: Storage, entries: Iterable[ManifestEntry], conversion: Mapping[str, Any] | None = None
) -> tuple[int, int]:
    """Write the manifest of a store, and its checksum; returns their sizes in bytes.

    The same entries and the same conversion give the same bytes.
    """
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
        names=[*_COLUMNS],
    )
    if conversion is not None:
        table = table.replace_schema_metadata({_CONVERSION: json.dumps(dict(conversion))})
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", row_group_size=1 << 20)
    data = out.getvalue()
    return storage.put(MANIFEST, data), storage.put(MANIFEST_CHECKSUM, checksum_line(data))


def object_sizes(storage: Storage) -> dict[str, int] | None:
    """Size of each object, by a listing or else by the manifest; ``None`` if there is neither."""
    try:
        return dict(storage.list())
    except StorageError:
        data = storage.get(MANIFEST)
    if data is None:
        return None
    return {e.path: e.size for e in parse_manifest(data) if e.kind == "object"}


def manifest_keys(storage: Storage) -> set[str]:
    """Keys of all objects that belong to a store by its manifest; none if it has none.

    Raises
    ------
    ngff_bio.errors.StoreError
        If the manifest cannot be read.
    """
    data = storage.get(MANIFEST)
    if data is None:
        return set()
    keys = {e.path for e in parse_manifest(data) if e.kind == "object"}
    return keys | {MANIFEST, MANIFEST_CHECKSUM}


def read_conversion(storage: Storage) -> dict[str, Any] | None:
    """What a store was converted with, from its manifest; ``None`` where it is not known."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(open_object(storage, MANIFEST, 1 << 14)).metadata or {}
        found = json.loads(metadata.get(_CONVERSION, b"null"))
    except (pa.ArrowException, OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def checksum_line(manifest: bytes) -> bytes:
    """The content of `MANIFEST_CHECKSUM`: size and checksum of the manifest."""
    return f"{len(manifest)} {crc32c(manifest):08x}\n".encode()


def read_manifest(storage: Storage) -> list[ManifestEntry]:
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
            hint="only stores written by ngff_bio have one; name a source to compare with instead",
        )
    return parse_manifest(data, f"{storage.url}/{MANIFEST}")


def source_rows(storage: Storage) -> set[SourceRow]:
    """The files that a store was made of; raises as :func:`read_manifest`."""
    return {(e.path, e.size, e.crc32c) for e in read_manifest(storage) if e.kind == "source"}


def parse_manifest(data: bytes, file: str = MANIFEST) -> list[ManifestEntry]:
    """Rows of a manifest's bytes.

    Raises
    ------
    ngff_bio.errors.StoreError
        If it cannot be read.
    """
    import pyarrow as pa

    try:
        table: Any = read_parquet(pa.BufferReader(data), file, _COLUMNS)
        types = (pa.string(), pa.string(), pa.string(), pa.int64(), pa.uint32())
        columns = [table[name].cast(type_) for name, type_ in zip(_COLUMNS, types, strict=True)]
        if any(columns[_COLUMNS.index(name)].null_count for name in ("kind", "path", "size")):
            raise ValueError("a row has no kind, path or size")
        rows = zip(*(c.to_pylist() for c in columns), strict=True)
        entries = [ManifestEntry(*row) for row in rows]
        if any(e.crc32c is None for e in entries if e.kind != "source"):
            raise ValueError("a row of the store has no checksum")
        return entries
    except NgffBioError:  # too large
        raise
    except (pa.ArrowException, KeyError, OSError, ValueError) as error:
        raise StoreError(
            "the manifest cannot be read", file=file, found=plain_reason(error)
        ) from error
