"""How many operations a conversion costs: objects put, bytes put, requests, source pages decoded.

Counts, not times: they are the same on every machine, and a change for the worse is seen at once. What
is expected is in `operations/<source>.json`. After an intended change, write it again and look at the
difference before it is committed:

    make operations        # python tests/engine/operation_counts.py
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import makers
from scenes import Wrapped

from ngff_bio.engine import ThreadRunner, write_dataset
from ngff_bio.model import (
    InstanceLayer,
    Pixels,
    Region,
    RunVolume,
    SourceDataset,
    SourceImage,
    SourceParts,
    VolumeLayer,
    parts_of,
)
from ngff_bio.sources import find_source, open_tree, read_source
from ngff_bio.storage import MemoryStorage
from ngff_bio.storage.base import Buffer
from ngff_bio.zarrio.journal import STATE

EXPECTED = Path(__file__).parent / "operations"

#: What each source is given: a tiny dataset of its maker.
MAKERS: dict[str, Callable[[Path], Any]] = {
    "coco": makers.make_coco_folder,
    "labelme": makers.make_labelme_folder,
    "livecell": lambda p: makers.make_livecell(p, cell_types=("A172", "SHSY5Y")),
    "nuclei": lambda p: makers.make_nuclei(p, sets=("nuclei_stage1_train", "BBBC007")),
    "organoid": makers.make_organoid,
    "platelet-em": makers.make_platelet_em,
    "tiff": makers.make_tiff_folder,
    "wbc": makers.make_wbc,
}

#: Libraries that decide the size of an object; others may differ by a little.
LIBRARIES = ("imagecodecs", "numpy", "pyarrow")


@dataclass
class CountingStorage(MemoryStorage):
    """A storage that counts what it is asked for."""

    requests: Counter[str] = field(default_factory=Counter)
    puts: Counter[str] = field(default_factory=Counter)

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        self.requests["put"] += 1
        self.puts[key] += 1
        return super().put(key, data)

    def compare_and_swap(self, key: str, before: bytes | None, after: bytes) -> bool:
        self.requests["swap"] += 1
        return super().compare_and_swap(key, before, after)

    def get(self, key: str) -> bytes | None:
        self.requests["get"] += 1
        return super().get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self.requests["get_range"] += 1
        return super().get_range(key, start, length)

    def size(self, key: str) -> int | None:
        self.requests["size"] += 1
        return super().size(key)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        self.requests["list"] += 1
        return super().list(prefix)

    def delete(self, key: str) -> None:
        self.requests["delete"] += 1
        super().delete(key)

    def delete_all(self, prefix: str = "", known: Iterable[str] = ()) -> None:
        self.requests["delete_all"] += 1
        for key, _ in super().list(prefix):
            super().delete(key)


@dataclass(frozen=True)
class CountingPixels(Wrapped):
    """Pixels that count how often each page, tile or strip is decoded."""

    pixels: Pixels
    pages: Counter[tuple[int, ...]] = field(default_factory=Counter)

    def read(self, region: Region) -> NDArray[Any]:
        spans = [
            range(a // g, -(-b // g))
            for (a, b), g in zip(region, self.read_block_shape, strict=True)
        ]
        self.pages.update(product(*spans))
        return self.pixels.read(region)


@dataclass(frozen=True)
class CountingInstances:
    """Instances that count how often each frame's are read."""

    instances: Any
    frames: Counter[int] = field(default_factory=Counter)

    def read(self, t: int) -> Any:
        self.frames[t] += 1
        return self.instances.read(t)

    def source_parts(self) -> SourceParts:
        return parts_of(self.instances)


@dataclass
class Counted:
    """A dataset whose reading is counted."""

    dataset: SourceDataset
    pixels: list[CountingPixels] = field(default_factory=list)
    instances: list[CountingInstances] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dataset = replace(self.dataset, images=tuple(map(self._image, self.dataset.images)))

    def _image(self, image: SourceImage) -> SourceImage:
        return replace(
            image, pixels=self._pixels(image.pixels), labels=tuple(map(self._layer, image.labels))
        )

    def _pixels(self, pixels: Pixels) -> Pixels:
        self.pixels.append(CountingPixels(pixels))
        return self.pixels[-1]

    def _layer(self, layer: Any) -> Any:
        if isinstance(layer, InstanceLayer):
            self.instances.append(CountingInstances(layer.instances))
            return replace(layer, instances=self.instances[-1])
        if isinstance(layer, VolumeLayer) and not isinstance(layer.pixels, RunVolume):
            return replace(layer, pixels=self._pixels(layer.pixels))
        return layer


def read_made(source: str, folder: Path) -> SourceDataset:
    """The dataset of a source's maker."""
    MAKERS[source](folder)
    tree = open_tree(folder)
    return read_source(find_source(tree, source), tree)


def convert_counted(dataset: SourceDataset) -> tuple[CountingStorage, Counted]:
    """Convert, and count."""
    storage, counted = CountingStorage(), Counted(dataset)
    write_dataset(counted.dataset, storage, runner=ThreadRunner(1))
    return storage, counted


def counts(storage: CountingStorage, counted: Counted) -> dict[str, Any]:
    """What is kept as JSON."""
    return {
        "objects": len(storage.objects),
        "bytes": sum(map(len, storage.objects.values())),
        "requests": dict(sorted(storage.requests.items())),
        "puts of state": sum(n for k, n in storage.puts.items() if k.startswith(f"{STATE}/")),
        "pages decoded": sum(p.pages.total() for p in counted.pixels),
        "frames of annotations read": sum(i.frames.total() for i in counted.instances),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def main() -> None:
    """Write the expected counts again."""
    EXPECTED.mkdir(exist_ok=True)
    for source in sys.argv[1:] or MAKERS:
        with tempfile.TemporaryDirectory() as folder:
            found = counts(*convert_counted(read_made(source, Path(folder) / "data")))
        (EXPECTED / f"{source}.json").write_text(json.dumps(found, indent=2) + "\n")
        print(source, found["objects"], "objects")


if __name__ == "__main__":
    main()
