"""Names of splits, as datasets have them, are read as train, val or test, and never guessed."""

from __future__ import annotations

import pytest

from ngff_bio.errors import ArgumentError
from ngff_bio.model.splits import members_of_split, split_of_path, standard_split


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("train", "train"),
        ("Train", "train"),
        ("training", "train"),
        ("instances_train2017", "train"),
        ("0_train2percent", "train"),
        ("stage_1_local_train_split", "train"),
        ("train/_annotations.coco", "train"),
        ("imagesTr", "train"),
        ("val", "val"),
        ("valid", "val"),
        ("Validation", "val"),
        ("stage_1_local_val_split", "val"),
        ("test", "test"),
        ("livecell_coco_test", "test"),
        ("imagesTs", "test"),
        ("trainval", None),
        ("train_val", None),
        ("contest", None),
        ("latest", None),
        ("BBBC006", None),
        ("annotations", None),
    ],
)
def test_a_name_means_a_split_only_by_a_word_of_its_own(name: str, means: str | None) -> None:
    assert standard_split(name) == means


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("train/images/a.jpg", "train"),
        ("images/val2017/a.jpg", "val2017"),
        ("stage1_test/id/images/id.png", "stage1_test"),
        ("images/Validation/a.jpg", "Validation"),
        ("test of dyes/a.jpg", None),
        ("livecell_train_val_images/a.tif", None),
        ("train.jpg", None),
        ("a/b.jpg", None),
    ],
)
def test_a_folder_is_a_split_if_it_is_named_after_nothing_else(
    path: str, folder: str | None
) -> None:
    assert split_of_path(path) == folder


FRAMES = {1: ["Train"], 2: ["Train", "all"], 3: ["valid"], 4: ["Test"], 5: []}


def test_a_split_is_found_by_its_name_by_a_pattern_or_by_its_meaning() -> None:
    assert members_of_split(FRAMES, "Train") == {1, 2}
    assert members_of_split(FRAMES, "train") == {1, 2}
    assert members_of_split(FRAMES, "validation") == {3}
    assert members_of_split(FRAMES, "T*") == {1, 2, 4}
    assert members_of_split(FRAMES, "all") == {2}


def test_a_name_is_taken_before_a_meaning() -> None:
    assert members_of_split({1: ["train"], 2: ["train_extra"]}, "train") == {1}


def test_a_whole_set_gives_way_to_its_part_of_the_same_meaning() -> None:
    frames = {1: ["stage1_train", "local_train"], 2: ["stage1_train", "local_val"]}
    assert members_of_split(frames, "train") == {1}
    assert members_of_split(frames, "val") == {2}


def test_a_split_whose_frames_are_in_another_one_is_ambiguous() -> None:
    frames = {1: ["a_train", "b_val"], 2: ["a_train"]}
    with pytest.raises(ArgumentError, match="ambiguous") as caught:
        members_of_split(frames, "train")
    assert "a_train" in str(caught.value.found)
    assert "b_val" in str(caught.value.found)
    assert members_of_split(frames, "a_train") == {1, 2}


@pytest.mark.parametrize("wanted", ["val", "tes", "everything"])
def test_a_split_that_is_not_there_is_an_error_with_the_names(wanted: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        members_of_split({1: ["train"], 2: ["train", "small"]}, wanted)
    assert caught.value.expected == "train, small"
