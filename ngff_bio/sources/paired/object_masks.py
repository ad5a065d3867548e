"""Images whose objects have a mask file each: the Data Science Bowl 2018 (BBBC038) and its like.

``ID/images/ID.png`` with ``ID/masks/*.png``: all masks beside the folder of one image are objects of
it. ``images/a.png`` with ``masks/a_1.png``, ``masks/a_2.png``, or ``masks/a/*.png``: masks named after
their image. A table has masks as run lengths, for images without mask files; ``classes.csv`` has the
kind of each image.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.images.mask_files import MaskFiles
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.run_length_csv import (
    Dialect,
    MaskTable,
    RunLengthRows,
    dialect_of,
    index_rows,
)
from ngff_bio.formats.text import text_of
from ngff_bio.model import Category, InstanceLayer, SourceDataset
from ngff_bio.sources.assembly import base_of, folder_of, image_files, probe_all, stem_of
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.paired.pairs import Pair, PairReader
from ngff_bio.sources.registry import Source

#: Name of the label layer.
LAYER = "masks"

_IMAGES = re.compile(r"^images?$", re.IGNORECASE)
_MASKS = re.compile(r"^masks?$", re.IGNORECASE)

#: Tables that show the form of answers to a competition.
_SAMPLES = ("*sample_submission*.csv",)

#: Columns of a table of the kinds of images.
_KINDS = {"filename", "foreground", "background"}

#: What follows the name of the image in that of a mask: a number, or a digest. Not a layer's name.
_OBJECT = re.compile(r"^[ _.-]+(?:(?:mask|object|obj|cell|nucleus)[ _.-]*)?\d+$|"
                     r"^[ _.-]+[0-9a-f]{16,}(?:-\d+)?$", re.IGNORECASE)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Masks:
    """Mask files by image, and those without one."""

    of: Mapping[str, list[str]]
    without_image: list[str]
    numbered: bool

    @property
    def single(self) -> bool:
        """Whether no image has two: what is named so can be a label image."""
        return all(len(masks) < 2 for masks in self.of.values())


def _find_masks(names: Iterable[str]) -> _Masks:
    """Masks of single objects, by the layout of folders."""
    images: dict[str, list[str]] = defaultdict(list)
    masks: dict[str, list[str]] = defaultdict(list)
    for name in image_files(names):
        *above, folder = folder_of(name).split("/")
        if _IMAGES.match(folder):
            images["/".join(above)].append(name)
        elif _MASKS.match(folder):
            masks["/".join(above)].append(name)
        elif above and _MASKS.match(above[-1]):
            masks["/".join(above[:-1])].append(name)
    found: dict[str, list[str]] = {}
    without, numbered = [], False
    for place, members in masks.items():
        beside = images.get(place, [])
        stems = {stem_of(n): n for n in beside}
        if not beside:
            without += members
        elif any(stem_of(m) in stems for m in members):
            continue  # label images
        elif len(beside) == 1 and base_of(place) == next(iter(stems)):
            found[beside[0]] = members
        else:
            owners = [_owner(m, stems) for m in members]
            if None not in owners:
                numbered = True
                for mask, owner in zip(members, owners, strict=True):
                    found.setdefault(str(owner), []).append(mask)
            elif len(beside) == 1 and len(members) > 1 and not any(owners):
                found[beside[0]] = members
    return _Masks(found, without, numbered)


def _owner(mask: str, images: Mapping[str, str]) -> str | None:
    """The image that a mask is named after, the longest name first."""
    stem, folder = stem_of(mask), base_of(folder_of(mask))
    if folder in images:
        return images[folder]
    for cut in range(len(stem) - 1, 0, -1):
        if stem[:cut] in images and _OBJECT.match(stem[cut:]):
            return images[stem[:cut]]
    return None


def _tables(tree: FileTree) -> dict[str, Dialect]:
    """Tables of masks, with their columns."""
    names = (n for n in tree.names() if n.lower().endswith(".csv") and not _matches(n, _SAMPLES))
    found = ((n, dialect_of(tree.file(n))) for n in names)
    return {n: dialect for n, dialect in found if dialect is not None}


def _matches(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(base_of(name).lower(), glob) for glob in globs)


def _kinds_of_images(tree: FileTree) -> dict[str, dict[str, dict[str, object]]]:
    """Tables ``filename,foreground,background``: the row of each image and its place, by table."""
    found: dict[str, dict[str, dict[str, object]]] = {}
    for name in tree.names():
        if not _matches(name, ("*classes.csv",)):
            continue
        text = text_of(tree.file(name), "the table").removeprefix("\ufeff")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        if rows and set(rows[0]) >= _KINDS:
            listed = ((n, r) for n, r in enumerate(rows, 1) if r["filename"])
            found[name] = {
                stem_of(r["filename"]): {"class": r, "class_at": [name, n]} for n, r in listed
            }
    return found


def detect(tree: FileTree) -> int:
    """1 if there are several masks for an image, or a table of masks and image files."""
    names = tree.names()
    masks = _find_masks(names)
    if masks.of and not (masks.numbered and masks.single):
        return 1
    return int(bool(image_files(names)) and bool(_tables(tree)))


def read(tree: FileTree, problems: Problems) -> SourceDataset:
    """Every image with its masks, overlaps kept; the name of each mask file is in its record."""
    names = tree.names()
    masks = _find_masks(names)
    files = {m for listed in masks.of.values() for m in listed}
    tables = _tables(tree)
    lost = masks.without_image
    if lost:
        problems.fail(
            SourceError(
                "masks without their image",
                file=lost[0],
                expected="one image file in a folder `images` beside the folder of masks",
                found=f"{len(lost)} masks without one",
                hint="add the image, or continue without such masks with --on-error skip",
            ),
            len(lost),
        )
    images = [n for n in image_files(names) if n not in files and n not in lost]
    reader = _Reader(tree, problems, masks.of, _read_tables(tree, tables, problems))
    headers, pairs = reader.pairs(images)
    kinds = _kinds_of_images(tree)
    of_image = {stem: row for rows in kinds.values() for stem, row in rows.items()}
    pairs = [
        replace(p, record={**p.record, **of_image.get(stem_of(p.files[0]), {})}) for p in pairs
    ]
    read_files = [*tables, *kinds]
    return PairReader(tree, problems, headers).dataset("object-masks", pairs, read_files=read_files)


#: For each image id the table that its rows are in, and its content.
_Rows = dict[str, tuple[str, MaskTable]]


def _read_tables(tree: FileTree, tables: Mapping[str, Dialect], problems: Problems) -> _Rows:
    found: _Rows = {}
    for name, dialect in tables.items():
        table = index_rows(tree.file(name), dialect)
        for image in table.rows:
            if image in found:
                problems.fail(
                    SourceError(
                        "an image has rows in two tables of masks",
                        file=name,
                        record=f"{dialect.image} {image}",
                        found=f"{found[image][0]} and {name}",
                        hint="remove one of the two files, or use the first with --on-error skip",
                    )
                )
                continue
            found[image] = (name, table)
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    tree: FileTree
    problems: Problems
    masks: Mapping[str, list[str]]
    rows: _Rows

    def pairs(self, names: list[str]) -> tuple[dict[str, ImageHeader], list[Pair]]:
        """Headers of the images, and each with its layer."""
        headers = probe_all(self.tree, names, self.problems)
        found = []
        for name, header in headers.items():
            with self.problems.caught():
                if not header.single:
                    raise SourceError(
                        "masks of objects are of an image that is not a single plane",
                        file=name,
                        expected="an image of rows x columns, in gray or color",
                        found=f"axes {header.axes} of {list(header.shape)}",
                        hint="skip such images with --on-error skip",
                    )
                folder = folder_of(name)
                parts = folder.split("/")
                if _IMAGES.match(parts[-1]):  # ID/images/ID.png is ID
                    alone = len(parts) > 1 and parts[-2] == stem_of(name)
                    folder = "/".join(parts[: -2 if alone else -1])
                layers = self._layers(name, header.size)
                record = self._empty_rows(name)
                found.append(Pair(folder, base_of(name), (name,), layers=layers, record=record))
        known = {k for n in headers for k in (stem_of(n), base_of(n))}
        lost = [i for i in self.rows if i not in known]
        if lost:
            name, table = self.rows[lost[0]]
            self.problems.fail(
                SourceError(
                    "rows of a table of masks have no image file",
                    file=name,
                    record=f"{table.dialect.image} {lost[0]}",
                    found=f"{len(lost)} images without a file",
                    hint="add the image files, or continue without such rows with --on-error skip",
                ),
                sum(len(self.rows[i][1].rows[i]) for i in lost),
            )
        return headers, found

    def _empty_rows(self, name: str) -> dict[str, object]:
        """The rows without runs of an image, and their places."""
        for key in (stem_of(name), base_of(name)):
            table, found = self.rows.get(key, ("", None))
            if found is not None and key in found.empty:
                return {"empty_rows": [[table, *row] for row in found.empty[key]]}
        return {}

    def _layers(self, name: str, size: tuple[int, int]) -> tuple[InstanceLayer, ...]:
        files = self.masks.get(name, [])
        key = next((k for k in (stem_of(name), base_of(name)) if k in self.rows), None)
        if key is not None:
            table, found = self.rows[key]
            spans = found.rows[key]
            if not files:
                rows = RunLengthRows(
                    self.tree.file(table),
                    found.dialect,
                    found.columns,
                    tuple(spans),
                    size,
                    self.problems.on_error,
                )
                return (_layer(rows, len(spans), self.problems, found.classes),)
            if len(spans) == len(files):
                self.problems.note(
                    "images have mask files and rows of a table: the mask files are read", table
                )
            else:
                self.problems.warn(
                    f"{len(files)} mask files, {len(spans)} rows of {table}: the mask files are read",
                    record=name,
                )
        if not files:
            self.problems.note("images without masks", record=name)
            return ()
        masks = MaskFiles(
            tuple(self.tree.file(m) for m in files), size, self.problems.on_error, self.tree.limits
        )
        return (_layer(masks, len(files), self.problems),)


def _layer(
    instances: MaskFiles | RunLengthRows,
    count: int,
    problems: Problems,
    classes: Iterable[str] = (),
) -> InstanceLayer:
    listed = tuple(Category(c, c) for c in classes)
    return InstanceLayer(LAYER, instances, count, count, listed, on_error=problems.on_error)


SOURCE = Source(
    name="object-masks",
    title="a mask file for each object (Data Science Bowl 2018), or run lengths in a CSV",
    layout="ID/images/ID.png with ID/masks/*.png; images/a.png with masks/a_1.png, masks/a_2.png; "
    "ImageId,EncodedPixels or id,annotation or id,rle in *.csv",
    detect=detect,
    read=read,
    belongs=_SAMPLES,
)
