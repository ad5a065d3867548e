"""Tracks as a graph: from the GEFF graph of a store, or from labels that keep their value."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ngff_bio.errors import DependencyError, NameNotFoundError, NgffBioError, StoreError

if TYPE_CHECKING:
    import networkx as nx

    from ngff_bio.reader.access.image import Image


def read_tracks(image: Image, name: str | None = None) -> nx.DiGraph:
    """Tracks of an image.

    A GEFF graph below ``tracks`` is read as it is. Where there is none, a label layer whose values
    are the same object over time gives them: a node ``(label, t)`` for each row of its table, and
    an edge to the next frame in which the value is seen.

    Parameters
    ----------
    name
        Name of the graph, or of the label layer; may be left out where there is one only.

    Raises
    ------
    ngff_bio.errors.NameNotFoundError
        If there is no such graph and no such layer.
    ngff_bio.errors.DependencyError
        If networkx, or for a GEFF graph geff, is not installed.
    """
    networkx = _imported("networkx")
    graphs = _graphs(image)
    layers = [n for n in image.layers if image.label_attributes(n).get("tracked")]
    names = list(graphs) or layers
    if name is None and len(names) == 1:
        name = names[0]
    if name in graphs:
        return _read_geff(image, graphs[name])
    if name is not None and name in layers and name in image.tables:
        return _from_table(networkx, image.annotations(name, to="pandas"))
    raise NameNotFoundError(
        "no tracks" if name is None else f"no tracks {name!r}",
        file=image.url,
        expected=", ".join(dict.fromkeys([*graphs, *layers])) or "this image has no tracks",
    )


def _imported(package: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise DependencyError(
            f"{package} is not installed",
            expected=package,
            found=error,
            hint="pip install 'ngff-bio[tracks]'",
        ) from error


def _graphs(image: Image) -> dict[str, str]:
    """GEFF groups by name: ``tracks`` itself, or those below it."""
    nodes, top = image._nodes, image._below("tracks")
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


def _read_geff(image: Image, path: str) -> Any:
    geff = _imported("geff")
    from ngff_bio.zarrio.zarr_python import StorageStore

    storage = image._nodes.storage
    try:
        # geff opens groups for reading and writing, which a store that says it is for reading
        # refuses; nothing is written, and a write would fail.
        graph, _ = geff.read(StorageStore(storage, path, read_only=False), backend="networkx")
    except NgffBioError:
        raise
    except (ValueError, KeyError, OSError) as error:
        raise StoreError(
            "the graph of tracks cannot be read",
            file=f"{storage.url}/{path}",
            found=f"{type(error).__name__}: {error}",
        ) from error
    return graph


def _from_table(networkx: Any, table: Any) -> Any:
    graph = networkx.DiGraph()
    last: dict[int, tuple[int, int]] = {}
    for row in table.sort_values(["t", "label"]).to_dict("records"):
        node = (int(row["label"]), int(row["t"]))
        known = {
            k: row[k]
            for k in ("t", "label", "track_id", "category", "box_x", "box_y", "box_width",
                      "box_height")
            if row.get(k) is not None
        }  # fmt: skip
        graph.add_node(node, **known)
        if node[0] in last and last[node[0]] != node:
            graph.add_edge(last[node[0]], node)
        last[node[0]] = node
    return graph
