"""Every write into a finished store, stopped after each single operation: the old or the new store."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scenes import collection, plate, volume

import ngff_bio
from ngff_bio.checks.source.verify import verify
from ngff_bio.checks.store.validate import validate
from ngff_bio.copying.rewrite import convert_store
from ngff_bio.engine import Settings, ThreadRunner, write_dataset
from ngff_bio.engine.resume.discard import discard
from ngff_bio.engine.resume.lease import LEASE
from ngff_bio.engine.write.transaction import settle
from ngff_bio.engine.write.update import PAGE, changed_store
from ngff_bio.errors import (
    NameNotFoundError,
    StorageError,
    StoreBusyError,
    StoreExistsError,
    StoreNotFoundError,
)
from ngff_bio.storage import FolderStorage, MemoryStorage, Storage, StorageBelow
from ngff_bio.storage.base import Buffer
from ngff_bio.zarrio.journal import JOURNAL, STATE

Write = Callable[[Storage], Any]


@pytest.fixture(autouse=True)
def _fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


class Stopped(BaseException):
    """As if the process had been killed."""


@dataclass(frozen=True)
class Stopping(StorageBelow):
    """A storage whose user is killed after so many operations that change something.

    With ``fails`` so many operations after that fail instead, as those of a full disk do.
    """

    left: list[int]
    fails: int = 0

    def _change(self) -> None:
        self.left[0] -= 1
        if self.left[0] < 0 and not self.fails:
            raise Stopped
        if -self.fails <= self.left[0] < 0:
            raise StorageError("no space left")

    @property
    def url(self) -> str:
        return self.storage.url

    def _key(self, key: str) -> str:
        return key

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        return self.storage.list(prefix)

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        self._change()
        return self.storage.put(key, data)

    def compare_and_swap(self, key: str, before: bytes | None, after: bytes) -> bool:
        self._change()
        return self.storage.compare_and_swap(key, before, after)

    def delete(self, key: str) -> None:
        self._change()
        self.storage.delete(key)

    def rename(self, key: str, after: str) -> None:
        if self.storage.locality != "machine":  # a copy, then a removal
            data = self.storage.get(key)
            assert data is not None
            self.put(after, data)
            self.delete(key)
            return
        self._change()
        self.storage.rename(key, after)

    def delete_all(self, prefix: str = "", known: Iterable[str] = ()) -> None:
        """One by one: it can be stopped between any two."""
        unlisted = (key for key in known if self.storage.size(key) is not None)
        for key in sorted({*unlisted, *(key for key, _ in self.storage.list(prefix))}):
            self.delete(key)


def stopped_after(storage: Storage, write: Write, operations: int) -> bool:
    """Write, and be killed after so many operations; returns whether it came to that."""
    try:
        write(Stopping(storage, "", [operations]))
    except Stopped:
        found = storage.get(LEASE)
        if found is not None:  # the process that is said to be dead is this one
            storage.put(LEASE, json.dumps({**json.loads(found), "started": "0"}).encode())
        return True
    return False


def seen(storage: Storage) -> Any:
    """What a store is for whoever reads it; fails if it is not whole."""
    opened = ngff_bio.open(storage)
    slow = ngff_bio.open(storage, consolidated=False)
    assert list(slow) == list(opened)
    content: dict[str, Any] = {"attributes": opened.attributes, "page": storage.get(PAGE)}
    for path, image in opened.items():
        level = image.level()
        tables = {name: image.annotations(name).to_dict("list") for name in image.tables}
        content[path] = (
            {str(name): values.values.tobytes() for name, values in level.data_vars.items()},
            {name: made.pixels.array(0)[:].tobytes() for name, made in image.derived.items()},
            json.loads(json.dumps(tables, default=str)),
            image.meta.version,
        )
        again = slow[path]
        assert (list(again.labels), list(again.tables)) == (list(image.labels), list(image.tables))
    wrong = [f for f in validate(storage) if f.level == "error"]
    assert not wrong
    done = verify(storage, pixels=True)
    assert done.equal, done.differences
    return content


SMALL = Settings(chunk=(96, 128), levels=1, frames=1)
ONE = ThreadRunner(workers=1)


#: Stop after every operation, also where a write has many; else after some of them.
EVERY = "NGFF_BIO_EVERY_OPERATION" in os.environ


def small_plate(frames: int = 1, fields: int = 1) -> Any:
    return plate(frames=frames, fields=fields, boxes=3)


def converted(
    storage: Storage,
    version: str = "0.5",
    consolidated: bool = True,
    first: Write | None = None,
) -> None:
    """A store; ``first`` changes it."""
    settings = replace(SMALL, version=version, consolidated=consolidated)  # type: ignore[arg-type]
    write_dataset(small_plate(), storage, settings, runner=ONE)
    if first is not None:
        first(storage)


def appending(version: str = "0.5", **settings: Any) -> Write:
    chosen = replace(SMALL, version=version, **settings)  # type: ignore[arg-type]
    target = small_plate(frames=2, fields=2)
    return lambda s: write_dataset(target, s, chosen, runner=ONE, append=True)


def replacing(version: str = "0.5", **settings: Any) -> Write:
    chosen = replace(SMALL, version=version, **settings)  # type: ignore[arg-type]
    return lambda s: write_dataset(collection(2), s, chosen, runner=ONE, overwrite=True)


def measuring(storage: Storage) -> None:
    ngff_bio.measure(storage, write="mine", intensity=False)


def adding_a_group(storage: Storage) -> None:
    """A change without consolidated metadata to tell it by: only objects below change."""
    with changed_store(storage, removed=["A/1/0/tables/cell"]) as change:
        tables = (change.tree.attributes("A/1/0/tables") or {})["tables"]
        change.set_group("A/1/0/tables", {"tables": [t for t in tables if t != "cell"]})
        label = dict(change.tree.attributes("A/1/0/labels/cell") or {})
        own = {k: v for k, v in label["ngff_bio"].items() if k != "table"}
        change.set_group("A/1/0/labels/cell", {**label, "ngff_bio": own})


def only_image(storage: Storage) -> Any:
    return ngff_bio.open(storage)["A/1/0"]


def adding_labels(value: int, name: str = "mine") -> Write:
    def write(storage: Storage) -> None:
        image = only_image(storage)
        values = np.zeros(image.shape, "u2")
        values[..., 5:20, 5:30] = value
        ngff_bio.write_labels(image, name, values, author="A", overwrite=True)

    return write


def adding_an_image(divisor: int) -> Write:
    def write(storage: Storage) -> None:
        image = only_image(storage)
        values = image.pixels.array(0)[:] // divisor
        ngff_bio.write_image(image, "part", values, author="A", overwrite=True)

    return write


def adding_a_table(value: int) -> Write:
    def write(storage: Storage) -> None:
        rows = pd.DataFrame({"a": [value]})
        ngff_bio.write_table(only_image(storage), "rows", rows, overwrite=True)

    return write


def removing(path: str) -> Write:
    def write(storage: Storage) -> None:
        interrupted = storage.size(JOURNAL) is not None
        try:
            ngff_bio.remove(only_image(storage), path)
        except NameNotFoundError:
            assert not interrupted, "what a run had removed that was stopped is not an error"

    return write


def mapping(storage: Storage) -> None:
    how: Any = {"write": "images/double", "author": "A", "overwrite": True, "workers": 1}
    ngff_bio.map_images(storage, lambda part: part["image"].values * 2, **how)


def publishing_in_place(storage: Storage) -> None:
    with changed_store(storage) as change:
        change.put(PAGE, b"<html></html>")


def replacing_by_a_store(storage: Storage) -> None:
    source = MemoryStorage(url="memory:source")
    write_dataset(collection(1), source, SMALL, runner=ONE)
    chosen = Settings(levels=None, version="0.6")
    convert_store(source, storage, chosen, overwrite=True, runner=ONE)


CASES: dict[str, tuple[dict[str, Any], Write]] = {
    "measure": ({}, measuring),
    "measure 0.4": ({"version": "0.4"}, measuring),
    "remove": ({}, adding_a_group),
    "remove, not consolidated": ({"consolidated": False}, adding_a_group),
    "remove 0.4, not consolidated": ({"version": "0.4", "consolidated": False}, adding_a_group),
    "append": ({}, appending()),
    "append 0.4": ({"version": "0.4"}, appending("0.4")),
    "overwrite": ({}, replacing(levels=2)),
    "overwrite 0.4 by 0.5": ({"version": "0.4"}, replacing("0.5")),
    "overwrite 0.5 by 0.4": ({}, replacing("0.4")),
    "overwrite 0.4, not consolidated after": (
        {"version": "0.4"},
        replacing("0.4", consolidated=False),
    ),
    "overwrite by a store": ({}, replacing_by_a_store),
    "labels": ({}, adding_labels(3)),
    "labels, replaced": ({"first": adding_labels(3)}, adding_labels(4)),
    "labels of the source, replaced": ({"version": "0.4"}, adding_labels(2, "cell")),
    "labels, removed": ({}, removing("labels/cell")),
    "image": ({}, adding_an_image(2)),
    "image, replaced": ({"version": "0.4", "first": adding_an_image(2)}, adding_an_image(3)),
    "image, removed": ({"first": adding_an_image(2)}, removing("images/part")),
    "table": ({"version": "0.4"}, adding_a_table(1)),
    "table, replaced": ({"first": adding_a_table(1)}, adding_a_table(2)),
    "table, removed": ({}, removing("tables/cell")),
    "map_images": ({}, mapping),
    "describe": ({}, lambda storage: ngff_bio.describe(storage, title="T", author="A")),
    "upgrade": ({}, ngff_bio.upgrade),
    "publish": ({}, publishing_in_place),
}

#: Kinds that have many operations.
LONG = [name for name in CASES if "append" in name or "overwrite" in name]

#: Kinds of which all operations are tried each time.
SHORT = [name for name in CASES if name.startswith(("measure", "remove"))]


def copy(before: dict[str, bytes], storage: Storage) -> Storage:
    for key, data in before.items():
        storage.put(key, data)
    return storage


@pytest.mark.parametrize(
    ("kind", "name"),
    [("memory", name) for name in CASES]
    + [("folder", name) for name in CASES if EVERY or name in ("measure", "overwrite")],
)
def test_stopped_after_any_operation_the_store_is_the_old_or_the_new_one(
    kind: str, name: str, tmp_path: Path
) -> None:
    given, write = CASES[name]
    whole = MemoryStorage()
    converted(whole, **given)
    before = dict(whole.objects)
    old = seen(whole)
    write(whole)
    new = seen(whole)
    assert old != new
    outcomes: list[bool] = []
    step = 1 if EVERY or name in SHORT else 6 if name in LONG else 12
    # Each case starts elsewhere: together they stop after all operations that these writes share.
    operations = list(CASES).index(name) % step
    while True:
        place: Storage = MemoryStorage()
        if kind == "folder":
            place = FolderStorage(tmp_path / str(operations))
        storage = copy(before, place)
        if not stopped_after(storage, write, operations):
            break
        found = seen(storage)
        assert found in (old, new), f"after {operations} operations"
        outcomes.append(found == new)
        write(storage)  # the same again: what all objects are equal to is what was seen before
        assert dict(contents(storage)) == whole.objects, f"after {operations} operations"
        operations += step
    assert outcomes == sorted(outcomes), "once new, it stays new"
    assert {False, True} == set(outcomes) or step > 6


def contents(storage: Storage) -> Iterator[tuple[str, bytes]]:
    for key, _ in storage.list():
        yield key, storage.get(key) or b""


@dataclass
class Stale(MemoryStorage):
    """Everybody sees it, and its listings show only what was there when it was made."""

    locality = "network"  # type: ignore[assignment]  # as a bucket, though in memory

    def __post_init__(self) -> None:
        self.listed = set(self.objects)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        return ((key, size) for key, size in super().list(prefix) if key in self.listed)


@pytest.mark.parametrize("name", ["convert", "measure", "append", "overwrite"])
def test_nothing_is_lost_or_left_where_listings_are_old(name: str) -> None:
    given, write = ({}, converted) if name == "convert" else CASES[name]
    whole = MemoryStorage()
    if name != "convert":
        converted(whole, **given)
    storage = Stale(dict(whole.objects))
    write(whole)
    write(storage)
    assert storage.objects == whole.objects


@dataclass
class Late(MemoryStorage):
    """A bucket of which two of three listings are as old as this object."""

    locality = "network"  # type: ignore[assignment]  # as a bucket, though in memory
    asked: int = 0

    def __post_init__(self) -> None:
        self.old = dict(self.objects)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        self.asked += 1
        shown = self.objects if self.asked % 3 == 0 else self.old
        return MemoryStorage(dict(shown)).list(prefix)


@pytest.mark.parametrize("name", ["convert", "measure", "append", "overwrite"])
def test_what_was_stopped_is_discarded_where_listings_are_old(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    given, write = ({}, converted) if name == "convert" else CASES[name]
    whole = MemoryStorage()
    if name != "convert":
        converted(whole, **given)
    before = dict(whole.objects)
    write(whole)
    operations = 3
    while stopped_after(storage := Late(dict(before)), write, operations):
        with suppress(StoreNotFoundError):
            discard(storage)
        left = {k: v for k, v in storage.objects.items() if k != LEASE}
        assert left in (before, whole.objects), f"after {operations} operations"
        operations += 1 if EVERY else 7
    assert operations > 3


def test_nothing_is_removed_by_a_listing_that_stays_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    storage = Stale()
    assert stopped_after(storage, converted, 12)
    before = dict(storage.objects)
    with pytest.raises(StorageError, match="does not show"):
        discard(storage)
    left = {key for key in before if not key.startswith(STATE)}
    assert left <= storage.objects.keys()
    storage.listed = storage.objects.keys()
    discard(storage)
    assert {*storage.objects} <= {LEASE}


def test_on_a_bucket_too(bucket_server: Any) -> None:
    whole = MemoryStorage()
    converted(whole)
    before = dict(whole.objects)
    old = seen(whole)
    measuring(whole)
    new = seen(whole)
    outcomes = []
    for operations in range(0, 100, 1 if EVERY else 3):  # each of them on other storages
        storage = copy(before, bucket_server.storage())
        if not stopped_after(storage, measuring, operations):
            break
        found = seen(storage)
        assert found in (old, new)
        outcomes.append(found == new)
        measuring(storage)
        assert dict(contents(storage)) == whole.objects
    assert {False, True} == set(outcomes)


def test_a_write_that_was_stopped_is_finished_or_undone_by_any_other_write(tmp_path: Path) -> None:
    whole = MemoryStorage()
    converted(whole)
    before = dict(whole.objects)
    operations = 0
    while True:
        storage = MemoryStorage(dict(before))
        if not stopped_after(storage, measuring, operations):
            break
        settle(storage)
        left = {k for k in storage.objects if k.startswith(STATE) and k != LEASE}
        assert not left
        measured = "A/1/0/tables/cell-mine/table.parquet" in storage.objects
        assert measured or {k: v for k, v in storage.objects.items() if k != LEASE} == before
        adding_a_group(storage)
        seen(storage)
        operations += 1


@pytest.mark.parametrize("name", ["convert", "measure", "append", "overwrite"])
def test_what_was_stopped_can_be_discarded_also_when_that_is_stopped(name: str) -> None:
    given, write = ({}, converted) if name == "convert" else CASES[name]
    whole = MemoryStorage()
    if name != "convert":
        converted(whole, **given)
    before = dict(whole.objects)
    write(whole)
    step = 1 if EVERY else 3 if name == "measure" else 9
    discarded: set[str | None] = set()
    operations = 1
    while stopped_after(storage := MemoryStorage(dict(before)), write, operations):
        with suppress(StoreNotFoundError):  # nothing is there yet, or any more
            if operations % 2:
                stopped_after(storage, discard, operations * 5 % 11)
                if name != "convert":
                    seen(storage)
            discarded.add(discard(storage))
        left = {k: v for k, v in storage.objects.items() if k != LEASE}
        assert left in (before, whole.objects), f"after {operations} operations"
        operations += step
    kind = {"convert": "store", "measure": "change"}.get(name, name)
    assert kind.replace("overwrite", "replace") in discarded
    assert discard(MemoryStorage(whole.objects)) is None
    with pytest.raises(StoreNotFoundError):
        discard(MemoryStorage())


@pytest.mark.parametrize("name", ["convert", "measure", "append", "overwrite"])
def test_operations_that_fail_are_one_error_or_none_and_the_write_is_resumed(name: str) -> None:
    """Those that remove the state at the end, or all of them."""
    given, write = ({}, converted) if name == "convert" else CASES[name]
    whole = MemoryStorage()
    if name != "convert":
        converted(whole, **given)
    before = dict(whole.objects)
    old = None if name == "convert" else seen(whole)
    counted = Stopping(MemoryStorage(dict(before)), "", [10_000])
    write(counted)
    write(whole)
    new, last = seen(whole), 10_000 - counted.left[0]
    for operations in range(0 if EVERY else max(last - 6, 0), last):
        storage = MemoryStorage(dict(before))
        fails = 1 if operations % 2 else 10_000
        with suppress(StorageError):
            write(Stopping(storage, "", [operations], fails))
        if name != "convert" or "zarr.json" in storage.objects:
            assert seen(storage) in (old, new), f"after {operations} operations"
        write(storage)
        assert dict(contents(storage)) == whole.objects, f"after {operations} operations"


def test_a_change_that_fails_leaves_the_store_as_it_was() -> None:
    storage = MemoryStorage()
    converted(storage)
    before = dict(storage.objects)

    def failing() -> None:
        with changed_store(storage, ["A/1/0/tables/x"]) as change:
            change.put("A/1/0/tables/x/table.parquet", b"1")
            change.put("A/1/0/tables/cell/table.parquet", b"2")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert storage.objects == before


def test_a_second_writer_is_refused() -> None:
    storage = MemoryStorage()
    converted(storage)
    with changed_store(storage), pytest.raises(StoreBusyError), changed_store(storage):
        pass
    assert verify(storage).equal


def test_a_store_with_an_interrupted_conversion_is_not_changed() -> None:
    whole = MemoryStorage()
    converted(whole)
    for write in (appending(), replacing()):
        storage = MemoryStorage(dict(whole.objects))
        assert stopped_after(storage, write, 6)
        with pytest.raises(StoreExistsError, match="interrupted"):
            measuring(storage)
        write(storage)
        seen(storage)


def test_a_reader_that_opened_before_reads_on_after_a_table_was_replaced() -> None:
    storage = MemoryStorage()
    converted(storage)
    opened = ngff_bio.open(storage)
    measuring(storage)
    assert len(opened["A/1/0"].annotations("cell"))
    assert JOURNAL not in storage.objects


def test_what_was_opened_during_a_move_can_still_be_read_after_it() -> None:
    whole = MemoryStorage()
    converted(whole)
    write = replacing()
    new = MemoryStorage(dict(whole.objects))
    write(new)
    expected = {p: i.level().image.values.tolist() for p, i in ngff_bio.open(new).items()}
    operations = 0
    while True:
        storage = MemoryStorage(dict(whole.objects))
        if not stopped_after(storage, write, operations):
            break
        opened = ngff_bio.open(storage)
        settle(storage)
        if list(opened) == list(expected):
            found = {p: i.level().image.values.tolist() for p, i in opened.items()}
            assert found == expected
        operations += 1


def test_while_a_store_is_replaced_the_old_one_is_read() -> None:
    storage = MemoryStorage()
    converted(storage)
    old = seen(storage)
    looks: list[bool] = []

    def look(done: int, total: int) -> None:
        looks.append(seen(storage) == old)

    write_dataset(volume(), storage, runner=ONE, overwrite=True, progress=look)
    assert looks
    assert all(looks)
    assert seen(storage) != old
