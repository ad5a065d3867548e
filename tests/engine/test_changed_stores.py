"""A store that is changed while the work on it is interrupted: no result is of two versions."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mortal import Killed, Mortal
from references import contents
from scenes import plate

import ngff_bio
from ngff_bio.copying.rewrite import convert_store
from ngff_bio.engine import Settings, ThreadRunner, parse_codec, write_dataset
from ngff_bio.storage import FolderStorage, MemoryStorage, Storage, storage_at

#: Of another program: without a manifest, and without checksums of chunks.
FOREIGN = Settings(
    chunk=(32, 48), sharded=False, levels=1, codec=parse_codec("none"), checksums=False
)

#: What is changed.
CHUNK = "A/1/1/0/c/0/0/0"


@pytest.fixture(scope="module")
def foreign() -> dict[str, bytes]:
    storage = MemoryStorage()
    write_dataset(plate(fields=3, frames=1, boxes=2), storage, FOREIGN, runner=ThreadRunner(1))
    return {k: v for k, v in storage.objects.items() if not k.startswith("ngff_bio/")}


@pytest.fixture(params=["folder", "zip", "bucket"])
def place(request: pytest.FixtureRequest, foreign: dict[str, bytes], tmp_path: Path) -> Any:
    """The store at a place, opened; and a function that changes pixels of it, at the same size."""

    def memory() -> Storage:
        return MemoryStorage(dict(foreign))

    def filled(storage: Storage) -> Storage:
        for key, data in foreign.items():
            storage.put(key, data)
        return storage

    kind = request.param
    if kind == "bucket":
        storage = filled(request.getfixturevalue("bucket_server").storage())
    elif kind == "folder":
        storage = filled(FolderStorage(tmp_path / "s.zarr"))
    else:
        ngff_bio.copy(memory(), tmp_path / "s.zip")
        storage = storage_at(tmp_path / "s.zip")

    def change() -> Storage:
        other = bytes(255 - b for b in foreign[CHUNK])
        if kind == "zip":
            before = (tmp_path / "s.zip").stat()
            ngff_bio.copy(MemoryStorage({**foreign, CHUNK: other}), tmp_path / "t.zip")
            (tmp_path / "t.zip").replace(tmp_path / "s.zip")
            os.utime(tmp_path / "s.zip", ns=(before.st_atime_ns, before.st_mtime_ns))
            assert (tmp_path / "s.zip").stat().st_size == before.st_size
            return storage_at(tmp_path / "s.zip")
        path = tmp_path / "s.zarr" / CHUNK
        before = path.stat() if kind == "folder" else None
        storage.put(CHUNK, other)
        if before is not None:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return storage

    return storage, change


def copied(source: Storage, target: Storage) -> None:
    ngff_bio.copy(source, target, workers=1)


def converted(source: Storage, target: Storage) -> None:
    convert_store(source, target, Settings(levels=None, version="0.6"), runner=ThreadRunner(1))


@pytest.mark.parametrize("write", [copied, converted])
def test_what_is_written_of_a_store_is_that_of_its_last_version(
    write: Callable[[Storage, Storage], None], place: Any
) -> None:
    source, change = place
    whole, expected = Mortal(), MemoryStorage()
    write(source, whole)
    begun = []
    for moment in (whole.changes // 2, whole.changes * 3 // 4):
        storage = Mortal(left=moment)
        with pytest.raises(Killed):
            write(source, storage)
        storage.revive()
        begun.append(storage)
    source = change()
    write(source, expected)
    assert contents(expected) != contents(whole)
    for storage in begun:
        write(source, storage)
        assert contents(storage) == contents(expected)
