"""Organoids in wells, imaged once a day: boxes (Detection) and identities over time (Tracking).

Layout: ``Organoid/{Detection,Tracking}/W_<well>_<n>/Proj_<N>.{tif,json}``. In both trees the TIFF is
the image and the JSON (of labelme 4.5.x) its annotation; the dataset's page swaps them for Detection.
``N`` counts days. What ``n`` counts is not published: it is an attribute of the field; fields are
numbered from 0 in each well.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from ngff_bio.errors import ArgumentError, SourceError, SourceNotFoundError
from ngff_bio.formats.images.composed import stack_pixels
from ngff_bio.formats.labelme.labelme import LabelmeFile, read_labelme
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.tiff.images import open_tiff
from ngff_bio.model import (
    Axis,
    Frame,
    InstanceLayer,
    Pixels,
    SourceDataset,
    SourceImage,
    SourcePlate,
    axes_from,
)
from ngff_bio.sources.assembly import given_twice
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.labelme.shapes import (
    SCALE_HELP,
    Scale,
    note_embedded,
    open_embedded,
    scale_to,
    shape_layer,
    shape_record,
)
from ngff_bio.sources.registry import Source

#: Hours between two frames, from the dataset's page.
INTERVAL = 24.0

#: Name of the label layer.
LAYER = "organoid"

TREES = ("Detection", "Tracking")

_NAME = re.compile(
    r"(?:^|/)(?:(?P<tree>Detection|Tracking)/)?W_(?P<row>[A-P])(?P<column>\d{1,2})_(?P<field>\d+)"
    r"/Proj_(?P<number>\d+)\.(?P<ext>tiff?|json)$",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Frame:
    """The pair of files of one time point."""

    number: int
    image: str | None = None
    annotation: str | None = None


@dataclass(slots=True)
class _Field:
    """The time points of one field of a well; ``number`` is the source's."""

    tree: str
    row: str
    column: int
    number: int
    frames: dict[int, _Frame] = field(default_factory=dict)

    @property
    def well(self) -> str:
        return f"{self.tree}/{self.row}/{self.column}"


def detect(tree: FileTree) -> int:
    """3 if image files are named as in the collection, 2 if only annotation files are."""
    matches = [m for n in tree.names() if (m := _NAME.search(n))]
    if not matches:
        return 0
    return 3 if any(m["ext"].lower() != "json" for m in matches) else 2


def read(
    tree: FileTree, problems: Problems, *, scale_annotations: bool = False, kind: str | None = None
) -> SourceDataset:
    """The wells that are there, a plate for each of the two trees.

    Parameters
    ----------
    scale_annotations
        Scale annotations whose file states another image size than the image has.
    kind
        ``Detection`` or ``Tracking``, if the names of folders do not state it.
    """
    reader = _Reader(tree, scale_annotations, problems)
    wells = groupby(_fields(tree, kind, problems), key=lambda f: f.well)
    images = [
        image
        for _, fields in wells
        for number, one in enumerate(fields)
        if (image := reader.image(one, number)) is not None
    ]
    if not images:
        raise SourceNotFoundError(
            "no image of the organoid collection found",
            file=tree.origin,
            expected="Detection/W_<well>_<n>/Proj_<N>.tif",
            hint="name the folder that holds Detection and Tracking",
        )
    return SourceDataset(
        name="organoid",
        source="organoid",
        origin=tree.origin,
        layout="plates",
        images=tuple(images),
        plates=tuple(_plates(images)),
    )


def _fields(tree: FileTree, kind: str | None, problems: Problems) -> list[_Field]:
    found: dict[tuple[str, str, int, int], _Field] = {}
    for name in tree.names():
        match = _NAME.search(name)
        if match is None:
            continue
        which = _tree_of(match["tree"], kind, tree.origin)
        key = (which, match["row"].upper(), int(match["column"]), int(match["field"]))
        frames = found.setdefault(key, _Field(*key)).frames
        frame = frames.setdefault(int(match["number"]), _Frame(int(match["number"])))
        part = "annotation" if match["ext"].lower() == "json" else "image"
        other = getattr(frame, part)
        if other is not None:
            raise given_twice(name, other)
        setattr(frame, part, name)
    return [found[key] for key in sorted(found)]


def _tree_of(named: str | None, kind: str | None, origin: str) -> str:
    """The tree of a file: from its own path, the option, or the path of the source."""
    given = named or kind
    if given is None:
        parts = {p.lower() for p in re.split(r"[/\\.]", origin)}
        known = [t for t in TREES if t.lower() in parts]
        given = known[0] if len(known) == 1 else None
    if given is None or given.capitalize() not in TREES:
        raise ArgumentError(
            "it is unknown whether labels are classes or identities",
            file=origin,
            expected=" or ".join(TREES),
            found=given,
            hint="name the folder above Detection or Tracking, or add -O kind=Tracking",
        )
    return given.capitalize()


def _plates(images: Sequence[SourceImage]) -> list[SourcePlate]:
    """A plate for each tree, with the rows and columns that are in use."""
    wells: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for image in images:
        name, row, column, _ = image.path.split("/")
        wells[name].add((row, int(column)))
    return [
        SourcePlate(
            path=name,
            name=name,
            rows=tuple(sorted({row for row, _ in used})),
            columns=tuple(str(c) for c in sorted({column for _, column in used})),
        )
        for name, used in sorted(wells.items())
    ]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the images of fields."""

    tree: FileTree
    scale_annotations: bool
    problems: Problems

    def image(self, one: _Field, place: int) -> SourceImage | None:
        """The image of a field, at its place in the well; ``None`` if no frame is readable."""
        frames: list[tuple[_Frame, Pixels, LabelmeFile | None]] = []
        for number in sorted(one.frames):
            frame = one.frames[number]
            content = self._annotation(frame)
            with self.problems.caught():
                pixels = self._pixels(frame, content)
                if pixels is not None:
                    frames.append((frame, pixels, content))
        if not frames:
            return None
        names = [f.image or f.annotation or "" for f, _, _ in frames]
        stack = stack_pixels([p for _, p, _ in frames], "yx", "t", [len(frames)], names)
        contents: list[LabelmeFile | None] = [None] * len(frames)
        scales: list[Scale] = [(1.0, 1.0)] * len(frames)
        sizes = [(p.shape[0], p.shape[1]) for _, p, _ in frames]
        for t, (_, _, content) in enumerate(frames):
            if content is not None:
                with self.problems.caught():
                    scales[t] = scale_to(content, sizes[t], self.scale_annotations, self.problems)
                    contents[t] = content
        labels: tuple[InstanceLayer, ...] = ()
        if any(contents):
            tracked = one.tree == "Tracking"
            labels = (shape_layer(LAYER, self.tree, contents, scales, tracked=tracked),)
        axis, elapsed, start = _times([f.number for f, _, _ in frames])
        return SourceImage(
            path=f"{one.well}/{place}",
            name=f"W_{one.row}{one.column}_{one.number}",
            axes=(axis, *axes_from("yx")),
            pixels=stack,
            labels=labels,
            frames=tuple(
                Frame(
                    name=names[t],
                    t=t,
                    size=None if sizes[t] == stack.shape[-2:] else sizes[t],
                    elapsed_hours=elapsed[t],
                    record={"number": frame.number}
                    | ({} if content is None else shape_record(content, scales[t])),
                )
                for t, ((frame, _, _), content) in enumerate(zip(frames, contents, strict=True))
            ),
            translation=None if start == 0 else (start, 0.0, 0.0),
            attributes={"field": one.number},
        )

    def _annotation(self, frame: _Frame) -> LabelmeFile | None:
        if frame.annotation is None:
            self.problems.warn("images without annotations", record=frame.image)
            return None
        content = None
        with self.problems.caught():
            content = read_labelme(self.tree.file(frame.annotation), self.problems)
            if frame.image is not None:
                note_embedded(content, self.problems)
        return content

    def _pixels(self, frame: _Frame, content: LabelmeFile | None) -> Pixels | None:
        """The plane of a frame; ``None`` if its only file is not readable."""
        if frame.image is not None:
            images = open_tiff(self.tree.file(frame.image), limits=self.tree.limits)
            planes: list[tuple[Pixels, str]] = [(i.pixels, i.pixels.axes) for i in images]
        elif content is not None:
            stack = open_embedded(self.tree, content, f"Proj_{frame.number}.tif")
            planes = [(stack, stack.axes)]
        else:
            return None
        if len(planes) != 1 or planes[0][1] != "yx":
            raise SourceError(
                "the image is not a single grey plane",
                file=frame.image or frame.annotation,
                expected="rows x columns",
                found=", ".join(f"{axes} of {pixels.shape}" for pixels, axes in planes),
            )
        return planes[0][0]


def _times(numbers: Sequence[int]) -> tuple[Axis, list[float], float]:
    """The t axis, hours of each frame since frame 1 (or 0, if there is one), and of the first.

    Where days are missing, the axis has no step, and each frame has its time.
    """
    elapsed = [INTERVAL * (n - min(1, numbers[0])) for n in numbers]
    if any(b - a != 1 for a, b in pairwise(numbers)):
        return Axis("t"), elapsed, 0.0
    return Axis("t", INTERVAL, "hour"), elapsed, elapsed[0]


SOURCE = Source(
    name="organoid",
    title="organoids in wells: boxes and tracks over days",
    layout="{Detection,Tracking}/W_<well>_<n>/Proj_<N>.tif with Proj_<N>.json beside it",
    detect=detect,
    read=read,
    options={
        "scale_annotations": SCALE_HELP,
        "kind": "Detection or Tracking, if the names of folders do not state it",
    },
)
