"""A source for folders of ``.npy`` images with ``boxes.csv``: image, x, y, width, height, category."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ngff_bio import model
from ngff_bio.formats.names import safe_names
from ngff_bio.formats.problems import Problems, damage_named
from ngff_bio.sources import FileTree, Source

COLUMNS = ["x", "y", "width", "height", "category"]


@dataclass(frozen=True)
class NpyPixels:
    file: model.SourceFile
    shape: tuple[int, ...]
    dtype: np.dtype
    read_block_shape: tuple[int, ...]

    def source_parts(self) -> list[model.SourceFile]:
        return [self.file]

    def read(self, region: model.Region) -> np.ndarray:
        with damage_named(self.file.name, "the .npy file is damaged"), self.file.open() as stream:
            whole = np.load(stream)
        return np.ascontiguousarray(whole[tuple(slice(*span) for span in region)], self.dtype)


@dataclass(frozen=True)
class CsvBoxes:
    file: model.SourceFile
    image: str

    def source_parts(self) -> list[model.SourceFile]:
        return [self.file]

    def read(self, t: int) -> list[model.Instance]:
        with damage_named(self.file.name, "the table of boxes is damaged"):
            table = pd.read_csv(self.file.open(), dtype=dict.fromkeys(COLUMNS[:4], float))
            rows = table[table["image"] == self.image][COLUMNS].itertuples(index=False)
        return [
            model.Instance(value, model.Box(x, y, x + w, y + h), category=name, box=(x, y, w, h))
            for value, (x, y, w, h, name) in enumerate(rows, 1)
        ]


def open_image(file: model.SourceFile, boxes: CsvBoxes, path: str) -> model.SourceImage:
    with damage_named(file.name, "the .npy file is damaged"), file.open() as stream:
        np.lib.format.read_magic(stream)
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    pixels, found = NpyPixels(file, shape, dtype.newbyteorder("="), shape), boxes.read(0)
    classes = tuple(model.Category(c, c) for c in dict.fromkeys(i.category for i in found))
    layer = model.InstanceLayer("boxes", boxes, len(found), len(found), classes)
    axes, frame = model.axes_from("yx"), model.Frame(file.name)
    return model.SourceImage(path, file.name, axes, pixels, (layer,), frames=(frame,))


def read(tree: FileTree, problems: Problems) -> model.SourceDataset:
    table = tree.file("boxes.csv")
    arrays = [name for name in tree.names() if name.endswith(".npy")]
    for name in set(tree.names()) - {*arrays, table.name}:
        problems.skip("not a file of this dataset", file=name)
    paths = safe_names(arrays).items()
    images = tuple(open_image(tree.file(n), CsvBoxes(table, n), path) for n, path in paths)
    about = ("boxes", "npy-boxes", tree.origin, "collection")
    return model.SourceDataset(*about, images)


def detect(tree: FileTree) -> int:
    return 2 if "boxes.csv" in tree.names() else 0


SOURCE = Source("npy-boxes", "folders of .npy with boxes.csv", "*.npy, boxes.csv", detect, read)
