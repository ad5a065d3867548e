"""Tables that are not files: columns as attributes (ngio, ``json``), and AnnData."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ngff_bio.errors import StoreError, import_optional
from ngff_bio.reader.access.nodes import NodeTree
from ngff_bio.zarrio.documents import store_errors
from ngff_bio.zarrio.tables import check_arrays


def backend_of(attributes: dict[str, Any]) -> str:
    """How a table is stored: ``parquet``, ``csv``, ``json``, ``anndata``, or another name.

    ngio names versions of a backend (``json_v1``); spatialdata and older tables of Fractal are AnnData
    without such a name.
    """
    named = attributes.get("backend")
    if named is None:
        return "anndata" if attributes.get("encoding-type") == "anndata" else "parquet"
    return str(named).removeprefix("experimental_").partition("_v")[0]


def json_table(nodes: NodeTree, path: str) -> pa.Table:
    """The columns in the attributes of the group ``table``.

    Raises
    ------
    ngff_bio.errors.StoreError
        If they are missing, or of different lengths.
    """
    file = nodes.url(f"{path}/table")
    columns = nodes.attributes(f"{path}/table")
    if columns is None:
        raise StoreError("a table is listed but missing", file=file)
    with store_errors("a table cannot be read", file=file, expected="columns of one length"):
        return pa.table(columns)


def anndata_table(nodes: NodeTree, path: str) -> pa.Table:
    """The observations of an AnnData: their columns, then those of the matrix ``X``.

    The index is the column that ngio or spatialdata names (``label``, ``instance_id``), or ``index``.

    Raises
    ------
    ngff_bio.errors.DependencyError
        If anndata is not installed.
    ngff_bio.errors.StoreError
        If it is damaged.
    """
    anndata = import_optional("anndata", "ngff-bio[anndata]")
    import zarr

    from ngff_bio.zarrio.zarr_python import StorageStore

    file = nodes.url(path)
    attributes = nodes.attributes(path) or {}
    with store_errors("a table cannot be read", file=file, expected="AnnData"):
        store = StorageStore(nodes.storage, path)
        group = zarr.open_group(store, mode="r", zarr_format=nodes.zarr_format)
        check_arrays(group, file)
        data = anndata.read_zarr(group)
        frame = data.obs.copy()
        if data.X is not None:
            values = data.to_df()
            frame = frame.join(values[[c for c in values.columns if c not in frame.columns]])
        key = attributes.get("index_key") or frame.index.name or "index"
        if key not in frame.columns:
            index = frame.index
            if attributes.get("index_type", "int" if key == "label" else "str") == "int":
                index = index.astype(int)
            frame.insert(0, key, index)
        instance = attributes.get("instance_key")
        if "label" not in frame.columns and instance in frame.columns:
            frame.insert(0, "label", frame[instance])
        return pa.Table.from_pandas(frame, preserve_index=False)
