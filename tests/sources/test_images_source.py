"""Any folder of image files: pixels, axes, calibration and label images are stored unchanged."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from makers import make_tiff_folder, make_wbc
from makers.damage import huge_png
from PIL import Image

import ngff_bio
from ngff_bio.checks import validate
from ngff_bio.errors import ArgumentError, SourceError, SourceNotFoundError
from ngff_bio.sources import find_source, open_tree
from ngff_bio.sources.assembly import stem_of
from ngff_bio.sources.images.label_names import by_convention
from ngff_bio.sources.images.numbered import Naming, find_series

GREY = (np.arange(30 * 40) % 251).astype(np.uint8).reshape(30, 40)
LABELS = np.zeros((30, 40), np.uint16)
LABELS[3:9, 4:11] = 7
LABELS[12:20, 22:33] = 300


def pixels(store: Path, path: str = "") -> np.ndarray:
    return np.asarray(zarr.open_array(str(store), path=f"{path}/0".lstrip("/"), mode="r")[...])


def meta(store: Path, path: str = "") -> dict[str, Any]:
    return dict(zarr.open_group(str(store), path=path, mode="r").attrs)


def axes(store: Path, path: str = "") -> str:
    return "".join(a["name"] for a in meta(store, path)["ome"]["multiscales"][0]["axes"])


def calibration(store: Path, path: str = "") -> dict[str, tuple[float, str | None]]:
    found = meta(store, path)["ome"]["multiscales"][0]
    scale = found["datasets"][0]["coordinateTransformations"][0]["scale"]
    return {a["name"]: (s, a.get("unit")) for a, s in zip(found["axes"], scale, strict=True)}


def place(kind: str) -> str:
    """Where a kind lies: ``OME`` is a group of the collection itself."""
    return "ome_" if kind == "ome" else kind


def images(store: Path) -> list[str]:
    root = meta(store)["ome"]
    return [""] if "multiscales" in root else list(meta(store, "OME")["ome"]["series"])


def put(file: Path, array: np.ndarray, **options: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix in (".tif", ".tiff"):
        grey = {} if array.ndim == 3 and array.shape[-1] == 3 else {"photometric": "minisblack"}
        tifffile.imwrite(file, array, **({"metadata": None} | grey | options))
    else:
        Image.fromarray(array).save(file, **options)
    return file


def in_order(array: np.ndarray, letters: str) -> tuple[np.ndarray, str]:
    """An array on the axes of OME-Zarr: samples are channels, what nothing describes is z."""
    named = letters.replace("S", "C").replace("Q", "Z").lower()
    order = sorted(named, key="tczyx".index)
    return np.transpose(array, [named.index(a) for a in order]), "".join(order)


def test_every_kind_of_tiff_converts_pixel_for_pixel(tmp_path: Path) -> None:
    truth = make_tiff_folder(tmp_path)
    store = tmp_path / "out.zarr"
    report = ngff_bio.convert(truth.root, store)
    assert report.images == len(truth.images)
    for kind, image in truth.images.items():
        if image.palette is not None:
            table = (image.palette >> 8).astype(np.uint8)
            whole = not ((image.palette & 255 == 0) | (image.palette % 257 == 0)).all()
            table = image.palette if whole else table
            expected, letters = in_order(table[image.pixels], "YXS")
        else:
            expected, letters = in_order(image.pixels, image.axes)
        assert axes(store, place(kind)) == letters, kind
        np.testing.assert_array_equal(pixels(store, place(kind)), expected, err_msg=kind)
    assert not [f for f in validate(store) if f.level == "error"]


def test_pixel_size_units_interval_and_channels_are_those_of_the_files(tmp_path: Path) -> None:
    units = {"µm": "micrometer", "s": "second"}
    truth = make_tiff_folder(tmp_path)
    store = tmp_path / "out.zarr"
    ngff_bio.convert(truth.root, store)
    for kind, image in truth.images.items():
        found = calibration(store, place(kind))
        for axis, (step, unit) in found.items():
            given = image.spacing.get(axis.upper())
            expected = (1.0, None) if given is None else (given[0], units[given[1]])
            assert (step, unit) == (pytest.approx(expected[0]), expected[1]), (kind, axis)
    channels = meta(store, "ome_")["ome"]["omero"]["channels"]
    assert [c["label"] for c in channels] == ["DAPI", "GFP"]


def test_numbered_files_are_one_image_sorted_by_number(tmp_path: Path) -> None:
    truth = make_tiff_folder(tmp_path, kinds=["series"])
    store = tmp_path / "out.zarr"
    report = ngff_bio.convert(truth.root, store)
    assert (report.images, axes(store)) == (1, "tcyx")
    np.testing.assert_array_equal(pixels(store), truth.images["series"].pixels)
    frames = meta(store)["ngff_bio"]["frames"]
    assert frames[3]["name"] == "series_t2_c2.tif"
    assert (frames[3]["t"], frames[3]["record"]) == (1, {"c": 1, "numbers": {"t": 2, "c": 2}})


@pytest.mark.parametrize(
    ("stem", "template", "numbers", "bare"),
    [
        ("x_t001_z002_c1", "x_{t}_{z}_{c}", {"t": 1, "z": 2, "c": 1}, "x"),
        ("cells_z0003", "cells_{z}", {"z": 3}, "cells"),
        ("posT00012", "posT00012", {}, "posT00012"),
        ("mouse_3t1", "mouse_3t1", {}, "mouse_3t1"),
        ("control_C1", "control_C1", {}, "control_C1"),
        ("tumor_T2", "tumor_T2", {}, "tumor_T2"),
        ("patient_t_1", "patient_t_1", {}, "patient_t_1"),
        ("88d98f2f5d3c-1", "88d98f2f5d3c-1", {}, "88d98f2f5d3c-1"),
        ("0f9b-c-1", "0f9b-c-1", {}, "0f9b-c-1"),
        ("a_T1_C2", "a_{t}_{c}", {"t": 1, "c": 2}, "a"),
        ("a_frame_07_z3", "a_{t}_{z}", {"t": 7, "z": 3}, "a"),
        ("t000", "{t}", {"t": 0}, ""),
        ("a_ch2-time7", "a_{c}-{t}", {"c": 2, "t": 7}, "a"),
        ("a_T01Z02", "a_{t}{z}", {"t": 1, "z": 2}, "a"),
        ("cat0012", "cat0012", {}, "cat0012"),
        ("r01c01f01p01-ch1sk1fk1fl1", "r01c01f01p01-ch1sk1fk1fl1", {}, "r01c01f01p01-ch1sk1fk1fl1"),
        ("c1_ch2", "c1_ch2", {}, "c1_ch2"),
        ("img_02d04h", "img_02d04h", {}, "img_02d04h"),
        ("A172_Phase_A7_1_00d00h00m_1", "A172_Phase_A7_1_00d00h00m_1", {}, None),
    ],
)
def test_numbers_along_axes_differ_from_other_numbers(
    stem: str, template: str, numbers: dict[str, int], bare: str | None
) -> None:
    found = Naming().take_apart(stem)
    assert (found.template, found.numbers) == (template, numbers)
    assert bare is None or found.bare == bare


@pytest.mark.parametrize(
    ("names", "along"),
    [
        (["a_z0003.tif", "a_z0001.tif"], "z"),
        (["exp-T00012.tif", "exp-T00013.tif"], "t"),
        (["t1z1.tif", "t1z2.tif"], "z"),
        (["mito_Z01.tif", "mito_Z02.tif"], "z"),
        (["a_T09.tif", "a_T10.tif"], "t"),
        (["a_incenp_t1.tif", "a_incenp_t70.tif"], "t"),
        (["frame_001.png", "frame_002.png"], "t"),
        (["a_ch00.tif", "a_ch01.tif"], "c"),
        (["a_t=1.tif", "a_t=2.tif"], "t"),
    ],
)
def test_usual_names_make_an_axis(names: list[str], along: str) -> None:
    (series,) = find_series(names, Naming.of(names), lambda _: None, pytest.fail)
    assert (series.along, list(series.files)) == (along, sorted(names))


@pytest.mark.parametrize(
    "names",
    [
        ["cat001.tif", "cat002.tif"],
        ["A1.tif", "B1.tif", "C1.tif", "C2.tif"],
        ["x_A7_1.tif", "x_C7_1.tif", "x_C8_1.tif"],
        ["r01c01.tif", "r01c02.tif"],
        ["img_000.png", "img_001.png"],
        ["one/z1.tif", "two/z2.tif"],
        ["a_z1.tif", "a_z2.png"],
        ["mouse_3t1.tif", "mouse_3t2.tif"],
        ["control_C1.tif", "control_C2.tif"],
        ["control_C01.tif", "control_C02.tif"],
        ["tumor_T1.tif", "tumor_T10.tif", "tumor_T11.tif"],
        ["patient_t_1.tif", "patient_t_2.tif"],
        ["88d98f2f5d3c-1.png", "88d98f2f5d3c-2.png"],
        ["mitoZ01.tif", "mitoZ02.tif"],
    ],
)
def test_wells_rows_words_and_folders_make_no_axis(names: list[str]) -> None:
    found = find_series(names, Naming.of(names), lambda _: None, pytest.fail)
    assert [s.files for s in found] == [(n,) for n in sorted(names)]


def test_joined_files_are_reported_with_the_option_that_undoes_it(tmp_path: Path) -> None:
    for t in (1, 2):
        put(tmp_path / "in" / f"a_t{t}.png", GREY)
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr")
    (note,) = [n for n in report.notices if "joined" in n.what]
    assert "t (time points)" in note.what
    assert note.record == "a_t1.png ... a_t2.png: 2 files"
    assert note.what.endswith("--series none")
    ngff_bio.convert(tmp_path / "in", tmp_path / "b.zarr", options={"series": "none"})
    assert images(tmp_path / "b.zarr") == ["a_t1", "a_t2"]


def test_image_extensions_are_not_part_of_a_name() -> None:
    assert [stem_of(n) for n in ("d/a.ome.tif", "A9 p10d.tif.jpg", "x.PNG", ".tif")] == [
        "a",
        "A9 p10d",
        "x",
        ".tif",
    ]


@pytest.mark.parametrize("name", ["{}_{}.tif", "{1}/{0}.tif", "{0} - {1} (raw).tif"])
def test_files_named_by_channels_are_joined_as_their_note_says(name: str, tmp_path: Path) -> None:
    for number, (image, channel) in enumerate([(i, c) for i in "ab" for c in ("green", "Red")]):
        put(tmp_path / "in" / name.format(image, channel), GREY // (number + 1))
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "apart.zarr")
    (note,) = [n.what for n in report.notices if "name of a channel" in n.what]
    series = note.partition("--series ")[2]
    assert (report.images, sorted(series[2:].split(","))) == (4, ["Red", "green"])
    done = ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr", options={"series": "c=Red,green"})
    assert (done.images, done.account.unread) == (2, {})
    for number, path in enumerate(images(tmp_path / "a.zarr")):
        channels = [c["label"] for c in meta(tmp_path / "a.zarr", path)["ome"]["omero"]["channels"]]
        assert (path[0], channels) == ("ab"[number], ["Red", "green"])
        expected = [GREY // (2 * number + 2), GREY // (2 * number + 1)]
        np.testing.assert_array_equal(pixels(tmp_path / "a.zarr", path), expected)
    assert ngff_bio.verify(tmp_path / "a.zarr", tmp_path / "in").equal


def test_channels_that_are_joined_by_name_share_their_label_image(tmp_path: Path) -> None:
    for channel in ("red", "green"):
        put(tmp_path / f"in/images/a_{channel}.tif", GREY)
    put(tmp_path / "in/masks/a.tif", LABELS)
    ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr", options={"series": "c=red,green"})
    found = ngff_bio.open(tmp_path / "a.zarr")[""]
    np.testing.assert_array_equal(found.label("masks").array(0)[:] > 0, LABELS > 0)


def test_numbered_files_that_are_not_a_full_grid_are_not_stacked_and_reported(
    tmp_path: Path,
) -> None:
    for name in ("a_t1_z1", "a_t1_z2", "a_t2_z1"):
        put(tmp_path / "in" / f"{name}.tif", GREY)
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert report.images == 3
    assert any("full grid" in n.what for n in report.notices)


def test_numbered_files_of_unequal_size_are_not_stacked_and_reported(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a_t1.png", GREY)
    put(tmp_path / "in" / "a_t2.png", GREY[:20])
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert report.images == 2
    assert any("differ in size" in n.what for n in report.notices)


def test_stacks_numbered_over_time_are_one_image(tmp_path: Path) -> None:
    stacks = [np.stack([GREY + t, GREY[::-1] + t]) for t in range(3)]
    for t, stack in enumerate(stacks):
        put(
            tmp_path / "in" / f"a_t{t}.tif",
            stack,
            imagej=True,
            metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"},
        )
    store = tmp_path / "out.zarr"
    ngff_bio.convert(tmp_path / "in", store)
    assert axes(store) == "tzyx"
    np.testing.assert_array_equal(pixels(store), np.stack(stacks))
    assert calibration(store)["z"] == (2.0, "micrometer")


def test_numbered_files_with_a_display_table_of_imagej_keep_their_indices(tmp_path: Path) -> None:
    frames = [GREY, GREY[::-1]]
    table = np.random.default_rng(0).integers(0, 256, (3, 256), np.uint8)
    (tmp_path / "in").mkdir()
    for t, frame in enumerate(frames):
        info = {"LUTs": [table], "mode": "grayscale"}
        file = tmp_path / "in" / f"a_t{t}.tif"
        tifffile.imwrite(
            file,
            frame,
            imagej=True,
            photometric="palette",
            colormap=table.astype(np.uint16) * 257,
            metadata=info,
        )
    store = tmp_path / "out.zarr"
    ngff_bio.convert(tmp_path / "in", store)
    assert axes(store) == "tyx"
    np.testing.assert_array_equal(pixels(store), np.stack(frames))


@pytest.mark.parametrize("ome", [True, False])
def test_numbered_files_with_a_color_table_are_expanded_as_one_file_is(
    tmp_path: Path, ome: bool
) -> None:
    table = np.random.default_rng(0).integers(0, 256, (3, 256), np.uint16) * 257
    names = ["a_t0", "a_t1"]
    for name in names:
        file = tmp_path / "in" / f"{name}{'.ome' if ome else ''}.tif"
        put(file, GREY, photometric="palette", colormap=table, metadata={}, ome=ome)
    ngff_bio.convert(tmp_path / "in", tmp_path / "one.zarr")
    ngff_bio.convert(tmp_path / "in", tmp_path / "each.zarr", options={"series": "none"})
    assert axes(tmp_path / "one.zarr") == "tcyx"
    each = [pixels(tmp_path / "each.zarr", name) for name in images(tmp_path / "each.zarr")]
    np.testing.assert_array_equal(pixels(tmp_path / "one.zarr"), np.stack(each))


def test_coloured_files_numbered_over_planes_keep_their_colours(tmp_path: Path) -> None:
    planes = [np.dstack([GREY, GREY + z, GREY[::-1]]) for z in range(4)]
    for z, plane in enumerate(planes):
        put(tmp_path / "in" / f"a_z{z:04}.png", plane)
    store = tmp_path / "out.zarr"
    ngff_bio.convert(tmp_path / "in", store)
    assert axes(store) == "czyx"
    np.testing.assert_array_equal(pixels(store), np.moveaxis(np.stack(planes), -1, 0))


def test_a_last_number_is_an_axis_only_with_the_option(tmp_path: Path) -> None:
    for n in range(1, 4):
        put(tmp_path / "in" / f"cell {n}.png", GREY + n)
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr")
    assert report.images == 3
    assert any("--series t" in n.what for n in report.notices)
    store = tmp_path / "b.zarr"
    ngff_bio.convert(tmp_path / "in", store, options={"series": "t"})
    assert axes(store) == "tyx"
    np.testing.assert_array_equal(pixels(store)[:, 0, 0], [1, 2, 3])


def test_names_of_instruments_are_joined(tmp_path: Path) -> None:
    """Micro-Manager 1.4 and NIS-Elements without their metadata: pixels count the names in order."""
    names = [
        f"Pos{p}/img_{t:09d}_{c}_{z:03d}"
        for p in (0, 1)
        for t in (0, 1)
        for c in ("Cy5", "DAPI")
        for z in range(3)
    ]
    names += [f"nd/a_t{t:03d}xy{p:02d}c{c}" for p in (1, 2) for t in (1, 2) for c in (1, 2)]
    for n, name in enumerate(names):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(tmp_path / f"in/{name}.tif", np.full((4, 5), n, np.uint8))
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    store = tmp_path / "out.zarr"
    counts = np.arange(32)
    expected = {
        "Pos0/img": counts[:12].reshape(2, 2, 3),
        "Pos1/img": counts[12:24].reshape(2, 2, 3),
        "nd/a_xy01": counts[24:28].reshape(2, 2),
        "nd/a_xy02": counts[28:].reshape(2, 2),
    }
    assert meta(store, "OME")["ome"]["series"] == list(expected)
    for path, values in expected.items():
        np.testing.assert_array_equal(pixels(store, path)[..., 0, 0], values)
    channels = meta(store, "Pos0/img")["ome"]["omero"]["channels"]
    assert [c["label"] for c in channels] == ["Cy5", "DAPI"]
    (note,) = (n.what for n in report.notices if "Cy5, DAPI" in n.what)
    assert note.startswith("numbered files are joined")


def test_series_none_takes_every_file_as_an_image(tmp_path: Path) -> None:
    truth = make_tiff_folder(tmp_path, kinds=["series"])
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr", options={"series": "none"})
    assert report.images == 24


def test_a_file_of_several_series_is_several_images(tmp_path: Path) -> None:
    file = tmp_path / "in" / "many.ome.tif"
    file.parent.mkdir()
    with tifffile.TiffWriter(file, ome=True) as writer:
        writer.write(GREY, metadata={"axes": "YX", "Name": "overview"})
        writer.write(np.stack([GREY, GREY]).astype(np.uint16), metadata={"axes": "ZYX"})
    store = tmp_path / "out.zarr"
    ngff_bio.convert(tmp_path / "in", store)
    first, second = images(store)
    assert first == "many_overview"
    np.testing.assert_array_equal(pixels(store, first), GREY)
    assert (axes(store, second), pixels(store, second).dtype) == ("zyx", np.uint16)


def test_an_image_in_several_files_is_one_image(tmp_path: Path) -> None:
    one, two = tmp_path / "in" / "a.ome.tif", tmp_path / "in" / "b.ome.tif"
    one.parent.mkdir()
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="40" SizeY="30" '
        'SizeC="1" SizeT="1" SizeZ="2">'
        '<TiffData IFD="0" FirstZ="0" PlaneCount="1"><UUID FileName="a.ome.tif">urn:uuid:1</UUID>'
        '</TiffData><TiffData IFD="0" FirstZ="1" PlaneCount="1"><UUID FileName="b.ome.tif">'
        "urn:uuid:2</UUID></TiffData></Pixels></Image></OME>"
    )
    tifffile.imwrite(
        one, GREY, metadata=None, description=xml.replace("<OME", '<OME UUID="urn:uuid:1"')
    )
    tifffile.imwrite(
        two, GREY + 1, metadata=None, description=xml.replace("<OME", '<OME UUID="urn:uuid:2"')
    )
    store = tmp_path / "out.zarr"
    report = ngff_bio.convert(tmp_path / "in", store)
    assert report.images == 1
    np.testing.assert_array_equal(pixels(store), np.stack([GREY, GREY + 1]))


def test_pages_without_metadata_are_reported_and_the_option_axes_names_them(
    tmp_path: Path,
) -> None:
    truth = make_tiff_folder(tmp_path, kinds=["uint16_stack", "imagej"])
    report = ngff_bio.convert(truth.root, tmp_path / "a.zarr")
    assert any("--axes" in n.what for n in report.notices)
    store = tmp_path / "b.zarr"
    report = ngff_bio.convert(truth.root, store, options={"axes": "tyx"})
    assert (axes(store, "uint16_stack"), axes(store, "imagej")) == ("tyx", "tczyx")
    assert not [n for n in report.notices if n.kind == "warning"]


@pytest.mark.parametrize("ending", [".jpg", ".png", ".bmp", ".tif"])
def test_image_files_of_every_kind_equal_their_decoder(tmp_path: Path, ending: str) -> None:
    file = put(tmp_path / "in" / f"a{ending}", np.dstack([GREY, GREY[::-1], 255 - GREY]))
    store = tmp_path / "out.zarr"
    ngff_bio.convert(tmp_path / "in", store)
    decoded = np.asarray(Image.open(file).convert("RGB"))
    np.testing.assert_array_equal(pixels(store), np.moveaxis(decoded, -1, 0))
    labels = [c["label"] for c in meta(store)["ome"]["omero"]["channels"]]
    assert labels == ["red", "green", "blue"]


def check_labels(store: Path, path: str, layer: str, expected: np.ndarray) -> None:
    found = pixels(store, f"{path}/labels/{layer}".lstrip("/"))
    np.testing.assert_array_equal(found, expected)
    assert found.dtype.kind == "u"
    rows = pd.read_parquet(store / path / "tables" / layer / "table.parquet")
    frames = expected if "t" in rows else [expected]
    for t, frame in enumerate(frames):
        values, counts = np.unique(frame[frame > 0], return_counts=True)
        here = rows[rows.t == t] if "t" in rows else rows
        assert here.label.tolist() == values.tolist()
        assert here.pixels.tolist() == counts.tolist()


@pytest.mark.parametrize(
    ("image", "label", "layer"),
    [
        ("img2d.tif", "mask2d.tif", "mask"),
        ("a.tif", "a_mask.tif", "mask"),
        ("a.tif", "a_masks.png", "masks"),
        ("a.png", "a_label.tif", "label"),
        ("a.jpg", "a-labels.png", "labels"),
        ("a.tif", "a_cp_masks.png", "cp_masks"),
        ("A.TIF", "mask_a.tif", "mask"),
        ("a_img.tif", "a_mask.tif", "mask"),
        ("a.tif", "masks/a.tif", "masks"),
        ("images/a.tif", "labels/a.png", "labels"),
        ("images/a.tif", "masks/a_mask.tif", "masks"),
        ("train/images/a.tif", "train/masks/a.tif", "masks"),
        ("a.ome.tif", "masks/a.png", "masks"),
        ("a.tif", "masks_nuclei/a.tif", "nuclei"),
        ("a.tif", "nuclei-labels/a.tif", "nuclei"),
        ("cells_01.tif", "cells_01_nuclei_mask.tif", "nuclei"),
    ],
)
def test_label_images_are_found_by_the_conventions_of_their_names(
    tmp_path: Path, image: str, label: str, layer: str
) -> None:
    put(tmp_path / "in" / image.replace("TIF", "tif"), GREY)
    put(tmp_path / "in" / label, LABELS)
    store = tmp_path / "out.zarr"
    report = ngff_bio.convert(tmp_path / "in", store)
    assert (report.images, report.instances) == (1, 2)
    check_labels(store, "", layer, LABELS)


@pytest.mark.parametrize("name", ["masked.tif", "unmask.tif", "a_masked.tif", "labeled_x.tif"])
def test_names_that_only_begin_like_the_conventions_are_images(name: str) -> None:
    assert by_convention(name) is None


def test_each_kind_of_tiff_finds_its_label_image(tmp_path: Path) -> None:
    flat = ["plain", "float32", "lzw_predictor", "deflate_tiled", "big_endian", "rgb", "palette"]
    truth = make_tiff_folder(tmp_path, labels=True, kinds=flat)
    store = tmp_path / "out.zarr"
    ngff_bio.convert(truth.root, store)
    for kind, image in truth.images.items():
        assert image.labels is not None
        check_labels(store, kind, "masks", image.labels)


def test_the_nearest_folder_decides_between_images_of_one_name(tmp_path: Path) -> None:
    for number, folder in enumerate(("one", "two")):
        put(tmp_path / "in" / folder / "images" / "a.tif", GREY)
        put(tmp_path / "in" / folder / "masks" / "a.tif", LABELS + np.uint16(number))
    store = tmp_path / "out.zarr"
    ngff_bio.convert(tmp_path / "in", store)
    assert images(store) == ["one/images/a", "two/images/a"]
    for number, path in enumerate(images(store)):
        np.testing.assert_array_equal(pixels(store, f"{path}/labels/masks"), LABELS + number)


def test_labels_that_may_be_of_several_images_are_refused(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        put(tmp_path / "in" / folder / "a.tif", GREY)
    put(tmp_path / "in" / "masks" / "a.tif", LABELS)
    with pytest.raises(SourceError, match="several images") as caught:
        ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr")
    assert "--exclude" in (caught.value.hint or "")
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "b.zarr", on_error="skip")
    assert (report.images, len(report.skipped)) == (2, 1)


@pytest.mark.parametrize(
    "name",
    ["mask_of_something_else.tif", "GT/z.png", "SEG/z.png", "Segmentations/z.tif", "b_label.png"],
)
def test_files_named_like_labels_without_an_image_are_images_only_on_request(
    name: str, tmp_path: Path
) -> None:
    put(tmp_path / "in" / "a.tif", GREY)
    put(tmp_path / "in" / name, GREY)
    with pytest.raises(SourceError, match="label images without their image") as caught:
        ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr")
    assert "--labels none" in (caught.value.hint or "")
    assert "--labels NAME=GLOB" in (caught.value.hint or "")
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "b.zarr", options={"labels": "none"})
    assert (report.images, report.instances) == (2, 0)


def test_a_folder_of_nothing_but_masks_is_images_only_on_request(tmp_path: Path) -> None:
    put(tmp_path / "masks" / "a.png", LABELS.astype(np.uint8))
    put(tmp_path / "in" / "a_mask.png", LABELS.astype(np.uint8))
    for source in (tmp_path / "masks", tmp_path / "in", tmp_path / "in" / "a_mask.png"):
        with pytest.raises(SourceError, match="label images without their image"):
            ngff_bio.convert(source, tmp_path / "a.zarr")
        store = tmp_path / "b.zarr"
        ngff_bio.convert(source, store, options={"labels": "none"}, overwrite=True)
        np.testing.assert_array_equal(pixels(store), LABELS.astype(np.uint8))


def test_folders_of_one_mask_per_object_are_not_label_images(tmp_path: Path) -> None:
    for one in ("i1", "i2"):
        put(tmp_path / "in" / one / "images" / f"{one}.png", GREY)
        for n in range(3):
            put(tmp_path / "in" / one / "masks" / f"{one}{n}ab.png", GREY)
    with pytest.raises(SourceError, match="label images without their image") as caught:
        ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", format="images")
    assert caught.value.found == "6 files named like label images, in i1/masks, i2/masks"
    report = ngff_bio.convert(
        tmp_path / "in", tmp_path / "a.zarr", format="images", options={"labels": "none"}
    )
    assert report.images == 8
    report = ngff_bio.convert(
        tmp_path / "in", tmp_path / "b.zarr", format="images", on_error="skip"
    )
    assert report.images == 2
    assert sum(n.count for n in report.skipped) == 6


def test_a_rule_selects_the_label_files_and_replaces_the_conventions(tmp_path: Path) -> None:
    put(tmp_path / "in" / "raw" / "x1.tif", GREY)
    put(tmp_path / "in" / "raw" / "x2_mask.tif", GREY)
    put(tmp_path / "in" / "seg" / "x1_nuc.tif", LABELS)
    put(tmp_path / "in" / "seg" / "x1_cell.png", LABELS + np.uint16(1))
    store = tmp_path / "out.zarr"
    rules = ["nuclei=seg/*_nuc.tif", "cells=seg/*_cell.png"]
    report = ngff_bio.convert(tmp_path / "in", store, options={"labels": rules})
    assert images(store) == ["x1", "x2_mask"]
    assert set(report.labels) == {"nuclei", "cells"}
    check_labels(store, "x1", "nuclei", LABELS)
    check_labels(store, "x1", "cells", LABELS + 1)


def test_a_rule_that_matches_nothing_or_is_none_is_an_argument_error(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.tif", GREY)
    for rule in ("cells=seg/*.tif", "cells", "=x"):
        with pytest.raises(ArgumentError):
            ngff_bio.convert(tmp_path / "in", tmp_path / "o.zarr", options={"labels": [rule]})


def test_label_files_of_a_series_are_its_frames(tmp_path: Path) -> None:
    frames = [np.where(LABELS > 0, LABELS + t, 0).astype(np.uint16) for t in range(4)]
    for t in range(4):
        for c in (1, 2):
            put(tmp_path / "in" / f"a_t{t:03}_c{c}.tif", GREY)
        put(tmp_path / "in" / "masks" / f"a_t{t:03}.tif", frames[t])
    store = tmp_path / "out.zarr"
    ngff_bio.convert(tmp_path / "in", store)
    assert axes(store) == "tcyx"
    check_labels(store, "", "masks", np.stack(frames))


def test_frames_without_a_label_file_are_0_and_reported(tmp_path: Path) -> None:
    for t in range(4):
        put(tmp_path / "in" / f"t{t:03}.tif", GREY)
    put(tmp_path / "in_GT" / "man_seg002.tif", LABELS)
    shutil.move(str(tmp_path / "in_GT"), str(tmp_path / "in" / "SEG"))
    store = tmp_path / "out.zarr"
    report = ngff_bio.convert(tmp_path / "in", store, options={"labels": ["seg=SEG/man_seg*.tif"]})
    expected = np.zeros((4, 30, 40), np.uint16)
    expected[2] = LABELS
    check_labels(store, "", "seg", expected)
    assert any("3 of 4 frames" in n.what for n in report.notices)


def test_one_label_file_may_cover_a_whole_series(tmp_path: Path) -> None:
    stack = np.stack([LABELS, LABELS[::-1], LABELS])
    for z in range(3):
        put(tmp_path / "in" / f"a_z{z}.tif", GREY)
    put(tmp_path / "in" / "a_mask.tif", stack)
    store = tmp_path / "out.zarr"
    ngff_bio.convert(tmp_path / "in", store)
    check_labels(store, "", "mask", stack)


def test_label_files_of_planes_fit_an_image_of_one_file(tmp_path: Path) -> None:
    stack = np.stack([LABELS, LABELS[::-1], LABELS])
    put(tmp_path / "in" / "a.tif", np.stack([GREY] * 3), imagej=True, metadata={"axes": "ZYX"})
    for z in range(3):
        put(tmp_path / "in" / "labels" / f"a_z{z + 1}.png", stack[z])
    store = tmp_path / "out.zarr"
    ngff_bio.convert(tmp_path / "in", store)
    check_labels(store, "", "labels", stack)


def test_labels_of_pages_that_nothing_describes_take_the_axes_of_their_image(
    tmp_path: Path,
) -> None:
    put(tmp_path / "in" / "a.tif", np.stack([GREY] * 3), imagej=True, metadata={"axes": "TYX"})
    put(tmp_path / "in" / "a_mask.tif", np.stack([LABELS] * 3))
    store = tmp_path / "out.zarr"
    ngff_bio.convert(tmp_path / "in", store)
    assert axes(store, "labels/mask") == "tyx"
    check_labels(store, "", "mask", np.stack([LABELS] * 3))


@pytest.mark.parametrize("kind", ["int32", "int64", "float32", "uint32", "bool", "uint8"])
def test_whole_numbers_of_any_type_are_labels(tmp_path: Path, kind: str) -> None:
    values = (LABELS > 0) if kind == "bool" else np.minimum(LABELS, 200).astype(kind)
    put(tmp_path / "in" / "a.tif", GREY)
    put(tmp_path / "in" / "a_mask.tif", values)
    store = tmp_path / "out.zarr"
    ngff_bio.convert(tmp_path / "in", store, options={"label_kind": "instance"})
    check_labels(store, "", "mask", values.astype(np.int64))
    bounded = {"uint32": np.uint32}
    assert pixels(store, "labels/mask").dtype == bounded.get(kind, np.uint8)


@pytest.mark.parametrize(
    ("wrong", "says"), [(-3, "negative"), (0.5, "integer"), (np.nan, "integer")]
)
def test_values_that_are_no_ids_are_refused(tmp_path: Path, wrong: float, says: str) -> None:
    values = LABELS.astype(np.float32)
    values[5, 5] = wrong
    put(tmp_path / "in" / "a.tif", GREY)
    put(tmp_path / "in" / "a_mask.tif", values)
    with pytest.raises(SourceError, match=says) as caught:
        ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert caught.value.file == "a_mask.tif"


def test_a_label_image_with_a_color_table_is_read_by_index(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.png", GREY)
    small = (LABELS > 0).astype(np.uint8) * 5
    img = Image.fromarray(small, "P")
    img.putpalette(list(range(255, -1, -1)) * 3)
    img.save(tmp_path / "in" / "a_mask.png")
    store = tmp_path / "out.zarr"
    ngff_bio.convert(tmp_path / "in", store, options={"label_kind": "instance"})
    check_labels(store, "", "mask", small)


def test_a_coloured_label_image_is_refused_with_a_hint_or_skipped(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.png", GREY)
    put(tmp_path / "in" / "a_mask.png", np.dstack([GREY] * 3))
    with pytest.raises(SourceError, match="colors") as caught:
        ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr")
    assert "--labels NAME=GLOB" in (caught.value.hint or "")
    assert not (tmp_path / "a.zarr").exists()
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "b.zarr", on_error="skip")
    assert (report.images, [n.file for n in report.skipped]) == (1, ["a_mask.png"])


def test_labels_of_another_shape_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.tif", GREY)
    put(tmp_path / "in" / "a_mask.tif", LABELS[:-1])
    with pytest.raises(SourceError, match="shape") as caught:
        ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert set(caught.value.parts()) == {"what", "file", "expected", "found", "hint"}


def test_files_named_like_labels_of_other_axes_are_an_error_and_images_on_request(
    tmp_path: Path,
) -> None:
    put(tmp_path / "in" / "a.tif", np.stack([GREY] * 3), imagej=True, metadata={"axes": "TYX"})
    put(tmp_path / "in" / "masks" / "a.tif", LABELS)
    with pytest.raises(SourceError, match="other axes") as caught:
        ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr")
    assert "--labels none" in (caught.value.hint or "")
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr", options={"labels": "none"})
    assert (report.images, report.instances) == (2, 0)
    options = {"labels": ["cells=masks/*.tif"]}
    with pytest.raises(SourceError, match="shape"):
        ngff_bio.convert(tmp_path / "in", tmp_path / "b.zarr", options=options)


def test_values_are_objects_unless_they_are_declared_as_classes(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.tif", GREY)
    put(tmp_path / "in" / "a_mask.tif", LABELS)
    for kind in ("instance", "semantic"):
        store = tmp_path / f"{kind}.zarr"
        ngff_bio.convert(tmp_path / "in", store, options={"label_kind": kind})
        assert meta(store, "labels/mask")["ngff_bio"]["values"] == kind


def test_tiff_is_another_name_of_the_format(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.tif", GREY)
    ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", format="tiff")
    np.testing.assert_array_equal(pixels(tmp_path / "out.zarr"), GREY)


def test_a_folder_with_every_kind_and_its_labels_converts_without_an_option(
    tmp_path: Path,
) -> None:
    truth = make_tiff_folder(tmp_path, labels=True)
    store = tmp_path / "out.zarr"
    report = ngff_bio.convert(truth.root, store)
    assert not report.skipped
    for kind, image in truth.images.items():
        if not set(image.axes) & set("TZQ"):
            assert image.labels is not None
            path = next(
                p for p in images(store) if p.rpartition("/")[2] == kind + "_" * (kind == "ome")
            )
            np.testing.assert_array_equal(pixels(store, f"{path}/labels/masks"), image.labels)


def test_two_label_images_of_one_layer_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.tif", GREY)
    for name in ("masks/a.tif", "masks/a.png"):
        put(tmp_path / "in" / name, LABELS)
    with pytest.raises(SourceError, match="one layer"):
        ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")


def test_damaged_image_files_are_one_error_or_skipped(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.png", GREY)
    (tmp_path / "in" / "b.tif").write_bytes(b"II*\0 no")
    (tmp_path / "in" / "c.jpg").write_bytes(b"")
    huge_png(tmp_path / "in" / "d.png")
    with pytest.raises(SourceError):
        ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr")
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "b.zarr", on_error="skip")
    assert report.images == 1
    assert {n.file for n in report.skipped} == {"b.tif", "c.jpg", "d.png"}


def test_files_that_are_not_images_are_named(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.png", GREY)
    (tmp_path / "in" / "notes.dat").write_bytes(b"x")
    (tmp_path / "in" / "README.md").write_text("x")
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert [n.record for n in report.skipped] == ["notes.dat"]


def test_images_of_one_name_and_below_each_other_have_places_of_their_own(tmp_path: Path) -> None:
    for name in ("a.tif", "a.png", "a/b.png", "B.png", "b.tif"):
        put(tmp_path / "in" / name, GREY)
    store = tmp_path / "out.zarr"
    ngff_bio.convert(tmp_path / "in", store)
    found = images(store)
    assert len({f.casefold() for f in found}) == 5
    assert not [(f, g) for f in found for g in found if g.startswith(f"{f}/")]
    for path in found:
        np.testing.assert_array_equal(pixels(store, path), GREY)


def test_the_same_store_comes_from_a_zip(tmp_path: Path) -> None:
    truth = make_tiff_folder(tmp_path, kinds=["plain", "imagej", "series"])
    shutil.make_archive(str(tmp_path / "tiff_"), "zip", truth.root)
    ngff_bio.convert(truth.root, tmp_path / "a.zarr")
    ngff_bio.convert(tmp_path / "tiff_.zip", tmp_path / "b.zarr")
    for path in images(tmp_path / "a.zarr"):
        np.testing.assert_array_equal(
            pixels(tmp_path / "a.zarr", path), pixels(tmp_path / "b.zarr", path)
        )


def test_named_datasets_and_annotated_folders_are_not_taken_for_image_folders(
    tmp_path: Path,
) -> None:
    assert find_source(open_tree(make_wbc(tmp_path).root)).name == "wbc"
    put(tmp_path / "plain" / "a.png", GREY)
    assert find_source(open_tree(tmp_path / "plain")).name == "images"
    (tmp_path / "plain" / "settings.json").write_text('{"gain": 3}')
    assert find_source(open_tree(tmp_path / "plain")).name == "images"


def test_a_folder_without_image_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(SourceNotFoundError):
        ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", format="images")


def test_the_real_files_convert_pixel_for_pixel(samples: Path, tmp_path: Path) -> None:
    source, store = samples / "tiff", tmp_path / "out.zarr"
    ngff_bio.convert(source, store)
    for file in source.glob("*.tif"):
        if file.name == "mask2d.tif":
            continue
        with tifffile.TiffFile(file) as tiff:
            series = tiff.series[0]
            expected, letters = in_order(series.asarray(), series.axes)
        assert axes(store, file.stem) == letters
        np.testing.assert_array_equal(pixels(store, file.stem), expected)
    check_labels(store, "img2d", "mask", tifffile.imread(source / "mask2d.tif"))
    spots = calibration(store, "xyzc_16bit__spots")
    assert spots["z"] == (pytest.approx(0.4), "micrometer")


@pytest.mark.parametrize(
    ("image", "label", "layer"),
    [
        ("a_DAPI.tif", "a_DAPI_SegmentedNuclei.tif", "segmentednuclei"),
        ("BBBC007_v1_images/A9/p10d.tif", "BBBC007_v1_outlines/A9/p10d.tif", "outlines"),
        ("BBBC004_v1_000_images/x01.tif", "BBBC004_v1_000_foreground/x01.tif", "foreground"),
        ("images/a.tif", "BBBC005_v1_ground_truth/a.tif", "ground_truth"),
        ("BBBC024_v1_images/z.tif", "BBBC024_v1_labels/z.tif", "labels"),
    ],
)
def test_labels_of_the_broad_bioimage_benchmark_collection(
    image: str, label: str, layer: str, tmp_path: Path
) -> None:
    put(tmp_path / "in" / image, GREY)
    put(tmp_path / "in" / label, LABELS)
    ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    np.testing.assert_array_equal(pixels(tmp_path / "out.zarr", f"labels/{layer}"), LABELS)


def test_a_label_image_smaller_than_its_frame_is_refused(tmp_path: Path) -> None:
    for t in (1, 2):
        put(tmp_path / "in" / "images" / f"a_t{t}.tif", GREY)
    put(tmp_path / "in" / "masks" / "a_t1.tif", LABELS)
    put(tmp_path / "in" / "masks" / "a_t2.tif", LABELS[:20, :36])
    with pytest.raises(SourceError, match="another size than its image") as caught:
        ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr")
    assert (caught.value.file, caught.value.found) == ("masks/a_t2.tif", "20 x 36")
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "b.zarr", on_error="skip")
    assert [n.file for n in report.skipped] == ["masks/a_t2.tif"]


def test_axes_that_no_image_has_are_refused_even_if_they_are_not_needed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    tifffile.imwrite(
        tmp_path / "in/a.ome.tif", np.zeros((3, 8, 9), np.uint8), ome=True, metadata={"axes": "ZYX"}
    )
    for wrong in ("yxq", "zyxx"):
        with pytest.raises(ArgumentError, match="axes"):
            ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", options={"axes": wrong})
    done = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", options={"axes": "tyx"})
    assert any("--axes is not used" in n.what for n in done.notices)
