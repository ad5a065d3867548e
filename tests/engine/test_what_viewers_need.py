"""What viewers and other readers look for in a store, read by their own libraries."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import ome_types
import pytest
import tifffile
import xarray as xr
import zarr
from makers import make_nuclei
from ngio import open_ome_zarr_container

import ngff_bio

XML = "OME/METADATA.ome.xml"


@pytest.fixture(scope="module")
def nuclei(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nuclei")
    truth = make_nuclei(folder, size="tiny")
    ngff_bio.convert(truth.root, folder / "n.zarr")
    return folder / "n.zarr"


def test_a_collection_has_ome_xml_of_its_images(nuclei: Path) -> None:
    document = ome_types.from_xml(nuclei / XML)
    series = zarr.open_group(nuclei / "OME", mode="r").attrs["ome"]["series"]
    assert [image.id for image in document.images] == [f"Image:{path}" for path in series]
    for image, path in zip(document.images, series, strict=True):
        array = zarr.open_array(nuclei, path=f"{path}/0", mode="r")
        assert (image.pixels.size_y, image.pixels.size_x) == array.shape[-2:]
        assert image.pixels.type.value == array.dtype.name
        assert len(image.pixels.channels) == image.pixels.size_c
        if image.pixels.size_c == 3:
            assert image.pixels.channels[0].color.as_rgb_tuple()[:3] == (255, 0, 0)


def test_validate_misses_the_ome_xml_of_a_collection(nuclei: Path, tmp_path: Path) -> None:
    ngff_bio.copy(nuclei, tmp_path / "n.zarr")
    document = (tmp_path / "n.zarr" / XML).read_text()
    assert "collection-xml" not in rules(nuclei)
    (tmp_path / "n.zarr" / XML).write_text(document.replace("<Image ", "<Project ", 1))
    assert "collection-xml" in rules(tmp_path / "n.zarr")
    (tmp_path / "n.zarr" / XML).unlink()
    assert "collection-xml" in rules(tmp_path / "n.zarr")


def test_a_part_of_a_collection_has_ome_xml_of_that_part(nuclei: Path, tmp_path: Path) -> None:
    first = next(iter(ngff_bio.open(nuclei)))
    ngff_bio.copy(nuclei, tmp_path / "part.zarr", images=[first])
    document = ome_types.from_xml(tmp_path / "part.zarr" / XML)
    assert [image.id for image in document.images] == [f"Image:{first}"]
    assert ngff_bio.verify(tmp_path / "part.zarr").equal


def test_labels_need_no_list_of_colours(nuclei: Path) -> None:
    """Viewers choose colours of many objects; napari shows none of a list that lacks some."""
    labelled = next(i for i in ngff_bio.open(nuclei).values() if i.labels)
    label = labelled.label_meta(labelled.labels[0]).label
    assert label is not None
    assert not label.colors
    assert "label-colors" not in rules(nuclei)


def test_tables_are_linked_to_their_label_image(nuclei: Path) -> None:
    path = next(p for p, i in ngff_bio.open(nuclei).items() if i.tables)
    image = open_ome_zarr_container(nuclei / path)
    (name,) = image.list_tables()
    table = image.get_table(name)
    assert table.table_type() == "feature_table"
    assert table.reference_label == "nucleus"
    pixels = image.get_label("nucleus").get_as_numpy()
    values = np.unique(pixels)
    assert set(table.dataframe.index) >= {*values.tolist()} - {0}
    masked = image.get_masked_image(
        masking_label_name="nucleus"
    )  # regions that ngio makes of labels
    value = int(values[1])
    extent = [int(np.ptp(where)) + 1 for where in np.nonzero(pixels == value)]
    assert list(masked.get_roi_masked_as_numpy(value).shape[-2:]) == extent[-2:]


def rules(store: Path) -> set[str]:
    return {finding.rule for finding in ngff_bio.validate(store, strict=True, quick=True)}


def test_xarray_knows_the_axes_of_0_4(tmp_path: Path) -> None:
    source = tmp_path / "images"
    source.mkdir()
    tifffile.imwrite(
        source / "a.tif",
        np.ones((4, 8, 9), np.uint8),
        photometric="minisblack",
        metadata={"axes": "ZYX"},
    )
    ngff_bio.convert(source, tmp_path / "a.zarr", settings=ngff_bio.Settings(version="0.4"))
    (path,) = ngff_bio.open(tmp_path / "a.zarr")
    group = xr.open_zarr(tmp_path / "a.zarr", group=path or None, consolidated=False)
    assert group["0"].dims == ("z", "y", "x")


def test_the_source_s_ome_xml_is_kept(tmp_path: Path) -> None:
    """Of one file with several images: with its instrument, and the IDs that readers look for."""
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        for name in ("first", "second"):
            file.write(np.ones((2, 8, 9), np.uint8), metadata={"axes": "ZYX", "Name": name})
    ngff_bio.convert(tmp_path / "a.ome.tif", tmp_path / "a.zarr")
    document = ome_types.from_xml(tmp_path / "a.zarr" / XML)
    series = json.loads((tmp_path / "a.zarr/OME/zarr.json").read_text())["attributes"]["ome"][
        "series"
    ]
    assert [image.id for image in document.images] == [f"Image:{path}" for path in series]
    assert [image.name for image in document.images] == ["first", "second"]
    assert document.uuid is not None  # only the source has one
    assert document.images[0].pixels.metadata_only
    assert not document.images[0].pixels.tiff_data_blocks
