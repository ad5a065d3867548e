"""Cell Tracking Challenge: label images equal the 16-bit TIFFs, links equal the lists of tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.measure
import tifffile
from makers import make_cell_tracking
from makers.paired import TRACKS
from stores import attributes, pixels, table

import ngff_bio
from ngff_bio.errors import NgffBioError

FLAT, DEEP = "PhC-C2DH-U373", "Fluo-N3DH-CE"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_cell_tracking(tmp_path / "in").root


def read(pattern: str, source: Path) -> np.ndarray:
    return np.stack([tifffile.imread(f) for f in sorted(source.glob(pattern))])


def test_movies_and_label_layers_are_the_files(source: Path, tmp_path: Path) -> None:
    store = tmp_path / "out.zarr"
    report = ngff_bio.convert(source, store)
    assert report.images == 3
    for image, axes in ((f"{FLAT}/01", "tyx"), (f"{FLAT}/02", "tyx"), (f"{DEEP}/01", "tzyx")):
        found = attributes(store, image)["ome"]["multiscales"][0]["axes"]
        assert "".join(a["name"] for a in found) == axes
        assert (pixels(store, image) == read(f"{image}/t*.tif", source)).all()
    for layer, files in {
        "gt-tra": "01_GT/TRA/man_track*.tif",
        "st-seg": "01_ST/SEG/man_seg*.tif",
        "err-seg": "01_ERR_SEG/mask*.tif",
        "res": "01_RES/mask*.tif",
    }.items():
        stored = pixels(store, f"{FLAT}/01/labels/{layer}")
        assert stored.dtype == np.uint16
        assert (stored == read(f"{FLAT}/{files}", source)).all()
        own = attributes(store, f"{FLAT}/01/labels/{layer}")["ngff_bio"]
        assert own["tracked"] == (layer in ("gt-tra", "res"))
    assert ngff_bio.verify(store, source, pixels=True).equal
    assert not [f for f in ngff_bio.validate(store) if f.level == "error"]


def test_partly_annotated_frames_are_stated(source: Path, tmp_path: Path) -> None:
    store = tmp_path / "out.zarr"
    report = ngff_bio.convert(source, store)
    gold = pixels(store, f"{FLAT}/01/labels/gt-seg")
    for t in range(4):
        file = source / FLAT / f"01_GT/SEG/man_seg{t:03}.tif"
        assert (gold[t] == (tifffile.imread(file) if file.exists() else 0)).all()
    about = attributes(store, f"{FLAT}/01/labels/gt-seg")["ngff_bio"]["attributes"]
    assert about["annotated_frames"] == [1, 3]
    deep = pixels(store, f"{DEEP}/01/labels/gt-seg")
    folder = source / DEEP / "01_GT/SEG"
    assert (deep[3] == tifffile.imread(folder / "man_seg003.tif")).all()
    for z in range(3):
        file = folder / f"man_seg_001_{z:03}.tif"
        assert (deep[1, z] == (tifffile.imread(file) if file.exists() else 0)).all()
    about = attributes(store, f"{DEEP}/01/labels/gt-seg")["ngff_bio"]["attributes"]
    assert (about["annotated_frames"], about["annotated_planes"]) == ([1, 3], [[1, 0], [1, 2]])
    assert sum("frames have labels" in n.what for n in report.notices) == 2


@pytest.mark.parametrize("image", [f"{FLAT}/01", f"{DEEP}/01"])
def test_divisions_are_links_of_the_graph(image: str, source: Path, tmp_path: Path) -> None:
    import geff

    store = tmp_path / "out.zarr"
    ngff_bio.convert(source, store)
    geff.validate_structure(store / image / "tracks/gt-tra")
    graph = ngff_bio.open(store)[image].tracks("gt-tra")
    at = {n: (one["label"], one["t"]) for n, one in graph.nodes(data=True)}
    follows = {((k, t), (k, t + 1)) for k, a, b, _ in TRACKS for t in range(a, b)}
    last = {k: b for k, _, b, _ in TRACKS}
    divides = {((p, last[p]), (k, a)) for k, a, _, p in TRACKS if p}
    assert {(at[a], at[b]) for a, b in graph.edges} == follows | divides
    labels = read(f"{image}_GT/TRA/man_track*.tif", source)
    for one in graph.nodes.values():
        found = next(
            r for r in skimage.measure.regionprops(labels[one["t"]]) if r.label == one["label"]
        )
        middle = [(a + b - 1) / 2 for a, b in np.reshape(found.bbox, (2, -1)).T]
        assert [one[a] for a in "zyx"[-len(middle) :]] == middle
    assert {one["label"]: one["lineage"] for one in graph.nodes.values()} == {
        1: 1,
        2: 1,
        3: 1,
        7: 7,
    }
    rows = table(store, image, "gt-tra")
    assert {(int(r.track_id), r.parent_id) for r in rows.itertuples()} == {
        (k, str(p) if p else None) for k, _, _, p in TRACKS
    }


def test_a_parent_without_pixels_is_a_warning(source: Path, tmp_path: Path) -> None:
    report = ngff_bio.convert(source, tmp_path / "a.zarr")
    assert not [n for n in report.notices if "pixels" in n.what]
    lines = "1 0 1 0\n2 2 3 1\n3 2 2 9\n7 3 3 0\n9 0 1 0\n"
    (source / FLAT / "01_GT/TRA/man_track.txt").write_text(lines)
    report = ngff_bio.convert(source, tmp_path / "out.zarr")
    listed, linked = [n for n in report.notices if "pixels" in n.what]
    assert (listed.kind, listed.record, listed.count) == ("warning", "01 track 9", 1)
    assert "no pixels: they are not in the store" in listed.what
    assert (linked.kind, linked.record) == ("warning", "01 track 3")


@pytest.mark.parametrize(
    ("lines", "record", "what"),
    [
        ("1 0 1 0\n2 2 3 9\n3 2 2 1\n7 3 3 0\n", "line 2", "is not in the list"),
        ("1 0 1 0\n2 2 3 1\n3 2 2 2\n7 3 3 0\n", "line 3", "does not end before"),
        ("1 0 1 0\n2 2 3\n", "line 2", "is not a track"),
        ("1 0 1 0\n1 2 3 0\n", "line 2", "is not a track"),
        ("1 0 1 0\n2 2 8 0\n3 2 2 1\n7 3 3 0\n", "track 2", "frames that are not there"),
        ("1 0 1 0\n2 2 3 1\n7 3 3 0\n", "track 3", "no such track"),
        ("1 1 1 0\n2 2 3 1\n3 2 2 1\n7 3 3 0\n", "track 1", "no such track"),
    ],
)
def test_a_wrong_list_of_tracks_is_one_error_or_is_skipped(
    lines: str, record: str, what: str, source: Path, tmp_path: Path
) -> None:
    (source / FLAT / "01_GT/TRA/man_track.txt").write_text(lines)
    with pytest.raises(NgffBioError, match=what) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert error.value.file == f"{FLAT}/01_GT/TRA/man_track.txt"
    assert error.value.record == record
    report = ngff_bio.convert(source, tmp_path / "a.zarr", on_error="skip")
    # Labels that do not fit their list are a wrong image, as wrong pixels are anywhere.
    assert report.images == (2 if what == "no such track" else 3)
    assert any("list" in n.what or "track" in n.what for n in report.notices)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda s: (s / "01/t003.tif").unlink(), "frame that is not there"),
        (lambda s: [f.unlink() for f in (s / "01").iterdir()], "without its frames"),
        (
            lambda s: tifffile.imwrite(s / "01_ST/SEG/man_seg002.tif", np.ones((9, 9), "u2")),
            "differ",
        ),
    ],
)
def test_labels_that_do_not_fit_are_one_error_or_are_skipped(
    change: object, what: str, source: Path, tmp_path: Path
) -> None:
    change(source / FLAT)  # type: ignore[operator]
    with pytest.raises(NgffBioError, match=what):
        ngff_bio.convert(source, tmp_path / "out.zarr")
    report = ngff_bio.convert(source, tmp_path / "a.zarr", on_error="skip")
    assert any(n.kind == "skipped" for n in report.notices)


def test_a_flat_frame_of_a_volume_is_one_error(source: Path) -> None:
    first = tifffile.imread(source / DEEP / "01" / "t000.tif")
    tifffile.imwrite(source / DEEP / "01" / "t001.tif", first[:, 0])  # as many rows as planes
    with pytest.raises(NgffBioError, match="differ in type or shape") as caught:
        ngff_bio.convert(source, source.parent / "out.zarr")
    assert caught.value.file == f"{DEEP}/01/t001.tif"
