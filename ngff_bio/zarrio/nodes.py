"""Writing the metadata documents of a store, in the order in which they may be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from ngff_bio.errors import StoreError
from ngff_bio.storage import Storage
from ngff_bio.zarrio.documents import DOCUMENT_NAMES, Document, node_key, to_json
from ngff_bio.zarrio.hierarchy import Hierarchy


@dataclass(slots=True)
class Nodes:
    """Groups (their attributes) and arrays (their documents) of a store by path; ``""`` is the root."""

    zarr_format: int
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrays: dict[str, Document] = field(default_factory=dict)

    @property
    def paths(self) -> set[str]:
        """Paths of all nodes."""
        return {*self.groups, *self.arrays}

    def add_group(self, path: str, attributes: Mapping[str, object] | None = None) -> None:
        """Add a group, and groups above it where they are missing."""
        self.groups.setdefault(path, {}).update(attributes or {})
        while path:
            path = path.rpartition("/")[0]
            self.groups.setdefault(path, {})

    def add_missing(self, other: Nodes) -> None:
        """Take what another one has at paths where there is nothing here."""
        self.groups = {**other.groups, **self.groups}
        self.arrays = {**other.arrays, **self.arrays}

    def _same(self, other: Nodes, path: str) -> bool:
        mine = self.arrays.get(path), self.groups.get(path)
        return mine == (other.arrays.get(path), other.groups.get(path))

    def documents(
        self, consolidated: bool, written: Nodes | None = None
    ) -> Iterator[list[tuple[str, bytes]]]:
        """Keys and bytes, in batches: those of one batch may be written at once, each batch after
        the one before. Children come before parents, and what opens a group after its attributes.

        Parameters
        ----------
        consolidated
            Whether the root keeps a copy of all documents.
        written
            What is in the store: documents that are the same are left out, but for the root.
        """
        same = () if written is None else {p for p in written.paths if self._same(written, p) and p}
        paths = sorted(self.paths.difference(same), key=lambda p: (-_depth(p), p))
        make = self._v2 if self.zarr_format == 2 else self._v3
        for depth, found in groupby(paths, key=_depth):
            batches: list[list[tuple[str, bytes]]] = []
            for path in found:
                for number, document in enumerate(make(path, consolidated)):
                    if number == len(batches):
                        batches.append([])
                    batches[number].append(document)
            yield from batches if depth else [[d] for batch in batches for d in batch]

    def copies(self) -> dict[str, Document]:
        """Documents as consolidated metadata holds them.

        By path and without the root in Zarr v3, by key in Zarr v2.
        """
        if self.zarr_format == 3:
            return {p: self._v3_node(p) for p in sorted(self.paths) if p}
        return {
            node_key(path, name): document
            for path in sorted(self.paths)
            for name, document in self._v2_node(path).items()
        }

    def _v3(self, path: str, consolidated: bool) -> Iterable[tuple[str, bytes]]:
        document = self._v3_node(path)
        if path == "" and consolidated:
            document["consolidated_metadata"] = {
                "kind": "inline",
                "must_understand": False,
                "metadata": self.copies(),
            }
        whole = "consolidated_metadata" in document
        yield node_key(path, "zarr.json"), to_json(document, compact=whole)

    def _v3_node(self, path: str) -> Document:
        if path in self.arrays:
            return self.arrays[path]
        return {"zarr_format": 3, "node_type": "group", "attributes": self.groups[path]}

    def _v2(self, path: str, consolidated: bool) -> Iterable[tuple[str, bytes]]:
        """The marker of a group comes last: without it the group does not open."""
        node = self._v2_node(path)
        marker, marked = node.popitem()
        for name, document in node.items():
            yield node_key(path, name), to_json(document)
        if path == "" and consolidated:
            whole = {"zarr_consolidated_format": 1, "metadata": self.copies()}
            yield ".zmetadata", to_json(whole, compact=True)
        yield node_key(path, marker), to_json(marked)

    def _v2_node(self, path: str) -> dict[str, Document]:
        """Documents of a node by name, the one that makes it an array or a group last."""
        if path in self.arrays:
            array = self.arrays[path]
            attributes = array.get("attributes")
            marker = {".zarray": {k: v for k, v in array.items() if k != "attributes"}}
        else:
            attributes, marker = self.groups[path], {".zgroup": {"zarr_format": 2}}
        return {".zattrs": attributes, **marker} if attributes else marker


def _depth(path: str) -> int:
    return path.count("/") + 1 if path else 0


def read_nodes(storage: Storage) -> tuple[Nodes, bool]:
    """All groups and arrays of a store, and whether its root keeps a copy of their documents.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If there is no store.
    ngff_bio.errors.StoreError
        If a document is not a JSON object.
    """
    tree = Hierarchy.open(storage)
    nodes = Nodes(tree.zarr_format)
    names = DOCUMENT_NAMES[tree.zarr_format]
    paths: Iterable[str] = tree.paths()
    if not tree.consolidated:
        keys = (key.rpartition("/") for key, _ in storage.list())
        paths = sorted({path for path, _, name in keys if name in names})
    for path in paths:
        add_document(nodes, path, tree.document(path) or {})
    return nodes, tree.consolidated


def add_document(nodes: Nodes, path: str, document: Document) -> None:
    """Add a node by its document in the form of Zarr v3.

    Raises
    ------
    ngff_bio.errors.StoreError
        If its attributes are not a JSON object.
    """
    attributes = document.get("attributes") or {}
    if not isinstance(attributes, dict):
        found = type(attributes).__name__
        what = "the attributes of a node are not a JSON object"
        raise StoreError(what, record=path or "(root)", found=found)
    if document.get("node_type") != "array":
        nodes.groups[path] = attributes
    elif nodes.zarr_format == 3:
        nodes.arrays[path] = document
    else:
        dropped = ("node_type",) if document.get("attributes") else ("node_type", "attributes")
        nodes.arrays[path] = {k: v for k, v in document.items() if k not in dropped}
