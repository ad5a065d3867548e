"""Organoids in wells, imaged once a day: boxes (Detection) and identities over time (Tracking).

Layout: ``Organoid/{Detection,Tracking}/W_<well>_<n>/Proj_<N>.{tif,json}``. In both trees the TIFF is
the image and the JSON (of labelme 4.5.x) its annotation; the dataset's page has them swapped for
Detection.
``N`` counts days, and is sorted as a number. What ``n`` counts is not published: it names the field.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ngff_bio.errors import ArgumentError, SourceError, SourceNotFoundError
from ngff_bio.formats.images.composed import stack_pixels
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.labelme.labelme import (
    EmbeddedImage,
    LabelmeFile,
    LabelmeInstances,
    read_labelme,
)
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.tiff.images import open_tiff
from ngff_bio.model import (
    Axis,
    Category,
    Frame,
    InstanceLayer,
    OnError,
    Pixels,
    SourceDataset,
    SourceFile,
    SourceImage,
    SourcePlate,
    axes_from,
)
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.headers import DOCUMENTS
from ngff_bio.sources.registry import Source

#: Hours between two frames, as the dataset's page says.
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
    """The time points of one field of a well."""

    tree: str
    row: str
    column: int
    number: int
    frames: dict[int, _Frame] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"{self.tree}/{self.row}/{self.column}/{self.number}"


def detect(tree: FileTree) -> int:
    """Sure where files are named as the collection's are."""
    matches = [m for n in tree.names() if (m := _NAME.search(n))]
    if not matches:
        return 0
    return 3 if any(m["ext"].lower() != "json" for m in matches) else 2


def read(
    tree: FileTree,
    *,
    on_error: OnError = "stop",
    scale_annotations: bool = False,
    kind: str | None = None,
) -> SourceDataset:
    """The wells that are there, a plate for each of the two trees.

    Parameters
    ----------
    on_error
        ``stop`` at the first wrong file or record, or ``skip`` it and report.
    scale_annotations
        Scale annotations whose file gives another image size than the image has.
    kind
        ``Detection`` or ``Tracking``, where the folders' names do not say it.

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If there is no image.
    ngff_bio.errors.SourceError
        If a file is damaged, or annotations do not fit their image.
    ngff_bio.errors.ArgumentError
        If it cannot be known which of the two trees it is.
    """
    problems = Problems(on_error)
    fields = _fields(tree, kind, problems)
    reader = _Reader(tree, scale_annotations, problems)
    images = []
    for one in fields:
        image = reader.image(one)
        if image is not None:
            images.append(image)
    if not images:
        raise SourceNotFoundError(
            "no image of the organoid collection is here",
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
        notices=problems.gathered(),
    )


def _fields(tree: FileTree, kind: str | None, problems: Problems) -> list[_Field]:
    found: dict[tuple[str, str, int, int], _Field] = {}
    for name in tree.names():
        match = _NAME.search(name)
        if match is None:
            if not name.lower().endswith(DOCUMENTS):
                problems.skip("not a file of this collection", record=name)
            continue
        which = _tree_of(match["tree"], kind, tree.origin)
        key = (which, match["row"].upper(), int(match["column"]), int(match["field"]))
        frames = found.setdefault(key, _Field(*key)).frames
        frame = frames.setdefault(int(match["number"]), _Frame(int(match["number"])))
        part = "annotation" if match["ext"].lower() == "json" else "image"
        other = getattr(frame, part)
        if other is not None:
            raise SourceError(
                "two files are the same part of the collection",
                file=name,
                found=f"{other} and {name}",
                hint="keep one of the two",
            )
        setattr(frame, part, name)
    return [found[key] for key in sorted(found)]


def _tree_of(named: str | None, kind: str | None, origin: str) -> str:
    """Which of the two trees a file is of: its own path says it, or the source's, or the user."""
    given = named or kind
    if given is None:
        parts = {p.lower() for p in re.split(r"[/\\.]", origin)}
        known = [t for t in TREES if t.lower() in parts]
        given = known[0] if len(known) == 1 else None
    if given is None or given.capitalize() not in TREES:
        raise ArgumentError(
            "the folders do not say whether labels are classes or identities",
            file=origin,
            expected=" or ".join(TREES),
            found=given,
            hint="name the folder above Detection or Tracking, or say it with --kind Tracking",
        )
    return given.capitalize()


def _plates(images: Sequence[SourceImage]) -> list[SourcePlate]:
    """A plate for each tree; of its layout only what is in use is known."""
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


@dataclass(slots=True)
class _Reader:
    """Makes images of fields, and notes what was passed over."""

    tree: FileTree
    scale_annotations: bool
    problems: Problems

    def image(self, one: _Field) -> SourceImage | None:
        """The image of a field; ``None`` if none of its frames can be read."""
        frames, pixels, files, contents = [], [], [], []
        for number in sorted(one.frames):
            frame = one.frames[number]
            content = self._annotation(frame)
            opened = self._pixels(frame, content)
            if opened is None:
                continue
            frames.append(frame)
            pixels.append(opened)
            contents.append(content)
            files.append(self.tree.file(frame.annotation) if content and frame.annotation else None)
        if not frames:
            return None
        names = [f.image or f.annotation or "" for f in frames]
        stack = stack_pixels(pixels, "yx", "t", [len(pixels)], names)
        scales = [
            self._scale(content, (p.shape[0], p.shape[1]))
            for content, p in zip(contents, pixels, strict=True)
        ]
        kept = [None if s is None else f for f, s in zip(files, scales, strict=True)]
        contents = [None if s is None else c for c, s in zip(contents, scales, strict=True)]
        layer = _layer(one.tree == "Tracking", kept, contents, [s or (1, 1) for s in scales])
        axes, elapsed, start = _times([f.number for f in frames])
        return SourceImage(
            path=one.path,
            name=f"W_{one.row}{one.column}_{one.number}",
            axes=(axes, *axes_from("yx")),
            pixels=stack,
            labels=() if layer is None else (layer,),
            frames=tuple(
                Frame(
                    name=names[t],
                    t=t,
                    size=_own_size(pixels[t], stack.shape),
                    elapsed_hours=elapsed[t],
                    record=_record(frames[t], contents[t], scales[t]),
                )
                for t in range(len(frames))
            ),
            translation=None if start == 0 else (start, 0.0, 0.0),
        )

    def _annotation(self, frame: _Frame) -> LabelmeFile | None:
        if frame.annotation is None:
            self.problems.warn("images without annotations", record=frame.image)
            return None
        try:
            content = read_labelme(self.tree.file(frame.annotation), self.problems)
        except SourceError as error:
            self.problems.fail(error)
            return None
        if content.embedded and frame.image is not None:
            what = "images inside labelme files are not kept: they are beside them"
            self.problems.note(what, record=frame.annotation)
        return content

    def _pixels(self, frame: _Frame, content: LabelmeFile | None) -> Pixels | None:
        try:
            if frame.image is None:
                return self._embedded(frame, content)
            images = open_tiff(self.tree.file(frame.image), limits=self.tree.limits)
            if len(images) != 1 or images[0].pixels.axes != "yx":
                raise SourceError(
                    "the image is no grey plane",
                    file=frame.image,
                    expected="rows x columns",
                    found=", ".join(f"{i.pixels.axes} of {i.pixels.shape}" for i in images),
                )
            return images[0].pixels
        except SourceError as error:
            self.problems.fail(error)
            return None

    def _embedded(self, frame: _Frame, content: LabelmeFile | None) -> Pixels | None:
        """The image inside the annotation file, used only where there is no other."""
        if content is None or frame.annotation is None:
            return None
        file: SourceFile = self.tree.file(frame.annotation)
        if not content.embedded:
            raise SourceError(
                "annotations without their image",
                file=frame.annotation,
                expected=f"Proj_{frame.number}.tif beside it",
                found="no such file",
                hint="add the image, or pass such files over with --on-error skip",
            )
        stack = stack_frames([EmbeddedImage(file)], limits=self.tree.limits)
        if stack.axes != "yx":
            raise SourceError(
                "the image is no grey plane", file=frame.annotation, found=stack.shape
            )
        return stack

    def _scale(
        self, content: LabelmeFile | None, size: tuple[int, int]
    ) -> tuple[float, float] | None:
        """Factors of x and y; ``None`` where the annotations do not fit and are passed over."""
        if content is None or content.size is None or content.size == size:
            return 1.0, 1.0
        if self.scale_annotations:
            what = f"annotations scaled from {content.size} to {size} pixels"
            self.problems.warn(what, record=content.name)
            return size[1] / content.size[1], size[0] / content.size[0]
        self.problems.fail(
            SourceError(
                "the annotations are of an image of another size",
                file=content.name,
                expected=f"{size[0]} x {size[1]} pixels, as the image has",
                found=f"{content.size[0]} x {content.size[1]}",
                hint="if the image was only scaled, say so with --scale-annotations",
            )
        )
        return None


def _layer(
    tracked: bool,
    files: Sequence[SourceFile | None],
    contents: Sequence[LabelmeFile | None],
    scales: Sequence[tuple[float, float]],
) -> InstanceLayer | None:
    """The label layer of a field; ``None`` where no frame has an annotation file."""
    if not any(files):
        return None
    labels = [label for c in contents if c is not None for label in c.labels]
    firsts, count = [], 0
    for content in contents:
        firsts.append(count + 1)
        count += 0 if content is None else len(set(content.owners()))
    tracks = tuple(sorted(set(labels), key=_as_number)) if tracked else None
    return InstanceLayer(
        name=LAYER,
        instances=LabelmeInstances(
            files=tuple(files),
            first_values=tuple(firsts),
            tracks=tracks,
            scales=None if all(s == (1, 1) for s in scales) else tuple(scales),
            on_error="skip",  # what is wrong was told of, or ended the conversion, when it was read
        ),
        count=len(labels),
        max_value=count if tracks is None else len(tracks),
        categories=() if tracked else tuple(Category(n, n) for n in dict.fromkeys(labels)),
        tracked=tracked,
    )


def _as_number(label: str) -> tuple[int, int, str]:
    """Identities are numbers as text; whatever else comes after them."""
    return (0, int(label), label) if label.isdecimal() else (1, 0, label)


def _times(numbers: Sequence[int]) -> tuple[Axis, list[float], float]:
    """The t axis, hours of each frame since frame 1 (or 0, where there is one), and of the first.

    Where days are missing the axis has no step, and the hours of each frame say when it was.
    """
    elapsed = [INTERVAL * (n - min(1, numbers[0])) for n in numbers]
    regular = all(b - a == 1 for a, b in pairwise(numbers))
    if not regular:
        return Axis("t"), elapsed, 0.0
    return Axis("t", INTERVAL, "hour"), elapsed, elapsed[0]


def _own_size(pixels: Pixels, shape: tuple[int, ...]) -> tuple[int, int] | None:
    size = (pixels.shape[-2], pixels.shape[-1])
    return None if size == (shape[-2], shape[-1]) else size


def _record(
    frame: _Frame, content: LabelmeFile | None, scale: tuple[float, float] | None
) -> dict[str, Any]:
    found: dict[str, Any] = {"number": frame.number}
    if frame.annotation is not None and content is not None:
        found |= {"annotation_file": frame.annotation, "labelme": content.record}
        if content.embedded:
            found["image_data"] = "embedded"
    if scale is not None and scale != (1.0, 1.0):
        found["annotation_scale"] = list(scale)
    return found


SOURCE = Source(
    name="organoid",
    title="organoids in wells: boxes and tracks over days",
    layout="{Detection,Tracking}/W_<well>_<n>/Proj_<N>.tif with Proj_<N>.json beside it",
    detect=detect,
    read=read,
    options={
        "scale_annotations": "scale annotations whose file gives another image size",
        "kind": "Detection or Tracking, where the folders' names do not say it",
    },
)
