"""Images and frames of a dataset as tables, to filter and to iterate over."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from ngff_bio.errors import ArgumentError, NgffBioError
from ngff_bio.reader.access.image import Image
from ngff_bio.reader.access.splits import in_split

if TYPE_CHECKING:
    from ngff_bio.reader.access.dataset import Dataset


def image_table(dataset: Dataset) -> pd.DataFrame:
    """A row per image; ``problem`` says what of it cannot be read.

    Columns: path, name, plate, well, field, frames (number), time_start and time_stop (hours),
    split (names, separated by a comma), axes, the size along each axis, dtype, levels, labels,
    tables, problem.
    """
    dataset._nodes.prefetch(dataset.places)
    rows = [_image_row(dataset, path) for path in dataset]
    axes = [a for a in "tczyx" if any(a in row for row in rows)]
    columns = ["path", "name", "plate", "well", "field", "frames", "time_start", "time_stop"]
    columns += ["split", "axes", *axes, "dtype", "levels", "labels", "tables", "problem"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype(dict.fromkeys((*axes, "frames", "levels"), "Int64"))


def _image_row(dataset: Dataset, path: str) -> dict[str, Any]:
    plate, well, field = dataset.places[path]
    row: dict[str, Any] = {"path": path, "plate": plate, "well": well, "field": field}
    try:
        image = dataset[path]
        row["name"] = image.attributes.get("name") or image.multiscale.name
        row |= {"axes": image.axes, "levels": len(image.pixels)}
        row |= _times(image)
        row |= image.sizes
        row["dtype"] = str(image.dtype)
        row["labels"] = ", ".join(image.labels)
        row["tables"] = ", ".join(image.tables)
        row["problem"] = _problem(image)
    except NgffBioError as error:
        row["problem"] = str(error.what)
    return row


def _times(image: Image) -> dict[str, Any]:
    frames = image.frames
    splits = dict.fromkeys(s for f in frames for s in f.get("splits") or ())
    hours = [f["elapsed_hours"] for f in frames if f.get("elapsed_hours") is not None]
    return {
        "frames": len(frames) or image.sizes.get("t", 1),
        "split": ", ".join(splits) or None,
        "time_start": min(hours, default=None),
        "time_stop": max(hours, default=None),
    }


def _problem(image: Image) -> str | None:
    """What is listed and not there, from metadata alone."""
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


def frame_table(dataset: Dataset) -> pd.DataFrame:
    """A row per source image: path, plate, well, field, t, name, hours, split, height, width."""
    rows = []
    for path in dataset:
        plate, well, field = dataset.places[path]
        try:
            image = dataset[path]
            sizes = image.sizes
        except NgffBioError:
            continue
        known = {f.get("t", 0): f for f in image.frames}
        for t in range(sizes.get("t", 1)):
            frame = known.get(t, {})
            height, width = frame.get("size") or (sizes.get("y"), sizes.get("x"))
            rows.append(
                {
                    "path": path,
                    "plate": plate,
                    "well": well,
                    "field": field,
                    "t": t,
                    "name": frame.get("name"),
                    "hours": frame.get("elapsed_hours"),
                    "split": ", ".join(frame.get("splits") or ()) or None,
                    "height": height,
                    "width": width,
                }
            )
    columns = ["path", "plate", "well", "field", "t", "name", "hours", "split", "height", "width"]
    return pd.DataFrame(rows, columns=columns)


def _names_any(wanted: set[str], text: Any) -> bool:
    return isinstance(text, str) and any(in_split(text.split(", "), w) for w in wanted)


def select_paths(table: pd.DataFrame, wanted: Mapping[str, Any]) -> list[str]:
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
                f"images have no column {column!r}", expected=", ".join(map(str, table.columns))
            )
        values = list(value) if isinstance(value, list | tuple | set) else [value]
        if column == "split":
            keep &= table[column].map(partial(_names_any, set(values)))
        else:
            keep &= table[column].isin(values)
    return [str(p) for p in table.loc[keep, "path"]]
