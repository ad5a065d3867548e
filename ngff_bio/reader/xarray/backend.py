"""The xarray engine ``ngff-bio``: ``xr.open_datatree(url, engine="ngff-bio")``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr
from xarray.backends import BackendEntrypoint

from ngff_bio.errors import ArgumentError
from ngff_bio.reader.dataset import Dataset
from ngff_bio.reader.dataset import open as open_store
from ngff_bio.reader.image import Image
from ngff_bio.reader.xarray.views import dataset_groups, level_dataset

_ROOTS = ("zarr.json", ".zgroup", ".zattrs")
_WORDS = (b'"ome"', b'"multiscales"', b'"plate"', b'"bioformats2raw.layout"', b'"well"')
_ENDINGS = (".ome.zarr", ".ozx")


class NgffBioBackend(BackendEntrypoint):
    """Opens OME-Zarr: one node per level, image and labels as variables on one grid."""

    description = "OME-Zarr images, labels, plates and collections, with physical coordinates"
    supports_groups = True
    open_dataset_parameters = (
        "filename_or_obj",
        "drop_variables",
        "group",
        "level",
        "storage_options",
    )

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        level: int = 0,
        storage_options: Mapping[str, Any] | None = None,
    ) -> xr.Dataset:
        """One level of one image, lazily; with ``chunks=`` of xarray as dask arrays.

        Parameters
        ----------
        group
            Path of the image in the store; may end in a level (``"B/7/0/1"``). Optional if the
            store contains one image only.
        level
            Number of the level.
        storage_options
            Options of a bucket, as for :func:`ngff_bio.open`.

        Raises
        ------
        ngff_bio.errors.NgffBioError
            If there is no such image or level.
        """
        dataset = open_store(filename_or_obj, storage_options)
        image, level = _image_of(dataset, group, level)
        return _without(level_dataset(image, level, chunks=None), drop_variables)

    def open_datatree(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> xr.DataTree:
        """All images of a store (or those below ``group``), with a node for each level."""
        groups = self.open_groups_as_dict(
            filename_or_obj,
            drop_variables=drop_variables,
            group=group,
            storage_options=storage_options,
        )
        return xr.DataTree.from_dict(groups)

    def open_groups_as_dict(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> dict[str, xr.Dataset]:
        """The datasets of all levels of all images by their paths."""
        dataset = open_store(filename_or_obj, storage_options)
        found = dataset_groups(dataset, dataset.attributes, None, (group or "").strip("/"))
        return {path: _without(one, drop_variables) for path, one in found.items()}

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether a path is a folder with OME-Zarr metadata, or has a usual extension."""
        if not isinstance(filename_or_obj, str | os.PathLike):
            return False
        text = os.fspath(filename_or_obj)
        if text.rstrip("/").lower().endswith(_ENDINGS):
            return True
        folder = Path(text)
        if "://" in text or not folder.is_dir():
            return False
        return any(_mentions(folder / name) for name in _ROOTS)


def _mentions(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            start = opened.read(1 << 16)
    except OSError:
        return False
    return any(word in start for word in _WORDS)


def _image_of(dataset: Dataset, group: str | None, level: int) -> tuple[Image, int]:
    if group is None:
        paths = list(dataset)
        if len(paths) != 1:
            raise ArgumentError(
                f"the store contains {len(paths)} images",
                file=dataset.url,
                expected="group=, such as " + ", ".join(map(repr, paths[:3])),
            )
        return dataset[paths[0]], level
    path = group.strip("/")
    if path in dataset:
        return dataset[path], level
    above, _, last = path.rpartition("/")
    if above in dataset:
        image = dataset[above]
        names = [found.path for found in image.multiscale.levels]
        if last in names:
            return image, names.index(last)
    return dataset[path], level


def _without(dataset: xr.Dataset, names: str | Iterable[str] | None) -> xr.Dataset:
    if names is None:
        return dataset
    dropped = [names] if isinstance(names, str) else list(names)
    return dataset.drop_vars(dropped, errors="ignore")
