"""One contract, held to by every kind of storage."""

from __future__ import annotations

import os
import pickle
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ngff_bio.errors import StorageError
from ngff_bio.storage import FolderStorage, MemoryStorage, Storage, storage_at
from ngff_bio.storage.folder import UNFINISHED


@pytest.fixture(params=["folder", "memory", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "folder":
        yield FolderStorage(tmp_path / "store")
    elif request.param == "memory":
        yield MemoryStorage()
    else:
        yield request.getfixturevalue("bucket_server").storage()


def test_what_is_put_is_got_back(storage: Storage) -> None:
    assert storage.put("a/b", b"one") == 3
    assert storage.put("a/c", [b"two", bytearray(b"-"), memoryview(b"three")]) == 9
    assert storage.get("a/b") == b"one"
    assert storage.get("a/c") == b"two-three"
    assert storage.size("a/c") == 9


def test_a_put_replaces(storage: Storage) -> None:
    storage.put("a", b"a longer one")
    storage.put("a", b"one")
    assert storage.get("a") == b"one"


def test_an_object_of_many_pieces_is_whole(storage: Storage) -> None:
    parts = [os.urandom(n % 7) for n in range(3000)]
    storage.put("many", parts)
    assert storage.get("many") == b"".join(parts)


def test_what_is_not_there_is_none(storage: Storage) -> None:
    assert storage.get("nothing") is None
    assert storage.get_range("nothing", 0, 4) is None
    assert storage.get_range("nothing", -4, 4) is None
    assert storage.size("nothing") is None
    assert list(storage.list()) == []
    storage.delete("nothing")
    storage.delete_all()


def test_ranges_count_from_both_ends(storage: Storage) -> None:
    storage.put("a", bytes(range(100)))
    assert storage.get_range("a", 10, 5) == bytes(range(10, 15))
    assert storage.get_range("a", -4, 4) == bytes(range(96, 100))
    assert storage.get_range("a", -500, 500) == bytes(range(100))
    assert storage.get_range("a", 90, 50) == bytes(range(90, 100))


def test_a_list_names_what_is_below_and_no_more(storage: Storage) -> None:
    for key in ("zarr.json", "0/c/0", "0/c/1", "01/c/0"):
        storage.put(key, key.encode())
    assert dict(storage.list("0")) == {"0/c/0": 5, "0/c/1": 5}
    assert len(list(storage.list())) == 4


def test_folders_are_names_directly_below(storage: Storage) -> None:
    for key in ("zarr.json", "b/c/0", "b/zarr.json", "a/x", "b/d/e/f"):
        storage.put(key, b"x")
    assert storage.folders() == ["a", "b"]
    assert storage.folders("b") == ["c", "d"]
    assert storage.folders("b/c") == []
    assert storage.folders("nothing") == []


def test_deleting_below_leaves_the_rest(storage: Storage) -> None:
    for key in ("a/1", "a/2", "ab/1"):
        storage.put(key, b"x")
    storage.delete("a/1")
    assert storage.get("a/1") is None
    storage.delete_all("a")
    assert [k for k, _ in storage.list()] == ["ab/1"]
    storage.put("a/1", b"again")
    assert storage.get("a/1") == b"again"


def test_a_swap_needs_what_it_expects(storage: Storage) -> None:
    assert storage.compare_and_swap("s/claim", None, b"one")
    assert not storage.compare_and_swap("s/claim", None, b"two")
    assert not storage.compare_and_swap("s/claim", b"other", b"two")
    assert storage.compare_and_swap("s/claim", b"one", b"two")
    assert storage.get("s/claim") == b"two"
    storage.delete("s/claim")
    assert not storage.compare_and_swap("s/claim", b"two", b"three")
    assert storage.get("s/claim") is None


def test_of_many_swaps_at_once_one_wins(storage: Storage) -> None:
    storage.put("s/claim", b"before")
    start = threading.Barrier(8)

    def claim(number: int) -> bool:
        start.wait()
        return storage.compare_and_swap("s/claim", b"before", b"%d" % number)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(claim, range(8)))
    assert sum(won) == 1
    assert storage.get("s/claim") == b"%d" % won.index(True)


def test_a_storage_pickles(storage: Storage) -> None:
    storage.put("a", b"one")
    other = pickle.loads(pickle.dumps(storage))
    assert other.get("a") == b"one"
    assert other.url == storage.url


def test_a_half_written_file_is_not_listed_and_is_swept(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    storage.put("0/c/0", b"x")
    (tmp_path / "0" / "c" / f"1.77-1{UNFINISHED}").write_bytes(b"half")
    assert [k for k, _ in storage.list()] == ["0/c/0"]
    assert storage.remove_partial() == 1
    assert [p.name for p in (tmp_path / "0" / "c").iterdir()] == ["0"]


def test_a_failed_put_leaves_nothing_and_hints_how_to_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    storage = FolderStorage(tmp_path)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageError, match="free some space, then run the same command again"):
        storage.put("0", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="one part of the path is a file"):
        storage_at(tmp_path / "file" / "store").put("zarr.json", b"{}")


def test_a_link_to_itself_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StorageError, match="loop"):
        list(FolderStorage(tmp_path).list())


@pytest.fixture
def linked(tmp_path: Path) -> FolderStorage:
    """A folder that is named by a link; links in it lead to its own objects, and out of it."""
    outside, root = tmp_path / "outside", tmp_path / "real"
    (outside / "below").mkdir(parents=True)
    (outside / "below" / "key").write_bytes(b"secret")
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "key").write_bytes(b"own")
    (root / "inner").symlink_to("a/key")
    (root / "folder").symlink_to(outside)
    (root / "a" / "b" / "file").symlink_to(outside / "below" / "key")
    (tmp_path / "store").symlink_to(root)
    return FolderStorage(tmp_path / "store")


def test_links_are_followed_below_the_folder_only(linked: FolderStorage) -> None:
    assert linked.get("inner") == linked.get("a/key") == b"own"
    assert linked.get_range("inner", -2, 2) == b"wn"
    assert linked.size("inner") == 3
    asked = [linked.get, linked.size, lambda key: linked.get_range(key, 0, 1)]
    for ask in [*asked, linked.delete, linked.delete_all, linked.folders, lambda k: linked.put(k, b"x"),
                lambda k: linked.compare_and_swap(k, None, b"x"), lambda k: linked.rename("inner", k),
                lambda k: linked.rename(k, "c"), lambda k: list(linked.list(k))]:  # fmt: skip
        with pytest.raises(StorageError, match="leads out of the folder"):
            ask("folder/below/key")
    for ask in asked:
        with pytest.raises(StorageError, match="leads out of the folder"):
            ask("a/b/file")
    with pytest.raises(StorageError, match="cp -rL"):
        list(linked.list())
    outside = linked.root.parent / "outside" / "below"
    assert [f.name for f in outside.iterdir()] == ["key"]
    linked.put("a/b/file", b"new")
    assert linked.get("a/b/file") == b"new"
    assert (outside / "key").read_bytes() == b"secret"


def test_a_linked_folder_is_not_left_out_silently(linked: FolderStorage) -> None:
    (linked.root / "folder").unlink()
    (linked.root / "a" / "b" / "file").unlink()
    (linked.root / "folder").symlink_to("a")
    assert linked.get("folder/key") == b"own"
    with pytest.raises(StorageError, match="link, which is not followed"):
        list(linked.list())


def test_a_pipe_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "zarr.json")
    for ask in (FolderStorage(tmp_path).get, lambda k: FolderStorage(tmp_path).get_range(k, 0, 1)):
        with pytest.raises(StorageError, match="not a file"):
            ask("zarr.json")


def test_a_zip_that_is_a_link_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with zipfile.ZipFile(tmp_path / "a" / "real.zip", "w") as archive:
        archive.writestr("zarr.json", b"{}")
    (tmp_path / "store.zip").symlink_to("a/real.zip")
    assert storage_at(tmp_path / "store.zip").get("zarr.json") == b"{}"


def test_a_link_where_an_object_is_begun_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"before")
    (tmp_path / "store").mkdir()
    beside = f"a.{os.getpid()}-{threading.get_ident()}{UNFINISHED}"
    (tmp_path / "store" / beside).symlink_to(outside)
    with pytest.raises(StorageError):
        FolderStorage(tmp_path / "store").put("a", b"after")
    assert outside.read_bytes() == b"before"
