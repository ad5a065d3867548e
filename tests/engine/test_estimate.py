"""The objects and bytes that a plan estimates are those of the finished store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from scenes import collection, plate, volume

from ngff_bio.engine import Settings, ThreadRunner, plan_dataset, write_dataset
from ngff_bio.engine.plan.estimate import estimate_plan
from ngff_bio.model import InstanceLayer, SourceDataset
from ngff_bio.storage import MemoryStorage

SMALL = Settings(chunk=(32, 48), shard_bytes=1 << 16)


def untracked(dataset: SourceDataset) -> SourceDataset:
    """The same without tracks, whose graphs are not foretold."""
    images = []
    for image in dataset.images:
        labels = [
            replace(x, tracked=False) if isinstance(x, InstanceLayer) else x for x in image.labels
        ]
        images.append(replace(image, labels=tuple(labels)))
    return replace(dataset, images=tuple(images))


@pytest.mark.parametrize("settings", [SMALL, replace(SMALL, sharded=False), Settings()])
@pytest.mark.parametrize("scene", [plate, volume, collection])
def test_the_number_of_objects_is_known_beforehand(
    scene: Callable[[], SourceDataset], settings: Settings
) -> None:
    dataset = untracked(scene())
    plan = plan_dataset(dataset, settings)
    seen = estimate_plan(plan)
    storage = MemoryStorage()
    report = write_dataset(dataset, storage, settings, runner=ThreadRunner(1))
    keys = [key for key, _ in storage.list()]
    pixels = [key for key in keys if "/c/" in f"/{key}"]
    hidden = {key for key in keys if "-hidden-" in key}
    documents = len(set(keys) - set(pixels) - hidden)
    assert documents == seen.objects - plan.objects
    assert len(set(pixels) - hidden) <= plan.objects
    images = {key.partition("-hidden-")[0] + key.partition("-hidden-")[2][0] for key in hidden}
    assert len(hidden) <= len(images) * seen.objects_hidden
    assert (seen.images, seen.frames) == (report.images, report.frames)
    assert (seen.bytes_raw, seen.units) == (report.bytes_raw, report.units)
    outlined = [x for i in dataset.images for x in i.labels if isinstance(x, InstanceLayer)]
    assert seen.instances == sum(layer.count for layer in outlined)
    if outlined:
        assert seen.instances == report.instances


def test_version_2_has_more_documents() -> None:
    dataset = untracked(plate())
    settings = replace(SMALL, version="0.4")
    storage = MemoryStorage()
    write_dataset(dataset, storage, settings, runner=ThreadRunner(1))
    keys = [key for key, _ in storage.list() if "-hidden-" not in key]
    seen = estimate_plan(plan_dataset(dataset, settings))
    assert len(keys) <= seen.objects
    assert (
        seen.objects > estimate_plan(plan_dataset(dataset, replace(SMALL, sharded=False))).objects
    )
