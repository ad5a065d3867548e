"""The groups and arrays of a store: one request where its metadata is consolidated, else one a node."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

import msgspec

from ngff_bio.errors import IncompleteStoreError, StoreError, StoreNotFoundError
from ngff_bio.storage import Storage, checked_key
from ngff_bio.zarrio.documents import (
    Document,
    Pending,
    attributes_of,
    load_node,
    parse_member,
    split_by_node,
    split_json,
    v2_node,
)
from ngff_bio.zarrio.journal import JOURNAL, MARK, committed_view, missing_store


@dataclass
class Hierarchy:
    """Metadata documents of a store by path, in the form of Zarr v3; fetched when needed, and kept.

    ``pending`` holds documents from consolidated metadata that were not needed yet, as JSON text by
    their names: a plate of a thousand fields is opened without parsing all of it.
    """

    storage: Storage
    zarr_format: Literal[2, 3]
    known: dict[str, Document | None] = field(default_factory=dict)
    consolidated: bool = False
    pending: dict[str, dict[str, Pending]] = field(default_factory=dict, repr=False)
    _sorted: list[str] = field(default_factory=list, repr=False)

    @classmethod
    def open(cls, storage: Storage, *, consolidated: bool = True) -> Self:
        """Metadata of the store at a place: one request, two for Zarr v2, where it is consolidated.

        Parameters
        ----------
        consolidated
            Whether consolidated metadata is used where there is some. Without it every node is
            looked up by itself: for a store that was changed after it was consolidated.

        Raises
        ------
        ngff_bio.errors.StoreNotFoundError
            If there is no Zarr group at the place.
        ngff_bio.errors.IncompleteStoreError
            If a conversion into it has not ended.
        ngff_bio.errors.StoreError
            If its metadata is not JSON.
        """
        try:
            tree = cls._read(storage, consolidated)
        except (StoreNotFoundError, IncompleteStoreError):
            view = committed_view(storage)
            if view is None:
                raise
            return cls._read(view, consolidated)
        # A Zarr v2 store without consolidated metadata is marked elsewhere: looked up in any case.
        v2 = tree.zarr_format == 2 and not tree.consolidated
        if MARK not in attributes_of(tree.document("")) and not (v2 and storage.size(JOURNAL)):
            return tree
        view = committed_view(storage)
        if view is not None:
            return cls._read(view, consolidated)
        again = cls._read(storage, consolidated)
        if MARK in attributes_of(again.document("")):
            raise StoreError(
                "the store cannot be read: the state of a write that was interrupted is missing",
                file=storage.url,
                expected=JOURNAL,
                hint="copy the store with its folder .ngff_bio, or convert the source again with "
                "--overwrite",
            )
        return again

    @classmethod
    def _read(cls, storage: Storage, consolidated: bool) -> Self:
        data = storage.get("zarr.json")
        if data is not None:
            file = f"{storage.url}/zarr.json"
            members = split_json(data, file)
            inline = members.pop("consolidated_metadata", None)
            root = {name: parse_member(raw, file, name) for name, raw in members.items()}
            tree = cls(storage, 3, {"": root})
            if consolidated and inline is not None and parse_null(inline) is not None:
                below = split_json(inline, file, "metadata")
                tree.pending = {path: {"zarr.json": raw} for path, raw in below.items()}
                tree.consolidated = bool(below)
            return tree
        data = storage.get(".zmetadata") if consolidated else None
        if data is not None:
            flat = split_json(data, f"{storage.url}/.zmetadata", "metadata")
            tree = cls(storage, 2, consolidated=True, pending=split_by_node(flat))
            if "" in tree.pending:
                return tree
        document = load_node(storage, "", 2)
        if document is not None:
            return cls(storage, 2, {"": document})
        raise missing_store(storage)

    def __getstate__(self) -> dict[str, object]:
        pending = {
            path: {n: bytes(raw) if isinstance(raw, msgspec.Raw) else raw for n, raw in by.items()}
            for path, by in self.pending.items()
        }
        return {**self.__dict__, "pending": pending, "_sorted": []}

    def paths(self) -> list[str]:
        """Paths of the nodes that are known without a request, sorted."""
        if not self._sorted:
            self._sorted = sorted({*self.known, *self.pending})
        return self._sorted

    def below(self, path: str) -> Self:
        """The metadata of a group and of the nodes below it: what a worker needs of a store."""
        paths = self.paths()
        if path:
            paths = [path, *paths_below(paths, path)]
        return type(self)(
            self.storage,
            self.zarr_format,
            {p: self.known[p] for p in paths if p in self.known},
            self.consolidated,
            {p: self.pending[p] for p in paths if p in self.pending},
        )

    def attributes(self, path: str) -> Document | None:
        """Attributes of a group or array; ``None`` if there is none at that path."""
        document = self.document(path)
        if document is None:
            return None
        found = document.get("attributes") or {}
        if not isinstance(found, dict):
            raise StoreError(
                "the attributes of a node are not a JSON object",
                file=self.url(path),
                found=type(found).__name__,
            )
        return found

    def document(self, path: str) -> Document | None:
        """Metadata document of a node in the form of Zarr v3; ``None`` if there is none.

        Raises
        ------
        ngff_bio.errors.StoreError
            If it is not a JSON object, or if the path leads out of the store.
        """
        if path in self.known:
            return self.known[path]
        checked_key(path, self.storage.url)  # consolidated metadata can name any path, too
        found: Document | None
        pending = self.pending.get(path)
        if pending is not None:
            documents = {name: self._member(path, raw) for name, raw in pending.items()}
            found = documents["zarr.json"] if self.zarr_format == 3 else v2_node(documents)
        elif self.consolidated:
            return None
        else:
            found = load_node(self.storage, path, self.zarr_format)
            self._sorted = []
        self.known[path] = found
        self.pending.pop(path, None)
        return found

    def _member(self, path: str, raw: Pending) -> Document:
        found = parse_member(raw, self.storage.url, path)
        if not isinstance(found, dict):
            raise StoreError("metadata is not a JSON object", file=self.url(path))
        return found

    def url(self, path: str) -> str:
        """Where a node is, to be named in messages."""
        return f"{self.storage.url}/{path}".rstrip("/")

    def paths_with(self, word: str) -> Iterator[str]:
        """Paths of known nodes with a key in their attributes, in order."""
        quoted = f'"{word}"'.encode()
        for path in list(self.paths()):
            raw = self.pending.get(path)
            if raw is None or any(
                not isinstance(r, msgspec.Raw | bytes) or quoted in bytes(r) for r in raw.values()
            ):
                attributes = self.attributes(path) or {}
                ome = attributes.get("ome")
                if word in attributes or (isinstance(ome, dict) and word in ome):
                    yield path


def paths_below(paths: Sequence[str], path: str) -> list[str]:
    """Those of sorted paths that are below one."""
    if not path:
        return [p for p in paths if p]
    # "0" is the character after "/": all paths that begin with this one and a slash are between.
    start = bisect_left(paths, f"{path}/")
    return list(paths[start : bisect_left(paths, f"{path}0", start)])


def parse_null(raw: object) -> object:
    """The text of a member, or its value, or ``None`` if it is ``null``."""
    return raw if not isinstance(raw, msgspec.Raw | bytes) or bytes(raw) != b"null" else None
