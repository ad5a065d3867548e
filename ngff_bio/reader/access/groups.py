"""Where the plates and images of a store are."""

from __future__ import annotations

from collections.abc import Iterator

from ngff_bio.errors import StorageError, StoreError
from ngff_bio.ngff import PlateMeta
from ngff_bio.reader.access.nodes import NodeTree


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
    groups directly below the root.
    """
    own = (nodes.attributes("") or {}).get("ngff_bio") or {}
    if own.get("groups"):
        found = [str(g) for g in own["groups"]]
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


def _known_below(nodes: NodeTree) -> list[str]:
    """Outermost plates and collections, and the images outside of them."""
    found: list[str] = []
    for word in ("plate", "bioformats2raw.layout", "multiscales"):
        for path in nodes.paths_with(word):
            inside = any(path.startswith(f"{p}/") for p in found)
            if path and not inside and "/labels/" not in f"/{path}/":
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
