"""QuPath, ImageJ, Cell Tracking Challenge, Cellpose, StarDist, nnU-Net: read back by own rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import roifile
import tifffile
from makers import (
    make_cell_tracking,
    make_cellpose,
    make_nnunet,
    make_object_masks,
    make_qupath,
    make_rois,
)
from makers.paired import SIZE, TRACKS, gray, labels_of, put
from skimage.draw import polygon2mask
from skimage.io import imread
from stores import mask_of, pixels, table

import ngff_bio
from ngff_bio.errors import ArgumentError


def exported(source: Path, to: str, **options: Any) -> tuple[Path, Path, Any]:
    store, out = source.parent / "out.zarr", source.parent / "back"
    ngff_bio.convert(source, store, overwrite=True)
    report = ngff_bio.export(store, out, to=to, overwrite=True, **options)
    return store, out, report


def filled(*rings: Any) -> np.ndarray:
    found = np.zeros(SIZE, bool)
    for ring in rings:
        found ^= polygon2mask(SIZE, np.asarray(ring, float)[:, ::-1] - 0.5)
    return found


def test_geojson_of_qupath_is_the_source_again(tmp_path: Path) -> None:
    source = make_qupath(tmp_path / "in").root
    _, out, report = exported(source, "qupath")
    assert report.instances == 6
    for name in ("slide a.geojson", "b.json"):
        assert json.loads((out / name).read_text()) == json.loads((source / name).read_text())


def test_masks_as_geojson_are_the_same_pixels(tmp_path: Path) -> None:
    source = make_object_masks(tmp_path / "in").root
    store, out, report = exported(source, "qupath")
    assert report.instances == 4
    features = json.loads(next(out.rglob("a1f0.geojson")).read_text())["features"]
    rows = table(store, "stage1_train/a1f0", "masks").to_dict("records")
    for feature, row in zip(features, rows, strict=True):
        assert feature["geometry"]["type"] == "Polygon"
        mask = imread(source / json.loads(row["record"])["file"]) > 0
        assert (filled(*feature["geometry"]["coordinates"]) == mask).all()


def test_rois_of_imagej_are_the_source_again(tmp_path: Path) -> None:
    source = make_rois(tmp_path / "in").root
    _, out, report = exported(source, "roi-set")
    for name in ("cells_RoiSet.zip", "one/poly.roi", "one/oval.roi"):
        assert roifile.roiread(out / name) == roifile.roiread(source / name)
    overlays = tifffile.TiffFile(source / "movie.tif").imagej_metadata["Overlays"]
    assert [r.tobytes() for r in roifile.roiread(out / "movie_RoiSet.zip")] == overlays
    assert any("OME" in n.what for n in report.skipped)


def test_masks_with_holes_as_rois_are_the_same_pixels(tmp_path: Path) -> None:
    labels = labels_of(1)
    labels[20:36, 2:20] = 9
    labels[25:30, 6:12] = 0
    labels[2:5, 40:44] = 9
    put(tmp_path / "in/a.tif", gray(1))
    put(tmp_path / "in/a_mask.tif", labels)
    _, out, report = exported(tmp_path / "in", "roi-set")
    rois = roifile.roiread(next(out.rglob("*.zip")))
    values = [v for v in np.unique(labels).tolist() if v]
    assert report.instances == len(rois) == len(values)
    for roi, value in zip(rois, values, strict=True):
        rings = roi.coordinates(multi=True)
        assert (filled(*rings) == (labels == value)).all()


def test_results_of_the_cell_tracking_challenge(tmp_path: Path) -> None:
    source = make_cell_tracking(tmp_path / "in").root
    _, out, report = exported(source, "cell-tracking", labels=["res"])
    for t in range(4):
        masks = tifffile.imread(out / f"01_RES/mask{t:03}.tif")
        assert masks.dtype == np.uint16
        own = source / f"PhC-C2DH-U373/01_RES/mask{t:03}.tif"
        assert (masks == tifffile.imread(own)).all()
    lines = (out / "01_RES/res_track.txt").read_text().split("\n")
    assert [tuple(map(int, line.split())) for line in lines if line] == TRACKS
    assert report.instances == len(TRACKS)


def test_three_dimensional_results_convert_again(tmp_path: Path) -> None:
    source = make_cell_tracking(tmp_path / "in").root
    store, out, _ = exported(
        source, "cell-tracking", image="Fluo-N3DH-CE/01", labels=["gt-tra"], images=True
    )
    ngff_bio.convert(out, tmp_path / "again.zarr")
    again = tmp_path / "again.zarr"
    assert (pixels(again, "") == pixels(store, "Fluo-N3DH-CE/01")).all()
    assert (pixels(again, "labels/res") == pixels(store, "Fluo-N3DH-CE/01/labels/gt-tra")).all()
    columns = ["label", "t", "parent_id"]
    assert table(again, "", "res")[columns].equals(
        table(store, "Fluo-N3DH-CE/01", "gt-tra")[columns]
    )


def test_the_folders_of_the_cell_tracking_challenge_are_the_source_again(tmp_path: Path) -> None:
    source = make_cell_tracking(tmp_path / "in").root
    _, out, report = exported(source, "cell-tracking", images=True)
    files = {f.relative_to(source) for f in source.rglob("*.*")}
    assert files == {f.relative_to(out) for f in out.rglob("*.*")}
    for name in files:
        if name.suffix == ".tif":
            assert (tifffile.imread(out / name) == tifffile.imread(source / name)).all()
        else:
            assert (out / name).read_text() == (source / name).read_text()
    assert not report.skipped


def test_a_store_without_tracks_is_refused(tmp_path: Path) -> None:
    source = make_object_masks(tmp_path / "in").root
    with pytest.raises(ArgumentError, match="no tracked label layer"):
        exported(source, "cell-tracking")


@pytest.mark.parametrize("to", ["cellpose", "stardist"])
def test_images_and_masks_in_folders(to: str, tmp_path: Path) -> None:
    source = make_cellpose(tmp_path / "in").root
    store, out, report = exported(source, to, image=["a", "b"], labels=["seg", "cp_masks"])
    assert report.images == 2
    for name, layer in (("a", "seg"), ("b", "cp_masks")):
        places = {
            "cellpose": (f"{name}.tif", f"{name}_cp_masks.tif"),
            "stardist": (f"images/{name}.tif", f"masks/{name}.tif"),
        }[to]
        image, masks = (tifffile.imread(out / p) for p in places)
        assert (image == tifffile.imread(source / f"{name}.tif")).all()
        assert (masks == pixels(store, f"{name}/labels/{layer}")).all()
    ngff_bio.convert(out, tmp_path / "again.zarr")
    assert (
        ngff_bio.open(tmp_path / "again.zarr").attributes["source"]
        == {
            "cellpose": "cellpose",
            "stardist": "images",
        }[to]
    )


def test_splits_are_folders_of_stardist_again(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "test")):
        put(tmp_path / f"in/{split}/images/a{number}.tif", gray(number))
        put(tmp_path / f"in/{split}/masks/a{number}.tif", labels_of(number))
    _, out, _ = exported(tmp_path / "in", "stardist")
    files = sorted(p.relative_to(out) for p in out.rglob("*.tif"))
    assert files == sorted(p.relative_to(tmp_path / "in") for p in (tmp_path / "in").rglob("*.tif"))
    for file in files:
        assert (tifffile.imread(out / file) == tifffile.imread(tmp_path / "in" / file)).all()


def test_overlapping_masks_are_named_as_not_kept(tmp_path: Path) -> None:
    source = make_object_masks(tmp_path / "in").root
    store, out, report = exported(source, "stardist")
    assert any("others cover" in n.what for n in report.skipped)
    masks = tifffile.imread(next(p for p in out.rglob("*b2e9.tif") if "masks" in p.parts))
    row = table(store, "stage1_train/b2e9", "masks").to_dict("records")[0]
    assert ((masks > 0) == mask_of(store, "stage1_train/b2e9", row)).all()


def test_nnunet_folders(tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "in").root
    store, out, _ = exported(source, "nnunet", labels=["labels"])
    about = json.loads((out / "dataset.json").read_text())
    assert about["channel_names"] == {"0": "CT", "1": "PET"}
    assert about["labels"] == {"background": 0, "liver": 1, "tumor": 2}
    assert (about["numTraining"], about["file_ending"]) == (2, ".tif")
    for case in ("liver_001", "liver_002"):
        group = f"train/{case}"
        for channel in range(2):
            found = tifffile.imread(out / f"imagesTr/{case}_{channel:04}.tif")
            assert (found == pixels(store, group)[channel]).all()
        found = tifffile.imread(out / f"labelsTr/{case}.tif")
        assert (found == pixels(store, f"{group}/labels/labels")).all()
    ngff_bio.convert(out, tmp_path / "again.zarr")
    assert ngff_bio.open(tmp_path / "again.zarr").attributes["source"] == "nnunet"


def test_instances_become_classes_of_nnunet(tmp_path: Path) -> None:
    source = make_qupath(tmp_path / "in").root
    store, out, _ = exported(source, "nnunet", image="b")
    labels = tifffile.imread(out / "labelsTr/b.tif")
    about = json.loads((out / "dataset.json").read_text())["labels"]
    for row in table(store, "b", "objects").to_dict("records"):
        assert (labels[mask_of(store, "b", row)] == about[row["category"]]).all()
