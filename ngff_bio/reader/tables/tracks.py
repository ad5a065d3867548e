"""Tracks as a graph: from the GEFF graph of a store, or from labels that keep their value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ngff_bio.errors import (
    NameNotFoundError,
    NgffBioError,
    StoreError,
    import_optional,
    plain_reason,
)
from ngff_bio.reader.access.image import ImageNode
from ngff_bio.reader.tables.tables import read_tables

if TYPE_CHECKING:
    import networkx as nx

#: What pip installs to read track graphs.
_EXTRA = "ngff-bio[tracks]"

_COLUMNS = ("t", "label", "track_id", "category", "box_x", "box_y", "box_width", "box_height",
            *(f"{axis}_{end}" for axis in "zyx" for end in ("start", "stop")))  # fmt: skip


def read_tracks(image: ImageNode, name: str | None = None) -> nx.DiGraph:
    """Tracks of an image; see :meth:`ngff_bio.reader.Image.tracks`."""
    graphs = _graphs(image)
    layers = [n for n in image.layers if image.label_attributes(n).get("tracked")]
    names = list(graphs) or layers
    if name is None and len(names) == 1:
        name = names[0]
    if name in graphs:
        return _read_geff(image, graphs[name])
    if name is not None and name in layers and name in image.tables:
        return _from_table(image, name)
    raise NameNotFoundError(
        "no tracks" if name is None else f"no tracks {name!r}",
        file=image.url,
        expected=", ".join(dict.fromkeys([*graphs, *layers])) or "this image has no tracks",
    )


def _graphs(image: ImageNode) -> dict[str, str]:
    """GEFF groups by name: ``tracks`` itself, or those below it."""
    nodes, top = image.nodes, image.below("tracks")
    attributes = nodes.attributes(top)
    if attributes is None:
        return {}
    if "geff" in attributes:
        return {"tracks": top}
    listed = attributes.get("tracks")
    names = list(listed) if isinstance(listed, list) else []
    if not names:
        start = f"{top}/"
        below = [p[len(start) :] for p in nodes.paths_with("geff") if p.startswith(start)]
        named = [n for n in image.layers if image.label_attributes(n).get("tracks")]
        names = [n for n in below if "/" not in n] or named or list(image.tables)
    return {n: f"{top}/{n}" for n in names if "geff" in (nodes.attributes(f"{top}/{n}") or {})}


def _read_geff(image: ImageNode, path: str) -> nx.DiGraph:
    import_optional("networkx", _EXTRA)
    geff = import_optional("geff", _EXTRA)
    from ngff_bio.zarrio.zarr_python import StorageStore

    storage = image.storage
    try:
        # geff opens groups for reading and writing, which a read-only store refuses; nothing is
        # written, and a write would fail.
        graph: nx.DiGraph
        graph, _ = geff.read(StorageStore(storage, path, read_only=False), backend="networkx")
    except NgffBioError:
        raise
    except (ValueError, KeyError, OSError) as error:
        raise StoreError(
            "the graph of tracks cannot be read",
            file=f"{storage.url}/{path}",
            found=plain_reason(error),
        ) from error
    return graph


def _from_table(image: ImageNode, name: str) -> nx.DiGraph:
    graph: nx.DiGraph = import_optional("networkx", _EXTRA).DiGraph()
    rows = read_tables([image], name, image.url).sort_values(["t", "label"])
    last: dict[int, tuple[int, int]] = {}
    for row in rows.to_dict("records"):
        node = (int(row["label"]), int(row["t"]))
        graph.add_node(node, **{k: row[k] for k in _COLUMNS if row.get(k) is not None})
        if last.get(node[0], node) != node:
            graph.add_edge(last[node[0]], node)
        last[node[0]] = node
    return graph
