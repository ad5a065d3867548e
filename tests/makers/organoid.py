"""Makes the organoid collection: Detection and Tracking trees of projections and labelme files."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from makers.organoid_wells import OrganoidBox, WellRecipe, boxes_at, draw_well
from makers.truth import Truth, preset, written_below


@dataclass(frozen=True)
class OrganoidSize:
    """How much is made.

    Attributes
    ----------
    shape
        Rows and columns of an image.
    detection, tracking
        Folder of each well, and how many frames it has.
    organoids
        How many organoids a well has.
    """

    shape: tuple[int, int]
    detection: dict[str, int]
    tracking: dict[str, int]
    organoids: int


_DETECTION = {"W_C10_0": 1, "W_C10_1": 2, "W_C10_9": 1}

SIZES = {
    "tiny": OrganoidSize((96, 120), _DETECTION, {"W_E4_12": 12, "W_F10_15": 3, "W_F10_3": 5}, 7),
    "small": OrganoidSize((960, 1000), _DETECTION, {"W_E4_12": 12, "W_F10_3": 6}, 40),
    "full": OrganoidSize((9122, 9163), _DETECTION, {"W_E4_12": 12, "W_F10_3": 8}, 250),
}


@dataclass(frozen=True)
class ShapeStyle:
    """How shapes are written; see `make_organoid`."""

    image_path: str
    image_data: str
    flags_null: bool
    group_id: bool
    extra_keys: bool
    json_scale: float


@dataclass(frozen=True)
class OrganoidFrame:
    """One time point of a well.

    Attributes
    ----------
    number
        ``N`` of ``Proj_N``.
    image_file, json_file
        The pair; either may be missing.
    shape
        Rows and columns of the TIFF.
    boxes
        Its organoids, in the order of the JSON.
    corners
        Both corners of each box in drag order, as written: ((x, y), (x, y)).
    recipe, time, style
        What it is made from.
    """

    number: int
    image_file: Path | None
    json_file: Path | None
    shape: tuple[int, int]
    boxes: tuple[OrganoidBox, ...]
    corners: tuple[tuple[tuple[float, float], tuple[float, float]], ...]
    recipe: WellRecipe
    time: int
    style: ShapeStyle

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The projection, (rows, columns) uint8, drawn again."""
        return draw_well(self.recipe, self.time, self.shape, self.boxes)

    @property
    def json_shape(self) -> tuple[int, int]:
        """Rows and columns as the JSON says."""
        rows, columns = self.shape
        return round(rows * self.style.json_scale), round(columns * self.style.json_scale)

    def content(self) -> dict[str, Any]:
        """The labelme JSON as it was written."""
        style, well = self.style, self.recipe.name.split("/")[1]
        path = {
            "sibling": f"Proj_{self.number}.tif",
            "stale": "XXXXXXXXXX.tif",
            "windows": f"D:\\organoid\\{well}-T_{self.number:03d}-Phase Contrast-Proj_1.tif",
        }[style.image_path]
        flags: dict[str, bool] | None = None if style.flags_null else {}
        shapes = []
        for box, corners in zip(self.boxes, self.corners, strict=True):
            shape: dict[str, Any] = {
                "label": box.label,
                "line_color": None,
                "fill_color": None,
                "points": [list(corner) for corner in corners],
            }
            if style.group_id:
                shape["group_id"] = None
            shape |= {"shape_type": "rectangle", "flags": flags}
            if style.extra_keys:
                shape["description"] = "of a later labelme"
            shapes.append(shape)
        content: dict[str, Any] = {
            "version": "4.5.6",
            "flags": flags,
            "shapes": shapes,
            "imagePath": path,
            "imageData": self._image_data(),
            "imageHeight": self.json_shape[0],
            "imageWidth": self.json_shape[1],
        }
        if style.extra_keys:
            content["reviewedBy"] = {"name": "N. N.", "round": 2}
        return content

    def _image_data(self) -> str | None:
        if self.style.image_data == "null":
            return None
        target = io.BytesIO()
        Image.fromarray(self.pixels).save(target, "PNG")
        return base64.b64encode(target.getvalue()).decode("ascii")


@dataclass(frozen=True)
class OrganoidWell:
    """One folder.

    Attributes
    ----------
    tree
        ``Detection`` or ``Tracking``.
    folder
        ``W_<well>_<n>``.
    well, index
        The well, and `n`, whose meaning is not published.
    frames
        Its frames in order of time.
    """

    tree: str
    folder: str
    well: str
    index: int
    frames: tuple[OrganoidFrame, ...]


@dataclass(frozen=True)
class OrganoidTruth(Truth):
    """What went into the collection: wells by ``Detection/W_C10_0`` and the like."""

    wells: dict[str, OrganoidWell]


def make_organoid(
    folder: Path,
    *,
    size: str | OrganoidSize = "tiny",
    seed: int = 0,
    trees: Sequence[Literal["Detection", "Tracking"]] = ("Detection", "Tracking"),
    image_path: Literal["sibling", "stale", "windows"] = "windows",
    image_data: Literal["null", "base64"] = "null",
    flags_null: bool = False,
    group_id: bool = False,
    extra_keys: bool = False,
    outside: bool = False,
    flat_box: bool = False,
    double_label: bool = False,
    unequal_sizes: bool = False,
    json_scale: float = 1.0,
    number_gap: bool = False,
    without_json: int = 0,
    without_image: int = 0,
    tiff: Literal["plain", "lzw", "tiled"] = "plain",
) -> OrganoidTruth:
    """Write ``Organoid/{Detection,Tracking}/W_<well>_<n>/Proj_<N>.{tif,json}`` below `folder`.

    Rectangles have two opposite corners in the order in which they were dragged. Wells have
    different numbers of frames, some more than nine. Detection labels are all ``"0"``; Tracking
    labels are identities with gaps, and ``"0"`` is one of them. Boxes nest and overlap.

    Parameters
    ----------
    folder
        Where ``Organoid`` is made.
    size
        ``tiny`` (96x120; 3 and 3 wells), ``small``, ``full`` (9122x9163, 24 images, 2 GB), or the
        numbers themselves.
    seed
        Same seed, same bytes.
    trees
        Which of the two.
    image_path
        What ``imagePath`` says: the image beside it, a stale name, or a path of another machine.
    image_data
        ``null``, or the whole image as PNG in ``base64``.
    flags_null, group_id, extra_keys
        Whether ``flags`` are null, ``group_id`` is there, keys that labelme does not know are.
    outside
        Whether the first box of each frame reaches out of the image.
    flat_box
        Whether the last box of each frame has no height.
    double_label
        Whether one identity is given to two boxes of a frame.
    unequal_sizes
        Whether frames of a well differ in size.
    json_scale
        Height and width in the JSON over those of the TIFF.
    number_gap
        Whether ``Proj_2`` is missing from each series.
    without_json, without_image
        How many frames of the first Tracking well have only one of the pair.
    tiff
        ``plain`` strips, ``lzw``, or ``tiled`` by 256.
    """
    numbers = preset(size, SIZES) if isinstance(size, str) else size
    root = Path(folder) / "Organoid"
    style = ShapeStyle(image_path, image_data, flags_null, group_id, extra_keys, json_scale)
    wells: dict[str, OrganoidWell] = {}
    for tree in trees:
        listed = numbers.detection if tree == "Detection" else numbers.tracking
        for place, count in listed.items():
            recipe = WellRecipe(f"{tree}/{place}", seed, numbers.shape, numbers.organoids, count)
            first_tracked = tree == "Tracking" and place == next(iter(listed))
            frames = []
            for time in range(count):
                number = time + 1 + (number_gap and time > 0)
                shape = numbers.shape
                if unequal_sizes and time % 2:
                    shape = (shape[0] - 3 * time, shape[1] + 2 * time)
                boxes = boxes_at(recipe, time, shape, tree == "Tracking")
                boxes = _odd_boxes(boxes, shape, outside, flat_box, double_label)
                stem = root / tree / place / f"Proj_{number}"
                lacks_json = first_tracked and time < without_json
                lacks_image = first_tracked and count - time <= without_image
                frame = OrganoidFrame(
                    number,
                    None if lacks_image else stem.with_suffix(".tif"),
                    None if lacks_json else stem.with_suffix(".json"),
                    shape,
                    boxes,
                    _dragged(boxes, (seed, 14, time)),
                    recipe,
                    time,
                    style,
                )
                _write(frame, tiff)
                frames.append(frame)
            _, well, index = place.split("_")
            wells[f"{tree}/{place}"] = OrganoidWell(tree, place, well, int(index), tuple(frames))
    return OrganoidTruth(root=root, files=written_below(root), wells=wells)


def _odd_boxes(
    boxes: tuple[OrganoidBox, ...],
    shape: tuple[int, int],
    outside: bool,
    flat_box: bool,
    double_label: bool,
) -> tuple[OrganoidBox, ...]:
    changed = list(boxes)
    if outside:
        left, top = changed[0].box[:2]
        box = (left, top, shape[1] + 7.5, shape[0] + 4.0)
        changed[0] = OrganoidBox(changed[0].label, box, changed[0].track)
    if flat_box:
        left, top, right, _ = changed[-1].box
        changed[-1] = OrganoidBox(changed[-1].label, (left, top, right, top), changed[-1].track)
    if double_label:
        changed[1] = OrganoidBox(changed[0].label, changed[1].box, changed[1].track)
    return tuple(changed)


def _dragged(
    boxes: tuple[OrganoidBox, ...], seed: tuple[int, int, int]
) -> tuple[tuple[tuple[float, float], tuple[float, float]], ...]:
    """Two opposite corners of each box, from any of the four to the other side."""
    turns = np.random.default_rng(seed).integers(0, 4, len(boxes)).tolist()
    corners = []
    for each, turn in zip(boxes, turns, strict=True):
        left, top, right, bottom = each.box
        xs = (right, left) if turn & 1 else (left, right)
        ys = (bottom, top) if turn & 2 else (top, bottom)
        corners.append(((xs[0], ys[0]), (xs[1], ys[1])))
    return tuple(corners)


def _write(frame: OrganoidFrame, tiff: str) -> None:
    for path in (frame.image_file, frame.json_file):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    if frame.image_file is not None:
        kind: dict[str, Any] = {}
        if tiff == "lzw":
            kind = {"compression": "lzw"}
        elif tiff == "tiled":
            kind = {"tile": (256, 256)}
        tifffile.imwrite(
            frame.image_file, frame.pixels, photometric="minisblack", metadata=None, **kind
        )
    if frame.json_file is not None:
        frame.json_file.write_text(json.dumps(frame.content(), indent=2))
