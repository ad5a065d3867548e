"""A store as a collection of images."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ngff_bio.errors import NameNotFoundError, StoreError
from ngff_bio.ngff.schema_version import KEY, warn_if_newer
from ngff_bio.reader.access.image import Image
from ngff_bio.reader.access.nodes import NodeTree
from ngff_bio.reader.access.plates import Plate, Well, find_plates, groups_below
from ngff_bio.storage import Storage, storage_at

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from ngff_bio.reader.xarray.blocks import Chunks


class Dataset(Mapping[str, Image]):
    """The images of a store by their paths; a single image at the root has the path ``""``.

    Making one reads metadata only.
    """

    def __init__(self, nodes: NodeTree) -> None:
        self._nodes = nodes
        meta = nodes.meta("")
        known = meta is not None and (
            meta.multiscales or meta.plate or meta.well or meta.collection or meta.labels
        )
        if not known and not self.plates and not self._listed:
            raise StoreError(
                "the Zarr store holds no OME-Zarr image, plate or collection",
                file=nodes.storage.url,
                hint="name the group of an image inside it",
            )

    @property
    def nodes(self) -> NodeTree:
        """Metadata of the store."""
        return self._nodes

    @property
    def url(self) -> str:
        """Where the store lies."""
        return self._nodes.storage.url

    @property
    def attributes(self) -> dict[str, Any]:
        """What the store says of itself under the key ``ngff_bio``."""
        own = dict((self._nodes.attributes("") or {}).get("ngff_bio") or {})
        return dict(own.get("dataset") or {}) if own.get("kind") == "image" else own

    @property
    def version(self) -> str | None:
        """Version of OME-Zarr, of the root or else of the first image."""
        meta = self._nodes.meta("")
        if meta is None:
            first = next(iter(self.plates), None) or next(iter(self._listed), None)
            meta = self._nodes.meta(first) if first is not None else None
        return meta.version if meta is not None else None

    @cached_property
    def plates(self) -> dict[str, Plate]:
        """Plates by the paths of their groups; a plate at the root has the path ``""``."""
        return find_plates(self._nodes)

    @property
    def plate(self) -> Plate:
        """The only plate: ``ds.plate["C7"]``.

        Raises
        ------
        ngff_bio.errors.NameNotFoundError
            If there is none, or several.
        """
        if len(self.plates) != 1:
            names = ", ".join(map(repr, self.plates))
            raise NameNotFoundError(
                "the store holds no plate" if not names else "the store holds several plates",
                file=self.url,
                expected=f"ds.plates[name], of {names}" if names else None,
            )
        return next(iter(self.plates.values()))

    @cached_property
    def _listed(self) -> tuple[str, ...]:
        """Images that lie on no plate."""
        return tuple(_image_paths(self._nodes))

    @cached_property
    def places(self) -> dict[str, tuple[str | None, str | None, str | None]]:
        """Plate, well and field of every image, by its path."""
        found: dict[str, tuple[str | None, str | None, str | None]] = {}
        for plate in self.plates.values():
            for path, well, field in plate.images():
                found[path] = (plate.path, well, field)
        meta = self._nodes.meta("")
        if meta is not None and meta.well is not None:
            found |= {i: (None, None, i) for i in meta.well.images}
        return found | dict.fromkeys(self._listed, (None, None, None))

    @cached_property
    def images(self) -> pd.DataFrame:
        """A row per image: path, name, plate, well, field, frames, times, split, sizes, problem.

        ``problem`` says why an image cannot be read; it is missing where nothing is wrong.
        """
        from ngff_bio.reader.access.listing import image_table

        return image_table(self)

    @cached_property
    def frames(self) -> pd.DataFrame:
        """A row per source image: path, t, name, hours, split, height, width."""
        from ngff_bio.reader.access.listing import frame_table

        return frame_table(self)

    def select(self, **wanted: Any) -> list[Image]:
        """Images whose row in :attr:`images` has these values: ``ds.select(well="C7")``.

        A list of values means any of them; ``split`` asks whether an image has frames of it, by
        its name or by a pattern (``*train``).

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If the table has no such column.
        """
        from ngff_bio.reader.access.listing import select_paths

        return [self[path] for path in select_paths(self.images, wanted)]

    def annotations(self, table: str | None = None, **wanted: Any) -> Any:
        """Rows of the tables of all images, with the columns ``image`` and ``layer`` first.

        :func:`ngff_bio.reader.tables.tables.read_all_tables` lists the keywords.
        """
        from ngff_bio.reader.tables.tables import read_all_tables

        return read_all_tables(self, table, **wanted)

    def to_datatree(self, *, chunks: Chunks = "auto") -> xr.DataTree:
        """All images as one tree with a node for each level, at the images' own paths."""
        from ngff_bio.reader.xarray.backend import open_tree

        return open_tree(self, chunks)

    def __getitem__(self, path: str) -> Image:
        path = str(path).strip("/")
        if path in self.places or self._is_image(path):
            return Image(self._nodes, path)
        names = list(self.places)
        near = difflib.get_close_matches(path, names, 3) or names[:5]
        raise NameNotFoundError(
            f"no image {path!r} in the store",
            file=self.url,
            expected="one of " + ", ".join(map(repr, near)),
        )

    def _is_image(self, path: str) -> bool:
        """Whether an image lies at a path that nothing lists, such as a label image."""
        try:
            meta = self._nodes.meta(path)
        except StoreError:
            return False
        return meta is not None and bool(meta.multiscales)

    def __contains__(self, path: object) -> bool:
        return path in self.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def html(self, *, thumbnails: bool = False, most: int = 20) -> str:
        """The dataset for a notebook, on request with small pictures."""
        from ngff_bio.reader.xarray.html import dataset_html

        return dataset_html(self, thumbnails=thumbnails, most=most)

    def show(self, *, thumbnails: bool = True, most: int = 12) -> Any:
        """What a notebook shows, with pictures."""
        from ngff_bio.reader.xarray.html import Shown

        return Shown(self.html(thumbnails=thumbnails, most=most))

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
        return "\n".join(lines)


def _image_paths(nodes: NodeTree, path: str = "") -> Iterator[str]:
    """Paths of the images that lie on no plate: the group itself, a collection's series."""
    meta = nodes.meta(path)
    start = f"{path}/" if path else ""
    if meta is None:
        if not path:
            for below in groups_below(nodes):
                yield from _image_paths(nodes, below)
    elif meta.multiscales:
        yield path
    elif meta.collection or meta.series is not None:
        yield from _series(nodes, start)
    elif meta.labels is not None:
        yield from (f"{start}{name}" for name in meta.labels)


def _series(nodes: NodeTree, start: str) -> Iterator[str]:
    """Images of a bioformats2raw collection: as listed in ``OME``, or 0, 1, 2, ... until none."""
    listed = nodes.meta(f"{start}OME")
    if listed is not None and listed.series is not None:
        yield from (f"{start}{name}" for name in listed.series)
        return
    number = 0
    while nodes.document(f"{start}{number}") is not None:
        yield f"{start}{number}"
        number += 1


def open(
    place: str | os.PathLike[str] | Storage,
    storage_options: Mapping[str, Any] | None = None,
    *,
    consolidated: bool = True,
) -> Dataset:
    """Open an OME-Zarr store (0.4, 0.5, 0.6) of any writer; reads metadata only.

    Parameters
    ----------
    place
        Folder, zip or URL of the store, or of a group inside it: an image, a plate, a well, a
        collection, a plain group of plates.
    storage_options
        Of a bucket: keys, region, endpoint, as obstore names them.
    consolidated
        Whether consolidated metadata is taken where there is some; say no for a store that was
        changed by other tools after it was consolidated.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If no Zarr store lies there.
    ngff_bio.errors.IncompleteStoreError
        If it is half-made.
    ngff_bio.errors.StoreError
        If it is no OME-Zarr.
    """
    nodes = NodeTree.open(storage_at(place, storage_options), consolidated=consolidated)
    warn_if_newer((nodes.attributes("") or {}).get(KEY), nodes.storage.url)
    return Dataset(nodes)


__all__ = ["Dataset", "Image", "Plate", "Well", "open"]
