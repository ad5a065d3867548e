"""Series of image files as images."""

from __future__ import annotations

from collections.abc import Mapping

from ngff_bio.formats.images.composed import stack_pixels
from ngff_bio.formats.images.frames import open_image, stack_frames
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.tiff.images import OpenedImage
from ngff_bio.model import Axis
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.numbered import Series


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
        channels=() if "c" in series.along else first.channels,
        attributes=first.attributes,
        notices=tuple(notices),
        files=series.files,
    )
    return (image,)
