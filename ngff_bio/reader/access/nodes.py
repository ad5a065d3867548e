"""The metadata of a store as the reader sees it: documents, and what OME-Zarr says in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ngff_bio.errors import StorageError, StoreError
from ngff_bio.ngff import GroupMeta, PlateMeta, decode
from ngff_bio.ngff.older import as_04
from ngff_bio.ngff.stored_attributes import own_attributes
from ngff_bio.parallel import shared_pool
from ngff_bio.reader.access.arrays import StoredArray
from ngff_bio.storage import join_key
from ngff_bio.zarrio.documents import store_errors
from ngff_bio.zarrio.hierarchy import Hierarchy, paths_below
from ngff_bio.zarrio.journal import NewView


@dataclass
class NodeTree(Hierarchy):
    """Metadata of a store, with the OME-Zarr metadata of its groups and its open arrays."""

    arrays: dict[str, StoredArray] = field(default_factory=dict, repr=False)
    _metas: dict[str, GroupMeta | None] = field(default_factory=dict, repr=False)
    _own: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "arrays": {}, "_metas": {}, "_own": {}}

    def refresh(self) -> None:
        """Read the metadata again, after the store was changed."""
        while isinstance(self.storage, NewView):  # was opened while it was being changed
            self.storage = self.storage.storage
        fresh = type(self).open(self.storage, consolidated=self.consolidated)
        self.known, self.pending, self._sorted = fresh.known, fresh.pending, []
        self.arrays.clear()
        self._metas.clear()
        self._own.clear()

    def meta(self, path: str) -> GroupMeta | None:
        """The OME-Zarr metadata of a group; ``None`` if it has none."""
        if path not in self._metas:
            attributes = self.attributes(path)
            try:
                self._metas[path] = None if attributes is None else self._decoded(path, attributes)
            except StoreError as error:
                raise type(error)(**{"file": self.url(path), **error.parts()}) from error
        return self._metas[path]

    def _decoded(self, path: str, attributes: dict[str, Any]) -> GroupMeta | None:
        """Neutral metadata; levels of OME-Zarr 0.1 to 0.3 have the scales that their shapes give."""
        with store_errors("the OME-Zarr metadata of a group cannot be understood"):
            raised = as_04(attributes, lambda name: self.array(join_key(path, name)).shape)
        return decode(raised)

    def names(self, path: str, key: str) -> tuple[str, ...]:
        """Names that an attribute of a group lists: ``tables``, ``derived``; empty if it is missing.

        Raises
        ------
        ngff_bio.errors.StoreError
            If they are not texts.
        """
        found = (self.attributes(path) or {}).get(key) or []
        if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
            raise StoreError(
                f"the list of {key} is not a list of names",
                file=self.url(path),
                found=str(found)[:80],
            )
        return tuple(found)

    def own(self, path: str) -> dict[str, Any]:
        """The attributes of a node under the key ``ngff_bio``; empty if it has none.

        Raises
        ------
        ngff_bio.errors.StoreError
            If they do not have the types of their schema.
        """
        if path not in self._own:
            self._own[path] = own_attributes(self.attributes(path), self.url(path))
        return dict(self._own[path])

    def array(self, path: str) -> StoredArray:
        """An array by its path; the same object each time.

        Raises
        ------
        ngff_bio.errors.StoreError
            If there is no array at this path.
        """
        if path not in self.arrays:
            document = self.document(path)
            if document is None:
                raise StoreError("a level that the metadata lists is missing", file=self.url(path))
            self.arrays[path] = StoredArray(self.storage, path, document, self.zarr_format)
        return self.arrays[path]

    def prefetch(self, paths: Iterable[str]) -> None:
        """Fetch documents that are not known yet, side by side where the place has latency."""
        missing = [p for p in paths if p not in self.known and p not in self.pending]
        if missing and not self.consolidated:
            shared_pool(remote=True).map(self._try, missing)

    def _try(self, path: str) -> None:
        with suppress(StoreError):  # raised again when the document is used
            self.document(path)


def find_plates(nodes: NodeTree) -> dict[str, PlateMeta]:
    """Plates by the paths of their groups: the root itself, or those below a plain root."""
    found: dict[str, PlateMeta] = {}
    for path in ("",) if nodes.meta("") is not None else groups_below(nodes):
        try:
            meta = nodes.meta(path)
        except StoreError:
            continue
        if meta is not None and meta.plate is not None:
            found[path] = meta.plate
    return found


def groups_below(nodes: NodeTree) -> list[str]:
    """Plates, collections and images below a plain root.

    They are listed in the attribute ``ngff_bio``, found in consolidated metadata, or else are the
    groups directly below the root; in a store of spatialdata, those below ``images``.
    """
    root = nodes.attributes("") or {}
    if "spatialdata_attrs" in root:
        return [f"images/{name}" for name in children(nodes, "images")]
    if found := list(nodes.own("").get("groups") or ()):
        nodes.prefetch(found)
        return found
    if nodes.consolidated:
        return _known_below(nodes)
    try:
        found = list(nodes.storage.folders())
    except StorageError:  # a web server cannot list
        return []
    nodes.prefetch(found)
    return found


def children(nodes: NodeTree, path: str) -> list[str]:
    """Names of the nodes right below a group, as far as they are known without reading the store."""
    start = f"{path}/"
    if nodes.consolidated:
        below = (p[len(start) :] for p in paths_below(nodes.paths(), path))
        return sorted({p for p in below if "/" not in p})
    try:
        return list(nodes.storage.folders(path))
    except StorageError:  # a web server cannot list
        return []


def _known_below(nodes: NodeTree) -> list[str]:
    """Outermost plates and collections, and the images outside of them."""
    found: list[str] = []
    for word in ("plate", "bioformats2raw.layout", "multiscales"):
        for path in nodes.paths_with(word):
            inside = any(path.startswith(f"{p}/") for p in found)
            beside = {"labels", "derived"} & set(path.split("/"))
            if path and not inside and not beside:
                found.append(path)
    return sorted(found)


def image_paths(nodes: NodeTree, path: str = "") -> Iterator[str]:
    """Paths of the images outside of plates: the group itself, the series of a collection."""
    meta = nodes.meta(path)
    start = f"{path}/" if path else ""
    if meta is None:
        if not path:
            for below in groups_below(nodes):
                yield from image_paths(nodes, below)
    elif meta.multiscales:
        yield path
    elif meta.collection or meta.series is not None:
        yield from _series(nodes, start)
    elif meta.labels is not None:
        yield from (f"{start}{name}" for name in meta.labels)


def _series(nodes: NodeTree, start: str) -> Iterator[str]:
    """Images of a bioformats2raw collection: as listed in ``OME``, or else 0, 1, 2, ..."""
    listed = nodes.meta(f"{start}OME")
    if listed is not None and listed.series is not None:
        yield from (f"{start}{name}" for name in listed.series)
        return
    number = 0
    while nodes.document(f"{start}{number}") is not None:
        yield f"{start}{number}"
        number += 1
