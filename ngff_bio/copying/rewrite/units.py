"""One unit of a store that is converted: it owns whole objects, and puts what is in them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from ngff_bio.copying.rewrite.arrays import RewrittenArray
from ngff_bio.engine.plan.plan import Unit, UnitPart
from ngff_bio.engine.write.checksums import ChecksummingWriter, checksum
from ngff_bio.engine.write.records import PartRecord, UnitRecord
from ngff_bio.engine.write.units import run_parts, save_unit
from ngff_bio.errors import NgffBioError, StoreError, plain_reason
from ngff_bio.model import OnError, Region
from ngff_bio.parallel import WorkerPool
from ngff_bio.storage import Storage
from ngff_bio.zarrio.chunks import Chunk, objects_in, pack_shard, write_block
from ngff_bio.zarrio.codecs import CRC32C
from ngff_bio.zarrio.encoded import ChecksumStep, read_encoded, without_checksum

#: Texts of an array that is held in memory as a whole.
_MAX_TEXTS = 10_000_000


@dataclass(frozen=True, slots=True)
class RewriteJob:
    """A unit with its arrays; pickles. ``objects`` are keys that are copied besides."""

    unit: Unit
    source: Storage
    arrays: dict[int, RewrittenArray]
    objects: tuple[str, ...]
    names: dict[int, str]

    def run(self, storage: Storage, pool: WorkerPool, on_error: OnError) -> UnitRecord:
        """Do it and record it: parts whose source is damaged are recorded as failed with ``skip``."""
        writer = ChecksummingWriter(storage)
        record = UnitRecord(self.unit.id)
        run_parts(self, lambda part: self._run(part, writer, pool), record, pool, on_error)

        def copy(key: str) -> None:
            pool.check()
            if (data := self.source.get(key)) is not None:
                writer.put(key, data)

        pool.map(copy, self.objects)
        return save_unit(record, writer)

    def _run(self, part: UnitPart, writer: ChecksummingWriter, pool: WorkerPool) -> PartRecord:
        done = PartRecord(part.array, part.step, list(part.region))
        array = self.arrays[part.array]
        if array.how == "whole":
            _rewrite_whole(array, writer)
        elif array.how == "objects":
            _copy_objects(array, part.region, self.source, writer, pool)
        elif array.how == "chunks":
            _pass_chunks(array, part.region, self.source, writer, pool)
        else:
            block = array.source.read(part.region)
            done.crc32c = checksum(block) if part.step == 0 else None
            start = tuple(a for a, _ in part.region)
            write_block(array.new, start, block, writer.put, pool.map)
        return done


def _indices(array: RewrittenArray, region: Region) -> Iterator[tuple[int, ...]]:
    """Objects of a new array that a region covers."""
    spans = zip(region, array.new.object_shape, strict=True)
    yield from product(*[range(a // o, -(-b // o)) for (a, b), o in spans])


def _copy_objects(
    array: RewrittenArray,
    region: Region,
    source: Storage,
    writer: ChecksummingWriter,
    pool: WorkerPool,
) -> None:
    def copy(index: tuple[int, ...]) -> None:
        pool.check()
        key = array.new.key(index)
        if (data := source.get(key)) is not None:
            writer.put(key, data)

    pool.map(copy, list(_indices(array, region)))


def _pass_chunks(
    array: RewrittenArray,
    region: Region,
    source: Storage,
    writer: ChecksummingWriter,
    pool: WorkerPool,
) -> None:
    """Put encoded chunks into the objects of the new array; none of them is decoded."""
    old, new = array.old, array.new
    assert old.pipeline is not None
    assert new.pipeline is not None
    codecs = without_checksum(old.pipeline.codecs)
    step = ChecksumStep(
        old.pipeline.codecs[-1:] == (CRC32C,),
        new.pipeline.codecs[-1:] == (CRC32C,),
        codecs[-1].name if codecs else "",
        math.prod(old.chunk) * old.dtype.itemsize if len(codecs) == 1 else 0,
    )

    def encoded(one: tuple[tuple[int, ...], list[Chunk]]) -> list[tuple[Chunk, list[bytes]]]:
        pool.check()
        file = f"{source.url}/{old.key(one[0])}"
        return [(c, step.apply(data, file)) for c, data in read_encoded(source, old, *one)]

    for index in _indices(array, region):
        inside = tuple(
            (i * o, min((i + 1) * o, n))
            for i, o, n in zip(index, new.object_shape, new.shape, strict=True)
        )
        found = [c for part in pool.map(encoded, list(objects_in(old, inside))) for c in part]
        if new.shard is None:
            for chunk, data in found:
                writer.put(new.key(chunk.index), data)
            continue
        found.sort(key=lambda one: one[0].index)
        grid = new.shard_grid
        placed = [
            (tuple(i % g for i, g in zip(chunk.index, grid, strict=True)), data)
            for chunk, data in found
        ]
        if shard := pack_shard(new, placed):
            writer.put(new.key(index), shard)


def _rewrite_whole(array: RewrittenArray, writer: ChecksummingWriter) -> None:
    """Write an array of texts by zarr-python, in the other Zarr format.

    Raises
    ------
    ngff_bio.errors.StoreError
        If zarr-python cannot.
    """
    for key, data in whole_array(array).items():
        if not key.endswith(("zarr.json", ".zarray", ".zattrs")):
            writer.put(key, data)


def whole_array(array: RewrittenArray) -> dict[str, bytes]:
    """All objects of an array of texts, with its documents, by key."""
    import zarr
    from zarr.storage import MemoryStore

    old = array.old
    if math.prod(old.shape) > _MAX_TEXTS:
        raise StoreError(
            "an array of texts is too large to be written in the other Zarr format",
            file=array.source.url,
            expected=f"at most {_MAX_TEXTS:,} texts",
            found=f"shape {old.shape}",
        )
    try:
        values = array.source.read(tuple((0, n) for n in old.shape))
        objects: dict[str, Any] = {}
        store = MemoryStore(objects)
        made = zarr.create_array(
            store,
            name=old.path,
            shape=old.shape,
            dtype="str" if values.dtype.kind in "OTU" else values.dtype,
            chunks=tuple(max(n, 1) for n in old.shape),
            zarr_format=3 if array.new.zarr_format == 2 else 2,
        )
        made[...] = values
        below = f"{old.path}/"
        return {k: v.to_bytes() for k, v in objects.items() if k.startswith(below)}
    except NgffBioError:
        raise
    except Exception as error:  # zarr-python has no one error for what it cannot hold
        raise StoreError(
            "an array cannot be written in the other Zarr format",
            file=array.source.url,
            found=plain_reason(error)[:200],
        ) from error
