"""Files of a source: folders, zips, tars, archives in them, URLs; and what none of them may do."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from ngff_bio.errors import NgffBioError, SourceError, SourceNotFoundError, StorageError
from ngff_bio.formats.limits import Limits
from ngff_bio.sources.files import ranges
from ngff_bio.sources.files.tree import open_tree, with_archives

FILES = {
    "a.txt": b"first",
    "deep/er/b.bin": bytes(range(256)) * 300,
    "name with space, ü:1.json": b"{}",
}


def as_zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def as_tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


PLACES = {
    "folder": None,
    "deflated.zip": as_zip(FILES),
    "stored.zip": as_zip(FILES, zipfile.ZIP_STORED),
    "bzip2.zip": as_zip(FILES, zipfile.ZIP_BZIP2),
    "plain.tar": as_tar(FILES),
    "packed.tar.gz": as_tar(FILES, "w:gz"),
    "packed.tbz2": as_tar(FILES, "w:bz2"),
    "packed.tar.xz": as_tar(FILES, "w:xz"),
}


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return folder


def made(kind: str, folder: Path) -> Path:
    data = PLACES[kind]
    if data is None:
        return put(folder / kind, FILES)
    return put(folder, {kind: data}) / kind


@pytest.mark.parametrize("kind", PLACES)
def test_a_folder_and_every_archive_give_the_same_files(kind: str, tmp_path: Path) -> None:
    tree = open_tree(made(kind, tmp_path))
    assert tree.names() == sorted(FILES)
    for name, data in FILES.items():
        file = pickle.loads(pickle.dumps(tree.file(name)))
        assert (file.name, file.size) == (name, len(data))
        assert file.read() == data
        assert file.read_range(3, 5) == data[3:8]
        assert file.read_range(len(data) - 1, 99) == data[-1:]
        with file.open() as stream:
            stream.seek(-2, os.SEEK_END)
            assert stream.read() == data[-2:]
            stream.seek(1)
            assert stream.read(2) == data[1:3]


@pytest.mark.parametrize("kind", PLACES)
def test_files_are_read_by_several_threads_at_once(kind: str, tmp_path: Path) -> None:
    tree = open_tree(made(kind, tmp_path))
    file = tree.file("deep/er/b.bin")
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(file.read())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [FILES["deep/er/b.bin"]] * 8


def test_large_compressed_members_are_unpacked_to_disk_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ngff_bio.sources.files.archives._IN_MEMORY", 100)
    tree = open_tree(made("deflated.zip", tmp_path))
    file = tree.file("deep/er/b.bin")
    paths = set()
    for _ in range(3):
        with file.open() as stream:
            paths.add(stream.name)
            assert stream.read() == FILES["deep/er/b.bin"]
    assert len(paths) == 1


@pytest.mark.parametrize("inner", ["deflated.zip", "stored.zip", "plain.tar", "packed.tar.gz"])
@pytest.mark.parametrize("outer", ["folder", "zip", "stored", "tgz"])
def test_archives_inside_a_source_open_as_folders(outer: str, inner: str, tmp_path: Path) -> None:
    data = PLACES[inner]
    assert data is not None
    files = {"notes.txt": b"n", f"data/{inner}": data}
    if outer == "folder":
        place = put(tmp_path / "f", files)
    else:
        packed = {
            "zip": lambda: as_zip(files),
            "stored": lambda: as_zip(files, zipfile.ZIP_STORED),
            "tgz": lambda: as_tar(files, "w:gz"),
        }[outer]()
        place = put(tmp_path, {f"x.{'tgz' if outer == 'tgz' else 'zip'}": packed})
        place = next(place.iterdir())
    tree = with_archives(open_tree(place))
    assert tree.names() == sorted(["notes.txt", *(f"data/{inner}/{n}" for n in FILES)])
    for name, expected in FILES.items():
        assert tree.file(f"data/{inner}/{name}").read() == expected


def test_only_picked_archives_are_opened(tmp_path: Path) -> None:
    put(tmp_path, {"images.zip": as_zip(FILES), "other.zip": as_zip(FILES)})
    names = with_archives(open_tree(tmp_path), lambda n: n == "images.zip").names()
    assert "other.zip" in names
    assert "images.zip/a.txt" in names


def test_a_link_out_of_the_folder_is_never_followed(tmp_path: Path) -> None:
    put(tmp_path, {"secret/key.txt": b"s", "data/a.txt": b"a"})
    data = tmp_path / "data"
    (data / "file-link.txt").symlink_to(tmp_path / "secret" / "key.txt")
    (data / "folder-link").symlink_to(tmp_path / "secret")
    (data / "inner-link.txt").symlink_to(data / "a.txt")
    (data / "dead-link.txt").symlink_to(data / "nothing")
    tree = open_tree(data)
    assert tree.names() == ["a.txt", "inner-link.txt"]
    for name in ("file-link.txt", "folder-link/key.txt"):
        with pytest.raises(SourceNotFoundError):
            tree.file(name)
    (tmp_path / "entrance").symlink_to(data)
    assert open_tree(tmp_path / "entrance").names() == ["a.txt", "inner-link.txt"]


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "C:\\a.txt", "a\\..\\..\\b"])
def test_a_name_that_leads_out_of_the_source_is_refused(name: str, tmp_path: Path) -> None:
    put(tmp_path, {"a.txt": b"a"})
    with pytest.raises(SourceError, match="leads out of the source"):
        open_tree(tmp_path).file(name)


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/etc/evil", "a/../../evil", "..\\evil", "C:/evil"]
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_member_outside_of_it_is_refused(kind: str, name: str, tmp_path: Path) -> None:
    data = as_zip({name: b""}) if kind == "zip" else as_tar({name: b""})
    with pytest.raises(SourceError, match="outside of it") as caught:
        open_tree(put(tmp_path, {f"x.{kind}": data}) / f"x.{kind}")
    assert caught.value.record


def test_links_in_archives_are_left_out(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, kind in (("soft", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert open_tree(put(tmp_path, {"x.tar": stream.getvalue()}) / "x.tar").names() == []
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive_:
        entry = zipfile.ZipInfo("soft")
        entry.external_attr = 0o120777 << 16
        archive_.writestr(entry, "/etc/passwd")
    assert open_tree(put(tmp_path, {"x.zip": stream.getvalue()}) / "x.zip").names() == []


def test_a_member_that_claims_too_much_is_refused_and_names_the_option(tmp_path: Path) -> None:
    place = made("deflated.zip", tmp_path)
    tree = open_tree(place, limits=Limits(max_bytes=1000))
    assert tree.file("a.txt").read() == b"first"
    with pytest.raises(SourceError, match="larger than allowed") as caught:
        tree.file("deep/er/b.bin")
    assert "--max-bytes" in str(caught.value)


def test_a_compressed_tar_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    place = put(tmp_path, {"bomb.tar.gz": as_tar({"zeros": bytes(5_000_000)}, "w:gz")})
    with pytest.raises(SourceError, match="more than allowed") as caught:
        open_tree(place / "bomb.tar.gz", limits=Limits(max_bytes=1_000_000))
    assert "--max-bytes" in str(caught.value)


@pytest.mark.parametrize("kind", [k for k in PLACES if k != "folder"])
def test_a_damaged_archive_is_one_clear_error(kind: str, tmp_path: Path) -> None:
    data = PLACES[kind]
    assert data is not None
    place = put(tmp_path, {kind: data[: len(data) // 2]}) / kind
    with pytest.raises(SourceError) as caught:
        open_tree(place)
    assert kind in str(caught.value)


@pytest.mark.parametrize("name", ["x.zip", "x.tar"])
def test_an_archive_of_zeros_is_not_an_empty_one(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        open_tree(put(tmp_path, {name: bytes(10240)}) / name)


def test_a_changed_byte_in_a_zip_is_found_by_its_checksum(tmp_path: Path) -> None:
    for kind in ("deflated.zip", "stored.zip"):
        data = bytearray(PLACES[kind] or b"")
        at = data.find(b"deep/er/b.bin") + 60
        data[at] ^= 255
        file = open_tree(put(tmp_path, {kind: bytes(data)}) / kind).file("deep/er/b.bin")
        with pytest.raises(SourceError, match="damaged") as caught:
            file.read()
        assert caught.value.file == "deep/er/b.bin"


def test_an_encrypted_zip_is_reported(tmp_path: Path) -> None:
    data = bytearray(as_zip({"a.txt": b"a"}))
    data[data.find(b"PK\1\2") + 8] |= 1
    with pytest.raises(SourceError, match="encrypted"):
        open_tree(put(tmp_path, {"x.zip": bytes(data)}) / "x.zip")


def test_a_store_inside_the_folder_is_no_part_of_the_source(tmp_path: Path) -> None:
    put(tmp_path, {"a.tif": b"a", "out.zarr/zarr.json": b"{}", "out.zarr/0/c/0/0": b"x"})
    put(tmp_path, {"__MACOSX/a.tif": b"", ".DS_Store": b"", "sub/Thumbs.db": b""})
    tree = open_tree(tmp_path)
    assert tree.names() == ["a.tif"]
    assert tree.excluded == {"out.zarr": "Zarr store"}
    assert tree.hidden == [".DS_Store", "__MACOSX/a.tif", "sub/Thumbs.db"]


def test_one_file_alone_is_a_source(tmp_path: Path) -> None:
    place = put(tmp_path, {"a.tif": b"abc", "b.tif": b""}) / "a.tif"
    tree = open_tree(place)
    assert tree.names() == ["a.tif"]
    assert tree.file("a.tif").read() == b"abc"
    with pytest.raises(SourceError, match="empty"):
        open_tree(tmp_path / "b.tif")


def test_a_place_without_anything_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError):
        open_tree(tmp_path / "no")
    with pytest.raises(SourceNotFoundError):
        open_tree("memory://ngff-bio-nothing/here")
    with pytest.raises(NgffBioError):
        open_tree("nosuchscheme://x/y")


def test_a_bucket_like_url_gives_the_same_files() -> None:
    system = fsspec.filesystem("memory")
    for name, data in FILES.items():
        system.pipe(f"/ngff-bio-bucket/set/{name}", data)
    system.pipe("/ngff-bio-bucket/set.zip", PLACES["deflated.zip"])
    for url in ("memory://ngff-bio-bucket/set", "memory://ngff-bio-bucket/set.zip"):
        tree = open_tree(url)
        assert tree.names() == sorted(FILES)
        file = pickle.loads(pickle.dumps(tree.file("deep/er/b.bin")))
        assert file.read() == FILES["deep/er/b.bin"]
        assert file.read_range(2, 4) == FILES["deep/er/b.bin"][2:6]


def test_a_file_in_a_bucket_has_another_identity_when_it_changes() -> None:
    system = fsspec.filesystem("memory")
    found = []
    for content in (b"one", b"two"):
        system.pipe("/ngff-bio-changed/a.txt", content)
        found.append(open_tree("memory://ngff-bio-changed").file("a.txt").identity)
    assert found[0] != found[1]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path):
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *a, **k: _Quiet(*a, directory=str(tmp_path), **k)
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_web_server_gives_folders_and_archives(web: str, tmp_path: Path) -> None:
    put(tmp_path, {"set/a.txt": b"first", "set/deep/b.bin": b"second"})
    put(tmp_path, {"set.zip": as_zip(FILES), "set.tar": as_tar(FILES)})
    tree = open_tree(f"{web}/set/")
    assert tree.names() == ["a.txt", "deep/b.bin"]
    assert tree.file("deep/b.bin").read() == b"second"
    for kind in ("zip", "tar"):
        tree = open_tree(f"{web}/set.{kind}")
        assert tree.names() == sorted(FILES)
        assert tree.file("deep/er/b.bin").read() == FILES["deep/er/b.bin"]
    with pytest.raises(NgffBioError):
        open_tree(f"{web}/nothing.zip")


def test_unpacked_members_are_in_a_folder_of_this_process(tmp_path: Path) -> None:
    path = ranges.temporary_copy("a key of this test", lambda f: f.write(b"x"))
    assert path.read_bytes() == b"x"
    assert path == ranges.temporary_copy("a key of this test", lambda f: f.write(b"y"))


def test_a_server_that_refuses_the_connection_is_one_error():
    with pytest.raises(StorageError, match="request failed") as raised:
        open_tree("ftp://127.0.0.1:1/a")
    assert raised.value.file == "ftp://127.0.0.1:1/a"
