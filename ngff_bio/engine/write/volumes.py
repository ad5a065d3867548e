"""Label images whose source has pixels: what each object measures in one block."""

from __future__ import annotations

import math

import numpy as np

from ngff_bio.engine.write.records import MeasuredObject
from ngff_bio.model import PixelArray, Pixels, Region, RunVolume, VolumeLayer
from ngff_bio.raster.runs import clip_runs, label_extents, paint_many


def read_volume(source: Pixels | RunVolume, region: Region) -> PixelArray:
    """The block of a region, read or drawn."""
    if not isinstance(source, RunVolume):
        return source.read(region)
    shape = tuple(b - a for a, b in region)
    out = np.zeros(shape, source.dtype)
    whole = all(r == (0, n) for r, n in zip(region[1:], source.shape[1:], strict=True))
    plane = math.prod(source.shape[1:])
    near = source.between(*region[0])
    low, high = region[0][0] * plane, region[0][1] * plane
    starts, lengths, kept = clip_runs(near.starts, near.lengths, low, high)
    values = near.values[kept]
    if whole:
        paint_many(out, starts, lengths, values)
        return out
    slab = np.zeros((shape[0], *source.shape[1:]), source.dtype)
    paint_many(slab, starts, lengths, values)
    return np.ascontiguousarray(slab[(slice(None), *(slice(*r) for r in region[1:]))])


def measure_volume(
    block: PixelArray, region: Region, classes: PixelArray | None, *, frames: bool = False
) -> dict[str, MeasuredObject]:
    """Voxel count, bounding box and class counts of each value on each frame of a block.

    Parameters
    ----------
    block
        Label values; 0 is background.
    region
        Of the block, in the whole image.
    classes
        Class of each voxel (0 for none), or ``None``.
    frames
        Whether the first axis is t.

    Returns
    -------
    dict
        By ``frame:label``, the frame 0 without an axis t; bounds are in the whole image, without t.
    """
    if not frames:
        return {f"0:{value}": one for value, one in _measure(block, region, classes).items()}
    return {
        f"{t}:{value}": one
        for i, t in enumerate(range(*region[0]))
        for value, one in _measure(
            block[i], region[1:], None if classes is None else classes[i]
        ).items()
    }


def _measure(
    block: PixelArray, region: Region, classes: PixelArray | None
) -> dict[str, MeasuredObject]:
    """Objects of one frame by label value as text."""
    values, counts, low, high = label_extents(block)
    start = np.array([a for a, _ in region])
    found: dict[str, MeasuredObject] = {
        str(value): {"count": count, "start": first, "stop": stop}
        for value, count, first, stop in zip(
            values.tolist(),
            counts.tolist(),
            (low + start).tolist(),
            (high + start).tolist(),
            strict=True,
        )
    }
    if classes is not None:
        for value, by_class in _class_counts(block, classes).items():
            found[value]["classes"] = by_class
    return found


def _class_counts(block: PixelArray, classes: PixelArray) -> dict[str, dict[str, int]]:
    """Voxels of each class by object, counted on stretches in which neither changes."""
    objects, kinds = block.reshape(-1), classes.reshape(-1)
    changes = objects[1:] != objects[:-1]
    changes |= kinds[1:] != kinds[:-1]
    edges = np.concatenate(([0], np.flatnonzero(changes) + 1, [objects.size]))
    inside = objects[edges[:-1]] != 0
    starts, lengths = edges[:-1][inside], np.diff(edges)[inside]
    values, which = np.unique(objects[starts], return_inverse=True)
    names, kind = np.unique(kinds[starts], return_inverse=True)
    pairs, pair = np.unique(which * len(names) + kind, return_inverse=True)
    counts = np.bincount(pair, lengths).astype(np.int64)
    found: dict[str, dict[str, int]] = {}
    for key, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        value, name = values[key // len(names)], names[key % len(names)]
        found.setdefault(str(value), {})[str(name)] = count
    return found


def merge_objects(
    parts: list[dict[str, MeasuredObject]],
) -> dict[tuple[int, int], MeasuredObject]:
    """Objects of a whole image from the blocks that they were measured in, by frame and label."""
    whole: dict[tuple[int, int], MeasuredObject] = {}
    for part in parts:
        for key, seen in part.items():
            frame, _, value = key.partition(":")
            place = (int(frame), int(value))
            known = whole.get(place)
            if known is None:
                classes = dict(seen.get("classes", {}))
                whole[place] = MeasuredObject(
                    count=seen["count"], start=seen["start"], stop=seen["stop"], classes=classes
                )
                continue
            known["count"] += seen["count"]
            known["start"] = [min(a, b) for a, b in zip(known["start"], seen["start"], strict=True)]
            known["stop"] = [max(a, b) for a, b in zip(known["stop"], seen["stop"], strict=True)]
            for name, count in seen.get("classes", {}).items():
                known["classes"][name] = known["classes"].get(name, 0) + count
    return dict(sorted(whole.items()))


def compare_volumes(layer: VolumeLayer, block: PixelArray, other: PixelArray) -> int:
    """Number of pixels on which a second source of a layer disagrees.

    Classes are compared value by value. Objects are compared as background and foreground, since
    colors do not identify objects.
    """
    if layer.kind == "semantic":
        return int(np.count_nonzero(block != other))
    return int(np.count_nonzero((block != 0) != (other != 0)))
