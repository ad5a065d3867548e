"""Tracks as a graph in the store: GEFF (https://liveimagetrackingtools.org/geff), the field's format.

A node is an object on a frame, an edge leads to the same object on a later frame, or from an object to
the parts that it divides into. The graph is stored
beside the image's labels and tables, at ``tracks/<layer>``; its attributes name the label image and
the property of a node that is the label value there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.engine.write.checksums import ChecksummingWriter
from ngff_bio.model import Axis, LabelLayer, PixelArray, SourceImage
from ngff_bio.raster.coco_rle import rasterize_rles

if TYPE_CHECKING:
    import pyarrow as pa

#: Name of the group that holds the graphs of an image.
GROUP = "tracks"

_DOCUMENTS = ("zarr.json", ".zgroup", ".zattrs", ".zarray")


@dataclass(slots=True)
class TrackGraph:
    """Nodes and edges, and what a node is.

    Parameters
    ----------
    label, t
        int64; label value and frame of each node, sorted by both.
    axes
        ``yx`` or ``zyx``.
    centre
        float64 (nodes, axes): the middle of its box, in pixels; 0 is the middle of the first pixel.
    track
        int64; the source's own id of the object; ``None`` if ids are not all integers (strings have
        no stable form in Zarr v3, and are in the table only).
    edges
        uint64 (edges, 2): numbers of the nodes that follow each other.
    lineage
        int64; label value of the first ancestor of each node.
    """

    label: NDArray[np.int64]
    t: NDArray[np.int64]
    axes: str
    centre: NDArray[np.float64]
    track: NDArray[np.int64] | None
    edges: NDArray[np.uint64]
    lineage: NDArray[np.int64]


def graph_of(table: pa.Table, parents: Mapping[int, int] | None = None) -> TrackGraph:
    """The graph of a layer's table: one node for each label value and frame.

    An object with two outlines on a frame is one node, in the middle of both. One without an outline
    on a frame (out of sight, or a point) has no node there.

    Parameters
    ----------
    parents
        As in `VolumeLayer`: an edge leads from the last node of a parent to the first of each part.
    """
    axes = "zyx" if "z_start" in table.column_names else "yx"
    boxes = _extents(table, axes) if "y_start" in table.column_names else _boxes(table)
    seen = ~np.isnan(boxes).any(axis=1)
    boxes, table = boxes[seen], table.filter(seen)
    label = table["label"].to_numpy().astype(np.int64)
    t = table["t"].to_numpy().astype(np.int64)
    names = table["track_id"].to_pylist()
    order = np.lexsort((t, label))
    key = np.stack([label[order], t[order]], axis=1)
    first = np.flatnonzero(np.r_[True, (key[1:] != key[:-1]).any(axis=1)][: len(key)])
    count = len(axes)
    low, high = np.empty((2, 0, count))
    if len(first):
        low = np.minimum.reduceat(boxes[order, :count], first)
        high = np.maximum.reduceat(boxes[order, count:], first)
    labels, times = key[first, 0], key[first, 1]
    same = np.flatnonzero(labels[1:] == labels[:-1])
    edges = np.stack([same, same + 1], axis=1)
    values, begin = np.unique(labels, return_index=True)
    ends = dict(zip(values.tolist(), np.append(begin, len(labels))[1:] - 1, strict=True))
    begins = dict(zip(values.tolist(), begin, strict=True))
    divided = [
        (ends[parent], begins[child])
        for child, parent in sorted((parents or {}).items())
        if child in begins and parent in ends
    ]
    if divided:
        edges = np.concatenate([edges, np.array(divided, edges.dtype)])
    return TrackGraph(
        label=labels,
        t=times,
        axes=axes,
        # Sources count from the corner of the first pixel, stores from its center.
        centre=(low + high) / 2 - 0.5,
        track=_integers([names[order[i]] for i in first]),
        edges=edges.astype(np.uint64),
        lineage=_roots(labels, {int(labels[b]): int(labels[a]) for a, b in divided}),
    )


def _roots(labels: NDArray[np.int64], parents: Mapping[int, int]) -> NDArray[np.int64]:
    """The first ancestor of each label value. A parent is before its parts, so there is no circle."""
    if not parents:
        return labels
    found: dict[int, int] = {}
    for label in np.unique(labels).tolist():
        at = label
        while at in parents:
            at = parents[at]
        found[label] = at
    return np.array([found[label] for label in labels.tolist()], np.int64)


def _integers(names: list[str | None]) -> NDArray[np.int64] | None:
    try:
        numbers = [int(n or "") for n in names]
    except ValueError:
        return None
    as_they_were = all(str(number) == name for number, name in zip(numbers, names, strict=True))
    fits = all(-(2**63) <= n < 2**63 for n in numbers)
    return np.array(numbers, np.int64) if as_they_were and fits else None


def write_tracks(
    image: SourceImage,
    layer: LabelLayer,
    table: pa.Table,
    zarr_format: int,
    writer: ChecksummingWriter,
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Write the arrays of a tracked layer's graph.

    Returns
    -------
    groups, arrays
        Metadata documents by path, for the caller to write later: attributes of groups, whole
        documents of arrays.
    """
    import zarr
    from zarr.storage import MemoryStore

    parents = layer.parents
    graph = graph_of(table, parents)
    properties: dict[str, PixelArray] = {
        "t": graph.t,
        **{axis: graph.centre[:, i] for i, axis in enumerate(graph.axes)},
        "label": graph.label.astype(np.uint64),
    }
    if parents:
        properties["lineage"] = graph.lineage.astype(np.uint64)
    if graph.track is not None:
        properties["track_id"] = graph.track
    held: dict[str, Any] = {}
    root = zarr.open_group(MemoryStore(held), mode="w", zarr_format=2 if zarr_format == 2 else 3)
    _write_array(root, "nodes/ids", np.arange(len(graph.label), dtype=np.uint64))
    _write_array(root, "edges/ids", graph.edges)
    for name, values in properties.items():
        _write_array(root, f"nodes/props/{name}/values", values)
    root.attrs["geff"] = _metadata(image, layer, properties)
    path = f"{image.path}/{GROUP}/{layer.name}".lstrip("/")
    return _stored(path, {k: bytes(v.to_bytes()) for k, v in held.items()}, writer)


def _write_array(root: Any, path: str, values: PixelArray) -> None:
    """Write one array in chunks of whole rows and at most 8 MiB, as the geff library has them."""
    from zarr.codecs import Crc32cCodec, ZstdCodec

    if not len(values):
        root[path] = values
        return
    rows = (1 << 23) // values[:1].nbytes
    array = root.create_array(
        path,
        shape=values.shape,
        dtype=values.dtype,
        chunks=(min(len(values), 1 << (rows.bit_length() - 1)), *values.shape[1:]),
        compressors="auto" if root.metadata.zarr_format == 2 else [ZstdCodec(), Crc32cCodec()],
    )
    array[:] = values


def _metadata(image: SourceImage, layer: LabelLayer, properties: Mapping[str, PixelArray]) -> Any:
    """The ``geff`` attribute, as the models of the specification write it."""
    from geff_spec import Axis as GraphAxis
    from geff_spec import GeffMetadata, PropMetadata, RelatedObject

    offsets = dict(zip(image.axis_names, image.translation or (), strict=False))

    def axis(one: Axis) -> Any:
        time = one.name == "t"
        given: dict[str, Any] = {"name": one.name, "type": "time" if time else "space"}
        if not time:
            given["unit"] = "pixel"
        if one.scale is not None:
            given |= {"scale": one.scale, "scaled_unit": one.unit}
        if offsets.get(one.name):
            given["offset"] = offsets[one.name]
        if len(values := properties[one.name]):
            given |= {"min": values.min().item(), "max": values.max().item()}
        return GraphAxis(**given)

    metadata = GeffMetadata(
        directed=True,
        axes=[axis(a) for a in image.axes if a.name in properties],
        node_props_metadata={
            name: PropMetadata(identifier=name, dtype=values.dtype.name)
            for name, values in properties.items()
        },
        edge_props_metadata={},
        track_node_props={
            "lineage": "lineage" if "lineage" in properties else "label",
            "tracklet": "label",
        },
        related_objects=[
            RelatedObject(type="labels", path=f"../../labels/{layer.name}", node_prop="label"),
            RelatedObject(type="image", path="../.."),
        ],
    )
    return metadata.model_dump(mode="json")


def _stored(
    path: str, held: Mapping[str, bytes], writer: ChecksummingWriter
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Write chunks, and sort metadata documents into groups and arrays."""
    groups: dict[str, dict[str, Any]] = {}
    arrays: dict[str, dict[str, Any]] = {}
    for key, data in sorted(held.items()):
        folder, _, name = key.rpartition("/")
        place = f"{path}/{folder}".rstrip("/")
        if name not in _DOCUMENTS:
            writer.put(f"{path}/{key}", data)
            continue
        document = json.loads(data)
        if name == ".zarray" or document.get("node_type") == "array":
            arrays[place] = document
        elif name == ".zattrs":
            groups.setdefault(place, {}).update(document)
        else:
            groups.setdefault(place, {}).update(document.get("attributes", {}))
    return {p: a for p, a in groups.items() if p not in arrays}, arrays


def _extents(table: pa.Table, axes: str) -> NDArray[np.float64]:
    """Start along each axis and stop along each, of each row of a label image's table."""
    names = [*(f"{a}_start" for a in axes), *(f"{a}_stop" for a in axes)]
    return np.stack([table[n].to_numpy().astype(np.float64) for n in names], axis=1)


def _boxes(table: pa.Table) -> NDArray[np.float64]:
    """y0, x0, y1, x1 of each row: the source's box, or what its outline or its mask spans."""
    x, y, width, height = (
        table[f"box_{name}"].to_numpy(zero_copy_only=False).astype(np.float64)
        for name in ("x", "y", "width", "height")
    )
    boxes = np.stack([y, x, y + height, x + width], axis=1)
    for row in np.flatnonzero(np.isnan(boxes).any(axis=1)).tolist():
        boxes[row] = _extent({k: table[k][row].as_py() for k in _GEOMETRY})
    return boxes


_GEOMETRY = ("polygons", "rle_size", "rle_counts", "rle_runs", "label")


def _extent(row: dict[str, Any]) -> tuple[float, float, float, float]:
    points = [v for part in row["polygons"] or () for v in part]
    if points:
        xs, ys = points[0::2], points[1::2]
        return min(ys), min(xs), max(ys), max(xs)
    if row["rle_size"] is not None:
        counts = row["rle_counts"] if row["rle_counts"] is not None else row["rle_runs"]
        height, width = row["rle_size"]
        runs = rasterize_rles([{"size": [height, width], "counts": counts}], (height, width))
        (y0, x0), (y1, x1) = runs.bboxes()[0].tolist()
        return y0, x0, y1, x1
    return (math.nan,) * 4
