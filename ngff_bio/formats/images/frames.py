"""Image files of one plane each as pixels, alone or stacked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ngff_bio.errors import ArgumentError, SourceError
from ngff_bio.formats.images.composed import PixelStack, stack_pixels
from ngff_bio.formats.images.decoding import ORIENTATIONS, ImageFile
from ngff_bio.formats.images.headers import ImageHeader, probe_image
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.formats.tiff.images import OpenedImage, open_tiff
from ngff_bio.model import SourceFile, axes_from


def stack_frames(
    files: Sequence[SourceFile | None],
    along: str = "",
    counts: Sequence[int] | None = None,
    *,
    headers: Sequence[ImageHeader | None] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    indices: bool = False,
    orientation: int = 1,
) -> PixelStack:
    """Stack image files of one plane each; only their headers are read.

    Parameters
    ----------
    files
        In the order of `PixelStack.parts`; ``None`` for one that is missing.
    along
        Axes to stack along: ``""`` for one file, ``"t"``, ``"z"``, ``"tz"``, ...
    counts
        Files along each of them; may be left out for one axis.
    headers
        Of the files, if they are known already.
    indices
        Whether images with a color table are read as its indices (label images).
    orientation
        See `ImageFile`.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a file is damaged or not a single plane, or their types or numbers of colors differ.
    ngff_bio.errors.ArgumentError
        If the files do not fill the axes.
    """
    counts = [len(files)] * len(along) if counts is None else list(counts)
    if len(counts) != len(along) or math.prod(counts) != len(files):
        raise ArgumentError(
            "the frames do not fill the axes",
            expected=f"{math.prod(counts)} files along {along!r}",
            found=len(files),
        )
    if headers is None:
        headers = [f if f is None else probe_image(f, limits) for f in files]
    if indices:
        headers = [h if h is None or not h.palette else h.of_indices() for h in headers]
    known = [(f, h) for f, h in zip(files, headers, strict=True) if f is not None and h is not None]
    if not known:
        raise ArgumentError("there are no frames to stack")
    first, head = known[0]
    for file, header in known:
        if not header.single:
            raise SourceError(
                "the file contains more than one plane",
                file=file.name,
                expected="an image of rows x columns, in gray or color",
                found=f"axes {header.axes} of {header.shape}",
            )
        header.check_size(limits, file.name, whole=True)
        if (header.dtype, header.axes, header.samples) != (head.dtype, head.axes, head.samples):
            raise SourceError(
                "the files of one image differ in type",
                file=file.name,
                expected=f"{head.samples} samples of {head.dtype}, as in {first.name}",
                found=f"{header.samples} samples of {header.dtype}",
                hint="convert the files to one type",
            )
    if "c" in head.axes and "c" in along:
        raise SourceError(
            "color images cannot be channels",
            file=first.name,
            expected="gray images",
            found=f"{head.samples} samples of a pixel",
        )
    swapped = ORIENTATIONS[orientation][2]
    parts: list[ImageFile | None] = []
    for part, part_header in zip(files, headers, strict=True):
        if part is None or part_header is None:
            parts.append(None)
            continue
        shape = part_header.shape
        if swapped:
            shape = (*shape[:-2], shape[-1], shape[-2])
        # ImageJ's color tables are for display: headers of such files do not have `palette`.
        plain = indices or not part_header.palette
        parts.append(
            ImageFile(part, head.axes, shape, head.dtype, plain, orientation, part_header.opaque)
        )
    names = ["" if f is None else f.name for f in files]
    return stack_pixels(parts, head.axes, along, counts, names)


def open_image(
    file: SourceFile,
    header: ImageHeader,
    *,
    axes: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[OpenedImage, ...]:
    """All images of an image file; no pixel is read.

    Parameters
    ----------
    axes
        Axes of a TIFF that does not define them, as in `open_tiff`.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the file is damaged, or is a TIFF with unknown axes.
    """
    if header.format == "tiff":
        opened = open_tiff(file, axes=axes, limits=limits)
        if not header.opaque:
            return opened
        pixels = stack_frames([file], headers=[header], limits=limits)
        return (replace(opened[0], pixels=pixels, channels=header.channels),)
    pixels = stack_frames([file], headers=[header], limits=limits)
    found = OpenedImage(
        "", pixels, axes_from(pixels.axes), channels=header.channels, files=(file.name,)
    )
    return (found,)
