"""How many requests opening and cropping cost: exact numbers, kept in ``request_counts.json``.

Set ``NGFF_BIO_WRITE_COUNTS=1`` to write the file again after an intended change.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counting import CountingStorage
from written_stores import by_hand, example_pixels, our_plate

import ngff_bio
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.model import ArrayPixels, SourceDataset, SourceImage, SourcePlate, axes_from
from ngff_bio.storage import FolderStorage, MemoryStorage

FILE = Path(__file__).with_name("request_counts.json")


def many_fields(storage: MemoryStorage, rows: str, **settings: Any) -> None:
    """A plate of a hundred fields in each row, of a few pixels each."""
    wells = [(r, c) for r in rows for c in range(1, 26)]
    images = tuple(
        SourceImage(
            f"{r}/{c}/{f}",
            f"{r}{c} {f}",
            axes_from("yx"),
            ArrayPixels(np.full((4, 4), 1 + f, np.uint8)),
        )
        for r, c in wells
        for f in range(4)
    )
    plate = SourcePlate("", "p", tuple(rows), tuple(map(str, range(1, 26))))
    dataset = SourceDataset("p", "p", "p", "plates", images, (plate,))
    write_dataset(dataset, storage, Settings(**settings))


def one_image(storage: MemoryStorage, **settings: Any) -> None:
    image = SourceImage("", "a", axes_from("yx"), ArrayPixels(example_pixels(0, (1024, 1024))))
    settings = {"chunk": (128, 128), "shard_bytes": 512 * 1024 * 2, "levels": 1, **settings}
    write_dataset(SourceDataset("a", "a", "a", "image", (image,)), storage, Settings(**settings))


@pytest.fixture(scope="module")
def plates() -> dict[str, MemoryStorage]:
    made = {}
    for version, rows in (("0.5", "ABCDEFGHIJ"), ("0.4", "ABC")):
        made[version] = MemoryStorage()
        many_fields(made[version], rows, version=version)
    return made


def count_plate(storage: MemoryStorage) -> dict[str, Any]:
    counted = CountingStorage(storage)
    found: dict[str, Any] = {}
    dataset = ngff_bio.open(counted)
    count = len(dataset)
    found["open"] = counted.counts()
    image = dataset["C/7/2"]
    assert image.shape == (4, 4)
    level = image.level(0)
    found["one image of it"] = counted.counts()
    assert level["image"].values.max() == 3
    found["its pixels"] = counted.counts()
    assert len(dataset.images) == count
    found["table of all images"] = counted.counts()
    return found


def count_crops(storage: MemoryStorage) -> dict[str, Any]:
    counted = CountingStorage(storage)
    found: dict[str, Any] = {}
    image = ngff_bio.open(counted)[""]
    found["open"] = counted.counts()
    expected = example_pixels(0, (1024, 1024))
    for name, (y, x) in {
        "inside one chunk": (slice(10, 100), slice(10, 100)),
        "two by two chunks": (slice(100, 200), slice(100, 200)),
        "the same again": (slice(100, 200), slice(100, 200)),
        "across two shards": (slice(500, 520), slice(10, 60)),
        "all": (slice(0, 1024), slice(0, 1024)),
    }.items():
        part = image.region(y=y, x=x, units="pixel", chunks=None)["image"]
        np.testing.assert_array_equal(part.values, expected[y, x])
        found[name] = counted.counts()
        dask_part = image.region(y=y, x=x, units="pixel")["image"]
        np.testing.assert_array_equal(dask_part.values, expected[y, x])
        found[f"{name}, through dask"] = counted.counts()
    return found


def check(name: str, found: dict[str, Any]) -> None:
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    if os.environ.get("NGFF_BIO_WRITE_COUNTS"):
        kept[name] = found
        FILE.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    assert found == kept[name]


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_a_plate_of_many_fields(plates: dict[str, MemoryStorage], version: str) -> None:
    assert len(ngff_bio.open(plates[version])) == {"0.5": 1000, "0.4": 300}[version]
    found = count_plate(plates[version])
    check(f"plate {version}", found)
    assert sum(found["open"].values()) <= 2
    assert found["one image of it"] == {}
    assert found["table of all images"] == {}


CROPS: dict[str, Callable[[MemoryStorage], None]] = {
    "sharded": lambda s: one_image(s),
    "chunks alone": lambda s: one_image(s, version="0.4"),
}


@pytest.mark.parametrize("kind", CROPS)
def test_crops(kind: str) -> None:
    storage = MemoryStorage()
    CROPS[kind](storage)
    check(f"crops {kind}", count_crops(storage))


def test_a_crop_asks_for_the_chunks_it_touches_and_one_index_a_shard() -> None:
    storage = MemoryStorage()
    one_image(storage)
    counted = CountingStorage(storage, locality="machine")  # no chunks share a request
    array = ngff_bio.open(counted)[""].pixels.array(0)
    shards, chunk = array.objects, array.chunks
    assert chunk == (128, 128)
    rng = np.random.default_rng(3)
    seen: set[tuple[int, int]] = set()
    counted.counts()
    for _ in range(30):
        y, x = (int(v) for v in rng.integers(0, 1024 - 300, 2))
        array[y : y + 300, x : x + 300]
        spans = [range(s // 128, (s + 299) // 128 + 1) for s in (y, x)]
        touched = {(a * 128 // shards[0], b * 128 // shards[1]) for a in spans[0] for b in spans[1]}
        expected = len(spans[0]) * len(spans[1]) + len(touched - seen)
        seen |= touched
        assert sum(counted.counts().values()) == expected


def test_chunks_that_lie_together_share_a_request_over_a_network() -> None:
    storage = MemoryStorage()
    one_image(storage)
    near, far = CountingStorage(storage, locality="machine"), CountingStorage(storage)
    for counted in (near, far):
        ngff_bio.open(counted)[""].pixels.array(0)[0:128, :]
    assert sum(far.counts().values()) < sum(near.counts().values()) / 2


def test_wells_without_consolidated_metadata_are_looked_up_once(tmp_path: Path) -> None:
    by_hand("/")["plate"](tmp_path / "a")
    counted = CountingStorage(FolderStorage(tmp_path / "a"))
    dataset = ngff_bio.open(counted)
    assert len(dataset) == 4
    assert len(dataset.images) == 4
    keys = [key for _, key in counted.asked]
    assert len(keys) == len(set(keys))


def test_one_field_of_a_plate_is_opened_without_looking_at_the_others(tmp_path: Path) -> None:
    by_hand("/")["plate"](tmp_path / "a")
    counted = CountingStorage(FolderStorage(tmp_path / "a"))
    _ = ngff_bio.open(counted).plate["C7"]["1"].level(0)
    assert not [key for _, key in counted.asked if key.startswith("B")]


def test_a_table_of_many_rows_is_not_read_whole() -> None:
    pa = pytest.importorskip("pyarrow")
    from ngff_bio.engine.write.tables import to_parquet

    storage = MemoryStorage()
    our_plate(storage)
    rows = 400_000
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "label": np.arange(1, rows + 1),
            "t": np.sort(rng.integers(0, 3, rows)),
            "category": np.where(np.arange(rows) % 5, "round", "flat"),
            **{f"f{i}": rng.random(rows) for i in range(6)},
        }
    )
    data = to_parquet(table)
    storage.put("B/7/0/tables/cell/table.parquet", data)
    counted = CountingStorage(storage)
    image = ngff_bio.open(counted)["B/7/0"]
    counted.counts()
    found = image.annotations("cell", t=0, category="flat", columns=["label", "f1"])
    assert len(found) == int(((table["t"].to_numpy() == 0) & (np.arange(rows) % 5 == 0)).sum())
    assert counted.bytes_read < len(data) / 6
    assert sum(counted.counts().values()) < 12
