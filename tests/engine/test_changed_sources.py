"""A source that is changed while its conversion is interrupted: no store is of two versions."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import tifffile
from mortal import Killed, Mortal
from PIL import Image
from references import contents

from ngff_bio import convert, verify
from ngff_bio.engine import Settings, ThreadRunner, progress_of, write_dataset
from ngff_bio.engine.run.report import ConversionReport
from ngff_bio.errors import IncompleteStoreError, NgffBioError, SourceError, StoreExistsError
from ngff_bio.model import ArrayPixels, SourceDataset, SourceImage, axes_from
from ngff_bio.sources.files import ranges
from ngff_bio.storage import MemoryStorage

SETTINGS = Settings(shard_bytes=1 << 13)
COUNT = 8


def pixels(seed: int, side: int = 64) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 255, (side, side), np.uint8)


def write_tiff(path: Path, array: np.ndarray[Any, Any]) -> None:
    tifffile.imwrite(path, array, photometric="minisblack")


def tiff_folder(place: Path) -> Path:
    place.mkdir()
    for i in range(COUNT):
        write_tiff(place / f"image {'abcdefgh'[i]}.tif", pixels(i))
    return place


def square(x: int, label: str) -> dict[str, Any]:
    points = [[x, 10], [x + 20, 10], [x + 20, 30], [x, 30]]
    return {"label": label, "points": points, "shape_type": "polygon", "flags": {}}


def labelme_folder(place: Path) -> Path:
    """Two squares in each image, which overlap: the second has a hidden label image."""
    place.mkdir()
    for i in range(COUNT):
        name = f"image {'abcdefgh'[i]}"
        Image.fromarray(pixels(i)).save(place / f"{name}.png")
        shapes = [square(5, "cell"), square(15, "disk")]
        record = {
            "version": "5.4.1",
            "flags": {},
            "shapes": shapes,
            "imagePath": f"{name}.png",
            "imageData": None,
            "imageHeight": 64,
            "imageWidth": 64,
        }
        (place / f"{name}.json").write_text(json.dumps(record))
    return place


def edit(path: Path, content: bytes) -> None:
    """Change a file in place; its size and the time of its modification stay."""
    before = path.stat()
    assert len(content) == before.st_size
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def other_pixels(place: Path) -> None:
    edit(place / "image c.tif", (place / "image f.tif").read_bytes())


def black(place: Path) -> None:
    """Of nothing but background no object is written: none may be left of the image before."""
    content = (place / "image c.tif").read_bytes()
    edit(place / "image c.tif", content.replace(pixels(2).tobytes(), bytes(64 * 64)))


def swapped(place: Path) -> None:
    (place / "image a.tif").rename(place / "x")
    (place / "image b.tif").rename(place / "image a.tif")
    (place / "x").rename(place / "image b.tif")


def moved_square(place: Path) -> None:
    """The squares do not overlap any more: no hidden label image is left."""
    path = place / "image b.json"
    edit(path, path.read_bytes().replace(b"[15,", b"[30,").replace(b"[35,", b"[50,"))


def other_class(place: Path) -> None:
    path = place / "image e.json"
    edit(path, path.read_bytes().replace(b'"cell"', b'"disk"'))


def run(source: Path, storage: Mortal, **options: Any) -> ConversionReport:
    return convert(source, storage, settings=SETTINGS, runner=ThreadRunner(1), **options)


def killed(source: Path, storage: Mortal, moment: int) -> None:
    """Convert until the n-th change of the storage."""
    storage.left = moment
    with pytest.raises(Killed):
        run(source, storage)
    storage.revive()


@pytest.mark.parametrize(
    ("make", "change", "images"),
    [
        (tiff_folder, other_pixels, {"image_c"}),
        (tiff_folder, black, {"image_c"}),
        (tiff_folder, swapped, {"image_a", "image_b"}),
        (labelme_folder, moved_square, {"image_b"}),
        (labelme_folder, other_class, {"image_e"}),
    ],
)
def test_a_store_is_of_the_source_that_there_is_at_the_end(
    make: Callable[[Path], Path], change: Callable[[Path], None], images: set[str], tmp_path: Path
) -> None:
    whole, expected = Mortal(), MemoryStorage()
    run(make(tmp_path / "a"), whole)
    change(tmp_path / "a")
    convert(tmp_path / "a", expected, settings=SETTINGS)
    assert verify(expected, tmp_path / "a").equal
    for moment in range(4, whole.changes - 1, 5):
        (tmp_path / f"{moment}").mkdir()
        place, storage = make(tmp_path / f"{moment}" / "a"), Mortal()
        killed(place, storage, moment)
        before = progress_of(storage)
        change(place)
        try:
            report = run(place, storage)
        except StoreExistsError:  # it was whole: a store of the source as it was
            assert verify(storage).equal
            continue
        assert before is not None
        assert contents(storage) == contents(expected)
        again = any("chosen again" in n.what for n in report.notices)
        assert again or report.resumed >= before.done - len(images) - 1
        assert not again or images & {"image_a", "image_b"}  # those of the first units
        (notice,) = [n for n in report.notices if "read again" in n.what]
        assert set(str(notice.record).split(", ")) == images


def test_changed_between_several_kills(tmp_path: Path) -> None:
    place, storage = tiff_folder(tmp_path / "a"), Mortal()
    for turn, name in enumerate("abcab"):
        killed(place, storage, 8 + turn)
        write_tiff(place / f"image {name}.tif", pixels(100 + turn))
    run(place, storage)
    expected = MemoryStorage()
    convert(place, expected, settings=SETTINGS)
    assert contents(storage) == contents(expected)
    assert verify(storage, place).equal


def test_killed_while_it_removes_what_was_of_the_source_before(tmp_path: Path) -> None:
    place, begun = labelme_folder(tmp_path / "a"), Mortal()
    killed(place, begun, 40)
    moved_square(place)
    expected = MemoryStorage()
    convert(place, expected, settings=SETTINGS)
    for moment in range(12):
        storage = Mortal(objects=dict(begun.objects))
        killed(place, storage, moment)
        run(place, storage)
        assert contents(storage) == contents(expected)


@pytest.mark.parametrize("begun", ["new", "append"])
def test_a_codec_that_was_chosen_on_a_changed_image_is_chosen_again_for_all(
    begun: str, tmp_path: Path
) -> None:
    """Noise is stored as it is by any codec; of a gradient, the highest level is the smallest."""
    source, first = tiff_folder(tmp_path / "a"), "image a.tif"
    options, start = {}, Mortal()
    if begun == "append":
        options, first = {"append": True}, "image x.tif"
        run(source, start)
        for i, letter in enumerate("xyz"):
            write_tiff(source / f"image {letter}.tif", pixels(20 + i))
    storage = Mortal(objects=dict(start.objects))
    storage.left = 9
    with pytest.raises(Killed):
        run(source, storage, **options)
    storage.revive()
    interrupted = dict(storage.objects)
    slope = np.add.outer(np.arange(64), np.arange(64) // 3 % 7).astype(np.uint8)
    write_tiff(source / first, slope)
    expected = Mortal(objects=dict(start.objects))
    chosen = run(source, expected, **options).choices
    assert chosen != run(tiff_folder(tmp_path / "b"), Mortal()).choices
    for moment in (0, 3, 6, None):
        storage = Mortal(objects=dict(interrupted))
        if moment is not None:
            storage.left = moment
            with pytest.raises(Killed):
                run(source, storage, **options)
            storage.revive()
        report = run(source, storage, **options)
        assert contents(storage) == contents(expected)
        assert moment is not None or any("chosen again" in n.what for n in report.notices)


def test_what_was_finished_of_files_that_belong_to_no_image_is_not_taken_for_the_changed_ones(
    tmp_path: Path,
) -> None:
    """Killed after all was written; a second run finishes it, and compares it with the files."""
    place = tiff_folder(tmp_path / "a")
    (place / "LICENSE.txt").write_text("Attribution 4.0")
    whole = Mortal()
    run(place, whole)
    storage = Mortal()
    killed(place, storage, whole.changes - 3)
    finished = dict(storage.objects)
    run(place, storage)
    assert contents(storage) == contents(whole)
    edit(place / "LICENSE.txt", b"Attribution 3.0")
    storage = Mortal(objects=finished)
    with pytest.raises(StoreExistsError, match="already contains a store"):
        run(place, storage)
    assert contents(storage) == contents(whole)


@pytest.mark.parametrize("side", [32, 640])
def test_an_image_of_another_size_is_refused_and_named(side: int, tmp_path: Path) -> None:
    place, storage = tiff_folder(tmp_path / "a"), Mortal()
    killed(place, storage, 12)
    write_tiff(place / "image d.tif", pixels(3, side))
    with pytest.raises(StoreExistsError, match="other shapes") as caught:
        run(place, storage)
    assert caught.value.record == "image_d"
    assert "--overwrite" in str(caught.value.hint)
    run(place, storage, overwrite=True)
    assert verify(storage, place).equal


def test_one_annotation_file_of_all_images_is_read_again_for_all(tmp_path: Path) -> None:
    from makers import make_coco_folder

    make_coco_folder(tmp_path / "a")
    storage = Mortal()
    killed(tmp_path / "a", storage, 9)
    for file in (tmp_path / "a").rglob("*.json"):
        file.write_text(re.sub(r'"area": ?\d', '"area": 9', file.read_text()))
    report = run(tmp_path / "a", storage)
    assert report.resumed == 0
    expected = MemoryStorage()
    convert(tmp_path / "a", expected, settings=SETTINGS)
    assert contents(storage) == contents(expected)


def test_a_file_that_changes_while_it_is_converted_is_an_error(tmp_path: Path) -> None:
    place, storage = tiff_folder(tmp_path / "a"), Mortal()

    def change(done: int, total: int) -> None:
        if done == total:
            other_pixels(place)

    with pytest.raises(SourceError, match=r"changed while it was converted") as caught:
        run(place, storage, progress=change)
    assert caught.value.file == "image c.tif"
    with pytest.raises((IncompleteStoreError, NgffBioError)):
        verify(storage)
    run(place, storage)
    assert verify(storage, place).equal


def test_an_array_that_is_mapped_from_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """One pixel of many: the checksum of a sample does not see it."""
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((2, 300, 300), np.uint8))
    storage = Mortal(left=7)

    def dataset() -> SourceDataset:
        array = np.load(path, mmap_mode="r")
        images = tuple(
            SourceImage(f"{i}", f"{i}", axes_from("yx"), ArrayPixels(array[i])) for i in range(2)
        )
        return SourceDataset("d", "t", "o", "collection", images)

    with pytest.raises(Killed):
        write_dataset(dataset(), storage, SETTINGS, runner=ThreadRunner(1))
    storage.revive()
    assert progress_of(storage) is not None
    changed = np.load(path, mmap_mode="r+")
    changed[0, 17, 3] = 9
    changed.flush()
    write_dataset(dataset(), storage, SETTINGS)
    expected = MemoryStorage()
    write_dataset(dataset(), expected, SETTINGS)
    assert contents(storage) == contents(expected)


@pytest.fixture(params=["with times", "with nothing"])
def web(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server with a listing, and its folder; whether it states when a file was changed."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, directory=str(tmp_path / "web"), **options)

        def send_header(self, keyword: str, value: str) -> None:
            if keyword != "Last-Modified" or request.param == "with times":
                super().send_header(keyword, value)

        def log_message(self, format: str, *args: object) -> None:
            pass

    (tmp_path / "web").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/a/", tmp_path / "web"
    server.shutdown()
    server.server_close()


def test_files_without_a_version_from_the_server_are_read_again(web: tuple[str, Path]) -> None:
    url, folder = web
    tiff_folder(folder / "a")
    storage = Mortal(left=14)
    with pytest.raises(Killed):
        convert(url, storage, settings=SETTINGS, runner=ThreadRunner(1))
    storage.revive()
    path = folder / "a" / "image e.tif"
    path.write_bytes((folder / "a" / "image g.tif").read_bytes())
    os.utime(path, (1, 1))
    expected = MemoryStorage()
    convert(url, expected, settings=SETTINGS)
    report = convert(url, storage, settings=SETTINGS)
    assert contents(storage) == contents(expected)
    (notice,) = [n for n in report.notices if "read again" in n.what]
    if "nothing is known" in notice.what:
        assert (report.resumed, notice.count) == (0, COUNT)
    else:
        assert (notice.record, notice.count) == ("image_e", 1)
        assert report.resumed


@pytest.mark.parametrize("archive", [False, True])
def test_an_object_that_is_replaced_in_a_bucket(
    archive: bool, bucket_server: Any, tmp_path: Path
) -> None:
    """Of the same size: between two runs, and while one runs."""
    there, place = bucket_server.storage(), tiff_folder(tmp_path / "a")

    def upload() -> None:
        if archive:
            with ZipFile(tmp_path / "a.zip", "w") as packed:
                for file in sorted(place.iterdir()):
                    packed.write(file, file.name)
            there.put("a/a.zip", (tmp_path / "a.zip").read_bytes())
        else:
            for file in place.iterdir():
                there.put(f"a/{file.name}", file.read_bytes())

    def convert_bucket(storage: Any, **options: Any) -> None:
        url = f"{there.address}/a{'/a.zip' if archive else ''}"
        options |= {"settings": SETTINGS, "runner": ThreadRunner(1)}
        convert(url, storage, source_options=there.options, **options)

    def replace(done: int, total: int) -> None:
        if done == total:
            swapped(place)
            upload()

    upload()
    storage = Mortal(left=14)
    with pytest.raises(Killed):
        convert_bucket(storage)
    storage.revive()
    other_pixels(place)
    upload()
    with pytest.raises(SourceError, match="changed while it was converted"):
        convert_bucket(storage, progress=replace)
    convert_bucket(storage)
    expected = MemoryStorage()
    convert_bucket(expected)
    assert contents(storage) == contents(expected)
    assert verify(storage, place).equal or archive


@pytest.mark.parametrize(("times", "waited"), [((99.0, 99.0), 1.0), ((99.9951, 99.9951), 0.0051)])
def test_the_identity_of_a_file_that_was_just_changed_waits_for_the_clock_of_its_file_system(
    times: tuple[float, float], waited: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAT knows even seconds only: a second change within them would not be seen."""
    now, sleeps = [100.0], []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        now[0] += seconds + 1e-9

    changed = SimpleNamespace(st_size=5, st_ino=1, st_mtime=times[0], st_ctime=times[1])
    changed.st_mtime_ns, changed.st_ctime_ns = (round(t * 10**9) for t in times)
    monkeypatch.setattr(ranges.time, "time", lambda: now[0])
    monkeypatch.setattr(ranges.time, "sleep", sleep)
    monkeypatch.setattr(Path, "stat", lambda _: changed)
    assert ranges.LocalFile("/", "a").identity == ranges.LocalFile("/", "a").identity
    assert sleeps == [pytest.approx(waited, abs=1e-6)]
