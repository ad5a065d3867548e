"""The metadata documents of a store, in the order in which they may be written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from ngff_bio.engine.plan.layout import ArrayPlan
from ngff_bio.engine.write.shard import array_metadata


@dataclass(slots=True)
class Nodes:
    """Metadata documents of a store by path (``""`` is the root)."""

    zarr_format: int
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrays: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def paths(self) -> set[str]:
        """Paths of all nodes."""
        return {*self.groups, *self.arrays}

    def _same(self, other: Nodes, path: str) -> bool:
        mine = self.arrays.get(path), self.groups.get(path)
        return mine == (other.arrays.get(path), other.groups.get(path))

    def add_group(self, path: str, attributes: Mapping[str, Any] | None = None) -> None:
        """A group; groups above it are added where they are missing."""
        self.groups.setdefault(path, {}).update(attributes or {})
        while path:
            path = path.rpartition("/")[0]
            self.groups.setdefault(path, {})

    def add_array(self, plan: ArrayPlan) -> None:
        """All levels of an array."""
        for number, level in enumerate(plan.levels):
            path = f"{plan.path}/{level.path}".lstrip("/")
            self.arrays[path] = array_metadata(plan, number)

    def add_missing(self, other: Nodes) -> None:
        """What another one has at paths where there is nothing here."""
        self.groups = {**other.groups, **self.groups}
        self.arrays = {**other.arrays, **self.arrays}

    def documents(
        self, consolidated: bool, written: Nodes | None = None
    ) -> Iterator[list[tuple[str, bytes]]]:
        """Keys and bytes, in lots: those of one lot may be written at once, each lot after the one
        before. Children come before parents, and what opens a group after what it says.

        Parameters
        ----------
        written
            What lies in the store: documents that say the same are left out, but for the root.
        """
        same = () if written is None else {p for p in written.paths if self._same(written, p) and p}
        paths = sorted(self.paths.difference(same), key=lambda p: (-_depth(p), p))
        for depth, found in groupby(paths, key=_depth):
            lots: list[list[tuple[str, bytes]]] = []
            for path in found:
                documents = (
                    self._v2(path, consolidated)
                    if self.zarr_format == 2
                    else self._v3(path, consolidated)
                )
                for number, document in enumerate(documents):
                    if number == len(lots):
                        lots.append([])
                    lots[number].append(document)
            yield from lots if depth else [[d] for lot in lots for d in lot]

    def _v3(self, path: str, consolidated: bool) -> Iterable[tuple[str, bytes]]:
        document = self._node(path)
        if path == "" and consolidated:
            below = {p: self._node(p) for p in sorted(self.paths) if p}
            document["consolidated_metadata"] = {
                "kind": "inline",
                "must_understand": False,
                "metadata": below,
            }
        whole = "consolidated_metadata" in document
        yield f"{path}/zarr.json".lstrip("/"), _json(document, compact=whole)

    def _node(self, path: str) -> dict[str, Any]:
        if path in self.arrays:
            return self.arrays[path]
        return {"zarr_format": 3, "node_type": "group", "attributes": self.groups[path]}

    def _v2(self, path: str, consolidated: bool) -> Iterable[tuple[str, bytes]]:
        """The marker of a group comes last: without it the group does not open."""
        node = self._v2_node(path)
        marker = node.pop()
        for name, document in node:
            yield f"{path}/{name}".lstrip("/"), _json(document)
        if path == "" and consolidated:
            below: dict[str, Any] = {}
            for p in sorted(self.paths):
                below |= {f"{p}/{name}".lstrip("/"): doc for name, doc in self._v2_node(p)}
            whole = {"zarr_consolidated_format": 1, "metadata": below}
            yield ".zmetadata", _json(whole, compact=True)
        yield f"{path}/{marker[0]}".lstrip("/"), _json(marker[1])

    def _v2_node(self, path: str) -> list[tuple[str, dict[str, Any]]]:
        if path in self.arrays:
            return [(".zarray", self.arrays[path])]
        found: list[tuple[str, dict[str, Any]]] = []
        if self.groups[path]:
            found.append((".zattrs", self.groups[path]))
        return [*found, (".zgroup", {"zarr_format": 2})]


def _depth(path: str) -> int:
    return path.count("/") + 1 if path else 0


def _json(document: Any, *, compact: bool = False) -> bytes:
    """Indented for people; without white space where all of a store is in it."""
    if compact:
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return json.dumps(document, indent=2, ensure_ascii=False).encode()
