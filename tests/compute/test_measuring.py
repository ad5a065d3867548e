"""Measurements by pieces: those of scikit-image, on threads or a cluster, streamed to the store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from skimage.measure import regionprops_table

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
sys.path.insert(0, str(Path(__file__).parents[1] / "reader"))

from counting import CountingStorage
from scenes import plate

import ngff_bio
from ngff_bio import cli
from ngff_bio.compute import measuring
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.errors import ArgumentError
from ngff_bio.model import (
    ArrayPixels,
    SourceDataset,
    SourceImage,
    VolumeLayer,
    axes_from,
)
from ngff_bio.reader.analysis import shapes
from ngff_bio.storage import FolderStorage, MemoryStorage

STEPS = {"z": 2.0, "y": 0.5, "x": 0.25}


def scene(axes: str, storage: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two channels and blobs; the labels of frames differ."""
    sizes = {"t": 2, "c": 2, "z": 6, "y": 40, "x": 50}
    rng = np.random.default_rng(3)
    pixels = rng.integers(1, 999, [sizes[a] for a in axes]).astype("u2")
    labels = np.zeros([sizes[a] for a in axes if a != "c"], "u2")
    for value in range(1, 9):
        corner = [int(rng.integers(0, n - 3)) for n in labels.shape[-(2 + ("z" in axes)) :]]
        where = tuple(slice(c, c + int(rng.integers(3, 12))) for c in corner)
        labels[(value % 2, *where) if "t" in axes else where] = value
    known = {a: (STEPS[a], "micrometer") for a in axes if a in STEPS}
    image = SourceImage(
        "",
        "scene",
        axes_from(axes, **known),
        ArrayPixels(pixels),
        labels=(VolumeLayer("cell", ArrayPixels(labels), "instance", 8),),
        translation=tuple(10.0 if a == "y" else 0.0 for a in axes),
    )
    how = Settings(chunk=(4, 16, 16), shard_bytes=16 * 16 * 4 * 8)
    write_dataset(SourceDataset("a", "a", "a", "image", (image,)), storage, how)
    return labels, pixels


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("axes", ["tcyx", "czyx", "yx"])
def test_properties_are_those_of_scikit_image(
    axes: str, blocks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = MemoryStorage()
    labels, pixels = scene(axes, storage)
    if blocks:  # many blocks, and few instances at a time
        monkeypatch.setattr(measuring, "_WHOLE", 0)
        monkeypatch.setattr(shapes, "_BYTES", 3000)
        import ngff_bio.reader.analysis.measures as measures

        monkeypatch.setattr(measures, "block_shape", lambda n, *a: (2,) * (len(n) - 2) + (16, 16))
    wanted = ("area_bbox", "solidity", "equivalent_diameter_area", "centroid", "intensity_mean")
    if "z" not in axes:
        wanted += ("eccentricity", "moments_hu")
    space = [a for a in axes if a in STEPS]
    for units in ("pixel", "world"):
        kept = [w for w in wanted if units == "pixel" or w != "moments_hu"]  # of square pixels
        found = ngff_bio.measure(storage, properties=kept, units=units)
        assert sorted(found["label"]) == sorted(np.unique(labels[labels > 0]))
        steps = [STEPS[a] if units == "world" else 1.0 for a in space]
        for t in range(2 if "t" in axes else 1):
            plane, shades = (labels[t], pixels[t]) if "t" in axes else (labels, pixels)
            shades = np.moveaxis(shades, 0, -1) if "c" in axes else shades
            expected = regionprops_table(plane, shades, ("label", *kept), spacing=tuple(steps))
            rows = found[found["t"] == t].set_index("label").loc[expected.pop("label")]
            for i, axis in enumerate(space):
                place = expected.pop(f"centroid-{i}")
                place += 10.0 if axis == "y" and units == "world" else 0.0
                for column in (f"centroid-{i}", f"centroid_{axis}"):
                    np.testing.assert_allclose(rows[column], place)
            for column, values in expected.items():
                np.testing.assert_allclose(rows[column], values, atol=1e-12, err_msg=column)


def test_one_property_is_given_by_its_name() -> None:
    storage = MemoryStorage()
    scene("yx", storage)
    one, same = (ngff_bio.measure(storage, properties=p) for p in ("solidity", ["solidity"]))
    pd.testing.assert_frame_equal(one, same)


def test_what_scikit_image_cannot_measure_is_one_error() -> None:
    storage = MemoryStorage()
    scene("czyx", storage)
    for name, match in (
        ("nonsense", "nonsense"),
        ("eccentricity", "3D"),
        ("coords", "not a number"),
    ):
        with pytest.raises(ArgumentError, match=match):
            ngff_bio.measure(storage, properties=[name])


def test_pixels_are_read_once_for_all_label_images_of_an_image() -> None:
    storage = CountingStorage(MemoryStorage())
    write_dataset(plate(frames=3, fields=1), storage.inner, Settings(chunk=(16, 24)))
    image = ngff_bio.open(storage)["A/1/0"]
    assert len(image.labels) > 2, "hidden label images"
    start = image.below("0/c/")
    ngff_bio.open(storage)["A/1/0"].pixels.array(0)[:]
    once = [asked for asked in storage.asked if asked[1].startswith(start)]
    storage.asked.clear()
    ngff_bio.measure(storage, workers=1)
    assert sorted(asked for asked in storage.asked if asked[1].startswith(start)) == sorted(once)


def test_rows_go_to_the_store_as_they_come() -> None:
    storage = MemoryStorage()
    write_dataset(plate(fields=3), storage, Settings())
    held = ngff_bio.measure(storage)
    lazy = ngff_bio.measure(storage, write="sizes", to="dask")
    assert lazy.npartitions == 3
    found = lazy.compute().drop(columns="layer").reset_index(drop=True)
    expected = held.drop(columns="layer")
    pd.testing.assert_frame_equal(found[list(expected)], expected, check_dtype=False)
    with pytest.raises(ArgumentError, match="as dask"):
        ngff_bio.measure(storage, to="dask")
    assert ngff_bio.verify(storage).equal
    one = held[held["image"] == "A/1/1"].reset_index(drop=True)
    for images in ("A/1/1", ["A/1/1", "A/1/1"]):
        pd.testing.assert_frame_equal(ngff_bio.measure(storage, images=images), one)


@pytest.fixture(scope="module")
def client() -> Any:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def test_a_table_of_instances_that_are_gone_is_removed_by_the_next_measurement() -> None:
    storage = MemoryStorage()
    write_dataset(plate(fields=1, frames=1), storage, Settings())
    image = next(iter(ngff_bio.open(storage).values()))
    values = np.zeros(tuple(image.sizes[a] for a in "tyx" if a in image.sizes), "u1")
    for filled in (True, False):
        values[..., 2:5, 2:6] = filled
        ngff_bio.write_labels(image, "mine", values, overwrite=True)
        found = ngff_bio.measure(storage, labels="mine", write="sizes")
        assert len(found) == filled
        names = next(iter(ngff_bio.open(storage).values())).tables
        assert ("mine-sizes" in names) == filled
        assert ngff_bio.verify(storage).equal
        left = [key for key, _ in storage.list() if "mine-sizes" in key]
        assert bool(left) == filled, left


def test_a_cluster_measures_the_same_in_few_tasks(
    tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(plate(fields=30), FolderStorage(tmp_path / "a"), Settings())
    alone = ngff_bio.measure(tmp_path / "a", cluster=None)
    submitted: list[str] = []
    real = client.submit

    def submit(*given: Any, **named: Any) -> Any:
        submitted.append(named["key"])
        return real(*given, **named)

    client.submit = submit
    try:
        found = ngff_bio.measure(tmp_path / "a", cluster=client)
    finally:
        del client.submit
    pd.testing.assert_frame_equal(found, alone)
    assert len(submitted) <= 4, "small images share a task"
    assert submitted[0].startswith("measure-A/1/0+")
    client.write_scheduler_file(str(tmp_path / "scheduler.json"))
    place = ["--scheduler-file", str(tmp_path / "scheduler.json"), "-o", str(tmp_path / "b.csv")]
    monkeypatch.setattr(sys, "argv", ["ngff-bio", "measure", str(tmp_path / "a"), *place])
    assert cli._run() == 0
    assert len(pd.read_csv(tmp_path / "b.csv")) == len(alone)
    storage = MemoryStorage()
    write_dataset(plate(fields=1), storage, Settings())
    with pytest.raises(ArgumentError, match="memory of this process"):
        ngff_bio.measure(storage, cluster=client)
