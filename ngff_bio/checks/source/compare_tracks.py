"""The graph of a tracked layer against the source: a node for each object and frame, edges in time, and
from an object to the parts that it divides into.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from zarr.abc.store import Store

from ngff_bio.checks.differences import Difference, Found, Task, reading_source
from ngff_bio.checks.reading import open_array
from ngff_bio.checks.store.documents import Documents, join
from ngff_bio.model import InstanceLayer

Node = tuple[int, int]
"""Label value and frame."""


def track_tasks(
    documents: Documents, store: Store, image: str, layer: InstanceLayer, frames: int
) -> Iterator[Task]:
    """Compare the graph of a layer, if it is tracked."""
    if layer.tracked:
        path = join(image, "tracks", layer.name)
        yield Task(0, partial(_compare, documents, store, path, layer, frames))


def _compare(
    documents: Documents, store: Store, path: str, layer: InstanceLayer, frames: int
) -> Found:
    with reading_source(path):
        wanted = {
            (i.value, t)
            for t in range(frames)
            for i in layer.instances.read(t)
            if i.geometry is not None or i.box is not None
        }
    return compare_graph(documents, store, path, wanted, layer.parents)


def compare_graph(
    documents: Documents, store: Store, path: str, nodes: Iterable[Node], parents: Mapping[int, int]
) -> Found:
    """Compare a graph with the objects that the source has on each frame, and their parents."""
    wanted = Counter(set(nodes))
    if path not in documents.groups:
        missing = Difference("tracks", path, "the graph of the tracks is missing")
        return Found([missing] if wanted else [])
    try:
        stored, edges = _read(store, path, documents.zarr_format)
    except Exception as error:  # any error that zarr-python raises for damaged bytes
        what = f"the graph cannot be read: {type(error).__name__}: {error}"[:200]
        return Found([Difference("tracks", path, what)])
    found = Found([*_differences(path, "node", wanted, Counter(stored))])
    seen: dict[int, list[int]] = {}
    for label, t in sorted(wanted):
        seen.setdefault(label, []).append(t)
    follows = Counter((label, pair) for label, ts in seen.items() for pair in pairwise(ts))
    there = Counter((a[0], (a[1], b[1])) for a, b in edges if a[0] == b[0])
    divided = {
        ((parent, seen[parent][-1]), (label, seen[label][0]))
        for label, parent in parents.items()
        if label in seen and parent in seen
    }
    strange = [(a, b) for a, b in edges if a[0] != b[0] and (a, b) not in divided]
    found.differences += _differences(path, "edge", follows, there)
    found.differences += [
        Difference(
            "tracks", path, "an edge from an object to its part is missing", where=f"{a} to {b}"
        )
        for a, b in sorted(divided.difference(edges))
    ]
    found.differences += [
        Difference("tracks", path, "an edge leads from one object to another", found=f"{a} to {b}")
        for a, b in strange
    ]
    return found


def _read(store: Store, path: str, zarr_format: int) -> tuple[list[Node], list[tuple[Node, Node]]]:
    """Nodes and edges of a GEFF graph."""

    def array(name: str) -> Any:
        return np.asarray(open_array(store, join(path, name), zarr_format)[:])

    ids = array("nodes/ids").tolist()
    labels = array("nodes/props/label/values").tolist()
    times = array("nodes/props/t/values").tolist()
    nodes = [(int(label), int(t)) for label, t in zip(labels, times, strict=True)]
    by_id = dict(zip(ids, nodes, strict=True))
    edges = [(by_id[a], by_id[b]) for a, b in array("edges/ids").reshape(-1, 2).tolist()]
    return nodes, edges


def _differences(
    path: str, what: str, wanted: Counter[Any], there: Counter[Any]
) -> Iterator[Difference]:
    for state, counts in (("is missing", wanted - there), ("is too many", there - wanted)):
        for label, at in sorted(counts):
            name = f"label {label}"
            yield Difference("tracks", path, f"a {what} {state}", where=f"t={at}", instance=name)
