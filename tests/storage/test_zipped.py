"""A zip is read like a folder, a few bytes at a time."""

from __future__ import annotations

import os
import pickle
import shutil
import zipfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from bucket_server import BucketServer

from ngff_bio.errors import StorageError, StoreBusyError
from ngff_bio.storage import FolderStorage, MemoryStorage, ZipStorage, storage_at
from ngff_bio.storage.folder import UNFINISHED
from ngff_bio.storage.zip_writer import PartialZip

CONTENT = {"zarr.json": b"{}", "0/zarr.json": b"[]", "0/c/0/0": bytes(range(256)) * 400}


def make_zip(path: Path, kind: int = zipfile.ZIP_STORED, start: str = "") -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in CONTENT.items():
            archive.writestr(start + name, data)
    return path


@dataclass
class Counted(MemoryStorage):
    asked: list[tuple[str, int]] = field(default_factory=list)

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        self.asked.append((key, length))
        return super().get_range(key, start, length)


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("start", ["", "livecell.zarr/", "a/b.zarr/"])
def test_objects_and_ranges_are_those_that_were_packed(
    tmp_path: Path, kind: int, start: str
) -> None:
    storage = storage_at(make_zip(tmp_path / "store.ozx", kind, start))
    assert isinstance(storage, ZipStorage)
    assert {k: storage.get(k) for k, _ in storage.list()} == CONTENT
    assert dict(storage.list("0")) == {"0/zarr.json": 2, "0/c/0/0": 102400}
    assert storage.get_range("0/c/0/0", 250, 10) == CONTENT["0/c/0/0"][250:260]
    assert storage.get_range("0/c/0/0", -5, 5) == CONTENT["0/c/0/0"][-5:]
    assert storage.get("nothing") is None
    assert storage.get_range("nothing", 0, 1) is None
    assert storage.size("nothing") is None
    again = pickle.loads(pickle.dumps(storage))
    assert again.get("zarr.json") == b"{}"


def test_a_member_without_a_name_is_not_an_object(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", b"1")
        archive.writestr("zarr.json", b"{}")
    # zipfile does not write such a member: its name is cut off in the list of members.
    packed = (tmp_path / "a.zip").read_bytes()
    at = packed.index(b"PK\1\2")
    packed = packed[: at + 28] + b"\0\0\1\0" + packed[at + 32 :]
    (tmp_path / "a.zip").write_bytes(packed)
    storage = storage_at(tmp_path / "a.zip")
    assert [k for k, _ in storage.list()] == ["zarr.json"]


def test_a_part_of_an_object_costs_only_that_part(tmp_path: Path) -> None:
    outer = Counted()
    big = {**CONTENT, "1/c/0/0": bytes(3_000_000)}
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for name, data in big.items():
            archive.writestr(name, data)
    outer.put("s.zip", (tmp_path / "s.zip").read_bytes())
    storage = ZipStorage(outer, "s.zip")
    storage.get("zarr.json")
    outer.asked.clear()
    storage.get_range("1/c/0/0", 1_000_000, 100)
    storage.get_range("1/c/0/0", 2_000_000, 100)
    assert [n for _, n in outer.asked] == [30 + len("0/c/0/0"), 100, 100]


def test_a_damaged_zip_is_reported_as_damaged(tmp_path: Path) -> None:
    place = make_zip(tmp_path / "store.zip")
    place.write_bytes(place.read_bytes()[:5000])
    with pytest.raises(StorageError, match=r"store\.zip"):
        storage_at(place).get("zarr.json")
    with pytest.raises(StorageError, match="no such file"):
        storage_at(tmp_path / "none.zip").get("zarr.json")


def test_a_flipped_bit_in_a_name_of_the_directory_does_not_give_another_chunk(
    tmp_path: Path,
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("0/c/0/1", b"one")
        archive.writestr("0/c/0/3", b"three")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.rindex(b"0/c/0/3") + 6] ^= 2
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(StorageError, match="the zip is damaged"):
        storage_at(tmp_path / "a.zip").get("0/c/0/1")


def test_nothing_is_written_into_a_zip(tmp_path: Path) -> None:
    storage = storage_at(make_zip(tmp_path / "store.zip"))
    with pytest.raises(StorageError, match="only be read"):
        storage.put("a", b"1")
    with pytest.raises(StorageError, match="only be read"):
        storage.delete_all()


def test_a_folder_that_is_named_like_a_zip_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "made.zip"
    folder.mkdir()
    assert isinstance(storage_at(folder), FolderStorage)
    shutil.rmtree(folder)


def test_a_zip_in_a_bucket_is_read_in_place(tmp_path: Path, bucket_server: Any) -> None:
    bucket = bucket_server.storage()
    bucket.put("store.ozx", make_zip(tmp_path / "store.ozx").read_bytes())
    storage = storage_at(f"{bucket.address}/store.ozx", bucket_server.options)
    assert storage.get("0/c/0/0") == CONTENT["0/c/0/0"]
    assert storage.get_range("0/c/0/0", 9, 3) == CONTENT["0/c/0/0"][9:12]


def test_a_signed_url_opens_a_zip(
    tmp_path: Path, bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = bucket_server.storage()
    bucket.put("s.ozx", make_zip(tmp_path / "s.ozx").read_bytes())
    url = obstore.sign(bucket.store, "GET", "s.ozx", timedelta(minutes=5))
    monkeypatch.setattr("ngff_bio.storage.zipped._TAIL", 1000)  # then its size is requested
    storage = storage_at(url)
    assert isinstance(storage, ZipStorage)
    assert {k: storage.get(k) for k, _ in storage.list()} == CONTENT
    assert "Signature" not in f"{storage.url} {storage!r}"
    with pytest.raises(StorageError, match="denied"):
        storage_at(url.replace("Signature=", "Signature=0")).size("zarr.json")


def test_a_zip_that_another_process_completed_meanwhile_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, beside = tmp_path / "a.zip", tmp_path / f"a.zip{UNFINISHED}"
    beside.write_bytes(b"complete")
    monkeypatch.setattr("fcntl.flock", lambda *_: os.replace(beside, done))
    with pytest.raises(StoreBusyError), PartialZip(done):
        pass
    assert done.read_bytes() == b"complete"
