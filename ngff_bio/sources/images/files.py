"""Picture files as images: pixels with what the files say of axes, channels and times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ngff_bio.formats.images.composed import stack_pixels
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.tiff.images import TiffImage, open_tiff
from ngff_bio.model import Axis, Channel, Pixels, axes_from
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.numbered import Series


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """One image of one file, or of a series of files.

    Parameters
    ----------
    pixels, axes
        Its pixels, and the axes that they are on.
    name
        What the file itself calls it; ``""`` if nothing.
    channels
        One for each index along c; none where they are not known.
    elapsed_hours
        Of each time point; none where they are not known.
    attributes
        What else the file says.
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


@dataclass(frozen=True, slots=True)
class PictureFiles:
    """Opens the pictures of a source.

    Parameters
    ----------
    tree
        All files.
    headers
        Of the pictures, by file name.
    axes
        What the axes of TIFFs are that do not say it; ``None`` if nobody said.
    problems
        Where doubts go.
    """

    tree: FileTree
    headers: Mapping[str, ImageHeader]
    axes: str | None
    problems: Problems

    def open_series(self, one: Series) -> tuple[OpenedImage, ...]:
        """The images of a file, or the one image of a series of files.

        Raises
        ------
        ngff_bio.errors.SourceError
            If a file is damaged, or they are of different kinds.
        """
        if len(one.files) == 1:
            return self.open_file(one.files[0])
        first = self.open_file(one.files[0])[0]
        headers = [self.headers[n] for n in one.files]
        if all(h.single for h in headers):
            files = [self.tree.file(n) for n in one.files]
            frames = stack_frames(
                files, one.along, one.counts, headers=headers, limits=self.tree.limits
            )
            pixels: Pixels = frames
            letters = frames.axes
        else:
            parts = [first, *(self.open_file(n)[0] for n in one.files[1:])]
            inner = "".join(a.name for a in first.axes)
            stack = stack_pixels([p.pixels for p in parts], inner, one.along, one.counts, one.files)
            pixels, letters = stack, stack.axes
        known = {a.name: a for a in first.axes}
        return (
            OpenedImage(
                pixels,
                tuple(known.get(a, Axis(a)) for a in letters),
                channels=() if "c" in one.along else first.channels,
                attributes=first.attributes,
                files=one.files,
            ),
        )

    def open_file(self, name: str) -> tuple[OpenedImage, ...]:
        """All images of a file."""
        header = self.headers[name]
        if header.format == "tiff":
            images = open_tiff(self.tree.file(name), axes=self.axes, limits=self.tree.limits)
            return tuple(self._of_tiff(image) for image in images)
        stack = stack_frames([self.tree.file(name)], headers=[header], limits=self.tree.limits)
        return (OpenedImage(stack, axes_from(stack.axes), channels=header.channels, files=(name,)),)

    def _of_tiff(self, image: TiffImage) -> OpenedImage:
        self.problems.notices.extend(image.notices)
        return OpenedImage(
            image.pixels,
            image.axes,
            image.name,
            image.channels,
            image.elapsed_hours,
            image.attributes,
            image.files,
        )
