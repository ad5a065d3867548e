"""A small dataset of every kind of layer, and ways to change a store behind its back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from pycocotools import mask as coco_mask

from ngff_bio.engine import Settings, write_dataset
from ngff_bio.model import (
    ArrayPixels,
    Box,
    Category,
    Channel,
    Frame,
    Instance,
    InstanceLayer,
    Notice,
    Polygons,
    Rle,
    Shape,
    SourceDataset,
    SourceImage,
    SourcePlate,
    VolumeLayer,
    axes_from,
)


@dataclass(frozen=True)
class Listed:
    """Instances by frame."""

    frames: tuple[tuple[Instance, ...], ...]

    def read(self, t: int) -> list[Instance]:
        return list(self.frames[t])


def _disc(height: int, width: int, y: int, x: int, radius: int) -> np.ndarray:
    rows, columns = np.ogrid[:height, :width]
    return ((rows - y) ** 2 + (columns - x) ** 2 <= radius**2).astype(np.uint8)


def cell_frames(frames: int = 3, height: int = 60, width: int = 70) -> Listed:
    """Outlines, runs, boxes and drawn shapes that cover each other in part."""
    found = []
    for t in range(frames):
        mask = _disc(height, width, 30, 34, 12)
        packed = coco_mask.encode(np.asfortranarray(mask))
        corner = (3.0 + t, 4.5)
        square = [*corner, 25.25, 4.5, 25.25, 30.0, 3.0, 30.0]
        found.append(
            (
                Instance(1, Polygons((square,)), t=t, category="cell", category_id=7,
                         source_id=-4, box=(3.0, 4.5, 22.25, 25.5), area=567.375, iscrowd=0,
                         record='{"id": -4, "note": "first"}'),
                Instance(2, Polygons(([10, 8, 30, 8, 30, 22, 10, 22], [40, 40, 50, 40, 45, 50])),
                         t=t, category="cell", source_id="b/2"),
                Instance(3, Rle((height, width), packed["counts"].decode()), t=t, iscrowd=1,
                         track_id=9),
                Instance(4, Box(50, 2, 75, 20), t=t, box=(50, 2, 25, 18)),
                Instance(6, Box(-3.5, 52.25, 9.5, 57.75), t=t, box=(-3.5, 52.25, 13.0, 5.5)),
                Instance(7, Polygons(([0, 0, 9.5, 0, 9.5, 6, 0, 6],)), t=t,
                         files=("a.json", "b.json"), indices=(3, 0), variants=(None, '{"id": 8}'),
                         window=(height - 10, width - 15, 10, 15)),
                Instance(8, Polygons(([1, 1, 5, 5],)), t=t, notice=Notice("skipped", "no area")),
                Instance(5, Shape("circle", ((60.0, 45.0), (64.0, 48.0))), t=t),
            )
        )  # fmt: skip
    return Listed(tuple(found))


def full_dataset() -> SourceDataset:
    """A timed image with instances of each geometry, and a volume with classes and objects."""
    rng = np.random.default_rng(5)
    movie = SourceImage(
        path="movie",
        name="a movie.tif",
        axes=axes_from("tyx", y=(0.5, "micrometer"), x=(0.5, "micrometer")),
        pixels=ArrayPixels(rng.integers(0, 250, (3, 60, 70)).astype(np.uint8)),
        labels=(
            InstanceLayer(
                "cell", cell_frames(), 24, 8, (Category(7, "cell", (255, 0, 0, 255)),), tracked=True
            ),
        ),
        frames=tuple(
            Frame(f"frame {t}.tif", t, elapsed_hours=4.0 * t, splits=("train",), record={"id": t})
            for t in range(3)
        ),
        translation=(0.0, 10.0, 20.0),
    )
    classes = np.zeros((4, 60, 70), np.uint8)
    classes[:, 5:25, 5:30] = 1
    classes[1:3, 30:50, 30:60] = 2
    objects = np.zeros(classes.shape, np.uint16)
    objects[:, 5:25, 5:17] = 300
    objects[:, 5:25, 17:30] = 12
    objects[1:3, 30:50, 30:60] = 4
    volume = SourceImage(
        path="volume",
        name="volume",
        axes=axes_from("zyx", z=(40.0, "nanometer"), y=(10.0, "nanometer"), x=(10.0, "nanometer")),
        pixels=ArrayPixels(rng.integers(0, 60_000, classes.shape).astype(np.uint16)),
        labels=(
            VolumeLayer(
                "class",
                ArrayPixels(classes),
                "semantic",
                2,
                (Category(1, "cell", (1, 2, 3, 255)), Category(2, "granule", (9, 8, 7, 255))),
            ),
            VolumeLayer(
                "object",
                ArrayPixels(objects),
                "instance",
                300,
                (Category(1, "cell"), Category(2, "granule")),
                source_ids={300: "three hundred"},
                classes="class",
            ),
        ),
        frames=(Frame("volume.tif"),),
    )
    colour = SourceImage(
        path="colour",
        name="colour.png",
        axes=axes_from("cyx"),
        pixels=ArrayPixels(rng.integers(0, 255, (3, 20, 30)).astype(np.uint8)),
        channels=(Channel("red"), Channel("green"), Channel("blue")),
        frames=(Frame("colour.png"),),
    )
    return SourceDataset(
        name="full",
        source="test",
        origin="memory",
        layout="collection",
        images=(movie, volume, colour),
        licence="CC0",
        splits=("train",),
    )


def plate_dataset() -> SourceDataset:
    """A plate with two wells, one of them with two fields."""
    images = tuple(
        SourceImage(
            path=path,
            name=path,
            axes=axes_from("tyx"),
            pixels=ArrayPixels(np.full((1, 16, 24), 7, np.uint8)),
            labels=(InstanceLayer("cell", cell_frames(1, 16, 24), 8, 8),),
            frames=(Frame(f"{path}.tif"),),
        )
        for path in ("A/1/0", "A/1/1", "B/2/0")
    )
    return SourceDataset(
        name="plate",
        source="test",
        origin="memory",
        layout="plates",
        images=images,
        plates=(SourcePlate("", "plate", ("A", "B"), ("1", "2", "3")),),
    )


#: Chunks so small that there are several, and levels.
SMALL = Settings(chunk=(4, 16, 16), shard_bytes=16384)


def write_full_store(
    folder: Path, dataset: SourceDataset | None = None, settings: Settings = SMALL
) -> Path:
    """The dataset as a store."""
    from ngff_bio.storage import storage_at

    write_dataset(dataset or full_dataset(), storage_at(folder), settings)
    return folder


def set_pixel(store: Path, array: str, at: tuple[int, ...], value: int) -> None:
    """Change one pixel, through zarr-python."""
    opened = zarr.open_array(store, path=array, mode="r+")
    opened[at] = value


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON document in place."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_attributes(store: Path, group: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the attributes of a group, and its copy in the consolidated metadata."""
    edit_json(store / group / "zarr.json", lambda d: change(d["attributes"]))
    consolidate(store)


def consolidate(store: Path) -> None:
    """Make the copies of metadata at the root again."""

    def renew(root: dict[str, Any]) -> None:
        known = {}
        for document in sorted(store.rglob("zarr.json")):
            path = document.parent.relative_to(store).as_posix()
            if path != ".":
                known[path] = json.loads(document.read_text())
        root["consolidated_metadata"]["metadata"] = known

    edit_json(store / "zarr.json", renew)


def edit_table(path: Path, change: Callable[[Any], Any]) -> None:
    """Change a table through pandas-free Arrow: columns as lists of Python values."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    columns = {name: table[name].to_pylist() for name in table.column_names}
    change(columns)
    arrays = [pa.array(values, table.schema.field(name).type) for name, values in columns.items()]
    pq.write_table(pa.Table.from_arrays(arrays, names=list(columns)), path)
