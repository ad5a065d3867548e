"""The instances of a plane, from tables and label images of the store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.export.selection import Plane, SelectedImage, Selection
from ngff_bio.model import Box, Geometry, Instance, PixelArray, Polygons, Rle, Shape
from ngff_bio.raster.geometries import rasterize_geometries
from ngff_bio.raster.rings import Ring, rings_of_mask
from ngff_bio.raster.runs import label_extents, run_pixels

Corner = tuple[int, int]


@dataclass
class Annotation:
    """One instance on one plane.

    Parameters
    ----------
    layer
        Name of its label layer.
    instance
        Its row in the table; box and geometry are in pixels of the whole frame.
    plane
        The plane that it is on.
    label_image
        The label image in which it is complete; ``None`` if its row alone is (see
        :data:`ngff_bio.model.MAX_HIDDEN`).
    pixels
        Number of pixels in the whole frame; ``None`` if it has no table row.
    """

    layer: str
    instance: Instance
    plane: Plane
    label_image: str | None
    pixels: int | None
    found: LabelPlanes

    @property
    def record(self) -> dict[str, object]:
        """Its record in the source without geometry; empty if there is none."""
        return json.loads(self.instance.record) if self.instance.record else {}

    @property
    def extent(self) -> tuple[int, int, int, int] | None:
        """x0, y0, x1, y1 of its pixels on the plane; ``None`` if it has none there."""
        if self.label_image is not None:
            return self.found.extents(self.label_image).get(self.instance.value)
        if self.mask is None:
            return None
        (x, y), mask = self.mask
        return x, y, x + mask.shape[1], y + mask.shape[0]

    @cached_property
    def mask(self) -> tuple[Corner, NDArray[np.bool_]] | None:
        """x, y of the upper left pixel and the mask (y, x); ``None`` without pixels."""
        if self.label_image is None:
            return _drawn(self.instance, self.plane)
        extent = self.extent
        if extent is None:
            return None
        x0, y0, x1, y1 = extent
        block = self.found.labels(self.label_image)[y0:y1, x0:x1]
        return (x0, y0), np.asarray(block == self.instance.value)

    @property
    def rings(self) -> list[Ring]:
        """Outlines of its pixels on the plane."""
        return [] if self.mask is None else rings_of_mask(self.mask[1], self.mask[0])

    @property
    def area(self) -> int:
        """Number of pixels on the plane."""
        return 0 if self.mask is None else int(np.count_nonzero(self.mask[1]))

    @property
    def is_cut(self) -> bool:
        """Whether the exported region may contain only a part of it."""
        if self.plane.whole:
            return False
        return self.pixels is None or self.pixels != self.area

    @property
    def geometry(self) -> Geometry | None:
        """Its outline in pixels of the plane; ``None`` if there is none or it is cut."""
        shape = self.instance.geometry
        if shape is None or self.plane.whole:
            return shape
        return None if self.is_cut else _moved(shape, -self.plane.x[0], -self.plane.y[0])

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """x, y, width, height in pixels of the plane: from the source, else of its pixels."""
        if self.instance.box is not None and not self.is_cut:
            x, y, width, height = self.instance.box
            if self.plane.whole:
                return x, y, width, height
            return x - self.plane.x[0], y - self.plane.y[0], width, height
        if isinstance(self.geometry, Box):
            return self.geometry.xywh
        if self.extent is None:
            return None
        x0, y0, x1, y1 = self.extent
        return x0, y0, x1 - x0, y1 - y0


def _drawn(instance: Instance, plane: Plane) -> tuple[Corner, NDArray[np.bool_]] | None:
    """The mask on a plane of an instance that is in no label image, by its outline."""
    stored = plane.image.stored
    height, width = stored.size("y"), stored.size("x")
    runs = rasterize_geometries([instance], (height, width))
    y, x = np.divmod(run_pixels(runs.starts, runs.lengths, runs.step), width)
    (top, bottom), (left, right) = plane.y, plane.x
    inside = (y >= top) & (y < bottom) & (x >= left) & (x < right)
    y, x = y[inside] - top, x[inside] - left
    if not y.size:
        return None
    y0, x0 = int(y.min()), int(x.min())
    mask = np.zeros((int(y.max()) - y0 + 1, int(x.max()) - x0 + 1), np.bool_)
    mask[y - y0, x - x0] = True
    return (x0, y0), mask


def _moved(shape: Geometry, dx: int, dy: int) -> Geometry | None:
    if isinstance(shape, Polygons):
        parts = ([v + (dy if i % 2 else dx) for i, v in enumerate(p)] for p in shape.parts)
        return Polygons(tuple(parts), shape.rule)
    if isinstance(shape, Box):
        return Box(shape.x0 + dx, shape.y0 + dy, shape.x1 + dx, shape.y1 + dy)
    if isinstance(shape, Shape):
        points = tuple((x + dx, y + dy) for x, y in shape.points)
        return Shape(shape.type, points, shape.mask)
    return None  # the RLE of a region is encoded again


@dataclass
class LabelPlanes:
    """Label images of one plane, each read once."""

    plane: Plane
    _labels: dict[str, PixelArray] = field(default_factory=dict)
    _extents: dict[str, dict[int, tuple[int, int, int, int]]] = field(default_factory=dict)

    def labels(self, name: str) -> PixelArray:
        """Label values (y, x)."""
        if name not in self._labels:
            self._labels[name] = self.plane.labels(name)
        return self._labels[name]

    def extents(self, name: str) -> dict[int, tuple[int, int, int, int]]:
        """x0, y0, x1, y1 of each label value, ascending."""
        if name not in self._extents:
            values, _, low, high = label_extents(self.labels(name))
            boxes = np.hstack((low[:, ::-1], high[:, ::-1])).tolist()
            self._extents[name] = dict(zip(values.tolist(), map(tuple, boxes), strict=True))
        return self._extents[name]


class LayerRows:
    """The table of a label layer of an image, as instances by frame."""

    def __init__(self, image: SelectedImage, layer: str) -> None:
        self.image, self.layer = image, layer
        stored = image.stored
        table = stored.table(layer)
        self.semantic = stored.is_semantic(layer)
        attributes = stored.label_attributes(layer)
        self.categories = list(attributes.get("categories") or ())
        rule = (attributes.get("attributes") or {}).get("outline_rule")
        self._frames: dict[int, list[tuple[Instance, str | None, int | None]]] = {}
        self._by_frame = False
        self._values: dict[tuple[int, int], Instance] = {}
        if table is None:
            return
        columns = {name: table.column(name).to_pylist() for name in table.column_names}
        if {"t", "label_image"} <= columns.keys() and "x_start" not in columns:
            for row in range(table.num_rows):
                instance = instance_of_row(columns, row, rule)
                whole_in, pixels = columns["label_image"][row], columns["pixels"][row]
                self._frames.setdefault(instance.t, []).append((instance, whole_in, pixels))
        elif "label" in columns:  # objects of a label image: on each frame, or on all
            self._by_frame = "t" in columns
            for row in range(table.num_rows):
                one = instance_of_row(columns, row)
                self._values[one.t, one.value] = one

    def on(self, plane: Plane) -> Iterator[Annotation]:
        """Instances of a plane, in table order or else by label value."""
        found = LabelPlanes(plane)
        if self._frames:
            for instance, whole_in, pixels in self._frames.get(plane.t, ()):
                if instance.z is not None and instance.z != plane.z:
                    continue
                one = Annotation(self.layer, instance, plane, whole_in, pixels, found)
                if plane.whole or one.extent is not None:
                    yield one
            return
        for value in found.extents(self.layer):
            key = (plane.t if self._by_frame else 0, value)
            known = self._values.get(key) or self._unlisted(value)
            known = _on_plane(known, plane)
            yield Annotation(self.layer, known, plane, self.layer, None, found)

    def instances(self) -> Iterator[Instance]:
        """All instances of the table, in its order."""
        for rows in self._frames.values():
            yield from (instance for instance, _, _ in rows)
        yield from self._values.values()

    def _unlisted(self, value: int) -> Instance:
        """An instance without a table row: a class of a semantic layer, or a label value."""
        if not self.semantic:
            return Instance(value, None, source_id=value)
        named = next((c for c in self.categories if c.get("id") == value), None)
        name = str(named["name"]) if named else str(value)
        return Instance(value, None, category=name, category_id=value)


def annotated_planes(selection: Selection) -> Iterator[tuple[Plane, Iterator[Annotation]]]:
    """All selected planes with the instances of all selected layers on each."""
    for image in selection.images:
        layers = [LayerRows(image, layer) for layer in image.layers]
        for plane in image.planes():
            yield plane, chain.from_iterable(layer.on(plane) for layer in layers)
        image.stored.forget()


def _on_plane(instance: Instance, plane: Plane) -> Instance:
    return Instance(
        instance.value,
        None,
        t=plane.t,
        z=plane.z,
        category=instance.category,
        category_id=instance.category_id,
        source_id=instance.source_id,
        track_id=instance.track_id,
    )


def instance_of_row(columns: Mapping[str, list[object]], row: int, rule: object = None) -> Instance:
    """The instance of a table row; missing columns are unknown values.

    `rule` is the ``outline_rule`` of its layer, if there is one.
    """

    def get(name: str) -> Any:
        return columns[name][row] if name in columns else None

    box = tuple(get(f"box_{n}") for n in ("x", "y", "width", "height"))
    geometry = geometry_of_row(get)
    if rule in ("center", "imagej", "opencv") and isinstance(geometry, Polygons):
        geometry = replace(geometry, rule=rule)
    if get("offset_y") is not None:  # coordinates relative to a crop of the frame
        dx, dy = get("offset_x"), get("offset_y")
        geometry = None if geometry is None else _moved(geometry, dx, dy)
        box = box if None in box else (box[0] + dx, box[1] + dy, *box[2:])
    elif geometry is None and None not in box and "shape_type" in columns:
        x, y, width, height = box
        geometry = Box(x, y, x + width, y + height)
    return Instance(
        value=get("label"),
        geometry=geometry,
        t=get("t") or 0,
        z=get("z"),
        category=get("category"),
        category_id=get("category_id"),
        source_id=get("source_id"),
        track_id=get("track_id"),
        box=None if None in box else box,
        area=get("area"),
        iscrowd=get("iscrowd"),
        score=get("score"),
        record=get("record"),
    )


def geometry_of_row(get: Any) -> Geometry | None:
    """The outline of a row; `get` returns the value of a column."""
    kind, polygons, size = get("shape_type"), get("polygons"), get("rle_size")
    if kind is not None:
        flat = polygons[0] if polygons else []
        return Shape(kind, tuple(zip(flat[0::2], flat[1::2], strict=True)), get("mask"))
    if polygons is not None:
        return Polygons(tuple(polygons))
    if size is not None:
        counts = get("rle_counts")
        return Rle((size[0], size[1]), get("rle_runs") if counts is None else counts)
    return None
