"""A conversion that is stopped at any moment: nothing opens, nothing is lost, the end is the same."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mortal import Killed, Mortal
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from references import contents
from scenes import Wrapped, collection, noise, plate, volume

import ngff_bio
from ngff_bio.engine import Settings, ThreadRunner, parse_codec, progress_of, write_dataset
from ngff_bio.engine.resume.lease import LEASE
from ngff_bio.engine.write.records import (
    UnitRecord,
    load_record,
    load_records,
    record_key,
    save_record,
)
from ngff_bio.errors import IncompleteStoreError, StorageError, StoreExistsError, StoreNotFoundError
from ngff_bio.model import ArrayPixels, Region, SourceDataset
from ngff_bio.storage import FolderStorage, MemoryStorage, Storage
from ngff_bio.zarrio.journal import JOURNAL, PLAN, STATE, UNITS, unsealed

SMALL = Settings(chunk=(32, 48), shard_bytes=1 << 16)
ONE = ThreadRunner(workers=1)


def convert(dataset: SourceDataset, storage: Storage, **options: Any) -> Any:
    return write_dataset(dataset, storage, SMALL, runner=ONE, **options)


def small_volume() -> SourceDataset:
    return volume(shape=(4, 64, 96))


def small_plate() -> SourceDataset:
    return plate(frames=2, fields=1, boxes=6)


@pytest.mark.parametrize("make", [small_volume, collection, small_plate])
def test_killed_at_every_single_change_it_ends_with_the_same_bytes(
    make: Callable[[], SourceDataset],
) -> None:
    whole = Mortal()
    convert(make(), whole)
    expected = contents(whole)
    for moment in range(whole.changes):
        storage = Mortal(left=moment)
        with pytest.raises(Killed):
            convert(make(), storage)
        opens = "zarr.json" in storage.objects
        if not opens:
            with pytest.raises((IncompleteStoreError, StoreNotFoundError)):
                ngff_bio.open(storage)
        done = {k for k in storage.objects if k.startswith(UNITS)}
        finished = {
            key for k in done for key, _ in json.loads(unsealed(storage.objects[k]))["objects"]
        }
        whole_there = opens or JOURNAL in storage.objects  # then only the root was missing
        assert not (opens and PLAN in storage.objects)
        storage.revive()
        report = convert(make(), storage)
        assert report.resumed == (report.units if whole_there else len(done))
        assert not finished & set(storage.puts)
        assert {k: v for k, v in contents(storage).items() if k != LEASE} == expected


def test_a_killed_overwrite_resumes_without_overwrite() -> None:
    before = Mortal()
    convert(collection(), before)
    new = Mortal()
    convert(small_volume(), new)
    counted = replace(before, objects=dict(before.objects), puts=[], changes=0)
    convert(small_volume(), counted, overwrite=True)
    for moment in range(0, counted.changes, 4):
        storage = Mortal(objects=dict(before.objects), left=moment)
        with pytest.raises(Killed):
            convert(small_volume(), storage, overwrite=True)
        storage.revive()
        convert(small_volume(), storage, overwrite=True)
        assert contents(storage) == contents(new)


def test_an_incomplete_store_does_not_open_and_reports_its_progress(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "s")
    seen = []

    def stop(done: int, total: int) -> None:
        seen.append(progress_of(storage))
        if len(seen) == 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        write_dataset(plate(fields=4), storage, SMALL, runner=ONE, progress=stop)
    with pytest.raises(IncompleteStoreError):
        ngff_bio.open(tmp_path / "s")
    location = parse_url(tmp_path / "s")
    assert location is None or list(Reader(location)()) == []
    assert [s.running is not None for s in seen] == [True, True]
    found = progress_of(storage)
    assert found is not None
    assert (found.kind, found.source, found.done, found.running) == ("new", "test", 2, None)
    assert 0 < found.bytes_done < found.bytes
    write_dataset(plate(fields=4), storage, SMALL)
    assert progress_of(storage) is None


def test_a_unit_whose_object_has_gone_is_done_again(tmp_path: Path) -> None:
    whole = FolderStorage(tmp_path / "whole")
    convert(volume(), whole)
    storage = FolderStorage(tmp_path / "s")

    def stop(done: int, total: int) -> None:
        if done == total:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        convert(volume(), storage, progress=stop)
    shards = [k for k, _ in storage.list("0")]
    storage.delete(shards[0])
    (tmp_path / "s" / shards[1]).write_bytes(b"cut off")
    convert(volume(), storage)
    assert contents(storage) == contents(whole)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (replace(SMALL, codec=parse_codec("zstd-3")), ("codec=auto", "codec=zstd-3")),
        (replace(SMALL, chunk=(16, 16)), ("chunk=32,48", "chunk=16,16")),
        (replace(SMALL, version="0.4"), ("version=0.5", "version=0.4")),
    ],
)
def test_other_settings_are_refused_and_both_are_named(
    other: Settings, named: tuple[str, str]
) -> None:
    storage = Mortal(left=9)
    with pytest.raises(Killed):
        convert(volume(), storage)
    storage.revive()
    with pytest.raises(StoreExistsError) as caught:
        write_dataset(volume(), storage, other)
    assert named[0] in str(caught.value.expected)
    assert named[1] in str(caught.value.found)
    assert write_dataset(volume(), storage, other, overwrite=True).resumed == 0


class Unanswered(MemoryStorage):
    """A storage whose answers to the last removals are lost: the requests have reached it."""

    def delete(self, key: str) -> None:
        super().delete(key)
        if key == JOURNAL:
            raise StorageError("the request timed out")

    def delete_all(self, prefix: str = "", known: Iterable[str] = ()) -> None:
        super().delete_all(prefix)
        if prefix == STATE:
            raise StorageError("the request timed out")


def test_a_lost_answer_to_the_last_request_is_not_an_error() -> None:
    storage, expected = Unanswered(), MemoryStorage()
    assert convert(collection(), storage).images == convert(collection(), expected).images
    assert storage.objects == expected.objects


@dataclass(frozen=True)
class Undeclared(Wrapped):
    """Pixels of a plug-in that does not declare what it reads."""

    pixels: ArrayPixels
    source_parts = None  # type: ignore[assignment]

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        return self.pixels.read(region)


def undeclared(seed: int) -> SourceDataset:
    pixels = Undeclared(ArrayPixels(noise((8, 64, 96), seed=seed)))
    image = replace(collection().images[0], pixels=pixels, labels=())
    return SourceDataset("d", "t", "o", "collection", (image,))


def test_a_source_that_declares_nothing_is_converted_anew_and_never_mixed() -> None:
    expected = MemoryStorage()
    assert not convert(undeclared(2), expected).notices
    whole = Mortal()
    convert(undeclared(1), whole)
    for moment in range(1, whole.changes):
        storage = Mortal(left=moment)
        with pytest.raises(Killed):
            convert(undeclared(1), storage)
        storage.revive()
        begun = progress_of(storage) is not None
        if {"zarr.json", JOURNAL} & set(storage.objects):  # it was complete already
            with pytest.raises(StoreExistsError):
                convert(undeclared(2), storage)
            assert ngff_bio.open(storage)
            continue
        report = convert(undeclared(2), storage)
        assert contents(storage) == contents(expected)
        assert report.resumed == 0
        assert ["nothing is known of their source" in n.what for n in report.notices] == [
            True
        ] * begun


def test_an_addition_that_declares_nothing_is_read_again() -> None:
    (image,) = undeclared(2).images
    storage, expected = Mortal(), MemoryStorage()
    for place, pixels in ((storage, undeclared(1).images[0].pixels), (expected, image.pixels)):
        convert(undeclared(1), place)
        more = replace(undeclared(1), images=(image, replace(image, path="2", pixels=pixels)))
        if place is storage:
            storage.left = 5
            with pytest.raises(Killed):
                convert(more, storage, append=True)
            storage.revive()
            more = replace(more, images=(image, replace(image, path="2")))
        convert(more, place, append=True)
    assert contents(storage) == contents(expected)


def test_what_is_no_store_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(StoreExistsError, match="not a store"):
            convert(volume(), FolderStorage(tmp_path / "s"), overwrite=overwrite)
    assert [p.name for p in (tmp_path / "s").iterdir()] == ["thesis.tex"]


def test_temporary_files_of_a_dead_process_are_gone_in_the_end(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)

    def stop(done: int, total: int) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        convert(volume(), storage, progress=stop)
    (tmp_path / "0" / "c" / "0.4711-1.unfinished").write_bytes(b"half")
    convert(volume(), storage)
    assert not [p for p in tmp_path.rglob("*") if "unfinished" in p.name]
    assert not (tmp_path / ".ngff_bio").exists()


def test_the_codec_is_chosen_the_same_in_a_resumed_run() -> None:
    pixels = noise((12, 100, 100), "u1")
    pixels[6:] = np.random.default_rng(0).integers(0, 256, (6, 100, 100))
    image = replace(collection().images[0], pixels=ArrayPixels(pixels))
    dataset = SourceDataset("d", "t", "o", "collection", (image,))
    whole = Mortal()
    convert(dataset, whole)
    for moment in range(2, whole.changes, 2):
        storage = Mortal(left=moment)
        with pytest.raises(Killed):
            convert(dataset, storage)
        storage.revive()
        if "zarr.json" not in storage.objects and JOURNAL not in storage.objects:
            report = convert(dataset, storage)
            assert contents(storage) == contents(whole)
            assert list(report.choices) == ["image uint8 x12"]


def test_a_codec_that_no_record_states_is_chosen_again() -> None:
    whole = Mortal()
    convert(small_plate(), whole)
    unit = max(k for k in whole.puts if k.startswith(UNITS))
    storage = Mortal(left=whole.changes)
    for left in range(whole.changes, 0, -1):  # until not all units are needed to finish
        storage = Mortal(left=left)
        with contextlib.suppress(Killed):
            convert(small_plate(), storage)
        if unit in storage.objects and not {"zarr.json", JOURNAL} & storage.objects.keys():
            break
    storage.revive()
    records = list(load_records(storage))
    assert sum(bool(r.choices) for r in records) == 1
    for record in records:
        save_record(storage, replace(record, choices={}))
    report = convert(small_plate(), storage)
    assert report.resumed == len(records) - 1
    assert contents(storage) == contents(whole)


def test_a_record_with_a_flipped_bit_is_done_again() -> None:
    storage = MemoryStorage()
    save_record(storage, UnitRecord("000000", [("a", 10)]))
    key, data = record_key("000000"), storage.objects[record_key("000000")]
    assert load_record(storage, "000000") is not None
    for at in range(len(data)):
        storage.put(key, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert load_record(storage, "000000") is None, at


@pytest.mark.parametrize("number", ["-1", "99999999999999999999"])
def test_a_record_with_numbers_that_no_table_holds_is_a_damaged_one(number: str) -> None:
    storage = MemoryStorage()
    part = {"array": 0, "step": 0, "region": [], "objects": {"0:1": {"count": "NUMBER"}}}
    text = json.dumps({"id": "000000", "parts": [part]}).replace('"NUMBER"', number)
    storage.put(record_key("000000"), text.encode())
    assert load_record(storage, "000000") is None
    storage.put(record_key("000000"), text.replace(number, "7").encode())
    assert load_record(storage, "000000") is not None


def test_what_filled_a_disk_can_be_discarded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = FolderStorage(tmp_path / "a.zarr")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(collection(), storage, progress=stop)
    assert list(storage.list(UNITS))
    put = FolderStorage.put

    def full(self: FolderStorage, key: str, data: Any) -> int:
        if key == PLAN and list(self.list(UNITS)):
            raise StorageError("cannot write: No space left on device")
        return put(self, key, data)

    monkeypatch.setattr(FolderStorage, "put", full)
    assert ngff_bio.discard(storage) == "store"
    assert not list(storage.list())
