"""Test folders of miLab: focal stacks of fields of view, with predicted cells as boxes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.milab import MilabCell, MilabImage, class_name, read_milab
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Category, Instance, InstanceLayer, SourceImage, SourceParts
from ngff_bio.sources.assembly import base_of, folder_of, probe_all
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.wbc.stacks import planes_of, stack_image

_NUMBER = r"-?\d+(?:\.\d+)?"
_PLANE = re.compile(
    rf"^(?P<field>(?P<number>\d+)_(?P<x>{_NUMBER})_(?P<y>{_NUMBER}))_(?P<plane>\d{{3}})"
    rf"_(?P<score>{_NUMBER})\.jpe?g$",
    re.IGNORECASE,
)

#: Names of the predictions; the second is the spelling of the dataset's page.
PREDICTIONS = ("analyze_result.json", "anlayze_result.json", "milab_result.json")

LAYER = "cell"


def has_fields(names: list[str]) -> bool:
    """Whether planes or predictions are among the names."""
    return any(base_of(n) in PREDICTIONS or _PLANE.match(base_of(n)) for n in names)


@dataclass(slots=True)
class _Stack:
    """The planes of one field of view, by their number."""

    folder: str
    name: str
    number: int
    position: dict[str, float]
    files: dict[int, str] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FieldCells:
    """The cells of one field of view: few, so they are kept in memory."""

    cells: tuple[Instance, ...]

    def read(self, t: int) -> list[Instance]:
        """All of them: there is one frame."""
        return list(self.cells)

    def source_parts(self) -> SourceParts:
        """The cells."""
        return [repr(cell) for cell in self.cells]


def read_fields(
    tree: FileTree, problems: Problems, used: set[str]
) -> Iterator[tuple[str, SourceImage]]:
    """Every field of view with its folder, in order of folder and number.

    Parameters
    ----------
    used
        Names of the files of this kind are added to it.
    """
    stacks = _stacks(tree, problems, used)
    predictions: dict[str, tuple[MilabImage, ...]] = {}
    for name in tree.names():
        if base_of(name) in PREDICTIONS:
            used.add(name)
            with problems.caught():
                predictions[name] = read_milab(tree.file(name), problems)
    listed: dict[int, dict[str, MilabImage]] = defaultdict(dict)
    for name, entries in predictions.items():
        inside = [s for s in stacks if s.folder == folder_of(name)]
        if not inside:
            problems.skip("predictions without any image in their folder", file=name)
        for entry in entries:
            with problems.caught():
                stack = _stack_of(entry, inside, name, problems)
                if stack is None:
                    continue
                if name in listed[id(stack)]:
                    raise SourceError(
                        "two entries are of one image",
                        file=name,
                        record=f"image {entry.key!r}",
                        hint="remove one of the two",
                    )
                listed[id(stack)][name] = entry
    files = [s.files[plane] for s in stacks for plane in sorted(s.files)]
    headers = probe_all(tree, files, problems)
    classes = _categories(predictions)
    for stack in stacks:
        if not listed[id(stack)]:
            problems.note("images that no predictions list: they have no cells", record=stack.name)
        with problems.caught():
            image = _image(tree, stack, listed[id(stack)], headers, classes, problems)
            if image is not None:
                yield stack.folder, image


def _stacks(tree: FileTree, problems: Problems, used: set[str]) -> list[_Stack]:
    """Stacks by folder, number and position: the score differs from plane to plane."""
    found: dict[tuple[str, str], _Stack] = {}
    for name in tree.names():
        match = _PLANE.match(base_of(name))
        if match is None:
            continue
        used.add(name)
        folder = folder_of(name)
        key = (folder, match["field"])
        if key not in found:
            position = {a: _plain(match[a]) for a in "xy"}
            found[key] = _Stack(folder, match["field"], int(match["number"]), position)
        stack, plane = found[key], int(match["plane"])
        if plane in stack.files:
            problems.fail(
                SourceError(
                    "two files are one plane of a stack",
                    file=name,
                    record=f"plane {plane}",
                    found=f"{base_of(stack.files[plane])} too",
                    hint="keep one of the two",
                )
            )
            continue
        stack.files[plane] = name
        stack.scores[plane] = _plain(match["score"])
    return sorted(found.values(), key=lambda s: (s.folder, s.number, s.name))


def _plain(text: str) -> float:
    return float(text) if "." in text else int(text)


def _stack_of(
    entry: MilabImage, stacks: list[_Stack], file: str, problems: Problems
) -> _Stack | None:
    """The stack of an entry: by its ``img_name``, else by its number."""
    number = int(entry.key) + 1
    record = f"image {entry.key!r}"
    if entry.img_name is None:
        chosen = [s for s in stacks if s.number == number]
        if len(chosen) > 1:
            raise SourceError(
                "an image index matches several stacks",
                file=file,
                record=record,
                expected="one stack of each number, if there is no img_name",
                found=", ".join(s.name for s in chosen),
            )
    else:
        match = _PLANE.match(entry.img_name)
        if match is None or int(match["number"]) != number:
            raise SourceError(
                "img_name and the image index disagree",
                file=file,
                record=record,
                expected=f"{number:04}_<x>_<y>_<plane>_<score>.jpg: the index is the number less 1",
                found=entry.img_name,
                hint="correct the file, or skip the image with --on-error skip",
            )
        chosen = [s for s in stacks if s.name == match["field"]]
    if not chosen:
        problems.skip(
            "listed images not found: their cells are skipped",
            file=file,
            record=f"{record} with {len(entry.cells)} cells",
        )
        return None
    stack = chosen[0]
    if entry.img_name is not None and entry.img_name not in map(base_of, stack.files.values()):
        problems.warn(
            f"the plane of img_name, {entry.img_name}, is missing; others of its stack are not",
            file=file,
            record=record,
        )
    return stack


def _categories(predictions: dict[str, tuple[MilabImage, ...]]) -> tuple[Category, ...]:
    """All predicted classes, by number."""
    found = {c.prediction for entries in predictions.values() for e in entries for c in e.cells}
    return tuple(Category(n, class_name(n)) for n in sorted(n for n in found if n is not None))


def _image(
    tree: FileTree,
    stack: _Stack,
    listed: dict[str, MilabImage],
    headers: dict[str, ImageHeader],
    classes: tuple[Category, ...],
    problems: Problems,
) -> SourceImage | None:
    image = stack_image(tree, stack.name, stack.files, headers, problems, stack.scores)
    if image is None:
        return None
    rows, columns = image.pixels.shape[-2:]
    return replace(
        image,
        labels=tuple(
            _layer(
                file, entry, (rows, columns), planes_of(image), len(listed) > 1, classes, problems
            )
            for file, entry in listed.items()
        ),
        attributes={
            "test": base_of(stack.folder) or PurePath(tree.origin).stem,
            "img_num": stack.number,
            "stage_position": stack.position,
        },
    )


def _layer(
    file: str,
    entry: MilabImage,
    size: tuple[int, int],
    planes: list[int],
    several: bool,
    classes: tuple[Category, ...],
    problems: Problems,
) -> InstanceLayer:
    """Cells as boxes on the plane of their focus, or on every plane if they have none."""
    cells: list[Instance] = []
    lost = 0
    for cell in entry.cells:
        with problems.caught():
            _check_inside(cell, size, file, f"image {entry.key!r}, cell {cell.key!r}")
            z = planes.index(cell.focus) if cell.focus in planes else None
            lost += z is None and cell.focus is not None
            cells.append(_instance(cell, len(cells) + 1, z))
    if lost:
        problems.warn(
            f"{lost} cells are in focus on a plane that is missing: they are drawn on every plane",
            file=file,
            record=f"image {entry.key!r}",
        )
    return InstanceLayer(
        name=f"{LAYER}-{base_of(file).removesuffix('.json')}" if several else LAYER,
        instances=FieldCells(tuple(cells)),
        count=len(cells),
        max_value=len(cells),
        categories=classes,
        attributes={
            "file": file,
            "schema": entry.schema,
            "key": entry.key,
            "position": entry.position,
            "entry": dict(entry.entry),
        },
    )


def _check_inside(cell: MilabCell, size: tuple[int, int], file: str, record: str) -> None:
    x, y, width, height = cell.location
    rows, columns = size
    if x >= columns or y >= rows or x + width <= 0 or y + height <= 0:
        raise SourceError(
            "a location is outside of its image",
            file=file,
            record=record,
            expected=f"within {columns} x {rows} pixels",
            found=f"x {x}, y {y}, width {width}, height {height}",
            hint="correct the file, or skip the cell with --on-error skip",
        )


def _instance(cell: MilabCell, value: int, z: int | None) -> Instance:
    known = cell.prediction
    return Instance(
        value=value,
        geometry=cell.box,
        z=z,
        category=None if known is None else class_name(known),
        category_id=known,
        source_id=cell.key,
        box=cell.location,
        record=cell.record,
    )
