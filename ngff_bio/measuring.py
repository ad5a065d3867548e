"""``measure``: instances of a whole dataset as rows of a table, which may go into the store."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ngff_bio.engine.write.tables import FILE, GROUP_ATTRIBUTES, to_parquet
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
        ``world``: area and centroid in the axes' units; boxes are pixels always.
    write
        Name of a table: the rows of each image and layer also go into the store, to
        ``tables/<layer>-<write>``.

    Returns
    -------
    pandas.DataFrame
        Columns image, layer, label, label_image, category (where known), t, pixels, area,
        ``centroid_<axis>``, ``<axis>_start``, ``<axis>_stop``, ``intensity_<statistic>``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If ``write`` is no name, or ``units`` are others.
    ngff_bio.errors.NameNotFoundError
        If there are no such labels.
    ngff_bio.errors.StorageError
        If the table cannot be written.
    """
    if write is not None and (not write or "/" in write):
        raise ArgumentError("a table's name is one word", found=write)
    opened = dataset if isinstance(dataset, Dataset) else open(dataset, storage_options)
    found = measure_images(
        opened, labels, images=images, level=level, intensity=intensity, units=units
    )
    if write is not None and len(found):
        _write(opened, found, write)
    return found


def _write(dataset: Dataset, found: pd.DataFrame, name: str) -> None:
    import pyarrow as pa

    nodes = dataset._nodes
    tables: dict[str, dict[str, Any]] = {}
    for (path, layer), rows in found.groupby(["image", "layer"], sort=True):
        start = f"{path}/tables".lstrip("/")
        key = f"{start}/{layer}-{name}"
        rows = rows.drop(columns=["image", "layer"]).reset_index(drop=True)
        nodes.storage.put(f"{key}/{FILE}", to_parquet(pa.Table.from_pandas(rows)))
        tables[key] = _table_attributes(rows, str(layer))
        listed = dict(nodes.attributes(start) or {})
        before = tables.get(start, listed).get("tables", [])
        tables[start] = {**listed, "tables": list(dict.fromkeys([*before, f"{layer}-{name}"]))}
    _write_groups(dataset, tables)


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


def _write_groups(dataset: Dataset, groups: Mapping[str, Mapping[str, Any]]) -> None:
    """Groups with these attributes, lists of tables after the tables, the root's copy last."""
    nodes = dataset._nodes
    storage, v3 = nodes.storage, nodes.zarr_format == 3
    flat: dict[str, Any] = {}
    for path in sorted(groups, key=lambda p: -p.count("/")):
        if v3:
            document = {"zarr_format": 3, "node_type": "group", "attributes": groups[path]}
            storage.put(f"{path}/zarr.json", _json(document))
            flat[path] = document
        else:
            storage.put(f"{path}/.zattrs", _json(groups[path]))
            storage.put(f"{path}/.zgroup", _json({"zarr_format": 2}))
            flat[f"{path}/.zattrs"] = groups[path]
            flat[f"{path}/.zgroup"] = {"zarr_format": 2}
        nodes.add_group(path, groups[path])
    key = "zarr.json" if v3 else ".zmetadata"
    data = storage.get(key) if nodes.consolidated else None
    if data is None:
        return
    root = json.loads(data)
    below = root["consolidated_metadata"]["metadata"] if v3 else root["metadata"]
    below |= flat
    storage.put(key, _json(root))


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode()
