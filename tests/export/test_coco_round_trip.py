from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makers import make_livecell
from pycocotools.coco import COCO

from ngff_bio import convert
from ngff_bio.engine.write.tables import instance_table, to_parquet
from ngff_bio.export import export
from ngff_bio.formats.coco.records import read_records
from ngff_bio.formats.coco.writer import CocoCopy, restored_record

#: Busy machines are slow: no test fails by the clock.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def ordered(path: Path) -> list:
    """A JSON file with the order of its keys."""
    return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)


def assert_files_are_equal(source: Path, exported: Path) -> int:
    files = sorted(p.relative_to(source) for p in source.rglob("*.json"))
    assert files == sorted(p.relative_to(exported) for p in exported.rglob("*.json"))
    for name in files:
        assert ordered(exported / name) == ordered(source / name), name
    return len(files)


@pytest.mark.parametrize(
    ("quirks", "options"),
    [
        ({}, {}),
        ({"annotations_as": "object", "categories": "missing"}, {}),
        ({"crowd_every": 3, "parts_every": 4, "repeated": 2}, {}),
        ({"doubled": 2, "in_both": 2}, {}),
        ({"without_annotations": 2, "without_listing": 1, "irregular_times": True}, {}),
        ({"zipped": True, "by_cell_type": True, "category_id": 7}, {}),
        ({"count_benchmark": ["A172"], "counts_as": "mixed"}, {}),
        ({"crowd_every": 2, "annotations_as": "object"}, {"stitch": True}),
    ],
    ids=str,
)
def test_livecell_files_come_back_value_for_value(tmp_path, quirks, options):
    made = make_livecell(tmp_path, cell_types=("A172", "SkBr3"), **quirks)
    convert(made.root, tmp_path / "store.zarr", options=options)
    export(tmp_path / "store.zarr", tmp_path / "out", to="coco")
    assert assert_files_are_equal(made.root, tmp_path / "out") > 5


@pytest.fixture(scope="module")
def livecell(tmp_path_factory):
    folder = tmp_path_factory.mktemp("livecell")
    made = make_livecell(folder, cell_types=("A172",), single_cells=False, size_splits=False)
    convert(made.root, folder / "store.zarr")
    return made, folder / "store.zarr"


def test_one_image_of_coco_is_its_part_of_each_file(livecell, tmp_path):
    made, store = livecell
    train = next(p for p in made.root.rglob("*train.json"))
    content = json.loads(train.read_text())
    name = content["images"][0]["file_name"]
    export(store, tmp_path / "out", to="coco", image=name)
    part = json.loads((tmp_path / "out" / train.relative_to(made.root)).read_text())
    listed = [i for i in content["images"] if i in part["images"]]
    assert name in [i["file_name"] for i in listed]
    assert part["images"] == listed
    wanted = {i["id"] for i in listed}
    assert part["annotations"] == [a for a in content["annotations"] if a["image_id"] in wanted]


def test_a_region_of_coco_is_cut_to_its_pixels(livecell, tmp_path):
    made, store = livecell
    report = export(store, tmp_path / "cut.json", to="coco", region="y=10:40,x=5:60")
    assert any("ids are new" in n.what for n in report.notices)
    coco, files = COCO(tmp_path / "cut.json"), {}
    for path in made.root.rglob("*.json"):
        whole = COCO(path)
        for image in whole.imgs.values():
            anns = whole.imgToAnns[image["id"]]
            masks = [whole.annToMask(a)[10:40, 5:60] for a in anns]
            files[image["file_name"]] = [m for m in masks if m.any()]
    for image in coco.imgs.values():
        found = [coco.annToMask(a) for a in coco.imgToAnns[image["id"]]]
        expected = files.get(image["file_name"].rpartition("/")[2], [])
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_several_files_in_one_hold_every_instance_once(livecell, tmp_path):
    made, store = livecell
    export(store, tmp_path / "all.json", to="coco")
    coco = COCO(tmp_path / "all.json")
    counts = [len(json.loads(p.read_text())["annotations"]) for p in made.root.rglob("*.json")]
    assert len(coco.anns) == sum(counts)


# Any record, through the table and back.

_SIZE = (20, 30)
_number = st.one_of(
    st.integers(-5, 35), st.floats(-5, 35, allow_nan=False).map(lambda v: round(v, 2))
)
_polygons = st.lists(
    st.lists(_number, min_size=6, max_size=12).map(lambda p: p[: len(p) // 2 * 2]),
    min_size=1,
    max_size=3,
)
_counts = st.lists(st.integers(0, 50), min_size=1, max_size=6).map(
    lambda c: [*c, _SIZE[0] * _SIZE[1] - sum(c)] if sum(c) <= 600 else [600]
)


@st.composite
def _rles(draw):
    counts = draw(st.one_of(_counts, st.just("PPYo0")))
    pairs = [("size", list(_SIZE)), ("counts", counts)]
    return dict(pairs if draw(st.booleans()) else pairs[::-1])


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
_members = {
    "segmentation": st.one_of(_polygons, _rles(), st.just([])),
    "bbox": st.lists(_number, min_size=4, max_size=4),
    "area": st.one_of(st.integers(0, 2**40), st.floats(0, 1e9)),
    "iscrowd": st.integers(0, 1),
    "id": st.one_of(st.integers(-(2**60), 2**60), st.text(min_size=1, max_size=5)),
    "category_id": st.one_of(st.integers(0, 9), st.just("cell")),
    "note": _json,
    "segmentations": _json,
    'odd "segmentation" key': _json,
}


@st.composite
def _records(draw):
    keys = draw(st.permutations(sorted(_members)))
    kept = [k for k in keys if draw(st.integers(0, 5))]
    return {k: draw(_members[k]) for k in kept}


@unhurried
@given(st.lists(_records(), min_size=1, max_size=4), st.sampled_from([None, 1]))
def test_any_record_is_written_again_with_its_keys_in_order(records, indent):
    texts = [json.dumps(r, indent=indent, ensure_ascii=False).encode() for r in records]
    instances, errors = read_records(texts, {}, range(len(texts)), "x.json")
    assert not errors
    count = len(instances)
    data = to_parquet(instance_table(instances, ["cell"] * count, [0] * count))
    rows = pq.read_table(io.BytesIO(data)).to_pylist()
    for row, record in zip(rows, records, strict=True):
        rle = None
        if row["rle_size"] is not None:
            counts = row["rle_counts"] if row["rle_counts"] is not None else row["rle_runs"]
            rle = {"size": row["rle_size"], "counts": counts}
        text = restored_record(row["record"], row["polygons"], rle)
        assert json.loads(text, object_pairs_hook=list) == json.loads(
            json.dumps(record), object_pairs_hook=list
        )


@unhurried
@given(st.permutations(range(6)), st.sampled_from(["list", "object"]))
def test_records_are_written_by_their_places_in_whatever_order_they_come(order, form):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        about = {"keys": ["a", "annotations", "images", "z"], "annotations": form}
        copy = CocoCopy({**about, "rest": {"a": [1, {"b": None}], "z": "ü"}}, Path(folder))
        for place in order:
            copy.add(place * 3, json.dumps({"id": place}).encode(), f"key{place}")
            copy.images[place] = {"id": place}
        copy.write(Path(folder, "out.json"))
        copy.close()
        content = json.loads(Path(folder, "out.json").read_text())
    records = [{"id": place} for place in range(6)]
    expected = records if form == "list" else {f"key{r['id']}": r for r in records}
    assert list(content) == ["a", "annotations", "images", "z"]
    assert content["annotations"] == expected
    assert content["images"] == records
    assert content["z"] == "ü"
