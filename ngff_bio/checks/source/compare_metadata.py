"""Metadata of the dataset, its images, frames and labels against the source."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ngff_bio.checks.differences import Difference, Kind, shorten
from ngff_bio.checks.store.documents import Documents, join
from ngff_bio.errors import NgffBioError
from ngff_bio.model import Category, Frame, InstanceLayer, LabelLayer, SourceDataset, SourceImage
from ngff_bio.ngff import GroupMeta, MultiscaleMeta, decode, rule_color
from ngff_bio.ngff.attributes import DESCRIBED, NOT_READ, SKIPPED, described_fields
from ngff_bio.zarrio.arrays import ArrayMeta


def dataset_differences(documents: Documents, dataset: SourceDataset) -> Iterator[Difference]:
    """Attributes of the root, and the list of images."""
    own = documents.own("")
    root = own.get("dataset") or {} if own.get("kind") == "image" else own
    expected = {
        "name": dataset.name,
        "source": dataset.source,
        "licence": dataset.licence,
        "citation": dataset.citation,
        "splits": list(dataset.splits) or None,
        "images": len(dataset.images),
        "attributes": dict(dataset.attributes) or None,
    }
    for key in described_fields(root):
        expected.pop(key, None)  # is not from the source
    attributes = root.get("attributes")
    if isinstance(attributes, dict):  # what was left out is counted, not compared
        rest = {k: v for k, v in attributes.items() if k not in (NOT_READ, SKIPPED, DESCRIBED)}
        root = {**root, "attributes": rest or None}
    yield from _fields("dataset", "", expected, root)
    wanted = {image.path for image in dataset.images}
    there = {p for p in documents.groups if "multiscales" in documents.ome(p)}
    there = {p for p in there if not {"labels", "derived"} & set(p.split("/"))}
    for path in sorted(wanted - there):
        yield Difference("image", path, "the image is not in the store")
    for path in sorted(there - wanted):
        yield Difference("image", path, "the source has no such image")
    yield from _plates(documents, dataset)


def _plates(documents: Documents, dataset: SourceDataset) -> Iterator[Difference]:
    for plate in dataset.plates:
        meta = _meta(documents, plate.path)
        if meta is None or meta.plate is None:
            yield Difference("dataset", plate.path, "the plate is not in the store")
            continue
        start = f"{plate.path}/" if plate.path else ""
        below = [i.path[len(start) :] for i in dataset.images if i.path.startswith(start)]
        wells = {tuple(p.split("/")[:2]) for p in below}
        expected = {
            "name": plate.name,
            "rows": list(plate.rows),
            "columns": list(plate.columns),
            "wells": sorted(map(list, wells)),
        }
        found = {
            "name": meta.plate.name,
            "rows": list(meta.plate.rows),
            "columns": list(meta.plate.columns),
            "wells": sorted(map(list, meta.plate.wells)),
        }
        yield from _fields("dataset", plate.path, expected, found)


def image_differences(
    documents: Documents, image: SourceImage, levels: list[ArrayMeta]
) -> Iterator[Difference]:
    """Axes, calibration, channels, frames and attributes of an image."""
    meta, own = _meta(documents, image.path), documents.own(image.path)
    if meta is None or not meta.multiscales:
        return  # reported by dataset_differences
    yield from _calibration("image", image.path, image, meta.multiscales[0], levels, drop="")
    channels = [c.name for c in image.channels] or [""] * len(meta.channels)
    if channels != [c.label for c in meta.channels]:
        yield _differs("image", image.path, "channels", channels, [c.label for c in meta.channels])
    for channel, shown in zip(image.channels, meta.channels, strict=False):
        window = (shown.start, shown.end)
        if channel.window not in (None, window):
            what = f"window of channel {channel.name}"
            yield _differs("image", image.path, what, channel.window, window)
    expected = {"name": image.name, "attributes": dict(image.attributes) or None}
    yield from _fields("image", image.path, expected, own)
    yield from _frames(image, own)


def _calibration(
    kind: Kind,
    path: str,
    image: SourceImage,
    found: MultiscaleMeta,
    levels: list[ArrayMeta],
    drop: str,
) -> Iterator[Difference]:
    axes = [a for a in image.axes if a.name not in drop]
    expected = {
        "axes": [a.name for a in axes],
        "axis types": [a.type for a in axes],
        "units": [a.unit for a in axes],
    }
    there = {
        "axes": [a.name for a in found.axes],
        "axis types": [a.type for a in found.axes],
        "units": [a.unit for a in found.axes],
    }
    yield from _fields(kind, path, expected, there)
    offsets = image.translation or (0.0,) * len(image.axes)
    origin = np.array([o for a, o in zip(image.axes, offsets, strict=True) if a.name not in drop])
    step = np.array([a.step for a in axes], float)
    total = np.ones(len(axes))
    for number, (level, info) in enumerate(zip(found.levels, levels, strict=False)):
        if len(info.shape) != len(axes) or len(level.scale) != len(axes):
            return
        if number:
            halved = [n != m for n, m in zip(levels[number - 1].shape, info.shape, strict=True)]
            total = total * np.where(halved, 2, 1)
        shift = np.array(level.translation or (0.0,) * len(axes))
        # The centre of a pixel made of n pixels is (n - 1) / 2 pixels after that of the first.
        for name, wanted, got in (
            ("scale", step * total, np.array(level.scale)),
            ("translation", origin + step * (total - 1) / 2, shift),
        ):
            if not np.allclose(wanted, got, rtol=1e-12, atol=0):
                yield _differs(
                    kind, path, f"{name} of level {level.path}", wanted.tolist(), got.tolist()
                )


def _frames(image: SourceImage, own: Mapping[str, Any]) -> Iterator[Difference]:
    there = own.get("frames") or []
    if len(there) != len(image.frames):
        yield _differs("frame", image.path, "number of frames", len(image.frames), len(there))
    for frame, found in zip(image.frames, there, strict=False):
        for difference in _fields("frame", image.path, _frame(frame), found):
            yield replace(difference, where=f"t={frame.t} {frame.name}")


def _frame(frame: Frame) -> dict[str, Any]:
    return {
        "name": frame.name,
        "t": frame.t,
        "size": None if frame.size is None else list(frame.size),
        "elapsed_hours": frame.elapsed_hours,
        "splits": list(frame.splits) or None,
        "record": dict(frame.record) or None,
    }


def label_differences(
    documents: Documents, image: SourceImage, layer: LabelLayer, levels: list[ArrayMeta]
) -> Iterator[Difference]:
    """Metadata of a label image; hidden ones follow their visible one."""
    path = join(image.path, "labels", layer.name)
    meta, own = _meta(documents, path), documents.own(path)
    if meta is None or not meta.multiscales:
        yield Difference("label", path, "the label image is not in the store")
        return
    yield from _calibration("label", path, image, meta.multiscales[0], levels, drop="c")
    semantic = not isinstance(layer, InstanceLayer) and layer.kind == "semantic"
    expected = {
        "layer": layer.name,
        "values": "semantic" if semantic else "instance",
        "categories": [_category(c) for c in layer.categories],
        "tracked": layer.tracked,
        "attributes": dict(layer.attributes) or None,
    }
    yield from _fields("label", path, expected, {"categories": [], **own})
    if semantic and meta.label is not None:
        known = [c for c in layer.categories if isinstance(c.id, int)]
        colors = {c.id: c.color or (*rule_color(int(c.id)), 255) for c in known}
        for value, color in meta.label.colors.items():
            if colors.get(value) != tuple(color):
                yield _differs("label", path, f"colour of {value}", colors.get(value), color)


def _category(category: Category) -> dict[str, object]:
    entry = {
        "id": category.id,
        "name": category.name,
        "color": None if category.color is None else list(category.color),
        "record": category.record or None,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _meta(documents: Documents, path: str) -> GroupMeta | None:
    try:
        return decode(documents.attributes(path))
    except NgffBioError:
        return None


def _fields(
    kind: Kind, path: str, expected: Mapping[str, object], found: Mapping[str, object]
) -> Iterator[Difference]:
    for name, value in expected.items():
        wanted = json.loads(json.dumps(value))
        if wanted != found.get(name):
            yield _differs(kind, path, name, wanted, found.get(name))


def _differs(kind: Kind, path: str, name: str, expected: object, found: object) -> Difference:
    return Difference(
        kind, path, f"{name} differs", expected=shorten(expected), found=shorten(found)
    )
