"""Which LIVECell images there are, and which annotation file lists which of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ngff_bio.errors import ArgumentError

#: Cell types as the file names spell them, in the order of the collection's page.
CELL_TYPES = ("A172", "BT474", "BV2", "Huh7", "MCF7", "SHSY5Y", "SkBr3", "SKOV3")
SPLITS = ("train", "val", "test")
#: Names and shares of the dataset-size experiments.
SIZE_SPLITS = {
    "0_train2percent": 0.02,
    "1_train4percent": 0.04,
    "2_train5percent": 0.05,
    "3_train25percent": 0.25,
    "4_train50percent": 0.5,
}
#: Ids that one listing of an image takes: its own, and those of its annotations after it.
ID_BLOCK = 5000


@dataclass(frozen=True)
class LiveCellSize:
    """How much is made.

    Attributes
    ----------
    crop
        Rows and columns of one crop; a frame has twice as many of both.
    fields
        How many (well, location) fields each cell type has; the last of them are test fields.
    frames
        How many frames each cell type has in all its fields.
    cells
        Mean number of cells in one crop by cell type.
    absent_crops
        How many crops of the last MCF7 frame there are not (the real set has one frame of three).
    """

    crop: tuple[int, int]
    fields: Mapping[str, int]
    frames: Mapping[str, int]
    cells: Mapping[str, float]
    absent_crops: int = 0


_CELLS = {
    "A172": 143.0,
    "BT474": 215.0,
    "BV2": 715.0,
    "Huh7": 105.0,
    "MCF7": 460.0,
    "SHSY5Y": 375.0,
    "SkBr3": 235.0,
    "SKOV3": 143.0,
}

SIZES = {
    "tiny": LiveCellSize(
        crop=(52, 70),
        fields=dict.fromkeys(CELL_TYPES, 2),
        frames=dict.fromkeys(CELL_TYPES, 4),
        cells={name: max(mean / 50, 2.0) for name, mean in _CELLS.items()},
    ),
    "small": LiveCellSize(
        crop=(130, 176),
        fields=dict.fromkeys(CELL_TYPES, 3),
        frames=dict.fromkeys(CELL_TYPES, 9),
        cells={name: max(mean / 14, 4.0) for name, mean in _CELLS.items()},
    ),
    "full": LiveCellSize(  # 5,239 images and about 1.6 million contours
        crop=(520, 704),
        fields={**dict.fromkeys(CELL_TYPES, 8), "MCF7": 9},
        frames={
            "A172": 152,
            "BT474": 168,
            "BV2": 152,
            "Huh7": 150,
            "MCF7": 184,
            "SHSY5Y": 176,
            "SkBr3": 176,
            "SKOV3": 152,
        },
        cells=_CELLS,
        absent_crops=1,
    ),
}


class FrameKey(NamedTuple):
    """One frame of 2x2 crops: when and where it was taken."""

    cell_type: str
    well: str
    location: int
    hours: int

    def file_name(self, crop: int) -> str:
        """``<type>_Phase_<well>_<location>_<dd>d<hh>h00m_<crop>.tif``."""
        time = f"{self.hours // 24:02d}d{self.hours % 24:02d}h00m"
        return f"{self.cell_type}_Phase_{self.well}_{self.location}_{time}_{crop}.tif"


@dataclass(frozen=True)
class LiveCellImage:
    """One crop.

    Attributes
    ----------
    file_name
        Bare name of the TIFF.
    frame
        The frame that it is cut from.
    crop
        1 top left, 2 bottom left, 3 top right, 4 bottom right.
    test
        Whether it lies in ``livecell_test_images``, else ``livecell_train_val_images``.
    written
        Whether there is a file of it.
    listed
        Whether an annotation file lists it.
    """

    file_name: str
    frame: FrameKey
    crop: int
    test: bool
    written: bool = True
    listed: bool = True


@dataclass(frozen=True)
class Listing:
    """One entry of an annotation file's ``images``.

    Attributes
    ----------
    image_id
        Its ``id``; its annotations have the ids that follow.
    image
        What it lists.
    split
        ``train``, ``val`` or ``test``.
    second
        Whether its contours are those of a second annotator.
    empty
        Whether it has no annotations.
    """

    image_id: int
    image: LiveCellImage
    split: str
    second: bool = False
    empty: bool = False


@dataclass(frozen=True)
class Plan:
    """All frames with their images, and all listings by annotation file, without ``.json``."""

    frames: dict[FrameKey, tuple[LiveCellImage, ...]]
    listings: dict[str, tuple[Listing, ...]] = field(default_factory=dict)


def plan_images(
    size: LiveCellSize,
    cell_types: Sequence[str],
    *,
    irregular_times: bool,
    unwritten: int,
    unlisted: int,
) -> dict[FrameKey, tuple[LiveCellImage, ...]]:
    """Frames every 4 hours of each field, with their crops."""
    frames: dict[FrameKey, list[LiveCellImage]] = {}
    for number, name in enumerate(CELL_TYPES):
        if name not in cell_types:
            continue
        count, total = size.fields[name], size.frames[name]
        tests = max(round(count * 0.29), 1)
        for index in range(count):
            # Test fields have wells of their own; where there are enough, a well has two fields.
            row, location = (index, 1) if count < 3 else (index // 2, 1 + index % 2)
            well = f"{'ABCDEFGH'[row]}{number + 4}"
            length = total // count + (index < total % count)
            for step in range(length):
                hours = 4 * step
                if irregular_times and step > 0:
                    hours += 4 * index + 4  # a frame is missing, and starts differ
                key = FrameKey(name, well, location, hours)
                frames[key] = [
                    LiveCellImage(key.file_name(crop), key, crop, test=index >= count - tests)
                    for crop in (1, 2, 3, 4)
                ]
    unknown = set(cell_types) - set(CELL_TYPES)
    if unknown:
        raise ArgumentError("no such cell type", found=sorted(unknown), expected=CELL_TYPES)
    if size.absent_crops:
        last = [key for key in frames if key.cell_type in ("MCF7", cell_types[-1])][-1]
        del frames[last][-size.absent_crops :]
    _mark(frames, unwritten, "written")
    _mark(frames, unlisted, "listed")
    return {key: tuple(images) for key, images in frames.items()}


def _mark(frames: dict[FrameKey, list[LiveCellImage]], count: int, what: str) -> None:
    """Set the flag `what` of `count` images to False, each in another frame of train_val."""
    crop = 1 if what == "written" else 2
    keys = [key for key, images in frames.items() if not images[0].test]
    for key in keys[:count]:
        old = frames[key][crop]
        frames[key][crop] = LiveCellImage(
            old.file_name,
            old.frame,
            old.crop,
            old.test,
            written=what != "written" and old.written,
            listed=what != "listed" and old.listed,
        )


def plan_listings(
    frames: dict[FrameKey, tuple[LiveCellImage, ...]],
    seed: int,
    *,
    doubled: int,
    in_both: int,
    empty: int,
    single_cells: bool,
    size_splits: bool,
) -> dict[str, tuple[Listing, ...]]:
    """Who is listed where: collection-wide, by cell type, by share of the training set.

    Every list is in the order of the frames.
    """
    rng = np.random.default_rng((seed, 1))
    splits: dict[str, list[Listing]] = {name: [] for name in SPLITS}
    next_id = 1
    for images in frames.values():
        for image in images:
            if image.listed:
                split = "test" if image.test else "val" if rng.random() < 0.15 else "train"
                splits[split].append(Listing(next_id, image, split))
                next_id += ID_BLOCK
    for split in ("val", "train"):  # a small set may have drawn none
        other = splits["train" if split == "val" else "val"]
        if not splits[split] and len(other) > 1:
            moved = other.pop()
            splits[split].append(Listing(moved.image_id, moved.image, split))
    for index in range(min(empty, len(splits["train"]))):
        old = splits["train"][-1 - index]
        splits["train"][-1 - index] = Listing(old.image_id, old.image, "train", empty=True)
    again = [(entry, "train", True) for entry in splits["train"][:doubled]]
    again += [(entry, "val", False) for entry in splits["train"][-in_both:][:in_both]]
    for entry, split, second in again:
        splits[split].append(Listing(next_id, entry.image, split, second, entry.empty))
        next_id += ID_BLOCK

    order_of = {key: index for index, key in enumerate(frames)}
    for entries in splits.values():
        entries.sort(key=lambda entry: (order_of[entry.image.frame], entry.image_id))
    listings = {f"LIVECell/livecell_coco_{name}": tuple(splits[name]) for name in SPLITS}
    if single_cells:
        for cell_type in dict.fromkeys(key.cell_type for key in frames):
            for name in SPLITS:
                listings[f"LIVECell_single_cells/{cell_type.lower()}/{name}"] = tuple(
                    entry for entry in splits[name] if entry.image.frame.cell_type == cell_type
                )
    if size_splits:
        order = rng.permutation(len(splits["train"]))
        for name, share in SIZE_SPLITS.items():
            chosen = sorted(order[: max(round(share * len(order)), 1)].tolist())
            listings[f"LIVECell_dataset_size_split/{name}"] = tuple(
                splits["train"][index] for index in chosen
            )
    return listings
