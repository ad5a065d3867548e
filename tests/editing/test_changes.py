"""Labels and tables that are added to a finished store: others read them, nothing else changes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from references import contents, mode_level
from scenes import collection, plate
from test_transactions import EVERY, seen, stopped_after

import ngff_bio
from ngff_bio.checks.source.verify import verify
from ngff_bio.checks.store.validate import validate
from ngff_bio.engine import Settings, ThreadRunner, write_dataset
from ngff_bio.errors import (
    ArgumentError,
    NameNotFoundError,
    StoreBusyError,
    StoreError,
    StoreExistsError,
)
from ngff_bio.storage import FolderStorage, MemoryStorage, Storage

SMALL = Settings(chunk=(16, 24), shard_bytes=1 << 12)
ONE = ThreadRunner(workers=1)


def store(storage: Storage, version: Any = "0.5") -> Any:
    settings = Settings(version=version, chunk=(16, 24), shard_bytes=1 << 12)
    write_dataset(plate(frames=2, fields=1, boxes=12), storage, settings, runner=ONE)
    return ngff_bio.open(storage)["A/1/0"]


def objects(shape: tuple[int, ...]) -> Any:
    values = np.zeros(shape, "i4")
    values[..., 3:30, 5:50] = 7
    values[..., 40:60, 60:100] = 70_000
    return values


def checked(storage: Storage) -> None:
    assert not [f for f in validate(storage) if f.level == "error"]
    assert verify(storage, pixels=True).equal


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
@pytest.mark.parametrize("kind", ["numpy", "dask", "xarray"])
def test_labels_are_read_back_with_all_their_levels(kind: str, version: str) -> None:
    storage = MemoryStorage()
    image = store(storage, version)
    before = image.labels
    values = objects(image.shape)
    given: Any = values
    if kind == "dask":
        import dask.array as da

        given = da.from_array(values, chunks=(1, 33, 110))
    elif kind == "xarray":
        import xarray as xr

        given = xr.DataArray(np.moveaxis(values, 0, -1), dims=("y", "x", "t"))
    image.write_labels("mine", given)
    for found in (image, ngff_bio.open(storage)["A/1/0"]):
        assert found.labels == (*before, "mine")
        label = found.label("mine")
        assert len(found.multiscale.levels) > 1
        np.testing.assert_array_equal(label.array(0)[:], values)
        coarse = mode_level(values, (1, 2, 2))
        np.testing.assert_array_equal(label.array(1)[:], coarse)
        table = found.annotations("mine").set_index(["t", "label"])
        assert table.loc[(1, 70_000), "y_start"] == 40
        assert len(table) == 4
    checked(storage)


def test_classes_have_names_and_no_table() -> None:
    storage = MemoryStorage()
    image = store(storage)
    mask = objects(image.shape) > 0
    image.write_labels("tissue", mask, classes={1: "tumour"})
    own = image.nodes.own("A/1/0/labels/tissue")
    assert (own["values"], own["categories"]) == ("semantic", [{"id": 1, "name": "tumour"}])
    assert "tissue" not in image.tables
    checked(storage)


def test_other_readers_see_them(tmp_path: Path) -> None:
    from ngio import open_ome_zarr_container
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    image = store(FolderStorage(tmp_path))
    values = objects(image.shape)
    ngff_bio.write_labels(image, "mine", values)
    ngff_bio.write_table(image, "sizes", pd.DataFrame({"label": [7], "size": [1215.5]}))
    container = open_ome_zarr_container(tmp_path / "A/1/0")
    assert "mine" in container.list_labels()
    found = container.get_label("mine", path="0").get_as_numpy()
    np.testing.assert_array_equal(found, values)
    assert {"mine", "sizes"} <= set(container.list_tables())
    assert container.get_table("sizes").dataframe["size"].tolist() == [1215.5]
    location = parse_url(tmp_path / "A/1/0/labels/mine")
    assert location is not None
    nodes = [np.asarray(node.data[0]) for node in Reader(location)() if node.data]
    assert any(np.array_equal(found, values) for found in nodes)


def test_replaced_labels_leave_nothing_of_the_old_ones() -> None:
    storage, fresh = MemoryStorage(), MemoryStorage()
    image, other = store(storage), store(fresh)
    values = objects(image.shape)
    ngff_bio.write_labels(image, "mine", values)
    with pytest.raises(StoreExistsError, match="labels of this name"):
        ngff_bio.write_labels(image, "mine", values)
    few = np.zeros_like(values)
    few[0, 0, 0] = 1
    ngff_bio.write_labels(image, "mine", few, overwrite=True)
    ngff_bio.write_labels(other, "mine", few)
    np.testing.assert_array_equal(image.label("mine").array(0)[:], few)
    assert set(contents(storage)) == set(contents(fresh))
    assert image.annotations("mine")["label"].tolist() == [1]
    checked(storage)


def test_what_was_added_can_be_removed_again() -> None:
    storage = MemoryStorage()
    image = store(storage)
    image.write_image("half", np.ones(image.shape))
    assert "half" in ngff_bio.open(storage).plate["A1"].image.derived
    image.delete("images/half")
    assert not ngff_bio.open(storage)["A/1/0"].derived
    before, labels = set(contents(storage)), image.labels
    assert len(labels) > 1, "a hidden label image"
    image.write_labels("mine", objects(image.shape))
    image.write_table("sizes", pd.DataFrame({"a": [1]}))
    image.delete("labels/mine")
    image.delete("tables/sizes")
    assert set(contents(storage)) == before
    assert image.labels == labels
    checked(storage)
    ngff_bio.remove(image, "tables/cell")
    checked(storage)
    ngff_bio.remove(image, "labels/cell")
    assert (image.labels, image.tables) == ((), ())
    checked(storage)
    with pytest.raises(NameNotFoundError):
        ngff_bio.remove(image, "labels/cell")
    with pytest.raises(ArgumentError):
        ngff_bio.remove(image, "0")


def test_verify_tells_apart_what_was_added_later() -> None:
    storage = MemoryStorage()
    source = collection(1)
    write_dataset(source, storage, SMALL, runner=ONE)
    image = ngff_bio.open(storage)["0"]
    ngff_bio.write_labels(image, "mine", objects(image.shape[1:]), author="Ada")
    done = verify(storage, source)
    assert done.equal, done.differences
    assert any("0/labels/mine was added later: Ada" in note for note in done.notes)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (lambda s: np.zeros(s[1:], "i4"), "another shape"),
        (lambda s: np.full(s, np.nan), "integers"),
        (lambda s: np.full(s, -1), "out of range"),
        (lambda s: np.full(s, 2**32), "out of range"),
    ],
)
def test_what_cannot_be_labels_is_refused_and_nothing_is_written(values: Any, match: str) -> None:
    storage = MemoryStorage()
    image = store(storage)
    before = dict(storage.objects)
    with pytest.raises(ArgumentError, match=match):
        ngff_bio.write_labels(image, "mine", values(image.shape))
    assert storage.objects == before


@pytest.mark.parametrize("classes", [["cell", "debris"], {"cell": 1}, 5])
def test_classes_that_do_not_name_values_are_one_error(classes: Any) -> None:
    image = store(MemoryStorage())
    values = np.ones(image.shape, "u1")
    with pytest.raises(ArgumentError, match="names by label value"):
        ngff_bio.write_labels(image, "mine", values, classes=classes)
    with pytest.raises(ArgumentError, match="names by label value"):
        ngff_bio.map_images(image.storage, np.ones, write="labels/mine", classes=classes)


def test_a_wrong_value_that_is_met_while_writing_leaves_the_store_as_it_was() -> None:
    import dask.array as da

    storage = MemoryStorage()
    image = store(storage)
    before = dict(storage.objects)
    values = np.zeros(image.shape, "i4")
    values[-1, -1, -1] = -5
    with pytest.raises(ArgumentError, match="out of range"):
        ngff_bio.write_labels(image, "mine", da.from_array(values, chunks=(1, 32, 48)))
    assert storage.objects == before


@pytest.mark.parametrize("name", ["", "a/b", "..", ".x"])
def test_names_are_checked(name: str) -> None:
    image = store(MemoryStorage())
    with pytest.raises(ArgumentError, match="not a name"):
        ngff_bio.write_table(image, name, pd.DataFrame({"a": [1]}))


def test_an_image_that_was_opened_below_its_store_is_not_changed(tmp_path: Path) -> None:
    place = tmp_path / "p.zarr"
    store(FolderStorage(place))
    before = contents(FolderStorage(place))
    image = ngff_bio.open(place / "A/1/0")[""]
    values = np.zeros([n for a, n in image.level().sizes.items() if a != "c"], "u1")
    with pytest.raises(StoreError) as refused:
        ngff_bio.write_labels(image, "mine", values)
    assert contents(FolderStorage(place)) == before
    # The hint, followed.
    assert f"name the store {place} and, where an image is asked for, A/1/0" in str(refused.value)
    ngff_bio.write_labels(ngff_bio.open(place)["A/1/0"], "mine", values)
    checked(FolderStorage(place))


def test_stopped_after_any_operation_labels_are_there_or_not() -> None:
    whole = MemoryStorage()
    values = objects(store(whole).shape)
    before = dict(whole.objects)
    old = seen(whole)

    def write(storage: Storage) -> None:
        image = ngff_bio.open(storage)["A/1/0"]
        ngff_bio.write_labels(image, "mine", values, overwrite=True)

    write(whole)
    new = seen(whole)
    outcomes = []
    for operations in range(0, 400, 1 if EVERY else 5):
        storage = MemoryStorage(dict(before))
        try:
            stopped = stopped_after(storage, write, operations)
        except StoreBusyError:
            raise
        if not stopped:
            break
        found = seen(storage)
        assert found in (old, new), f"after {operations} operations"
        outcomes.append(found == new)
    assert {False, True} == set(outcomes)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_that_another_program_adds_are_named_as_added_later(
    tmp_path: Path, version: Any
) -> None:
    from ngio import open_ome_zarr_container

    source = plate(frames=2, fields=1, boxes=12)
    settings = Settings(version=version, chunk=(16, 24), shard_bytes=1 << 12)
    storage = FolderStorage(tmp_path)
    write_dataset(source, storage, settings, runner=ONE)
    label = open_ome_zarr_container(tmp_path / "A/1/0").derive_label("theirs")
    values = np.zeros((2, 70, 110), "u4")
    values[:, 5:20, 5:20] = 3
    label.set_array(values)
    label.consolidate()
    seen_now = ngff_bio.open(tmp_path, consolidated=False)["A/1/0"]
    np.testing.assert_array_equal(seen_now.label("theirs").array(0)[:], values)
    for given in (None, source):
        done = verify(storage, given)
        assert done.equal, done.differences
        assert [n for n in done.notes if n.startswith("A/1/0/labels/theirs was added later")]
    chunk = next((tmp_path / "A/1/0/labels/cell/0").rglob("0"))
    damaged = next(p for p in chunk.rglob("*") if p.is_file()) if chunk.is_dir() else chunk
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    listed = tmp_path / ("A/1/0/labels/.zattrs" if version == "0.4" else "A/1/0/labels/zarr.json")
    assert len(verify(storage).differences) == 1, "damage is not what was added"
    listed.write_text(listed.read_text().replace('"cell"', '"else"'))
    assert len(verify(storage).differences) == 2
