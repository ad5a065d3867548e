"""The codec that is chosen by trying: the cheapest within 3 %, the same every time, and told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import contents
from scenes import cells, collection, noise, plate

from ngff_bio.engine import Settings, ThreadRunner, parse_codec, write_dataset
from ngff_bio.engine.write.codec_selection import (
    CHUNK_BYTES,
    CHUNKS,
    IMAGE_CANDIDATES,
    LABEL_CANDIDATES,
    TOLERANCE,
    choose_codec,
    sample_of,
)
from ngff_bio.model import ArrayPixels, SourceDataset
from ngff_bio.parallel import WorkerPool
from ngff_bio.storage import MemoryStorage

SMALL = Settings(chunk=(32, 48), shard_bytes=1 << 15)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from(["u1", "u2", "u4", "f4"]),
    st.sampled_from(["noise", "flat", "ramp", "random"]),
    st.booleans(),
)
def test_the_cheapest_candidate_within_three_percent_is_taken(
    seed: int, dtype: str, kind: str, labels: bool
) -> None:
    rng = np.random.default_rng(seed)
    chunk = {
        "noise": noise((40, 60), dtype, seed),
        "flat": np.full((40, 60), 7, dtype),
        "ramp": np.arange(2400).reshape(40, 60).astype(dtype),
        "random": rng.integers(0, 200, (40, 60)).astype(dtype),
    }[kind]
    choice = choose_codec([chunk], "label" if labels else "image", WorkerPool())
    tried = {parse_codec(name): size for name, size in choice.sizes.items()}
    for codec, size in tried.items():
        assert size == len(codec.encode(chunk))
    order = LABEL_CANDIDATES if labels else IMAGE_CANDIDATES
    good = [c for c in order if c in tried and tried[c] <= min(tried.values()) * (1 + TOLERANCE)]
    assert choice.codec == good[0]
    # What was not tried at a higher level was hopeless at the first one.
    for codec in set(order) - set(tried):
        same = [c for c in order if c.level == 1 and c.shuffle == codec.shuffle]
        if np.dtype(dtype).itemsize > 1 or codec.shuffle != "shuffle":
            assert any(tried[c] > 1.1 * min(tried[d] for d in tried if d.level == 1) for c in same)


def test_the_codec_does_not_depend_on_the_number_of_workers() -> None:
    sample = [noise((100, 100), seed=n) for n in range(3)]
    assert choose_codec(sample, "image", WorkerPool()) == choose_codec(
        sample, "image", WorkerPool(4)
    )


def test_a_sample_is_a_few_filled_chunks_and_not_too_large() -> None:
    chunks = [np.zeros((900, 900), "u2") for _ in range(40)]
    for number in (3, 17, 18, 30, 39):
        chunks[number][5:, :] = number
    sample = sample_of(chunks)
    assert len(sample) == CHUNKS
    assert all(0 < s.nbytes <= CHUNK_BYTES and s.any() for s in sample)
    assert {int(s.max()) for s in sample} <= {3, 17, 18, 30, 39}
    assert sample_of([np.zeros((4, 4), "u1")]) == []


def test_arrays_of_one_codec_group_share_a_codec_and_others_do_not() -> None:
    dataset = plate(fields=3)
    grey = replace(
        dataset.images[2],
        pixels=ArrayPixels(dataset.images[2].pixels.array.astype("u2")),
    )
    dataset = replace(dataset, images=(*dataset.images[:2], grey))
    report = write_dataset(dataset, MemoryStorage(), SMALL)
    assert sorted(report.choices) == ["image uint16 x1", "image uint8 x1", "label uint8 x1"]
    for choice in report.choices.values():
        assert choice["codec"] in choice["sizes"]
        assert choice["sample"] > 0
    assert report.codecs["A/1/0"] == report.choices["image uint8 x1"]["codec"]
    assert report.codecs["A/1/2"] == report.choices["image uint16 x1"]["codec"]


def test_choosing_costs_no_second_reading() -> None:
    from operation_counts import convert_counted

    storage, counted = convert_counted(collection(4))
    assert set(storage.puts.values()) == {1}
    assert all(set(p.pages.values()) == {1} for p in counted.pixels)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_choice_is_made_on_the_first_pixels_whoever_works(workers: int) -> None:
    images = list(collection(6).images)
    rng = np.random.default_rng(0)
    for number in range(1, 6):  # all but the first would choose otherwise
        images[number] = replace(
            images[number],
            pixels=ArrayPixels(rng.integers(0, 2, images[number].pixels.shape).astype("u1")),
        )
    dataset = SourceDataset("d", "t", "o", "collection", tuple(images))
    storage = MemoryStorage()
    report = write_dataset(dataset, storage, SMALL, runner=ThreadRunner(workers))
    alone = write_dataset(replace(dataset, images=(images[0],)), MemoryStorage(), SMALL)
    assert report.choices == alone.choices
    again = MemoryStorage()
    write_dataset(dataset, again, SMALL, runner=ThreadRunner(2))
    assert contents(again) == contents(storage)


def test_where_there_is_nothing_but_background_a_codec_is_taken_all_the_same() -> None:
    dataset = collection(2)
    empty = tuple(
        replace(i, pixels=ArrayPixels(np.zeros(i.pixels.shape, "u1"))) for i in dataset.images
    )
    report = write_dataset(replace(dataset, images=empty), MemoryStorage(), SMALL)
    (choice,) = report.choices.values()
    assert choice["sizes"] == {}
    assert choice["codec"] == "blosc-zstd-1-shuffle-1024k"


def test_labels_are_compressed_by_plain_zstd() -> None:
    choice = choose_codec([cells((60, 90))], "label", WorkerPool())
    assert choice.codec.name == "zstd"
    assert list(choice.sizes) == ["zstd-1", "zstd-3", "zstd-5"]


def test_settings_say_what_was_asked_for(tmp_path: Any) -> None:
    assert Settings().changed() == {}
    assert Settings(codec=parse_codec("zstd-3"), version="0.4").changed() == {
        "codec": "zstd-3",
        "version": "0.4",
    }
