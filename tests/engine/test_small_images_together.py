from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from makers import make_platelet_em

import ngff_bio
from ngff_bio.engine import Settings, plan_dataset
from ngff_bio.errors import StoreExistsError
from ngff_bio.model import (
    ArrayPixels,
    InstanceLayer,
    SourceDataset,
    SourceImage,
    axes_from,
)


def test_layers_of_one_name_of_images_written_by_one_unit_keep_their_own_labels(tmp_path):
    made = make_platelet_em(tmp_path, size=(3, 40, 56))
    ngff_bio.convert(made.root, tmp_path / "store.zarr")
    store = ngff_bio.open(tmp_path / "store.zarr")
    for name, volume in made.volumes.items():
        for layer, key in (("instance-cell", "cell"), ("semantic", "semantic")):
            stored = np.asarray(store[name].level(0)[layer].data)
            np.testing.assert_array_equal(stored, volume.labels[key])


def small_images(count: int, side: int = 16, instances: int = 0) -> SourceDataset:
    pixels = ArrayPixels(np.ones((side, side), np.uint8))
    layer = InstanceLayer("cells", pixels, instances, max(instances, 1))  # type: ignore[arg-type]
    layers = (layer,) if instances else ()
    images = (SourceImage(f"{i}", f"{i}", axes_from("yx"), pixels, layers) for i in range(count))
    return SourceDataset("d", "t", "o", "collection", tuple(images))


def test_thousands_of_small_files_are_many_units_and_a_few_are_one():
    assert len(plan_dataset(small_images(6000), Settings()).units) >= 4
    assert len(plan_dataset(small_images(100), Settings()).units) == 1


def test_images_with_many_instances_are_more_units_than_empty_ones():
    few, many = (plan_dataset(small_images(100, instances=n), Settings()) for n in (1, 1000))
    assert len(few.units) == 1
    assert len(many.units) >= 20
    assert few.objects == many.objects


def test_large_images_share_a_unit_up_to_its_bytes():
    units = plan_dataset(small_images(12, 3000), Settings(shard_bytes=1 << 28)).units
    assert len(units) > 1
    assert max(u.nbytes for u in units) <= 64 << 20


def test_the_destination_is_checked_before_the_source_is_read(tmp_path: Path):
    """The source does not exist: that would be the error if it was looked at first."""
    make_platelet_em(tmp_path / "a", size=(3, 40, 56), volumes=("50",))
    ngff_bio.convert(tmp_path / "a", tmp_path / "store.zarr")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("work")
    # With the same settings the source is read: it may be the one that the store was made from.
    for place, settings in (("store.zarr", Settings(chunk=(16, 16))), ("other", None)):
        with pytest.raises(StoreExistsError):
            ngff_bio.convert(tmp_path / "nowhere", tmp_path / place, settings=settings)
    with pytest.raises(StoreExistsError, match="not a store"):
        ngff_bio.convert(tmp_path / "nowhere", tmp_path / "other", overwrite=True)
