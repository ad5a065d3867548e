"""Image files as images: pixels with the axes, channels and times that the files state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ngff_bio.formats.images.composed import stack_pixels
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.tiff.images import open_tiff
from ngff_bio.model import Axis, Channel, Pixels, axes_from
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.numbered import Series


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """One image of one file, or of a series of files.

    Parameters
    ----------
    pixels, axes
        Its pixels and their axes.
    name
        Its name in the file; ``""`` if it has none.
    channels
        One for each index along c; empty if they are unknown.
    elapsed_hours
        Time of each time point; empty if it is unknown.
    attributes
        Other metadata of the file.
    files
        The files that its pixels lie in.
    """

    pixels: Pixels
    axes: tuple[Axis, ...]
    name: str = ""
    channels: tuple[Channel, ...] = ()
    elapsed_hours: tuple[float, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()


def open_image(
    tree: FileTree, name: str, header: ImageHeader, axes: str | None, problems: Problems
) -> tuple[OpenedImage, ...]:
    """All images of a file.

    Parameters
    ----------
    axes
        Axes of a TIFF that does not state them.
    problems
        Takes the notices of a TIFF.
    """
    file = tree.file(name)
    if header.format != "tiff":
        stack = stack_frames([file], headers=[header], limits=tree.limits)
        return (OpenedImage(stack, axes_from(stack.axes), channels=header.channels, files=(name,)),)
    images = open_tiff(file, axes=axes, limits=tree.limits)
    for image in images:
        problems.notices.extend(image.notices)
    return tuple(
        OpenedImage(i.pixels, i.axes, i.name, i.channels, i.elapsed_hours, i.attributes, i.files)
        for i in images
    )


def open_series(
    tree: FileTree,
    series: Series,
    headers: Mapping[str, ImageHeader],
    axes: str | None,
    problems: Problems,
) -> tuple[OpenedImage, ...]:
    """The images of a file, or the one image of a series of files; see `open_image`.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a file is damaged, or types or sizes differ.
    """
    name, *others = series.files
    images = open_image(tree, name, headers[name], axes, problems)
    if not others:
        return images
    first = images[0]
    listed = [headers[n] for n in series.files]
    if all(h.single for h in listed):
        files = [tree.file(n) for n in series.files]
        frames = stack_frames(
            files, series.along, series.counts, headers=listed, limits=tree.limits
        )
        pixels: Pixels = frames
        letters = frames.axes
    else:
        parts = [first, *(open_image(tree, n, headers[n], axes, problems)[0] for n in others)]
        inner = "".join(a.name for a in first.axes)
        stack = stack_pixels(
            [p.pixels for p in parts], inner, series.along, series.counts, series.files
        )
        pixels, letters = stack, stack.axes
    known = {a.name: a for a in first.axes}
    return (
        OpenedImage(
            pixels,
            tuple(known.get(a, Axis(a)) for a in letters),
            channels=() if "c" in series.along else first.channels,
            attributes=first.attributes,
            files=series.files,
        ),
    )
