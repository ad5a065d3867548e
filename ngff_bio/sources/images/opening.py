"""Series of image files as images."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ngff_bio.formats.images.composed import stack_pixels
from ngff_bio.formats.images.frames import open_image, stack_frames
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.tiff.images import OpenedImage
from ngff_bio.model import Axis, Frame, SourceImage
from ngff_bio.sources.assembly import stem_of
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.numbered import Series

#: An ending that is not part of an image's name.
_OME = re.compile(r"\.ome(?=\.tiff?$)", re.IGNORECASE)


def open_series(
    tree: FileTree, series: Series, headers: Mapping[str, ImageHeader], axes: str | None
) -> tuple[OpenedImage, ...]:
    """The images of a file, or the one image of a series of files; `axes` as in `open_image`.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a file is damaged, or types or sizes differ.
    """
    listed = [headers[n] for n in series.files]
    files = [tree.file(n) for n in series.files]
    images = open_image(files[0], listed[0], axes=axes, limits=tree.limits)
    if len(files) == 1:
        return images
    first = images[0]
    notices = [*first.notices]
    if all(h.single for h in listed):
        stack = stack_frames(files, series.along, series.counts, headers=listed, limits=tree.limits)
    else:
        parts = [first]
        for file, header in zip(files[1:], listed[1:], strict=True):
            parts.append(open_image(file, header, axes=axes, limits=tree.limits)[0])
            notices += parts[-1].notices
        stack = stack_pixels(
            [p.pixels for p in parts], first.pixels.axes, series.along, series.counts, series.files
        )
    known = {a.name: a for a in first.axes}
    image = OpenedImage(
        "",
        stack,
        tuple(known.get(a, Axis(a)) for a in stack.axes),
        # A window is that of one file.
        channels=()
        if "c" in series.along
        else tuple(replace(c, window=None) for c in first.channels),
        attributes=first.attributes,
        notices=tuple(notices),
        files=series.files,
    )
    return (image,)


def turned(
    tree: FileTree, header: ImageHeader, one: OpenedImage, name: str, turn: int, problems: Problems
) -> OpenedImage:
    """The image of a file as tools show it: rotated by its EXIF orientation `turn`."""
    if turn == 1:
        return one
    problems.note("images rotated by their EXIF orientation", record=name)
    pixels = stack_frames([tree.file(name)], headers=[header], orientation=turn)
    return replace(one, pixels=pixels, attributes={**one.attributes, "exif_orientation": turn})


def series_images(one: Series, opened: Sequence[OpenedImage]) -> list[SourceImage]:
    """The images of a series, as `open_series` opens it: without labels, each named after its file."""
    several = len(opened) > 1
    return [_image(one, image, index if several else None) for index, image in enumerate(opened)]


def _image(one: Series, opened: OpenedImage, index: int | None) -> SourceImage:
    """An image of a series; `index` is that of one of several images in a file."""
    name = one.name
    attributes = dict(opened.attributes)
    if opened.name and opened.name != name:
        attributes["name"] = opened.name
    if index is not None:
        name = f"{stem_of(one.name)}_{opened.name or index}"
        attributes["series"] = index
    return SourceImage(
        path=_OME.sub("", name),
        name=name,
        axes=opened.axes,
        pixels=opened.pixels,
        channels=opened.channels,
        frames=_frames(one, opened),
        attributes=attributes,
    )


def _frames(one: Series, opened: OpenedImage) -> tuple[Frame, ...]:
    """A frame for each file, or for each time point if the file states times."""
    if len(one.files) > 1:
        frames = []
        for index, name in enumerate(one.files):
            at = one.place(index)
            numbers = {a: (one.numbers or {})[a][i] for a, i in at.items()}
            rest = {a: i for a, i in at.items() if a != "t"}
            frames.append(Frame(name=name, t=at.get("t", 0), record={**rest, "numbers": numbers}))
        return tuple(frames)
    if opened.elapsed_hours:
        return tuple(
            Frame(name=one.files[0], t=t, elapsed_hours=hours)
            for t, hours in enumerate(opened.elapsed_hours)
        )
    return tuple(Frame(name=name) for name in opened.files)
