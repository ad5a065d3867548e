"""Flip single bits in every kind of object of a store, and read it in every public way.

    python tests/engine/flip_runs.py --flips 120        # in each kind of store

Of a chunk, no other pixel is read: what reads it ends with an error that names the object, or with
equal values. Of any other object, other values can be read, and `verify` finds the object. Chunks of
0.4 have no checksum unless their codec has one: wrong pixels there are counted, and are no failures.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "checks"))
sys.path.insert(0, str(Path(__file__).parent))

import tifffile
from full_store import SMALL, full_dataset
from references import contents

import ngff_bio
from ngff_bio.copying.rewrite import convert_store
from ngff_bio.engine import Settings, ThreadRunner, parse_codec, write_dataset
from ngff_bio.errors import NgffBioError
from ngff_bio.storage import MemoryStorage, Storage, storage_at
from ngff_bio.viewing.preview import draw_preview

STORES: dict[str, dict[str, Any]] = {
    "0.4 zstd": {"version": "0.4", "codec": parse_codec("zstd-1")},
    "0.4 blosc": {"version": "0.4", "codec": parse_codec("blosc-zstd-5-shuffle")},
    "0.5": {},
    "0.5 not sharded": {"sharded": False},
    "0.5 zip": {},
    "0.6": {"version": "0.6"},
}


def make(name: str, folder: Path) -> dict[str, bytes]:
    """Objects of a store by key, those of a zip as one."""
    storage = MemoryStorage()
    given = {"chunk": SMALL.chunk, "shard_bytes": SMALL.shard_bytes, "levels": 2}
    write_dataset(full_dataset(), storage, Settings(**{**given, **STORES[name]}))
    if not name.endswith("zip"):
        return storage.objects
    ngff_bio.copy(storage, folder / "s.zip")
    return {"s.zip": (folder / "s.zip").read_bytes()}


def placed(objects: dict[str, bytes], folder: Path) -> Storage:
    """Where it is read."""
    if "s.zip" not in objects:
        return MemoryStorage(dict(objects))
    (folder / "s.zip").write_bytes(objects["s.zip"])
    return storage_at(folder / "s.zip")


def pixels(storage: Storage, folder: Path) -> Iterator[Any]:
    for path, image in ngff_bio.open(storage).items():
        for number in range(len(image.pixels)):
            yield path, number, image.pixels.array(number)[:].tobytes()
            for name in image.labels:
                yield path, number, name, image.label(name).array(number)[:].tobytes()


def arrays(storage: Storage, folder: Path) -> Iterator[Any]:
    for path, image in ngff_bio.open(storage).items():
        for number in range(len(image.pixels)):
            level = image.level(number)
            yield from ((path, n, v.compute().values.tobytes()) for n, v in level.items())


def tables(storage: Storage, folder: Path) -> Iterator[Any]:
    opened = ngff_bio.open(storage)
    yield opened.annotations().to_csv(), str(opened.attributes)
    yield from ((i.annotations(n).to_csv(), i.axes) for i in opened.values() for n in i.tables)


def patches(storage: Storage, folder: Path) -> Iterator[Any]:
    opened = ngff_bio.open(storage)
    found = ngff_bio.patches(opened, 24, images=["movie"], mode="random", count=6)
    for patch in found:
        yield patch.image.tobytes(), [(k, v.tobytes()) for k, v in patch.labels.items()]


def measured(storage: Storage, folder: Path) -> Iterator[Any]:
    yield ngff_bio.measure(storage, images=["movie", "volume"]).to_csv()


def mapped(storage: Storage, folder: Path) -> Iterator[Any]:
    yield ngff_bio.map_images(storage, lambda p: float(p.image.sum()), workers=1).table.to_csv()


def exported(format: str) -> Callable[[Storage, Path], Iterator[Any]]:
    def run(storage: Storage, folder: Path) -> Iterator[Any]:
        with tempfile.TemporaryDirectory(dir=folder) as out:
            ngff_bio.export(storage, Path(out, "x"), to=format, image="movie")
            for file in sorted(filter(Path.is_file, Path(out).rglob("*"))):
                tiff = file.suffix == ".tif"
                yield tifffile.imread(file).tobytes() if tiff else (file.name, file.read_bytes())

    return run


def copied(storage: Storage, folder: Path) -> Iterator[Any]:
    target = MemoryStorage()
    ngff_bio.copy(storage, target, workers=1)
    yield contents(target)


def converted(storage: Storage, folder: Path) -> Iterator[Any]:
    target = MemoryStorage(url="memory:new")
    convert_store(storage, target, Settings(levels=2, chunk=(32, 32)), runner=ThreadRunner(1))
    yield from pixels(target, folder)


def upgraded(storage: Storage, folder: Path) -> Iterator[Any]:
    if isinstance(storage, MemoryStorage):
        ngff_bio.upgrade(storage)
    yield from pixels(storage, folder)


def previewed(storage: Storage, folder: Path) -> Iterator[Any]:
    yield draw_preview(storage, image="movie", width=200).tobytes()


def validated(storage: Storage, folder: Path) -> Iterator[Any]:
    list(ngff_bio.validate(storage))
    yield from ()


WAYS: dict[str, Callable[[Storage, Path], Iterator[Any]]] = {
    "pixels": pixels,
    "dask": arrays,
    "tables": tables,
    "patches": patches,
    "measure": measured,
    "map_images": mapped,
    "export coco": exported("coco"),
    "export ome-tiff": exported("ome-tiff"),
    "copy": copied,
    "convert": converted,
    "upgrade": upgraded,
    "preview": previewed,
    "validate": validated,
}


def digest(way: str, storage: Storage, folder: Path) -> str:
    """Of all that is read."""
    found = hashlib.sha256()
    for value in WAYS[way](storage, folder):
        found.update(repr(value).encode())
    return found.hexdigest()


def kind_of(key: str) -> str:
    """Kind of an object, by its key."""
    name = key.rpartition("/")[2]
    if name[-1:].isdigit():
        return "chunks of tracks" if "/tracks/" in key else "chunks"
    if key in ("zarr.json", ".zmetadata"):
        return "consolidated metadata"
    return {"s.zip": "zip", "manifest.parquet": "manifest", "manifest.crc32c": "manifest"}.get(
        name, {"parquet": "tables", "xml": "OME-XML"}.get(name.rpartition(".")[2], "metadata")
    )


class Wrong(Exception):
    """An outcome that must not be."""


def found_by_verify(storage: Storage, key: str) -> bool:
    """Whether the object is named."""
    try:
        return any(key in (d.path, "s.zip") for d in ngff_bio.verify(storage).differences)
    except NgffBioError:
        return True


def flip(name: str, objects: dict[str, bytes], way: str, seed: int, folder: Path) -> str:
    """Flip a bit, and read; returns the kind of the object and the outcome."""
    rng = random.Random(f"{name} {way} {seed}")
    kinds: dict[str, list[str]] = {}
    for key in sorted(objects):
        kinds.setdefault(kind_of(key), []).append(key)
    pixels = "chunks" if "chunks" in kinds else "zip"
    kind = pixels if rng.random() < 0.5 else rng.choice(list(kinds))
    key = rng.choices(kinds[kind], [len(objects[k]) for k in kinds[kind]])[0]
    data = bytearray(objects[key])
    bit = rng.randrange(8 * len(data))
    data[bit // 8] ^= 1 << bit % 8
    damaged = {**objects, key: bytes(data)}
    found = found_by_verify(placed(damaged, folder), key)
    try:
        same = digest(way, placed(damaged, folder), folder) == EXPECTED[name][way]
    except NgffBioError as error:
        if kind == "chunks" and not str(error.file).endswith(key):
            raise Wrong(f"the error does not name {key}: {error}") from error
        return f"{kind}: error"
    if same:
        return f"{kind}: equal" if found else f"{kind}: equal, not found by verify"
    if kind in ("chunks", "chunks of tracks") and not name.startswith("0.4"):
        raise Wrong(f"other pixels are read from {key}, bit {bit}")
    if not found:
        raise Wrong(f"other values are read from {key}, bit {bit}, and verify does not find it")
    return f"{kind}: other values, found by verify"


EXPECTED: dict[str, dict[str, str]] = {}


def main() -> None:
    """Many flips in all kinds of stores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=120, help="of each kind of store")
    parser.add_argument("--seed", type=int, default=0, help="of the first flip")
    parser.add_argument("--stores", default=",".join(STORES))
    parser.add_argument("--ways", default=",".join(WAYS))
    given = parser.parse_args()
    ways, failed = given.ways.split(","), 0
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        for name in given.stores.split(","):
            objects, outcomes = make(name, folder), Counter[str]()
            EXPECTED[name] = {w: digest(w, placed(objects, folder), folder) for w in ways}
            for seed in range(given.seed, given.seed + given.flips):
                way = ways[seed % len(ways)]
                try:
                    outcomes[flip(name, objects, way, seed, folder)] += 1
                except Exception:  # whatever the reader raised is printed, and ends the run with 1
                    failed += 1
                    print(f"FAILED: --stores '{name}' --ways '{way}' --seed {seed} --flips 1")
                    traceback.print_exc()
            print(f"{name}: {given.flips} flips", flush=True)
            for outcome, count in sorted(outcomes.items()):
                print(f"  {count:5} {outcome}")
    print(f"{failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
