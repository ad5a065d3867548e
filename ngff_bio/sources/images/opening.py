"""Series of image files as images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ngff_bio.formats.images.composed import PixelStack, stack_pixels
from ngff_bio.formats.images.frames import open_image, stack_frames
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.tiff.images import OpenedImage
from ngff_bio.model import Axis, Channel, Frame, LabelLayer, Notice, SourceImage, axes_from
from ngff_bio.sources.assembly import base_of, stem_of
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
    size = dict(zip(stack.axes, stack.shape, strict=True))
    at = dict(zip((a.name for a in first.axes), first.translation or (), strict=False))
    if "ome_xml" in first.attributes:
        what = "OME-XML of the later files of numbered ones is not kept: that of the first is"
        notices.append(Notice("skipped", what, record=files[1].name, count=len(files) - 1))
    image = OpenedImage(
        "",
        stack,
        tuple(known.get(a, Axis(a)) for a in stack.axes),
        # A window is that of one file.
        channels=tuple(map(Channel, series.channels))
        if len(series.channels) == size.get("c", 1)
        else ()
        if "c" in series.along
        else tuple(replace(c, window=None) for c in first.channels),
        attributes=first.attributes,
        notices=tuple(notices),
        files=series.files,
        translation=tuple(at.get(a, 0.0) for a in stack.axes) if at else None,
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


def file_images(
    tree: FileTree, name: str, header: ImageHeader, axes: str | None, turn: int, problems: Problems
) -> Iterator[OpenedImage]:
    """The images of a file, as tools show them; `axes` as in `open_image`, `turn` as in `turned`."""
    for one in open_image(tree.file(name), header, axes=axes, limits=tree.limits):
        problems.notices.extend(one.notices)
        yield turned(tree, header, one, name, turn, problems)


def image_of_file(
    name: str,
    one: OpenedImage,
    labels: Sequence[LabelLayer],
    record: Mapping[str, object],
    splits: Iterable[str] = (),
) -> SourceImage:
    """An image of a file, which is each of its frames, with its labels."""
    base, named = base_of(name), tuple(dict.fromkeys(splits))
    return SourceImage(
        path="",
        name=f"{base}/{one.name}" if one.name else base,
        axes=one.axes,
        pixels=one.pixels,
        labels=tuple(labels),
        channels=one.channels,
        frames=tuple(
            Frame(name, t, elapsed_hours=hours, splits=named, record=record)
            for t, hours in enumerate(one.elapsed_hours or (None,))
        ),
        translation=one.translation,
        attributes=one.attributes,
    )


def image_of_frames(
    name: str,
    pixels: PixelStack,
    header: ImageHeader,
    labels: Sequence[LabelLayer],
    frames: Iterable[Frame],
    path: str = "",
) -> SourceImage:
    """The image of files that are stacked, with the channels of the first."""
    return SourceImage(
        path=path,
        name=name,
        axes=axes_from(pixels.axes),
        pixels=pixels,
        labels=tuple(labels),
        channels=header.channels,
        frames=tuple(frames),
    )


def series_images(one: Series, opened: Sequence[OpenedImage]) -> list[SourceImage]:
    """The images of a series, as `open_series` opens it: without labels, each named after its file."""
    several = len(opened) > 1
    # A set of OME-TIFFs, each of which describes all, with a file for each image.
    apart = several and len({o.files for o in opened if len(o.files) == 1}) == len(opened)
    return [
        _image(one, image, index if several else None, apart=apart)
        for index, image in enumerate(opened)
    ]


def _image(one: Series, opened: OpenedImage, index: int | None, *, apart: bool) -> SourceImage:
    """An image of a series; `index` is that of one of several images in a file, or files."""
    name = one.name
    attributes = dict(opened.attributes)
    if opened.name and opened.name != name:
        attributes["name"] = opened.name
    if index is not None:
        attributes["series"] = index
        name = f"{stem_of(one.name)}_{opened.name or index}"
        if apart:
            name = stem_of(base_of(opened.files[0]))
    return SourceImage(
        path=_OME.sub("", name),
        name=name,
        axes=opened.axes,
        pixels=opened.pixels,
        channels=opened.channels,
        frames=_frames(one, opened),
        translation=opened.translation,
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
