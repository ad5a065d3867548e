"""Failures during a conversion: one clear error, and the conversion can be resumed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from references import contents
from scenes import Boxes, collection, noise, plate

import ngff_bio
from ngff_bio.engine import ProcessRunner, Settings, ThreadRunner, progress_of, write_dataset
from ngff_bio.errors import (
    IncompleteStoreError,
    SourceError,
    SourceNotFoundError,
    StorageError,
)
from ngff_bio.model import Instance, Region, SourceDataset, SourceParts
from ngff_bio.storage import FolderStorage, MemoryStorage
from ngff_bio.storage.base import Buffer

SMALL = Settings(chunk=(32, 48), shard_bytes=1 << 15)


@dataclass(frozen=True)
class FromFile:
    """Pixels in a file of their own."""

    path: str
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype("u1")

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        return (1,) * len(self.shape)

    def read(self, region: Region) -> NDArray[Any]:
        whole = np.frombuffer(Path(self.path).read_bytes(), "u1").reshape(self.shape)
        return np.ascontiguousarray(whole[tuple(slice(*r) for r in region)])

    def source_parts(self) -> SourceParts:
        return (self.path,)  # its tests change files, and resume


@dataclass(frozen=True)
class FileInstances:
    path: str
    boxes: Boxes

    def read(self, t: int) -> list[Instance]:
        Path(self.path).read_bytes()
        return self.boxes.read(t)

    def source_parts(self) -> SourceParts:
        return (self.path,)


def from_files(folder: Path, count: int = 4) -> SourceDataset:
    """A plate whose fields and annotations lie in files."""
    dataset = plate(fields=count, frames=2)
    images = []
    for image in dataset.images:
        pixels, boxes = folder / f"{image.name}.raw", folder / f"{image.name}.json"
        if not folder.exists():
            folder.mkdir()
        shape = image.pixels.shape
        pixels.write_bytes(noise(shape, "u1").tobytes())
        boxes.write_text("{}")
        (layer,) = image.labels
        layer = replace(layer, instances=FileInstances(str(boxes), layer.instances))
        source = FromFile(str(pixels), shape)
        images.append(replace(image, pixels=source, labels=(layer,)))
    return replace(dataset, images=tuple(images))


@pytest.mark.parametrize("gone", ["A1 2.raw", "A1 2.json"])
@pytest.mark.parametrize("runner", [ThreadRunner(2), ProcessRunner(2)])
def test_a_file_that_vanishes_half_way_is_named_and_the_rest_is_kept(
    tmp_path: Path, gone: str, runner: Any
) -> None:
    dataset, storage = from_files(tmp_path / "in"), FolderStorage(tmp_path / "out")
    expected = MemoryStorage()
    write_dataset(dataset, expected, SMALL)
    content = (tmp_path / "in" / gone).read_bytes()
    (tmp_path / "in" / gone).unlink()
    with pytest.raises(SourceNotFoundError, match="is missing") as caught:
        write_dataset(dataset, storage, SMALL, runner=runner)
    assert gone in str(caught.value)
    assert "A/1/2" in str(caught.value)
    with pytest.raises(IncompleteStoreError):
        ngff_bio.open(tmp_path / "out")
    (tmp_path / "in" / gone).write_bytes(content)
    write_dataset(dataset, storage, SMALL, runner=runner)
    assert contents(storage) == contents(expected)


@pytest.mark.parametrize("gone", [["A1 0.raw"], ["A1 2.json"], ["A1 1.raw", "A1 3.raw"]])
def test_with_skip_the_rest_is_converted_and_the_report_lists_what_is_not(
    tmp_path: Path, gone: list[str]
) -> None:
    dataset, storage = from_files(tmp_path / "in"), FolderStorage(tmp_path / "out")
    for name in gone:
        (tmp_path / "in" / name).unlink()
    report = write_dataset(dataset, storage, SMALL, on_error="skip")
    lost = {n.partition(".")[0] for n in gone}
    kept = tuple(i for i in dataset.images if i.name not in lost)
    skipped = [n for n in report.notices if n.kind == "skipped"]
    for notice, name in zip(skipped, gone, strict=True):
        assert name.partition(".")[0] in notice.what
        assert notice.file is not None
        assert notice.file.endswith(name)
    assert list(ngff_bio.open(tmp_path / "out")) == [i.path for i in kept]
    expected = MemoryStorage()
    without = write_dataset(replace(dataset, images=kept), expected, SMALL)
    assert set(contents(storage)) == set(contents(expected))
    assert (report.images, report.objects) == (len(kept), without.objects)
    assert report.bytes_stored == sum(size for _, size in storage.list())


def test_where_nothing_can_be_read_even_skip_ends_with_an_error(tmp_path: Path) -> None:
    dataset = from_files(tmp_path / "in", count=2)
    for file in (tmp_path / "in").glob("*.raw"):
        file.unlink()
    with pytest.raises(SourceError, match="no image could be converted"):
        write_dataset(dataset, MemoryStorage(), SMALL, on_error="skip")


def test_a_skipped_image_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    dataset, storage = from_files(tmp_path / "in"), MemoryStorage()
    content = (tmp_path / "in" / "A1 2.raw").read_bytes()
    (tmp_path / "in" / "A1 2.raw").unlink()

    def stop(done: int, total: int) -> None:
        if done == total:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_dataset(dataset, storage, SMALL, on_error="skip", progress=stop)
    (tmp_path / "in" / "A1 2.raw").write_bytes(content)
    report = write_dataset(dataset, storage, SMALL, on_error="skip")
    assert "skipped" not in [n.kind for n in report.notices]
    expected = MemoryStorage()
    write_dataset(dataset, expected, SMALL)
    assert contents(storage) == contents(expected)


def test_a_skipped_addition_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    storage, single = MemoryStorage(), replace(SMALL, frames=1)
    dataset = from_files(tmp_path / "in", count=2)
    write_dataset(replace(dataset, images=dataset.images[:1]), storage, single)
    before = contents(storage)
    (tmp_path / "in" / "A1 1.raw").unlink()
    with pytest.raises(SourceError, match="no image could be converted"):
        write_dataset(dataset, storage, single, append=True, on_error="skip")
    assert {k: v for k, v in contents(storage).items() if k in before} == before
    assert list(ngff_bio.open(storage)) == ["A/1/0"]


@dataclass
class Full(MemoryStorage):
    """A disk with so much room."""

    room: int = 1 << 30

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        size = super().put(key, data)
        if sum(map(len, self.objects.values())) > self.room:
            del self.objects[key]
            raise StorageError("cannot write: No space left on device", file=key, hint="free some")
        return size


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_conversion_ends_on_a_full_disk_and_resumes_with_free_space(on_error: Any) -> None:
    whole = MemoryStorage()
    write_dataset(collection(), whole)
    storage = Full(room=sum(map(len, whole.objects.values())) // 2)
    with pytest.raises(StorageError, match="No space left"):
        write_dataset(collection(), storage, on_error=on_error)
    assert "zarr.json" not in storage.objects
    storage.room = 1 << 30
    write_dataset(collection(), storage)
    assert contents(storage) == contents(whole)


def test_a_really_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, real, left = FolderStorage(tmp_path), os.write, [6]

    def write(handle: int, data: bytes) -> int:
        left[0] -= 1
        if left[0] == 0:
            real(handle, data[: len(data) // 2])
        if left[0] <= 0:
            raise OSError(28, "No space left on device")
        return real(handle, data)

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "writev", lambda h, v: write(h, b"".join(v)))
    with pytest.raises(StorageError, match="No space left") as caught:
        write_dataset(collection(), storage, SMALL)
    assert "run the same command again" in str(caught.value)
    monkeypatch.undo()
    assert not [p for p in tmp_path.rglob("*.unfinished") if "lock" not in p.name]
    assert progress_of(storage) is not None
    write_dataset(collection(), storage, SMALL)
    expected = MemoryStorage()
    write_dataset(collection(), expected, SMALL)
    assert contents(storage) == contents(expected)


def test_a_source_that_gives_another_shape_than_declared_is_an_error() -> None:
    dataset = collection(1)
    (image,) = dataset.images

    class Wrong(FromFile):
        def read(self, region: Region) -> NDArray[Any]:
            return np.zeros((1, 1, 1), "u1")

    broken = replace(image, pixels=Wrong("", image.pixels.shape))
    with pytest.raises(SourceError, match="another shape than requested"):
        write_dataset(replace(dataset, images=(broken,)), MemoryStorage())
