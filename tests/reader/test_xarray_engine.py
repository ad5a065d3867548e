"""``engine="ngff-bio"``, and dask arrays that are small to describe and open their own stores."""

from __future__ import annotations

import pickle
from importlib.metadata import entry_points
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
import zarr
from written_stores import example_pixels, our_image, our_plate

import ngff_bio
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.errors import ArgumentError, NgffBioError
from ngff_bio.model import ArrayPixels, SourceDataset, SourceImage, axes_from
from ngff_bio.reader.xarray.backend import NgffBioBackend
from ngff_bio.reader.xarray.blocks import block_shape
from ngff_bio.reader.xarray.coordinates import PixelIndex
from ngff_bio.storage import FolderStorage, MemoryStorage

ENGINE = NgffBioBackend


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("engine") / "plate.zarr"
    our_plate(FolderStorage(path))
    return path


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("engine") / "colours.ome.zarr"
    our_image(FolderStorage(path))
    return path


def test_the_engine_is_registered() -> None:
    found = {e.name: e.value for e in entry_points(group="xarray.backends")}
    assert found["ngff-bio"] == "ngff_bio.reader.xarray.backend:NgffBioBackend"


def test_a_level_is_opened_lazily_without_dask(colours: Path) -> None:
    with xr.open_dataset(colours, engine=ENGINE, level=1) as level:
        assert level.attrs["level"] == 1
        assert list(level) == ["image", "cell", "cell-hidden-1"]
        assert level["image"].chunks is None
        assert not level["image"].variable._in_memory
        assert isinstance(level.xindexes["x"], PixelIndex)
        cut = level.isel(x=slice(3, 9), y=[4, 2, 30], c=1)
        whole = ngff_bio.open(colours)[""].pixels.array(1)[...]
        np.testing.assert_array_equal(cut["image"].values, whole[1][[4, 2, 30], 3:9])
        points = level["image"].isel(
            x=xr.DataArray([1, 5], dims="p"), y=xr.DataArray([2, 7], dims="p")
        )
        np.testing.assert_array_equal(points.values, whole[:, [2, 7], [1, 5]])


def test_chunks_of_xarray_follow_the_store(colours: Path) -> None:
    level = xr.open_dataset(colours, engine=ENGINE, chunks={})
    assert level["image"].chunksizes["x"] == (120,)
    cut = xr.open_dataset(colours, engine=ENGINE, chunks={"y": 32, "x": 32})
    assert cut["image"].chunksizes["y"] == (32, 32, 32)
    np.testing.assert_array_equal(cut["image"].values, example_pixels())


def test_all_images_are_one_tree(plate: Path) -> None:
    tree = xr.open_datatree(plate, engine=ENGINE)
    assert tree["B/7/1/0"].attrs["path"] == "B/7/1"
    assert set(tree["C/7"].children) == {"0", "1"}
    assert set(tree["C/7/0"].children) == {"0", "1"}
    np.testing.assert_array_equal(tree["C/7/0/0"]["image"].values, example_pixels(2, (3, 96, 120)))
    part = xr.open_datatree(plate, engine=ENGINE, group="C/7", chunks={})
    assert set(part.children) == {"0", "1"}
    assert part["0/1"]["image"].chunks is not None


def test_the_tree_of_an_image_on_a_plate_has_a_node_for_each_level(plate: Path) -> None:
    dataset = ngff_bio.open(plate)
    tree = dataset["C/7/1"].to_datatree()
    assert tree.name == "1"
    assert set(tree.children) == {"0", "1"}
    assert tree["0"].attrs["path"] == "C/7/1"
    assert dataset.to_datatree()["C/7/1/0"].to_dataset().equals(tree["0"].to_dataset())


def test_a_tree_takes_label_images_of_any_name(tmp_path: Path) -> None:
    names = ("y", "image", "labels_y", "nuclei/round")
    level = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}
    axes = [{"name": name, "type": "space"} for name in "yx"]
    ome = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}
    root = zarr.create_group(tmp_path / "a.zarr", attributes={"ome": ome})
    groups = {name: root.create_group(f"labels/{name}", attributes={"ome": ome}) for name in names}
    root["labels"].attrs["ome"] = {"version": "0.5", "labels": names}
    for value, group in enumerate((root, *groups.values())):
        group["0"] = np.full((4, 5), value, np.uint8)
    tree = ngff_bio.open(tmp_path / "a.zarr").to_datatree()["0"]
    values = {str(name): int(tree[str(name)][0, 0]) for name in tree.data_vars}
    expected = {"labels_y_": 1, "labels_image": 2, "labels_y": 3, "nuclei_round": 4}
    assert values == {"image": 0, **expected}


def test_one_image_of_many_is_named_by_group(plate: Path) -> None:
    with pytest.raises(ArgumentError, match="4 images"):
        xr.open_dataset(plate, engine=ENGINE)
    by_level = xr.open_dataset(plate, engine=ENGINE, group="C/7/0/1")
    assert by_level.attrs == {"path": "C/7/0", "level": 1, "name": "C/7 0"}
    assert "cell" not in xr.open_dataset(
        plate, engine=ENGINE, group="C/7/0", drop_variables=["cell"]
    )
    with pytest.raises(NgffBioError, match="no image 'C/8/0'"):
        xr.open_dataset(plate, engine=ENGINE, group="C/8/0")


def test_stores_are_recognised(plate: Path, colours: Path, tmp_path: Path) -> None:
    guess = NgffBioBackend().guess_can_open
    assert guess(plate)
    assert guess(str(colours))
    assert guess("s3://bucket/a.ome.zarr")
    assert guess("a.ozx")
    assert not guess(tmp_path)
    assert not guess("https://host/data.nc")
    assert not guess(b"bytes")
    (tmp_path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    assert not guess(tmp_path)


def test_a_mean_over_four_gigabytes_is_few_tasks() -> None:
    """By metadata alone: nothing is written, nothing is read."""
    nodes = ngff_bio.reader.open(_only_metadata((64, 8192, 4096), "uint16"))
    image = nodes[""].level(0)["image"]
    assert image.nbytes == 64 * 8192 * 4096 * 2
    assert len(dict(image.mean().__dask_graph__())) < 2000
    assert image.data.chunksize == (1, 4096, 4096)
    crop = image.isel(z=3, y=slice(100, 612), x=slice(3000, 3512))
    (optimized,) = dask.optimize(crop.data)
    assert len(dict(optimized.__dask_graph__())) < 10


def _only_metadata(shape: tuple[int, ...], dtype: str) -> MemoryStorage:
    storage = MemoryStorage()
    small = SourceImage("", "a", axes_from("zyx"), ArrayPixels(np.ones((1, 2, 2), dtype)))
    write_dataset(SourceDataset("a", "a", "a", "image", (small,)), storage, Settings())
    import json

    root = json.loads(storage.objects["zarr.json"])
    array = root["consolidated_metadata"]["metadata"]["0"]
    array["shape"] = list(shape)
    array["chunk_grid"]["configuration"]["chunk_shape"] = [1, 4096, 4096]
    storage.put("zarr.json", json.dumps(root).encode())
    return storage


@pytest.mark.parametrize(
    ("stored", "inner", "chunks", "expected"),
    [
        ((1, 512, 512), (1, 512, 512), "auto", (4, 4096, 1024)),
        ((1, 4096, 4096), (1, 512, 512), "auto", (1, 4096, 4096)),
        ((64, 4096, 4096), (1, 512, 512), "auto", (1, 4096, 4096)),
        ((1, 4096, 4096), (1, 512, 512), "8 MiB", (1, 1024, 4096)),
        ((1, 4096, 4096), (1, 512, 512), 1 << 20, (1, 512, 1024)),
        ((1, 4096, 4096), (1, 512, 512), {}, (1, 4096, 4096)),
        ((1, 4096, 4096), (1, 512, 512), {"x": 100, "z": -1}, (64, 4096, 100)),
        ((1, 4096, 4096), (1, 512, 512), (2, 3, 99999), (2, 3, 4096)),
    ],
)
def test_chunks_are_whole_objects_of_the_wanted_size(
    stored: tuple[int, ...], inner: tuple[int, ...], chunks: object, expected: tuple[int, ...]
) -> None:
    shape = (64, 8192, 4096)
    found = block_shape(shape, stored, inner, 2, ("z", "y", "x"), chunks)  # type: ignore[arg-type]
    if chunks == "auto":
        assert 8 << 20 <= np.prod(found) * 2 <= 64 << 20
        for f, s, i, n in zip(found, stored, inner, shape, strict=True):
            assert f % s == 0 or s % f == 0 or f == n
            assert f % i == 0
    else:
        assert found == expected


def test_chunks_that_make_no_sense_are_refused() -> None:
    for chunks in ("many", -5, (1, 2)):
        with pytest.raises(ArgumentError):
            block_shape((8, 8, 8), (4, 4, 4), (4, 4, 4), 1, "zyx", chunks)  # type: ignore[arg-type]


def test_what_is_sent_to_workers_is_small_and_opens_its_own_store(plate: Path) -> None:
    level = ngff_bio.open(plate)["C/7/1"].level(0)
    data = pickle.dumps(level["image"].data)
    assert len(data) < 10_000
    np.testing.assert_array_equal(pickle.loads(data).compute(), example_pixels(3, (3, 96, 120)))
    image = pickle.dumps(ngff_bio.open(plate)["C/7/1"])
    assert len(image) < 30_000
    assert pickle.loads(image).level(0).equals(level)


def test_processes_of_a_cluster_compute_on_it(plate: Path) -> None:
    distributed = pytest.importorskip("distributed")
    level = ngff_bio.open(plate)["C/7/1"].level(0, chunks={"y": 40})
    expected = ngff_bio.measure(plate)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
    ):
        assert float(level["image"].mean().compute()) == example_pixels(3, (3, 96, 120)).mean()
        assert ngff_bio.measure(plate).equals(expected)
