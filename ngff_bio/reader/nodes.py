"""The metadata of a store: one request where it is consolidated, one a group where it is not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from ngff_bio.errors import IncompleteStoreError, StoreError, StoreNotFoundError
from ngff_bio.ngff import GroupMeta, decode
from ngff_bio.storage import Storage

#: Where a conversion keeps its state while it runs.
_STATE = ".ngff_bio/plan.json"


@dataclass
class NodeTree:
    """Metadata documents of a store, by path; fetched when asked for, and kept."""

    storage: Storage
    zarr_format: Literal[2, 3]
    known: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    consolidated: bool = False

    def attributes(self, path: str) -> dict[str, Any] | None:
        """Attributes of a group or array; ``None`` if there is none at that path."""
        document = self.document(path)
        return None if document is None else document.get("attributes") or {}

    def document(self, path: str) -> dict[str, Any] | None:
        """Metadata document of a node in the form of Zarr v3; ``None`` if there is none."""
        if path not in self.known and not self.consolidated:
            self.known[path] = _fetch(self.storage, path, self.zarr_format)
        return self.known.get(path)

    def meta(self, path: str) -> GroupMeta | None:
        """What OME-Zarr says of a group; ``None`` if it says nothing."""
        attributes = self.attributes(path)
        return None if attributes is None else decode(attributes)


def _load(storage: Storage, key: str) -> dict[str, Any] | None:
    data = storage.get(key)
    if data is None:
        return None
    try:
        content = json.loads(data)
    except ValueError as error:
        raise StoreError(
            "metadata is not JSON", file=f"{storage.url}/{key}", found=error
        ) from error
    if not isinstance(content, dict):
        raise StoreError("metadata is no JSON object", file=f"{storage.url}/{key}")
    return content


def _fetch(storage: Storage, path: str, zarr_format: int) -> dict[str, Any] | None:
    start = f"{path}/" if path else ""
    if zarr_format == 3:
        return _load(storage, f"{start}zarr.json")
    group, array = _load(storage, f"{start}.zgroup"), None
    if group is None and (array := _load(storage, f"{start}.zarray")) is None:
        return None
    attributes = _load(storage, f"{start}.zattrs") or {}
    kind = "group" if group is not None else "array"
    return {**(array or {}), "node_type": kind, "attributes": attributes}


def open_nodes(storage: Storage) -> NodeTree:
    """Metadata of the store at a place.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If no Zarr group lies there.
    ngff_bio.errors.IncompleteStoreError
        If a conversion into it has not ended.
    """
    root = _load(storage, "zarr.json")
    if root is not None:
        tree = NodeTree(storage, 3)
        content = root.pop("consolidated_metadata", None)
        tree.known[""] = root
        if isinstance(content, dict):
            tree.known |= content.get("metadata", {})
            tree.consolidated = True
        return tree
    document = _fetch(storage, "", 2)
    if document is not None:
        tree = NodeTree(storage, 2, {"": document})
        flat = _load(storage, ".zmetadata")
        if flat is not None:
            tree.known |= _from_v2(flat.get("metadata", {}))
            tree.consolidated = True
        return tree
    if storage.size(_STATE) is not None:
        raise IncompleteStoreError(
            "the store is half-made",
            file=storage.url,
            mend="run the same convert command again: it goes on where it stopped",
        )
    raise StoreNotFoundError(
        "there is no Zarr store here",
        file=storage.url,
        expected="a zarr.json or a .zgroup",
        mend="name the folder or URL that holds it",
    )


def _from_v2(flat: dict[str, Any]) -> dict[str, dict[str, Any] | None]:
    nodes: dict[str, dict[str, Any] | None] = {}
    for key, content in flat.items():
        path, _, name = key.rpartition("/")
        node = nodes.setdefault(path, {"attributes": {}})
        if node is None:
            continue
        if name == ".zattrs":
            node["attributes"] = content
        else:
            kind = "group" if name == ".zgroup" else "array"
            node.update(content, node_type=kind)
    return nodes
