"""Patches: pixels, labels, boxes and classes fit each other; the same seed gives the same patches."""

from __future__ import annotations

import importlib
import multiprocessing
import pickle
import sys
import types
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from patch_digest import digest
from skimage.measure import regionprops
from written_stores import CLASSES, example_pixels, our_image, our_plate

import ngff_bio
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.errors import ArgumentError, DependencyError, NameNotFoundError
from ngff_bio.model import (
    ArrayPixels,
    Box,
    Instance,
    InstanceLayer,
    SourceDataset,
    SourceImage,
    VolumeLayer,
    axes_from,
)
from ngff_bio.reader.analysis.patches import Patch, training_arrays
from ngff_bio.storage import FolderStorage, MemoryStorage


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> ngff_bio.reader.Dataset:
    path = tmp_path_factory.mktemp("patches") / "p"
    our_plate(FolderStorage(path))
    return ngff_bio.open(path)


def check(patch: Patch, dataset: Any, size: tuple[int, int]) -> None:
    image = dataset[patch.path]
    t, y, x = patch.at["t"], patch.at["y"], patch.at["x"]
    assert patch.image.shape == size
    whole = image.pixels.array(0)[t]
    cut = whole[y : y + size[0], x : x + size[1]]
    np.testing.assert_array_equal(patch.image[: cut.shape[0], : cut.shape[1]], cut)
    label = image.label("cell").array(0)[t][y : y + size[0], x : x + size[1]]
    np.testing.assert_array_equal(patch.labels["cell"][: cut.shape[0], : cut.shape[1]], label)
    found = patch.objects["cell"]
    expected = {
        r.label: (r.bbox[1], r.bbox[0], r.bbox[3], r.bbox[2])
        for r in regionprops(patch.labels["cell"])
    }
    assert (
        dict(zip(found.values.tolist(), map(tuple, found.boxes.tolist()), strict=True)) == expected
    )
    for value, name in zip(found.values, found.classes, strict=True):
        assert name == CLASSES[(int(value) - 1) % 5 % 2]


def test_random_patches_are_pieces_of_the_images(plate: ngff_bio.reader.Dataset) -> None:
    made = ngff_bio.patches(plate, (40, 48), labels="cell", count=50, seed=3)
    assert len(made) == 50
    for patch in made:
        check(patch, plate, (40, 48))
    seen = Counter((p.path, p.at["t"]) for p in made)
    assert len(seen) > 8
    assert len({(p.at["y"], p.at["x"]) for p in made}) > 40


def test_the_same_seed_gives_the_same_patches_and_another_epoch_others(
    plate: ngff_bio.reader.Dataset,
) -> None:
    first = ngff_bio.patches(plate, 32, labels="cell", seed=7)
    again = ngff_bio.patches(plate, 32, labels="cell", seed=7)
    assert [p.at for p in first] == [p.at for p in again]
    assert [p.at for p in ngff_bio.patches(plate, 32, seed=8)] != [p.at for p in first]
    again.set_epoch(1)
    assert [p.at for p in first] != [p.at for p in again]
    again.set_epoch(0)
    assert first[-1].at == again[len(again) - 1].at
    assert [p.at for p in first[2:5]] == [p.at for p in first][2:5]
    with pytest.raises(IndexError):
        first[len(first)]


def test_a_split_gives_its_frames_and_no_pixels_beyond_their_true_size(
    plate: ngff_bio.reader.Dataset,
) -> None:
    made = ngff_bio.patches(plate, 30, labels="cell", split="test", count=60)
    assert {p.at["t"] for p in made} == {2}
    assert max(p.at["y"] for p in made) <= 60
    assert max(p.at["x"] for p in made) <= 80
    with pytest.raises(ArgumentError, match="'valid'"):
        ngff_bio.patches(plate, 30, split="valid")


def test_a_grid_covers_every_pixel_and_ends_with_the_image(
    plate: ngff_bio.reader.Dataset,
) -> None:
    made = ngff_bio.patches(plate, (40, 50), mode="grid", labels="cell", images=["B/7/1"])
    assert len(made) == 3 * 3 * 3
    covered = np.zeros((3, 96, 120), bool)
    for patch in made:
        check(patch, plate, (40, 50))
        y, x = patch.at["y"], patch.at["x"]
        covered[patch.at["t"], y : y + 40, x : x + 50] = True
    assert covered[:2].all()
    assert covered[2, :90, :110].all()
    assert not covered[2, 90:].any()
    dense = ngff_bio.patches(plate, (40, 50), mode="grid", stride=10, images=["B/7/1"])
    assert len(dense) == 2 * 7 * 8 + 6 * 7


def test_a_patch_larger_than_an_image_is_filled_up(plate: ngff_bio.reader.Dataset) -> None:
    patch = ngff_bio.patches(plate, 200, labels="cell", count=1)[0]
    check(patch, plate, (200, 200))
    assert not patch.image[96:].any()
    assert patch.at["y"] == patch.at["x"] == 0


def test_channels_come_first_and_a_coarse_level_is_cut() -> None:
    storage = MemoryStorage()
    our_image(storage)
    dataset = ngff_bio.open(storage)
    patch = ngff_bio.patches(dataset, 16, level=1, count=1)[0]
    assert patch.image.shape == (2, 16, 16)
    y, x = patch.at["y"], patch.at["x"]
    level = dataset[""].level(1)
    np.testing.assert_array_equal(patch.image, level["image"][:, y : y + 16, x : x + 16])
    np.testing.assert_array_equal(patch.labels["cell"], level["cell"][y : y + 16, x : x + 16])


def test_volumes_are_cut_in_depth_and_semantic_labels_have_no_objects() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3, (12, 40, 40)).astype(np.uint8)
    layers = (
        VolumeLayer("classes", ArrayPixels(values), "semantic", 2),
        VolumeLayer("cell", ArrayPixels(values), "instance", 2),
    )
    pixels = example_pixels(0, (12, 40, 40))
    image = SourceImage("", "a", axes_from("zyx"), ArrayPixels(pixels), layers)
    storage = MemoryStorage()
    write_dataset(SourceDataset("a", "a", "a", "image", (image,)), storage, Settings())
    dataset = ngff_bio.open(storage)
    patch = ngff_bio.patches(dataset, (5, 8, 9), count=1)[0]
    z, y, x = (patch.at[a] for a in "zyx")
    cut = (slice(z, z + 5), slice(y, y + 8), slice(x, x + 9))
    np.testing.assert_array_equal(patch.image, pixels[cut])
    np.testing.assert_array_equal(patch.labels["classes"], values[cut])
    assert list(patch.objects) == ["cell"]
    expected = [[b[2], b[1], b[0], b[5], b[4], b[3]] for b in
                (r.bbox for r in regionprops(values[cut]))]  # fmt: skip
    assert patch.objects["cell"].boxes.tolist() == expected
    plane = ngff_bio.patches(dataset, 8, count=30)
    assert len({p.at["z"] for p in plane}) > 6
    with pytest.raises(ArgumentError, match="invalid size"):
        ngff_bio.patches(dataset, (1, 2, 3, 4))


def test_what_is_not_there_is_refused_before_training(plate: ngff_bio.reader.Dataset) -> None:
    with pytest.raises(NameNotFoundError, match="nucleus"):
        ngff_bio.patches(plate, 32, labels="nucleus")
    with pytest.raises(ArgumentError, match="without axis z"):
        ngff_bio.patches(plate, (3, 32, 32))


def test_labels_that_not_all_images_have_are_cut_if_they_are_named(tmp_path: Path) -> None:
    our_plate(FolderStorage(tmp_path / "p"))
    dataset = ngff_bio.open(tmp_path / "p")
    first = dataset[next(iter(dataset))]
    first.write_labels("mine", np.ones(first.shape, "u1"))
    assert len(dataset) > 1
    assert [*ngff_bio.patches(dataset, 32)[0].labels] == ["cell"]
    with pytest.raises(NameNotFoundError, match="mine"):
        ngff_bio.patches(dataset, 32, labels=["cell", "mine"])


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_workers_that_fork_or_spawn_give_the_same_patches(
    plate: ngff_bio.reader.Dataset, way: str
) -> None:
    if way not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system does not {way}")
    made = ngff_bio.patches(plate, 32, labels="cell", seed=1, count=8)
    expected = [digest(made, i) for i in range(8)]  # threads are running now
    with ProcessPoolExecutor(1, multiprocessing.get_context(way)) as pool:
        assert list(pool.map(digest, [made] * 8, range(8))) == expected


def test_pickled_patches_are_small(plate: ngff_bio.reader.Dataset) -> None:
    made = ngff_bio.patches(plate, 32, labels="cell")
    _ = made[0]
    assert len(pickle.dumps(made)) < 200_000


def test_training_arrays_are_scaled_and_classes_are_numbered(
    plate: ngff_bio.reader.Dataset,
) -> None:
    patch = ngff_bio.patches(plate, 32, labels="cell", count=6, seed=2)[1]
    item = training_arrays(patch, 2, CLASSES)
    assert item["image"].dtype == np.float32
    assert item["image"].shape == (1, 32, 32)
    np.testing.assert_allclose(item["image"][0] * 65535, patch.image, rtol=1e-5)
    assert item["labels"]["cell"].dtype == np.int64
    np.testing.assert_array_equal(item["labels"]["cell"], patch.labels["cell"])
    found, numbers = patch.objects["cell"], item["objects"]["cell"]["classes"]
    assert [CLASSES[i] for i in numbers] == list(found.classes)
    none = training_arrays(patch, 2, ())["objects"]["cell"]["classes"]
    assert none.tolist() == [-1] * len(found.values)


@dataclass(frozen=True)
class _Given:
    """Instances of an image of one frame."""

    instances: tuple[Instance, ...]

    def read(self, t: int) -> list[Instance]:
        return list(self.instances)

    def source_parts(self) -> Any:
        return (None,)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """The names of torch that TorchPatches uses, over NumPy.

    CPU wheels of torch are about 200 MB, too much for every run of the tests; this checks all lines
    of the wrapper, and the test below checks it against torch where that is installed.
    """
    torch, utils, data = (
        types.ModuleType(name) for name in ("torch", "torch.utils", "torch.utils.data")
    )
    torch.from_numpy, torch.stack = np.asarray, np.stack  # type: ignore[attr-defined]
    data.Dataset = type("Dataset", (), {"__class_getitem__": classmethod(lambda c, _: c)})  # type: ignore[attr-defined]
    data.IterableDataset = data.Dataset  # type: ignore[attr-defined]
    data.get_worker_info = lambda: None  # type: ignore[attr-defined]
    torch.utils, utils.data = utils, data  # type: ignore[attr-defined]
    for module in (torch, utils, data):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.delitem(sys.modules, "ngff_bio.reader.analysis.torch", raising=False)
    yield torch
    sys.modules.pop("ngff_bio.reader.analysis.torch", None)


def test_the_torch_dataset_gives_items_and_batches(
    plate: ngff_bio.reader.Dataset, stand_in: types.ModuleType
) -> None:
    from ngff_bio.reader.analysis.torch import TorchPatches, collate

    made = ngff_bio.patches(plate, 32, labels="cell", count=6, seed=2)
    data = TorchPatches(made, CLASSES)
    assert len(data) == 6
    items = [data[i] for i in range(3)]
    for i, item in enumerate(items):
        expected = training_arrays(made[i], 2, CLASSES)
        np.testing.assert_array_equal(item["image"], expected["image"])
        np.testing.assert_array_equal(item["labels"]["cell"], expected["labels"]["cell"])
    batch = collate(items)
    assert batch["image"].shape == (3, 1, 32, 32)
    assert batch["labels"]["cell"].shape == (3, 32, 32)
    assert batch["objects"][2]["cell"]["boxes"].shape[1] == 4
    data.set_epoch(1)
    assert not np.array_equal(data[0]["image"], items[0]["image"])


def test_workers_and_ranks_share_a_stream_of_patches(
    plate: ngff_bio.reader.Dataset, stand_in: types.ModuleType
) -> None:
    from ngff_bio.reader.analysis.torch import IterablePatches

    made = ngff_bio.patches(plate, 32, labels="cell", count=11, seed=2)
    whole = [item["image"].tobytes() for item in IterablePatches(made)]
    plain = [training_arrays(p, 2)["image"].tobytes() for p in made]  # type: ignore[union-attr]
    assert sorted(whole) == sorted(plain)
    assert whole != plain, "shuffled"
    assert [i["image"].tobytes() for i in IterablePatches(made, shuffle=False)] == plain
    parts = []
    for rank, worker in ((0, 0), (0, 1), (1, 0), (1, 1)):
        info = types.SimpleNamespace(id=worker, num_workers=2)
        stand_in.utils.data.get_worker_info = lambda info=info: info
        parts += [i["image"].tobytes() for i in IterablePatches(made, rank=rank, ranks=2)]
    assert sorted(parts) == sorted(whole), "each patch once"
    stream = IterablePatches(made)
    stream.set_epoch(1)
    stand_in.utils.data.get_worker_info = lambda: None
    assert [item["image"].tobytes() for item in stream] != whole


def test_balanced_patches_contain_each_class_alike() -> None:
    storage = MemoryStorage()
    boxes = [("common", 3 * i, 3 * i) for i in range(30)] + [("rare", 40, 10)]
    instances = tuple(
        Instance(n + 1, Box(x, y, x + 2, y + 2), category=name, box=(float(x), float(y), 2.0, 2.0))
        for n, (name, y, x) in enumerate(boxes)
    )
    layer = InstanceLayer("cell", _Given(instances), len(instances), len(instances))
    image = SourceImage(
        "", "i", axes_from("yx"), ArrayPixels(np.zeros((96, 96), "u1")), labels=(layer,)
    )
    write_dataset(SourceDataset("a", "a", "a", "image", (image,)), storage)
    made = ngff_bio.patches(ngff_bio.open(storage), 8, mode="balanced", count=200, seed=1)
    rare = [p for p in made if p.at["y"] <= 40 < p.at["y"] + 8 and p.at["x"] <= 11 < p.at["x"] + 8]
    assert 75 <= len(rare) <= 125
    assert len({(p.at["y"], p.at["x"]) for p in rare}) > 10, "at different places in the patch"
    assert all(p.objects["cell"].values.size for p in made)
    again = ngff_bio.patches(ngff_bio.open(storage), 8, mode="balanced", count=200, seed=1)
    assert [p.at for p in again] == [p.at for p in made]


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "ngff_bio.reader.analysis.torch", raising=False)
    with pytest.raises(DependencyError, match=r"pip install 'ngff-bio\[torch\]'"):
        importlib.import_module("ngff_bio.reader.analysis.torch")


def test_the_benchmark_skips_training_without_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    importlib.import_module("reading").training(tmp_path, 1)
    assert "skipped, torch is not installed" in capsys.readouterr().out


def test_torch_gets_tensors(plate: ngff_bio.reader.Dataset) -> None:
    torch = pytest.importorskip("torch")
    from ngff_bio.reader.analysis.torch import TorchPatches, collate

    made = ngff_bio.patches(plate, 32, labels="cell", count=6, seed=2)
    data = TorchPatches(made, CLASSES)
    item = data[1]
    np.testing.assert_allclose(item["image"][0].numpy() * 65535, made[1].image, rtol=1e-5)
    assert item["labels"]["cell"].tolist() == made[1].labels["cell"].tolist()
    names = [CLASSES[i] for i in item["objects"]["cell"]["classes"].tolist()]
    assert names == list(made[1].objects["cell"].classes)
    loader = torch.utils.data.DataLoader(data, batch_size=3, num_workers=1, collate_fn=collate)
    batches = list(loader)
    assert [b["image"].shape for b in batches] == [(3, 1, 32, 32)] * 2
    assert torch.equal(batches[0]["image"][1], item["image"])
