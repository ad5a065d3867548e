"""Images and frames of a dataset as tables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from ngff_bio.errors import ArgumentError, NgffBioError, closest_names
from ngff_bio.model.splits import in_split, standard_split
from ngff_bio.reader.access.image import FrameAttributes, ImageNode
from ngff_bio.reader.tables.rows import values_of

#: Plate, well and field of an image.
Place = tuple[str | None, str | None, str | None]

_FRAME_COLUMNS = [
    "path",
    "plate",
    "well",
    "field",
    "t",
    "name",
    "hours",
    "split",
    "standard_split",
    "height",
    "width",
]


def image_table(
    images: Mapping[str, ImageNode],
    places: Mapping[str, Place],
    wells: Mapping[str, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """A row per image; ``problem`` gives the reason if part of it cannot be read.

    Columns: path, name, plate, well, field, frames (number), time_start and time_stop (hours),
    split (names, separated by a comma), axes, the size along each axis, dtype, levels, labels,
    tables, problem; then those of the tables of wells of plates. A column that there is already is
    named ``wells_<name>``.
    """
    rows = [_image_row(images, path, place) for path, place in places.items()]
    axes = [a for a in "tczyx" if any(a in row for row in rows)]
    columns = ["path", "name", "plate", "well", "field", "frames", "time_start", "time_stop"]
    columns += ["split", "axes", *axes, "dtype", "levels", "labels", "tables", "problem"]
    table = pd.DataFrame(rows, columns=columns)
    table = table.astype(dict.fromkeys((*axes, "frames", "levels"), "Int64"))
    return with_wells(table, wells) if wells else table


def with_wells(images: pd.DataFrame, wells: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The table of images with the columns of tables of wells, which are given by plate."""
    parts = [
        conditions.drop(columns=["row", "column"], errors="ignore").assign(plate=plate)
        for plate, conditions in wells.items()
        if "well" in conditions
    ]
    if not parts:  # tables of that name that are of another kind
        return images
    joined = pd.concat(parts, ignore_index=True)
    names = {c: f"wells_{c}" for c in joined if c in images.columns and c not in ("plate", "well")}
    joined = joined.rename(columns=names).drop_duplicates(["plate", "well"])
    return images.merge(joined, on=["plate", "well"], how="left")


def _image_row(images: Mapping[str, ImageNode], path: str, place: Place) -> dict[str, Any]:
    row: dict[str, Any] = {
        "path": path,
        **dict(zip(("plate", "well", "field"), place, strict=True)),
    }
    try:
        image = images[path]
        given = (f.get("elapsed_hours") for f in image.frames)
        hours = [h for h in given if h is not None]
        row |= {
            "name": image.attributes.get("name") or image.multiscale.name,
            "axes": image.axes,
            "levels": len(image.pixels),
            "frames": len(image.frames) or image.sizes.get("t", 1),
            "split": _splits(*image.frames),
            "time_start": min(hours, default=None),
            "time_stop": max(hours, default=None),
            **image.sizes,
            "dtype": str(image.dtype),
            "labels": ", ".join(image.labels),
            "tables": ", ".join(image.tables),
            "problem": _problem(image),
        }
    except NgffBioError as error:
        row["problem"] = error.what
    return row


def _splits(*frames: FrameAttributes) -> str | None:
    return ", ".join(dict.fromkeys(s for f in frames for s in f.get("splits") or ())) or None


def _problem(image: ImageNode) -> str | None:
    """What is listed but missing; reads metadata only."""
    found = []
    missing = sorted(set(range(len(image.pixels))) - set(image.pixels.present()))
    if missing:
        found.append(f"no level {', '.join(map(str, missing))}")
    for name in image.labels:
        try:
            label = image.label(name)
            if len(list(label.present())) < len(label):
                found.append(f"labels/{name}: levels are missing")
        except NgffBioError as error:
            found.append(f"labels/{name}: {error.what}")
    return "; ".join(found) or None


def frame_table(images: Mapping[str, ImageNode], places: Mapping[str, Place]) -> pd.DataFrame:
    """A row per source image: path, plate, well, field, t, name, hours, split, its meaning (train, val
    or test), height, width.
    """
    rows: list[tuple[object, ...]] = []
    for path, place in places.items():
        try:
            image = images[path]
            sizes = image.sizes
        except NgffBioError:
            continue
        known = {f.get("t", 0): f for f in image.frames}
        for t in range(sizes.get("t", 1)):
            frame = known.get(t, FrameAttributes())
            name, hours = frame.get("name"), frame.get("elapsed_hours")
            size = frame.get("size") or (sizes.get("y"), sizes.get("x"))
            own = frame.get("splits") or ()
            meant = ", ".join(dict.fromkeys(filter(None, map(standard_split, own)))) or None
            rows.append((path, *place, t, name, hours, _splits(frame), meant, *size))
    return pd.DataFrame(rows, columns=_FRAME_COLUMNS)


def _has_split(wanted: tuple[object, ...], names: object) -> bool:
    """Whether an image with these splits, separated by a comma, has one of some."""
    return isinstance(names, str) and any(in_split(names.split(", "), str(w)) for w in wanted)


def select_paths(table: pd.DataFrame, wanted: Mapping[str, object]) -> list[str]:
    """Paths of the rows that have these values.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there is no such column.
    """
    keep = pd.Series(True, index=table.index)
    for column, value in wanted.items():
        if column not in table:
            raise ArgumentError(
                f"images have no column {column!r}", expected=closest_names(column, table.columns)
            )
        values = values_of(value)
        if column == "split":
            keep &= table[column].map(partial(_has_split, values))
        else:
            keep &= table[column].isin(values)
    return [str(p) for p in table.loc[keep, "path"]]
