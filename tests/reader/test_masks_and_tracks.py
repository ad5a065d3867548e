"""Masks are whole where instances cover each other; tracks lead from frame to frame; thumbnails."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import regionprops
from written_stores import CLASSES, HOURS, OVERLAPPING, example_pixels, our_image, our_plate

import ngff_bio
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.errors import ArgumentError, DependencyError, NameNotFoundError
from ngff_bio.model import (
    ArrayPixels,
    Instance,
    InstanceLayer,
    Polygons,
    SourceDataset,
    SourceImage,
    axes_from,
)
from ngff_bio.reader.analysis.masks import boxes_of
from ngff_bio.storage import FolderStorage, MemoryStorage


@pytest.fixture(scope="module")
def plate() -> ngff_bio.reader.Dataset:
    storage = MemoryStorage()
    our_plate(storage)
    return ngff_bio.open(storage)


def test_instances_are_whole_where_others_cover_them(plate: ngff_bio.reader.Dataset) -> None:
    image = plate["B/7/0"]
    found = image.instances("cell", t=1)
    assert [m.label for m in found] == [6, 7, 8, 9, 10]
    for mask, (x, y, w, h) in zip(found, OVERLAPPING, strict=True):
        assert mask.axes == ("y", "x")
        assert mask.box == ((y, y + h), (x, x + w))
        assert mask.mask.all()
    rows = image.annotations("cell", t=1).set_index("label")
    assert [m.label_image for m in found] == rows["label_image"].tolist()
    assert any(m.hidden for m in found)
    shown = image.instances("cell", t=1, hidden=False)
    assert [m.mask.all() and m.mask.sum() == w * h for m, (_, _, w, h) in
            zip(shown, OVERLAPPING, strict=True)] == [not m.hidden for m in found]  # fmt: skip


def test_instances_in_a_region_are_cut_off_at_its_border(plate: ngff_bio.reader.Dataset) -> None:
    image = plate["B/7/0"]
    found = image.instances(t=0, x=(12, 60), y=(0, 45), units="pixel")
    assert {m.label: m.box for m in found} == {
        1: ((5, 25), (12, 35)),
        2: ((8, 14), (12, 16)),
        3: ((40, 45), (50, 60)),
    }
    in_time = image.instances(x=(0, 9), y=(0, 9), units="pixel")
    assert [m.axes for m in in_time] == [("t", "y", "x")] * 3
    assert [m.offset for m in in_time] == [(t, 5, 5) for t in range(3)]


def test_the_label_image_has_to_be_named_where_there_are_several() -> None:
    storage = MemoryStorage()
    layers = tuple(InstanceLayer(n, Moving(), count=3, max_value=2) for n in ("cell", "nucleus"))
    image = SourceImage(
        "", "a", axes_from("tyx"), ArrayPixels(example_pixels(0, (3, 20, 20))), layers
    )
    write_dataset(SourceDataset("a", "a", "a", "image", (image,)), storage, Settings())
    with pytest.raises(ArgumentError, match="cell, nucleus"):
        ngff_bio.open(storage)[""].instances()


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 4))
)
def test_boxes_are_those_of_regionprops(values: np.ndarray) -> None:
    expected = [
        (r.label, ((r.bbox[0], r.bbox[2]), (r.bbox[1], r.bbox[3]))) for r in regionprops(values)
    ]
    assert boxes_of(values) == expected


class Moving:
    """Two objects over three frames; the second one is not seen in the middle."""

    def read(self, t: int) -> list[Instance]:
        def square(value: int, x: float, y: float) -> Instance:
            outline = Polygons(([x, y, x + 4, y, x + 4, y + 4, x, y + 4],))
            box = (x, y, 4.0, 4.0)
            return Instance(value, outline, t=t, box=box, track_id=value + 40, category="cell")

        both = [square(1, 2 + 3 * t, 3), square(2, 10, 12)]
        return both[:1] if t == 1 else both


@pytest.fixture(params=["0.4", "0.5"])
def tracked(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    layer = InstanceLayer("cell", Moving(), count=5, max_value=2, tracked=True)
    axes = axes_from("tyx", t=(24, "hour"))
    image = SourceImage("", "a", axes, ArrayPixels(example_pixels(0, (3, 20, 20))), (layer,))
    dataset = SourceDataset("a", "a", "a", "image", (image,))
    write_dataset(dataset, FolderStorage(tmp_path / "t"), Settings(version=request.param))
    return tmp_path / "t"


def test_tracks_are_the_graph_of_the_store(tracked: Path) -> None:
    for place in (tracked, _in_memory(tracked)):
        image = ngff_bio.open(place)[""]
        graph = image.tracks()
        known = graph.nodes(data=True)
        assert sorted((n["label"], n["t"]) for _, n in known) == [
            (1, 0), (1, 1), (1, 2), (2, 0), (2, 2),
        ]  # fmt: skip
        edges = {tuple((known[n]["label"], known[n]["t"]) for n in edge) for edge in graph.edges}
        assert edges == {((1, 0), (1, 1)), ((1, 1), (1, 2)), ((2, 0), (2, 2))}
        assert image.tracks("cell").number_of_nodes() == 5
        with pytest.raises(NameNotFoundError, match="cell"):
            image.tracks("nucleus")


@pytest.mark.parametrize("package", ["networkx", "geff"])
def test_without_its_library_a_track_graph_names_the_extra(
    package: str, tracked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError, match=re.escape("pip install 'ngff-bio[tracks]'")):
        ngff_bio.open(tracked)[""].tracks()


def _in_memory(folder: Path) -> MemoryStorage:
    return MemoryStorage(
        {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    )


def test_labels_that_keep_their_value_give_tracks_without_a_graph(tracked: Path) -> None:
    storage = _in_memory(tracked)
    for key in [k for k in storage.objects if k.startswith("tracks/")]:
        storage.delete(key)
    for name in ("zarr.json", ".zmetadata"):
        if name in storage.objects:
            root = json.loads(storage.objects[name])
            known = root["consolidated_metadata"]["metadata"] if name == "zarr.json" else root[
                "metadata"
            ]  # fmt: skip
            for key in [k for k in known if k.startswith("tracks")]:
                del known[key]
            storage.put(name, json.dumps(root).encode())
    graph = ngff_bio.open(storage)[""].tracks()
    assert set(graph.edges) == {((1, 0), (1, 1)), ((1, 1), (1, 2)), ((2, 0), (2, 2))}
    assert graph.nodes[2, 2]["track_id"] == "42"
    assert networkx.is_directed_acyclic_graph(graph)


def test_an_image_without_tracks_is_an_error(plate: ngff_bio.reader.Dataset) -> None:
    with pytest.raises(NameNotFoundError, match="no tracks"):
        plate["B/7/0"].tracks()


def test_a_thumbnail_shows_the_pixels_in_the_channels_colours() -> None:
    storage = MemoryStorage()
    our_image(storage)
    image = ngff_bio.open(storage)[""]
    drawn = image.thumbnail(60)
    assert max(drawn.size) == 60
    whole = np.asarray(image.thumbnail(400))
    assert whole.shape == (96, 120, 3)
    window = image.meta.channels
    shades = [
        np.clip((plane.astype(float) - c.start) / (c.end - c.start), 0, 1)[..., None]
        * [int(c.color[i : i + 2], 16) for i in (0, 2, 4)]
        for plane, c in zip(example_pixels(), window, strict=True)
    ]
    expected = np.clip(sum(shades), 0, 255)
    assert np.abs(whole - expected).max() <= 2
    marked = np.asarray(image.thumbnail(400, labels="cell")).astype(int)
    labelled = image.label("cell").array(0)[...] != 0
    assert (marked != whole).any(-1)[labelled].mean() > 0.9
    assert not (marked != whole).any(-1)[~labelled].any()


def test_a_thumbnail_reads_a_small_level_and_the_plane_that_is_named(
    plate: ngff_bio.reader.Dataset,
) -> None:
    image = plate["C/7/1"]
    last = np.asarray(image.thumbnail(400, t=2)).astype(int)
    assert (last != np.asarray(image.thumbnail(400, t=0))).any()
    plane = example_pixels(3, (3, 96, 120))[2]
    order = np.argsort(plane, axis=None)
    assert (np.diff(last[..., 0].reshape(-1)[order]) >= 0).all()
    from counting import CountingStorage

    counted = CountingStorage(image.storage)
    ngff_bio.open(counted)["C/7/1"].thumbnail(50)
    assert {k.split("/")[3] for _, k in counted.asked if k.startswith("C/7/1/")} == {"1"}


def test_notebooks_show_tables_and_thumbnails_on_request(plate: ngff_bio.reader.Dataset) -> None:
    text = plate._repr_html_()
    assert "C/7/1" in text
    assert "img" not in text
    assert plate.show(limit=2)._repr_html_().count("data:image/png") == 2
    assert "and 2 more" in plate.html(limit=2)
    with pytest.warns(DeprecationWarning, match="use limit"):
        assert "and 2 more" in plate.html(most=2)
    one = plate["C/7/1"]
    assert "0.25 micrometer" in one._repr_html_()
    assert "data:image/png" in one.html(thumbnail=True)
    assert "C/7/1: t3 y96 x120" in repr(plate)
    assert len(HOURS) == 3
    assert CLASSES[0] in plate["C/7/1"].annotations()["category"].tolist()
