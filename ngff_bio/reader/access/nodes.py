"""The metadata of a store: one request where it is consolidated, one a group where it is not."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from ngff_bio.errors import IncompleteStoreError, StoreError, StoreNotFoundError
from ngff_bio.ngff import GroupMeta, decode
from ngff_bio.parallel import shared_pool
from ngff_bio.storage import Storage

#: Where a conversion keeps its state while it runs.
_STATE = ".ngff_bio/plan.json"

_HALF_MADE = "run the same convert command again: it goes on where it stopped"


@dataclass
class NodeTree:
    """Metadata documents of a store, by path; fetched when asked for, and kept.

    ``pending`` holds consolidated documents that nobody has asked for yet, as their JSON text:
    a plate of a thousand fields is opened by scanning its metadata, not by building all of it.
    """

    storage: Storage
    zarr_format: Literal[2, 3]
    known: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    consolidated: bool = False
    pending: dict[str, Any] = field(default_factory=dict, repr=False)
    arrays: dict[str, Any] = field(default_factory=dict, repr=False)
    _metas: dict[str, GroupMeta | None] = field(default_factory=dict, repr=False)
    _sorted: list[str] = field(default_factory=list, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        pending = {k: v if isinstance(v, dict) else bytes(v) for k, v in self.pending.items()}
        return {**self.__dict__, "pending": pending, "arrays": {}, "_metas": {}, "_sorted": []}

    def below(self, path: str) -> NodeTree:
        """The metadata of one group and of what lies below it: what a worker needs of a store."""
        if not self.consolidated:
            paths = list(self.known)
        elif not self._sorted:
            paths = self._sorted = sorted({*self.known, *self.pending})
        else:
            paths = self._sorted
        if path and self.consolidated:
            start = bisect_left(paths, f"{path}/")
            paths = [path, *paths[start : bisect_left(paths, f"{path}0")]]  # "0" comes after "/"
        wanted = [p for p in paths if not path or p == path or p.startswith(f"{path}/")]
        return NodeTree(
            self.storage,
            self.zarr_format,
            {p: self.known[p] for p in wanted if p in self.known},
            self.consolidated,
            {p: self.pending[p] for p in wanted if p in self.pending},
        )

    def add_group(self, path: str, attributes: Mapping[str, Any]) -> None:
        """Take a group that has been written over what was known at its path."""
        self.known[path] = {
            "zarr_format": self.zarr_format,
            "node_type": "group",
            "attributes": dict(attributes),
        }
        self.pending.pop(path, None)
        self._metas.pop(path, None)
        self._sorted = []

    def attributes(self, path: str) -> dict[str, Any] | None:
        """Attributes of a group or array; ``None`` if there is none at that path."""
        document = self.document(path)
        return None if document is None else document.get("attributes") or {}

    def document(self, path: str) -> dict[str, Any] | None:
        """Metadata document of a node in the form of Zarr v3; ``None`` if there is none."""
        if path not in self.known:
            if path in self.pending:
                self.known[path] = _parsed(self.pending.pop(path), f"{self.storage.url}/{path}")
            elif not self.consolidated:
                self.known[path] = _fetch(self.storage, path, self.zarr_format)
        return self.known.get(path)

    def meta(self, path: str) -> GroupMeta | None:
        """What OME-Zarr says of a group; ``None`` if it says nothing."""
        if path not in self._metas:
            attributes = self.attributes(path)
            try:
                self._metas[path] = None if attributes is None else decode(attributes)
            except StoreError as error:
                named = {"file": f"{self.storage.url}/{path}".rstrip("/"), **error.parts()}
                raise type(error)(**named) from error
        return self._metas[path]

    def prefetch(self, paths: Iterable[str]) -> None:
        """Fetch documents that are not known yet, side by side where the place has latency."""
        missing = [p for p in paths if p not in self.known and p not in self.pending]
        if missing and not self.consolidated:
            shared_pool(remote=True).map(self._try, missing)

    def _try(self, path: str) -> None:
        with suppress(StoreError):  # raised again by whoever asks for it
            self.document(path)

    def paths_with(self, word: str) -> Iterator[str]:
        """Paths of known nodes whose document holds a key, in order; scans text where it can."""
        found = [p for p, raw in self.pending.items() if _mentions(raw, word)]
        found += [p for p, document in self.known.items() if _has(document, word)]
        yield from sorted(found)


def _has(document: dict[str, Any] | None, word: str) -> bool:
    attributes = (document or {}).get("attributes") or {}
    return word in attributes or word in (attributes.get("ome") or {})


def _mentions(raw: Any, word: str) -> bool:
    return _has(raw, word) if isinstance(raw, dict) else f'"{word}"'.encode() in bytes(raw)


def _parsed(raw: Any, file: str) -> dict[str, Any]:
    """A JSON object from text (or from what an earlier step has parsed already)."""
    if isinstance(raw, dict):
        return raw
    import msgspec

    try:
        content = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        try:
            content = json.loads(bytes(raw))  # takes NaN, which some writers put into attributes
        except ValueError as error:
            raise StoreError("metadata is not JSON", file=file, found=error) from error
    if not isinstance(content, dict):
        raise StoreError("metadata is no JSON object", file=file)
    return content


def _load(storage: Storage, key: str) -> dict[str, Any] | None:
    data = storage.get(key)
    return None if data is None else _parsed(data, f"{storage.url}/{key}")


def _fetch(storage: Storage, path: str, zarr_format: int) -> dict[str, Any] | None:
    start = f"{path}/" if path else ""
    if zarr_format == 3:
        return _load(storage, f"{start}zarr.json")
    attributes = _load(storage, f"{start}.zattrs")
    if attributes is not None and not attributes.get("_ARRAY_DIMENSIONS"):
        order = (".zgroup", ".zarray")
    else:
        order = (".zarray", ".zgroup")
    for name in order:
        document = _load(storage, f"{start}{name}")
        if document is not None:
            kind = "group" if name == ".zgroup" else "array"
            return {**document, "node_type": kind, "attributes": attributes or {}}
    return None


def open_nodes(storage: Storage, *, consolidated: bool = True) -> NodeTree:
    """Metadata of the store at a place: one request, two for Zarr v2, where it is consolidated.

    Parameters
    ----------
    consolidated
        Whether consolidated metadata is taken where there is some. Without it every group is
        looked up by itself: for a store that was changed after it was consolidated.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If no Zarr group lies there.
    ngff_bio.errors.IncompleteStoreError
        If a conversion into it has not ended.
    """
    data = storage.get("zarr.json")
    if data is not None:
        return _open_v3(storage, data, consolidated)
    data = storage.get(".zmetadata") if consolidated else None
    if data is not None:
        known, pending = _from_v2(_split(data, f"{storage.url}/.zmetadata", "metadata"))
        if "" in known:
            return NodeTree(storage, 2, known, consolidated=True, pending=pending)
    document = _fetch(storage, "", 2)
    if document is not None:
        return NodeTree(storage, 2, {"": document})
    if storage.size(_STATE) is not None:
        raise IncompleteStoreError("the store is half-made", file=storage.url, hint=_HALF_MADE)
    raise StoreNotFoundError(
        "there is no Zarr store here",
        file=storage.url,
        expected="a zarr.json or a .zgroup",
        hint="name the folder or URL that holds it",
    )


def _open_v3(storage: Storage, data: bytes, consolidated: bool) -> NodeTree:
    file = f"{storage.url}/zarr.json"
    members = _split(data, file)
    inline = members.pop("consolidated_metadata", None)
    tree = NodeTree(storage, 3, {"": {name: _value(raw, file) for name, raw in members.items()}})
    if consolidated and inline is not None and bytes_of(inline) != b"null":
        below = _split(inline, file, "metadata")
        if below:
            tree.pending, tree.consolidated = below, True
    return tree


def _split(data: Any, file: str, *inner: str) -> dict[str, Any]:
    """The members of a JSON object as text of their own, so that each is parsed when needed."""
    import msgspec

    if not isinstance(data, dict):
        try:
            members: dict[str, Any] = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
            for name in inner:
                members = msgspec.json.decode(members[name], type=dict[str, msgspec.Raw])
            return members
        except (msgspec.DecodeError, KeyError):
            data = _parsed(data, file)
    for name in inner:
        data = data.get(name) or {}
    return dict(data)


def bytes_of(raw: Any) -> bytes:
    """JSON text as bytes; nothing for a value that is parsed already."""
    return b"" if isinstance(raw, dict) else bytes(raw)


def _value(raw: Any, file: str) -> Any:
    """The value of a member: any JSON."""
    import msgspec

    if not isinstance(raw, msgspec.Raw):
        return raw
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return _parsed(raw, file)


def _from_v2(
    flat: dict[str, Any],
) -> tuple[dict[str, dict[str, Any] | None], dict[str, Any]]:
    """Documents of ``.zmetadata``: the root's own, and those of all others for later."""
    nodes: dict[str, dict[str, Any]] = {}
    for key, raw in flat.items():
        path, _, name = key.rpartition("/")
        node = nodes.setdefault(path, {"attributes": {}})
        content = _value(raw, f".zmetadata: {key}")
        if name == ".zattrs":
            node["attributes"] = content
        else:
            node.update(content, node_type="group" if name == ".zgroup" else "array")
    root = nodes.pop("", None)
    known: dict[str, dict[str, Any] | None] = {} if root is None else {"": root}
    return known, nodes
