"""``open``: images of a store that can be read and written to."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ngff_bio.reader.dataset import Dataset, open_nodes
from ngff_bio.reader.image import Image
from ngff_bio.storage import Storage

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from ngff_bio.compute import Mapped


class WritableImage(Image):
    """An image with methods that write beside it; all it needs for that is loaded when one is called.

    Killed at any moment, the store is the old or the new one.
    """

    def write_labels(
        self,
        name: str,
        labels: Any,
        *,
        classes: Mapping[int, str] | None = None,
        table: pd.DataFrame | pa.Table | None = None,
        overwrite: bool = False,
        author: str | None = None,
    ) -> None:
        """Write a label image: see :func:`ngff_bio.write_labels`."""
        from ngff_bio.editing import write_labels

        write_labels(
            self, name, labels, classes=classes, table=table, overwrite=overwrite, author=author
        )

    def write_image(
        self, name: str, pixels: Any, *, overwrite: bool = False, author: str | None = None
    ) -> None:
        """Write an image that was made from this one: see :func:`ngff_bio.write_image`."""
        from ngff_bio.editing import write_image

        write_image(self, name, pixels, overwrite=overwrite, author=author)

    def write_table(
        self, name: str, table: pd.DataFrame | pa.Table, *, overwrite: bool = False
    ) -> None:
        """Write a table: see :func:`ngff_bio.write_table`."""
        from ngff_bio.editing import write_table

        write_table(self, name, table, overwrite=overwrite)

    def update_annotations(
        self,
        table: pd.DataFrame | pa.Table,
        name: str | None = None,
        *,
        remove_missing: bool = False,
        author: str | None = None,
    ) -> dict[str, dict[str, int]]:
        """Write an edited table, and draw what it changes: see :func:`ngff_bio.update_annotations`."""
        from ngff_bio.editing import update_annotations

        return update_annotations(self, table, name, remove_missing=remove_missing, author=author)

    def delete(self, path: str) -> None:
        """Remove ``labels/NAME``, ``images/NAME`` or ``tables/NAME``: see :func:`ngff_bio.remove`."""
        from ngff_bio.editing import remove

        remove(self, path)


class WritableDataset(Dataset[WritableImage]):
    """Images of a store with methods that write."""

    def write_labels(self, name: str, function: Callable[[Any], Any], **options: Any) -> Mapped:
        """Write the labels that a function returns for each image.

        As :func:`ngff_bio.map_images` with ``write="labels/NAME"``.

        Parameters
        ----------
        name
            Name of the label images.
        function
            Gets an ``xarray.Dataset`` of an image with its labels, and returns label values.
        options
            Of :func:`ngff_bio.map_images`: ``select``, ``over``, ``classes``, ``cluster``, ...
        """
        from ngff_bio.compute import map_images

        return map_images(self, function, write=f"labels/{name}", **options)


def open(
    place: str | os.PathLike[str] | Storage,
    storage_options: Mapping[str, Any] | None = None,
    *,
    consolidated: bool = True,
) -> WritableDataset:
    """Open an OME-Zarr store (0.4, 0.5, 0.6) of any writer; reads metadata only.

    Parameters
    ----------
    place
        Folder, zip or URL of the store, or of a group inside it: an image, a plate, a well, a
        collection, a plain group of plates.
    storage_options
        Options of a bucket: keys, region, endpoint, as obstore names them.
    consolidated
        Whether to use consolidated metadata if there is any. ``False`` for a store that other tools
        changed after it was consolidated.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If there is no Zarr store.
    ngff_bio.errors.IncompleteStoreError
        If the store is incomplete.
    ngff_bio.errors.StoreError
        If it is not an OME-Zarr store.
    """
    return WritableDataset(
        open_nodes(place, storage_options, consolidated=consolidated), WritableImage
    )
