"""The made LIVECell collection is what its truth says, read by other libraries."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from makers import make_livecell
from makers.livecell import LiveCellTruth
from makers.livecell_plan import SIZES, plan_images
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from ngff_bio.errors import ArgumentError

NAME = re.compile(
    r"^(A172|BT474|BV2|Huh7|MCF7|SHSY5Y|SkBr3|SKOV3)_Phase_([A-H](?:[1-9]|1[0-2]))_(\d+)"
    r"_(\d\d)d(\d\d)h(\d\d)m_([1-4])\.tif$"
)
TRAIN = "LIVECell/livecell_coco_train"
VAL = "LIVECell/livecell_coco_val"
TEST = "LIVECell/livecell_coco_test"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> LiveCellTruth:
    return make_livecell(tmp_path_factory.mktemp("livecell"))


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., LiveCellTruth]:
    def make(**quirks: Any) -> LiveCellTruth:
        return make_livecell(tmp_path, cell_types=("A172", "BV2"), **quirks)

    return make


def read(truth: LiveCellTruth, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(truth.annotation_files[name].read_text())
    return content


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    made = [
        make_livecell(
            tmp_path / name,
            seed=seed,
            cell_types=["SkBr3"],
            zipped=True,
            count_benchmark=["A172"],
            processes=processes,
        )
        for name, seed, processes in (("a", 1, 1), ("b", 1, 2), ("c", 2, 1))
    ]
    content = [[file.read_bytes() for file in truth.files] for truth in made]
    assert content[0] == content[1]
    assert content[0] != content[2]


def test_every_cell_type_and_annotation_set_is_there(whole: LiveCellTruth) -> None:
    names = [NAME.match(name) for name in whole.images]
    assert all(names)
    assert len({match[1] for match in names if match}) == 8
    assert len(whole.annotation_files) == 3 + 8 * 3 + 5
    assert (whole.root / "annotations/LIVECell_single_cells/shsy5y/val.json").is_file()
    assert (whole.root / "annotations/LIVECell_dataset_size_split/0_train2percent.json").is_file()
    assert len(whole.images) == len(whole.image_files) == 128


def test_tiffs_are_as_the_published_ones(whole: LiveCellTruth) -> None:
    for name, place in list(whole.image_files.items())[::9]:
        with tifffile.TiffFile(whole.root / place) as tiff:
            page = tiff.pages[0]
            assert len(tiff.pages) == 1
            assert (page.dtype, page.compression, page.predictor) == (np.uint8, 5, 2)
            np.testing.assert_array_equal(page.asarray(), whole.pixels(name))


def test_four_crops_are_the_quarters_of_one_frame_column_by_column(whole: LiveCellTruth) -> None:
    steps = []
    for key in whole.recipes:
        part = {
            crop: tifffile.imread(whole.root / whole.image_files[key.file_name(crop)])
            for crop in (1, 2, 3, 4)
        }
        frame = np.block([[part[1], part[3]], [part[2], part[4]]])
        np.testing.assert_array_equal(frame, whole.frame(key).pixels)
        steps.append(np.abs(np.diff(frame.astype(float), axis=1)).mean(axis=0))
    # The image goes on across the seam: the step there is as small as elsewhere.
    mean = np.mean(steps, axis=0)
    assert mean[len(mean) // 2] < 1.3 * np.median(mean)


def test_the_published_crops_have_the_same_geometry(samples: Path) -> None:
    folder = samples / "livecell/images/livecell_train_val_images/SkBr3"
    part = {
        crop: tifffile.imread(folder / f"SkBr3_Phase_H3_2_02d00h00m_{crop}.tif").astype(float)
        for crop in (1, 2, 3, 4)
    }
    frame = np.block([[part[1], part[3]], [part[2], part[4]]])
    for axis in (0, 1):
        steps = np.abs(np.diff(frame, axis=axis)).mean(axis=1 - axis)
        assert steps[frame.shape[axis] // 2 - 1] < 1.6 * np.median(steps)


def test_annotation_files_hold_the_records_of_the_truth(whole: LiveCellTruth) -> None:
    for name in whole.annotation_files:
        assert read(whole, name) == whole.coco(name)


def test_pycocotools_reads_what_was_written(whole: LiveCellTruth) -> None:
    coco = COCO(str(whole.annotation_files[TRAIN]))
    for image in list(coco.imgs.values())[::20]:
        assert (image["height"], image["width"]) == whole.crop
        for record in coco.imgToAnns[image["id"]]:
            drawn = coco.annToMask(record)
            assert drawn.sum() == pytest.approx(record["area"], rel=0.4, abs=12)
            x, y, width, height = record["bbox"]
            points = np.array(record["segmentation"][0]).reshape(-1, 2)
            assert points.min(axis=0).tolist() == [x, y]
            assert points.max(axis=0) == pytest.approx([x + width, y + height], abs=0.006)
            assert (points == points.round(2)).all()


def test_cells_look_unlike_their_surroundings(whole: LiveCellTruth) -> None:
    coco = COCO(str(whole.annotation_files[TRAIN]))
    inside, outside = [], []
    for image in list(coco.imgs.values())[:20]:
        covered = np.zeros(whole.crop, bool)
        for record in coco.imgToAnns[image["id"]]:
            covered |= coco.annToMask(record).astype(bool)
        pixels = whole.pixels(image["file_name"])
        inside.append(pixels[covered].mean())
        outside.append(pixels[~covered].mean())
    assert np.mean(outside) - np.mean(inside) > 10


def test_contours_overlap(whole: LiveCellTruth) -> None:
    coco = COCO(str(whole.annotation_files[TRAIN]))
    image = max(coco.imgs, key=lambda each: len(coco.imgToAnns[each]))
    total = sum(coco.annToMask(record).astype(int) for record in coco.imgToAnns[image])
    assert total.max() > 1


def test_sets_are_subsets_and_tests_have_wells_of_their_own(whole: LiveCellTruth) -> None:
    ids = {name: {each["id"] for each in read(whole, name)["images"]} for name in whole.listings}
    for split in ("train", "val", "test"):
        parts = [ids[f"LIVECell_single_cells/{each}/{split}"] for each in ("a172", "bv2", "skov3")]
        assert all(part <= ids[f"LIVECell/livecell_coco_{split}"] for part in parts)
    shares = [ids[name] for name in ids if "size_split" in name]
    assert len(shares) == 5
    assert all(share <= ids[TRAIN] for share in shares)
    assert all(few <= many for few, many in pairwise(shares))
    wells = {
        test: {image.frame[:2] for image in whole.images.values() if image.test is test}
        for test in (True, False)
    }
    assert not wells[True] & wells[False]


@pytest.mark.parametrize("by_cell_type", [False, True])
def test_images_may_be_zipped_flat_or_by_cell_type(
    small: Callable[..., LiveCellTruth], by_cell_type: bool
) -> None:
    truth = small(zipped=True, by_cell_type=by_cell_type)
    assert not (truth.root / "images").exists()
    with zipfile.ZipFile(truth.root / "images.zip") as archive:
        assert set(archive.namelist()) == set(truth.image_files.values())
        for name, place in list(truth.image_files.items())[::7]:
            assert ("/BV2/" in place) == (by_cell_type and name.startswith("BV2"))
            pixels = tifffile.imread(io.BytesIO(archive.read(place)))
            np.testing.assert_array_equal(pixels, truth.pixels(name))


def test_annotations_may_be_an_object_without_categories(
    small: Callable[..., LiveCellTruth],
) -> None:
    truth = small(annotations_as="object", categories="missing")
    content = read(truth, "LIVECell_dataset_size_split/4_train50percent")
    assert "categories" not in content
    assert all(int(key) == each["id"] for key, each in content["annotations"].items())
    assert content == truth.coco("LIVECell_dataset_size_split/4_train50percent")


def test_crowds_are_run_lengths_of_their_contours(small: Callable[..., LiveCellTruth]) -> None:
    truth = small(crowd_every=3, crowd_counts="both")
    kinds = Counter()
    for record in read(truth, TRAIN)["annotations"]:
        if record["iscrowd"]:
            runs = record["segmentation"]
            kinds[type(runs["counts"]).__name__] += 1
            if isinstance(runs["counts"], list):
                assert sum(runs["counts"]) == np.prod(truth.crop)
                runs = coco_mask.frPyObjects(runs, *runs["size"])
            assert coco_mask.area(runs) == record["area"]
    assert kinds["list"] > 3
    assert kinds["str"] > 3


def test_records_may_have_parts_and_repeat(small: Callable[..., LiveCellTruth]) -> None:
    truth = small(parts_every=4, repeated=2)
    content = read(truth, TRAIN)
    assert content == truth.coco(TRAIN)
    assert {len(each["segmentation"]) for each in content["annotations"]} == {1, 2}
    first = content["images"][0]["id"]
    contours = Counter(
        json.dumps(each["segmentation"])
        for each in content["annotations"]
        if each["image_id"] == first
    )
    assert sorted(contours.values())[-2:] == [2, 2]
    ids = [each["id"] for each in content["annotations"]]
    assert len(set(ids)) == len(ids)


def test_a_file_name_may_have_several_image_ids_and_both_splits(
    small: Callable[..., LiveCellTruth],
) -> None:
    truth = small(doubled=3, in_both=2)
    train, val = read(truth, TRAIN), read(truth, VAL)
    assert (train, val) == (truth.coco(TRAIN), truth.coco(VAL))
    names = Counter(each["file_name"] for each in train["images"])
    assert sorted(names.values())[-3:] == [2, 2, 2]
    assert len(set(names) & {each["file_name"] for each in val["images"]}) == 2
    doubled = [name for name, count in names.items() if count == 2]
    sets = [
        [each["segmentation"] for each in train["annotations"] if each["image_id"] == image["id"]]
        for image in train["images"]
        if image["file_name"] == doubled[0]
    ]
    assert sets[0] != sets[1]
    assert len(sets[1]) == len(sets[0]) - 1


def test_files_and_listings_may_lack_each_other(small: Callable[..., LiveCellTruth]) -> None:
    truth = small(without_file=2, without_listing=1, without_annotations=3)
    contents = [read(truth, name) for name in (TRAIN, VAL, TEST)]
    listed = {each["file_name"] for content in contents for each in content["images"]}
    there = {path.name for path in (truth.root / "images").rglob("*.tif")}
    assert (len(listed - there), len(there - listed)) == (2, 1)
    annotated = {each["image_id"] for each in contents[0]["annotations"]}
    assert len({each["id"] for each in contents[0]["images"]} - annotated) == 3


def test_one_file_may_be_cut_short(small: Callable[..., LiveCellTruth]) -> None:
    truth = small(truncate=VAL)
    with pytest.raises(json.JSONDecodeError):
        read(truth, VAL)
    assert read(truth, TRAIN) == truth.coco(TRAIN)


def test_times_may_be_irregular_and_files_stray(small: Callable[..., LiveCellTruth]) -> None:
    truth = small(irregular_times=True, stray_files=True)
    hours: dict[Any, list[int]] = {}
    for key in truth.recipes:
        hours.setdefault(key[:3], []).append(key.hours)
    assert {tuple(np.diff(each)) for each in hours.values()} != {(4,)}
    assert (truth.root / "images/.DS_Store").is_file()
    assert (truth.root / "models/Anchor_free/ALL/model.pth").is_file()


@pytest.mark.parametrize("kind", ["int", "float", "str", "mixed"])
def test_counts_are_those_of_the_stained_nuclei(
    small: Callable[..., LiveCellTruth], kind: str
) -> None:
    from skimage.measure import label

    truth = small(count_benchmark=["A172", "A549"], counts_as=kind)
    folder = truth.root / "nuclear_count_benchmark"
    for name in ("A172", "A549"):
        written = json.loads((folder / f"{name}_counts.json").read_text())
        assert written == truth.counts[name].written
        types = {type(value).__name__ for value in written.values()}
        assert types == ({"int", "float", "str"} if kind == "mixed" else {kind})
        with zipfile.ZipFile(folder / f"{name}_fluorescent_images.zip") as archive:
            for file_name, count in written.items():
                pixels = tifffile.imread(io.BytesIO(archive.read(file_name)))
                assert label(pixels > 60).max() == float(count)
        with zipfile.ZipFile(folder / f"{name}.zip") as archive:
            assert set(archive.namelist()) == set(written)


def test_full_size_has_the_published_numbers() -> None:
    size = SIZES["full"]
    frames = plan_images(size, list(size.fields), irregular_times=False, unwritten=0, unlisted=0)
    assert size.crop == (520, 704)
    assert sum(len(images) for images in frames.values()) == 5239
    assert len({key[:3] for key in frames}) == 65
    assert all(NAME.match(each.file_name) for images in frames.values() for each in images)


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="cell type"):
        make_livecell(tmp_path, cell_types=["HeLa"])
    with pytest.raises(ArgumentError, match="annotation file"):
        make_livecell(tmp_path, cell_types=["BV2"], truncate="val")
