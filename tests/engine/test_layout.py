"""Chunks, shards, levels and regions: every pixel has one place, and every object one maker."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import gaussian_level, mean_level, mode_level, nearest_level

from ngff_bio.engine.plan.layout import ArrayPlan, ArraySpec, plan_array
from ngff_bio.engine.plan.planning import plan_dataset
from ngff_bio.engine.plan.settings import Settings
from ngff_bio.engine.write.units import run_unit
from ngff_bio.errors import ArgumentError, SourceError
from ngff_bio.model import ArrayPixels, SourceDataset, SourceImage, VolumeLayer, axes_from
from ngff_bio.storage import MemoryStorage
from ngff_bio.zarrio.codecs import Codec


@st.composite
def arrays(draw: Any) -> ArrayPlan:
    axes = draw(st.sampled_from(["yx", "zyx", "cyx", "tcyx", "tczyx"]))
    most = {"t": 5, "c": 4, "z": 40, "y": 3000, "x": 3000}
    shape = tuple(draw(st.integers(1, most[a])) for a in axes)
    read_block_shape = tuple(
        draw(st.sampled_from(sorted({1, min(n, 7), min(n, 64), min(n, 240), n})))
        if a in "yx"
        else draw(st.sampled_from([1, n]))
        for a, n in zip(axes, shape, strict=True)
    )
    steps = tuple(draw(st.sampled_from([None, 1.0, 4.0])) if a in "zyx" else None for a in axes)
    chunk = draw(
        st.none()
        | st.tuples(st.integers(1, 400), st.integers(1, 400))
        | st.tuples(st.integers(1, 9), st.integers(1, 400), st.integers(1, 400))
    )
    shard = draw(st.none() | st.tuples(st.integers(1, 900), st.integers(1, 900)))
    chosen = Settings(
        chunk_bytes=draw(st.integers(1, 1 << 18)),
        shard_bytes=draw(st.integers(1, 1 << 22)),
        chunk=chunk,
        shard=shard,
        sharded=draw(st.booleans()),
        frames=draw(st.none() | st.integers(1, 3)),
        levels=draw(st.none() | st.integers(1, 6)),
    )
    dtype = np.dtype(draw(st.sampled_from(["u1", "u2", "f4", "u8"])))
    method = draw(st.sampled_from(["mean", "gaussian"]))
    spec = ArraySpec(axes, shape, dtype, read_block_shape, steps, codec=Codec())
    return plan_array("x", spec, replace(chosen, method=method))


@settings(max_examples=150, deadline=None)
@given(arrays())
def test_each_object_of_each_level_is_made_by_exactly_one_region(plan: ArrayPlan) -> None:
    made: dict[int, dict[tuple[int, ...], int]] = {n: {} for n in range(len(plan.levels))}
    for step in plan.passes:
        grid = [
            -(-n // t)
            for n, t in zip(plan.levels[max(step.source, 0)].shape, step.region, strict=True)
        ]
        if math.prod(grid) > 3000:
            return  # nothing new is in a grid of so many equal regions
        for region in plan.regions(step):
            spans = list(region)
            for level in range(step.first, step.stop):
                lv = plan.levels[level]
                if level > 0:
                    spans = [
                        (a // f, -(-b // f)) for (a, b), f in zip(spans, lv.factor, strict=True)
                    ]
                # It starts on an object, and ends on one or with the array.
                for (a, b), o, n in zip(spans, lv.object_shape, lv.shape, strict=True):
                    assert a % o == 0
                    assert b % o == 0 or b == n
                first = tuple(a // o for (a, _), o in zip(spans, lv.object_shape, strict=True))
                count = math.prod(
                    -(-(b - a) // o) for (a, b), o in zip(spans, lv.object_shape, strict=True)
                )
                assert first not in made[level]
                made[level][first] = count
    for number, lv in enumerate(plan.levels):
        assert sum(made[number].values()) == math.prod(lv.object_grid())


@settings(max_examples=150, deadline=None)
@given(arrays())
def test_levels_halve_and_shards_hold_whole_chunks(plan: ArrayPlan) -> None:
    assert [p.first for p in plan.passes] == [0, *[p.stop for p in plan.passes[:-1]]]
    assert plan.passes[-1].stop == len(plan.levels)
    assert [p.source for p in plan.passes] == [-1, *[p.stop - 1 for p in plan.passes[:-1]]]
    before = plan.levels[0].shape
    for number, lv in enumerate(plan.levels):
        if number:
            assert lv.shape == tuple(-(-n // f) for n, f in zip(before, lv.factor, strict=True))
        assert all(c <= n for c, n in zip(lv.chunk, lv.shape, strict=True))
        if lv.shard is not None:
            assert all(s % c == 0 for s, c in zip(lv.shard, lv.chunk, strict=True))
        before = lv.shape


METHODS = {
    "mean": mean_level,
    "gaussian": gaussian_level,
    "nearest": nearest_level,
    "mode": mode_level,
}


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["yx", "zyx", "tcyx"]),
    st.data(),
    st.sampled_from(["u1", "u2", "i2", "f4", "u4", "?"]),
    st.sampled_from(sorted(METHODS)),
    st.sampled_from(["mode", "nearest"]),
    st.sampled_from(["0.4", "0.5"]),
)
def test_every_pixel_of_every_level_equals_an_independent_reference(
    axes: str, data: Any, dtype: str, method: Any, label_method: Any, version: Any
) -> None:
    most = {"t": 3, "c": 3, "z": 6, "y": 40, "x": 40}
    shape = tuple(data.draw(st.integers(1, most[a])) for a in axes)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    pixels = rng.integers(0, 2 if dtype == "?" else 120, shape).astype(dtype)
    labels = rng.integers(0, 4, shape).astype("u1")
    if "c" in axes:
        labels = labels.take(0, axes.index("c"))
    chunk = (data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12)))
    chosen = Settings(
        version=version,
        chunk=chunk,
        shard_bytes=data.draw(st.integers(50, 4000)),
        method=method,
        label_method=label_method,
        codec=Codec("none"),
        label_codec=Codec("none"),
    )
    steps = {a: (1.0, None) for a in axes if a in "zyx"}
    layer = VolumeLayer("l", ArrayPixels(labels), "semantic", 3)
    image = SourceImage("", "i", axes_from(axes, **steps), ArrayPixels(pixels), (layer,))
    plan = plan_dataset(SourceDataset("d", "t", "o", "image", (image,)), chosen)
    storage = MemoryStorage()
    for unit in plan.units:
        run_unit(plan.job(unit), storage)
    for planned, reference, source in (
        (plan.arrays[0].plan, METHODS[method], pixels),
        (plan.arrays[1].plan, METHODS[label_method], labels),
    ):
        expected = source
        for number, level in enumerate(planned.levels):
            if number:
                expected = reference(expected, level.factor)
            found = _read_raw(planned, number, storage)
            if dtype == "f4" and reference is gaussian_level:
                np.testing.assert_allclose(found, expected, rtol=1e-5)
                expected = found
            else:
                np.testing.assert_array_equal(found, expected)


def _read_raw(plan: ArrayPlan, number: int, storage: MemoryStorage) -> Any:
    """A level by the rules of the format alone, chunk by chunk; nothing is compressed."""
    level, dtype = plan.levels[number], np.dtype(plan.dtype)
    out = np.zeros([-(-n // o) * o for n, o in zip(level.shape, level.object_shape, strict=True)])
    out = out.astype(dtype)
    grid = tuple(o // c for o, c in zip(level.object_shape, level.chunk, strict=True))
    for index in np.ndindex(level.object_grid()):
        data = storage.get(plan.meta(number).key(index))
        if data is None:
            continue
        corner = [i * o for i, o in zip(index, level.object_shape, strict=True)]
        table = np.array([[0, len(data)]], "u8")
        if level.shard is not None:
            table = np.frombuffer(data[-16 * math.prod(grid) - 4 : -4], "<u8").reshape(-1, 2)
        for at, (start, length) in zip(np.ndindex(grid), table.tolist(), strict=True):
            if start != 2**64 - 1:
                encoded = data[start : start + length]
                if plan.zarr_format == 3:  # the codec crc32c
                    encoded, checksum = encoded[:-4], encoded[-4:]
                    assert google_crc32c.value(encoded).to_bytes(4, "little") == checksum
                chunk = np.frombuffer(encoded, dtype).reshape(level.chunk)
                place = (
                    slice(o + i * c, o + (i + 1) * c)
                    for o, i, c in zip(corner, at, level.chunk, strict=True)
                )
                out[tuple(place)] = chunk
    return out[tuple(slice(n) for n in level.shape)]


def test_a_chunk_follows_the_tiles_of_its_source() -> None:
    def chunk(shape: tuple[int, int], read_block_shape: tuple[int, int]) -> tuple[int, ...]:
        spec = ArraySpec("yx", shape, np.dtype("u1"), read_block_shape, (None, None))
        return plan_array("", spec, Settings()).levels[0].chunk

    assert chunk((9000, 9000), (240, 240)) == (960, 960)
    assert chunk((9000, 9000), (1, 9000)) == (1000, 1000)
    assert chunk((9000, 9000), (3000, 9000))[0] == 1000
    assert chunk((500, 700), (500, 700)) == (500, 700)


@pytest.mark.parametrize(
    "wrong",
    [{"chunk": (0, 5)}, {"chunk": (1, 2, 3, 4)}, {"shard": (7,)}, {"levels": 0}, {"frames": 0}],
)
def test_a_shape_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    spec = ArraySpec("yx", (99, 99), np.dtype("u1"), (1, 1), (None, None))
    with pytest.raises(ArgumentError):
        plan_array("", spec, Settings(**wrong))


def test_a_shard_shape_is_kept_on_the_levels_that_it_divides() -> None:
    chosen = Settings(chunk=(512, 512), shard=(4096, 4096), shard_bytes=64 << 20)
    spec = ArraySpec("yx", (9122, 9163), np.dtype("u1"), (1, 9163), (None, None))
    plan = plan_array("", spec, chosen)
    assert plan.levels[0].shard == (4096, 4096)
    assert plan.levels[0].chunk == (512, 512)


def test_the_number_of_objects_is_known_beforehand() -> None:
    image = SourceImage("", "i", axes_from("yx"), ArrayPixels(np.ones((3000, 3000), "u1")))
    plan = plan_dataset(SourceDataset("d", "t", "o", "image", (image,)), Settings(version="0.4"))
    storage = MemoryStorage()
    decided = plan.with_choices({"image uint8 x1": Codec()})
    for unit in decided.units:
        run_unit(decided.job(unit), storage)
    pixels = [k for k, _ in storage.list() if not k.startswith(".ngff_bio")]
    assert len(pixels) == plan.objects


@pytest.mark.parametrize("second", ["a/B", "a/b/labels/X"])
def test_two_arrays_never_have_one_place(second: str) -> None:
    """Not on a file system without cases either."""
    pixels = ArrayPixels(np.zeros((4, 4), np.uint8))
    labels = VolumeLayer("x", pixels, "semantic", 0, categories=())
    one = SourceImage(path="a/b", name="1", axes=axes_from("yx"), pixels=pixels, labels=(labels,))
    both = (one, replace(one, path=second, name="2", labels=()))
    with pytest.raises(SourceError, match="one place in the store"):
        plan_dataset(SourceDataset("d", "t", "o", "collection", both), Settings())
