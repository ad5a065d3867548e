"""The plan: the arrays of a store, and the units of work, each of which owns whole objects."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from ngff_bio.engine.plan.layout import ArrayPlan, ArraySpec, Stored, plan_array
from ngff_bio.engine.plan.settings import Settings
from ngff_bio.errors import SourceError
from ngff_bio.model import (
    InstanceLayer,
    LabelLayer,
    OnError,
    Pixels,
    Region,
    RunVolume,
    SourceDataset,
    SourceImage,
    VolumeLayer,
    label_dtype,
)
from ngff_bio.parallel import WorkerPool
from ngff_bio.storage import Storage
from ngff_bio.zarrio.codecs import AUTO, Codec

if TYPE_CHECKING:
    from ngff_bio.engine.write.records import UnitRecord

#: Peak memory of a unit: a multiple of its raw bytes (the block, its levels, compressed objects, and
#: what the decoder needs), and a constant.
_MEMORY_FACTOR = 3
_MEMORY_CONSTANT = 8 << 20

#: Parts share a unit up to so many bytes and about so many seconds of work: then a unit is worth its
#: overhead, all workers have some, and a kill loses little.
_BATCH_BYTES = 64 << 20
_BATCH_SECONDS = 2.0

#: Work in seconds, as measured on one processor: for each region (a file is opened, an object is
#: written), each instance that is drawn, each byte that is read and compressed.
_REGION_SECONDS = 2e-3
_INSTANCE_SECONDS = 5e-4
_BYTE_SECONDS = 1.5e-8


@dataclass(frozen=True, slots=True)
class PlannedArray:
    """An array of the store and its source: an image (by its number), or one of its label layers.

    Frames before ``start`` are in the store already; ``None`` if all of them are.
    """

    plan: ArrayPlan
    image: int
    layer: int | None = None
    start: int | None = 0


@dataclass(frozen=True, slots=True)
class UnitPart:
    """One region of one array, made by one pass."""

    array: int
    step: int
    region: Region


@dataclass(frozen=True, slots=True)
class Unit:
    """What a worker does at a time. No other unit writes the objects of its parts.

    ``phase`` 0 reads the source; a later phase reads the level that an earlier one wrote.
    ``nbytes`` is the raw size of what it reads or draws.
    """

    id: str
    phase: int
    parts: tuple[UnitPart, ...]
    nbytes: int

    @property
    def memory(self) -> int:
        """Estimate of its peak memory in bytes."""
        return _MEMORY_FACTOR * self.nbytes + _MEMORY_CONSTANT


@dataclass(frozen=True, slots=True)
class Job:
    """A unit with all that is needed to run it anywhere; pickles.

    ``names`` are the names of images, for messages.
    """

    unit: Unit
    arrays: dict[int, ArrayPlan]
    sources: dict[int, Pixels | LabelLayer]
    layers: dict[int, tuple[LabelLayer, ...]]
    names: dict[int, str]


class OwnJob(Protocol):
    """A unit that runs by code of its own; pickles."""

    @property
    def unit(self) -> Unit:
        """The unit."""
        ...

    @property
    def names(self) -> Mapping[int, str]:
        """Names of its images, for messages."""
        ...

    def run(self, storage: Storage, pool: WorkerPool, on_error: OnError) -> UnitRecord:
        """Do it and record it."""
        ...


@dataclass(frozen=True, kw_only=True)
class WorkPlan(ABC):
    """Units of work in a fixed order.

    ``choices`` are the codecs that were chosen for ``auto``, by `ArrayPlan.codec_group`.
    """

    units: tuple[Unit, ...]
    choices: Mapping[str, Codec] = field(default_factory=dict)

    @property
    def bytes_raw(self) -> int:
        """Bytes of images and labels at level 0."""
        return sum(unit.nbytes for unit in self.units if unit.phase == 0)

    def phases(self) -> list[list[Unit]]:
        """Units by phase: those of one phase are independent of each other."""
        found: dict[int, list[Unit]] = defaultdict(list)
        for unit in self.units:
            found[unit.phase].append(unit)
        return [found[k] for k in sorted(found)]

    def undecided(self, unit: Unit) -> set[str]:
        """Codec groups of a unit's arrays for which no codec is chosen yet."""
        return set()

    def with_choices(self, choices: Mapping[str, Codec]) -> Self:
        """The plan with codecs in place of ``auto``."""
        return replace(self, choices=dict(choices))

    @abstractmethod
    def job(self, unit: Unit) -> Job | OwnJob:
        """A unit with all that it needs."""


@dataclass(frozen=True, kw_only=True)
class Plan(WorkPlan):
    """All arrays and units of the conversion of a dataset."""

    dataset: SourceDataset
    settings: Settings
    arrays: tuple[PlannedArray, ...]

    @property
    def objects(self) -> int:
        """Maximum number of objects of the arrays, without metadata and tables."""
        return sum(math.prod(lv.object_grid()) for p in self.arrays for lv in p.plan.levels)

    def undecided(self, unit: Unit) -> set[str]:
        """Codec groups of a unit's arrays for which no codec is chosen yet."""
        plans = (self.arrays[p.array].plan for p in unit.parts)
        return {a.codec_group for a in plans if a.codec == AUTO} - set(self.choices)

    def with_choices(self, choices: Mapping[str, Codec]) -> Self:
        """The plan with codecs in place of ``auto``."""

        def decided(plan: ArrayPlan) -> ArrayPlan:
            chosen = choices.get(plan.codec_group)
            return plan if plan.codec != AUTO or chosen is None else replace(plan, codec=chosen)

        arrays = tuple(replace(p, plan=decided(p.plan)) for p in self.arrays)
        return replace(self, arrays=arrays, choices=dict(choices))

    def job(self, unit: Unit) -> Job:
        """A unit with its arrays and sources."""
        arrays: dict[int, ArrayPlan] = {}
        sources: dict[int, Pixels | LabelLayer] = {}
        layers: dict[int, tuple[LabelLayer, ...]] = {}
        names: dict[int, str] = {}
        for number in {p.array for p in unit.parts}:
            planned = self.arrays[number]
            image = self.dataset.images[planned.image]
            regions = [p.region for p in unit.parts if p.array == number]
            arrays[number] = planned.plan
            names[number] = image.path or image.name
            if planned.layer is None:
                sources[number] = image.pixels
                continue
            layer = image.labels[planned.layer]
            sources[number] = clip_to_regions(layer, regions)
            if isinstance(layer, VolumeLayer) and layer.classes is not None:
                found = (x for x in image.labels if x.name == layer.classes)
                layers[number] = tuple(clip_to_regions(x, regions) for x in found)
        return Job(unit, arrays, sources, layers, names)


def clip_to_regions(layer: LabelLayer, regions: list[Region]) -> LabelLayer:
    """A layer with only those runs that its regions touch: a job is sent to other processes."""
    if not isinstance(layer, VolumeLayer):
        return layer
    planes = min(r[0][0] for r in regions), max(r[0][1] for r in regions)

    def clip(source: Pixels | RunVolume) -> Pixels | RunVolume:
        return source.between(*planes) if isinstance(source, RunVolume) else source

    compare = None if layer.compare is None else clip(layer.compare)
    return replace(layer, pixels=clip(layer.pixels), compare=compare)


def plan_dataset(
    dataset: SourceDataset, settings: Settings, stored: Mapping[str, Stored] | None = None
) -> Plan:
    """Lay out every array of a dataset and divide the work into units.

    Small parts share a unit until it is worth its overhead; label layers of one region share one, so
    that pixels that several of them need are read once.

    Parameters
    ----------
    stored
        Arrays that are in the store already, by path: they keep their layout, and only new frames are
        written.
    """
    arrays: list[PlannedArray] = []
    known = stored or {}
    for number, image in enumerate(dataset.images):
        stored_image = known.get(image.path)
        plan = _plan_image(image, settings, stored_image)
        arrays.append(PlannedArray(plan, number, None, _start(plan, stored_image)))
        for index, layer in enumerate(image.labels):
            stored_layer = known.get(label_path(image, layer))
            one = _plan_layer(image, layer, plan, settings, stored_layer)
            arrays.append(PlannedArray(one, number, index, _start(one, stored_layer)))
    units = tuple(_units(arrays, dataset, settings))
    return Plan(dataset=dataset, settings=settings, arrays=tuple(arrays), units=units)


def _start(plan: ArrayPlan, stored: Stored | None) -> int | None:
    """First frame that is not in the store."""
    if stored is None or not stored.frames:
        return 0
    grows = "t" in plan.axes and plan.shape[plan.axes.index("t")] > stored.frames
    return stored.frames if grows else None


def label_path(image: SourceImage, layer: LabelLayer) -> str:
    """Group of a label image."""
    return below(image, f"labels/{layer.name}")


def below(image: SourceImage, name: str) -> str:
    """Path of something in the group of an image, which may be the root."""
    return f"{image.path}/{name}".lstrip("/")


def _plan_image(image: SourceImage, settings: Settings, stored: Stored | None) -> ArrayPlan:
    if not all(image.pixels.shape):
        raise SourceError("an image has no pixels", record=image.path, found=image.pixels.shape)
    pixels, steps = image.pixels, tuple(a.scale for a in image.axes)
    read = pixels.read_block_shape
    spec = ArraySpec(image.axis_names, pixels.shape, pixels.dtype, read, steps, stored=stored)
    return plan_array(image.path, spec, settings)


def _plan_layer(
    image: SourceImage,
    layer: LabelLayer,
    plan: ArrayPlan,
    settings: Settings,
    stored: Stored | None,
) -> ArrayPlan:
    keep = [i for i, a in enumerate(image.axes) if a.name != "c"]
    axes = "".join(image.axes[i].name for i in keep)
    shape = tuple(image.pixels.shape[i] for i in keep)
    if isinstance(layer, InstanceLayer):  # a frame is drawn as a whole: instances cross any border
        read_block_shape = tuple(1 if a == "t" else n for a, n in zip(axes, shape, strict=True))
        size = None
    else:
        read_block_shape = layer.pixels.read_block_shape
        volumes = [x for x in image.labels if isinstance(x, VolumeLayer)]
        size = max(label_dtype(x.max_value).itemsize for x in volumes)
    spec = ArraySpec(
        axes,
        shape,
        np.dtype(stored.dtype) if stored else label_dtype(layer.max_value),
        read_block_shape,
        tuple(image.axes[i].scale for i in keep),
        role="label",
        like=(plan.axes, plan.levels),
        region_itemsize=size,
        stored=stored,
    )
    return plan_array(label_path(image, layer), spec, settings)


def _units(
    arrays: list[PlannedArray], dataset: SourceDataset, settings: Settings
) -> Iterable[Unit]:
    groups: dict[tuple[Any, ...], list[UnitPart]] = {}
    for number, planned in enumerate(arrays):
        if planned.start is None:
            continue
        for step, made in enumerate(planned.plan.passes):
            for region in planned.plan.regions(made, planned.start):
                # Label volumes of one region of one image are done together.
                shared = "labels" if _is_volume(planned, dataset) else number
                key = (step, planned.image, shared, region)
                groups.setdefault(key, []).append(UnitPart(number, step, region))
    batch: list[UnitPart] = []
    size = phase = count = 0
    work = 0.0
    limit = min(settings.shard_bytes, _BATCH_BYTES)
    for (step, *_), parts in sorted(groups.items(), key=lambda item: item[0][0]):
        sizes = [_nbytes(arrays[p.array].plan, p) for p in parts]
        nbytes = sum(sizes)
        seconds = sum(
            _seconds(arrays[p.array], p, n, dataset) for p, n in zip(parts, sizes, strict=True)
        )
        full = size + nbytes > limit or work + seconds > _BATCH_SECONDS
        if batch and (step != phase or full):
            yield Unit(f"{count:06d}", phase, tuple(batch), size)
            batch, size, work, count = [], 0, 0.0, count + 1
        batch += parts
        size += nbytes
        work += seconds
        phase = step
    if batch:
        yield Unit(f"{count:06d}", phase, tuple(batch), size)


def _is_volume(planned: PlannedArray, dataset: SourceDataset) -> bool:
    layers = dataset.images[planned.image].labels
    return planned.layer is not None and isinstance(layers[planned.layer], VolumeLayer)


def _seconds(planned: PlannedArray, part: UnitPart, nbytes: int, dataset: SourceDataset) -> float:
    """Estimate of the work of a part."""
    seconds = _REGION_SECONDS + _BYTE_SECONDS * nbytes
    image = dataset.images[planned.image]
    layer = None if planned.layer is None else image.labels[planned.layer]
    if isinstance(layer, InstanceLayer) and planned.plan.passes[part.step].source < 0:
        axes, shape = planned.plan.axes, planned.plan.shape
        whole = math.prod(n for a, n in zip(axes, shape, strict=True) if a not in "yx")
        frames = math.prod(
            b - a for axis, (a, b) in zip(axes, part.region, strict=True) if axis not in "yx"
        )
        seconds += _INSTANCE_SECONDS * layer.count * frames / max(whole, 1)
    return seconds


def _nbytes(plan: ArrayPlan, part: UnitPart) -> int:
    return math.prod([b - a for a, b in part.region]) * np.dtype(plan.dtype).itemsize
