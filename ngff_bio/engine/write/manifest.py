"""The manifest: what a store must hold, to the byte, so that it can be proved without its source.

One Parquet file in the store, ``ngff_bio/manifest.parquet``, with a row for each

- ``object``: an object of the store, but for the two of the manifest itself. ``path`` is its key.
- ``pixels``: a region of an image or label image as it was read from the source, decoded. ``path`` is
  the array of level 0, ``region`` half-open ranges as text (``0:50,0:800,0:800``); the checksum is of
  the pixels in C order, little-endian, in the type of the array.
- ``source``: a file that the pixels and annotations were read from. ``path`` is its name below the
  folder of the source, or that of the archive that it was read from.

``size`` is in bytes, ``crc32c`` the CRC-32C (Castagnoli, RFC 3720) of these bytes, null where it was
not calculated. Rows are sorted by kind, path, region. ``ngff_bio/manifest.crc32c`` holds size and
checksum of the Parquet file as one line of text, so that damage to the manifest is told from damage
to the store.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from ngff_bio.engine.plan.plan import Plan
from ngff_bio.engine.write.checksums import ChecksummingStorage, crc32c
from ngff_bio.engine.write.columns import numbers, texts
from ngff_bio.engine.write.records import UnitRecord, load_record
from ngff_bio.errors import StoreError
from ngff_bio.storage import Storage

MANIFEST = "ngff_bio/manifest.parquet"
MANIFEST_CHECKSUM = "ngff_bio/manifest.crc32c"

Kind = Literal["object", "pixels", "source"]

#: Documents of a store that are written at once.
Batch = list[tuple[str, bytes]]

Map = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]


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


class ManifestWriter:
    """Gathers what is written when a store is finished, and writes the manifest before the root.

    Parameters
    ----------
    plan
        Of what was converted. Objects of images that are not in it were removed again.
    records
        Of all units.
    storage
        The store; :attr:`storage` is to be written to instead. :attr:`sizes` are those of the
        manifest's own objects, once they are written.
    source_files
        Names the files that were read.
    added
        Whether something is added to a store: then what its manifest says of the rest stays.
    """

    def __init__(
        self,
        plan: Plan,
        records: Sequence[UnitRecord],
        storage: Storage,
        source_files: SourceFiles,
        *,
        added: bool = False,
    ) -> None:
        self.records = records
        self.sizes: tuple[int, ...] = ()
        self._plan, self._storage, self._source_files = plan, storage, source_files
        self._noting = ChecksummingStorage(storage)
        self._added = added

    @property
    def storage(self) -> Storage:
        """The store, noting what is put."""
        return cast("Storage", self._noting)

    def before_root(self, lots: Iterable[Batch], each: Map) -> Iterator[Batch]:
        """The same lots of documents; the manifest is written before those of the root."""
        root: list[Batch] = []
        for lot in lots:
            if any("/" in key for key, _ in lot):
                yield lot
            else:
                root.append(lot)
        entries = {(e.kind, e.path, e.region): e for e in self._entries(root, each)}
        self.sizes = write_manifest(self._storage, entries.values())
        yield from root

    def _entries(self, root: Iterable[Batch], each: Map) -> Iterator[Entry]:
        """Rows, a later one of the same thing in place of an earlier one."""
        if self._added:
            yield from self._before()
        yield from self._of_units(each)
        for key, (size, crc) in self._noting.noted.items():
            yield Entry("object", key, None, size, crc)
        for lot in root:
            for key, data in lot:
                yield Entry("object", key, None, len(data), crc32c(data))
        for name, length, checksum in self._source_files():
            yield Entry("source", name, None, length, checksum)

    def _before(self) -> Iterator[Entry]:
        """What is known of a store that is added to; its objects are read where it is nothing."""
        if self._storage.size(MANIFEST) is not None:
            yield from read_manifest(self._storage)
            return
        for key, size in self._storage.list():
            if not key.startswith(".ngff_bio/"):
                yield Entry("object", key, None, size, crc32c(self._storage.get(key) or b""))

    def _whole(self, record: UnitRecord) -> UnitRecord | None:
        """A record with its objects: those of a large store are not held in memory."""
        return record if record.objects else load_record(self._storage, record.id)

    def _of_units(self, each: Map) -> Iterator[Entry]:
        images = self._plan.dataset.images
        starts = tuple(f"{image.path}/" if image.path else "" for image in images)
        for record in each(self._whole, self.records):
            for key, size in record.objects if record is not None else ():
                if key.startswith(starts):
                    yield Entry("object", key, None, size, record.checksums.get(key))
        for record in self.records:
            for part in record.parts:
                array = self._plan.arrays[part.array].plan
                if part.crc32c is not None:
                    size = math.prod(b - a for a, b in part.region) * np.dtype(array.dtype).itemsize
                    path = f"{array.path}/{array.levels[0].path}".lstrip("/")
                    yield Entry("pixels", path, region_text(part.region), size, part.crc32c)


def region_text(region: Iterable[tuple[int, int]]) -> str:
    """Half-open ranges as text: ``0:50,0:800,0:800``."""
    return ",".join(f"{a}:{b}" for a, b in region)


def parse_region(text: str) -> tuple[tuple[int, int], ...]:
    """Ranges of :func:`region_text`."""
    pairs = [part.split(":") for part in text.split(",")]
    return tuple((int(a), int(b)) for a, b in pairs)


def write_manifest(storage: Storage, entries: Iterable[Entry]) -> tuple[int, int]:
    """Write the manifest of a store, and its seal; returns their sizes in bytes.

    The same entries give the same bytes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = sorted(entries, key=lambda e: (e.kind, e.path, e.region or ""))
    table = pa.Table.from_arrays(
        [
            texts([r.kind for r in rows]),
            texts([r.path for r in rows]),
            texts([r.region for r in rows]),
            numbers([r.size for r in rows], "i8"),
            numbers([r.crc32c for r in rows], "u4"),
        ],
        names=["kind", "path", "region", "size", "crc32c"],
    )
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", row_group_size=1 << 20)
    data = out.getvalue()
    return storage.put(MANIFEST, data), storage.put(MANIFEST_CHECKSUM, checksum_line(data))


def checksum_line(manifest: bytes) -> bytes:
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
            hint="stores of other programs have none; name the source to compare with instead",
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
