"""The plan: from a dataset and settings to arrays, and to units that each own whole objects."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from ngff_bio.engine.layout import ArrayPlan, Pass, plan_array
from ngff_bio.engine.settings import Settings
from ngff_bio.model import (
    Dataset,
    Image,
    InstanceLayer,
    LabelLayer,
    Pixels,
    Region,
    VolumeLayer,
    label_dtype,
)


@dataclass(frozen=True, slots=True)
class PlannedArray:
    """An array of the store and where it comes from: an image, or one of its label layers."""

    plan: ArrayPlan
    image: int
    layer: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One region of one array, made by one pass."""

    array: int
    step: int
    region: Region


@dataclass(frozen=True, slots=True)
class Unit:
    """What one worker does at a time. It alone writes the objects of its parts.

    ``phase`` 0 reads the source; a later phase reads the level that an earlier one wrote.
    ``nbytes`` is the raw size of what it reads or draws.
    """

    id: str
    phase: int
    parts: tuple[Part, ...]
    nbytes: int


@dataclass(frozen=True, slots=True)
class Job:
    """A unit with all that is needed to run it anywhere: pickles, and names no other unit."""

    unit: Unit
    arrays: dict[int, ArrayPlan]
    sources: dict[int, Pixels | LabelLayer]
    layers: dict[int, tuple[LabelLayer, ...]]


@dataclass(frozen=True, slots=True)
class Plan:
    """All arrays and units of a conversion, in a fixed order."""

    dataset: Dataset
    settings: Settings
    arrays: tuple[PlannedArray, ...]
    units: tuple[Unit, ...]

    @property
    def fingerprint(self) -> str:
        """Changes when settings, source or layout do: a half-made store is only gone on with as it
        was begun.
        """
        return hashlib.sha256(json.dumps(self.summary(), sort_keys=True).encode()).hexdigest()

    def summary(self) -> dict[str, Any]:
        """What the fingerprint covers, as JSON values."""
        images = [
            [i.path, i.name, i.axis_names, list(i.pixels.shape), i.pixels.dtype.str]
            + [[layer.name, layer.max_value] for layer in i.labels]
            for i in self.dataset.images
        ]
        digest = hashlib.sha256(json.dumps(images).encode()).hexdigest()
        return {
            "source": self.dataset.source,
            "name": self.dataset.name,
            "images": digest,
            "settings": self.settings.to_json(),
        }

    def phases(self) -> list[list[Unit]]:
        """Units by phase: those of one phase are independent of each other."""
        found: dict[int, list[Unit]] = defaultdict(list)
        for unit in self.units:
            found[unit.phase].append(unit)
        return [found[k] for k in sorted(found)]

    def job(self, unit: Unit) -> Job:
        """A unit with its arrays and sources."""
        arrays: dict[int, ArrayPlan] = {}
        sources: dict[int, Pixels | LabelLayer] = {}
        layers: dict[int, tuple[LabelLayer, ...]] = {}
        for number in {p.array for p in unit.parts}:
            planned = self.arrays[number]
            image = self.dataset.images[planned.image]
            arrays[number] = planned.plan
            if planned.layer is None:
                sources[number] = image.pixels
            else:
                layer = image.labels[planned.layer]
                sources[number] = layer
                if isinstance(layer, VolumeLayer) and layer.classes is not None:
                    layers[number] = tuple(x for x in image.labels if x.name == layer.classes)
        return Job(unit, arrays, sources, layers)


def plan_dataset(dataset: Dataset, settings: Settings) -> Plan:
    """Lay out every array of a dataset and cut the work into units.

    Small parts share a unit until it is worth its overhead; parts of one region whose label layers
    refer to each other share one, so that their pixels are read once.
    """
    arrays: list[PlannedArray] = []
    for number, image in enumerate(dataset.images):
        plan = _plan_image(image, settings)
        arrays.append(PlannedArray(plan, number))
        for index, layer in enumerate(image.labels):
            arrays.append(PlannedArray(_plan_layer(image, layer, plan, settings), number, index))
    return Plan(dataset, settings, tuple(arrays), tuple(_units(arrays, dataset, settings)))


def _plan_image(image: Image, settings: Settings) -> ArrayPlan:
    return plan_array(
        image.path,
        image.axis_names,
        image.pixels.shape,
        image.pixels.dtype,
        image.pixels.grain,
        tuple(a.scale for a in image.axes),
        settings,
        method=settings.method,
        codec=settings.codec,
    )


def _plan_layer(image: Image, layer: LabelLayer, plan: ArrayPlan, settings: Settings) -> ArrayPlan:
    keep = [i for i, a in enumerate(image.axes) if a.name != "c"]
    axes = "".join(image.axes[i].name for i in keep)
    shape = tuple(image.pixels.shape[i] for i in keep)
    if isinstance(layer, InstanceLayer):  # a frame is drawn as a whole: instances cross any cut
        grain = tuple(1 if a == "t" else n for a, n in zip(axes, shape, strict=True))
        size = None
    else:
        grain = layer.pixels.grain
        volumes = [x for x in image.labels if isinstance(x, VolumeLayer)]
        size = max(label_dtype(x.max_value).itemsize for x in volumes)
    return plan_array(
        f"{image.path}/labels/{layer.name}".lstrip("/"),
        axes,
        shape,
        label_dtype(layer.max_value),
        grain,
        tuple(image.axes[i].scale for i in keep),
        settings,
        method=settings.label_method,
        codec=settings.label_codec,
        like=plan,
        region_itemsize=size,
    )


def _units(arrays: list[PlannedArray], dataset: Dataset, settings: Settings) -> list[Unit]:
    groups: dict[tuple[Any, ...], list[Part]] = {}
    for number, planned in enumerate(arrays):
        for step, made in enumerate(planned.plan.passes):
            for region in planned.plan.regions(made):
                key = _group(planned, dataset, step, region, number)
                groups.setdefault(key, []).append(Part(number, step, region))
    units: list[Unit] = []
    batch: list[Part] = []
    size, phase = 0, 0
    for (step, *_), parts in sorted(groups.items(), key=lambda item: item[0][0]):
        nbytes = sum(_nbytes(arrays[p.array].plan, p) for p in parts)
        if batch and (step != phase or size + nbytes > settings.shard_bytes):
            units.append(Unit(f"{len(units):06d}", phase, tuple(batch), size))
            batch, size = [], 0
        batch += parts
        size += nbytes
        phase = step
    if batch:
        units.append(Unit(f"{len(units):06d}", phase, tuple(batch), size))
    return units


def _group(
    planned: PlannedArray, dataset: Dataset, step: int, region: Region, number: int
) -> tuple[Any, ...]:
    """Parts with one key are done together: label volumes of one region of one image."""
    layer = planned.layer
    if layer is not None and isinstance(dataset.images[planned.image].labels[layer], VolumeLayer):
        return (step, planned.image, "labels", region)
    return (step, planned.image, number, region)


def _nbytes(plan: ArrayPlan, part: Part) -> int:
    return math.prod(b - a for a, b in part.region) * np.dtype(plan.dtype).itemsize


def pass_of(plan: ArrayPlan, part: Part) -> Pass:
    """The pass that makes a part."""
    return plan.passes[part.step]
