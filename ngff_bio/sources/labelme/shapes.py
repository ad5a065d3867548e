"""Annotations of labelme files on images: scaling, label layers and frame records."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.composed import PixelStack
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.labelme.labelme import (
    EmbeddedImage,
    LabelmeFile,
    LabelmeInstances,
)
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Category, InstanceLayer
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.unrecognized import file_alone_hint

#: Factors of x and y.
Scale = tuple[float, float]

#: Help text of the option of sources with labelme files.
SCALE_HELP = "scale annotations whose file states another image size"


def note_embedded(content: LabelmeFile, problems: Problems) -> None:
    """Report an embedded image that is not read, because there is an image file."""
    if content.embedded:
        problems.note(
            "embedded images with an image file beside them are not kept", None, content.name
        )


def open_embedded(tree: FileTree, content: LabelmeFile, expected: str) -> PixelStack:
    """The image inside an annotation file that has no image file.

    Raises
    ------
    ngff_bio.errors.SourceError
        If there is none; the message names the `expected` image file.
    """
    if not content.embedded:
        hint = "add the image file, or skip such annotations with --on-error skip"
        if os.path.isfile(tree.origin) and tree.names() == [content.name]:
            hint = file_alone_hint(tree)
        raise SourceError(
            "annotations without their image",
            file=content.name,
            expected=f"{expected} beside it",
            found=f"imagePath {content.image_path!r}, and no image inside the file",
            hint=hint,
        )
    return stack_frames([EmbeddedImage(tree.file(content.name))], limits=tree.limits)


def scale_to(
    content: LabelmeFile, size: tuple[int, int], allowed: bool, problems: Problems
) -> Scale:
    """Factors from the coordinates of a file to an image of `size` (height, width).

    Raises
    ------
    ngff_bio.errors.SourceError
        If the file states another size, and scaling is not `allowed`.
    """
    if content.size is None or content.size == size:
        return 1.0, 1.0
    if not allowed:
        raise SourceError(
            "the annotations are of an image of another size",
            file=content.name,
            expected=f"{size[0]} x {size[1]} pixels, the size of the image",
            found=f"{content.size[0]} x {content.size[1]}",
            hint="if the image was only scaled, add --scale-annotations",
        )
    problems.warn(f"annotations scaled from {content.size} to {size} pixels", record=content.name)
    return size[1] / content.size[1], size[0] / content.size[0]


def shape_layer(
    name: str,
    tree: FileTree,
    contents: Sequence[LabelmeFile | None],
    scales: Sequence[Scale],
    *,
    tracked: bool = False,
) -> InstanceLayer:
    """The label layer of an image.

    Parameters
    ----------
    contents, scales
        Annotation file of each frame, ``None`` where there is none; and its factors.
    tracked
        Whether labels are identities over time; else they are classes.
    """
    labels = [label for c in contents if c is not None for label in c.labels]
    firsts, count = [], 0
    for content in contents:
        firsts.append(count + 1)
        count += 0 if content is None else len(set(content.owners()))
    tracks = tuple(sorted(set(labels), key=_by_number)) if tracked else None
    return InstanceLayer(
        name=name,
        instances=LabelmeInstances(
            files=tuple(None if c is None else tree.file(c.name) for c in contents),
            first_values=tuple(firsts),
            tracks=tracks,
            scales=None if all(s == (1, 1) for s in scales) else tuple(scales),
            on_error="skip",  # what is wrong was reported, or raised, when the file was first read
        ),
        count=len(labels),
        max_value=count if tracks is None else len(tracks),
        categories=() if tracked else tuple(Category(n, n) for n in dict.fromkeys(labels)),
        tracked=tracked,
    )


def _by_number(label: str) -> tuple[int, int, str]:
    """Identities are numbers as text; other labels come after them."""
    return (0, int(label), label) if label.isdecimal() else (1, 0, label)


def shape_record(content: LabelmeFile, scale: Scale, layer: str | None = None) -> dict[str, object]:
    """What a frame keeps of its annotation file."""
    found: dict[str, object] = {"annotation_file": content.name, "labelme": content.record}
    if layer is not None:
        found["layer"] = layer
    if content.embedded:
        found["image_data"] = "embedded"
    if scale != (1.0, 1.0):
        found["annotation_scale"] = list(scale)
    return found
