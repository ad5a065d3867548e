"""LIVECell, whole: every pixel, annotation and membership of the source is in the store."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from coco_stores import (
    annotations,
    coco_decode,
    image_groups,
    own_attributes,
    rows,
    same_record,
)
from makers import make_livecell
from makers.damage import edit_json, set_in_json, truncate
from makers.livecell import LiveCellTruth

import ngff_bio
from ngff_bio.errors import NgffBioError, SourceError, SourceNotFoundError

TRAIN = "LIVECell/livecell_coco_train"
VAL = "LIVECell/livecell_coco_val"
Make = Callable[..., LiveCellTruth]


@pytest.fixture
def two_types(tmp_path: Path) -> Make:
    def make(**quirks: Any) -> LiveCellTruth:
        quirks = {"single_cells": False, "size_splits": False, **quirks}
        return make_livecell(tmp_path, cell_types=("A172", "BV2"), **quirks)

    return make


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[LiveCellTruth, Path]:
    folder = tmp_path_factory.mktemp("livecell")
    truth = make_livecell(
        folder,
        crowd_every=7,
        parts_every=5,
        repeated=1,
        irregular_times=True,
        without_annotations=2,
        category_id=3,
    )
    ngff_bio.convert(truth.root.parent, folder / "out.zarr")
    return truth, folder / "out.zarr"


def file_of(truth: LiveCellTruth, name: str, source: Path) -> str:
    return truth.annotation_files[name].relative_to(source).as_posix()


def frames(store: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Group and entry of each frame by its bare file name."""
    return {
        frame["name"].rpartition("/")[2]: (group, frame)
        for group in image_groups(store)
        for frame in own_attributes(group)["frames"]
    }


def check_pixels(truth: LiveCellTruth, store: Path) -> None:
    found = frames(store)
    for name, image in truth.images.items():
        if image.written:
            group, frame = found.pop(name)
            pixels = zarr.open_array(group / "0", mode="r")[frame["t"]]
            np.testing.assert_array_equal(pixels, truth.pixels(name))
    assert not found


def check_annotations(truth: LiveCellTruth, store: Path, source: Path) -> None:
    """Every record of every file, value for value; every mask as pycocotools has it."""
    found = annotations(store)
    for name in truth.annotation_files:
        content = truth.coco(name)["annotations"]
        content = list(content.values()) if isinstance(content, dict) else content
        stored = found.pop(file_of(truth, name, source), [])
        assert [index for index, _ in stored] == list(range(len(content)))
        assert all(same_record(a, b) for (_, a), b in zip(stored, content, strict=True))
    assert not found
    for row in rows(store):
        expected = coco_decode(row.record()["segmentation"], *truth.crop)
        np.testing.assert_array_equal(row.mask(), expected)


def test_every_pixel_equals_tifffile(whole: tuple[LiveCellTruth, Path]) -> None:
    truth, store = whole
    for name, (group, frame) in frames(store).items():
        pixels = zarr.open_array(group / "0", mode="r")[frame["t"]]
        expected = tifffile.imread(truth.root / truth.image_files[name])
        np.testing.assert_array_equal(pixels, expected)
        assert pixels.dtype == np.uint8
    assert len(frames(store)) == len(truth.image_files)


def test_every_annotation_of_every_file_is_in_the_store_value_for_value(
    whole: tuple[LiveCellTruth, Path],
) -> None:
    truth, store = whole
    check_annotations(truth, store, truth.root.parent)


def test_one_plate_per_cell_type_with_the_full_layout_of_96_wells(
    whole: tuple[LiveCellTruth, Path],
) -> None:
    truth, store = whole
    types = {i.frame.cell_type for i in truth.images.values()}
    root = own_attributes(store)
    assert set(root["groups"]) == types
    for name in types:
        plate = zarr.open_group(store / name, mode="r").attrs["ome"]["plate"]
        assert [r["name"] for r in plate["rows"]] == list("ABCDEFGH")
        assert [c["name"] for c in plate["columns"]] == [str(n) for n in range(1, 13)]
        wells = {i.frame.well for i in truth.images.values() if i.frame.cell_type == name}
        assert {w["path"].replace("/", "") for w in plate["wells"]} == wells
    assert set(ngff_bio.open(store)) == {
        g.relative_to(store).as_posix() for g in image_groups(store)
    }


def test_well_names_have_no_zero_padding(whole: tuple[LiveCellTruth, Path]) -> None:
    _, store = whole
    wells = {"".join(g.relative_to(store).parts[1:3]) for g in image_groups(store)}
    assert wells
    assert all(re.fullmatch(r"[A-H][1-9]\d?", w) for w in wells)


def test_a_field_is_one_crop_of_one_location_over_time(
    whole: tuple[LiveCellTruth, Path],
) -> None:
    truth, store = whole
    for group in image_groups(store):
        own = own_attributes(group)
        images = [truth.images[f["name"].rpartition("/")[2]] for f in own["frames"]]
        assert len({(i.frame.well, i.frame.location, i.crop) for i in images}) == 1
        assert own["attributes"]["crop"] == images[0].crop
        hours = [f["elapsed_hours"] for f in own["frames"]]
        assert hours == sorted(i.frame.hours for i in images)
        assert [f["t"] for f in own["frames"]] == list(range(len(images)))


def test_irregular_times_are_kept_and_regular_ones_are_a_scale(tmp_path: Path) -> None:
    truth = make_livecell(
        tmp_path, size="small", cell_types=["A172"], single_cells=False, size_splits=False
    )
    ngff_bio.convert(truth.root, tmp_path / "regular.zarr")
    image = image_groups(tmp_path / "regular.zarr")[0]
    multiscale = zarr.open_group(image, mode="r").attrs["ome"]["multiscales"][0]
    assert multiscale["axes"][0] == {"name": "t", "type": "time", "unit": "hour"}
    assert multiscale["datasets"][0]["coordinateTransformations"][0]["scale"] == [4.0, 1.0, 1.0]


def test_crops_tile_column_by_column_in_world_coordinates(
    whole: tuple[LiveCellTruth, Path],
) -> None:
    truth, store = whole
    key = next(iter(truth.recipes))
    made = truth.frame(key).pixels
    seen = np.zeros_like(made)
    for crop in (1, 2, 3, 4):
        group, frame = frames(store)[key.file_name(crop)]
        image = ngff_bio.open(store)[group.relative_to(store).as_posix()].level(0)["image"]
        y, x = image.coords["y"].values.astype(int), image.coords["x"].values.astype(int)
        seen[y[0] : y[-1] + 1, x[0] : x[-1] + 1] = image[frame["t"]].values
    np.testing.assert_array_equal(seen, made)


def test_real_crops_continue_each_other_across_their_border(samples: Path, tmp_path: Path) -> None:
    ngff_bio.convert(samples / "livecell", tmp_path / "out.zarr")
    store = ngff_bio.open(tmp_path / "out.zarr")
    parts = [store[f"SkBr3/H/3/{field}"].level(0)["image"] for field in range(4)]
    files = samples / "livecell/images/livecell_train_val_images/SkBr3"
    for t, time in enumerate(("02d00h00m", "02d04h00m")):
        for crop, part in enumerate(parts, 1):
            expected = tifffile.imread(files / f"SkBr3_Phase_H3_2_{time}_{crop}.tif")
            np.testing.assert_array_equal(part[t].values, expected)
    left, below, right, _ = parts
    assert right.coords["x"].values[0] == left.coords["x"].values[-1] + 1
    assert below.coords["y"].values[0] == left.coords["y"].values[-1] + 1
    # The picture goes on: pixels on both sides of the border are as alike as any two neighbours.
    across = np.abs(left[0, :, -1].values.astype(int) - right[0, :, 0].values.astype(int))
    inside = np.abs(np.diff(left[0].values.astype(int), axis=1)).mean()
    assert across.mean() < 1.5 * inside
    assert list(store["A172/A/7/0"].shape) == [1, 520, 704]


def test_stitch_writes_whole_frames_with_every_mask_in_place(tmp_path: Path) -> None:
    truth = make_livecell(
        tmp_path, cell_types=["A172"], crowd_every=5, parts_every=4, size_splits=False
    )
    ngff_bio.convert(truth.root, tmp_path / "out.zarr", options={"stitch": True})
    store = tmp_path / "out.zarr"
    for group in image_groups(store):
        pixels = zarr.open_array(group / "0", mode="r")
        for frame in own_attributes(group)["frames"]:
            crops = frame["record"]["crops"]
            assert [c["crop"] for c in crops] == [1, 2, 3, 4]
            key = truth.images[crops[0]["name"].rpartition("/")[2]].frame
            np.testing.assert_array_equal(pixels[frame["t"]], truth.frame(key).pixels)
    rows_, columns = truth.crop
    for row in rows(store):
        top, left = row.values["offset_y"], row.values["offset_x"]
        expected = np.zeros((2 * rows_, 2 * columns), bool)
        record = row.record()
        mask = coco_decode(record["segmentation"], rows_, columns)
        expected[top : top + rows_, left : left + columns] = mask
        np.testing.assert_array_equal(row.mask(), expected)
    stored = annotations(store)[file_of(truth, TRAIN, truth.root)]
    assert [r for _, r in stored] == truth.coco(TRAIN)["annotations"]


def test_a_stitched_frame_without_one_of_its_crops_is_0_there(tmp_path: Path) -> None:
    truth = make_livecell(tmp_path, cell_types=["A172"], size_splits=False, single_cells=False)
    key = next(iter(truth.recipes))
    (truth.root / truth.image_files[key.file_name(4)]).unlink()
    report = ngff_bio.convert(
        truth.root, tmp_path / "out.zarr", options={"stitch": True}, on_error="skip"
    )
    assert any("lacks some of its crops" in n.what for n in report.notices)
    pixels = zarr.open_array(tmp_path / "out.zarr/A172/A/4/0/0", mode="r")[0]
    expected = truth.frame(key).pixels.copy()
    expected[truth.crop[0] :, truth.crop[1] :] = 0
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("by_cell_type", [False, True])
def test_images_may_be_zipped_flat_or_by_cell_type(
    two_types: Make, tmp_path: Path, by_cell_type: bool
) -> None:
    truth = two_types(zipped=True, by_cell_type=by_cell_type)
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    check_pixels(truth, tmp_path / "out.zarr")
    check_annotations(truth, tmp_path / "out.zarr", truth.root)


def test_the_whole_dataset_may_be_a_zip(two_types: Make, tmp_path: Path) -> None:
    truth = two_types(zipped=True)
    archive = shutil.make_archive(str(tmp_path / "all"), "zip", truth.root)
    ngff_bio.convert(archive, tmp_path / "out.zarr")
    check_pixels(truth, tmp_path / "out.zarr")
    check_annotations(truth, tmp_path / "out.zarr", truth.root)


def test_annotations_may_be_an_object_keyed_by_id_and_categories_missing(
    two_types: Make, tmp_path: Path
) -> None:
    truth = two_types(annotations_as="object", categories="missing", single_cells=True)
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    check_annotations(truth, tmp_path / "out.zarr", truth.root)
    files = own_attributes(tmp_path / "out.zarr")["attributes"]["coco"]
    assert {f["annotations"] for f in files} == {"object"}
    assert all("categories" not in f["keys"] for f in files)
    every = list(rows(tmp_path / "out.zarr"))
    assert {r.values["category"] for r in every} == {None}
    assert all(r.values["variants"] is None for r in every)  # keys are the ids as text


def test_annotation_files_can_be_written_again_from_the_store(
    whole: tuple[LiveCellTruth, Path],
) -> None:
    truth, store = whole
    files = own_attributes(store)["attributes"]["coco"]
    entries: dict[int, list[tuple[int, Any]]] = {}
    for _, frame in frames(store).values():
        for each in frame.get("record", {}).get("coco", []):
            for number, index in each["files"]:
                entries.setdefault(number, []).append((index, each["record"]))
    for number, file in enumerate(files):
        name = Path(file["file"]).relative_to("LIVECell_dataset_2021/annotations")
        content = truth.coco(name.with_suffix("").as_posix())
        images = [r for _, r in sorted(entries.get(number, []), key=lambda pair: pair[0])]
        rest = {k: v for k, v in content.items() if k not in ("images", "annotations")}
        assert images == content["images"]
        assert file["keys"] == list(content)
        assert file["rest"] == rest


def test_membership_of_every_split_stands_at_every_frame(
    whole: tuple[LiveCellTruth, Path],
) -> None:
    truth, store = whole
    expected: dict[str, set[str]] = {name: set() for name in truth.image_files}
    for split, listings in truth.listings.items():
        for listing in listings:
            expected[listing.image.file_name].add(split)
    found = {name: set(f.get("splits", ())) for name, (_, f) in frames(store).items()}
    assert found == expected
    assert set(own_attributes(store)["splits"]) == set(truth.listings)


def test_images_of_several_files_with_the_same_annotations_have_one_set(
    two_types: Make, tmp_path: Path
) -> None:
    truth = two_types(single_cells=True, size_splits=True, in_both=2)
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert report.labels == ["cell"]
    check_annotations(truth, tmp_path / "out.zarr", truth.root)
    listed_twice = truth.listings[VAL][-1].image.file_name
    group, frame = frames(tmp_path / "out.zarr")[listed_twice]
    assert {TRAIN, VAL} <= set(frame["splits"])
    row = next(r for r in rows(tmp_path / "out.zarr") if r.image == group)
    assert len(row.values["files"]) > 1


def test_differing_annotation_sets_of_one_image_are_kept_apart_and_named(
    two_types: Make, tmp_path: Path
) -> None:
    truth = two_types(doubled=2)
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert report.labels == ["cell", "cell-livecell_coco_train"]
    assert any("cell-livecell_coco_train" in n.what for n in report.notices)
    check_annotations(truth, tmp_path / "out.zarr", truth.root)
    second = [x for x in truth.listings[TRAIN] if x.second]
    _, frame = frames(tmp_path / "out.zarr")[second[0].image.file_name]
    layers = {e["layer"]: e["record"]["id"] for e in frame["record"]["coco"]}
    assert layers["cell-livecell_coco_train"] == second[0].image_id
    assert layers["cell"] != second[0].image_id


def test_the_same_annotations_under_other_ids_are_one_set_and_ids_are_kept(
    two_types: Make, tmp_path: Path
) -> None:
    truth = two_types()
    train = truth.annotation_files[TRAIN]
    content = json.loads(train.read_text())
    for record in content["annotations"]:
        record["id"] += 10_000_000
        record["image_id"] += 500_000
    for entry in content["images"]:
        entry["id"] += 500_000
    other = train.parent.parent / "LIVECell_single_cells" / "again.json"
    other.parent.mkdir()
    other.write_text(json.dumps(content, indent=1))
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert report.labels == ["cell"]
    stored = annotations(tmp_path / "out.zarr")
    name = other.relative_to(truth.root).as_posix()
    assert [r for _, r in stored[name]] == content["annotations"]
    check = stored[train.relative_to(truth.root).as_posix()]
    assert [r for _, r in check] == truth.coco(TRAIN)["annotations"]


def test_files_that_no_annotation_file_lists_are_converted_and_noted(
    two_types: Make, tmp_path: Path
) -> None:
    truth = two_types(without_listing=2)
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    check_pixels(truth, tmp_path / "out.zarr")
    (notice,) = [n for n in report.notices if "not listed by any" in n.what]
    assert notice.count == 2


def test_a_listed_image_without_a_file_is_one_error_or_one_line_of_the_report(
    two_types: Make, tmp_path: Path
) -> None:
    truth = two_types(without_file=1)
    with pytest.raises(SourceError, match="listed image") as caught:
        ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    absent = next(i.file_name for i in truth.images.values() if not i.written)
    assert absent in str(caught.value)
    assert not (tmp_path / "out.zarr").exists()
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr", on_error="skip")
    check_pixels(truth, tmp_path / "out.zarr")
    assert any(absent in (n.record or "") for n in report.skipped)


def test_a_truncated_annotation_file_is_named_and_the_rest_can_be_converted(
    two_types: Make, tmp_path: Path
) -> None:
    truth = two_types(truncate=VAL)
    with pytest.raises(SourceError, match="ends before it is complete") as caught:
        ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert "livecell_coco_val.json" in str(caught.value)
    assert caught.value.hint
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr", on_error="skip")
    assert any("livecell_coco_val" in (n.file or "") for n in report.skipped)
    stored = annotations(tmp_path / "out.zarr")
    assert [r for _, r in stored[file_of(truth, TRAIN, truth.root)]] == truth.coco(TRAIN)[
        "annotations"
    ]
    assert file_of(truth, VAL, truth.root) not in stored


def test_nuclear_counts_are_images_of_two_channels_with_their_count(tmp_path: Path) -> None:
    truth = make_livecell(
        tmp_path,
        cell_types=["BV2"],
        single_cells=False,
        size_splits=False,
        count_benchmark=["A172", "A549"],
        counts_as="mixed",
    )
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    store = tmp_path / "out.zarr"
    seen = 0
    for group in image_groups(store / "nuclear_count_benchmark"):
        own = own_attributes(group)
        name, made = own["name"], truth.counts[own["attributes"]["set"]]
        pixels = zarr.open_array(group / "0", mode="r")[:]
        np.testing.assert_array_equal(pixels[0], made.phase[name])
        np.testing.assert_array_equal(pixels[1], made.fluorescent[name])
        assert own["attributes"]["nuclear_count"] == made.counts[name]
        assert own["attributes"]["count"] == made.written[name]
        channels = zarr.open_group(group, mode="r").attrs["ome"]["omero"]["channels"]
        assert [c["label"] for c in channels] == ["phase contrast", "fluorescence"]
        seen += 1
    assert seen == sum(len(c.counts) for c in truth.counts.values())
    opened = ngff_bio.open(store)
    assert len([p for p in opened if p.startswith("nuclear_count_benchmark/")]) == seen
    assert "BV2" in own_attributes(store)["groups"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("HeLa_Phase_A7_1_00d00h00m_1.tif", "cell type, HeLa"),
        ("A172_Phase_K7_1_00d00h00m_1.tif", "well, K7"),
        ("A172_Phase_A07_1_00d00h00m_1.tif", "well, A07"),
        ("A172_Phase_A7_1_00d00h00m_5.tif", "crop, 5"),
        ("holiday.tif", "not of this collection"),
    ],
)
def test_unknown_names_are_reported_under_their_own_name_and_not_guessed(
    two_types: Make, tmp_path: Path, name: str, why: str
) -> None:
    truth = two_types()
    some = truth.root / next(iter(truth.image_files.values()))
    shutil.copy(some, some.with_name(name))
    with pytest.raises(SourceError, match="would not be read") as caught:
        ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert why in str(caught.value.found)
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr", ignore_unread=True)
    assert [why in n.what for n in report.skipped if name in (n.file or "")] == [True]
    check_pixels(truth, tmp_path / "out.zarr")


def test_stray_files_do_no_harm(two_types: Make, tmp_path: Path) -> None:
    truth = two_types(stray_files=True)
    ngff_bio.convert(truth.root.parent, tmp_path / "out.zarr")
    check_pixels(truth, tmp_path / "out.zarr")


def test_an_image_of_another_size_than_its_record_is_named(two_types: Make, tmp_path: Path) -> None:
    truth = two_types()
    set_in_json(truth.annotation_files[TRAIN], ("images", 0, "height"), 99)
    with pytest.raises(SourceError, match="another size than its entry") as caught:
        ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert "99" in str(caught.value.expected)
    assert str(truth.crop[0]) in str(caught.value.found)


def test_two_files_of_one_image_are_named(two_types: Make, tmp_path: Path) -> None:
    truth = two_types()
    some = truth.root / next(iter(truth.image_files.values()))
    (some.parent / "again").mkdir()
    shutil.copy(some, some.parent / "again" / some.name)
    with pytest.raises(SourceError, match="two files are the same part"):
        ngff_bio.convert(truth.root, tmp_path / "out.zarr")


def test_a_damaged_image_is_left_out_when_errors_are_skipped(
    two_types: Make, tmp_path: Path
) -> None:
    truth = two_types()
    place = truth.root / next(iter(truth.image_files.values()))
    truncate(place, 0.0)
    with pytest.raises(NgffBioError):
        ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr", on_error="skip")
    assert any(place.name in (n.file or "") for n in report.skipped)
    assert place.name not in frames(tmp_path / "out.zarr")


def test_a_folder_without_images_is_refused(two_types: Make, tmp_path: Path) -> None:
    truth = two_types()
    shutil.rmtree(truth.root / "images")
    with pytest.raises(SourceNotFoundError, match="no image of LIVECell found"):
        ngff_bio.convert(truth.root, tmp_path / "out.zarr", on_error="skip")


def test_options_that_the_source_does_not_have_are_refused(two_types: Make, tmp_path: Path) -> None:
    with pytest.raises(NgffBioError, match="does not take"):
        ngff_bio.convert(two_types().root, tmp_path / "out.zarr", options={"stich": True})


def test_an_images_zip_with_a_path_that_leads_out_is_refused(
    two_types: Make, tmp_path: Path
) -> None:
    truth = two_types(zipped=True)
    with zipfile.ZipFile(truth.root / "images.zip", "a") as archive:
        archive.writestr("../../A172_Phase_A7_1_00d00h00m_1.tif", b"x")
    with pytest.raises(SourceError, match="outside"):
        ngff_bio.convert(truth.root, tmp_path / "out.zarr")


def test_progress_of_reading_is_reported(two_types: Make, tmp_path: Path) -> None:
    truth = two_types()
    reported: list[tuple[str, int, int]] = []
    ngff_bio.convert(truth.root, tmp_path / "out.zarr", reading=lambda *now: reported.append(now))
    for path in truth.annotation_files.values():
        size = path.stat().st_size
        assert (path.relative_to(truth.root).as_posix(), size, size) in reported


def test_an_annotation_file_with_unusual_keys_keeps_them(two_types: Make, tmp_path: Path) -> None:
    truth = two_types()

    def change(content: dict[str, Any]) -> dict[str, Any]:
        content["annotations"][0]["keypoints"] = [1, 2.5, 2]
        content["annotations"][0]["attributes"] = {"segmentation": [[1, 2, 3]], "é": None}
        return {"annotations": content.pop("annotations"), "x": {"y": [1.0]}, **content}

    edit_json(truth.annotation_files[TRAIN], change)
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    content = json.loads(truth.annotation_files[TRAIN].read_text())
    stored = annotations(tmp_path / "out.zarr")[file_of(truth, TRAIN, truth.root)]
    assert all(same_record(a, b) for (_, a), b in zip(stored, content["annotations"], strict=True))
    files = own_attributes(tmp_path / "out.zarr")["attributes"]["coco"]
    train = next(f for f in files if f["file"].endswith("train.json"))
    assert train["keys"][:2] == ["annotations", "x"]
    assert train["rest"]["x"] == {"y": [1.0]}
