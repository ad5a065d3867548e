"""Edited annotations: what is drawn is what a conversion of the edited source would have drawn.

The reference is `verify`, which draws every object a second time by pycocotools and NumPy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from references import contents
from scenes import plate
from test_transactions import seen, stopped_after

import ngff_bio
from ngff_bio.engine import Settings, ThreadRunner, write_dataset
from ngff_bio.engine.write.update import changed_store
from ngff_bio.errors import ArgumentError, NameNotFoundError, StorageError, StoreBusyError
from ngff_bio.model import (
    ArrayPixels,
    Box,
    Instance,
    InstanceLayer,
    Polygons,
    SourceDataset,
    SourceImage,
    VolumeLayer,
    axes_from,
)
from ngff_bio.ngff.attributes import EDITED, KEY
from ngff_bio.ngff.edited_objects import EDITED_OBJECTS
from ngff_bio.storage import FolderStorage, MemoryStorage

ONE = ThreadRunner(workers=1)


class Listed:
    """Instances as they are given."""

    def __init__(self, instances: list[Instance]) -> None:
        self.instances = instances

    def read(self, t: int) -> list[Instance]:
        return [i for i in self.instances if i.t == t]

    def source_parts(self) -> Any:
        return (None,)


def source(axes: str, instances: list[Instance]) -> SourceDataset:
    """One image at the root with these instances."""
    shape = tuple({"t": 4, "z": 3, "y": 50, "x": 60}[a] for a in axes)
    pixels = ArrayPixels(np.arange(np.prod(shape), dtype="u4").astype("u1").reshape(shape))
    layer = InstanceLayer(
        "cell", Listed(instances), len(instances), max(i.value for i in instances)
    )
    image = SourceImage("", "scene", axes_from(axes), pixels, (layer,))
    return SourceDataset("a", "a", "a", "image", (image,))


def random_instance(rng: np.random.Generator, value: int, t: int, z: int | None) -> Instance:
    x, y = rng.uniform(0, 45), rng.uniform(0, 35)
    w, h = rng.uniform(2, 25, 2)
    if rng.random() < 0.5:
        return Instance(value, Box(x, y, x + w, y + h), t=t, z=z, box=(x, y, w, h), area=w * h)
    parts = ([x, y, x + w, y, x + w / 2, y + h],)
    box = (x, y, w, h)
    return Instance(value, Polygons(parts), t=t, z=z, box=box, area=float(round(w * h)))


def written(dataset: SourceDataset, version: Any = "0.5") -> MemoryStorage:
    storage = MemoryStorage()
    settings = Settings(version=version, chunk=(16, 24), shard_bytes=1 << 13, levels=3)
    write_dataset(dataset, storage, settings, runner=ONE)
    return storage


def without_note(storage: Any, path: str = "labels/cell") -> None:
    """Take the note of the edits away, so that `verify` compares the layer with a source."""
    attributes = dict(ngff_bio.open(storage).nodes.attributes(path) or {})
    own = dict(attributes[KEY])
    further = {k: v for k, v in own.pop("attributes").items() if k not in (EDITED, EDITED_OBJECTS)}
    with changed_store(storage) as change:
        more = {"attributes": further} if further else {}
        change.set_group(path, {**attributes, KEY: {**own, **more}})


@pytest.mark.parametrize(
    ("axes", "version", "seed"),
    [("tyx", "0.5", 1), ("tyx", "0.4", 2), ("yx", "0.5", 3), ("tzyx", "0.6", 4), ("zyx", "0.5", 5)],
)
def test_edits_are_drawn_as_a_conversion_of_the_edited_source(
    axes: str, version: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    frames = 4 if "t" in axes else 1

    def some(values: range) -> list[Instance]:
        planes = [
            int(rng.integers(3)) if "z" in axes and rng.random() < 0.7 else None for _ in values
        ]
        made = [random_instance(rng, v, v % frames, z) for v, z in zip(values, planes, strict=True)]
        return sorted(made, key=lambda i: i.t)

    instances = some(range(1, 41))
    storage = written(source(axes, instances), version)
    image = ngff_bio.open(storage)[""]
    assert len(image.labels) > 2, "several hidden label images"
    table = image.annotations("cell")
    # Objects of frames 0 and 1 only: those of others must not be written again.
    touched = [i for i in instances if i.t < 2]
    gone, moved = touched[:3], touched[3:8]
    kept = [i for i in instances if i not in gone]
    for one in moved:
        fresh = random_instance(rng, one.value, one.t, one.z)
        one.geometry, one.box, one.area = fresh.geometry, fresh.box, fresh.area
    added = [random_instance(rng, v, v % min(frames, 2), None) for v in range(300, 306)]
    edited = sorted([*kept, *added], key=lambda i: i.t)
    table = table[~table["label"].isin([i.value for i in gone])]
    rows = []
    for one in [*moved, *added]:
        table = table[table["label"] != one.value]
        row: dict[str, Any] = {"label": one.value, "t": one.t, "z": one.z, "area": one.area}
        assert one.box is not None
        row |= dict(zip(("box_x", "box_y", "box_width", "box_height"), one.box, strict=True))
        if isinstance(one.geometry, Polygons):
            row["polygons"] = [list(p) for p in one.geometry.parts]
        rows.append(row)
    shuffled = table.sample(frac=1, random_state=seed)  # rows stay where they were
    table = pd.concat([shuffled, pd.DataFrame(rows)], ignore_index=True)
    done = image.update_annotations(table, remove_missing=True, author="Ada")
    assert done == {"cell": {"added": 6, "removed": 3, "changed": 5}}
    assert image.label("cell").dtype == np.uint16, "306 does not fit into uint8"
    assert image.label_attributes("cell")["attributes"]["edited"][0]["by"] == "Ada"
    assert not [f for f in ngff_bio.validate(storage) if f.level == "error"]
    assert ngff_bio.verify(storage, pixels=True).equal
    done = ngff_bio.verify(storage, source(axes, instances))
    assert done.equal, done.differences
    assert [n for n in done.notes if "labels/cell was edited later: Ada" in n and "6 added" in n]
    without_note(storage)
    done = ngff_bio.verify(storage, source(axes, edited))
    assert done.equal, done.differences[:3]
    # And without other types of pixels: only the frames that are edited are written.
    image = ngff_bio.open(storage)[""]
    before = contents(storage)
    table = image.annotations("cell")
    image.update_annotations(table[table["label"] != added[0].value], remove_missing=True)
    now = contents(storage)
    again = {k for k in {*now, *before} if now.get(k) != before.get(k) and k.startswith("labels/")}
    chunks = [k.split("/")[2:] for k in again if not k.endswith(("json", ".zarray", ".zattrs"))]
    if axes == "tyx":
        assert chunks
        assert {c[1] if version == "0.4" else c[2] for c in chunks} == {str(added[0].t)}
    without_note(storage)
    edited = [i for i in edited if i is not added[0]]
    assert ngff_bio.verify(storage, source(axes, edited)).equal


@pytest.mark.parametrize("axes", ["tyx", "zyx"])
def test_voxels_of_objects_that_were_not_removed_are_compared(axes: str, tmp_path: Path) -> None:
    values = np.zeros((4, 50, 60), "u1")
    values[:2, 5:20, 5:30], values[1:, 25:45, 5:30], values[2, 5:20, 40:50] = 1, 2, 3
    layer = VolumeLayer("cell", ArrayPixels(values), "instance", 3)
    image = SourceImage("", "a", axes_from(axes), ArrayPixels(values), (layer,))
    dataset = SourceDataset("a", "a", "a", "image", (image,))
    storage = FolderStorage(tmp_path / "a")
    write_dataset(dataset, storage, Settings(chunk=(2, 16, 24), levels=1), runner=ONE)
    stored = ngff_bio.open(storage)[""]
    table = stored.annotations("cell")
    gone = table["label"] == 1
    if axes == "tyx":
        gone &= table["t"] == 1
    stored.update_annotations(table[~gone], "cell", remove_missing=True)
    done = ngff_bio.verify(storage, dataset)
    assert done.equal, done.differences
    assert any(f"{len(table) - 1} objects are compared" in note for note in done.notes), done.notes
    labels = zarr.open_array(tmp_path / "a/labels/cell/0", mode="r+")
    labels[1, 30, 10] = 0
    found = ngff_bio.verify(storage, dataset).differences
    assert [d.instance for d in found if d.kind == "mask"] == ["label 2"]


@pytest.fixture(scope="module")
def boxes() -> MemoryStorage:
    """A tracked plate field whose instances overlap, and segmented labels with classes beside them."""
    storage = MemoryStorage()
    write_dataset(plate(frames=3, fields=1), storage, Settings(chunk=(16, 24)), runner=ONE)
    image = ngff_bio.open(storage)["A/1/0"]
    values = np.zeros(image.shape, "u1")
    values[0, 3:20, 5:30], values[1, 3:20, 5:30], values[2, 40:60, 70:90] = 1, 1, 2
    image.write_labels("found", values, author="A")
    return storage


def copy_of(storage: MemoryStorage) -> Any:
    return ngff_bio.open(MemoryStorage(dict(storage.objects)))["A/1/0"]


@pytest.mark.parametrize("layer", ["found", "cell"])
def test_all_objects_of_a_layer_are_removed_as_the_hint_says(
    boxes: MemoryStorage, layer: str
) -> None:
    image = copy_of(boxes)
    table = image.annotations(layer)
    with pytest.raises(ArgumentError, match="without the column layer, with remove_missing"):
        image.update_annotations(table.assign(layer=layer)[:0], layer)
    done = image.update_annotations(table[:0], layer, remove_missing=True)
    assert done == {layer: {"added": 0, "removed": len(table), "changed": 0}}
    assert not len(image.annotations(layer))
    assert not image.label(layer).array(0)[:].any()
    assert ngff_bio.verify(image.storage, pixels=True).equal


def test_rows_of_segmented_labels_are_removed_with_their_pixels(boxes: MemoryStorage) -> None:
    image = copy_of(boxes)
    before = image.label("found").array(0)[:]
    table = image.annotations("found")
    kept = table[(table["t"] != 1) | (table["label"] != 1)]
    done = image.update_annotations(kept, "found", remove_missing=True)
    assert done == {"found": {"added": 0, "removed": 1, "changed": 0}}
    now = image.label("found").array(0)[:]
    before[1][before[1] == 1] = 0
    np.testing.assert_array_equal(now, before)
    assert ngff_bio.verify(image.storage, pixels=True).equal
    with pytest.raises(ArgumentError, match="cannot have new rows"):
        image.update_annotations(table, "found")
    table = image.annotations("found")
    with pytest.raises(ArgumentError, match="computed from the pixels"):
        image.update_annotations(table.assign(x_stop=99), "found")


def test_tracks_classes_and_exports_follow_the_rows(boxes: MemoryStorage, tmp_path: Path) -> None:
    image = copy_of(boxes)
    table = image.annotations("cell")
    assert image.tracks("cell").number_of_edges() == 2 * 9
    table.loc[(table["label"] == 4) & (table["t"] > 0), "category"] = "mitosis"
    table = table[(table["label"] != 2) | (table["t"] != 1)]
    assert image.update_annotations(table, "cell", remove_missing=True)["cell"] == {
        "added": 0,
        "removed": 1,
        "changed": 2,
    }
    graph = image.tracks("cell")
    seen_twice = sorted(n["t"] for _, n in graph.nodes(data=True) if n["label"] == 2)
    assert (seen_twice, graph.number_of_edges()) == ([0, 2], 2 * 9 - 1)
    assert image.label_attributes("cell")["categories"] == [{"id": 1, "name": "mitosis"}]
    rows = image.annotations("cell", category="mitosis")
    assert rows["category_id"].tolist() == ["1", "1"]
    ngff_bio.export(image.storage, tmp_path / "a.json", to="coco", labels="cell")
    exported = json.loads((tmp_path / "a.json").read_text())
    names = {c["id"]: c["name"] for c in exported["categories"]}
    kinds = [names[a["category_id"]] for a in exported["annotations"]]
    assert (kinds.count("mitosis"), len(kinds)) == (2, 3 * 9 - 1)
    assert ngff_bio.verify(image.storage).equal
    assert not [f for f in ngff_bio.validate(image.storage) if f.level == "error"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.drop(columns="area"), "other columns"),
        (lambda t: t.assign(score=1.0), "other columns"),
        (lambda t: pd.concat([t, t[:1]]), "twice"),
        (lambda t: t[t["t"] == 0], "18 are missing"),
        (lambda t: t.assign(t=9), "out of range"),
        (lambda t: t.assign(label=0), "out of range"),
        (lambda t: t.assign(label="a"), "another type"),
        (lambda t: t.assign(box_x=t["box_x"] + 5000), "covers no pixel"),
        (lambda t: t.assign(box_x=None), "no outline"),
        (lambda t: t.assign(rle_size=[[5, 5]] * len(t), rle_counts="08O1"), "RLE"),
        (lambda t: t.assign(category_id="77"), "do not belong together"),
        (lambda t: t.assign(layer="nothing"), "no rows of this layer"),
        (lambda t: [1, 2], "pandas or Arrow"),
    ],
)
def test_wrong_tables_are_one_error_and_change_nothing(
    boxes: MemoryStorage, change: Any, match: str
) -> None:
    image = copy_of(boxes)
    before = dict(image.storage.objects)
    with pytest.raises((ArgumentError, NameNotFoundError), match=match):
        image.update_annotations(change(image.annotations("cell")), "cell")
    assert image.storage.objects == before


def test_an_object_on_two_planes_keeps_both_when_another_one_is_edited() -> None:
    def at(value: int, x: float, z: int, area: float = 64.0) -> Instance:
        return Instance(value, Box(x, 5, x + 8, 13), z=z, box=(x, 5, 8, 8), area=area)

    storage = written(source("zyx", [at(1, 5, 0), at(1, 25, 1), at(2, 40, 1, float("nan"))]))
    image = ngff_bio.open(storage)[""]
    table = image.annotations("cell", to="pyarrow")  # with the NaN, which is not a change
    none = {"added": 0, "removed": 0, "changed": 0}
    assert image.update_annotations(table) == {"cell": none}
    assert image.update_annotations(table.to_pandas()) == {"cell": none}
    before = image.label("cell").array(0)[:]
    assert (before == 1).sum(axis=(1, 2)).tolist() == [64, 64, 0]
    frame = table.to_pandas()
    with pytest.raises(ArgumentError, match="1 are missing"):
        image.update_annotations(image.annotations("cell", z=(1, 2)))
    frame.loc[frame["label"] == 2, "box_y"] = 20.0
    assert image.update_annotations(frame)["cell"] == {**none, "changed": 1}
    now = image.label("cell").array(0)[:]
    np.testing.assert_array_equal(now == 1, before == 1)
    assert now[1, 20:28, 40:48].tolist() == [[2] * 8] * 8


def test_annotations_that_were_changed_meanwhile_are_not_overwritten(boxes: MemoryStorage) -> None:
    image = copy_of(boxes)
    other = ngff_bio.open(image.storage)["A/1/0"]
    table = image.annotations("cell")
    other.update_annotations(table[1:], "cell", remove_missing=True)
    with pytest.raises(StoreBusyError, match="after the store was opened"):
        image.update_annotations(table[:-1], "cell")
    assert len(ngff_bio.open(image.storage)["A/1/0"].annotations("cell")) == len(table) - 1


def test_a_store_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    write_dataset(plate(frames=1, fields=1), FolderStorage(tmp_path / "a"), runner=ONE)
    ngff_bio.copy(tmp_path / "a", tmp_path / "a.zip")
    image = ngff_bio.open(tmp_path / "a.zip")["A/1/0"]
    with pytest.raises(StorageError):
        image.update_annotations(image.annotations("cell")[1:], remove_missing=True)


def test_stopped_after_any_operation_annotations_are_the_old_or_the_new_ones(
    boxes: MemoryStorage,
) -> None:
    def write(storage: Any) -> None:
        image = ngff_bio.open(storage)["A/1/0"]
        table = image.annotations("cell")
        if 3 in set(table["label"]):
            image.update_annotations(table[table["label"] != 3], "cell", remove_missing=True)

    before = dict(boxes.objects)
    whole = MemoryStorage(dict(before))
    old = seen(whole)
    write(whole)
    new = seen(whole)
    outcomes = []
    for operations in range(1, 600, 40):
        storage = MemoryStorage(dict(before))
        if not stopped_after(storage, write, operations):
            break
        outcomes.append(seen(storage) == new)
        assert outcomes[-1] or seen(storage) == old, f"after {operations} operations"
    assert {False, True} == set(outcomes)
