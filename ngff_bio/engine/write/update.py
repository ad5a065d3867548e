"""Writing into a finished store: objects, metadata, its copy at the root, and the manifest together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ngff_bio.engine.write.checksums import crc32c
from ngff_bio.engine.write.manifest import MANIFEST, object_entries, read_manifest, write_manifest
from ngff_bio.storage import Storage
from ngff_bio.zarrio.documents import load_document, to_json
from ngff_bio.zarrio.hierarchy import Hierarchy
from ngff_bio.zarrio.nodes import Nodes


def update_store(
    storage: Storage, objects: Mapping[str, bytes], groups: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write objects and groups into a finished store, so that its manifest stays true.

    All bytes are made before the first one is written. They are written in an order in which nothing
    is named before it is there: objects, groups (children first), manifest, documents of the root.

    Parameters
    ----------
    objects
        Bytes by key.
    groups
        All attributes of each group that is new or changes, by path.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If there is no store.
    ngff_bio.errors.StoreError
        If its metadata or its manifest cannot be read.
    ngff_bio.errors.StorageError
        If something cannot be written.
    """
    tree = Hierarchy.open(storage)
    nodes = Nodes(tree.zarr_format)
    for path, attributes in groups.items():
        nodes.groups[path] = dict(attributes)
        above = path
        while above := above.rpartition("/")[0]:
            if above not in groups and tree.document(above) is None:
                nodes.groups[above] = {}
    batches = nodes.documents(consolidated=False)
    documents = {key: data for batch in batches for key, data in batch}
    root = {key: documents.pop(key) for key in list(documents) if "/" not in key}
    if tree.consolidated:
        root |= _consolidated(tree, nodes)
    written = {**objects, **documents, **root}
    entries = None
    if storage.size(MANIFEST) is not None:
        entries = {(e.kind, e.path, e.region): e for e in read_manifest(storage)}
        sizes = {key: (len(data), crc32c(data)) for key, data in written.items()}
        for entry in object_entries(sizes):
            entries[entry.kind, entry.path, entry.region] = entry
    for key, data in {**objects, **documents}.items():
        storage.put(key, data)
    if entries is not None:
        write_manifest(storage, entries.values())
    for key, data in root.items():
        storage.put(key, data)


def _consolidated(tree: Hierarchy, nodes: Nodes) -> dict[str, bytes]:
    """The document of the root that keeps a copy of all others, with new and changed groups."""
    key = "zarr.json" if tree.zarr_format == 3 else ".zmetadata"
    document = load_document(tree.storage, key) or {}
    holder = document["consolidated_metadata"] if tree.zarr_format == 3 else document
    holder["metadata"] |= nodes.copies()
    if tree.zarr_format == 3 and "" in nodes.groups:
        document["attributes"] = nodes.groups[""]
    return {key: to_json(document, compact=True)}
