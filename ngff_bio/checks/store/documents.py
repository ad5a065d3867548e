"""All metadata documents of a store, as they are stored."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from posixpath import normpath
from typing import Any

from ngff_bio.errors import StorageError, StoreError
from ngff_bio.ngff.schema_version import KEY
from ngff_bio.parallel import shared_pool
from ngff_bio.storage import Storage, is_key
from ngff_bio.zarrio.arrays import ArrayMeta, parse_array
from ngff_bio.zarrio.documents import (
    DOCUMENT_NAMES,
    Document,
    attributes_of,
    load_document,
    node_key,
    split_by_node,
    v2_node,
)
from ngff_bio.zarrio.hierarchy import paths_below
from ngff_bio.zarrio.journal import STATE, missing_store


@dataclass(slots=True)
class Documents:
    """Metadata of each group and array by path, in the form of Zarr v3's ``zarr.json``.

    Parameters
    ----------
    zarr_format
        That of the root.
    objects
        Size of each object by key; ``None`` where objects cannot be listed (a web server). Then
        groups and arrays are those that the metadata names.
    groups, arrays
        Documents by path.
    broken
        What is wrong with documents that cannot be understood, by key.
    consolidated
        Copies of documents that groups keep of those below them, by path of the group, then by path
        from the root of the store.
    """

    zarr_format: int
    objects: dict[str, int] | None = None
    groups: dict[str, dict[str, object]] = field(default_factory=dict)
    arrays: dict[str, dict[str, object]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    consolidated: dict[str, dict[str, dict[str, object]]] = field(default_factory=dict)
    _sorted: list[str] = field(default_factory=list, repr=False)
    _parsed: dict[str, ArrayMeta | None] = field(default_factory=dict, repr=False)

    def node(self, path: str) -> dict[str, object] | None:
        """The document of a group or array; ``None`` if there is none."""
        return self.groups.get(path) or self.arrays.get(path)

    def array(self, path: str) -> ArrayMeta | None:
        """An array; ``None`` if there is none, or its document is not one that this package reads."""
        document = self.arrays.get(path)
        if document is None:
            return None
        if path not in self._parsed:
            try:
                zarr_format = 3 if document.get("zarr_format") == 3 else 2
                self._parsed[path] = parse_array(document, zarr_format, path)
            except StoreError:
                self._parsed[path] = None
        return self._parsed[path]

    def attributes(self, path: str) -> dict[str, Any]:
        """Attributes of a group or array; empty if there is none."""
        return dict(attributes_of(self.node(path)))

    def ome(self, path: str) -> dict[str, Any]:
        """OME-Zarr metadata of a group, of any version: the content of ``ome``, or all attributes."""
        attributes = self.attributes(path)
        content = attributes.get("ome", attributes)
        return content if isinstance(content, dict) else {}

    def pointer(self, path: str) -> str:
        """JSON pointer from the attributes of a group to its OME-Zarr metadata."""
        return "/ome" if "ome" in self.attributes(path) else ""

    def own(self, path: str) -> dict[str, Any]:
        """The ``ngff_bio`` attribute of a group or array; empty if there is none."""
        own = self.attributes(path).get(KEY)
        return own if isinstance(own, dict) else {}

    def groups_below(self, path: str) -> list[str]:
        """Paths of all groups below one, sorted."""
        if len(self._sorted) != len(self.groups):
            self._sorted = sorted(self.groups)
        return paths_below(self._sorted, path)

    def children(self, path: str) -> list[str]:
        """Paths of groups right below a group."""
        depth = path.count("/") + 2 if path else 1
        return [p for p in self.groups_below(path) if p.count("/") + 1 == depth]


def join(*parts: str) -> str:
    """A path of parts, some of which may be empty (the root)."""
    return "/".join(p.strip("/") for p in parts if p.strip("/"))


def list_objects(storage: Storage) -> Iterator[tuple[str, int]]:
    """Keys and sizes of the objects of a store, without those of interrupted writes."""
    return ((key, size) for key, size in storage.list() if not key.startswith(f"{STATE}/"))


def read_documents(storage: Storage) -> Documents:
    """Read every metadata document of a store.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If there is no Zarr group.
    ngff_bio.errors.IncompleteStoreError
        If a conversion into it has not finished.
    """
    try:
        objects: dict[str, int] | None = dict(list_objects(storage))
    except StorageError:
        objects = None
    keys = objects if objects is not None else ()
    found = Documents(3, objects)
    if objects is None:
        if storage.get("zarr.json") is None:
            found.zarr_format = 2
        _crawl(found, storage)
    elif "zarr.json" in keys:
        paths = [k.rpartition("/")[0] for k in keys if k.rpartition("/")[2] == "zarr.json"]
        _add(found, storage, sorted(paths))
    elif any(k in keys for k in DOCUMENT_NAMES[2]):
        found.zarr_format = 2
        paths = [k.rpartition("/")[0] for k in keys if k.rpartition("/")[2] in DOCUMENT_NAMES[2]]
        _add(found, storage, sorted(set(paths)))
    if found.node("") is None and not found.broken:
        raise missing_store(storage)
    return found


def _crawl(found: Documents, storage: Storage) -> None:
    """Follow the metadata from the root, one generation of nodes after the other."""
    seen: set[str] = set()
    waiting = deque([""])
    while waiting:
        paths = [p for p in dict.fromkeys(waiting) if p not in seen and is_key(p)]
        seen.update(paths)
        waiting.clear()
        _add(found, storage, paths)
        for path in paths:
            if path in found.groups:
                waiting.extend(_named_below(found, path))


def _named_below(found: Documents, path: str) -> Iterator[str]:
    """Paths that a group's metadata names, or that the specification defines."""
    yield from found.consolidated.get(path, ())
    content, attributes = found.ome(path), found.attributes(path)
    if "multiscales" in content:
        yield from (join(path, "labels"), join(path, "tables"))
    for image in _objects(content.get("multiscales")):
        yield from (join(path, p) for p in texts(image.get("datasets"), "path"))
    for key in ("labels", "series"):
        above = path.rpartition("/")[0] if key == "series" else path
        yield from (join(above, p) for p in texts(content.get(key)))
    yield from (join(path, p) for p in texts(attributes.get("tables")))
    for key, entries in (("plate", "wells"), ("well", "images")):
        holder = content.get(key)
        for below in texts(holder.get(entries), "path") if isinstance(holder, dict) else ():
            yield join(path, below)
            yield join(path, below.rpartition("/")[0])
    own = found.own(path)
    yield from (join(path, p) for p in texts(own.get("groups")))
    for target in texts([own.get("table"), own.get("tracks")]):
        at = normpath(f"/{path}/{target}").strip("/")
        yield from (at, at.rpartition("/")[0])
    if isinstance(attributes.get("geff"), dict):
        yield from _of_graph(attributes["geff"], path)
    if "bioformats2raw.layout" in content:
        yield from (join(path, name) for name in ("OME", "0"))
    number = path.rpartition("/")[2]
    if number.isdecimal() and "bioformats2raw.layout" in found.ome(path.rpartition("/")[0]):
        yield join(path.rpartition("/")[0], str(int(number) + 1))


def _of_graph(graph: dict[str, object], path: str) -> Iterator[str]:
    """Groups and arrays of a GEFF graph."""
    yield from (join(path, p) for p in ("nodes", "nodes/ids", "nodes/props", "edges", "edges/ids"))
    named = graph.get("node_props_metadata")
    for name in named if isinstance(named, dict) else ():
        yield from (join(path, "nodes/props", name, p) for p in ("", "values", "missing"))


def _objects(value: object) -> list[dict[str, object]]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def texts(value: object, key: str | None = None) -> list[str]:
    """The strings of a list, or those at a key of a list of objects; other values are ignored."""
    if not isinstance(value, list):
        return []
    items = value if key is None else [v.get(key) for v in _objects(value)]
    return [v for v in items if isinstance(v, str)]


def _add(found: Documents, storage: Storage, paths: list[str]) -> None:
    read: Callable[[str], _Read] = (
        (lambda path: _read_v3(storage, path))
        if found.zarr_format == 3
        else (lambda path: _read_v2(storage, path, found.objects))
    )
    for path, result in zip(paths, shared_pool(remote=True).map(read, paths), strict=True):
        found.broken |= result.broken
        if result.node is None:
            continue
        if result.consolidated is not None:
            found.consolidated[path] = {
                join(path, name): node for name, node in result.consolidated.items()
            }
        kind = found.arrays if result.node.get("node_type") == "array" else found.groups
        kind[path] = result.node


@dataclass(slots=True)
class _Read:
    node: Document | None = None
    consolidated: dict[str, Document] | None = None
    broken: dict[str, str] = field(default_factory=dict)

    def load(self, storage: Storage, key: str) -> Document | None:
        try:
            return load_document(storage, key)
        except StoreError as error:
            self.broken[key] = f"{error.what.removeprefix('metadata is ')}: {error.found}"
            return None


def _read_v3(storage: Storage, path: str) -> _Read:
    read = _Read()
    key = node_key(path, "zarr.json")
    document = read.load(storage, key)
    if document is None:
        return read
    copy = document.pop("consolidated_metadata", None)
    if isinstance(copy, dict) and isinstance(copy.get("metadata"), dict):
        read.consolidated = {p: d for p, d in copy["metadata"].items() if isinstance(d, dict)}
    if document.get("node_type") not in ("array", "group"):
        read.broken[key] = f"without a valid node_type: {document.get('node_type')!r}"
        return read
    read.node = document
    return read


def _read_v2(storage: Storage, path: str, objects: dict[str, int] | None) -> _Read:
    read = _Read()
    keys = {name: node_key(path, name) for name in (*DOCUMENT_NAMES[2], ".zmetadata")}
    there = {n: k for n, k in keys.items() if objects is None or k in objects}
    names = [n for n in DOCUMENT_NAMES[2] if n in there]
    loaded = {n: d for n in names if (d := read.load(storage, there[n])) is not None}
    if ".zarray" in loaded or ".zgroup" in loaded or loaded.get(".zattrs"):
        read.node = v2_node(loaded)
        if ".zarray" not in loaded and not {".zgroup", keys[".zgroup"]} & {*loaded, *read.broken}:
            read.broken[keys[".zgroup"]] = "missing beside .zattrs"
    flat = None
    if ".zgroup" in loaded and ".zmetadata" in there:
        flat = read.load(storage, there[".zmetadata"])
    if flat is not None and isinstance(flat.get("metadata"), dict):
        copies = {key: d for key, d in flat["metadata"].items() if isinstance(d, dict)}
        read.consolidated = {p: v2_node(d) for p, d in split_by_node(copies).items()}
    return read
