"""The plan of a store that is converted: its arrays, and units that own whole objects."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

import numpy as np

from ngff_bio.copying.rewrite.arrays import RewrittenArray, rewritten_array
from ngff_bio.copying.rewrite.inventory import Inventory, StoredMultiscale
from ngff_bio.copying.rewrite.units import RewriteJob
from ngff_bio.engine.plan.layout import ArrayPlan, ArraySpec, plan_array
from ngff_bio.engine.plan.plan import Job, OwnJob, Unit, UnitPart, WorkPlan
from ngff_bio.engine.plan.settings import Settings
from ngff_bio.errors import NgffBioError, SourceError
from ngff_bio.model import OnError, PixelArray, Region, SampleType, SourceParts
from ngff_bio.reader.access.arrays import StoredArray
from ngff_bio.storage import Storage
from ngff_bio.zarrio.codecs import AUTO, BLOSC

#: Raw bytes, and objects, that a unit holds at most if they are of several parts.
_BATCH_BYTES = 64 << 20
_BATCH_OBJECTS = 256


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """An array of a store as pixels that levels are made of."""

    array: StoredArray

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis."""
        return self.array.shape

    @property
    def dtype(self) -> SampleType:
        """Type of a pixel."""
        return self.array.dtype

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """A chunk."""
        return self.array.chunks

    def read(self, region: Region) -> PixelArray:
        """Pixels of a region."""
        return self.array.read(region)

    def source_parts(self) -> SourceParts:
        """Nothing of its own: the whole store is identified at once."""
        return ()


@dataclass(frozen=True, slots=True)
class MadeLevels:
    """An image whose levels are made anew from level 0."""

    image: StoredMultiscale
    plan: ArrayPlan
    source: StoredPixels


@dataclass(frozen=True, kw_only=True)
class RewritePlan(WorkPlan):
    """Arrays and units of a store that is converted.

    ``owners`` is the image or label image of each array, ``copied`` are keys of other objects by unit.
    """

    inventory: Inventory
    settings: Settings
    arrays: tuple[RewrittenArray | MadeLevels, ...]
    owners: tuple[str | None, ...]
    copied: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def job(self, unit: Unit) -> Job | OwnJob:
        """A unit with its arrays."""
        numbers = {p.array for p in unit.parts}
        names = {n: self.owners[n] or self._path(n) for n in numbers}
        made = {n: a for n in numbers if isinstance(a := self.arrays[n], MadeLevels)}
        if made:
            plans = {n: m.plan for n, m in made.items()}
            return Job(unit, plans, {n: m.source for n, m in made.items()}, {}, names)
        arrays = {n: a for n in numbers if isinstance(a := self.arrays[n], RewrittenArray)}
        return RewriteJob(unit, self.inventory.data, arrays, self.copied.get(unit.id, ()), names)

    def sources(self) -> Iterator[Storage]:
        """The store that is converted."""
        yield self.inventory.data

    def _path(self, number: int) -> str:
        array = self.arrays[number]
        return array.old.path if isinstance(array, RewrittenArray) else array.image.path


def plan_rewrite(inventory: Inventory, settings: Settings, on_error: OnError) -> RewritePlan:
    """Decide how each array is converted, and divide the work into units.

    Raises
    ------
    ngff_bio.errors.NgffBioError
        With ``on_error="stop"``, if an image cannot be converted.
    """
    found: list[tuple[RewrittenArray | MadeLevels, str]] = []
    used: set[str] = set()
    for image in inventory.multiscales:
        levels = [v for v in image.levels if v not in used]  # multiscales of a group may share some
        used.update(levels)
        if inventory.is_dropped(image.path):
            continue
        try:
            made = list(_image_arrays(inventory, image, levels, settings))
        except NgffBioError as error:
            inventory.drop(image.path, error, on_error)
        else:
            found += [(array, image.path) for array in made]
    found = [(array, path) for array, path in found if not inventory.is_dropped(path)]
    arrays = [array for array, _ in found]
    owners: list[str | None] = [path for _, path in found]
    copied = dict(inventory.others)
    for path in sorted(inventory.documents.arrays.keys() - used):
        if inventory.is_dropped(path):
            continue
        document = inventory.documents.arrays[path]
        arrays.append(rewritten_array(inventory.array(path), document, settings))
        owners.append(None)
    units = list(_units(arrays))
    batches = list(_batches(copied))
    for number, keys in enumerate(batches, len(units)):
        size = sum(copied[k] for k in keys)
        units.append(Unit(f"{number:06d}", 0, (), size))
    objects = {
        u.id: keys for u, keys in zip(units[len(units) - len(batches) :], batches, strict=True)
    }
    return RewritePlan(
        inventory=inventory,
        settings=settings,
        arrays=tuple(arrays),
        owners=tuple(owners),
        units=tuple(units),
        copied=objects,
    )


def _image_arrays(
    inventory: Inventory, image: StoredMultiscale, levels: list[str], settings: Settings
) -> Iterator[RewrittenArray | MadeLevels]:
    if settings.levels is None:
        for path in levels:
            document = inventory.documents.arrays[path]
            array = inventory.array(path)
            yield rewritten_array(array, document, settings, image.axes, label=image.label)
        return
    if image.further:
        raise SourceError(
            "levels cannot be made of a group with several multiscales",
            hint="keep its levels: --levels keep",
        )
    first = inventory.array(image.levels[0])
    one = rewritten_array(
        first, inventory.documents.arrays[image.levels[0]], settings, image.axes, label=image.label
    )
    letters = image.letters
    if len(letters) != len(image.axes) or set(letters) - set("tczyx") or not {*"yx"} <= {*letters}:
        raise SourceError(
            "levels cannot be made of an image with these axes",
            expected="axes of t, c, z, y, x, with y and x",
            found=", ".join(image.axes),
            hint="keep its levels: --levels keep",
        )
    codec = settings.label_codec if image.label else settings.codec
    if codec == AUTO:
        codecs = one.new.pipeline.codecs if one.new.pipeline is not None else ()
        codec = codecs[0] if codecs and codecs[0].name in ("blosc", "zstd", "gzip") else BLOSC
    scale = image.meta.levels[0].scale
    steps = tuple(
        s if a.unit is not None or s != 1 else None
        for a, s in zip(image.meta.axes, scale, strict=True)
    )
    role: Literal["image", "label"] = "label" if image.label else "image"
    spec = ArraySpec(letters, first.shape, first.dtype, first.chunks, steps, role, codec=codec)
    yield MadeLevels(image, plan_array(image.path, spec, settings), StoredPixels(first))


def _units(arrays: list[RewrittenArray | MadeLevels]) -> Iterator[Unit]:
    batch: list[UnitPart] = []
    size = objects = number = 0
    last: tuple[int, bool] | None = None
    for kind, part, nbytes_part, count in sorted(_parts(arrays), key=lambda one: one[0]):
        full = size + nbytes_part > _BATCH_BYTES or objects + count > _BATCH_OBJECTS
        if batch and (full or kind != last):
            yield Unit(f"{number:06d}", last[0] if last else 0, tuple(batch), size)
            batch, size, objects, number = [], 0, 0, number + 1
        batch.append(part)
        size, objects, last = size + nbytes_part, objects + count, kind
    if batch:
        yield Unit(f"{number:06d}", last[0] if last else 0, tuple(batch), size)


def _parts(
    arrays: list[RewrittenArray | MadeLevels],
) -> Iterator[tuple[tuple[int, bool], UnitPart, int, int]]:
    """Phase and kind, part, raw bytes, objects."""
    for number, array in enumerate(arrays):
        if isinstance(array, MadeLevels):
            for step, made in enumerate(array.plan.passes):
                for region in array.plan.regions(made):
                    size = _region_bytes(region, np.dtype(array.plan.dtype).itemsize)
                    yield (step, True), UnitPart(number, step, region), size, 1
            continue
        itemsize = array.new.dtype.itemsize or 8
        for region, count in _regions(array):
            # The step says whether pixels are those of level 0 whose checksum is recorded.
            yield (0, False), UnitPart(number, 0, region), _region_bytes(region, itemsize), count


def _region_bytes(region: Region, itemsize: int) -> int:
    return math.prod(b - a for a, b in region) * itemsize


def _regions(array: RewrittenArray) -> Iterator[tuple[Region, int]]:
    """Regions of whole objects, each as many as a unit may hold; and the number of objects read."""
    new, old = array.new, array.old
    if array.how == "whole":
        yield tuple((0, n) for n in new.shape), 1
        return
    step = list(new.object_shape)
    if array.how == "pixels":  # each source object is decoded once
        step = [math.lcm(o, c) for o, c in zip(step, old.chunk, strict=True)]
        if math.prod(step) * new.dtype.itemsize > _BATCH_BYTES:
            step = list(new.object_shape)
    for axis in reversed(range(len(step))):  # grown by doubling, the last axis first
        while step[axis] < new.shape[axis]:
            wider = [2 * s if i == axis else s for i, s in enumerate(step)]
            count, size = _extent(wider, new.shape, new.object_shape)
            if size * new.dtype.itemsize > _BATCH_BYTES or count > _BATCH_OBJECTS:
                break
            step = wider
    spans = [
        [(i, min(i + s, n)) for i in range(0, n, s)] for s, n in zip(step, new.shape, strict=True)
    ]
    count, _ = _extent(step, new.shape, old.object_shape)
    for region in product(*spans):
        yield region, count


def _extent(step: list[int], shape: tuple[int, ...], whole: tuple[int, ...]) -> tuple[int, int]:
    """Objects and pixels in a region of this size."""
    inside = [min(s, n) for s, n in zip(step, shape, strict=True)]
    return math.prod(-(-n // o) for n, o in zip(inside, whole, strict=True)), math.prod(inside)


def _batches(objects: dict[str, int]) -> Iterator[tuple[str, ...]]:
    batch: list[str] = []
    size = 0
    for key, nbytes_object in objects.items():
        if batch and (size + nbytes_object > _BATCH_BYTES or len(batch) >= _BATCH_OBJECTS):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(key)
        size += nbytes_object
    if batch:
        yield tuple(batch)
