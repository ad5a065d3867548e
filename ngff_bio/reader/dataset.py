"""A store as a collection of images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from ngff_bio.deprecation import renamed_keywords
from ngff_bio.errors import NameNotFoundError, NgffBioError, StoreError, closest_names
from ngff_bio.ngff.schema_version import KEY, warn_if_newer
from ngff_bio.printing import printable
from ngff_bio.reader.access.image import Attributes, warn_skipped
from ngff_bio.reader.access.nodes import NodeTree, find_plates, image_paths
from ngff_bio.reader.image import Image, ImageT
from ngff_bio.reader.plates import Plate
from ngff_bio.storage import Storage, storage_at

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from ngff_bio.reader.html import Html
    from ngff_bio.reader.tables.frames import Library
    from ngff_bio.reader.tables.rows import RowSelection
    from ngff_bio.reader.xarray.blocks import Chunks


class Dataset(Mapping[str, ImageT]):
    """Images of a store by path; a single image at the root has the path ``""``.

    Reads metadata only.
    """

    def __init__(self, nodes: NodeTree, image_type: type[ImageT]) -> None:
        self.nodes = nodes
        self._type = image_type
        meta = nodes.meta("")
        known = meta is not None and (
            meta.multiscales or meta.plate or meta.well or meta.collection or meta.labels
        )
        if not known and not self.plates and not self._listed:
            raise StoreError(
                "the Zarr store contains no OME-Zarr image, plate or collection",
                file=nodes.storage.url,
                hint="give the path of the group of an image inside it",
            )

    @property
    def url(self) -> str:
        """URL of the store."""
        return self.nodes.storage.url

    @property
    def attributes(self) -> Attributes:
        """Attributes of the store under the key ``ngff_bio``."""
        own = dict(self.nodes.own(""))
        return dict(own.get("dataset") or {}) if own.get("kind") == "image" else own

    @property
    def version(self) -> str | None:
        """Version of OME-Zarr, of the root or else of the first image."""
        meta = self.nodes.meta("")
        if meta is None:
            first = next(iter((*self.plates, *self._listed)), None)
            meta = self.nodes.meta(first) if first is not None else None
        return meta.version if meta is not None else None

    @cached_property
    def plates(self) -> dict[str, Plate[ImageT]]:
        """Plates by path; a plate at the root has the path ``""``."""
        return {
            path: Plate(self.nodes, path, meta, self._type)
            for path, meta in find_plates(self.nodes).items()
        }

    @property
    def plate(self) -> Plate[ImageT]:
        """The only plate: ``ds.plate["C7"]``.

        Raises
        ------
        ngff_bio.errors.NameNotFoundError
            If there is none, or several.
        """
        if len(self.plates) != 1:
            names = ", ".join(map(repr, self.plates))
            raise NameNotFoundError(
                "the store contains several plates" if names else "the store contains no plate",
                file=self.url,
                expected=f"ds.plates[name], of {names}" if names else None,
            )
        return next(iter(self.plates.values()))

    @cached_property
    def _listed(self) -> tuple[str, ...]:
        """Images outside of plates."""
        return tuple(image_paths(self.nodes))

    @cached_property
    def places(self) -> dict[str, tuple[str | None, str | None, str | None]]:
        """Plate, well and field of every image, by its path."""
        found: dict[str, tuple[str | None, str | None, str | None]] = {}
        for plate in self.plates.values():
            for path, well, field in plate.images():
                found[path] = (plate.path, well, field)
        meta = self.nodes.meta("")
        if meta is not None and meta.well is not None:
            found |= {i: (None, None, i) for i in meta.well.images}
        return found | dict.fromkeys(self._listed, (None, None, None))

    @property
    def first_path(self) -> str:
        """Path of the first image.

        Raises
        ------
        ngff_bio.errors.StoreError
            If there is none.
        """
        for path in self.places:
            return path
        raise StoreError(
            "the store has no images", file=self.url, hint="run `ngff-bio validate` on it"
        )

    @cached_property
    def images(self) -> pd.DataFrame:
        """A row per image: path, name, plate, well, field, frames, times, split, sizes, problem.

        Columns of the table of wells follow, where a plate has one: compound, dose, ...

        ``problem`` gives the reason why an image cannot be read; it is missing for the others.
        """
        from ngff_bio.reader.tables.listing import image_table

        self.nodes.prefetch(self.places)
        wells = {}
        for path, plate in self.plates.items():
            if "wells" in plate.tables:
                try:
                    wells[path] = plate.table("wells")
                except NgffBioError as error:
                    warn_skipped(f"the table of wells of plate {plate.name!r}", error.what)
        return image_table(self, self.places, wells)

    @cached_property
    def frames(self) -> pd.DataFrame:
        """A row per source image: path, t, name, hours, split, height, width.

        ``split`` is as in the source; ``standard_split`` what it means: train, val or test.
        """
        from ngff_bio.reader.tables.listing import frame_table

        return frame_table(self, self.places)

    def select(self, **values: object) -> list[ImageT]:
        """Images whose row in :attr:`images` has these values: ``ds.select(well="C7")``.

        A list of values means any of them; ``split`` selects images with frames of a split, by
        its name, by a pattern (``*train``), or as train, val or test whatever its name.

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If the table has no such column.
        """
        from ngff_bio.reader.tables.listing import select_paths

        return [self[path] for path in select_paths(self.images, values)]

    def annotations(
        self,
        table: str | None = None,
        *,
        images: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        to: Library = "pandas",
        **rows: Unpack[RowSelection],
    ) -> Any:
        """Annotations of all images, with the columns ``image`` and ``layer`` first.

        Parameters
        ----------
        table
            Name of a table; all tables if ``None``.
        images
            Paths of images, such as ``ds.images.query("well == 'C7'").path``; all if ``None``.
        columns, to
            As for :meth:`Image.annotations`. With ``to="dask"`` each table is a partition.
        t, category, label, x, y, z, units, where
            Filters of rows, as for :meth:`Image.annotations`.

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If there is no such filter or library.
        ngff_bio.errors.NameNotFoundError
            If no image has such a table, column or category.
        """
        from ngff_bio.reader.tables.tables import read_tables, readable_images

        chosen = readable_images(self, self if images is None else images)
        return read_tables(chosen, table, self.url, ("image", "layer"), columns, to, rows)

    def to_dask_dataframe(self, table: str | None = None, **rows: Unpack[RowSelection]) -> Any:
        """Annotations of all images as a ``dask.dataframe``, a partition for each table.

        As :meth:`annotations` with ``to="dask"``.
        """
        return self.annotations(table, to="dask", **rows)

    def to_datatree(self, *, chunks: Chunks = "auto") -> xr.DataTree:
        """All images as one tree with a node for each level, at the paths of the images."""
        import xarray as xr

        from ngff_bio.reader.xarray.views import dataset_groups

        return xr.DataTree.from_dict(dataset_groups(self, self.attributes, chunks))

    def __getitem__(self, path: str) -> ImageT:
        path = str(path).strip("/")
        if path in self.places or self._is_image(path):
            return self._type(self.nodes, path)
        raise NameNotFoundError(
            f"no image {path!r} in the store",
            file=self.url,
            expected=f"one of {closest_names(path, self.places)}",
        )

    def _is_image(self, path: str) -> bool:
        """Whether there is an image at a path that is not listed, such as a label image."""
        try:
            meta = self.nodes.meta(path)
        except StoreError:
            return False
        return meta is not None and bool(meta.multiscales)

    def __contains__(self, path: object) -> bool:
        return path in self.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    @renamed_keywords(most="limit")
    def html(self, *, thumbnails: bool = False, limit: int = 20) -> str:
        """HTML representation of at most ``limit`` images, optionally with thumbnails."""
        from ngff_bio.reader.html import dataset_html

        return dataset_html(self, self.url, thumbnails=thumbnails, limit=limit)

    @renamed_keywords(most="limit")
    def show(self, *, thumbnails: bool = True, limit: int = 12) -> Html:
        """Display the dataset with thumbnails in a notebook."""
        from ngff_bio.reader.html import Html

        return Html(self.html(thumbnails=thumbnails, limit=limit))

    def _repr_html_(self) -> str:
        return self.html()

    def __repr__(self) -> str:
        lines = [f"<ngff_bio.Dataset of {len(self)} images in {self.url}>"]
        for path in list(self)[:20]:
            try:
                what = self[path].summary()
            except StoreError as error:
                what = f"cannot be read: {error.what}"
            lines.append(f"  {path or '(root)'}: {what}")
        if len(self) > 20:
            lines.append(f"  ... and {len(self) - 20} more")
        return "\n".join(map(printable, lines))


def open(
    place: str | os.PathLike[str] | Storage,
    storage_options: Mapping[str, Any] | None = None,
    *,
    consolidated: bool = True,
) -> Dataset:
    """As :func:`ngff_bio.open`, for reading only."""
    return Dataset(open_nodes(place, storage_options, consolidated=consolidated), Image)


def open_nodes(
    place: str | os.PathLike[str] | Storage,
    storage_options: Mapping[str, Any] | None,
    *,
    consolidated: bool,
) -> NodeTree:
    """Metadata of a store; see :func:`open`."""
    nodes = NodeTree.open(storage_at(place, storage_options), consolidated=consolidated)
    warn_if_newer((nodes.attributes("") or {}).get(KEY), nodes.storage.url)
    return nodes
