"""Copies of stores: equal, checked, resumed, and never open before they are complete."""

from __future__ import annotations

import fcntl
import json
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from bucket_server import BucketServer

sys.path.insert(0, str(Path(__file__).parent / "engine"))

from mortal import Killed, Mortal
from references import contents
from scenes import collection, plate, volume

import ngff_bio
from ngff_bio import copy
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.errors import (
    ArgumentError,
    IncompleteStoreError,
    StorageError,
    StoreBusyError,
    StoreError,
    StoreExistsError,
    StoreNotFoundError,
)
from ngff_bio.storage import FolderStorage, MemoryStorage, Storage, storage_at

SMALL = Settings(chunk=(32, 48), shard_bytes=1 << 15)
ROOTS = ("zarr.json", ".zgroup")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("copying") / "plate.zarr"
    write_dataset(plate(fields=2, frames=2), FolderStorage(place), SMALL)
    return place


def stored(place: Any) -> dict[str, str]:
    return contents(storage_at(place))


@pytest.mark.parametrize("kind", ["folder", "bucket", "x.ozx", "x.zip"])
def test_there_and_back_it_is_equal(
    kind: str, store: Path, tmp_path: Path, bucket_server: BucketServer
) -> None:
    bucket = bucket_server.storage()
    there: Any = bucket if kind == "bucket" else tmp_path / kind
    report = copy(store, there)
    assert report.sent == report.objects == len(stored(store))
    assert stored(there) == stored(store)
    assert ngff_bio.verify(there).equal
    assert copy(there, tmp_path / "back").objects == report.objects
    assert stored(tmp_path / "back") == stored(store)


@pytest.fixture
def web(store: Path) -> Iterator[str]:
    """A web server without listings."""

    class Handler(SimpleHTTPRequestHandler):
        def list_directory(self, path: Any) -> None:
            self.send_error(403)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(store.parent)))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{store.name}"
    server.shutdown()
    server.server_close()


def test_from_a_web_server_by_the_manifest(web: str, store: Path, tmp_path: Path) -> None:
    copy(web, tmp_path / "a.zarr")
    assert stored(tmp_path / "a.zarr") == stored(store)
    with pytest.raises(StorageError):
        copy(store, f"{web}-other")


def test_a_zip_is_ordered_and_named_as_rfc_9_recommends(store: Path, tmp_path: Path) -> None:
    copy(store, tmp_path / "a.ozx")
    with zipfile.ZipFile(tmp_path / "a.ozx") as archive:
        names = archive.namelist()
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_STORED}
        ome = json.loads(archive.comment)["ome"]
    assert ome == {"version": "0.5", "zipFile": {"centralDirectory": {"jsonFirst": True}}}
    documents = [n for n in names if n.rpartition("/")[2] == "zarr.json"]
    assert names[: len(documents)] == documents
    assert documents[0] == "zarr.json"
    assert [n.count("/") for n in documents] == sorted(n.count("/") for n in documents)
    group = zarr.open_group(zarr.storage.ZipStore(tmp_path / "a.ozx", mode="r"), mode="r")
    path = next(iter(ngff_bio.open(store)))
    expected = zarr.open_group(store, mode="r")[f"{path}/0"][:]
    np.testing.assert_array_equal(group[f"{path}/0"][:], expected)
    copy(store, tmp_path / "b.ozx")
    assert (tmp_path / "a.ozx").read_bytes() == (tmp_path / "b.ozx").read_bytes()
    with pytest.raises(StoreExistsError):
        copy(store, tmp_path / "a.ozx")
    copy(store, tmp_path / "a.ozx", overwrite=True)
    assert not [p for p in tmp_path.iterdir() if "unfinished" in p.name]


class Stopped(Exception): ...


def test_a_zip_is_resumed_and_in_a_bucket_it_appears_whole(
    store: Path, tmp_path: Path, bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ngff_bio.copying.archive.MEMORY", 1)  # objects one by one

    def stop(done: int, total: int) -> None:
        if done > total * 3 / 4:
            raise Stopped

    copy(store, tmp_path / "whole.ozx")
    expected = (tmp_path / "whole.ozx").read_bytes()
    with pytest.raises(Stopped):
        copy(store, tmp_path / "a.ozx", progress=stop)
    (unfinished,) = tmp_path.glob("a.ozx?*")
    assert not (tmp_path / "a.ozx").exists()
    with unfinished.open("r+b") as file:  # an object that is damaged, and a half one at the end
        first = expected.index(b"PK\3\4", 1) - 1
        file.seek(first)
        file.write(bytes([expected[first] ^ 1]))
        file.seek(-3, 2)
        file.truncate()
    with unfinished.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for call in (partial(copy, store), ngff_bio.discard):
            with pytest.raises(StoreBusyError):
                call(tmp_path / "a.ozx")
    report = copy(store, tmp_path / "a.ozx")
    assert 2 <= report.sent < report.objects - 20
    assert report.requests["GET"] == report.sent
    assert (tmp_path / "a.ozx").read_bytes() == expected
    assert not unfinished.exists()
    with pytest.raises(Stopped):
        copy(store, tmp_path / "a.ozx", overwrite=True, progress=stop)
    assert ngff_bio.discard(tmp_path / "a.ozx") == "copy"
    assert ngff_bio.discard(tmp_path / "a.ozx") is None
    assert {p.name for p in tmp_path.iterdir()} == {"whole.ozx", "a.ozx"}
    assert (tmp_path / "a.ozx").read_bytes() == expected
    bucket = bucket_server.storage()
    there, options = f"{bucket.address}/a.ozx", {"storage_options": bucket.options}
    with pytest.raises(Stopped):
        copy(store, there, progress=stop, **options)
    assert list(bucket.list()) == []
    monkeypatch.setattr("ngff_bio.storage.bucket._PART", 5 << 20)
    copy(store, there, **options)
    assert bucket.get("a.ozx") == expected
    with pytest.raises(StoreExistsError):
        copy(store, there, **options)
    assert ngff_bio.verify(there, storage_options=bucket.options).equal
    copy(there, f"{bucket.address}/b.ozx", source_options=bucket.options, **options)
    assert bucket.get("b.ozx") == expected


def test_zarr_v2_is_copied_and_is_no_ozx(tmp_path: Path) -> None:
    write_dataset(collection(), FolderStorage(tmp_path / "a"), Settings(version="0.4"))
    copy(tmp_path / "a", tmp_path / "b")
    copy(tmp_path / "a", tmp_path / "b.zip")
    assert stored(tmp_path / "b") == stored(tmp_path / "b.zip") == stored(tmp_path / "a")
    with pytest.raises(ArgumentError, match=r"\.ozx"):
        copy(tmp_path / "a", tmp_path / "b.ozx")


def test_killed_at_every_change_it_is_resumed_and_does_not_open(store: Path) -> None:
    whole = Mortal()
    copy(store, whole, workers=1)
    expected = contents(whole)
    for moment in range(0, whole.changes, 3):
        storage = Mortal(left=moment)
        with pytest.raises(Killed):
            copy(store, storage, workers=1)
        if moment < whole.changes - 1:
            with pytest.raises((StoreNotFoundError, IncompleteStoreError)):
                ngff_bio.open(storage)
        storage.revive()
        report = copy(store, storage, workers=1)
        assert contents(storage) == expected
        assert report.sent <= report.objects - max(moment - 1, 0)


@pytest.mark.parametrize("mark", [b"[" * 200_000, b"\xff", b"5"])
def test_a_damaged_mark_of_a_copy_is_that_of_another_copy(store: Path, mark: bytes) -> None:
    target = MemoryStorage()
    target.put(".ngff_bio/copy.json", mark)
    copy(store, target)
    assert stored(target) == stored(store)


def changed(store: Path, place: Path) -> Storage:
    """Another store, most of whose objects are equal."""
    dataset = plate(fields=3, frames=2)
    write_dataset(dataset, FolderStorage(place), SMALL)
    return FolderStorage(place)


def test_only_what_differs_is_sent(store: Path, tmp_path: Path) -> None:
    other = changed(store, tmp_path / "other")
    target = Mortal()
    copy(store, target)
    assert copy(store, target).sent == 0
    with pytest.raises(StoreExistsError, match="another store"):
        copy(other, target)
    planned = copy(other, target, overwrite=True, dry_run=True)
    assert contents(target) == stored(store)
    before = dict(target.objects)
    target.puts.clear()
    report = copy(other, target, overwrite=True)
    assert contents(target) == contents(other)
    assert (report.sent, report.bytes_sent) == (planned.sent, planned.bytes_sent)
    assert planned.requests["PUT"] == len(target.puts)
    again = [k for k in target.puts if before.get(k) == target.objects.get(k)]
    assert not [k for k in again if not k.startswith(".ngff_bio/")]


def test_killed_while_it_makes_another_store_equal(store: Path, tmp_path: Path) -> None:
    other = changed(store, tmp_path / "other")
    first = MemoryStorage()
    copy(store, first)
    counted = Mortal(objects=dict(first.objects))
    copy(other, counted, overwrite=True, workers=1)
    for moment in range(1, counted.changes, 5):
        storage = Mortal(objects=dict(first.objects), left=moment)
        with pytest.raises(Killed):
            copy(other, storage, overwrite=True, workers=1)
        storage.revive()
        copy(other, storage, workers=1)
        assert contents(storage) == contents(other)


def test_a_damaged_object_is_named_and_not_copied(store: Path) -> None:
    broken = MemoryStorage()
    copy(store, broken)
    key = next(k for k in sorted(broken.objects) if "/c/" in k)
    data = bytearray(broken.objects[key])
    data[len(data) // 2] ^= 4
    broken.objects[key] = bytes(data)
    target = MemoryStorage()
    with pytest.raises(StoreError, match="missing or damaged") as caught:
        copy(broken, target)
    assert str(caught.value.file).endswith(key)
    assert not {*ROOTS, key} & target.objects.keys()
    del broken.objects[key]
    with pytest.raises(StoreError, match="missing or damaged"):
        copy(broken, MemoryStorage())


def test_objects_that_the_manifest_does_not_name_are_copied_and_reported(store: Path) -> None:
    more, target = MemoryStorage(), MemoryStorage()
    copy(store, more)
    more.put("labels/zarr.json", b"{}")
    assert copy(more, target).unchecked == ["labels/zarr.json"]
    assert contents(target) == contents(more)


def test_what_is_no_store_is_refused(store: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("years")
    with pytest.raises(StoreExistsError, match="not a store"):
        copy(store, tmp_path / "work")
    with pytest.raises(StoreExistsError, match="not a store"):
        copy(store, tmp_path / "work", overwrite=True)
    assert (tmp_path / "work" / "thesis.tex").read_text() == "years"
    with pytest.raises(StoreNotFoundError):
        copy(tmp_path / "work", tmp_path / "b")
    half = Mortal(left=9)
    with pytest.raises(Killed):
        write_dataset(collection(), half, SMALL)
    with pytest.raises(IncompleteStoreError):
        copy(half, tmp_path / "b")


@pytest.mark.parametrize("name", ["../a", "/a", "x/../../a", "C:/a", "x//a", "./a", "x\\a"])
def test_a_zip_with_a_member_outside_of_the_store_is_not_copied(
    name: str, store: Path, tmp_path: Path
) -> None:
    copy(store, tmp_path / "made.zip")
    with zipfile.ZipFile(tmp_path / "made.zip", "a") as archive:
        archive.writestr(name, b"x")
    for target in ("copy.zip", "copy.zarr"):
        with pytest.raises(StoreError, match="leads out of the store"):
            copy(tmp_path / "made.zip", tmp_path / target)
        assert not (tmp_path / target).exists()


def test_no_more_is_held_than_allowed(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("ngff_bio.copying.transfer")

    monkeypatch.setattr(module, "MEMORY", 20_000)
    held, most, lock = 0, 0, threading.Lock()

    class Watched(MemoryStorage):
        def put(self, key: str, data: Any) -> int:
            nonlocal held
            size = super().put(key, data)
            with lock:
                held -= size
            return size

    class Read(FolderStorage):
        def get(self, key: str) -> bytes | None:
            nonlocal held, most
            data = super().get(key)
            if "/c/" in key:
                with lock:
                    held += len(data or b"")
                    most = max(most, held)
            return data

    target = Watched()
    copy(Read(store), target, workers=8)
    largest = max(map(len, target.objects.values()))
    assert most <= max(20_000, largest)


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
@pytest.mark.parametrize("make", [plate, collection])
def test_some_images_are_a_store_of_their_own(version: Any, make: Any, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    dataset = make(fields=3) if make is plate else make()
    write_dataset(dataset, FolderStorage(whole), Settings(version=version))
    paths = list(ngff_bio.open(whole))
    pattern = "*/1" if make is plate else paths[1]
    left = [p for p in paths if p.endswith("/1") or p == pattern]
    assert 0 < len(left) < len(paths)
    copy(whole, tmp_path / "part", images=pattern)
    copy(whole, tmp_path / "part.zip", images=[pattern])
    assert stored(tmp_path / "part") == stored(tmp_path / "part.zip")
    assert ngff_bio.verify(tmp_path / "part").equal
    assert not [f for f in ngff_bio.validate(tmp_path / "part") if f.level == "error"]
    part, all_of_it = ngff_bio.open(tmp_path / "part"), ngff_bio.open(whole)
    assert list(part) == left
    assert part.attributes["images"] == len(left)
    for path in left:
        for name, array in all_of_it[path].level(0).data_vars.items():
            np.testing.assert_array_equal(part[path].level(0)[name].data, array.data)
    named = [k for k in stored(tmp_path / "part") if any(k.startswith(f"{p}/") for p in paths)]
    assert {p for p in paths if any(k.startswith(f"{p}/") for k in named)} == set(left)
    assert copy(whole, tmp_path / "part", images=pattern).sent == 0


def test_wells_and_plates_without_images_are_left_out(tmp_path: Path) -> None:
    dataset = plate(fields=2)
    first, second = dataset.images
    dataset = replace(dataset, images=(first, replace(second, path="B/2/0")))
    write_dataset(dataset, FolderStorage(tmp_path / "a"), SMALL)
    copy(tmp_path / "a", tmp_path / "b", images="B/*")
    document = json.loads((tmp_path / "b" / "zarr.json").read_text())
    assert [w["path"] for w in document["attributes"]["ome"]["plate"]["wells"]] == ["B/2"]
    assert not (tmp_path / "b" / "A").exists()
    assert not [p for p in document["consolidated_metadata"]["metadata"] if p.startswith("A")]


def test_a_plate_or_a_split_is_a_store_of_its_own(tmp_path: Path) -> None:
    dataset = plate(fields=2, frames=2)
    first, second = dataset.images
    (plate_of_both,) = dataset.plates
    plates = tuple(replace(plate_of_both, name=n, path=n) for n in ("P", "Q"))
    frames = [
        replace(f, splits=(s,)) for f, s in zip(second.frames, ("a_train", "a_val"), strict=True)
    ]
    images = (
        replace(
            first, path="P/A/1/0", frames=tuple(replace(f, splits=("b",)) for f in first.frames)
        ),
        replace(second, path="Q/A/1/0", frames=tuple(frames)),
    )
    write_dataset(
        replace(dataset, images=images, plates=plates), FolderStorage(tmp_path / "a"), SMALL
    )
    for given, left in (({"plate": "P*"}, "P"), ({"split": "train"}, "Q"), ({"split": ["b"]}, "P")):
        report = copy(tmp_path / "a", tmp_path / left / "".join(given), **given)
        part = ngff_bio.open(tmp_path / left / "".join(given))
        assert list(part) == [f"{left}/A/1/0"]
        assert list(part.plates) == [left]
        assert ngff_bio.verify(part.url).equal
        assert not [f for f in ngff_bio.validate(part.url) if f.level == "error"]
        assert ["other splits" in n for n in report.notes] == [True] * (given == {"split": "train"})
    for given in ({"plate": "R"}, {"split": "test"}, {"plate": "P", "split": "train"}):
        with pytest.raises(ArgumentError, match="of the store matches"):
            copy(tmp_path / "a", tmp_path / "c", **given)


def test_no_image_or_one_image_is_refused(store: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="no image of the store matches"):
        copy(store, tmp_path / "b", images="Z/*")
    write_dataset(volume(shape=(2, 30, 40)), FolderStorage(tmp_path / "v"), SMALL)
    with pytest.raises(ArgumentError, match="single image"):
        copy(tmp_path / "v", tmp_path / "b", images="*")


def test_what_a_killed_copy_has_left_is_gone_in_the_end(store: Path, tmp_path: Path) -> None:
    class Killing(FolderStorage):
        def put(self, key: str, data: Any) -> int:
            if key.endswith("manifest.parquet"):
                (tmp_path / "a" / "x.1-2.unfinished").write_bytes(b"half")
                raise Killed
            return super().put(key, data)

    with pytest.raises(Killed):
        copy(store, Killing(tmp_path / "a"))
    (tmp_path / "a.ozx.unfinished").write_bytes(b"half")
    copy(store, tmp_path / "a")
    copy(store, tmp_path / "a.ozx")
    assert not [p for p in tmp_path.rglob("*") if "unfinished" in p.name]
    assert not (tmp_path / "a" / ".ngff_bio").exists()
