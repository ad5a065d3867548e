"""Adding to a store that is whole, without writing again what lies there."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from PIL import Image
from references import contents
from scenes import Boxes, collection, noise, plate, volume
from test_resume import Killed, Mortal

import ngff_bio
from ngff_bio.engine import Settings, ThreadRunner, write_dataset
from ngff_bio.errors import StoreError, StoreExistsError, StoreNotFoundError
from ngff_bio.model import ArrayPixels, SourceDataset, SourcePlate
from ngff_bio.storage import FolderStorage, MemoryStorage, Storage

SINGLE = Settings(chunk=(32, 48), shard_bytes=1 << 16, frames=1)
ONE = ThreadRunner(workers=1)


def add(dataset: SourceDataset, storage: Storage, settings: Settings = SINGLE) -> Any:
    return write_dataset(dataset, storage, settings, runner=ONE, append=True)


def pixel_keys(storage: Storage) -> dict[str, str]:
    return {
        k: v
        for k, v in contents(storage).items()
        if k.rpartition("/")[2].isdigit() and "/tracks/" not in k
    }


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_new_frames_are_added_behind_the_last_and_nothing_else_is_touched(version: Any) -> None:
    settings = replace(SINGLE, version=version)
    storage, at_once = Mortal(), MemoryStorage()
    write_dataset(plate(frames=3), storage, settings, runner=ONE)
    before = pixel_keys(storage)
    storage.puts.clear()
    report = add(plate(frames=5), storage, settings)
    write_dataset(plate(frames=5), at_once, settings)
    assert not set(before) & set(storage.puts)
    assert pixel_keys(storage) == pixel_keys(at_once)
    assert report.frames == 10
    mine, theirs = contents(storage), contents(at_once)
    differ = {k for k in theirs if mine.get(k) != theirs[k]}
    assert set(mine) >= set(theirs)
    # Tables hold the same rows in other row groups, windows of channels are those of the old frames,
    # and the manifest lists the checksums of both.
    image = {"A/1/0/zarr.json", "zarr.json", "A/1/0/.zattrs", ".zmetadata"}
    manifest = {"ngff_bio/manifest.parquet", "ngff_bio/manifest.crc32c"}
    assert {k for k in differ if not k.endswith("table.parquet")} <= image | manifest


def test_a_file_of_an_image_that_is_there_already_has_changed(tmp_path: Path) -> None:
    for name in "ab":
        Image.fromarray(noise((20, 20), "u1")).save(tmp_path / f"image {name}.png")
    storage = MemoryStorage()
    ngff_bio.convert(tmp_path, storage)
    before = pixel_keys(storage)
    Image.fromarray(noise((20, 20), "u1", seed=5)).save(tmp_path / "image b.png")
    Image.fromarray(noise((20, 20), "u1", seed=6)).save(tmp_path / "image c.png")
    for _ in range(2):
        report = ngff_bio.convert(tmp_path, storage, append=True)
        (note,) = [n for n in report.notices if "changed since" in n.what]
        assert (note.record, note.count) == ("image b.png", 1)
    assert {k: v for k, v in pixel_keys(storage).items() if k in before} == before
    found = ngff_bio.verify(storage, tmp_path).differences
    assert {d.path for d in found if d.kind == "source"} == {"image b.png"}


def test_rows_of_old_and_new_frames_are_in_one_table() -> None:
    from ngff_bio.engine.write.tables import from_parquet

    storage, at_once = MemoryStorage(), MemoryStorage()
    write_dataset(plate(frames=2), storage, SINGLE)
    add(plate(frames=4), storage)
    write_dataset(plate(frames=4), at_once, SINGLE)
    key = "A/1/0/tables/cell/table.parquet"
    assert from_parquet(storage.get(key)).equals(from_parquet(at_once.get(key)))


def test_new_fields_join_their_plate_and_new_plates_the_store(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    write_dataset(plate(fields=1), storage, SINGLE)
    before = pixel_keys(storage)
    add(plate(fields=3), storage)
    found = ngff_bio.open(tmp_path)
    assert list(found) == ["A/1/0", "A/1/1", "A/1/2"]
    assert found.attributes["images"] == 3
    assert {k: v for k, v in pixel_keys(storage).items() if k in before} == before
    well = json.loads((tmp_path / "A" / "1" / "zarr.json").read_text())
    assert [i["path"] for i in well["attributes"]["ome"]["well"]["images"]] == ["0", "1", "2"]


def test_a_plate_that_is_new_is_put_beside_the_others() -> None:
    def one(name: str) -> SourceDataset:
        dataset = plate(fields=1)
        (image,) = dataset.images
        return replace(
            dataset,
            images=(replace(image, path=f"{name}/A/1/0"),),
            plates=(SourcePlate(name, name, ("A", "B"), ("1",)),),
        )

    storage = MemoryStorage()
    write_dataset(one("first"), storage, SINGLE)
    add(one("second"), storage)
    for name in ("first", "second"):
        document = json.loads(storage.objects[f"{name}/zarr.json"])
        assert document["attributes"]["ome"]["plate"]["wells"][0]["path"] == "A/1"
    root = json.loads(storage.objects["zarr.json"])
    assert "first/A/1/0" in root["consolidated_metadata"]["metadata"]


def test_new_images_join_a_collection(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    write_dataset(collection(2), storage, SINGLE)
    all_three = collection(3)
    add(replace(all_three, images=all_three.images[2:]), storage)
    series = json.loads((tmp_path / "OME" / "zarr.json").read_text())
    assert series["attributes"]["ome"]["series"] == ["0", "1", "2"]
    found = zarr.open_consolidated(tmp_path)
    np.testing.assert_array_equal(found["2/0"][:], all_three.images[2].pixels.array)
    np.testing.assert_array_equal(found["0/0"][:], all_three.images[0].pixels.array)


def test_a_label_layer_that_is_new_joins_its_image(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    full = volume()
    bare = replace(full, images=(replace(full.images[0], labels=full.images[0].labels[:1]),))
    write_dataset(bare, storage, SINGLE)
    before = pixel_keys(storage)
    add(full, storage)
    assert {k: v for k, v in pixel_keys(storage).items() if k in before} == before
    labels = zarr.open_group(tmp_path / "labels", mode="r")
    assert labels.attrs["ome"]["labels"] == ["semantic", "objects"]
    np.testing.assert_array_equal(labels["objects/0"][:], full.images[0].labels[1].pixels.array)


def test_adding_nothing_changes_no_byte() -> None:
    storage = MemoryStorage()
    write_dataset(plate(), storage, SINGLE)
    before = contents(storage)
    report = add(plate(), storage)
    assert report.units == 0
    assert contents(storage) == before


def test_killed_at_every_change_the_store_opens_and_ends_with_the_same_bytes() -> None:
    base, coarse = MemoryStorage(), Settings(frames=1)
    write_dataset(plate(frames=2, fields=1, boxes=3), base, coarse)
    target = plate(frames=3, fields=2, boxes=3)
    whole = Mortal(objects=dict(base.objects))
    add(target, whole, coarse)
    expected = contents(whole)
    for moment in range(1, whole.changes, 2):
        storage = Mortal(objects=dict(base.objects), left=moment)
        with pytest.raises(Killed):
            add(target, storage, coarse)
        opened = ngff_bio.open(storage)
        assert list(opened) in (["A/1/0"], ["A/1/0", "A/1/1"])
        storage.revive()
        add(target, storage, coarse)
        assert contents(storage) == expected


def _taller() -> SourceDataset:
    dataset = plate(frames=4)
    image = dataset.images[0]
    return replace(dataset, images=(replace(image, pixels=ArrayPixels(noise((4, 71, 110)))),))


def _renamed() -> SourceDataset:
    dataset = plate(frames=4)
    frames = tuple(replace(f, name=f"other-{f.t}") for f in dataset.images[0].frames)
    return replace(dataset, images=(replace(dataset.images[0], frames=frames),))


def _relabelled() -> SourceDataset:
    dataset = plate(frames=4)
    layer = replace(dataset.images[0].labels[0], instances=Boxes((70, 110), 9, seed=5))
    layer = replace(layer, instances=_Fewer(layer.instances))
    return replace(dataset, images=(replace(dataset.images[0], labels=(layer,)),))


class _Fewer:
    def __init__(self, boxes: Boxes) -> None:
        self.boxes = boxes

    def read(self, t: int) -> Sequence[Any]:
        return self.boxes.read(t)[1:]


def _more_values() -> SourceDataset:
    dataset = plate(frames=4)
    layer = replace(dataset.images[0].labels[0], max_value=300)
    return replace(dataset, images=(replace(dataset.images[0], labels=(layer,)),))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_taller, "another"),
        (_renamed, "the store has another image"),
        (_relabelled, "other instances"),
        (_more_values, "larger type"),
        (collection, "differs in kind"),
        (volume, "differs in kind"),
        (lambda: replace(plate(), source="other"), "differs in kind"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    make: Callable[[], SourceDataset], why: str
) -> None:
    storage = MemoryStorage()
    write_dataset(plate(frames=3), storage, SINGLE)
    before = contents(storage)
    with pytest.raises(StoreExistsError, match=why):
        add(make(), storage)
    assert contents(storage) == before


def test_a_second_image_beside_a_single_one_is_refused_with_the_way_on(tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        Image.fromarray(np.full((5, 6), number, np.uint8)).save(folder / f"{number}.png")
    ngff_bio.convert(tmp_path / "1", tmp_path / "out.zarr")
    for source in (tmp_path / "2", tmp_path):
        with pytest.raises(StoreExistsError) as caught:
            ngff_bio.convert(source, tmp_path / "out.zarr", append=True)
        assert "convert the folder that holds all images" in str(caught.value.hint)
    ngff_bio.convert(tmp_path, tmp_path / "all.zarr")  # as the hint says
    Image.fromarray(np.full((5, 6), 3, np.uint8)).save(tmp_path / "2" / "3.png")
    assert ngff_bio.convert(tmp_path, tmp_path / "all.zarr", append=True).images == 1


def test_an_image_that_is_alone_in_its_folder_is_added_to_a_collection(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        folder = tmp_path / ("new" if number == 3 else "first")
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.full((5, 6), number, np.uint8)).save(folder / f"{number}.png")
    ngff_bio.convert(tmp_path / "first", tmp_path / "out.zarr")
    assert ngff_bio.convert(tmp_path / "new", tmp_path / "out.zarr", append=True).images == 1
    assert ngff_bio.convert(tmp_path / "new", tmp_path / "out.zarr", append=True).images == 0
    store = ngff_bio.open(tmp_path / "out.zarr")
    assert {path: int(image.level()["image"].max()) for path, image in store.items()} == {
        "1": 1, "2": 2, "3": 3
    }  # fmt: skip
    assert zarr.open_group(tmp_path / "out.zarr/OME").attrs["ome"]["series"] == ["1", "2", "3"]


def test_a_shard_that_is_not_full_is_not_written_again() -> None:
    storage = MemoryStorage()
    write_dataset(plate(frames=3), storage, replace(SINGLE, frames=2))
    with pytest.raises(StoreExistsError, match="last shard is not full") as caught:
        add(plate(frames=4), storage, replace(SINGLE, frames=2))
    assert "--frames 1" in str(caught.value)


def test_there_has_to_be_a_store_and_a_whole_one() -> None:
    with pytest.raises(StoreNotFoundError, match="no store to append to"):
        add(plate(), MemoryStorage())
    storage = Mortal(left=9)
    with pytest.raises(Killed):
        write_dataset(plate(), storage, SINGLE)
    storage.revive()
    with pytest.raises((StoreExistsError, StoreNotFoundError), match=r"incomplete|no store"):
        add(plate(), storage)


def test_a_store_of_another_program_is_not_added_to(tmp_path: Path) -> None:
    zarr.create_group(tmp_path)
    with pytest.raises(StoreError, match="not written by ngff_bio"):
        add(plate(), FolderStorage(tmp_path))


def test_a_plain_conversion_does_not_mistake_a_begun_addition_for_its_own() -> None:
    storage = Mortal()
    write_dataset(plate(frames=2), storage, SINGLE, runner=ONE)
    storage.left = 6
    with pytest.raises(Killed):
        add(plate(frames=4), storage)
    storage.revive()
    with pytest.raises(StoreExistsError):
        write_dataset(plate(frames=4), storage, SINGLE, runner=ONE)
    add(plate(frames=4), storage)
    assert not [k for k in storage.objects if k.startswith(".ngff_bio")]
