"""Folders of labelme files and of TIFFs that belong to no collection."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from labelme_loader import assert_files_are_equal, labelme_label_file
from makers import make_labelme_folder, make_tiff_folder

import ngff_bio
from ngff_bio import convert
from ngff_bio.export import export


@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"groups": True, "with_flags": True, "extra_keys": True},
        {"split_folders": True, "without_shapes": 1, "version": "3.16.7"},
        {"version": "5.5.0"},
    ],
    ids=str,
)
def test_labelme_folders_come_back_value_for_value(tmp_path, quirks):
    made = make_labelme_folder(tmp_path, **quirks)
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="labelme")
    assert_files_are_equal(made.root, tmp_path / "out")


def test_images_embedded_in_labelme_files_come_back_as_pixels(tmp_path):
    made = make_labelme_folder(tmp_path, image_data=True)
    convert(made.root, tmp_path / "store.zarr")
    report = export(tmp_path / "store.zarr", tmp_path / "out", to="labelme")
    assert any("imageData" in n.what for n in report.notices)
    assert_files_are_equal(made.root, tmp_path / "out", unlike=("imageData",))
    load = labelme_label_file()
    for path in (tmp_path / "out").rglob("*.json"):
        assert load(str(path)).imageData.startswith(b"\x89PNG")


@pytest.mark.parametrize("folder", ["primitives", "bbox_detection/data_annotated"])
def test_real_labelme_files_come_back_and_labelme_reads_them(samples, tmp_path, folder):
    source = samples / "labelme" / folder
    convert(source, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="labelme")
    assert_files_are_equal(source, tmp_path / "out")
    load = labelme_label_file()
    for path in (tmp_path / "out").rglob("*.json"):
        original, written = load(str(source / path.name)), load(str(path))
        assert [s["points"] for s in written.shapes] == [s["points"] for s in original.shapes]
        assert written.imageData is not None


def test_label_tiffs_of_folders_come_back_at_their_names(tmp_path):
    made = make_tiff_folder(tmp_path, labels=True, kinds=("plain", "bigtiff", "rgb", "resolution"))
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="label-tiff")
    masks = sorted((made.root / "masks").iterdir())
    assert masks
    for path in masks:
        source, written = (
            tifffile.imread(r / path.relative_to(made.root)) for r in (made.root, tmp_path / "out")
        )
        np.testing.assert_array_equal(written.squeeze(), source.squeeze())


@pytest.mark.parametrize(
    "name",
    [
        "xyz_calibrated_16bit__golgi_bfa",
        "xyt_8bit_polyp",
        "xyzc_16bit__spots",
        "image_3D_calibrated",
    ],
)
def test_real_tiffs_come_back_as_ome_tiff_with_their_calibration(samples, tmp_path, name):
    (tmp_path / "source").mkdir()
    source = tmp_path / "source" / f"{name}.tif"
    source.write_bytes((samples / "tiff" / f"{name}.tif").read_bytes())
    convert(tmp_path / "source", tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="ome-tiff")
    store = ngff_bio.open(tmp_path / "store.zarr")
    image = store[next(iter(store))]
    (path,) = (tmp_path / "out").rglob("*.ome.tif")
    with tifffile.TiffFile(path) as tiff, tifffile.TiffFile(source) as original:
        axes = tiff.series[0].axes
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
        known = original.series[0]
        order = [known.axes.index(a) for a in axes if a in known.axes]
        np.testing.assert_array_equal(
            tiff.asarray().squeeze(), original.asarray().transpose(order).squeeze()
        )
    units = {"micrometer": "µm", "nanometer": "nm", None: "reference frame"}
    for axis, step in zip(image.multiscale.axes, image.multiscale.levels[0].scale, strict=True):
        if axis.name in "xyz" and (axis.unit or step != 1):
            assert pixels[f"PhysicalSize{axis.name.upper()}"] == pytest.approx(step)
            assert pixels[f"PhysicalSize{axis.name.upper()}Unit"] == units[axis.unit]


def test_two_labelme_files_of_one_image_are_both_written_back(tmp_path):
    made = make_labelme_folder(tmp_path, images=1)
    (file,) = made.root.glob("*.json")
    content = json.loads(file.read_text())
    content["shapes"] = content["shapes"][::-1][:4]
    (made.root / "second.json").write_text(json.dumps(content))
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="labelme")
    assert_files_are_equal(made.root, tmp_path / "out")
