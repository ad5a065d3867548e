"""How fast stores are read, side by side with other readers, in one run.

    python benchmarks/reading.py FOLDER [--quick]      (makes its data there; 5 GB, quick: 0.5 GB)

Readers take turns, round by round, so that whatever else the machine does meets all of them; of each
the best round counts. Everything is in the page cache. What is to be reached stands in brackets.

Ratios to tensorstore's processor time on 2 cores (a busy machine: the clock said the same within its
noise):

=============================================  ======  =====  ===========  ==========  =====
work                                           direct  dask   zarr-python  dask, zarr  zarrs
=============================================  ======  =====  ===========  ==========  =====
512² crops, our store, uint8                   0.99    1.58   1.41         2.35        1.16
512² crops, our store, uint16                  1.05    2.02   1.96         4.91        1.28
512² crops, shards 4096² of 512², zstd         1.06    1.69   1.56         3.34        1.18
512² crops, shards 4096² of 512², blosc-lz4    1.07    3.76   3.46         11.06       1.42
mean of 4.3 GB, 2 threads                              1.04                2.70
=============================================  ======  =====  ===========  ==========  =====

A crop through dask costs 1.1 ms before anything is read, whatever reads it. Compiled pipelines (zarrs)
are no faster than decoding by imagecodecs on two threads, so that none is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import tensorstore as ts
import zarr
from numpy.typing import NDArray

import ngff_bio
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.model import ArrayPixels, SourceDataset, SourceImage, SourcePlate, axes_from
from ngff_bio.storage import FolderStorage

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

THREADS = 2


Seconds = tuple[float, float]
"""Of the clock, and of all processors of this process: the latter tells on a busy machine."""


def best(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, Seconds]:
    """Time of the best round of each."""
    times: dict[str, list[Seconds]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            clock, processors = time.perf_counter(), time.process_time()
            call()
            times[name].append((time.perf_counter() - clock, time.process_time() - processors))
    return {
        name: (min(t[0] for t in found), min(t[1] for t in found)) for name, found in times.items()
    }


def show(
    title: str, found: dict[str, Seconds], base: str, goals: dict[str, str], unit: str
) -> None:
    factor = {"ms": 1e3, "s": 1}[unit]
    print(f"\n{title}\n  {'':26} {'time':>12} {'ratio':>7} {'processors':>14} {'ratio':>7}")
    for name, (clock, processors) in found.items():
        goal = f"  [{goals[name]}]" if name in goals else ""
        ratios = clock / found[base][0], processors / max(found[base][1], 1e-9)
        times = clock * factor, processors * factor
        print(
            f"  {name:26} {times[0]:9.2f} {unit:2} {ratios[0]:7.2f} "
            f"{times[1]:11.2f} {unit:2} {ratios[1]:7.2f}{goal}"
        )


def texture(shape: tuple[int, ...], dtype: str, seed: int = 0) -> NDArray[Any]:
    """Smooth hills with noise of a few grey values: compresses by a half, as images do."""
    rng = np.random.default_rng(seed)
    small = rng.random([n // 32 + 2 for n in shape])
    big = np.kron(small, np.ones((32, 32)))[: shape[0], : shape[1]]
    top = 200 if dtype == "uint8" else 4000
    return (big * top + rng.integers(0, top // 40, shape)).astype(dtype)


def image_of(pixels: Any, axes: str = "yx") -> SourceDataset:
    image = SourceImage("", "a", axes_from(axes), pixels)
    return SourceDataset("a", "a", "a", "image", (image,))


@dataclass(frozen=True)
class Planes:
    """A volume of one plane, rolled a little further for each next one."""

    plane: NDArray[Any]
    depth: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.depth, *self.plane.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.plane.dtype

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        return (1, 512, 512)

    def read(self, region: Any) -> NDArray[Any]:
        (z0, z1), *rest = region
        cut = tuple(slice(a, b) for a, b in rest)
        return np.stack([np.roll(self.plane, 17 * z, axis=0)[cut] for z in range(z0, z1)])


def opened_by_tensorstore(path: Path) -> Any:
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}}
    # No cache of chunks: every crop is decoded, as by the other readers.
    return ts.open(spec, read=True).result()


def crops(path: Path, array: str, count: int, rounds: int) -> dict[str, Seconds]:
    tensor = opened_by_tensorstore(path / array)
    plain = zarr.open_array(path / array, mode="r")
    own = ngff_bio.open(path)[""]
    direct, lazy = own.pixels.array(0), own.level(0)["image"].data
    over_zarr = da.from_zarr(plain)
    rng = np.random.default_rng(5)
    corners = [
        tuple(int(v) for v in rng.integers(0, np.array(plain.shape) - 512)) for _ in range(count)
    ]

    def each(read: Callable[[int, int], Any]) -> Callable[[], None]:
        def run() -> None:
            for y, x in corners:
                read(y, x)

        return run

    def cut(y: int, x: int) -> tuple[slice, slice]:
        return slice(y, y + 512), slice(x, x + 512)

    calls = {
        "tensorstore": each(lambda y, x: tensor[cut(y, x)].read().result()),
        "ngff_bio, direct": each(lambda y, x: direct[cut(y, x)]),
        "ngff_bio, dask": each(lambda y, x: lazy[cut(y, x)].compute()),
        "zarr-python": each(lambda y, x: plain[cut(y, x)]),
        "dask.from_zarr": each(lambda y, x: over_zarr[cut(y, x)].compute()),
    }
    try:
        import zarrs  # noqa: F401 - registers its pipeline with zarr

        with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
            compiled = zarr.open_array(path / array, mode="r")
        calls["zarr-python with zarrs"] = each(lambda y, x: compiled[cut(y, x)])
    except ImportError:
        pass
    y, x = corners[0]
    for read in (tensor[cut(y, x)].read().result(), direct[cut(y, x)], lazy[cut(y, x)].compute()):
        np.testing.assert_array_equal(read, plain[cut(y, x)])
    return {n: (a / count, b / count) for n, (a, b) in best(calls, rounds).items()}


def sharded(path: Path, pixels: NDArray[Any], codec: Any) -> None:
    """4096² shards of 512² chunks, as other writers make them, in an OME-Zarr group."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    array = group.create_array(
        "0",
        shape=pixels.shape,
        dtype=pixels.dtype,
        chunks=(512, 512),
        shards=(4096, 4096),
        compressors=[codec],
        dimension_names=["y", "x"],
    )
    array[...] = pixels
    steps = [{"type": "scale", "scale": [1, 1]}]
    axes = [{"name": n, "type": "space"} for n in "yx"]
    entry = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [entry]}


def means(path: Path, rounds: int) -> dict[str, Seconds]:
    tensor = opened_by_tensorstore(path / "0")
    block = tuple(tensor.chunk_layout.write_chunk.shape)

    def by_tensorstore() -> float:
        corners = np.ndindex(*[-(-n // b) for n, b in zip(tensor.shape, block, strict=True)])

        def total(corner: tuple[int, ...]) -> int:
            cut = tuple(
                slice(c * b, min((c + 1) * b, n))
                for c, b, n in zip(corner, block, tensor.shape, strict=True)
            )
            return int(tensor[cut].read().result().sum(dtype=np.uint64))

        with ThreadPoolExecutor(THREADS) as pool:
            return sum(pool.map(total, corners)) / float(np.prod(tensor.shape))

    image = ngff_bio.open(path)[""].level(0)["image"]
    over_zarr = da.from_zarr(zarr.open_array(path / "0", mode="r"))
    with dask.config.set(scheduler="threads", num_workers=THREADS):
        assert abs(float(image.mean().compute()) - by_tensorstore()) < 1e-6
        print(f"\n  tasks of the mean: {len(dict(image.mean().data.__dask_graph__()))} [< 2000]")
        calls = {
            "tensorstore": by_tensorstore,
            "ngff_bio, dask": lambda: image.mean().compute(),
            "dask.from_zarr": lambda: over_zarr.mean().compute(),
        }
        return best(calls, rounds)


def plate(path: Path) -> None:
    if not path.exists():
        pixels = ArrayPixels(np.ones((8, 8), np.uint8))
        images = tuple(
            SourceImage(f"{r}/{c}/{f}", f"{r}{c}", axes_from("yx"), pixels)
            for r in "ABCDEFGHIJ" for c in range(1, 26) for f in range(4)
        )  # fmt: skip
        whole = SourcePlate("", "p", tuple("ABCDEFGHIJ"), tuple(map(str, range(1, 26))))
        write_dataset(
            SourceDataset("p", "p", "p", "plates", images, (whole,)),
            FolderStorage(path),
            Settings(),
        )
    found = best({"open": lambda: len(ngff_bio.open(path))}, 5)
    print(f"\nopen a plate of 1,000 fields: {found['open'][0]:.3f} s [0.3]")


def training(folder: Path, rounds: int) -> None:
    """Patches of a COCO collection against a loader that reads TIFF and draws polygons."""
    try:
        import torch
    except ImportError:
        print("\n256 training patches: skipped, torch is not installed")
        return
    from loader_of_tiff import TiffPatches
    from makers import make_livecell
    from makers.livecell_plan import LiveCellSize

    from ngff_bio.reader.analysis.torch import TorchPatches, collate

    kinds = ("A172", "SkBr3")
    cells = {"A172": 143.0, "SkBr3": 290.0}
    source = folder / "livecell-source"
    if not source.exists():
        shape = LiveCellSize((520, 704), dict.fromkeys(kinds, 2), dict.fromkeys(kinds, 12), cells)
        make_livecell(source, size=shape, cell_types=kinds)
    store = folder / "livecell.zarr"
    if not store.exists():
        ngff_bio.convert(next(source.iterdir()), store)
    dataset = ngff_bio.open(store)
    own = ngff_bio.patches(dataset, 256, labels="cell", count=256, split="*coco_train")
    other = TiffPatches(next(source.iterdir()), "livecell_coco_train.json", 256, count=256)
    options = {"batch_size": 8, "num_workers": 2, "collate_fn": collate}
    own_loader = torch.utils.data.DataLoader(TorchPatches(own, ("cell",)), **options)
    other_loader = torch.utils.data.DataLoader(other, **options)
    calls: dict[str, Callable[[], object]] = {
        "TIFF and pycocotools": lambda: [None for _ in other_loader],
        "ngff_bio.patches": lambda: [None for _ in own_loader],
    }
    found = best(calls, rounds)
    show("256 training patches of 256², 2 workers", found, "TIFF and pycocotools",
         {"ngff_bio.patches": "0.50"}, "s")  # fmt: skip


def startup(path: Path) -> None:
    def run(code: str) -> float:
        begin = "import time; t = time.perf_counter(); "
        text = f"{begin}{code}; print(time.perf_counter() - t)"
        found = [
            float(subprocess.check_output([sys.executable, "-c", text], env=os.environ))
            for _ in range(5)
        ]
        return min(found)

    print(f"\nimport ngff_bio: {run('import ngff_bio'):.3f} s [0.15]")
    after = "import ngff_bio.reader; t = time.perf_counter(); "
    after += f"image = ngff_bio.open({str(path)!r})['']; image.shape"
    print(f"open a local image, after imports: {run(after):.3f} s [0.15]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="less data, fewer rounds")
    parser.add_argument("--only", default="", help="crops, mean, plate, training, start")
    options = parser.parse_args()
    folder, rounds = options.folder, 3 if options.quick else 7
    folder.mkdir(parents=True, exist_ok=True)
    only = options.only.split(",") if options.only else []

    def wanted(name: str) -> bool:
        return not only or name in only

    goals = {"ngff_bio, direct": "1.15", "ngff_bio, dask": "2.0"}
    for dtype in ("uint8", "uint16"):
        path = folder / f"own-{dtype}.zarr"
        if not path.exists():
            write_dataset(
                image_of(ArrayPixels(texture((9122, 9163), dtype))), FolderStorage(path), Settings()
            )
        if wanted("crops"):
            kept = json.loads((path / "0" / "zarr.json").read_text())["chunk_grid"]["configuration"]
            title = f"random 512² crops of 9122 x 9163 {dtype}, our store, {kept['chunk_shape']}"
            show(title, crops(path, "0", 40, rounds), "tensorstore", goals, "ms")
    goals = {"ngff_bio, direct": "1.25"}
    from zarr.codecs import BloscCodec, ZstdCodec

    codecs = {"zstd": ZstdCodec(level=3), "blosc-lz4": BloscCodec(cname="lz4", shuffle="shuffle")}
    for name, codec in codecs.items():
        path = folder / f"sharded-{name}.zarr"
        if not path.exists():
            sharded(path, texture((9122, 9163), "uint16"), codec)
        if wanted("crops"):
            title = f"the same, uint16 in shards of 4096² with chunks of 512², {name}"
            show(title, crops(path, "0", 40, rounds), "tensorstore", goals, "ms")
    if wanted("mean"):
        depth = 8 if options.quick else 64
        path = folder / f"volume-{depth}.zarr"
        if not path.exists():
            planes = Planes(texture((5760, 5824), "uint16"), depth)
            write_dataset(image_of(planes, "zyx"), FolderStorage(path), Settings(levels=1))
        size = depth * 5760 * 5824 * 2 / 1e9
        title = f"mean of a volume of {size:.1f} GB, {THREADS} threads"
        found = means(path, 2 if options.quick else 3)
        show(title, found, "tensorstore", {"ngff_bio, dask": "1.2"}, "s")
    if wanted("plate"):
        plate(folder / "plate.zarr")
    if wanted("training"):
        training(folder, 2)
    if wanted("start"):
        startup(folder / "own-uint8.zarr")


if __name__ == "__main__":
    main()
