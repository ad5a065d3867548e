"""``update_annotations``: an edited table of annotations into its store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ngff_bio.editing.changes import arrow_table, reread
from ngff_bio.editing.redrawing import write_edits
from ngff_bio.editing.table_edits import compared
from ngff_bio.engine.write.update import held_store
from ngff_bio.errors import ArgumentError, NameNotFoundError, StoreBusyError, closest_names
from ngff_bio.reader.image import Image

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def update_annotations(
    image: Image,
    table: pd.DataFrame | pa.Table,
    name: str | None = None,
    *,
    remove_missing: bool = False,
    author: str | None = None,
) -> dict[str, dict[str, int]]:
    """Write an edited table of annotations, and draw what it changes.

    ``table = image.annotations("cell")``, edited, is the whole new table. Rows of the stored table
    that it does not have (``image.annotations("cell", t=0)`` has one frame only) are an error, or with
    ``remove_missing=True`` they are removed, also from the label images. Rows with other outlines
    (``polygons``, ``rle_counts``, ``box_x``, ...) are drawn again, new rows are added with the label
    value that they state. Label images (hidden ones too) on these frames, their levels, the table,
    tracks, metadata and manifest become visible at once. The attributes of the label image state who,
    when, with which program; ``verify`` names it as edited later, and exports contain the changes.

    Where an outline is changed and ``box_*`` or ``area`` are not, these become those of its pixels. Of
    labels without outlines (segmentations), rows can be removed and values changed.

    Parameters
    ----------
    image
        An image of an open store.
    table
        With all columns of the stored table. With a column ``layer``, as :meth:`Image.annotations`
        returns it for all tables, the layers that occur in it are updated.
    name
        Name of the layer; optional if the image has only one or the table a column ``layer``.
    remove_missing
        Whether rows that are missing are removed: no row is removed without it.
    author
        Who has edited; the name of the user if ``None``.

    Returns
    -------
    dict
        By layer, how many objects were added, removed and changed.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If rows are missing and `remove_missing` is not set, columns are missing or unknown, a label
        value is wrong or there twice, an outline is missing or outside of the image.
    ngff_bio.errors.NameNotFoundError
        If there is no such layer.
    ngff_bio.errors.StoreBusyError
        If another process is writing into the store, or has changed these annotations meanwhile.
    ngff_bio.errors.StorageError
        If the store cannot be written.
    """
    given = _by_layer(image, arrow_like(table), name)
    known = {layer: image.label_attributes(layer) for layer in given}
    with held_store(image.storage) as held:
        reread(image)  # others may have written since it was opened
        for layer, before in known.items():
            if layer not in image.labels or image.label_attributes(layer) != before:
                raise StoreBusyError(
                    "the annotations were changed after the store was opened",
                    file=f"{image.url}/labels/{layer}",
                    hint="open the store and read the annotations again, then repeat the changes",
                )
        edits = [compared(image, layer, rows, remove_missing) for layer, rows in given.items()]
        edits = [e for e in edits if any(e.counts.values())]
        if edits:
            write_edits(image, edits, held, author)
    reread(image)
    return {layer: {"added": 0, "removed": 0, "changed": 0} for layer in given} | {
        e.layer: e.counts for e in edits
    }


def arrow_like(table: Any) -> Any:
    """A pandas or Arrow table as it is, others as Arrow."""
    return table.to_arrow() if hasattr(table, "to_arrow") else table


def _by_layer(image: Image, table: Any, name: str | None) -> dict[str, Any]:
    """The rows of each layer."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    if not isinstance(table, pd.DataFrame | pa.Table):
        arrow_table(table)
        raise ArgumentError(
            "not a table", expected="a pandas or Arrow table", found=type(table).__name__
        )
    layers = [layer for layer in image.layers if layer in image.tables]
    columns = list(
        map(str, table.columns if isinstance(table, pd.DataFrame) else table.column_names)
    )
    default = layers[0] if name is None and len(layers) == 1 else name  # of rows without a layer
    of_row = None
    if "layer" in columns:
        of_row = pa.array(table["layer"], from_pandas=True)
        of_row = of_row.combine_chunks() if isinstance(of_row, pa.ChunkedArray) else of_row
    missing = len(table) if of_row is None else of_row.null_count
    if default is None and (missing or of_row is None):
        raise ArgumentError(
            "the layer must be named",
            file=image.url,
            expected=", ".join(layers) or "this image has no labels with a table",
            found=f"{missing} rows without a layer",
        )
    if of_row is None:
        found = {str(default): table}
    else:
        of_row = of_row.cast(pa.string()).fill_null(default or "")
        wanted = of_row.unique().to_pylist() if name is None else [name]
        rows = {n: pc.equal(of_row, n).to_numpy(zero_copy_only=False) for n in wanted}
        found = {
            n: table[kept].drop(columns="layer")
            if isinstance(table, pd.DataFrame)
            else table.filter(pa.array(kept)).drop_columns(["layer"])
            for n, kept in rows.items()
        }
    for layer in found:
        if layer not in layers:
            raise NameNotFoundError(
                f"no labels {layer!r} with a table",
                file=image.url,
                expected=closest_names(str(layer), layers) or "this image has none",
            )
        if "layer" in columns and not len(found[layer]):
            raise ArgumentError(
                "the table has no rows of this layer",
                record=layer,
                hint="to remove all of its objects, pass a table without the column layer, with "
                "remove_missing=True",
            )
    return found
