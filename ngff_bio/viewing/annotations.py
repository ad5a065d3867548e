"""Tables of label images as Neuroglancer shows them: properties of segments, and annotations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any

import ngff_bio.reader as reader
from ngff_bio.reader.tables.tables import column_names
from ngff_bio.zarrio.documents import store_errors

#: A JSON object.
Json = dict[str, Any]

#: Maximum number of annotations of a layer: the state of Neuroglancer holds them all.
MAX_ANNOTATIONS = 20_000

#: Columns that are shown as numbers beside a segment.
_NUMBERS = ("pixels", "area", "iscrowd", "category_fraction")

#: Columns of boxes, outlines and places.
_PLACES = (
    *("label", "t", "z", "category", "box_x", "box_y", "box_width", "box_height"),
    *("polygons", "offset_x", "offset_y", "x_start", "x_stop", "y_start", "y_stop"),
    *("z_start", "z_stop"),
)


def segment_properties(image: reader.Image, name: str) -> Json:
    """Class names and numbers of the values of a label image, as far as they are known.

    The document ``info`` of Neuroglancer's format "precomputed", section "segment properties".
    """
    meta = image.label_meta(name).label
    classes = [p for p in (meta.properties if meta is not None else ()) if "class" in p]
    values = [str(p["label-value"]) for p in classes]
    names = [str(p["class"]) for p in classes]
    properties: list[Json] = []
    if not classes and name in image.tables and "label" in column_names(image, name):
        import pandas as pd

        rows = image.annotations(name)
        rows = rows.assign(label=pd.to_numeric(rows["label"], "coerce"))
        there = rows["label"].notna() & ~rows["label"].isin([math.inf, -math.inf])
        rows = rows[there].drop_duplicates("label")
        values = rows["label"].astype(int).astype(str).tolist()
        if "category" in rows:
            names = rows["category"].fillna("").astype(str).tolist()
        for column in _NUMBERS:
            if column not in rows:
                continue
            found = pd.to_numeric(rows[column], "coerce")
            numbers = found.to_numpy(float, na_value=math.nan).tolist()
            if all(map(math.isfinite, numbers)):  # JSON has no others
                properties.append(
                    {"id": column, "type": "number", "data_type": "float32", "values": numbers}
                )
    if names:
        properties.insert(0, {"id": "label", "type": "label", "values": names})
    return {
        "@type": "neuroglancer_segment_properties",
        "inline": {"ids": values, "properties": properties},
    }


def annotation_layers(
    image: reader.Image, name: str, dimensions: Mapping[str, tuple[float, str]]
) -> tuple[list[Json], list[str]]:
    """Layers of the boxes, outlines and tracks of a label image, and what is not shown of them.

    Parameters
    ----------
    name
        The label image; its table has the rows.
    dimensions
        Axes of the view, in their order.
    """
    if name not in image.tables:
        return [], []
    known = column_names(image, name)
    if "label" not in known:
        return [], [f"the table of {name} has no column label: its rows are not shown"]
    table = image.annotations(name, columns=[c for c in _PLACES if c in known])
    rows: list[Any] = list(table.itertuples())
    space = _Space(image, tuple(dimensions))
    found = {
        "boxes": _boxes(rows, space),
        "outlines": _outlines(rows, space),
        "tracks": _tracks(rows, space) if image.label_attributes(name).get("tracked") else (),
    }
    layers, notes = [], []
    for kind, made in found.items():
        annotations: list[Json] = []
        with store_errors("rows of a table cannot be shown", file=image.url, record=name):
            for annotation in islice(made, MAX_ANNOTATIONS + 1):
                annotations.append({**annotation, "id": str(len(annotations))})
        if len(annotations) > MAX_ANNOTATIONS:
            notes.append(f"only the first {MAX_ANNOTATIONS} {kind} of {name} are shown")
            annotations.pop()
        if annotations:
            source = {
                "url": "local://annotations",
                "transform": {"outputDimensions": dict(dimensions)},
            }
            layers.append(
                {
                    "type": "annotation",
                    "name": f"{name} {kind}",
                    "source": source,
                    "annotations": annotations,
                    "visible": kind == "tracks",
                }
            )
    return layers, notes


class _Space:
    """Positions in the view: index + translation, in pixels; pixel i goes from i - 0.5 to i + 0.5."""

    def __init__(self, image: reader.Image, axes: Sequence[str]) -> None:
        shift, scale = image.pixels.translation(), image.scale
        self.axes = axes
        self.shift = {a: shift[a] / scale[a] for a in axes}

    def point(self, x: float, y: float, row: Any, side: int = 0) -> list[float]:
        """A point, of corner-based x and y, on the plane and frame of a row.

        ``side`` -1 and 1 for the first and last corner of what the row covers, 0 for its middle.
        """
        at = {"x": x - 0.5, "y": y - 0.5, "z": _place(row, "z", side), "t": _place(row, "t", side)}
        return [at[axis] + self.shift[axis] for axis in self.axes]


def _place(row: Any, axis: str, side: int = 0) -> float:
    value = getattr(row, axis, None)
    start = getattr(row, f"{axis}_start", None)
    if start is not None:
        stop = getattr(row, f"{axis}_stop") - 1
        value = (start + stop + side * (stop - start)) / 2
    middle = 0.0 if value is None or math.isnan(value) else float(value)
    return middle + side / 2


def _box(row: Any) -> tuple[float, float, float, float] | None:
    """x, y, width and height of the box of a row."""
    if hasattr(row, "x_start"):
        return row.x_start, row.y_start, row.x_stop - row.x_start, row.y_stop - row.y_start
    box = [getattr(row, f"box_{k}", None) for k in ("x", "y", "width", "height")]
    if any(v is None or math.isnan(v) for v in box):
        return None
    x, y, width, height = (float(v) for v in box if v is not None)
    return x + _offset(row, "x"), y + _offset(row, "y"), width, height


def _offset(row: Any, axis: str) -> float:
    value = getattr(row, f"offset_{axis}", None)
    return 0.0 if value is None or math.isnan(value) else float(value)


def _about(row: Any) -> Json:
    category = getattr(row, "category", None)
    named = [category] if isinstance(category, str) else []
    if math.isnan(row.label):  # an annotation that has no pixels
        return {"description": " ".join(named)}
    label = str(int(row.label))
    return {"description": " ".join([label, *named]), "segments": [[label]]}


def _boxes(rows: Iterable[Any], space: _Space) -> Iterator[Json]:
    for row in rows:
        box = _box(row)
        if box is not None:
            x, y, width, height = box
            yield {
                "type": "axis_aligned_bounding_box",
                "pointA": space.point(x, y, row, -1),
                "pointB": space.point(x + width, y + height, row, 1),
                **_about(row),
            }


def _outlines(rows: Iterable[Any], space: _Space) -> Iterator[Json]:
    """Neuroglancer has no polygons: each side is a line."""
    for row in rows:
        parts = getattr(row, "polygons", None)
        for part in () if parts is None else parts:
            corners = list(zip(part[::2], part[1::2], strict=False))
            points = [
                space.point(x + _offset(row, "x"), y + _offset(row, "y"), row) for x, y in corners
            ]
            for a, b in pairwise([*points, points[0]] if len(points) > 2 else points):
                yield {"type": "line", "pointA": a, "pointB": b, **_about(row)}


def _tracks(rows: Iterable[Any], space: _Space) -> Iterator[Json]:
    """Lines between the centres of one object on successive frames."""
    last: dict[int, list[float]] = {}
    for row in sorted(rows, key=lambda r: _place(r, "t")):
        box = _box(row)
        if box is not None:
            x, y, width, height = box
            centre = space.point(x + width / 2, y + height / 2, row)
            if row.label in last:
                yield {"type": "line", "pointA": last[row.label], "pointB": centre, **_about(row)}
            last[row.label] = centre
