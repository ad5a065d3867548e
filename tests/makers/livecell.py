"""Makes the LIVECell collection: phase contrast crops, COCO files, nuclear count benchmark."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from makers.archives import add_member
from makers.livecell_counts import CountTruth, write_count_benchmark
from makers.livecell_frames import Frame, FrameRecipe, RecordStyle, draw_frame, records
from makers.livecell_json import CocoFiles, image_entry, record_bytes, rest_of_file
from makers.livecell_plan import (
    CELL_TYPES,
    SIZES,
    SPLITS,
    FrameKey,
    Listing,
    LiveCellImage,
    LiveCellSize,
    plan_images,
    plan_listings,
)
from makers.truth import Truth, preset, written_below
from ngff_bio.errors import ArgumentError


@dataclass(frozen=True)
class LiveCellTruth(Truth):
    """What went into the collection. Pixels and records are made again when asked for.

    Attributes
    ----------
    images
        Every image of the plan by file name, also those without a file.
    image_files
        Where the written ones lie: below `root`, or inside ``images.zip``.
    annotation_files
        Path of each annotation file by name, such as ``LIVECell/livecell_coco_train``.
    listings
        What each of them lists, in order.
    recipes
        What each frame is drawn from.
    crop
        Rows and columns of an image.
    style, as_object, categories
        How the records are written.
    truncated
        The annotation file that was cut short, if any.
    counts
        The nuclear count benchmark by its name, ``A172`` or ``A549``.
    """

    images: dict[str, LiveCellImage]
    image_files: dict[str, str]
    annotation_files: dict[str, Path]
    listings: dict[str, tuple[Listing, ...]]
    recipes: dict[FrameKey, FrameRecipe]
    crop: tuple[int, int]
    style: RecordStyle
    as_object: bool
    categories: list[dict[str, Any]] | None
    truncated: str | None
    counts: dict[str, CountTruth]

    def frame(self, key: FrameKey) -> Frame:
        """The whole frame that the crops of `key` are cut from."""
        return _drawn(self.recipes[key])

    def pixels(self, file_name: str) -> NDArray[np.uint8]:
        """Pixels of one image, (rows, columns) uint8."""
        image = self.images[file_name]
        return self.frame(image.frame).crop(image.crop)

    def records(self, listing: Listing) -> list[dict[str, Any]]:
        """The annotations of one listing, as they were written."""
        if listing.empty:
            return []
        contours = self.frame(listing.image.frame).contours[listing.image.crop]
        return records(contours, self.crop, listing.image_id, listing.second, self.style)

    def coco(self, name: str) -> dict[str, Any]:
        """The whole content of one annotation file, before any truncation."""
        listings = self.listings[name]
        found = [record for listing in listings for record in self.records(listing)]
        annotations: Any = found
        if self.as_object:
            annotations = {str(record["id"]): record for record in found}
        head = {"images": [image_entry(each, self.crop) for each in listings]}
        return {**head, "annotations": annotations, **rest_of_file(self.categories)}


@lru_cache(maxsize=16)
def _drawn(recipe: FrameRecipe) -> Frame:
    return draw_frame(recipe)


def make_livecell(
    folder: Path,
    *,
    size: str | LiveCellSize = "tiny",
    seed: int = 0,
    cell_types: Sequence[str] = CELL_TYPES,
    zipped: bool = False,
    by_cell_type: bool = False,
    single_cells: bool = True,
    size_splits: bool = True,
    count_benchmark: Sequence[str] = (),
    counts_as: Literal["int", "float", "str", "mixed"] = "str",
    irregular_times: bool = False,
    annotations_as: Literal["list", "object"] = "list",
    categories: Literal["listed", "missing"] = "listed",
    category_id: int = 1,
    crowd_every: int = 0,
    crowd_counts: Literal["list", "str", "both"] = "both",
    parts_every: int = 0,
    repeated: int = 0,
    doubled: int = 0,
    in_both: int = 0,
    without_annotations: int = 0,
    without_file: int = 0,
    without_listing: int = 0,
    truncate: str | None = None,
    stray_files: bool = False,
    processes: int = 1,
) -> LiveCellTruth:
    """Write ``livecell-dataset/LIVECell_dataset_2021/`` below `folder`.

    Parameters
    ----------
    folder
        Where ``livecell-dataset`` is made.
    size
        ``tiny`` (crops of 52x70, 2 fields of 2 frames a cell type: 128 images), ``small`` (130x176,
        3 fields of 3 frames), ``full`` (5,239 images of 520x704, about 1.6 million contours, less
        than 4 GB; some minutes), or the numbers themselves.
    seed
        Same seed, same bytes.
    cell_types
        Which of the eight.
    zipped
        Whether the images lie in ``images.zip`` instead of the folder ``images``.
    by_cell_type
        Whether images lie in cell-type folders (older copies) or flat (newer ones).
    single_cells, size_splits
        Whether those annotation files are written too.
    count_benchmark, counts_as
        Which of ``A172`` and ``A549`` to write below ``nuclear_count_benchmark``, and in which type
        a count is written.
    irregular_times
        Whether frames are missing from the series and fields start apart. Else every 4 hours.
    annotations_as
        ``list``, or ``object`` keyed by id (text) while ``id`` is a number.
    categories, category_id
        Whether ``categories`` is there, and the id that the records name.
    crowd_every, crowd_counts
        Every so many annotations one is a run-length object with ``iscrowd`` 1; its counts are a
        list, a str, or both in turn.
    parts_every
        Every so many annotations one has two polygons.
    repeated
        How many contours of each image come twice, under two ids. (Contours overlap anyway.)
    doubled
        How many images the training set lists twice, with a second annotator's contours.
    in_both
        How many training images the validation set lists too, with the same contours.
    without_annotations
        How many listed training images have none.
    without_file
        How many listed images have no file.
    without_listing
        How many files no annotation file lists.
    truncate
        Name of an annotation file that ends early, such as ``LIVECell/livecell_coco_val``.
    stray_files
        Whether files lie about that are no data: models, a README, what archivers leave.
    processes
        How many processes draw. More than one needs the caller to be importable.
    """
    shape = preset(size, SIZES) if isinstance(size, str) else size
    root = Path(folder) / "livecell-dataset" / "LIVECell_dataset_2021"
    frames = plan_images(
        shape,
        cell_types,
        irregular_times=irregular_times,
        unwritten=without_file,
        unlisted=without_listing,
    )
    listings = plan_listings(
        frames,
        seed,
        doubled=doubled,
        in_both=in_both,
        empty=without_annotations,
        single_cells=single_cells,
        size_splits=size_splits,
    )
    if truncate is not None and truncate not in listings:
        raise ArgumentError("no such annotation file", found=truncate, expected=list(listings))
    style = RecordStyle(crowd_every, crowd_counts, parts_every, repeated, category_id)
    recipes = _recipes(frames, shape, seed)
    images = {image.file_name: image for group in frames.values() for image in group}
    image_files = {
        name: f"images/{_place(image, by_cell_type)}"
        for name, image in images.items()
        if image.written
    }
    all_categories = None
    if categories == "listed":
        all_categories = [{"supercategory": "cell", "id": category_id, "name": "cell"}]

    shutil.rmtree(root, ignore_errors=True)
    annotation_files = {name: root / "annotations" / f"{name}.json" for name in listings}
    for path in [*annotation_files.values(), *(root / place for place in image_files.values())]:
        if path.suffix == ".json" or not zipped:
            path.parent.mkdir(parents=True, exist_ok=True)
    tasks = _tasks(root, recipes, listings, image_files, images, style, zipped, annotations_as)
    as_object = annotations_as == "object"
    coco = CocoFiles(annotation_files, listings, shape.crop, all_categories, as_object)
    with coco, _archive(root / "images.zip", zipped) as archive:
        for made in _ordered(tasks, processes):
            for listing, content in made.fragments:
                coco.take(listing, content)
            for place, content in made.tiffs:
                add_member(archive, place, content)
    if truncate is not None:
        path = annotation_files[truncate]
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size * 3 // 5)
    counts = {
        name: write_count_benchmark(
            root / "nuclear_count_benchmark", name, shape.crop, seed, counts_as
        )
        for name in count_benchmark
    }
    if stray_files:
        _write_stray_files(root)
    return LiveCellTruth(
        root=root,
        files=written_below(root.parent),
        images=images,
        image_files=image_files,
        annotation_files=annotation_files,
        listings=listings,
        recipes=recipes,
        crop=shape.crop,
        style=style,
        as_object=as_object,
        categories=all_categories,
        truncated=truncate,
        counts=counts,
    )


def _recipes(
    frames: Mapping[FrameKey, object], size: LiveCellSize, seed: int
) -> dict[FrameKey, FrameRecipe]:
    fields: dict[tuple[str, str, int], list[FrameKey]] = {}
    for key in frames:
        fields.setdefault(key[:3], []).append(key)
    return {
        key: FrameRecipe(
            key, seed, size.crop, size.cells[key.cell_type], index / max(len(keys) - 1, 1)
        )
        for keys in fields.values()
        for index, key in enumerate(keys)
    }


def _place(image: LiveCellImage, by_cell_type: bool) -> str:
    top = "livecell_test_images" if image.test else "livecell_train_val_images"
    middle = f"{image.frame.cell_type}/" if by_cell_type else ""
    return f"{top}/{middle}{image.file_name}"


def _archive(path: Path, zipped: bool) -> zipfile.ZipFile:
    """The archive of the images; one in memory, never filled, where they are not zipped."""
    target: Any = path if zipped else io.BytesIO()
    if zipped:
        path.parent.mkdir(parents=True, exist_ok=True)
    return zipfile.ZipFile(target, "w")


@dataclass(frozen=True)
class _Task:
    """One frame to draw, its files to write, its listings to put into JSON."""

    recipe: FrameRecipe
    files: tuple[tuple[int, str], ...]
    root: Path | None
    listings: tuple[Listing, ...]
    style: RecordStyle
    as_object: bool


@dataclass(frozen=True)
class _Made:
    tiffs: list[tuple[str, bytes]]
    fragments: list[tuple[Listing, bytes]]


def _tasks(
    root: Path,
    recipes: dict[FrameKey, FrameRecipe],
    listings: dict[str, tuple[Listing, ...]],
    image_files: dict[str, str],
    images: dict[str, LiveCellImage],
    style: RecordStyle,
    zipped: bool,
    annotations_as: str,
) -> Iterator[_Task]:
    files: dict[FrameKey, list[tuple[int, str]]] = {key: [] for key in recipes}
    for name, place in image_files.items():
        files[images[name].frame].append((images[name].crop, place))
    listed: dict[FrameKey, list[Listing]] = {key: [] for key in recipes}
    for split in SPLITS:
        for listing in listings[f"LIVECell/livecell_coco_{split}"]:
            listed[listing.image.frame].append(listing)
    for key, recipe in recipes.items():
        yield _Task(
            recipe,
            tuple(files[key]),
            None if zipped else root,
            tuple(listed[key]),
            style,
            annotations_as == "object",
        )


def _make(task: _Task) -> _Made:
    frame = draw_frame(task.recipe)
    tiffs = []
    for crop, place in task.files:
        target: Any = io.BytesIO() if task.root is None else task.root / place
        tifffile.imwrite(
            target,
            frame.crop(crop),
            photometric="minisblack",
            compression="lzw",
            predictor=True,
            rowsperstrip=11,
            metadata=None,
            software=False,
        )
        if task.root is None:
            tiffs.append((place, target.getvalue()))
    fragments = []
    for listing in task.listings:
        found = []
        if not listing.empty:
            contours = frame.contours[listing.image.crop]
            crop_shape = task.recipe.crop
            found = records(contours, crop_shape, listing.image_id, listing.second, task.style)
        fragments.append((listing, record_bytes(found, task.as_object)))
    return _Made(tiffs, fragments)


def _ordered(tasks: Iterator[_Task], processes: int) -> Iterator[_Made]:
    """What the tasks make, in their order, with few of them waiting in memory."""
    if processes <= 1:
        yield from map(_make, tasks)
        return
    with ProcessPoolExecutor(processes) as pool:
        waiting: deque[Future[_Made]] = deque()
        for task in tasks:
            waiting.append(pool.submit(_make, task))
            if len(waiting) >= 4 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _write_stray_files(root: Path) -> None:
    """Files that are no data: the collection's own, and what archivers and desktops leave."""
    for place, content in (
        ("../README.md", b"# LIVECell\n"),
        ("../LICENSE", b"CC BY-NC 4.0\n"),
        ("models/Anchor_free/ALL/model.pth", b"\x80\x02."),
        ("images/.DS_Store", b"\x00\x00\x00\x01Bud1"),
        ("images/__MACOSX/._A172_Phase_A4_1_00d00h00m_1.tif", b"\x00\x05\x16\x07"),
        ("images/Thumbs.db", b"\xd0\xcf\x11\xe0"),
    ):
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
