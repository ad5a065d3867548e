"""Planning: every array of a dataset is laid out, and the work divided into units."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from ngff_bio.engine.plan.layout import ArrayPlan, ArraySpec, Stored, plan_array
from ngff_bio.engine.plan.plan import Plan, PlannedArray, Unit, UnitPart, label_path
from ngff_bio.engine.plan.settings import Settings
from ngff_bio.errors import SourceError
from ngff_bio.model import (
    InstanceLayer,
    LabelLayer,
    Region,
    SourceDataset,
    SourceImage,
    VolumeLayer,
    label_dtype,
)

#: Parts share a unit up to so many bytes and about so many seconds of work: then a unit is worth its
#: overhead, all workers have some, and a kill loses little.
_BATCH_BYTES = 64 << 20
_BATCH_SECONDS = 2.0

#: Work in seconds, as measured on one processor: for each region (a file is opened, an object is
#: written), each instance that is drawn, each byte that is read and compressed.
_REGION_SECONDS = 2e-3
_INSTANCE_SECONDS = 5e-4
_BYTE_SECONDS = 1.5e-8


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
    with _no_collection():
        arrays = list(_arrays(dataset, settings, stored or {}))
        units = tuple(_units(arrays, dataset, settings))
        return Plan(dataset=dataset, settings=settings, arrays=tuple(arrays), units=units)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Do not look for circles in millions of new objects, which have none: half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _arrays(
    dataset: SourceDataset, settings: Settings, stored: Mapping[str, Stored]
) -> Iterator[PlannedArray]:
    """The arrays of a dataset; images that are alike have the same layouts."""
    known: dict[object, list[ArrayPlan]] = {}
    seen: dict[str, str] = {}
    for number, image in enumerate(dataset.images):
        like = _likeness(image)
        paths = [image.path, *(label_path(image, layer) for layer in image.labels)]
        for path in paths:
            if (other := seen.get(path.casefold())) is not None:
                raise SourceError(
                    "two parts of the source have one place in the store",
                    file=image.first_file,
                    record=f"{image.name}: {path or '/'}",
                    found=f"{other} too",
                    hint=f"convert them apart: leave one out with --exclude '{image.first_file}'",
                )
            seen[path.casefold()] = image.name
        there = [stored.get(path) for path in paths] if stored else [None] * len(paths)
        layouts = known.get(like)
        if layouts is None or stored:
            layouts = [_plan_image(image, settings, there[0])]
            layouts += [
                _plan_layer(image, layer, layouts[0], settings, at)
                for layer, at in zip(image.labels, there[1:], strict=True)
            ]
            known[like] = layouts
        for index, (layout, path, at) in enumerate(zip(layouts, paths, there, strict=True)):
            layer_index = index - 1 if index else None
            yield PlannedArray(layout, path, number, layer_index, _start(layout, at))


def _likeness(image: SourceImage) -> object:
    """What the layouts of an image and of its layers depend on, besides what is stored."""
    pixels = image.pixels
    layers = tuple(
        (
            label_dtype(x.max_value),
            None if isinstance(x, InstanceLayer) else x.pixels.read_block_shape,
        )
        for x in image.labels
    )
    return image.axes, pixels.shape, pixels.dtype, pixels.read_block_shape, layers


def _start(plan: ArrayPlan, stored: Stored | None) -> int | None:
    """First frame that is not in the store."""
    if stored is None or not stored.frames:
        return 0
    grows = "t" in plan.axes and plan.shape[plan.axes.index("t")] > stored.frames
    return stored.frames if grows else None


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


#: A region of a pass, its bytes, and the part of all frames and planes that it has.
_Cut = tuple[Region, int, float]


class _Cuts:
    """The regions of passes, which arrays of one layout share."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int], list[_Cut]] = {}

    def of(self, planned: PlannedArray, step: int) -> list[_Cut]:
        """Regions of a pass of an array; none if it has no such pass, or is there already."""
        layout, start = planned.layout, planned.start
        if start is None or step >= len(layout.passes):
            return []
        key = id(layout), step, start
        if key not in self._known:
            itemsize, axes = np.dtype(layout.dtype).itemsize, layout.axes
            whole = math.prod(n for a, n in zip(axes, layout.shape, strict=True) if a not in "yx")
            self._known[key] = [
                (
                    region,
                    math.prod([b - a for a, b in region]) * itemsize,
                    math.prod(
                        b - a for x, (a, b) in zip(axes, region, strict=True) if x not in "yx"
                    )
                    / max(whole, 1),
                )
                for region in layout.regions(layout.passes[step], start)
            ]
        return self._known[key]


def _units(
    arrays: list[PlannedArray], dataset: SourceDataset, settings: Settings
) -> Iterable[Unit]:
    batch: list[UnitPart] = []
    size = phase = count = 0
    work = 0.0
    limit = min(settings.shard_bytes, _BATCH_BYTES)
    for step in range(max((len(p.layout.passes) for p in arrays), default=0)):
        for parts, nbytes, seconds in _groups(arrays, dataset, step):
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


def _groups(
    arrays: list[PlannedArray], dataset: SourceDataset, step: int
) -> Iterator[tuple[list[UnitPart], int, float]]:
    """Parts of a pass that are done together, with their bytes and the seconds that they take.

    Those are label volumes of one region of one image; all others are alone.
    """
    cuts = _Cuts()
    at = 0
    while at < len(arrays):
        image, first = arrays[at].image, at
        while at < len(arrays) and arrays[at].image == image:
            at += 1
        labels = dataset.images[image].labels
        for number in range(first, at):
            planned = arrays[number]
            layer = None if planned.layer is None else labels[planned.layer]
            if not isinstance(layer, VolumeLayer):
                drawn = (
                    layer is not None
                    and step < len(planned.layout.passes)
                    and planned.layout.passes[step].source < 0
                )
                instances = layer.count if drawn and layer is not None else 0
                for region, nbytes, share in cuts.of(planned, step):
                    seconds = _REGION_SECONDS + _BYTE_SECONDS * nbytes
                    seconds += _INSTANCE_SECONDS * instances * share
                    yield [UnitPart(number, step, region)], nbytes, seconds
            elif not any(isinstance(x, VolumeLayer) for x in labels[: planned.layer]):
                yield from _volumes(arrays, labels, range(number, at), step, cuts)


def _volumes(
    arrays: list[PlannedArray],
    labels: Sequence[LabelLayer],
    numbers: Iterable[int],
    step: int,
    cuts: _Cuts,
) -> Iterator[tuple[list[UnitPart], int, float]]:
    """All label volumes of an image, by region."""
    found: dict[Region, tuple[list[UnitPart], list[int]]] = {}
    for number in numbers:
        planned = arrays[number]
        if planned.layer is None or not isinstance(labels[planned.layer], VolumeLayer):
            continue
        for region, nbytes, _ in cuts.of(planned, step):
            parts, sizes = found.setdefault(region, ([], []))
            parts.append(UnitPart(number, step, region))
            sizes.append(nbytes)
    for parts, sizes in found.values():
        nbytes = sum(sizes)
        yield parts, nbytes, len(parts) * _REGION_SECONDS + _BYTE_SECONDS * nbytes
