"""COCO files become instances; nothing of a record is lost, and what is wrong is named."""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ngff_bio.errors import SourceError
from ngff_bio.formats.coco.file import CocoFile
from ngff_bio.formats.coco.index import open_coco
from ngff_bio.formats.coco.layers import (
    ImageEntry,
    Placement,
    annotation_sets,
    frame_record,
    instance_layers,
    short_names,
)
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Box, Instance, OnError, Polygons, Rle
from ngff_bio.sources.files.ranges import LocalFile

SQUARE = [[1, 1, 5.5, 1, 5.5, 5.25, 1, 5]]


def annotation(number: Any, image: Any = 1, **more: Any) -> dict[str, Any]:
    record = {
        "segmentation": SQUARE,
        "area": 18,
        "iscrowd": 0,
        "bbox": [1.0, 1.0, 4.5, 4.25],
        "image_id": image,
        "category_id": 1,
        "id": number,
    }
    return record | more


def content(*annotations: Any, **more: Any) -> dict[str, Any]:
    return {
        "info": {"year": 2021},
        "images": [
            {"id": 1, "file_name": "a.png", "height": 10, "width": 12},
            {"id": 2, "file_name": "b.png", "height": 10, "width": 12},
        ],
        "annotations": list(annotations),
        "categories": [{"id": 1, "name": "cell", "supercategory": "thing"}],
    } | more


def written(folder: Path, what: Any, name: str = "file.json", **style: Any) -> LocalFile:
    text = what if isinstance(what, bytes) else json.dumps(what, **style).encode()
    (folder / name).write_bytes(text)
    return LocalFile(str(folder), name)


def opened(
    folder: Path, what: Any, on_error: OnError = "stop", window: int = 1 << 20, **style: Any
) -> tuple[CocoFile, Problems]:
    problems = Problems(on_error)
    file = written(folder, what, **style)
    return open_coco(file, problems, digests=True, window=window), problems


def instances_of(coco: CocoFile, number: int = 0, on_error: OnError = "stop") -> list[Instance]:
    (found,) = annotation_sets([ImageEntry(coco, coco.images[number])])
    layers, _ = instance_layers("cell", [Placement(found, 0)], {coco.name: "f"}, on_error)
    return pickle.loads(pickle.dumps(layers[0].instances)).read(0) if layers else []


def test_a_record_comes_back_whole_with_its_keys_in_order(tmp_path: Path) -> None:
    record = {"z": 1, **annotation(7), "keypoints": [1, 2.0, 2], "e": 1e-7, "é": [True, None, {}]}
    coco, _ = opened(tmp_path, content(record))
    (found,) = instances_of(coco)
    again = json.loads(found.record or "")
    assert again.pop("segmentation") is None
    assert again == {k: v for k, v in record.items() if k != "segmentation"}
    assert list(json.loads(found.record or "")) == list(record)
    assert isinstance(found.geometry, Polygons)
    assert [list(p) for p in found.geometry.parts] == SQUARE
    assert (found.source_id, found.category_id, found.category) == (7, 1, "cell")
    assert (found.box, found.area, found.iscrowd) == ((1.0, 1.0, 4.5, 4.25), 18.0, 0)
    assert (found.files, found.indices) == (("file.json",), (0,))


@pytest.mark.parametrize(
    ("text", "score"), [("0.75", 0.75), ("1", 1.0), ("null", None), ('"high"', None), ("NaN", None)]
)
def test_a_score_is_a_column_and_others_stay_in_the_record(
    tmp_path: Path, text: str, score: float | None
) -> None:
    given = json.dumps(content(annotation(1))).replace('"area": 18', f'"area": 18, "score": {text}')
    coco, _ = opened(tmp_path, given.encode())
    (found,) = instances_of(coco)
    assert (found.score, found.area) == (score, 18)
    assert f'"score": {text}' in (found.record or "")


def test_numbers_keep_their_spelling(tmp_path: Path) -> None:
    text = json.dumps(content(annotation(1))).replace('"area": 18', '"area": 18.00, "x": 1E2')
    coco, _ = opened(tmp_path, text.encode())
    (found,) = instances_of(coco)
    assert '"area": 18.00, "x": 1E2' in (found.record or "")


@pytest.mark.parametrize(
    "segmentation",
    [
        SQUARE,
        [SQUARE[0], [6, 6, 8, 6, 8, 8]],
        {"size": [10, 12], "counts": [5, 3, 112]},
        {"counts": "PPYo0", "size": [10, 12]},
    ],
    ids=["polygon", "several parts", "uncompressed", "compressed"],
)
def test_polygons_and_run_lengths_of_both_kinds_are_kept(tmp_path: Path, segmentation: Any) -> None:
    coco, _ = opened(tmp_path, content(annotation(1, segmentation=segmentation)))
    (found,) = instances_of(coco)
    if isinstance(segmentation, list):
        assert isinstance(found.geometry, Polygons)
        assert [list(p) for p in found.geometry.parts] == segmentation
    else:
        assert found.geometry == Rle((10, 12), segmentation["counts"])
    # An RLE whose keys stand in the other order leaves a trace of it.
    counts_first = isinstance(segmentation, dict) and next(iter(segmentation)) == "counts"
    kept = {"counts": None, "size": None} if counts_first else None
    assert json.loads(found.record or "")["segmentation"] == kept


@pytest.mark.parametrize("segmentation", [[], None, "missing"])
def test_without_a_segmentation_the_box_is_the_shape_and_the_record_keeps_it(
    tmp_path: Path, segmentation: Any
) -> None:
    record = annotation(1, segmentation=segmentation)
    if segmentation == "missing":
        del record["segmentation"]
    coco, _ = opened(tmp_path, content(record))
    (found,) = instances_of(coco)
    assert found.geometry == Box(1.0, 1.0, 5.5, 5.25)
    assert json.loads(found.record or "") == record


def test_a_run_length_object_with_more_keys_is_an_error(tmp_path: Path) -> None:
    rle = {"size": [10, 12], "counts": [120], "note": "x"}
    coco, _ = opened(tmp_path, content(annotation(1, segmentation=rle)))
    with pytest.raises(SourceError, match="wrong type"):
        instances_of(coco)
    (found,) = instances_of(coco, on_error="skip")
    assert json.loads(found.record or "")["segmentation"] == rle


def test_the_word_segmentation_elsewhere_in_a_record_is_no_trap(tmp_path: Path) -> None:
    record = {
        "first": {"segmentation": SQUARE},
        **annotation(1),
        "last": {"segmentation": SQUARE, "text": '"segmentation": [[1]]'},
    }
    coco, _ = opened(tmp_path, content(record))
    (found,) = instances_of(coco)
    assert json.loads(found.record or "") == {**record, "segmentation": None}
    assert list(json.loads(found.record or "")) == list(record)


@pytest.mark.parametrize("first", [0, -3, 2**40])
def test_ids_may_be_0_negative_or_beyond_32_bits(tmp_path: Path, first: int) -> None:
    images = [{"id": first, "file_name": "a.png"}, {"id": first + 1, "file_name": "b.png"}]
    what = content(annotation(first, first), annotation(first + 1, first), images=images)
    coco, _ = opened(tmp_path, what)
    found = instances_of(coco)
    assert [i.source_id for i in found] == [first, first + 1]
    assert [i.value for i in found] == [1, 2]


def test_ids_may_be_text(tmp_path: Path) -> None:
    what = content(
        annotation("x", "i", category_id="c"),
        images=[{"id": "i", "file_name": "a.png"}],
        categories=[{"id": "c", "name": "cell"}],
    )
    coco, _ = opened(tmp_path, what)
    (found,) = instances_of(coco)
    assert (found.source_id, found.category_id, found.category) == ("x", "c", "cell")


def test_annotations_may_be_an_object_and_a_key_that_is_not_the_id_is_kept(
    tmp_path: Path,
) -> None:
    keyed = {"1": annotation(1), "two": annotation(2), "3": annotation(3, 2)}
    coco, _ = opened(tmp_path, content(annotations=keyed))
    found = instances_of(coco)
    assert coco.form == "object"
    assert [i.variants for i in found] == [None, ('{"key": "two"}',)]
    assert [i.indices for i in found] == [(0,), (1,)]


@pytest.mark.parametrize("listed", [None, []])
def test_categories_that_are_not_listed_are_a_warning(tmp_path: Path, listed: Any) -> None:
    what = content(annotation(1, category_id=5), annotation(2))
    what["categories"], what["annotations"][1]["category_id"] = listed, None
    _, problems = opened(tmp_path, what)
    assert [(n.kind, n.file, n.count) for n in problems.notices] == [("warning", "file.json", 1)]
    assert "categories that the file does not list" in problems.notices[0].what


def test_categories_and_licenses_may_be_missing(tmp_path: Path) -> None:
    what = content(annotation(1, category_id=5))
    del what["categories"], what["info"]
    coco, _ = opened(tmp_path, what)
    (found,) = instances_of(coco)
    assert (found.category, found.category_id) == (None, 5)
    assert coco.keys == ("images", "annotations")
    assert coco.rest == {}


def test_annotations_may_be_missing(tmp_path: Path) -> None:
    what = content()
    del what["annotations"]
    coco, _ = opened(tmp_path, what)
    assert (coco.form, coco.count) == ("missing", 0)
    assert instances_of(coco) == []


@pytest.mark.parametrize("window", [1, 50, 1 << 20])
@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("indent", [None, 2])
def test_annotations_in_any_order_and_keys_in_any_order_find_their_images(
    tmp_path: Path, window: int, keyed: bool, indent: int | None
) -> None:
    records = [annotation(k, 1 + k % 2, note=f"n{k}") for k in range(20)]
    random.Random(1).shuffle(records)
    annotations: Any = {str(r["id"]): r for r in records} if keyed else records
    base = content(annotations=annotations)
    for order in (list(base), list(base)[::-1]):
        coco, _ = opened(tmp_path, {k: base[k] for k in order}, window=window, indent=indent)
        assert coco.keys == tuple(order)
        for number, image in ((0, 1), (1, 2)):
            mine = [(k, r) for k, r in enumerate(records) if r["image_id"] == image]
            found = instances_of(coco, number)
            assert [i.indices for i in found] == [(k,) for k, _ in mine]
            assert [i.source_id for i in found] == [r["id"] for _, r in mine]


def test_label_values_are_unique_over_all_frames(tmp_path: Path) -> None:
    records = [annotation(k, 1 + k // 3) for k in range(6)]
    coco, _ = opened(tmp_path, content(*records))
    places = [
        Placement(annotation_sets([ImageEntry(coco, image)])[0], t)
        for t, image in enumerate(coco.images)
    ]
    (layer,), names = instance_layers("cell", places, {coco.name: "f"})
    assert names == {0: "cell", 1: "cell"}
    values = [i.value for t in (0, 1) for i in layer.instances.read(t)]
    assert values == list(range(1, 7))
    assert (layer.count, layer.max_value) == (6, 6)


def test_equal_sets_of_two_files_are_one_and_differing_ones_two_layers(tmp_path: Path) -> None:
    records = [annotation(1), annotation(2)]
    moved = [annotation(1, area=99), annotation(2)]
    renumbered = [annotation(11), annotation(12)]
    entries = []
    for name, which in (("a", records), ("b", moved), ("c", renumbered), ("d", records)):
        file = written(tmp_path, content(*which), f"{name}.json")
        entries.append(open_coco(file, Problems(), digests=True))
    sets = annotation_sets([ImageEntry(c, c.images[0]) for c in entries])
    assert [[e.coco.name for e in s.entries] for s in sets] == [
        ["a.json", "c.json", "d.json"],
        ["b.json"],
    ]
    places = [Placement(s, 0) for s in sets]
    layers, names = instance_layers("cell", places, short_names([c.name for c in entries]))
    assert [layer.name for layer in layers] == ["cell", "cell-b"]
    first = layers[0].instances.read(0)[0]
    assert first.files == ("a.json", "c.json", "d.json")
    assert first.variants == (None, '{"id": 11, "image_id": 1}', None)
    made_entries = frame_record(
        [(s, names[i]) for i, s in enumerate(sets)],
        {c.name: i for i, c in enumerate(entries)},
    )
    assert [(e["layer"], e["files"]) for e in made_entries] == [
        ("cell", [[0, 0], [2, 0], [3, 0]]),
        ("cell-b", [[1, 0]]),
    ]


def test_equal_sets_are_found_wherever_windows_cut_the_files(tmp_path: Path) -> None:
    records = [annotation(k, 1 + k // 10) for k in range(20)]
    one = open_coco(written(tmp_path, content(*records), "a.json"), Problems(), digests=True)
    other = open_coco(
        written(tmp_path, content(*records[10:]), "b.json"), Problems(), digests=True, window=64
    )
    assert one.annotations(one.images[1]).digest == other.annotations(other.images[1]).digest
    assert one.annotations(one.images[0]).digest != one.annotations(one.images[1]).digest


def test_short_names_take_as_many_folders_as_they_need() -> None:
    names = ["x/livecell_coco_train.json", "x/a172/train.json", "x/bv2/train.json", "val.json"]
    assert list(short_names(names).values()) == [
        "livecell_coco_train",
        "a172-train",
        "bv2-train",
        "val",
    ]


def test_a_pickled_layer_holds_places_and_no_annotations(tmp_path: Path) -> None:
    coco, _ = opened(tmp_path, content(*(annotation(k) for k in range(5000))))
    (found,) = annotation_sets([ImageEntry(coco, coco.images[0])])
    (layer,), _ = instance_layers("cell", [Placement(found, 0)], {coco.name: "f"})
    assert len(pickle.dumps(layer)) < 2000


def test_a_file_that_changes_while_it_is_read_is_named(tmp_path: Path) -> None:
    coco, _ = opened(tmp_path, content(annotation(1), annotation(2)))
    written(tmp_path, content(annotation(1)))
    with pytest.raises(SourceError, match="changed while it was read"):
        instances_of(coco)


@pytest.mark.parametrize(
    ("change", "what", "record"),
    [
        ({"images": [{"id": 1}]}, "wrong type|missing", "images[0]"),
        ({"images": [{"id": 1, "file_name": 7}]}, "wrong type|missing", "images[0]"),
        ({"images": [{"file_name": "a.png"}]}, "wrong type|missing", "images[0]"),
        ({"images": [{"id": [1], "file_name": "a.png"}]}, "wrong type|missing", "images[0]"),
        ({"images": [{"id": True, "file_name": "a.png"}]}, "wrong type|missing", "images[0]"),
        ({"images": [7]}, "wrong type|missing", "images[0]"),
        (
            {"images": [{"id": 1, "file_name": "a.png", "height": "10", "width": 12}]},
            "wrong type",
            "images[0]",
        ),
        (
            {"images": [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}]},
            "same id",
            "images[1]",
        ),
        ({"categories": [{"id": 1}]}, "wrong type|missing", "categories[0]"),
        ({"categories": [{"id": 1, "name": 4}]}, "wrong type|missing", "categories[0]"),
        ({"categories": [{"name": "x"}]}, "wrong type|missing", "categories[0]"),
        ({"categories": [{"id": 1, "name": "x"}] * 2}, "same id", "categories[1]"),
        ({"annotations": [annotation(1), annotation(1)]}, "same id", "annotations[1]"),
        ({"annotations": [annotation("a"), annotation("a")]}, "same id", "annotations[1]"),
        ({"annotations": [annotation(1, 99)]}, "unknown image", "annotations[0]"),
        ({"annotations": [annotation(1, "1")]}, "unknown image", "annotations[0]"),
        ({"annotations": [annotation(1, None)]}, "no usable image_id", "annotations[0]"),
        ({"annotations": [annotation(1, True)]}, "no usable image_id", "annotations[0]"),
        ({"annotations": [{"id": 1}]}, "no usable image_id", "annotations[0]"),
        ({"annotations": [annotation(1, category_id=9)]}, "unknown category", "annotations[0]"),
        ({"annotations": [annotation([1])]}, "no usable id", "annotations[0]"),
    ],
)
def test_a_wrong_record_is_one_error_or_one_line_of_the_report(
    tmp_path: Path, change: dict[str, Any], what: str, record: str
) -> None:
    with pytest.raises(SourceError, match=what) as caught:
        opened(tmp_path, content(**change))
    assert caught.value.file == "file.json"
    assert (caught.value.record or "").startswith(record)
    coco, problems = opened(tmp_path, content(**change), "skip")
    assert len(problems.notices) == 1
    notice = problems.notices[0]
    assert (notice.kind, notice.file) == ("skipped", "file.json")
    for number in range(len(coco.images)):
        instances_of(coco, number)


def test_ids_as_numbers_here_and_text_there_are_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        opened(tmp_path, content(annotation(1, "1")))
    assert "numbers or as text" in str(caught.value.hint)
    assert caught.value.found == '"1"'


def test_a_million_equal_problems_are_one_line(tmp_path: Path) -> None:
    records = [annotation(k, 99) for k in range(500)] + [annotation(500)]
    coco, problems = opened(tmp_path, content(*records), "skip")
    (notice,) = problems.gathered()
    assert notice.count == 500
    assert len(instances_of(coco)) == 1


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"images": [], "annotations": 5}, "wrong type"),
        ({"images": {}, "annotations": []}, "wrong type"),
        ({"images": [], "annotations": [], "categories": {}}, "wrong type"),
        ({"shapes": []}, "not a COCO"),
        ({"images": [], "annotations": [1]}, "not valid JSON"),
        ({"images": [], "annotations": [[1]]}, "not an object"),
        (b'{"images": [], "annotations": {"1": {"id": 1}, "1": {"id": 2}}}', "cannot be separated"),
        (b'{"images": [], "annotations": [{"id": 1} {"id": 2}]}', "."),
        (b'{"images": [], "annotations": [{"id": 1, // one\n"image_id": 2}]}', "not valid JSON"),
    ],
)
def test_what_is_no_coco_is_one_clear_error(tmp_path: Path, what: Any, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        opened(tmp_path, what)
    assert caught.value.file == "file.json"


@pytest.mark.parametrize(
    ("segmentation", "what"),
    [
        ([[1, 1, 5, 1, 5]], "odd number"),
        ([[1, 1, 5, 1]], "fewer than three"),
        ([SQUARE[0], []], "fewer than three"),
        ([[1, 1, 5, 1, 5, float("nan")]], "nan|inf"),
        ([[1, 1, 5, 1, 5, float("inf")]], "nan|inf"),
        ([[1, 1, 5, 1, 5, "5"]], "wrong type"),
        ([1, 1, 5, 1, 5, 5], "wrong type"),
        ("ab", "wrong type"),
        ({"size": [10], "counts": [120]}, "wrong type"),
        ({"size": [10, 12], "counts": [1.5]}, "wrong type"),
    ],
)
def test_an_outline_that_cannot_be_drawn_is_named_and_keeps_its_row(
    tmp_path: Path, segmentation: Any, what: str
) -> None:
    coco, _ = opened(tmp_path, content(annotation(1), annotation(5, segmentation=segmentation)))
    with pytest.raises(SourceError, match=what) as caught:
        instances_of(coco)
    assert (caught.value.record or "").startswith("annotations[1] (id 5)")
    assert caught.value.file == "file.json"
    good, bad = instances_of(coco, on_error="skip")
    assert good.notice is None
    assert bad.notice is not None
    assert bad.notice.kind == "skipped"
    again = json.loads(bad.record or "")
    if again["segmentation"] is None:
        assert isinstance(bad.geometry, Polygons)
        parts = [list(p) for p in bad.geometry.parts]
        np.testing.assert_array_equal(np.concatenate(parts), np.concatenate(segmentation))
    else:
        assert again["segmentation"] == segmentation


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"bbox": [1, 2, 3]}, "bbox"),
        ({"bbox": "1 2 3 4"}, "bbox"),
        ({"area": "18"}, "area"),
        ({"iscrowd": "yes"}, "iscrowd"),
    ],
)
def test_text_where_a_number_is_due_is_named(
    tmp_path: Path, change: dict[str, Any], what: str
) -> None:
    coco, _ = opened(tmp_path, content(annotation(1, **change)))
    with pytest.raises(SourceError, match=what):
        instances_of(coco)


def test_true_is_a_crowd_and_5_0_is_an_id(tmp_path: Path) -> None:
    coco, _ = opened(tmp_path, content(annotation(1.0, 1.0, iscrowd=True, category_id=1.0)))
    (found,) = instances_of(coco)
    assert (found.iscrowd, found.source_id, found.category) == (1, 1, "cell")
    assert json.loads(found.record or "")["iscrowd"] is True
