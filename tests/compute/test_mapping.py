"""A function over all images: on any workers, in any pieces, with results that go into the store."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from skimage.measure import label as connected

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from references import contents, mode_level
from scenes import noise, plate

import ngff_bio
from ngff_bio.compute.kept import identity
from ngff_bio.engine import Settings, ThreadRunner, parse_codec, write_dataset
from ngff_bio.engine.resume.lease import Lease
from ngff_bio.errors import (
    ArgumentError,
    FunctionError,
    StorageError,
    StoreBusyError,
    StoreExistsError,
    WorkerError,
)
from ngff_bio.model import ArrayPixels, Frame, SourceDataset, SourceImage, axes_from
from ngff_bio.storage import FolderStorage, MemoryStorage, Storage
from ngff_bio.zarrio.journal import RESULTS

SMALL = Settings(chunk=(16, 24), shard_bytes=1 << 12)


@pytest.fixture(autouse=True)
def _fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


def store(storage: Storage, version: Any = "0.5", fields: int = 2) -> Any:
    settings = Settings(version=version, chunk=(16, 24), shard_bytes=1 << 12)
    write_dataset(plate(frames=2, fields=fields), storage, settings, runner=ThreadRunner(1))
    return ngff_bio.open(storage)


BLOBS = np.zeros((3, 70, 110), bool)
_PLACES = ((0, 5, 5, 9), (0, 20, 44, 12), (1, 31, 20, 6), (1, 60, 100, 8), (2, 26, 40, 20))
for _z, _y, _x, _size in _PLACES:
    BLOBS[_z, _y : _y + _size, _x : _x + _size] = True


def volume(storage: Storage) -> Any:
    """A volume of bright blobs, some of them across the borders of blocks."""
    pixels = (BLOBS * 200 + noise((3, 70, 110), "u1") % 50).astype("u1")
    image = SourceImage("v", "v", axes_from("zyx"), ArrayPixels(pixels), frames=(Frame("v"),))
    write_dataset(SourceDataset("v", "t", "n", "collection", (image,)), storage, SMALL)
    return ngff_bio.open(storage)


def bright(part: Any) -> Any:
    return connected(part["image"].values > 150, connectivity=1)


CALLS: list[str] = []
LIMIT = [100]


def interrupted_after(calls: int) -> None:
    CALLS.clear()
    LIMIT[0] = calls


def counted(part: Any) -> Any:
    if len(CALLS) == LIMIT[0]:
        raise KeyboardInterrupt
    CALLS.append(part.attrs["path"])
    return bright(part)


def mean(part: Any) -> float:
    return float(part["image"].mean())


def on(part: Any) -> Any:
    return part["image"] > 150


def pixels_of(image: Any) -> np.ndarray:
    return np.asarray(image.pixels.array(0)[:])


def checked(storage: Storage) -> None:
    assert not [f for f in ngff_bio.validate(storage) if f.level == "error"]
    assert ngff_bio.verify(storage, pixels=True).equal
    assert not [k for k in contents(storage) if k.startswith(".ngff_bio")]


def same_partition(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two label arrays have the same objects, whatever their values are."""
    pairs = np.unique(np.stack([found.ravel(), expected.ravel()]), axis=1)
    return all(len(np.unique(side)) == pairs.shape[1] for side in pairs)


def test_numbers_and_rows_are_collected_with_their_place() -> None:
    dataset = store(MemoryStorage())
    found = ngff_bio.map_images(dataset, mean).table
    assert found["image"].tolist() == list(dataset)
    expected = [pixels_of(dataset[path]).mean() for path in dataset]
    np.testing.assert_allclose(found["value"], expected)
    planes = ngff_bio.map_images(
        dataset,
        lambda p: {"mean": mean(p), "axes": "".join(p.image.dims)},
        over="plane",
        select=["A/1/1"],
    ).table
    assert planes[["image", "t", "axes"]].values.tolist() == [["A/1/1", t, "yx"] for t in (0, 1)]
    np.testing.assert_allclose(planes["mean"], pixels_of(dataset["A/1/1"]).mean(axis=(1, 2)))
    frames = ngff_bio.map_images(
        dataset,
        lambda p: pd.DataFrame({"a": [1, 2]}),
        over="block",
        block=64,
        select={"field": "0"},
    ).table
    assert len(frames) == 2 * 2 * 2 * 2
    assert frames["y_start"].tolist()[::4] == [0, 64, 0, 64]


def test_the_function_gets_pixels_and_labels_in_memory() -> None:
    dataset = store(MemoryStorage())
    seen: list[Any] = []
    ngff_bio.map_images(
        dataset, seen.append, over="block", block={"y": 32, "x": 110}, overlap=3, workers=1
    )
    part = seen[1]
    assert set(part) == {"image", "cell"}
    assert isinstance(part["cell"].variable._data, np.ndarray)
    assert part.sizes == {"y": 38, "x": 110}
    assert part.attrs["path"] == "A/1/0"
    np.testing.assert_array_equal(part["image"], pixels_of(dataset["A/1/0"])[0, 29:67])


def test_arrays_of_pieces_are_put_together() -> None:
    dataset = store(MemoryStorage())
    for how in ({}, {"over": "plane"}, {"over": "block", "block": 30, "overlap": 4}):
        found = ngff_bio.map_images(dataset, lambda p: p["image"].astype("f4") * 2, **how).arrays
        for path in dataset:
            np.testing.assert_array_equal(found[path], pixels_of(dataset[path]) * 2.0)


def test_pieces_of_different_types_are_put_together_without_loss() -> None:
    dataset = store(MemoryStorage())
    select = ["A/1/0", "A/1/0"]  # once

    def quarter(part: Any) -> Any:
        return part["image"] * 0.25 if int(part.attrs["piece"]) else part["image"]

    found = ngff_bio.map_images(dataset, quarter, over="plane", select=select).arrays["A/1/0"]
    pixels = pixels_of(dataset["A/1/0"])
    np.testing.assert_array_equal(found[0], pixels[0])
    np.testing.assert_array_equal(found[1], pixels[1] * 0.25)
    with pytest.raises(ArgumentError, match="up to 64 bits"):
        ngff_bio.map_images(dataset, lambda p: p["image"] * np.longdouble(1))


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_labels_are_written_with_levels_tables_and_provenance(version: str) -> None:
    storage = MemoryStorage()
    dataset = store(storage, version)
    done = ngff_bio.map_images(dataset, bright, write="labels/bright", author="Ada")
    assert done.written == ["A/1/0/labels/bright", "A/1/1/labels/bright"]
    for path in dataset:
        image = ngff_bio.open(storage)[path]
        expected = connected(pixels_of(image) > 150, connectivity=1)
        np.testing.assert_array_equal(image.label("bright").array(0)[:], expected)
        np.testing.assert_array_equal(
            image.label("bright").array(1)[:], mode_level(expected.astype("i4"), (1, 2, 2))
        )
        assert sorted(set(image.annotations("bright")["label"])) == list(np.unique(expected))[1:]
        added = image.label_attributes("bright")["attributes"]["added"]
        assert added["by"] == "Ada"
        assert added["function"].endswith("bright")
        assert added["time"] == "2023-11-14T22:13:20+00:00"
    checked(storage)
    with pytest.raises(StoreExistsError, match="labels of this name"):
        ngff_bio.map_images(dataset, bright, write="labels/bright")
    dataset.write_labels("bright", bright, overwrite=True, author="Ada")
    checked(storage)


def test_objects_across_blocks_are_one_object() -> None:
    storage = MemoryStorage()
    dataset = volume(storage)
    whole = connected(BLOBS, connectivity=1)
    how = {"over": "block", "block": {"z": 3, "y": 32, "x": 50}}
    ngff_bio.map_images(dataset, bright, write="labels/joined", overlap=12, **how)
    ngff_bio.map_images(dataset, bright, write="labels/cut", **how)
    ngff_bio.map_images(dataset, on, write="labels/kinds", classes={1: "on"}, **how)
    with pytest.raises(ArgumentError, match="not one of the classes"):
        ngff_bio.map_images(dataset, bright, write="labels/more", classes={1: "on"})
    ngff_bio.map_images(dataset, bright, write="labels/planes", over="plane")
    found = {name: np.asarray(dataset["v"].label(name).array(0)[:]) for name in dataset["v"].labels}
    assert same_partition(found["joined"], whole)
    assert not same_partition(found["cut"], whole)
    assert ((found["cut"] > 0) == BLOBS).all()
    assert len(np.unique(found["cut"])) > whole.max() + 1
    planes = np.concatenate([connected(p, connectivity=1)[None] for p in BLOBS])
    assert len(np.unique(found["planes"])) == sum(len(np.unique(p)) - 1 for p in planes) + 1
    assert dataset["v"].is_semantic("kinds")
    assert "kinds" not in dataset["v"].tables
    checked(storage)


def test_images_and_tables_are_written_beside_the_image() -> None:
    storage = MemoryStorage()
    dataset = store(storage)
    ngff_bio.map_images(dataset, lambda p: p["image"] / 2.0, write="images/half", over="plane")
    ngff_bio.map_images(dataset, lambda p: {"mean": mean(p)}, write="tables/means", over="plane")
    for path in dataset:
        image = ngff_bio.open(storage)[path]
        half = image.derived["half"]
        np.testing.assert_array_equal(half.pixels.array(0)[:], pixels_of(image) / 2.0)
        assert half.axes == image.axes
        assert half.scale == image.scale
        assert half.attributes["attributes"]["added"]["program"].startswith("ngff_bio")
        means = image.annotations("means")
        np.testing.assert_allclose(means["mean"], pixels_of(image).mean(axis=(1, 2)))
        assert means["t"].tolist() == [0, 1]
    assert list(ngff_bio.open(storage)) == list(dataset), "they are not images of the dataset"
    checked(storage)
    ngff_bio.remove(dataset["A/1/0"], "images/half")
    assert not dataset["A/1/0"].derived
    checked(storage)


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda p: p["image"].values[:1], "another shape"),
        (lambda p: p["image"].values * 1.5, "labels are integers"),
        (lambda p: np.full(p["image"].shape, np.nan), "with NaN"),
        (lambda p: np.full(p["image"].shape, -1), "out of range"),
        (lambda p: np.full(p["image"].shape, 2**32), "out of range"),
        (lambda p: 3, "something else"),
        (lambda p: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_what_cannot_be_written_is_one_error_and_leaves_the_store(
    function: Any, match: str
) -> None:
    storage = MemoryStorage()
    dataset = store(storage)
    before = ngff_bio.verify(storage).objects
    with pytest.raises((ArgumentError, FunctionError), match=match) as error:
        ngff_bio.map_images(dataset, function, write="labels/x")
    assert "A/1/" in str(error.value.record)
    assert "x" not in ngff_bio.open(storage)["A/1/0"].labels
    assert ngff_bio.verify(storage).objects == before


def test_rows_that_no_table_holds_are_one_error() -> None:
    with pytest.raises(ArgumentError, match="cannot be stored") as error:
        ngff_bio.map_images(
            store(MemoryStorage()), lambda p: [{"a": 1}, {"a": "b"}], write="tables/x"
        )
    assert error.value.record == "A/1/0"


def test_more_labels_than_32_bits_are_refused() -> None:
    storage = MemoryStorage()
    with pytest.raises(ArgumentError, match="more label values than 32 bits"):
        ngff_bio.map_images(
            store(storage),
            lambda p: np.full(p["image"].shape, 3 * 10**9, "u4"),
            write="labels/x",
            over="plane",
        )
    assert "x" not in ngff_bio.open(storage)["A/1/0"].labels


def test_failures_are_collected_with_the_name_of_the_image() -> None:
    storage = MemoryStorage()
    dataset = store(storage, fields=4)

    def picky(part: Any) -> Any:
        if part.attrs["path"].endswith(("1", "2")):
            raise ValueError("too dark")
        return bright(part)

    done = ngff_bio.map_images(dataset, picky, write="labels/x", on_error="skip")
    assert done.failures["image"].tolist() == ["A/1/1", "A/1/2"]
    assert "ValueError: too dark" in done.failures["error"][0]
    found = ngff_bio.open(storage)
    assert ["x" in found[path].labels for path in found] == [True, False, False, True]
    checked(storage)
    with pytest.raises(FunctionError, match="too dark"):
        ngff_bio.map_images(dataset, picky)
    assert len(ngff_bio.map_images(dataset, picky, on_error="skip").arrays) == 2


def test_a_run_that_was_interrupted_does_only_the_rest() -> None:
    whole, storage = MemoryStorage(), MemoryStorage()
    interrupted_after(100)
    ngff_bio.map_images(store(whole, fields=6), counted, write="labels/x", author="A")
    dataset = store(storage, fields=6)
    how: Any = {"write": "labels/x", "author": "A", "workers": 1}
    interrupted_after(2)
    with pytest.raises(KeyboardInterrupt):
        ngff_bio.map_images(dataset, counted, **how)
    assert "x" not in ngff_bio.open(storage)["A/1/0"].labels
    assert ngff_bio.verify(storage).equal
    interrupted_after(100)
    done = ngff_bio.map_images(dataset, counted, **how)
    assert (done.resumed, len(CALLS)) == (2, 4)
    assert contents(storage) == contents(whole)


def test_results_of_other_pixels_or_functions_are_not_taken() -> None:
    storage = MemoryStorage()
    dataset = store(storage)
    calls: list[str] = []

    def rows(part: Any) -> Any:
        calls.append(part.attrs["path"])
        if part.attrs["path"] == "A/1/1":
            raise ValueError
        return {"a": 1}

    def other(part: Any) -> Any:
        calls.append(part.attrs["path"])
        if part.attrs["path"] == "A/1/1":
            raise TypeError
        return {"a": 2}

    def called(function: Any, **more: Any) -> int:
        calls.clear()
        with pytest.raises(FunctionError):
            ngff_bio.map_images(dataset, function, write="tables/x", workers=1, **more)
        return len(calls)

    assert [called(rows), called(rows), called(other), called(other, resume=False)] == [2, 1, 2, 2]
    image = dataset["A/1/0"]
    ngff_bio.write_table(image, "unrelated", pd.DataFrame({"a": [1]}))
    assert called(other) == 1
    ngff_bio.write_labels(image, "cell", np.zeros(image.shape, "u1"), overwrite=True)
    assert called(other) == 2, "it gets other labels"
    ngff_bio.map_images(dataset, lambda part: 3, write="tables/x")
    checked(storage)


LEAST = 100


class Brighter:
    def __init__(self, least: int) -> None:
        self.least = least

    def count(self, part: Any) -> Any:
        return {"n": int((part["image"] > self.least).sum())}

    def __call__(self, part: Any) -> Any:
        return self.count(part)


def _brighter(part: Any) -> Any:
    return part["image"] > LEAST


def with_keyword(part: Any, *, least: int = LEAST) -> Any:
    return {"n": int((part["image"] > least).sum())}


def with_helper(part: Any) -> Any:
    return {"n": int(_brighter(part).sum())}


def _darker(part: Any) -> Any:
    return part["image"] < LEAST


@pytest.mark.parametrize(
    ("function", "change"),
    [
        (with_keyword, lambda p: p.setitem(with_keyword.__kwdefaults__, "least", 150)),
        (with_helper, lambda p: p.setitem(globals(), "LEAST", 150)),
        (with_helper, lambda p: p.setitem(globals(), "_brighter", _darker)),
        (Brighter(100), lambda p: p.setattr(Brighter, "count", lambda _, part: with_helper(part))),
        (Brighter(100).count, None),
    ],
)
def test_a_function_that_is_another_one_now_is_done_again(
    function: Any, change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identity(function)
    assert identity(function) == before
    assert identity(with_helper) == identity(with_helper)
    if change is None:
        assert identity(Brighter(150).count) != before
        assert identity(Brighter(100).count) == before
    else:
        change(monkeypatch)
        assert identity(function) != before


@pytest.mark.parametrize("what", ["a chunk", "a chunk of another program's store", "the scale"])
def test_results_of_a_store_that_was_changed_are_not_taken(what: str, tmp_path: Path) -> None:
    settings = Settings(codec=parse_codec("none"), checksums=False, levels=1)
    place = FolderStorage(tmp_path)
    write_dataset(plate(frames=1, fields=2, boxes=1), place, settings)
    if what == "a chunk of another program's store":
        place.delete_all("ngff_bio")
    interrupted_after(1)
    how: Any = {"write": "tables/x", "workers": 1, "labels": []}

    def rows(part: Any) -> Any:
        counted(part)
        return {"first": int(part["image"].values.flat[0]), "t": float(part["t"][-1])}

    with pytest.raises(KeyboardInterrupt):
        ngff_bio.map_images(tmp_path, rows, **how)
    (done,) = CALLS
    key = f"{done}/0/c/0/0/0" if "chunk" in what else f"{done}/zarr.json"
    path, before = tmp_path / key, (tmp_path / key).stat()
    content = path.read_bytes()
    path.write_bytes(
        bytes([content[0] ^ 1]) + content[1:]
        if "chunk" in what
        else content.replace(b"24.0", b"48.0")
    )
    assert path.read_bytes() != content
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    interrupted_after(100)
    mapped = ngff_bio.map_images(ngff_bio.open(tmp_path, consolidated=False), rows, **how)
    assert mapped.resumed == 0


def test_a_store_that_cannot_be_written_or_is_changed_meanwhile(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "a")
    dataset = store(storage)
    with Lease(storage, lambda: None), pytest.raises(StoreBusyError, match="another"):
        ngff_bio.map_images(dataset, bright, write="labels/x")

    def meddling(part: Any) -> Any:
        root = tmp_path / "a/zarr.json"
        root.write_text(root.read_text() + " ")
        return bright(part)

    with pytest.raises(StoreBusyError, match="another program has changed the store"):
        ngff_bio.map_images(dataset, meddling, write="labels/x")
    assert "x" not in ngff_bio.open(storage)["A/1/0"].labels

    class ReadOnly(MemoryStorage):
        def put(self, *given: Any) -> int:
            raise StorageError("no permission")

        compare_and_swap = put

    read_only = ReadOnly()
    memory = MemoryStorage()
    store(memory)
    read_only.objects.update(memory.objects)
    calls: list[Any] = []
    with pytest.raises(StorageError, match="no permission"):
        ngff_bio.map_images(ngff_bio.open(read_only), calls.append, write="tables/x")
    assert not calls, "found before the work"


def test_wrong_arguments_are_one_error_each() -> None:
    dataset = store(MemoryStorage())
    for how, match in (
        ({"write": "cells"}, "nothing that can be written"),
        ({"write": "labels/a/b"}, "not a name"),
        ({"write": "labels/x", "level": 1}, "level 0"),
        ({"write": "tables/x", "classes": {1: "a"}}, "only labels have classes"),
        ({"over": "well"}, "unknown pieces"),
        ({"block": 5}, "only blocks"),
        ({"over": "block", "block": {"c": 5}}, "not a size"),
        ({"select": "A/1/0"}, "no selection"),
        ({"memory": 1000}, "more memory"),
    ):
        with pytest.raises(ArgumentError, match=match):
            ngff_bio.map_images(dataset, bright, **how)


@pytest.fixture(scope="module")
def client() -> Any:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def test_a_cluster_writes_the_same_bytes(tmp_path: Path, client: Any) -> None:
    file = tmp_path / "scheduler.json"
    client.write_scheduler_file(str(file))
    for place, cluster in (("threads", None), ("cluster", str(file))):
        dataset = store(FolderStorage(tmp_path / place), fields=5)
        where: Any = {"cluster": cluster, "author": "A", "workers": 2}
        ngff_bio.map_images(dataset, bright, write="labels/a", **where)
    threads, distributed = (
        contents(FolderStorage(tmp_path / place)) for place in ("threads", "cluster")
    )
    assert threads == distributed
    with pytest.raises(ArgumentError, match="no dask scheduler answers"):
        ngff_bio.map_images(dataset, bright, cluster=str(tmp_path / "none.json"))


STEP = [0]


def shifted(part: Any) -> Any:
    return part["image"].astype("u2") + STEP[0]


def test_workers_do_not_take_results_of_an_earlier_run(tmp_path: Path, client: Any) -> None:
    dataset = store(FolderStorage(tmp_path), fields=1)
    image = dataset["A/1/0"]
    for STEP[0] in (1, 2, 3):  # of two threads, one writes twice
        ngff_bio.map_images(
            dataset, shifted, write="images/x", overwrite=True, cluster=client.scheduler.address
        )
        found = ngff_bio.open(FolderStorage(tmp_path))["A/1/0"].derived["x"]
        np.testing.assert_array_equal(pixels_of(found), pixels_of(image).astype("u2") + STEP[0])


def test_workers_that_cannot_do_it_are_found_before_the_work(
    tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ngff_bio.engine.run import asking

    dataset = store(FolderStorage(tmp_path / "a"))
    calls: list[Any] = []
    how: Any = {"cluster": client, "write": "tables/x"}
    real = asking.ask

    def elsewhere(things: Any, function: bytes) -> Any:
        return real([asking.written_store(FolderStorage(tmp_path / "other"))], function)

    def old(things: Any, function: bytes) -> Any:
        return "0.0.1", real(things, function)[1]

    def lacking(things: Any, function: bytes) -> Any:
        raise ModuleNotFoundError("No module named 'ngff_bio'")

    for answer, match in (
        (elsewhere, "does not see the store"),
        (old, "another version"),
        (lacking, "cannot load what it needs"),
    ):
        monkeypatch.setattr(asking, "ask", answer)
        with pytest.raises(WorkerError, match=match):
            ngff_bio.map_images(dataset, calls.append, **how)
    assert not calls
    assert not dataset["A/1/0"].tables[1:]


def test_results_that_another_program_removes_are_one_error_and_done_again() -> None:
    storage = MemoryStorage()
    dataset = store(storage)

    def removing(part: Any) -> Any:
        if part.attrs["path"] == "A/1/1":
            storage.delete_all(RESULTS)
        return bright(part)

    with pytest.raises(StoreBusyError, match="removed results") as caught:
        ngff_bio.map_images(dataset, removing, write="labels/x", workers=1)
    assert caught.value.record == "A/1/0"
    assert "x" not in ngff_bio.open(storage)["A/1/0"].labels
    ngff_bio.map_images(dataset, bright, write="labels/x")
    checked(storage)


def test_dask_arrays_are_written_by_tasks_that_own_whole_objects() -> None:
    import dask
    import dask.array as da

    storage = MemoryStorage()
    image = store(storage)["A/1/0"]
    values = connected(pixels_of(image) > 150, connectivity=1)
    runs: list[int] = []

    def block(part: Any) -> Any:
        runs.append(part.size)
        return part

    lazy = da.from_array(values, chunks=(1, 16, 24)).map_blocks(block, meta=values[:0])
    written: list[str] = []
    real = storage.put

    def put(key: str, data: Any) -> int:
        if "/labels/lazy/" in key and ".ngff_bio" not in key:
            written.append(key)
        return real(key, data)

    storage.put = put  # type: ignore[method-assign]
    with dask.config.set(scheduler="threads"):
        ngff_bio.write_labels(image, "lazy", lazy, author="A")
        ngff_bio.write_image(image, "half", lazy / 2, author="A")
    assert len(written) == len(set(written)) > 4, "no object is written twice"
    np.testing.assert_array_equal(image.label("lazy").array(0)[:], values)
    np.testing.assert_array_equal(image.derived["half"].pixels.array(0)[:], values / 2)
    checked(storage)
    with dask.config.set(scheduler="threads"), pytest.raises(ArgumentError, match="out of range"):
        ngff_bio.write_labels(image, "wrong", lazy - 5)
    assert "wrong" not in ngff_bio.open(storage)["A/1/0"].labels


def test_labels_that_were_added_are_exported_as_coco(tmp_path: Path) -> None:
    import json

    from ngff_bio.testing.demo_data import make_sample

    ngff_bio.convert(make_sample("nuclei", tmp_path / "source"), tmp_path / "a")
    paths = [p for p in ngff_bio.open(tmp_path / "a") if p.startswith("BBBC007")][:1]

    def found(part: Any) -> Any:
        return connected(part["image"].values.max(axis=0) > 90)

    ngff_bio.map_images(tmp_path / "a", found, write="labels/mine", select=paths)
    image = ngff_bio.open(tmp_path / "a")[paths[0]]
    ngff_bio.export(tmp_path / "a", tmp_path / "mine", to="coco", labels="mine", image=paths[0])
    (file,) = (tmp_path / "mine").rglob("*.json")
    assert len(json.loads(file.read_text())["annotations"]) == len(image.annotations("mine")) > 0
    report = ngff_bio.export(tmp_path / "a", tmp_path / "all", to="coco")
    assert any("added later" in notice.what for notice in report.notices)
