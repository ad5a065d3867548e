"""A store against its source: equal where nothing was changed, and every change is found."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from full_store import (
    Listed,
    edit_attributes,
    edit_table,
    full_dataset,
    plate_dataset,
    set_pixel,
    write_full_store,
)
from hypothesis import given
from hypothesis import strategies as st
from makers import make_platelet_em

import ngff_bio
from ngff_bio.checks.source.compare_pixels import factors, reduce_again
from ngff_bio.checks.source.verify import verify
from ngff_bio.engine import Settings
from ngff_bio.engine.write.manifest import MANIFEST, MANIFEST_CHECKSUM
from ngff_bio.model import InstanceLayer, SourceDataset, SourceImage


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return write_full_store(tmp_path_factory.mktemp("full") / "a.zarr")


@pytest.fixture
def store(made, tmp_path) -> Path:
    """A copy without manifest: changes are to be found by comparison alone."""
    copy = shutil.copytree(made, tmp_path / "a.zarr")
    (copy / MANIFEST).unlink()
    (copy / MANIFEST_CHECKSUM).unlink()
    return copy


def found(store: Path, dataset: SourceDataset | None = None) -> set[tuple[str, str]]:
    differences = verify(store, dataset or full_dataset()).differences
    return {(d.kind, d.path) for d in differences}


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
@pytest.mark.parametrize("make", [full_dataset, plate_dataset])
def test_a_store_is_equal_to_the_dataset_that_it_was_written_from(make, version, tmp_path):
    settings = Settings(version=version, chunk=(4, 16, 16), shard_bytes=16384)
    done = verify(write_full_store(tmp_path / "a.zarr", make(), settings), make())
    assert done.differences == []
    assert done.images == 3
    assert done.instances == (24 + 3 if make is full_dataset else 24)


@pytest.mark.parametrize("chunk", [(16, 16), (1, 7, 9), (3, 16, 8), (4, 60, 70)])
def test_levels_hold_whatever_the_chunks_are(chunk, tmp_path):
    settings = Settings(chunk=chunk, shard_bytes=4096, levels=4)
    assert verify(write_full_store(tmp_path / "a.zarr", None, settings), full_dataset()).equal


@pytest.mark.parametrize("method", ["mean", "gaussian", "mode", "nearest"])
def test_levels_of_each_method_are_recomputed_equal(method, tmp_path):
    label_method = "nearest" if method == "nearest" else "mode"
    settings = Settings(chunk=(4, 16, 16), method=method, label_method=label_method)
    assert verify(write_full_store(tmp_path / "a.zarr", None, settings), full_dataset()).equal


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_platelet_em_is_equal_to_its_source(size, tmp_path):
    make_platelet_em(tmp_path / "source", size=size)
    ngff_bio.convert(tmp_path / "source", tmp_path / "a.zarr")
    done = verify(tmp_path / "a.zarr", tmp_path / "source")
    assert done.differences == []
    assert done.notes == []


def test_one_wrong_pixel_is_found_with_its_place_and_both_values(store):
    set_pixel(store, "movie/0", (2, 33, 7), 255)
    (pixel,) = [d for d in verify(store, full_dataset()).differences if d.kind == "pixels"]
    assert (pixel.path, pixel.where) == ("movie/0", "t=2 y=33 x=7")
    expected = full_dataset().images[0].pixels.array[2, 33, 7]
    assert (pixel.expected, pixel.found) == (str(expected), "255")


def test_one_wrong_pixel_of_a_level_is_found(store):
    set_pixel(store, "volume/1", (1, 3, 4), 1)
    assert ("level", "volume/1") in found(store)
    assert ("pixels", "volume/0") not in found(store)


def test_one_wrong_pixel_of_a_label_is_found_by_instance(store):
    set_pixel(store, "movie/labels/cell/0", (1, 9, 12), 3)
    masks = [d for d in verify(store, full_dataset()).differences if d.kind == "mask"]
    named = {d.instance: d.what for d in masks}
    assert named.keys() == {"label 2, id b/2", "label 3"}
    assert named["label 2, id b/2"] == "1 pixels are missing, 0 are too many"
    assert {d.where for d in masks} == {"t=1"}


def test_a_wrong_pixel_of_a_hidden_label_image_is_found(store):
    set_pixel(store, "movie/labels/cell-hidden-1/0", (0, 59, 69), 2)
    assert ("mask", "movie/labels/cell-hidden-1/0") in found(store)


@pytest.mark.parametrize("layer", ["class", "object"])
def test_a_wrong_voxel_of_a_label_volume_is_found(layer, store):
    set_pixel(store, f"volume/labels/{layer}/0", (1, 35, 35), 1)
    assert ("mask", f"volume/labels/{layer}/0") in found(store)


TABLE = "movie/tables/cell/table.parquet"


@pytest.mark.parametrize(
    ("column", "row", "value"),
    [
        ("label", 4, 1),
        ("t", 0, 1),
        ("z", 3, 0),
        ("category", 0, "Cell"),
        ("category_id", 0, "8"),
        ("source_id", 1, None),
        ("track_id", 2, "10"),
        ("box_x", 0, 3.0000000001),
        ("box_height", 3, 17.0),
        ("area", 0, 567.0),
        ("iscrowd", 2, 0),
        ("pixels", 1, 1),
        ("shape_type", 7, "point"),
        ("polygons", 1, [[10.0, 8.0, 30.0, 8.0, 30.0, 22.0]]),
        ("rle_size", 2, [70, 60]),
        ("rle_counts", 2, "0"),
        ("record", 0, '{"id": -4}'),
        ("offset_x", 5, 54),
        ("files", 5, ["a.json"]),
        ("indices", 5, [3, 1]),
        ("variants", 5, None),
        ("label_image", 0, "cell-hidden-9"),
    ],
)
def test_one_wrong_value_of_a_row_is_found(column, row, value, store):
    edit_table(store / TABLE, lambda c: c[column].__setitem__(row, value))
    assert {kind for kind, _ in found(store)} & {"row", "mask"}


def test_an_instance_that_its_row_calls_visible_though_others_cover_it_is_found(store):
    def change(columns):
        covered = next(i for i, n in enumerate(columns["label_image"]) if n != "cell")
        columns["label_image"][covered] = "cell"

    edit_table(store / TABLE, change)
    differences = verify(store, full_dataset()).differences
    assert any("covered by others" in d.what for d in differences)


@pytest.mark.parametrize(
    "column", ["label", "source_id", "pixels", "category", "y_start", "z_stop"]
)
def test_one_wrong_value_of_an_object_of_a_volume_is_found(column, store):
    def change(columns):
        value = columns[column][1]
        columns[column][1] = value + 1 if isinstance(value, int) else "other"

    edit_table(store / "volume/tables/object/table.parquet", change)
    assert ("row", "volume/tables/object/table.parquet") in found(store)


def test_a_missing_row_and_a_row_too_many_are_named(store):
    edit_table(store / TABLE, lambda c: [values.pop(7) for values in c.values()])
    whats = [d.what for d in verify(store, full_dataset()).differences if d.kind == "row"]
    assert "the row is missing" in whats
    dataset = full_dataset()
    movie = dataset.images[0]
    layer = movie.labels[0]
    assert isinstance(layer, InstanceLayer)
    frames = tuple(tuple(layer.instances.read(t)[:4]) for t in range(3))
    less = replace(movie, labels=(replace(layer, instances=Listed(frames)),))
    differences = verify(store, replace(dataset, images=(less, *dataset.images[1:]))).differences
    assert any(d.what == "the source has no such instance" for d in differences)


def test_a_missing_table_is_found(store):
    (store / TABLE).unlink()
    (store / "volume/tables/object/table.parquet").unlink()
    assert {("row", TABLE), ("row", "volume/tables/object/table.parquet")} <= found(store)


@pytest.mark.parametrize(
    ("array", "at", "value"),
    [
        ("nodes/props/label/values", (0,), 2),
        ("nodes/props/t/values", (2,), 1),
        ("edges/ids", (0, 1), 5),
    ],
)
def test_a_graph_that_tracks_otherwise_is_found(array, at, value, store):
    set_pixel(store, f"movie/tracks/cell/{array}", at, value)
    assert ("tracks", "movie/tracks/cell") in found(store)


def test_a_missing_graph_is_found(store):
    shutil.rmtree(store / "movie/tracks/cell/nodes")
    assert ("tracks", "movie/tracks/cell") in found(store)


@pytest.mark.parametrize(
    ("key", "value"),
    [("splits", ["val"]), ("elapsed_hours", 5.0), ("record", {"id": 9}), ("name", "other.tif")],
)
def test_a_frame_that_is_described_otherwise_is_found(key, value, store):
    edit_attributes(store, "movie", lambda a: a["ngff_bio"]["frames"][1].__setitem__(key, value))
    (frame,) = [d for d in verify(store, full_dataset()).differences if d.kind == "frame"]
    assert frame.what == f"{key} differs"
    assert frame.where is not None
    assert frame.where.startswith("t=1 ")


def test_a_calibration_that_differs_is_found(store):
    def change(attributes):
        dataset = attributes["ome"]["multiscales"][0]["datasets"][1]
        dataset["coordinateTransformations"][0]["scale"][-1] *= 1.5

    edit_attributes(store, "volume", change)
    assert ("image", "volume") in found(store)


def test_attributes_of_the_dataset_are_compared(store):
    edit_attributes(store, "", lambda a: a["ngff_bio"].__setitem__("licence", "CC-BY"))
    assert ("dataset", "") in found(store)


def test_a_missing_image_and_one_too_many_are_found(store):
    dataset = full_dataset()
    fewer = replace(dataset, images=dataset.images[1:])
    assert ("image", "movie") in found(store, fewer)
    shutil.rmtree(store / "colour")
    assert ("image", "colour") in found(store)


def test_a_layer_that_the_source_does_not_have_is_found(store):
    dataset = full_dataset()
    bare: tuple[SourceImage, ...] = tuple(replace(i, labels=()) for i in dataset.images)
    assert ("label", "movie/labels/cell") in found(store, replace(dataset, images=bare))


def test_a_chunk_that_does_not_decode_is_a_difference_and_not_the_end(store):
    chunk = next(p for p in sorted((store / "volume/0/c").rglob("*")) if p.is_file())
    chunk.write_bytes(b"\x00" * chunk.stat().st_size)
    set_pixel(store, "movie/0", (0, 0, 0), 251)
    assert {("pixels", "volume/0"), ("pixels", "movie/0")} <= found(store)


def test_metadata_that_is_no_json_is_a_difference_and_not_the_end(store):
    (store / "movie/zarr.json").write_text("{")
    set_pixel(store, "volume/0", (0, 0, 0), 1)
    assert {("object", "movie/zarr.json"), ("image", "movie"), ("pixels", "volume/0")} <= found(
        store
    )


def test_a_source_that_has_changed_is_found_by_its_files(tmp_path):
    make_platelet_em(tmp_path / "source")
    ngff_bio.convert(tmp_path / "source", tmp_path / "a.zarr")
    image = next((tmp_path / "source").rglob("*-images.tif"))
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 1
    image.write_bytes(bytes(content))
    kinds = {d.kind for d in verify(tmp_path / "a.zarr", tmp_path / "source").differences}
    assert kinds == {"source", "pixels"}


def test_a_sample_compares_so_many_pieces_and_always_the_same(store):
    whole = verify(store, full_dataset())
    first = verify(store, full_dataset(), sample=3)
    assert 0 < first.bytes_pixels < whole.bytes_pixels
    assert first.bytes_pixels == verify(store, full_dataset(), sample=3).bytes_pixels
    assert first.equal


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3).flatmap(
        lambda shape: st.tuples(st.just(tuple(shape)), st.integers(0, 2**32 - 1))
    ),
    st.sampled_from(["u1", "i2", "u4", "f4", "?"]),
)
def test_the_mean_is_that_of_the_pixels_that_fall_together(case, dtype):
    shape, seed = case
    values = np.random.default_rng(seed).integers(-99, 99, shape).astype(dtype)
    factor = (2,) * len(shape)
    made = reduce_again(values, factor, "mean")
    for at in np.ndindex(made.shape):
        inside = values[tuple(slice(2 * i, 2 * i + 2) for i in at)].astype(float)
        if np.dtype(dtype).kind == "f":
            assert np.isclose(made[at], inside.mean(), rtol=1e-6, atol=1e-6)
        else:
            assert int(made[at]) == int(np.floor(inside.mean() + 0.5))


def test_only_reductions_by_one_or_two_count_as_levels():
    assert factors((3, 7, 8), (3, 4, 4)) == (1, 2, 2)
    assert factors((9, 9), (3, 9)) is None
    assert factors((9, 9), (9,)) is None


def test_a_store_of_another_program_is_compared_by_zarr_alone(store):
    """The comparison does not rest on our own chunk reader: zarr-python's own arrays do."""
    array = zarr.open_array(store, path="colour/0", mode="r")
    assert (array[:] == full_dataset().images[2].pixels.array).all()


def test_a_layer_that_is_named_like_a_hidden_one_is_none(tmp_path):
    dataset = full_dataset()
    movie = dataset.images[0]
    other = replace(movie.labels[0], name="cell-hidden-x", tracked=False)
    movie = replace(movie, labels=(*movie.labels, other))
    dataset = replace(dataset, images=(movie, *dataset.images[1:]))
    assert verify(write_full_store(tmp_path / "a.zarr", dataset), dataset).differences == []
