"""A store as a collection of images."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ngff_bio.errors import NameNotFoundError, StoreError
from ngff_bio.ngff.schema_version import KEY, warn_if_newer
from ngff_bio.reader.image import Image
from ngff_bio.reader.nodes import NodeTree, open_nodes
from ngff_bio.storage import Storage, storage_at


class Dataset(Mapping[str, Image]):
    """The images of a store by their paths; a single image at the root has the path ``""``.

    Making one reads metadata only.
    """

    def __init__(self, nodes: NodeTree) -> None:
        self._nodes = nodes
        self._paths = list(_image_paths(nodes))
        if not self._paths:
            raise StoreError(
                "the Zarr store holds no OME-Zarr image, plate or collection",
                file=nodes.storage.url,
                mend="name the group of an image inside it",
            )

    @property
    def url(self) -> str:
        """Where the store lies."""
        return self._nodes.storage.url

    @property
    def attributes(self) -> dict[str, Any]:
        """What the store says of itself under the key ``ngff_bio``."""
        own = dict((self._nodes.attributes("") or {}).get("ngff_bio") or {})
        return dict(own.get("dataset") or {}) if own.get("kind") == "image" else own

    def __getitem__(self, path: str) -> Image:
        if path not in self._paths:
            near = difflib.get_close_matches(path, self._paths, 3) or self._paths[:5]
            raise NameNotFoundError(
                f"no image {path!r} in the store",
                file=self.url,
                expected="one of " + ", ".join(map(repr, near)),
            )
        return Image(self._nodes, path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __repr__(self) -> str:
        lines = [f"<ngff_bio.Dataset of {len(self)} images in {self.url}>"]
        lines += [f"  {path or '(root)'}: {self[path].summary()}" for path in self._paths[:20]]
        if len(self) > 20:
            lines.append(f"  ... and {len(self) - 20} more")
        return "\n".join(lines)


def _image_paths(nodes: NodeTree, path: str = "") -> Iterator[str]:
    """Paths of all images below a group: itself, a plate's fields, a collection's series."""
    meta = nodes.meta(path)
    start = f"{path}/" if path else ""
    if meta is None:
        yield from _plates_below(nodes, path)
    elif meta.multiscales:
        yield path
    elif meta.plate is not None:
        for row, column in meta.plate.wells:
            well = nodes.meta(f"{start}{row}/{column}")
            if well is not None and well.well is not None:
                yield from (f"{start}{row}/{column}/{i}" for i in well.well.images)
    elif meta.well is not None:
        yield from (f"{start}{i}" for i in meta.well.images)
    elif meta.collection:
        yield from _series(nodes, start)


def _series(nodes: NodeTree, start: str) -> Iterator[str]:
    """Images of a bioformats2raw collection: as listed in ``OME``, or 0, 1, 2, ... until none."""
    listed = nodes.meta(f"{start}OME")
    if listed is not None and listed.series is not None:
        yield from (f"{start}{s}" for s in listed.series)
        return
    number = 0
    while nodes.meta(f"{start}{number}") is not None:
        yield f"{start}{number}"
        number += 1


def _plates_below(nodes: NodeTree, path: str) -> Iterator[str]:
    """Images of the groups that the dataset attributes of a plain root name."""
    own = (nodes.attributes(path) or {}).get("ngff_bio") or {}
    for group in own.get("groups") or ():
        yield from _image_paths(nodes, group)


def open(
    place: str | os.PathLike[str] | Storage,
) -> Dataset:
    """Open an OME-Zarr store; reads metadata only.

    Parameters
    ----------
    place
        Folder of the store, or of a group inside it that is an image, a plate or a collection.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If no Zarr store lies there.
    ngff_bio.errors.IncompleteStoreError
        If it is half-made.
    ngff_bio.errors.StoreError
        If it is no OME-Zarr.
    """
    nodes = open_nodes(storage_at(place))
    warn_if_newer((nodes.attributes("") or {}).get(KEY), nodes.storage.url)
    return Dataset(nodes)
