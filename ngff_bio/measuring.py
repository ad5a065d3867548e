"""``measure``: instances of a whole dataset as rows of a table, which can be written to the store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ngff_bio.engine.write.tables import FILE, GROUP_ATTRIBUTES, to_parquet
from ngff_bio.engine.write.update import changed_store
from ngff_bio.errors import ArgumentError
from ngff_bio.reader import Dataset, open
from ngff_bio.reader.analysis.measures import measure_images
from ngff_bio.storage import Storage

if TYPE_CHECKING:
    import pandas as pd


def measure(
    dataset: Dataset | str | os.PathLike[str] | Storage,
    labels: str | Sequence[str] | None = None,
    *,
    images: Iterable[str] | None = None,
    level: int = 0,
    intensity: bool = True,
    units: Literal["pixel", "world"] = "pixel",
    write: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Measure every instance of a dataset, out of core, with dask.

    Area, centroid and box as scikit-image's ``regionprops`` has them, mean, minimum, maximum and
    standard deviation of the intensity, and the class, a row for each instance and frame. An
    instance that others cover is measured whole. dask's current scheduler does the work: threads of
    this process, or a cluster's workers, which open the store themselves.

    Parameters
    ----------
    dataset
        An open dataset, or a place to open.
    labels
        Names of label layers; all that hold instances if ``None``.
    images
        Paths of images; all if ``None``.
    level
        Resolution level that is measured.
    intensity
        Whether the image is read too. With several channels each has its own columns, ending in
        the channel's name.
    units
        ``world``: area and centroid in the axes' units; boxes are always in pixels.
    write
        Name of a table: the rows of each image and layer are also written to the store, to
        ``tables/<layer>-<write>``.

    Returns
    -------
    pandas.DataFrame
        Columns image, layer, label, label_image, category (where known), t, pixels, area,
        ``centroid_<axis>``, ``<axis>_start``, ``<axis>_stop``, ``intensity_<statistic>``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If ``write`` is not a name, or ``units`` is unknown.
    ngff_bio.errors.NameNotFoundError
        If there are no such labels.
    ngff_bio.errors.StorageError
        If the table cannot be written.
    """
    if write is not None and (not write or "/" in write):
        raise ArgumentError("not a name of a table", expected="a name without /", found=write)
    opened = dataset if isinstance(dataset, Dataset) else open(dataset, storage_options)
    chosen = {path: opened[path] for path in (opened if images is None else images)}
    found = measure_images(
        chosen, opened.url, labels, level=level, intensity=intensity, units=units
    )
    if write is not None and len(found):
        _write(opened, found, write)
    return found


def _write(dataset: Dataset, found: pd.DataFrame, name: str) -> None:
    import pyarrow as pa

    nodes = dataset.nodes
    files: dict[str, bytes] = {}
    groups: dict[str, dict[str, Any]] = {}
    for (path, layer), rows in found.groupby(["image", "layer"], sort=True):
        start = f"{path}/tables".lstrip("/")
        key = f"{start}/{layer}-{name}"
        rows = rows.drop(columns=["image", "layer"]).reset_index(drop=True)
        files[f"{key}/{FILE}"] = to_parquet(pa.Table.from_pandas(rows))
        groups[key] = _table_attributes(rows, str(layer))
        listed = groups.get(start) or dict(nodes.attributes(start) or {})
        names = dict.fromkeys([*listed.get("tables", ()), f"{layer}-{name}"])
        groups[start] = {**listed, "tables": list(names)}
    with changed_store(nodes.storage, [key.rpartition("/")[0] for key in files]) as change:
        for key, data in files.items():
            change.put(key, data)
        for path, attributes in groups.items():
            change.set_group(path, attributes)
    nodes.refresh()


def _table_attributes(rows: pd.DataFrame, layer: str) -> dict[str, Any]:
    """ngio's feature table where a label has one row, a generic table where it has several."""
    if rows["label"].is_unique:
        return {
            **GROUP_ATTRIBUTES,
            "type": "feature_table",
            "region": {"path": f"../labels/{layer}"},
            "instance_key": "label",
            "index_key": "label",
            "index_type": "int",
        }
    return dict(GROUP_ATTRIBUTES)
