"""White blood cells, whole: every plane, cell, class, focus and row of the source is in the store."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr
from makers import make_wbc, make_wbc_crops
from PIL import Image

import ngff_bio
from ngff_bio.checks import validate
from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.sources import find_source, open_tree


def pixels(store: Path, path: str = "") -> np.ndarray:
    return np.asarray(zarr.open_array(str(store), path=f"{path}/0".lstrip("/"), mode="r")[...])


def own(store: Path, path: str = "") -> dict[str, Any]:
    return dict(zarr.open_group(str(store), path=path, mode="r").attrs)["ngff_bio"]


def ome(store: Path, path: str = "") -> dict[str, Any]:
    return dict(zarr.open_group(str(store), path=path, mode="r").attrs)["ome"]


def table(store: Path, path: str = "", name: str = "cell") -> pd.DataFrame:
    file = store / path / "tables" / name / "table.parquet"
    return pd.read_parquet(file) if file.exists() else pd.DataFrame({"record": []})


def decoded(file: Path) -> np.ndarray:
    """Pixels of an image file as Pillow decodes them, (colour, y, x)."""
    return np.moveaxis(np.asarray(Image.open(file).convert("RGB")), -1, 0)


def skipping(folder: Path, store: Path) -> Any:
    """Convert with wrong records left out."""
    return ngff_bio.convert(folder, store, on_error="skip")


def test_planes_of_a_stack_lie_along_z_with_colours_as_channels(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path)
    store = tmp_path / "out.zarr"
    ngff_bio.convert(truth.root, store)
    for stack in truth.stacks:
        name = "_".join(next(iter(stack.files.values())).name.split("_")[:3])
        found = pixels(store, name)
        expected = np.stack([decoded(stack.files[p]) for p in range(10)], axis=1)
        np.testing.assert_array_equal(found, expected)
        meta = ome(store, name)
        assert [c["label"] for c in meta["omero"]["channels"]] == ["red", "green", "blue"]
        assert [a["name"] for a in meta["multiscales"][0]["axes"]] == list("czyx")


def test_no_scale_or_unit_is_invented(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path)
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    name = ome_series(tmp_path / "out.zarr")[0]
    scales = ome(tmp_path / "out.zarr", name)["multiscales"][0]
    assert all("unit" not in a for a in scales["axes"])
    assert scales["datasets"][0]["coordinateTransformations"][0]["scale"] == [1.0] * 4


def ome_series(store: Path) -> list[str]:
    return list(ome(store, "OME")["series"])


def test_a_stack_is_what_shares_number_and_position_not_the_score(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path)
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    expected = {"_".join(p.name.split("_")[:3]) for s in truth.stacks for p in s.files.values()}
    assert set(ome_series(tmp_path / "out.zarr")) == expected
    assert len(expected) == len(truth.stacks)


def test_stage_position_plane_numbers_and_focus_scores_are_kept(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path)
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    for stack in truth.stacks:
        name = f"{stack.img_num:04}_{stack.position[0]}_{stack.position[1]}"
        image = own(tmp_path / "out.zarr", name)
        assert image["attributes"]["stage_position"] == dict(zip("xy", stack.position, strict=True))
        assert image["attributes"]["img_num"] == stack.img_num
        for frame, (plane, file) in zip(image["frames"], stack.files.items(), strict=True):
            assert frame["name"] == file.name
            score = int(re.split(r"[_.]", file.name)[4])
            assert frame["record"] == {"z": plane, "plane": plane, "focus_score": score}


def test_each_cell_is_a_box_on_the_plane_of_its_focus(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path)
    store = tmp_path / "out.zarr"
    ngff_bio.convert(truth.root, store)
    for stack in truth.stacks:
        name = f"{stack.img_num:04}_{stack.position[0]}_{stack.position[1]}"
        rows = table(store, name)
        layers = {
            layer: pixels(store, f"{name}/labels/{layer}") for layer in rows.label_image.unique()
        }
        for cell, row in zip(stack.cells, rows.itertuples(), strict=True):
            x, y, width, height = cell.location
            expected = np.zeros_like(layers[row.label_image], bool)
            expected[cell.focus, y : y + height, x : x + width] = True
            np.testing.assert_array_equal(layers[row.label_image] == row.label, expected)
            assert row.z == cell.focus
            assert (row.box_x, row.box_y, row.box_width, row.box_height) == cell.location


def test_classes_are_named_only_where_they_are_published(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path)
    store = tmp_path / "out.zarr"
    ngff_bio.convert(truth.root, store)
    for name in ome_series(store):
        for row in table(store, name).itertuples():
            number = int(row.category_id)
            expected = {0: "red blood cell", 1: "platelet"}.get(
                number, f"white blood cell subtype {number}"
            )
            assert row.category == expected
        listed = own(store, f"{name}/labels/cell")["categories"]
        assert [c["id"] for c in listed] == [0, 1, 2, 5, 7]


def written_again(store: Path, names: list[str], layer: str = "cell") -> dict[str, Any]:
    """The predictions as they were, from the store alone."""
    entries = []
    for name in names:
        stored = own(store, f"{name}/labels/{layer}".lstrip("/"))["attributes"]
        rows = table(store, name, layer)
        cells = {r.source_id: json.loads(r.record) for r in rows.itertuples()}
        entry = (
            cells
            if stored["schema"] == "old"
            else {k: cells if k == "cell_prediction" else v for k, v in stored["entry"].items()}
        )
        entries.append((stored["position"], stored["key"], entry))
    return {key: entry for _, key, entry in sorted(entries, key=lambda e: e[0])}


@pytest.mark.parametrize("schema", ["new", "old"])
def test_the_predictions_can_be_written_again_from_the_store(tmp_path: Path, schema: Any) -> None:
    truth = make_wbc(tmp_path, schema=schema, without_cells=1)
    store = tmp_path / "out.zarr"
    ngff_bio.convert(truth.root, store)
    again = written_again(store, ome_series(store))
    assert json.dumps(again) == json.dumps(truth.content)


def test_the_old_schema_has_boxes_on_every_plane(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path, schema="old")
    assert truth.json_file.name == "milab_result.json"
    store = tmp_path / "out.zarr"
    ngff_bio.convert(truth.root, store)
    for name in ome_series(store):
        rows = table(store, name)
        assert rows.z.isna().all()
        assert rows.category.isna().all()
        labels = pixels(store, f"{name}/labels/cell")
        assert (labels == labels[:1]).all()
        assert labels.any()


def test_the_misspelt_name_of_the_page_is_read_too(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path, json_name="anlayze_result.json")
    store = tmp_path / "out.zarr"
    report = ngff_bio.convert(truth.root, store)
    assert report.instances == sum(len(s.cells) for s in truth.stacks)


def test_comments_in_the_json_are_one_clear_error_and_nothing_is_written(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path, comments=True)
    with pytest.raises(SourceError, match="comments"):
        ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert not (tmp_path / "out.zarr").exists()


def test_images_that_are_listed_without_files_are_reported(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path, listed_without_file=2)
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    lost = [s for s in truth.stacks if not s.files]
    (notice,) = report.skipped
    assert (notice.file, notice.count) == (truth.json_file.name, 2)
    assert notice.record == ", ".join(
        f"image '{s.img_num - 1}' with {len(s.cells)} cells" for s in lost
    )
    assert report.images == len(truth.stacks) - 2


def test_images_that_are_not_listed_are_kept_without_cells(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path, without_listing=1)
    store = tmp_path / "out.zarr"
    report = ngff_bio.convert(truth.root, store)
    assert report.images == len(truth.stacks)
    bare = next(s for s in truth.stacks if not s.listed)
    name = f"{bare.img_num:04}_{bare.position[0]}_{bare.position[1]}"
    assert not (store / name / "labels").exists()
    assert pixels(store, name).any()
    assert any(n.kind == "note" and "no predictions list" in n.what for n in report.notices)


def test_listed_images_without_cells_have_an_empty_label_image(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path, without_cells=1)
    store = tmp_path / "out.zarr"
    ngff_bio.convert(truth.root, store)
    bare = truth.stacks[0]
    name = f"{bare.img_num:04}_{bare.position[0]}_{bare.position[1]}"
    assert not pixels(store, f"{name}/labels/cell").any()
    assert own(store, f"{name}/labels/cell")["attributes"]["key"] == "0"
    assert table(store, name).empty


def test_a_stack_with_missing_planes_keeps_the_others_and_its_cells_find_theirs(
    tmp_path: Path,
) -> None:
    truth = make_wbc(tmp_path)
    stack = truth.stacks[0]
    gone = {2, 9}
    for plane in gone:
        stack.files[plane].unlink()
    store = tmp_path / "out.zarr"
    report = ngff_bio.convert(truth.root, store)
    name = f"{stack.img_num:04}_{stack.position[0]}_{stack.position[1]}"
    kept = [p for p in range(10) if p not in gone]
    assert pixels(store, name).shape[1] == 8
    assert [f["record"]["plane"] for f in own(store, name)["frames"]] == kept
    rows = table(store, name)
    for cell, z in zip(stack.cells, rows.z.tolist(), strict=True):
        assert pd.isna(z) if cell.focus in gone else z == kept.index(cell.focus)
    assert any("planes 2, 9" in n.what for n in report.notices)
    assert written_again(store, ome_series(store)) == truth.content


def test_several_tests_below_one_folder_are_one_collection(tmp_path: Path) -> None:
    for number, test in enumerate(("slide 1", "slide 2")):
        make_wbc(tmp_path / "all" / "examples", test_id=test, seed=number)
    store = tmp_path / "out.zarr"
    report = ngff_bio.convert(tmp_path / "all", store)
    series = ome_series(store)
    assert {s.split("/")[0] for s in series} == {"slide_1", "slide_2"}
    assert all(s.count("/") == 1 for s in series)
    assert report.images == 6
    assert own(store, series[0])["attributes"]["test"] == "slide 1"
    assert not [f for f in validate(store) if f.level == "error"]


def test_the_same_images_come_from_a_zip(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path)
    # A test is called by the name of its folder or archive.
    archive = shutil.make_archive(str(tmp_path / truth.root.name), "zip", truth.root)
    ngff_bio.convert(truth.root, tmp_path / "a.zarr")
    ngff_bio.convert(archive, tmp_path / "b.zarr")
    files = [p.relative_to(tmp_path / "a.zarr") for p in (tmp_path / "a.zarr").rglob("*")]
    for file in files:
        # The manifest names the files that were read: one archive instead of many image files.
        if (tmp_path / "a.zarr" / file).is_file() and file.parts[0] != "ngff_bio":
            same = (tmp_path / "b.zarr" / file).read_bytes()
            assert (tmp_path / "a.zarr" / file).read_bytes() == same, file


def edited(truth: Any, change: Any) -> None:
    content = json.loads(truth.json_file.read_text())
    change(content)
    truth.json_file.write_text(json.dumps(content))


def test_a_location_outside_of_the_image_is_one_error_and_can_be_left_out(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path)

    def change(content: Any) -> None:
        first = next(iter(content.values()))["cell_prediction"]
        next(iter(first.values()))["location"] = [5000, 10, 20, 20]

    edited(truth, change)
    with pytest.raises(SourceError, match="outside") as caught:
        ngff_bio.convert(truth.root, tmp_path / "a.zarr")
    assert caught.value.record == "image '0', cell '0'"
    report = skipping(truth.root, tmp_path / "b.zarr")
    assert report.instances == sum(len(s.cells) for s in truth.stacks) - 1
    assert [n.record for n in report.skipped] == ["image '0', cell '0'"]


def test_a_location_that_reaches_over_the_border_is_cut_there(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path, sparse=False)

    def change(content: Any) -> None:
        cells = content["0"]["cell_prediction"]
        for key in list(cells)[1:]:
            del cells[key]
        cells["0"] |= {"location": [-4, -6, 10, 10], "focus": 3}

    edited(truth, change)
    store = tmp_path / "out.zarr"
    ngff_bio.convert(truth.root, store)
    name = sorted(ome_series(store))[0]
    labels = pixels(store, f"{name}/labels/cell")
    assert labels.sum() == labels[3, :4, :6].sum() == 24
    assert table(store, name).box_x.tolist() == [-4]


def test_an_index_and_a_name_that_disagree_are_refused(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path)

    def change(content: Any) -> None:
        content["0"]["img_name"] = content["1"]["img_name"]

    edited(truth, change)
    with pytest.raises(SourceError, match="img_name") as caught:
        ngff_bio.convert(truth.root, tmp_path / "a.zarr")
    assert caught.value.record == "image '0'"
    report = skipping(truth.root, tmp_path / "b.zarr")
    assert report.images == len(truth.stacks)
    assert len(report.skipped) == 1


def test_two_files_of_one_plane_are_refused(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path)
    file = truth.stacks[0].files[4]
    shutil.copy(file, file.with_name(file.name.rpartition("_")[0] + "_1.jpg"))
    with pytest.raises(SourceError, match="one plane"):
        ngff_bio.convert(truth.root, tmp_path / "a.zarr")


def test_a_damaged_plane_is_one_error_or_a_missing_plane(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path)
    file = truth.stacks[0].files[0]
    file.write_bytes(b"not an image")
    with pytest.raises(SourceError) as caught:
        ngff_bio.convert(truth.root, tmp_path / "a.zarr")
    assert caught.value.file == file.name
    report = skipping(truth.root, tmp_path / "b.zarr")
    assert report.images == len(truth.stacks)
    assert file.name in {n.file for n in report.skipped}


def test_two_predictions_of_one_image_are_kept_apart(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path)
    old = {
        key: {k: c["location"] for k, c in entry["cell_prediction"].items()}
        for key, entry in truth.content.items()
    }
    (truth.root / "milab_result.json").write_text(json.dumps(old))
    store = tmp_path / "out.zarr"
    ngff_bio.convert(truth.root, store)
    names = ome_series(store)
    assert written_again(store, names, "cell-analyze_result") == truth.content
    assert written_again(store, names, "cell-milab_result") == old


def test_predictions_without_images_are_reported(tmp_path: Path) -> None:
    (tmp_path / "analyze_result.json").write_text("{}")
    with pytest.raises(SourceNotFoundError):
        ngff_bio.convert(tmp_path, tmp_path / "out.zarr")


def test_the_real_field_of_view_converts_pixel_for_pixel(samples: Path, tmp_path: Path) -> None:
    source, store = samples / "wbc", tmp_path / "out.zarr"
    report = ngff_bio.convert(source, store)
    files = sorted((source / "miLab_test").glob("*.jpg"))
    group = zarr.open_array(str(store), path="0", mode="r")
    assert group.shape == (3, 10, 1200, 1920)
    for plane in (0, 5, 9):
        np.testing.assert_array_equal(group[:, plane], decoded(files[plane]))
    content = json.loads((source / "miLab_test/analyze_result.json").read_text())
    assert written_again(store, [""]) == content
    assert report.instances == 2
    labels = pixels(store, "labels/cell")
    assert np.flatnonzero(labels.any(axis=(1, 2))).tolist() == [5]
    assert (labels[5, 33 : 33 + 99, 618 : 618 + 114] == 1).all()
    assert (labels == 1).sum() == 99 * 114


def test_crops_are_stacks_of_ten_planes_with_their_row(tmp_path: Path) -> None:
    truth = make_wbc_crops(tmp_path, shuffled=True)
    store = tmp_path / "out.zarr"
    report = ngff_bio.convert(truth.root, store)
    assert report.images == len(truth.crops)
    for crop, row in zip(truth.crops, truth.rows, strict=True):
        name = str(crop.crop_index)
        expected = np.stack([decoded(f) for f in crop.files], axis=1)
        np.testing.assert_array_equal(pixels(store, name), expected)
        stored = own(store, name)["attributes"]
        assert stored["cell_location"] == list(crop.location)
        assert (stored["test"], stored["img_num"]) == (crop.test_id, crop.img_num)
        assert tuple(stored["labels"]["row"].values()) == row
        assert stored["labels"]["file"] == "labels.csv"


def test_strips_of_all_planes_are_reported_and_not_converted(tmp_path: Path) -> None:
    truth = make_wbc_crops(tmp_path)
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    (note,) = report.notices
    assert (note.kind, note.count) == ("note", len(truth.crops))
    assert "side by side" in note.what


def test_crops_of_several_tests_find_their_own_rows(tmp_path: Path) -> None:
    truth = make_wbc_crops(tmp_path, test_ids=("A", "B"), strips=False)
    store = tmp_path / "out.zarr"
    ngff_bio.convert(truth.root, store)
    assert set(ome_series(store)) == {f"{c.test_id}/{c.crop_index}" for c in truth.crops}
    for crop in truth.crops:
        stored = own(store, f"{crop.test_id}/{crop.crop_index}")["attributes"]
        assert stored["cell_location"] == list(crop.location)


def test_crops_alone_in_one_folder_are_found_without_a_table(tmp_path: Path) -> None:
    truth = make_wbc_crops(tmp_path / "made", strips=False, labels=False)
    folder = truth.crops[0].files[0].parent
    assert find_source(open_tree(folder)).name == "wbc"
    report = ngff_bio.convert(folder, tmp_path / "out.zarr")
    assert (report.images, report.notices) == (len(truth.crops), [])


def test_crops_beside_their_table_in_one_folder_are_matched_by_number(tmp_path: Path) -> None:
    truth = make_wbc_crops(tmp_path / "made", strips=False)
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in truth.files:
        shutil.copy(file, flat / file.name)
    store = tmp_path / "out.zarr"
    ngff_bio.convert(flat, store)
    for crop in truth.crops:
        stored = own(store, str(crop.crop_index))["attributes"]
        assert stored["cell_location"] == list(crop.location)


def test_listed_crops_without_image_files_are_reported(tmp_path: Path) -> None:
    truth = make_wbc_crops(tmp_path)
    for file in truth.crops[1].files:
        file.unlink()
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert [n.record for n in report.skipped] == ["line 3: crop 1 of Example_TEST"]


def test_a_test_folder_and_its_crops_are_one_collection(tmp_path: Path) -> None:
    raw = make_wbc(tmp_path / "all" / "examples")
    crops = make_wbc_crops(tmp_path / "all", test_ids=("miLab_test",))
    store = tmp_path / "out.zarr"
    report = ngff_bio.convert(tmp_path / "all", store)
    assert report.images == len(raw.stacks) + len(crops.crops)
    assert {s.rpartition("/")[0] for s in ome_series(store)} == {
        "examples/miLab_test",
        "tidy_data/miLab_test",
    }
