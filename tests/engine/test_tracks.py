"""Graphs of tracks: valid GEFF, the same nodes and edges as the table, the same bytes each time."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import geff
import networkx as nx
import numpy as np
import pyarrow.parquet as pq
import pytest
import zarr
from geff.validate.tracks import validate_lineages, validate_tracklets
from makers import make_organoid

from ngff_bio.conversion import convert
from ngff_bio.engine import Settings
from ngff_bio.engine.write.tables import instance_table
from ngff_bio.engine.write.tracks import graph_of
from ngff_bio.model import Box, Instance, Polygons, Rle
from ngff_bio.storage import MemoryStorage

PATH = "Tracking/E/4/0"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracks")
    truth = make_organoid(folder, trees=["Tracking"])
    convert(truth.root, folder / "out.zarr")
    return folder / "out.zarr"


def test_the_graph_reads_with_the_formats_own_library(store: Path) -> None:
    graph, metadata = geff.read(str(store / PATH / "tracks/organoid"), structure_validation=True)
    assert isinstance(graph, nx.DiGraph)
    assert [a.name for a in metadata.axes or ()] == ["t", "y", "x"]
    time = (metadata.axes or ())[0]
    assert (time.scale, time.scaled_unit) == (24.0, "hour")


def test_nodes_are_the_rows_of_the_table_and_edges_lead_to_the_next_frame(store: Path) -> None:
    rows = pq.read_table(store / PATH / "tables/organoid/table.parquet").to_pylist()
    graph, _ = geff.read(str(store / PATH / "tracks/organoid"))
    nodes = {(d["label"], d["t"]): d for _, d in graph.nodes(data=True)}
    assert len(nodes) == graph.number_of_nodes() == len(rows)
    times = defaultdict(list)
    for row in rows:
        node = nodes[row["label"], row["t"]]
        assert node["x"] == pytest.approx(row["box_x"] + row["box_width"] / 2 - 0.5)
        assert node["y"] == pytest.approx(row["box_y"] + row["box_height"] / 2 - 0.5)
        assert str(node["track_id"]) == row["track_id"]
        times[row["label"]].append(row["t"])
    expected = {
        ((label, a), (label, b))
        for label, seen in times.items()
        for a, b in zip(sorted(seen), sorted(seen)[1:], strict=False)
    }
    found = {
        tuple((graph.nodes[n]["label"], graph.nodes[n]["t"]) for n in edge) for edge in graph.edges
    }
    assert found == expected


def test_label_values_are_tracklets_and_lineages_of_the_graph(store: Path) -> None:
    group = zarr.open_group(str(store / PATH / "tracks/organoid"), mode="r")
    ids, edges = group["nodes/ids"][:], group["edges/ids"][:]
    labels = group["nodes/props/label/values"][:]
    assert validate_tracklets(ids, edges, labels) == (True, [])
    assert validate_lineages(ids, edges, labels) == (True, [])
    assert group.attrs["geff"]["track_node_props"] == {"lineage": "label", "tracklet": "label"}


def test_the_graph_names_its_label_image_and_the_label_image_names_it(store: Path) -> None:
    place = store / PATH / "tracks/organoid"
    related = json.loads((place / "zarr.json").read_text())["attributes"]["geff"]["related_objects"]
    for one in related:
        assert (place / one["path"] / "zarr.json").exists()
    labels = store / PATH / "labels/organoid"
    own = json.loads((labels / "zarr.json").read_text())["attributes"]["ngff_bio"]
    assert (labels / own["tracks"] / "zarr.json").resolve() == (place / "zarr.json").resolve()


def test_the_graph_is_in_the_consolidated_metadata(store: Path) -> None:
    root = json.loads((store / "zarr.json").read_text())
    listed = root["consolidated_metadata"]["metadata"]
    assert "geff" in listed[f"{PATH}/tracks/organoid"]["attributes"]
    assert f"{PATH}/tracks/organoid/nodes/ids" in listed


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_two_conversions_give_the_same_bytes(version: str, tmp_path: Path) -> None:
    truth = make_organoid(tmp_path, trees=["Tracking"])
    found = []
    for _ in range(2):
        storage = MemoryStorage()
        convert(truth.root, storage, settings=Settings(version=version))
        keys = [k for k in storage.objects if "/tracks/" in k]
        assert keys
        found.append({k: storage.get(k) for k in keys})
    assert found[0] == found[1]


def test_a_graph_in_a_store_of_version_0_4_reads_too(tmp_path: Path) -> None:
    truth = make_organoid(tmp_path, trees=["Tracking"])
    convert(truth.root, tmp_path / "out.zarr", settings=Settings(version="0.4"))
    graph, _ = geff.read(str(tmp_path / "out.zarr" / PATH / "tracks/organoid"))
    boxes = sum(len(f.boxes) for f in truth.wells["Tracking/W_E4_12"].frames)
    assert graph.number_of_nodes() == boxes
    assert np.isfinite([d["x"] for _, d in graph.nodes(data=True)]).all()


def test_an_edge_spans_frames_where_the_object_is_not_seen() -> None:
    seen = [(2, 0), (1, 0), (1, 3), (2, 1), (1, 4)]
    instances = [
        Instance(value, Box(0, 0, 4, 2), t=t, track_id=f"{value * 5}", box=(t, 0.0, 4.0, 2.0))
        for value, t in seen
    ]
    graph = graph_of(instance_table(instances, ["cell"] * 5, [8] * 5))
    nodes = list(zip(graph.label.tolist(), graph.t.tolist(), strict=True))
    assert nodes == sorted(seen)
    assert [(nodes[a], nodes[b]) for a, b in graph.edges.tolist()] == [
        ((1, 0), (1, 3)),
        ((1, 3), (1, 4)),
        ((2, 0), (2, 1)),
    ]
    np.testing.assert_array_equal(graph.centre, [[0.5, t + 1.5] for _, t in nodes])
    assert graph.track is not None
    assert graph.track.tolist() == [5, 5, 5, 10, 10]


def test_an_object_without_a_box_is_where_its_outline_or_mask_is() -> None:
    square = Polygons(((1.0, 2.0, 5.0, 2.0, 5.0, 8.0, 1.0, 8.0),))
    mask = Rle((4, 6), [4, 2, 2, 2, 14])
    instances = [Instance(1, square, track_id="a"), Instance(2, mask, track_id="7")]
    graph = graph_of(instance_table(instances, ["cell"] * 2, [1, 4]))
    np.testing.assert_array_equal(graph.centre, [[4.5, 2.5], [0.5, 1.5]])
    assert graph.track is None
