"""Makes multi-focus white blood cell data: a miLab test folder, and the authors' crops of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from makers.nuclei_images import as_jpeg
from makers.truth import Truth, preset, written_below
from makers.wbc_stacks import PLANES, StackRecipe, WbcCell, plane_pixels

#: Side of the authors' crops.
CROP = 200


@dataclass(frozen=True)
class WbcSize:
    """How much is made: stacks a test, rows and columns of an image, predicted cells a stack."""

    stacks: int
    shape: tuple[int, int]
    cells: int


SIZES = {
    "tiny": WbcSize(3, (216, 264), 5),
    "small": WbcSize(6, (480, 640), 8),
    "full": WbcSize(250, (1200, 1920), 8),
}


@dataclass(frozen=True)
class WbcStack:
    """One field of view.

    Attributes
    ----------
    img_num
        Its number in the file names; its key in the JSON is one less.
    position
        x and y of the stage.
    files
        Path of each plane, by plane; of those that are written.
    named_plane
        The plane that ``img_name`` names.
    img_name
        Name of that file.
    listed
        Whether the JSON lists it.
    recipe
        Its cells, and what it is drawn from.
    """

    img_num: int
    position: tuple[int, int]
    files: dict[int, Path]
    named_plane: int
    img_name: str
    listed: bool
    recipe: StackRecipe

    @property
    def cells(self) -> tuple[WbcCell, ...]:
        """Its predicted cells, in the order of the JSON."""
        return self.recipe.cells

    def pixels(self, plane: int) -> NDArray[np.uint8]:
        """A plane before JPEG, (rows, columns, 3) uint8. (Files are lossy.)"""
        return plane_pixels(self.recipe, plane)


@dataclass(frozen=True)
class WbcTruth(Truth):
    """What went into a test folder.

    Attributes
    ----------
    stacks
        All fields of view, also those without files or without a place in the JSON.
    json_file
        The predictions.
    content
        What the JSON says, comments left out.
    """

    stacks: tuple[WbcStack, ...]
    json_file: Path
    content: dict[str, Any]


def make_wbc(
    folder: Path,
    *,
    size: str | WbcSize = "tiny",
    seed: int = 0,
    test_id: str = "miLab_test",
    schema: Literal["new", "old"] = "new",
    json_name: str | None = None,
    sparse: bool = True,
    listed_without_file: int = 0,
    without_listing: int = 0,
    without_cells: int = 0,
    missing_planes: int = 0,
    comments: bool = False,
    processes: int = 1,
) -> WbcTruth:
    """Write the test folder `test_id` below `folder`: JPEGs of focal planes and their JSON.

    Names are ``{img_num:04}_{x}_{y}_{plane:03}_{score}.jpg``; the score differs from plane to
    plane, so a stack is what shares the first three.

    Parameters
    ----------
    folder
        Where the test folder is made.
    size
        ``tiny`` (3 stacks of 216x264), ``small``, ``full`` (250 stacks of 1200x1920, 10 planes
        each), or the numbers themselves.
    seed
        Same seed, same bytes.
    test_id
        Name of the test.
    schema
        ``new`` (class, box, focus of each cell) or ``old`` (boxes alone).
    json_name
        Name of the JSON: ``analyze_result.json``, or ``milab_result.json`` in the old schema.
    sparse
        Whether numbers of images and of cells are left out.
    listed_without_file
        How many more images the JSON lists of which there is no file.
    without_listing
        How many stacks the JSON does not list.
    without_cells
        How many listed stacks have no cells.
    missing_planes
        How many planes at the end of the last stack there are not.
    comments
        Whether the JSON has ``//`` comments as on the page (and so is none).
    processes
        How many processes draw. More than one needs the caller to be importable.
    """
    numbers = preset(size, SIZES) if isinstance(size, str) else size
    root = Path(folder) / test_id
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng((seed, 9))
    stacks = []
    total = numbers.stacks + listed_without_file
    for index in range(total):
        img_num = 1 + index + (index // 2 if sparse else 0)
        written = list(range(PLANES)) if index < numbers.stacks else []
        if index == numbers.stacks - 1 and missing_planes:
            written = written[:-missing_planes]
        cells = () if index < without_cells else _cells(rng, numbers, sparse)
        focus = int(rng.integers(3, 7))
        recipe = StackRecipe((seed, img_num), numbers.shape, focus, cells)
        position = (int(rng.integers(10_000, 60_000)), int(rng.integers(10_000, 60_000)))
        names = {
            plane: f"{img_num:04}_{position[0]}_{position[1]}_{plane:03}"
            f"_{22_000 - 900 * abs(plane - focus) + int(rng.integers(0, 400))}.jpg"
            for plane in range(PLANES)
        }
        listed = not numbers.stacks - without_listing <= index < numbers.stacks
        files = {plane: root / names[plane] for plane in written}
        stacks.append(WbcStack(img_num, position, files, focus, names[focus], listed, recipe))

    if processes > 1:
        with ProcessPoolExecutor(processes) as pool:
            list(pool.map(_write_stack, stacks))
    else:
        for stack in stacks:
            _write_stack(stack)
    content = {str(each.img_num - 1): _entry(each, schema) for each in stacks if each.listed}
    if json_name is None:
        json_name = "analyze_result.json" if schema == "new" else "milab_result.json"
    text = json.dumps(content, indent=2)
    (root / json_name).write_text(_commented(text) if comments else text)
    return WbcTruth(
        root=root,
        files=written_below(root),
        stacks=tuple(stacks),
        json_file=root / json_name,
        content=content,
    )


def _cells(rng: np.random.Generator, size: WbcSize, sparse: bool) -> tuple[WbcCell, ...]:
    """Predicted cells: every class, the first at the border, some overlapping."""
    rows, columns = size.shape
    cells = []
    for index in range(size.cells):
        prediction = (5, 0, 1, 2, 7)[index % 5]
        side = rows / (14 if prediction == 1 else 10 if prediction == 0 else 6)
        width, height = (int(side * rng.uniform(0.85, 1.15)) for _ in range(2))
        x, y = int(rng.integers(0, columns - width)), int(rng.integers(0, rows - height))
        if index == 0:
            x, y = columns - width, 0
        key = str(index + (index // 3 if sparse else 0))
        cells.append(WbcCell(key, prediction, (x, y, width, height), int(rng.integers(0, PLANES))))
    return tuple(cells)


def _write_stack(stack: WbcStack) -> None:
    for plane, path in stack.files.items():
        path.write_bytes(as_jpeg(stack.pixels(plane)))


def _entry(stack: WbcStack, schema: str) -> dict[str, Any]:
    if schema == "old":
        return {cell.key: list(cell.location) for cell in stack.cells}
    cells = {
        cell.key: {
            "prediction": cell.prediction,
            "location": list(cell.location),
            "focus": cell.focus,
        }
        for cell in stack.cells
    }
    return {"img_name": stack.img_name, "cell_prediction": cells}


def _commented(text: str) -> str:
    """`text` with comments where the page has them."""
    notes = {
        '"img_name"': "// img name",
        '"prediction"': "// cell pre-classification index from miLab.",
        '"focus"': "// focused image stack number, see https://example.org",
    }
    lines = []
    for line in text.splitlines():
        note = next((note for key, note in notes.items() if line.strip().startswith(key)), "")
        lines.append(f"{line} {note}".rstrip())
    return "\n".join(lines)


@dataclass(frozen=True)
class WbcCrop:
    """One white cell of the open dataset.

    Attributes
    ----------
    crop_index
        Its number in file names and in ``labels.csv``.
    test_id, img_num, location
        Where it comes from.
    corner
        x and y of the crop in its image: centred on the box, moved inwards at a border.
    files
        Path of each plane's crop.
    strip
        Path of the image file of all planes side by side, if there is one.
    stack
        The field of view that it is cut from.
    """

    crop_index: int
    test_id: str
    img_num: int
    location: tuple[int, int, int, int]
    corner: tuple[int, int]
    files: tuple[Path, ...]
    strip: Path | None
    stack: WbcStack

    def pixels(self, plane: int) -> NDArray[np.uint8]:
        """One crop before JPEG, (200, 200, 3) uint8."""
        x, y = self.corner
        return self.stack.pixels(plane)[y : y + CROP, x : x + CROP]


@dataclass(frozen=True)
class WbcCropsTruth(Truth):
    """What went into the open dataset: its crops, and the rows of ``labels.csv`` as text."""

    crops: tuple[WbcCrop, ...]
    labels_file: Path
    rows: tuple[tuple[str, ...], ...]


def crop_corner(location: Sequence[int], shape: tuple[int, int]) -> tuple[int, int]:
    """x and y of the authors' crop: centred on the box, shifted inwards and never padded."""
    x, y, width, height = location
    rows, columns = shape
    left = min(max(0, x + width // 2 - CROP // 2), columns - CROP)
    top = min(max(0, y + height // 2 - CROP // 2), rows - CROP)
    return left, top


def make_wbc_crops(
    folder: Path,
    *,
    size: str | WbcSize = "tiny",
    seed: int = 0,
    test_ids: Sequence[str] = ("Example_TEST",),
    strips: bool = True,
    shuffled: bool = False,
    labels: bool = True,
) -> WbcCropsTruth:
    """Write ``tidy_data/`` below `folder`: crops of white cells, as the authors' script makes them.

    ``<test>/{crop}_{plane}.jpg`` are 200x200; ``<test>/annotation/{crop}.jpg`` has the ten planes
    side by side; ``labels.csv`` has an index without a name, then ``crop_index``, ``test_id``,
    ``img_num``, ``cell_location``. Only classes from 2 on are cropped.

    Parameters
    ----------
    folder
        Where ``tidy_data`` is made.
    size
        As in `make_wbc`: the images that are cropped.
    seed
        Same seed, same bytes.
    test_ids
        Tests; the crop index runs on over them.
    strips
        Whether the image files of all planes are written.
    shuffled
        Whether crop indices follow no order (the authors' follow that of the directory); else
        number of the image, then of the cell.
    labels
        Whether ``labels.csv`` is written.
    """
    numbers = preset(size, SIZES) if isinstance(size, str) else size
    root = Path(folder) / "tidy_data"
    found: list[tuple[str, WbcStack, WbcCell]] = []
    for number, test_id in enumerate(test_ids):
        rng = np.random.default_rng((seed + number, 9))
        for index in range(numbers.stacks):
            img_num = 1 + index + index // 2
            cells = _cells(rng, numbers, True)
            recipe = StackRecipe((seed + number, img_num), numbers.shape, 5, cells)
            stack = WbcStack(img_num, (0, 0), {}, 5, "", True, recipe)
            found.extend((test_id, stack, cell) for cell in cells if cell.prediction >= 2)
    if shuffled:
        order = np.random.default_rng((seed, 10)).permutation(len(found)).tolist()
        found = [found[index] for index in order]

    crops = []
    for crop_index, (test_id, stack, cell) in enumerate(found):
        place = root / test_id
        (place / "annotation").mkdir(parents=True, exist_ok=True)
        crop = WbcCrop(
            crop_index,
            test_id,
            stack.img_num,
            cell.location,
            crop_corner(cell.location, numbers.shape),
            tuple(place / f"{crop_index}_{plane}.jpg" for plane in range(PLANES)),
            place / "annotation" / f"{crop_index}.jpg" if strips else None,
            stack,
        )
        planes = [crop.pixels(plane) for plane in range(PLANES)]
        for path, pixels in zip(crop.files, planes, strict=True):
            path.write_bytes(as_jpeg(pixels))
        if crop.strip is not None:
            crop.strip.write_bytes(as_jpeg(np.concatenate(planes, axis=1)))
        crops.append(crop)
    rows = tuple(
        (
            str(index),
            str(crop.crop_index),
            crop.test_id,
            str(crop.img_num),
            str(list(crop.location)),
        )
        for index, crop in enumerate(crops)
    )
    if labels:
        target = io.StringIO()
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(["", "crop_index", "test_id", "img_num", "cell_location"])
        writer.writerows(rows)
        (root / "labels.csv").write_text(target.getvalue())
    return WbcCropsTruth(
        root=root,
        files=written_below(root),
        crops=tuple(crops),
        labels_file=root / "labels.csv",
        rows=rows,
    )
