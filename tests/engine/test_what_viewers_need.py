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


def ome_set(folder: Path, names: tuple[str, ...], *, note: str) -> None:
    """A set of OME-TIFFs, a file for each image, each of which describes all; positions in one."""
    folder.mkdir(exist_ok=True)
    ids = [f"urn:uuid:00000000-0000-0000-0000-00000000000{n}" for n in range(len(names))]
    at = 'PositionX="1.5" PositionXUnit="mm" PositionY="20" PositionYUnit="µm"'
    images = "".join(
        f'<Image ID="Image:{n}" Name="{name}"><InstrumentRef ID="Instrument:0"/>'
        f'<Pixels ID="Pixels:{n}" DimensionOrder="XYZCT" Type="uint8" SizeX="9" SizeY="8" SizeZ="1" '
        f'SizeC="1" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeY="0.5">'
        f'<Channel ID="Channel:{n}:0" SamplesPerPixel="1"/>'
        f'<TiffData IFD="0" PlaneCount="1"><UUID FileName="{name}.ome.tif">{ids[n]}</UUID></TiffData>'
        f'<Plane TheZ="0" TheC="0" TheT="0" {at if n == 0 else ""}/></Pixels></Image>'
        for n, name in enumerate(names)
    )
    space = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    for n, name in enumerate(names):
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{space}" UUID="{ids[n]}">'
            f'<Instrument ID="Instrument:0"><Microscope Model="{note}"/></Instrument>{images}</OME>'
        )
        pixels = np.full((8, 9), n + 1, np.uint8)
        tifffile.imwrite(
            folder / f"{name}.ome.tif", pixels, description=text.encode(), metadata=None
        )


@pytest.mark.parametrize("large", [False, True])
def test_the_document_of_a_set_of_files_describes_each_image(tmp_path: Path, large: bool) -> None:
    note = "x" * 70_000 if large else "mine"
    ome_set(tmp_path / "set", ("p", "q"), note=note)
    report = ngff_bio.convert(tmp_path / "set", tmp_path / "a.zarr")
    assert not report.skipped
    document = ome_types.from_xml(tmp_path / "a.zarr" / XML)
    assert [(i.id, i.name) for i in document.images] == [("Image:p", "p"), ("Image:q", "q")]
    assert document.instruments[0].microscope is not None
    assert document.instruments[0].microscope.model == note
    stored = zarr.open_group(tmp_path / "a.zarr/p", mode="r").attrs["ngff_bio"]["attributes"]
    assert (stored["ome_xml"] == XML) == large
    assert (tmp_path / "a.zarr/zarr.json").stat().st_size < 40_000
    assert ngff_bio.verify(tmp_path / "a.zarr", source=tmp_path / "set").equal
    if large:  # what is added keeps the document of what is there
        ome_set(tmp_path / "more", ("r", "s"), note=note.replace("x", "y"))
        ngff_bio.convert(tmp_path / "more", tmp_path / "a.zarr", append=True)
        document = ome_types.from_xml(tmp_path / "a.zarr" / XML)
        assert [i.name for i in document.images] == ["p", "q", "r", "s"]
        models = [i.microscope.model[:1] for i in document.instruments if i.microscope]
        assert models == ["x", "y"]


def test_positions_on_the_stage_are_translations(tmp_path: Path) -> None:
    ome_set(tmp_path / "set", ("p", "q"), note="")
    report = ngff_bio.convert(tmp_path / "set", tmp_path / "a.zarr")
    assert [n.record for n in report.notices if "of the stage" in n.what] == ["p.ome.tif"]
    for name, expected in (("p", {"y": 20, "x": 1500}), ("q", {"y": 0, "x": 0})):
        image = open_ome_zarr_container(tmp_path / "a.zarr" / name).get_image()
        found = dict(
            zip(image.dataset.axes_handler.axes_names, image.dataset.translation, strict=True)
        )
        assert {a: found[a] for a in "yx"} == pytest.approx(expected)


def test_a_document_is_kept_without_an_image_that_was_skipped(tmp_path: Path) -> None:
    """A large one, whose place attributes name, though the first image of its set is damaged."""
    ome_set(tmp_path / "set", ("p", "q"), note="x" * 70_000)
    file = tmp_path / "set/p.ome.tif"
    with tifffile.TiffFile(file) as tiff:
        pixels, text = tiff.pages.first.asarray(), tiff.ome_metadata or ""
    tifffile.imwrite(file, pixels, description=text.encode(), metadata=None, compression="zlib")
    with tifffile.TiffFile(file) as tiff:
        at = tiff.pages.first.dataoffsets[0]
    damaged = bytearray(file.read_bytes())
    damaged[at : at + 4] = b"none"
    file.write_bytes(damaged)
    ngff_bio.convert(tmp_path / "set", tmp_path / "a.zarr", on_error="skip")
    document = ome_types.from_xml(tmp_path / "a.zarr" / XML)
    assert [(i.id, i.name) for i in document.images] == [("Image:q", "q")]
    assert document.instruments[0].microscope is not None


def test_documents_that_are_not_kept_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in (1, 2, 3):  # numbered files: that of the first is kept, and its position
        ome_set(tmp_path / "in", (f"t{n}",), note=f"of {n}")
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr", options={"series": "t"})
    assert [n.count for n in report.skipped if "OME-XML of the later files" in n.what] == [2]
    stored = zarr.open_group(tmp_path / "a.zarr", mode="r").attrs
    assert "of 1" in stored["ngff_bio"]["attributes"]["ome_xml"]
    at = stored["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][1]
    assert at["translation"] == pytest.approx([0, 20, 1500])
    length = len(stored["ngff_bio"]["attributes"]["ome_xml"])
    monkeypatch.setattr("ngff_bio.sources.ome_documents._TOTAL", length + 9)
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "b.zarr", options={"series": "none"})
    assert [n.count for n in report.skipped] == [2]
    document = ome_types.from_xml(tmp_path / "b.zarr" / XML)
    assert len(document.images) == 3
    assert len(document.instruments) == 1
