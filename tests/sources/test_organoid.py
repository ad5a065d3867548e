"""The organoid collection: frames, boxes, identities and graphs as the files have them."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
import zarr
from makers import make_organoid

from ngff_bio.conversion import convert
from ngff_bio.errors import ArgumentError, SourceError, SourceNotFoundError
from ngff_bio.formats.labelme.labelme import restored_file, restored_shape
from ngff_bio.formats.problems import Problems
from ngff_bio.model import SourceDataset
from ngff_bio.sources import find_source, open_tree, organoid, read_source
from ngff_bio.sources.organoid import SOURCE


def read(tree: Any, on_error: str = "stop", **options: Any) -> Any:
    """The dataset, with the notices of reading it."""
    problems = Problems(on_error)
    return replace(organoid.read(tree, problems, **options), notices=problems.gathered())


def image_of(dataset: SourceDataset, path: str) -> Any:
    return next(i for i in dataset.images if i.path == path)


def path_of(truth: Any, well: Any) -> str:
    """Fields are numbered from 0 in each well, in the order of the source's numbers."""
    beside = [w.index for w in truth.wells.values() if (w.tree, w.well) == (well.tree, well.well)]
    number = sorted(beside).index(well.index)
    return f"{well.tree}/{well.well[0]}/{int(well.well[1:])}/{number}"


def test_fields_are_numbered_from_0_and_keep_the_number_of_the_source(made) -> None:
    truth, store, _ = made
    for well in truth.wells.values():
        own = zarr.open_group(str(store / path_of(truth, well)), mode="r").attrs["ngff_bio"]
        assert own["attributes"]["field"] == well.index
    listed = zarr.open_group(str(store / "Tracking/F/10"), mode="r").attrs["ome"]["well"]["images"]
    assert [image["path"] for image in listed] == ["0", "1"]


def whole(image: Any) -> np.ndarray:
    return image.pixels.read(tuple((0, n) for n in image.pixels.shape))


def rows(store: Path, path: str) -> list[dict[str, Any]]:
    return pq.read_table(store / path / "tables/organoid/table.parquet").to_pylist()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("organoid")
    truth = make_organoid(folder, extra_keys=True)
    report = convert(truth.root, folder / "out.zarr")
    return truth, folder / "out.zarr", report


def test_the_collection_is_known_by_its_names(made) -> None:
    assert find_source(open_tree(made[0].root)).name == "organoid"
    assert find_source(open_tree(made[0].root / "Tracking")).name == "organoid"


def test_frames_are_the_tiffs_in_order_of_their_numbers(made) -> None:
    truth, store, report = made
    assert report.frames == sum(len(w.frames) for w in truth.wells.values())
    for well in truth.wells.values():
        array = zarr.open_array(str(store / path_of(truth, well) / "0"), mode="r")
        expected = np.stack([tifffile.imread(f.image_file) for f in well.frames])
        np.testing.assert_array_equal(array[:], expected)
    own = zarr.open_group(str(store / "Tracking/E/4/0"), mode="r").attrs["ngff_bio"]
    assert [f["name"].rpartition("/")[2] for f in own["frames"]] == [
        f"Proj_{n}.tif" for n in range(1, 13)
    ]


def test_each_tree_is_a_plate_with_wells_fields_and_days(made) -> None:
    truth, store, _ = made
    root = zarr.open_group(str(store), mode="r")
    for tree in ("Detection", "Tracking"):
        plate = root[tree].attrs["ome"]["plate"]
        wells = {w.well: w for w in truth.wells.values() if w.tree == tree}
        assert {w["path"] for w in plate["wells"]} == {f"{w[0]}/{int(w[1:])}" for w in wells}
    multiscale = root["Tracking/E/4/0"].attrs["ome"]["multiscales"][0]
    assert multiscale["axes"][0] == {"name": "t", "type": "time", "unit": "hour"}
    scale = multiscale["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scale == [24.0, 1.0, 1.0]
    assert all("unit" not in axis for axis in multiscale["axes"][1:])
    frames = root["Tracking/E/4/0"].attrs["ngff_bio"]["frames"]
    assert [f["elapsed_hours"] for f in frames] == [24.0 * n for n in range(12)]


def test_boxes_equal_those_of_the_files(made) -> None:
    truth, store, _ = made
    for well in truth.wells.values():
        found = rows(store, path_of(truth, well))
        expected = [(t, box.box) for t, f in enumerate(well.frames) for box in f.boxes]
        assert len(found) == len(expected)
        for row, (t, (left, top, right, bottom)) in zip(found, expected, strict=True):
            assert row["t"] == t
            box = [row[f"box_{k}"] for k in ("x", "y", "width", "height")]
            assert box == pytest.approx([left, top, right - left, bottom - top], abs=1e-12)


def test_both_corners_of_a_box_are_painted(made) -> None:
    truth, store, _ = made
    for well in truth.wells.values():
        for row in rows(store, path_of(truth, well)):
            labels = store / path_of(truth, well) / "labels" / row["label_image"] / "0"
            frame = zarr.open_array(str(labels), mode="r")[row["t"]]
            (x0, y0, x1, y1), rest = row["polygons"][0], row["polygons"][1:]
            assert not rest
            (left, right), (top, bottom) = sorted((int(x0), int(x1))), sorted((int(y0), int(y1)))
            patch = frame[top : bottom + 1, left : right + 1]
            same = [
                r
                for r in rows(store, path_of(truth, well))
                if (r["t"], r["label"]) == (row["t"], row["label"])
            ]
            assert (patch == row["label"]).all()
            if len(same) == 1:
                assert (frame == row["label"]).sum() == patch.size == row["pixels"]


def test_detection_labels_are_a_class_and_tracking_labels_identities(made) -> None:
    truth, store, _ = made
    for well in truth.wells.values():
        found = rows(store, path_of(truth, well))
        labels = [box.label for f in well.frames for box in f.boxes]
        if well.tree == "Detection":
            assert [r["category"] for r in found] == labels
            assert [r["label"] for r in found] == list(range(1, len(labels) + 1))
            assert all(r["track_id"] is None for r in found)
        else:
            assert [r["track_id"] for r in found] == labels
            assert all(r["category"] is None for r in found)


def test_the_identity_0_is_one_and_identities_with_gaps_keep_one_value(made) -> None:
    truth, store, _ = made
    for well in truth.wells.values():
        if well.tree != "Tracking":
            continue
        identities = sorted({b.label for f in well.frames for b in f.boxes}, key=int)
        found = rows(store, path_of(truth, well))
        values = {(r["track_id"], r["label"]) for r in found}
        assert values == {(name, rank) for rank, name in enumerate(identities, 1)}
    every = {
        b.label for w in truth.wells.values() if w.tree == "Tracking" for b in w.frames[0].boxes
    }
    assert "0" in every
    own = zarr.open_group(str(store / "Tracking/E/4/0/labels/organoid"), mode="r")
    assert own.attrs["ngff_bio"]["tracked"] is True


def test_the_labelme_files_can_be_written_again(made) -> None:
    truth, store, _ = made
    for well in truth.wells.values():
        own = zarr.open_group(str(store / path_of(truth, well)), mode="r").attrs["ngff_bio"]
        found = rows(store, path_of(truth, well))
        for t, frame in enumerate(well.frames):
            shapes = [restored_shape(r["record"], r["polygons"][0]) for r in found if r["t"] == t]
            record = own["frames"][t]["record"]
            again = restored_file(record["labelme"], shapes)
            original = json.loads(frame.json_file.read_text())
            assert again == original
            assert record["annotation_file"].endswith(frame.json_file.name)


@pytest.mark.parametrize("image_path", ["sibling", "stale", "windows"])
def test_images_are_paired_by_sibling_name_whatever_imagepath_is(
    image_path: str, tmp_path: Path
) -> None:
    truth = make_organoid(tmp_path, image_path=image_path, trees=["Detection"])  # type: ignore[arg-type]
    dataset = read(open_tree(truth.root))
    for well in truth.wells.values():
        image = image_of(dataset, path_of(truth, well))
        np.testing.assert_array_equal(whole(image), np.stack([f.pixels for f in well.frames]))


def test_flags_null_boxes_outside_flat_boxes_and_group_ids_are_taken(tmp_path: Path) -> None:
    truth = make_organoid(
        tmp_path, flags_null=True, outside=True, flat_box=True, group_id=True, double_label=True
    )
    convert(truth.root, tmp_path / "out.zarr")
    for well in truth.wells.values():
        found = rows(tmp_path / "out.zarr", path_of(truth, well))
        expected = [c for f in well.frames for c in f.corners]
        assert [[tuple(r["polygons"][0][:2]), tuple(r["polygons"][0][2:])] for r in found] == [
            list(c) for c in expected
        ]


def test_one_identity_on_two_boxes_of_a_frame_is_one_value_and_one_node(tmp_path: Path) -> None:
    truth = make_organoid(tmp_path, double_label=True, trees=["Tracking"])
    convert(truth.root, tmp_path / "out.zarr")
    path = "Tracking/E/4/0"
    pairs = [(r["label"], r["t"]) for r in rows(tmp_path / "out.zarr", path)]
    assert len(set(pairs)) < len(pairs)
    graph = zarr.open_group(str(tmp_path / "out.zarr" / path / "tracks/organoid"), mode="r")
    nodes = list(
        zip(graph["nodes/props/label/values"][:], graph["nodes/props/t/values"][:], strict=True)
    )
    assert sorted(nodes) == sorted(set(pairs))


def test_frames_of_unequal_size_are_padded_and_keep_their_size(tmp_path: Path) -> None:
    truth = make_organoid(tmp_path, unequal_sizes=True, trees=["Tracking"])
    dataset = read(open_tree(truth.root))
    for well in truth.wells.values():
        image = image_of(dataset, path_of(truth, well))
        read_all = whole(image)
        for t, frame in enumerate(well.frames):
            rows_, columns = frame.shape
            np.testing.assert_array_equal(read_all[t, :rows_, :columns], frame.pixels)
            assert not read_all[t, rows_:].any()
            assert not read_all[t, :, columns:].any()
            size = image.frames[t].size
            assert size == (None if frame.shape == read_all.shape[1:] else frame.shape)
        part = ((0, len(well.frames)), (3, 40), (50, 119))
        np.testing.assert_array_equal(image.pixels.read(part), read_all[:, 3:40, 50:119])


def test_another_size_in_the_json_is_refused_or_scaled_by_option(tmp_path: Path) -> None:
    truth = make_organoid(tmp_path, json_scale=2.0, trees=["Detection"])
    with pytest.raises(SourceError, match="another size") as caught:
        read(open_tree(truth.root))
    assert "--scale-annotations" in str(caught.value)
    dataset = read(open_tree(truth.root), on_error="skip")
    assert all(not i.labels for i in dataset.images)
    assert dataset.notices[0].kind == "skipped"
    dataset = read(open_tree(truth.root), scale_annotations=True)
    well = next(iter(truth.wells.values()))
    instances = image_of(dataset, path_of(truth, well)).labels[0].instances.read(0)
    for instance, corners in zip(instances, well.frames[0].corners, strict=True):
        assert instance.geometry.points == tuple((x / 2, y / 2) for x, y in corners)
        assert restored_shape(instance.record, [0, 0, 0, 0])["points"] == [list(c) for c in corners]
    assert any("scaled" in n.what for n in dataset.notices)


def test_days_that_are_missing_leave_the_axis_without_a_step(tmp_path: Path) -> None:
    truth = make_organoid(tmp_path, number_gap=True, trees=["Tracking"])
    dataset = read(open_tree(truth.root))
    image = image_of(dataset, "Tracking/F/10/0")
    assert [f.elapsed_hours for f in image.frames] == [0.0, 48.0, 72.0, 96.0, 120.0]
    assert image.axes[0].scale is None


def test_frames_without_annotations_are_kept_and_annotations_without_image_refused(
    tmp_path: Path,
) -> None:
    truth = make_organoid(tmp_path, without_json=2, without_image=1, trees=["Tracking"])
    with pytest.raises(SourceError, match="annotations without their image"):
        read(open_tree(truth.root))
    dataset = read(open_tree(truth.root), on_error="skip")
    image = image_of(dataset, "Tracking/E/4/0")
    assert image.pixels.shape[0] == 11
    assert image.labels[0].instances.read(0) == []
    assert len(image.labels[0].instances.read(2)) == len(
        truth.wells["Tracking/W_E4_12"].frames[2].boxes
    )
    found_notices = {(n.kind, n.what, n.count) for n in dataset.notices}
    assert ("warning", "images without annotations", 2) in found_notices
    assert ("skipped", "annotations without their image", 1) in found_notices


def test_the_image_inside_the_json_is_used_where_there_is_no_file(tmp_path: Path) -> None:
    truth = make_organoid(tmp_path, without_image=1, image_data="base64", trees=["Tracking"])
    dataset = read(open_tree(truth.root))
    well = truth.wells["Tracking/W_E4_12"]
    np.testing.assert_array_equal(
        whole(image_of(dataset, path_of(truth, well)))[11], well.frames[11].pixels
    )


@pytest.mark.parametrize("tiff", ["lzw", "tiled"])
def test_compressed_and_tiled_frames_read_the_same(tiff: str, tmp_path: Path) -> None:
    truth = make_organoid(tmp_path, tiff=tiff, trees=["Detection"])  # type: ignore[arg-type]
    dataset = read(open_tree(truth.root))
    for well in truth.wells.values():
        found = whole(image_of(dataset, path_of(truth, well)))
        np.testing.assert_array_equal(found, np.stack([f.pixels for f in well.frames]))


def test_the_collection_reads_from_a_zip_without_unpacking(made, tmp_path: Path) -> None:
    truth, _, _ = made
    with zipfile.ZipFile(tmp_path / "o.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in truth.root.rglob("*.*"):
            archive.write(path, path.relative_to(truth.root.parent))
    dataset = read(open_tree(tmp_path / "o.zip"))
    for well in truth.wells.values():
        image = image_of(dataset, path_of(truth, well))
        np.testing.assert_array_equal(whole(image), np.stack([f.pixels for f in well.frames]))


def test_a_tree_by_itself_is_known_by_its_folder_or_by_the_option(made, tmp_path: Path) -> None:
    truth, _, _ = made
    one = read(open_tree(truth.root / "Tracking"))
    assert {i.path.split("/")[0] for i in one.images} == {"Tracking"}
    well = tmp_path / "wells"
    well.symlink_to(truth.root / "Tracking")
    with pytest.raises(ArgumentError, match="classes or identities") as caught:
        read(open_tree(well))
    assert "-O kind=Tracking" in str(caught.value)
    assert read(open_tree(well), kind="Tracking").plates[0].name == "Tracking"


def test_a_broken_annotation_file_ends_the_conversion_or_is_passed_over(tmp_path: Path) -> None:
    truth = make_organoid(tmp_path, trees=["Detection"])
    frame = truth.wells["Detection/W_C10_1"].frames[1]
    frame.json_file.write_bytes(frame.json_file.read_bytes()[:100])
    with pytest.raises(SourceError, match="not valid JSON") as caught:
        read(open_tree(truth.root))
    assert caught.value.file == "Detection/W_C10_1/Proj_2.json"
    dataset = read(open_tree(truth.root), on_error="skip")
    assert image_of(dataset, "Detection/C/10/1").pixels.shape[0] == 2
    assert [n.file for n in dataset.notices if n.kind == "skipped"] == [caught.value.file]


def test_a_broken_image_ends_the_conversion_or_is_passed_over(tmp_path: Path) -> None:
    truth = make_organoid(tmp_path, trees=["Detection"])
    frame = truth.wells["Detection/W_C10_1"].frames[1]
    frame.image_file.write_bytes(frame.image_file.read_bytes()[:1000])
    with pytest.raises(SourceError, match="truncated"):
        read(open_tree(truth.root))
    dataset = read(open_tree(truth.root), on_error="skip")
    assert image_of(dataset, "Detection/C/10/1").pixels.shape[0] == 1


def test_other_files_are_named_and_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    truth = make_organoid(tmp_path, trees=["Detection"])
    (truth.root / "notes.dat").write_bytes(b"x")
    dataset = read_source(SOURCE, open_tree(truth.root))
    assert [(n.kind, n.record) for n in dataset.notices] == [("skipped", "notes.dat")]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceNotFoundError):
        read(open_tree(tmp_path / "empty"))
