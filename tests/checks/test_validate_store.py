"""Each way to damage a store is found under its own rule, and all of them are found together."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from full_store import (
    consolidate,
    edit_attributes,
    edit_json,
    edit_table,
    plate_dataset,
    set_pixel,
    write_full_store,
)

from ngff_bio.checks import validate
from ngff_bio.checks.store.documents import Documents
from ngff_bio.checks.store.multiscales import multiscales
from ngff_bio.engine import Settings
from ngff_bio.errors import StorageError, StoreNotFoundError
from ngff_bio.storage import FolderStorage, MemoryStorage, storage_at

Spoil = Callable[[Path], object]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("validate")
    small = Settings(version="0.4", chunk=(4, 16, 16))
    return {
        "full": write_full_store(folder / "full.zarr"),
        "plate": write_full_store(folder / "plate.zarr", plate_dataset()),
        "old": write_full_store(folder / "old.zarr", settings=small),
        "new": write_full_store(folder / "new.zarr", settings=replace(small, version="0.6")),
    }


@pytest.fixture
def copied(made, tmp_path) -> Callable[[str], Path]:
    return lambda name: shutil.copytree(made[name], tmp_path / f"{name}.zarr")


def errors(store) -> set[tuple[str, str]]:
    return {(f.rule, f.group) for f in validate(store) if f.level == "error"}


def rules(store) -> set[tuple[str, str]]:
    return {(f.rule, f.group) for f in validate(store)}


@pytest.mark.parametrize("name", ["full", "plate", "old", "new"])
def test_our_own_stores_break_no_demand(name, made):
    assert errors(made[name]) == set()


@pytest.mark.parametrize("name", ["full", "plate", "old", "new"])
def test_what_our_own_stores_are_advised_of_is_what_the_source_does_not_say(name, made):
    """Units and colours that no source gives are not invented."""
    assert {rule for rule, _ in rules(made[name])} <= {"axis-unit", "label-colors"}


def ome(store: Path, group: str, change) -> None:
    edit_attributes(store, group, lambda a: change(a["ome"]))


def own(store: Path, group: str, change) -> None:
    edit_attributes(store, group, lambda a: change(a["ngff_bio"]))


def array(store: Path, path: str, change) -> None:
    edit_json(store / path / "zarr.json", change)
    consolidate(store)


def multiscale(change) -> Callable[[dict], object]:
    return lambda content: change(content["multiscales"][0])


def rewrite(store: Path, path: str, values) -> None:
    """Replace the pixels of an array, type and shape included, by zarr-python."""
    before = zarr.open_array(store, path=path, mode="r")
    names = before.metadata.dimension_names
    zarr.create_array(store, name=path, data=values, dimension_names=names, overwrite=True)
    consolidate(store)


def first_chunk(store: Path, path: str) -> Path:
    return next(p for p in sorted((store / path / "c").rglob("*")) if p.is_file())


def without(store: Path, path: str) -> None:
    shutil.rmtree(store / path)
    consolidate(store)


def drop_first(key: str) -> Callable[[dict], object]:
    return lambda content: content[key].pop(0)


M, V = "movie", "volume"
CELL, OBJECT, CLASS = f"{M}/labels/cell", f"{V}/labels/object", f"{V}/labels/class"

# rule, group that it is found at, store, damage
DAMAGED: list[tuple[str, str, str, Spoil]] = [
    ("metadata-json", M, "full", lambda s: (s / M / "zarr.json").write_text("{")),
    ("metadata-json", M, "full", lambda s: (s / M / "zarr.json").write_text("[]")),
    ("metadata-json", M, "full", lambda s: (s / M / "zarr.json").write_text("{}")),
    ("metadata-json", M, "old", lambda s: (s / M / ".zattrs").write_text("{")),
    ("metadata-numbers", M, "full",
     lambda s: edit_attributes(s, M, lambda a: a.update(x=float("nan")))),
    ("consolidated-equal", "", "full",
     lambda s: edit_json(s / M / "zarr.json", lambda d: d["attributes"].update(x=1))),
    ("consolidated-equal", "", "full", lambda s: shutil.rmtree(s / "colour")),
    ("consolidated-equal", "", "old", lambda s: edit_json(
        s / M / ".zattrs", lambda d: d.update(x=1))),
    ("consolidated-equal", "", "full", lambda s: zarr.open_group(s).create_group("more")),
    ("hierarchy-version", M, "full", lambda s: ome(s, M, lambda o: o.update(version="0.6"))),
    ("zarr-format", M, "full", lambda s: edit_attributes(s, M, lambda a: a.update(a.pop("ome")))),
    ("level-there", M, "new", lambda s: without(s, f"{M}/1")),
    ("level-dtype", V, "new", lambda s: rewrite(s, f"{V}/1", np.zeros((4, 30, 35), "u1"))),
    ("level-scale", V, "new", lambda s: rewrite(s, f"{V}/1", np.zeros((4, 30, 12), "u2"))),
    ("label-levels", CELL, "new", lambda s: ome(s, CELL, multiscale(
        lambda m: m["datasets"].pop()))),
    ("dimension-names", M, "new",
     lambda s: array(s, f"{M}/0", lambda d: d.update(dimension_names=["t", "x", "y"]))),
    ("level-there", M, "full", lambda s: without(s, f"{M}/1")),
    ("level-ndim", M, "full", lambda s: array(s, f"{M}/0", lambda d: d["shape"].append(1))),
    ("level-ndim", M, "full", lambda s: ome(s, M, multiscale(lambda m: m["axes"].pop(0)))),
    ("array-opens", f"{M}/0", "full", lambda s: array(s, f"{M}/0", lambda d: d.pop("codecs"))),
    ("level-dtype", V, "full", lambda s: rewrite(s, f"{V}/1", np.zeros((4, 30, 35), "u1"))),
    ("level-order", M, "full", lambda s: rewrite(s, f"{M}/1", np.zeros((3, 99, 35), "u1"))),
    ("level-scale", V, "full", lambda s: ome(s, V, multiscale(
        lambda m: m["datasets"][1]["coordinateTransformations"][0]["scale"].__setitem__(1, 99)))),
    ("level-scale", V, "full", lambda s: rewrite(s, f"{V}/1", np.zeros((4, 30, 12), "u2"))),
    ("dimension-names", M, "full",
     lambda s: array(s, f"{M}/0", lambda d: d.update(dimension_names=["t", "x", "y"]))),
    ("dimension-names", M, "full", lambda s: array(s, f"{M}/0", lambda d: d.pop(
        "dimension_names"))),
    ("dimension-separator", M, "old",
     lambda s: edit_json(s / M / "0/.zarray", lambda d: d.update(dimension_separator="."))),
    ("omero-channel-count", "colour", "full",
     lambda s: ome(s, "colour", lambda o: o["omero"]["channels"].pop())),
    ("label-integer", CELL, "full", lambda s: rewrite(
        s, f"{CELL}/0", zarr.open_array(s, path=f"{CELL}/0")[:].astype("f4"))),
    ("label-levels", CELL, "full", lambda s: ome(s, CELL, multiscale(
        lambda m: m["datasets"].pop()))),
    ("label-shape", CELL, "full", lambda s: rewrite(s, f"{CELL}/0", np.zeros((3, 60, 71), "u1"))),
    ("label-axes", CELL, "full", lambda s: ome(s, CELL, multiscale(
        lambda m: m["axes"][0].update(name="w", type="other")))),
    ("label-space", OBJECT, "full", lambda s: ome(s, OBJECT, multiscale(
        lambda m: m["axes"][0].update(unit="micrometer")))),
    ("label-space", CELL, "full", lambda s: ome(s, CELL, multiscale(
        lambda m: m["datasets"][0]["coordinateTransformations"].pop()))),
    ("label-image-label", CELL, "full", lambda s: ome(s, CELL, lambda o: o.pop("image-label"))),
    ("label-source-there", CELL, "full",
     lambda s: ome(s, CELL, lambda o: o["image-label"]["source"].update(image="../../../x"))),
    ("labels-there", f"{M}/labels", "full", lambda s: without(s, f"{CELL}-hidden-1")),
    ("labels-listed", f"{M}/labels", "full", lambda s: ome(s, f"{M}/labels", drop_first("labels"))),
    ("labels-between", f"{M}/labels", "full", lambda s: (
        (s / f"{M}/labels/more").mkdir(),
        shutil.move(s / CELL, s / f"{M}/labels/more/cell"),
        (s / f"{M}/labels/more/zarr.json").write_text(json.dumps(
            {"zarr_format": 3, "node_type": "group", "attributes": {"who": "me"}})),
        ome(s, f"{M}/labels", lambda o: o["labels"].append("more/cell")))),
    ("plate-well-there", "", "plate", lambda s: without(s, "B/2")),
    ("plate-well-listed", "", "plate", lambda s: ome(s, "", lambda o: o["plate"]["wells"].pop())),
    ("plate-field-count-true", "", "plate",
     lambda s: ome(s, "", lambda o: o["plate"].update(field_count=5))),
    ("well-image-there", "A/1", "plate", lambda s: without(s, "A/1/1")),
    ("well-path-names", "", "plate",
     lambda s: ome(s, "", lambda o: o["plate"]["rows"].pop())),
    ("series-image-there", "", "full", lambda s: without(s, "colour")),
    ("series-listed", "", "full", lambda s: ome(s, "OME", drop_first("series"))),
    ("collection-numbered", "", "full", lambda s: without(s, "OME")),
    ("own-attributes", M, "full", lambda s: own(s, M, lambda o: o.update(frames="none"))),
    ("own-attributes", M, "full", lambda s: own(s, M, lambda o: o.pop("name"))),
    ("own-attributes", CELL, "full", lambda s: own(s, CELL, lambda o: o.update(kind="cells"))),
    ("own-attributes", "", "full", lambda s: edit_attributes(
        s, "", lambda a: a.update(ngff_bio=[1]))),
    ("own-version", M, "full", lambda s: own(s, M, lambda o: o.update(version="2.0", more=1))),
    ("own-frames", M, "full", lambda s: own(s, M, lambda o: o["frames"][0].update(t=3))),
    ("own-frames", M, "full", lambda s: own(s, M, lambda o: o["frames"][0].update(size=[61, 70]))),
    ("own-labels", CELL, "full", lambda s: own(s, CELL, lambda o: o.update(hidden=["none"]))),
    ("own-labels", CELL, "full",
     lambda s: own(s, CELL, lambda o: o.update(table="../../tables/none"))),
    ("own-images", "", "full", lambda s: own(s, "", lambda o: o.update(images=2))),
    ("tables-list", f"{M}/tables", "full",
     lambda s: edit_attributes(s, f"{M}/tables", lambda a: a.update(tables=[]))),
    ("tables-list", f"{M}/tables", "full",
     lambda s: edit_attributes(s, f"{M}/tables", lambda a: a["tables"].append("none"))),
    ("table-attributes", f"{M}/tables/cell", "full",
     lambda s: edit_attributes(s, f"{M}/tables/cell", lambda a: a.pop("backend"))),
    ("table-file", f"{M}/tables/cell", "full",
     lambda s: (s / f"{M}/tables/cell/table.parquet").unlink()),
    ("table-file", f"{M}/tables/cell", "full",
     lambda s: (s / f"{M}/tables/cell/table.parquet").write_bytes(b"PAR1")),
    ("table-label-image", f"{M}/tables/cell", "full", lambda s: edit_table(
        s / f"{M}/tables/cell/table.parquet",
        lambda c: c["label_image"].__setitem__(0, "none"))),
    ("table-frame", f"{M}/tables/cell", "full", lambda s: edit_table(
        s / f"{M}/tables/cell/table.parquet", lambda c: c["t"].__setitem__(0, 3))),
    ("table-labels", f"{M}/tables/cell", "full", lambda s: edit_table(
        s / f"{M}/tables/cell/table.parquet", lambda c: c["label"].__setitem__(3, 99))),
    ("labels-without-row", f"{V}/tables/object", "full", lambda s: edit_table(
        s / f"{V}/tables/object/table.parquet", lambda c: [v.pop(0) for v in c.values()])),
    ("labels-without-row", f"{V}/tables/object", "full",
     lambda s: set_pixel(s, f"{OBJECT}/0", (0, 0, 0), 77)),
    ("chunk-decodes", f"{M}/0", "full",
     lambda s: first_chunk(s, f"{M}/0").write_bytes(b"not a chunk of anything")),
    ("chunk-decodes", f"{CELL}/1", "full",
     lambda s: first_chunk(s, f"{CELL}/1").write_bytes(b"")),
    ("chunk-on-grid", f"{M}/0", "full", lambda s: (s / M / "0/c/notes.txt").write_text("x")),
    ("level-values", OBJECT, "full", lambda s: set_pixel(s, f"{OBJECT}/1", (0, 0, 0), 150)),
    ("label-value-unused", CLASS, "full", lambda s: ome(s, CLASS, lambda o: o["image-label"][
        "properties"].append({"label-value": 5, "class": "none"}))),
    ("class-unknown", CLASS, "full", lambda s: set_pixel(s, f"{CLASS}/0", (0, 0, 0), 9)),
    ("label-value-unnamed", OBJECT, "full", lambda s: ome(s, OBJECT, lambda o: o[
        "image-label"].update(properties=[{"label-value": 4}]))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "group", "name", "spoil"), DAMAGED, ids=[f"{d[0]}-{i}" for i, d in enumerate(DAMAGED)]
)
def test_each_damage_is_found_under_its_rule(rule, group, name, spoil, copied):
    store = copied(name)
    spoil(store)
    assert (rule, group) in rules(store)


def test_all_damages_of_a_store_are_listed_not_only_the_first(copied):
    store = copied("full")
    chosen = ["chunk-decodes", "class-unknown", "own-frames", "table-file", "level-values",
              "level-scale", "label-space", "series-listed", "series-image-there"]  # fmt: skip
    wanted = set()
    for rule in chosen:
        group, spoil = next((g, s) for r, g, name, s in DAMAGED if r == rule and name == "full")
        wanted.add((rule, group))
        spoil(store)
    (store / M / "tables/zarr.json").write_text("{")
    assert rules(store) >= {*wanted - {("table-file", f"{M}/tables/cell")},
                            ("metadata-json", f"{M}/tables")}  # fmt: skip


def test_every_finding_has_place_sentence_and_hint(copied):
    store = copied("full")
    set_pixel(store, f"{CLASS}/0", (0, 0, 0), 9)
    (store / M / "zarr.json").write_text("{")
    for finding in validate(store):
        assert finding.rule
        assert finding.found
        assert finding.sentence
        assert finding.hint
        assert finding.source


def test_quick_decodes_nothing_and_checks_metadata(copied):
    store = copied("full")
    first_chunk(store, f"{M}/0").write_bytes(b"not a chunk")
    edit_json(store / V / "zarr.json", lambda d: d["attributes"].update(x=1))
    found = {f.rule for f in validate(store, quick=True)}
    assert "consolidated-equal" in found
    assert "chunk-decodes" not in found


def test_strict_turns_recommendations_into_errors_but_not_advice(copied):
    store = copied("full")
    ome(store, CLASS, lambda o: o["image-label"]["properties"].append({"label-value": 5}))
    ome(store, "OME", drop_first("series"))
    levels = {f.rule: f.level for f in validate(store, strict=True)}
    assert levels["series-listed"] == "error"
    assert levels["label-value-unused"] == "warning"


class Web(MemoryStorage):
    """A place that cannot be listed, as a web server."""

    def list(self, prefix=""):
        raise StorageError("a web server cannot be asked what it holds")


def in_memory(store: Path) -> dict[str, bytes]:
    folder = FolderStorage(store)
    return {key: folder.get(key) or b"" for key, _ in folder.list()}


@pytest.mark.parametrize("consolidated", [True, False])
@pytest.mark.parametrize("name", ["full", "plate", "old", "new"])
def test_a_place_that_cannot_be_listed_is_checked_as_one_that_can(name, consolidated, copied):
    store = copied(name)
    chunk = next(
        p for p in store.rglob("*") if p.is_file() and p.name == "0" and p.parent.name == "0"
    )
    chunk.write_bytes(b"not a chunk")
    objects = in_memory(store)
    if not consolidated:
        objects.pop(".zmetadata", None)
        if "zarr.json" in objects:
            root = json.loads(objects["zarr.json"])
            root.pop("consolidated_metadata")
            objects["zarr.json"] = json.dumps(root).encode()
    assert rules(Web(objects)) == rules(MemoryStorage(objects))
    assert any(rule == "chunk-decodes" for rule, _ in rules(Web(objects)))


def test_no_store_is_an_error_and_no_finding(tmp_path):
    with pytest.raises(StoreNotFoundError):
        validate(tmp_path)
    with pytest.raises(StoreNotFoundError):
        validate(Web())


def test_progress_ends_at_the_whole(made):
    seen: list[tuple[int, int]] = []
    validate(made["plate"], progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0


def test_an_older_minor_version_holds_and_a_newer_one_only_adds(copied):
    store = copied("full")
    own(store, M, lambda o: o.update(version="1.9", more={"later": True}))
    assert errors(store) == set()
    own(store, M, lambda o: o.update(version="1.0"))
    assert ("own-attributes", M) in errors(store)


def test_a_group_inside_a_store_can_be_checked_alone(made):
    assert errors(made["full"] / "movie") == set()
    assert storage_at(made["full"] / "movie").get("zarr.json")


@pytest.mark.parametrize(
    "entry",
    [
        {"coordinateSystems": [{"name": ["a"]}], "datasets": [{"path": "0"}]},
        {
            "coordinateSystems": [{"name": "a", "axes": [{"name": "x"}]}],
            "datasets": [{"path": "0", "coordinateTransformations": {"type": "scale"}}],
        },
    ],
)
def test_malformed_coordinate_systems_end_in_no_traceback(entry):
    documents = Documents(3, groups={"": {"attributes": {"ome": {"multiscales": [entry]}}}})
    (found,) = multiscales(documents, "")
    assert [level.path for level in found.levels] == ["0"]
