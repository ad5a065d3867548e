"""The plan: the arrays of a store, and the units of work, each of which owns whole objects."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, Self

from ngff_bio.engine.plan.layout import ArrayPlan
from ngff_bio.engine.plan.settings import Settings
from ngff_bio.model import (
    LabelLayer,
    OnError,
    Pixels,
    Region,
    RunVolume,
    SourceDataset,
    SourceFile,
    SourceImage,
    VolumeLayer,
    files_of,
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


@dataclass(frozen=True, slots=True)
class PlannedArray:
    """An array of the store and its source: an image (by its number), or one of its label layers.

    ``layout`` is that of all arrays of one shape, without a path: there may be millions of them.
    Frames before ``start`` are in the store already; ``None`` if all of them are.
    """

    layout: ArrayPlan
    path: str
    image: int
    layer: int | None = None
    start: int | None = 0

    @property
    def plan(self) -> ArrayPlan:
        """The array at its path."""
        return replace(self.layout, path=self.path)


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

    @abstractmethod
    def sources(self) -> Iterator[SourceFile | Storage]:
        """Files and stores that units read."""


@dataclass(frozen=True, kw_only=True)
class Plan(WorkPlan):
    """All arrays and units of the conversion of a dataset."""

    dataset: SourceDataset
    settings: Settings
    arrays: tuple[PlannedArray, ...]

    @property
    def objects(self) -> int:
        """Maximum number of objects of the arrays, without metadata and tables."""
        return sum(math.prod(lv.object_grid()) for p in self.arrays for lv in p.layout.levels)

    def undecided(self, unit: Unit) -> set[str]:
        """Codec groups of a unit's arrays for which no codec is chosen yet."""
        plans = (self.arrays[p.array].layout for p in unit.parts)
        return {a.codec_group for a in plans if a.codec == AUTO} - set(self.choices)

    def with_choices(self, choices: Mapping[str, Codec]) -> Self:
        """The plan with codecs in place of ``auto``."""

        decided: dict[int, ArrayPlan] = {}  # by what it was: arrays of one layout share one again
        for layout in {id(p.layout): p.layout for p in self.arrays}.values():
            chosen = choices.get(layout.codec_group, AUTO) if layout.codec == AUTO else layout.codec
            decided[id(layout)] = (
                layout if chosen == layout.codec else replace(layout, codec=chosen)
            )
        arrays = tuple(replace(p, layout=decided[id(p.layout)]) for p in self.arrays)
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

    def sources(self) -> Iterator[SourceFile]:
        """Files of the dataset; those of one image together."""
        known: set[int] = set()
        for image in self.dataset.images:
            for file in files_of(image.source_parts()):
                if id(file) not in known:
                    known.add(id(file))
                    yield file


def clip_to_regions(layer: LabelLayer, regions: list[Region]) -> LabelLayer:
    """A layer with only those runs that its regions touch: a job is sent to other processes."""
    if not isinstance(layer, VolumeLayer):
        return layer
    planes = min(r[0][0] for r in regions), max(r[0][1] for r in regions)

    def clip(source: Pixels | RunVolume) -> Pixels | RunVolume:
        return source.between(*planes) if isinstance(source, RunVolume) else source

    compare = None if layer.compare is None else clip(layer.compare)
    return replace(layer, pixels=clip(layer.pixels), compare=compare)


def label_path(image: SourceImage, layer: LabelLayer) -> str:
    """Group of a label image."""
    return below(image, f"labels/{layer.name}")


def below(image: SourceImage, name: str) -> str:
    """Path of something in the group of an image, which may be the root."""
    return f"{image.path}/{name}".lstrip("/")
