from __future__ import annotations

import numpy as np
import pytest
import tifffile
from makers import make_platelet_em

from ngff_bio import convert
from ngff_bio.export import export


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("platelet")
    made = make_platelet_em(folder, volumes=["50"])
    convert(made.root, folder / "store.zarr")
    return folder, made.volumes["50"]


def test_label_tiffs_hold_the_labels_and_imagej_calibration(made, tmp_path):
    folder, volume = made
    export(folder / "store.zarr", tmp_path / "out", to="label-tiff")
    for layer, key in (("instance-cell", "cell"), ("semantic", "semantic")):
        (path,) = (tmp_path / "out").rglob(f"*{layer}.tif")
        with tifffile.TiffFile(path) as tiff:
            np.testing.assert_array_equal(tiff.asarray(), volume.labels[key])
            assert tiff.series[0].axes == "ZYX"
            assert tiff.imagej_metadata["unit"] == "nm"
            assert tiff.imagej_metadata["spacing"] == 40
            numerator, denominator = tiff.pages[0].tags["XResolution"].value
            assert numerator / denominator == pytest.approx(0.1)


def test_ome_tiffs_hold_pixels_and_physical_sizes(made, tmp_path):
    folder, volume = made
    report = export(folder / "store.zarr", tmp_path / "out", to="ome-tiff")
    assert report.files == 4
    with tifffile.TiffFile(tmp_path / "out" / "images" / "50-images.ome.tif") as tiff:
        assert tiff.is_ome
        np.testing.assert_array_equal(tiff.asarray(), volume.image)
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
    assert [pixels[f"PhysicalSize{a}"] for a in "ZYX"] == [40, 10, 10]
    assert {pixels[f"PhysicalSize{a}Unit"] for a in "ZYX"} == {"nm"}
    with tifffile.TiffFile(tmp_path / "out/images/50-images.instance-organelle.ome.tif") as tiff:
        np.testing.assert_array_equal(tiff.asarray(), volume.labels["organelle"])


def test_a_region_of_one_layer_is_one_file(made, tmp_path):
    folder, volume = made
    out = tmp_path / "cells.tif"
    export(
        folder / "store.zarr",
        out,
        to="label-tiff",
        labels="instance-cell",
        region={"z": 2, "y": (3, 30)},
    )
    np.testing.assert_array_equal(tifffile.imread(out).squeeze(), volume.labels["cell"][2, 3:30])


@pytest.mark.parametrize("label_tif", ["rgba", "rgb"])
@pytest.mark.parametrize("palette", ["old", "jet"])
def test_labels_that_came_as_colours_go_back_as_colours(tmp_path, label_tif, palette):
    made = make_platelet_em(
        tmp_path, volumes=["24"], labels=["tif"], label_tif=label_tif, palette=palette
    )
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="label-tiff")
    for source in made.volumes["24"].label_files.values():
        written = tmp_path / "out" / source.relative_to(made.root)
        np.testing.assert_array_equal(tifffile.imread(written), tifffile.imread(source))


def test_labels_that_came_as_whole_numbers_keep_their_type(tmp_path):
    made = make_platelet_em(tmp_path, volumes=["24"], labels=["tif"], label_tif="integer")
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="label-tiff")
    for source in made.volumes["24"].label_files.values():
        written = tifffile.imread(tmp_path / "out" / source.relative_to(made.root))
        assert written.dtype == np.uint16
        np.testing.assert_array_equal(written, tifffile.imread(source))
