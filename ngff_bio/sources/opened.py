"""Pictures of any kind, one or a numbered series of them, as pixels with what their files say."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ngff_bio.errors import SourceError
from ngff_bio.formats.image_headers import ImageHeader, probe_image
from ngff_bio.formats.images import stack_frames
from ngff_bio.formats.stacks import stack_pixels
from ngff_bio.formats.tiff_images import TiffImage, open_tiff
from ngff_bio.model import Axis, Channel, Frame, Notice, Pixels, axes_from
from ngff_bio.sources.files import FileTree
from ngff_bio.sources.series import Series

#: Planes of more bytes than this are read strip by strip or tile by tile where their file allows it.
_SMALL = 8 << 20


@dataclass(frozen=True, slots=True)
class Opened:
    """An image in one or several files.

    Parameters
    ----------
    name
        Its own name inside of its file; ``""`` where the file is all of it.
    pixels, axes, channels
        As in `ngff_bio.model.Image`.
    frames
        Its files.
    attributes
        What else the files say.
    files
        Names of the files that its planes lie in.
    """

    name: str
    pixels: Pixels
    axes: tuple[Axis, ...]
    channels: tuple[Channel, ...] = ()
    frames: tuple[Frame, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def letters(self) -> str:
        """Letters of the axes."""
        return "".join(a.name for a in self.axes)


def open_series(
    tree: FileTree, series: Series, *, axes: str | None = None, indices: bool = False
) -> list[Opened]:
    """The images of a series of files; only headers are read.

    A single TIFF may hold several images.

    Parameters
    ----------
    series
        Its files are alike: see `alike`.
    axes
        What the axes of TIFFs are, where they do not say it.
    indices
        Whether pictures with a table of colours are read as its indices.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a file is damaged, or its axes cannot be known.
    """
    if not series.along:
        return _single(tree, series.there[0], axes, indices)
    headers = {n: probe_image(tree.file(n), tree.limits) for n in series.there}
    return [_numbered(tree, series, headers, axes, indices)]


def _single(tree: FileTree, name: str, axes: str | None, indices: bool) -> list[Opened]:
    file = tree.file(name)
    header = probe_image(file, tree.limits)
    if header.format != "tiff" or (indices and header.palette):
        pixels = stack_frames([file], headers=[header], limits=tree.limits, indices=indices)
        return [
            Opened(
                "",
                pixels,
                axes_from(pixels.axes),
                header.channels if "c" in pixels.axes else (),
                (Frame(name=name),),
                files=(name,),
            )
        ]
    images = open_tiff(file, axes=axes, limits=tree.limits)
    return [_of_tiff(image, name, number, len(images) > 1) for number, image in enumerate(images)]


def _of_tiff(image: TiffImage, name: str, number: int, several: bool) -> Opened:
    times = image.elapsed_hours
    frames = tuple(Frame(name=name, t=t, elapsed_hours=h) for t, h in enumerate(times))
    return Opened(
        (image.name or str(number)) if several else "",
        image.pixels,
        image.axes,
        image.channels,
        frames or (Frame(name=name),),
        image.attributes | ({"name": image.name} if image.name and not several else {}),
        image.notices,
        image.files,
    )


def alike(tree: FileTree, series: Series) -> bool:
    """Whether the files of a series can be parts of one image: of one type and size.

    They must not have the axes that they are numbered along. Only headers are read; a damaged file
    is like no other.
    """
    try:
        headers = [probe_image(tree.file(n), tree.limits) for n in series.there]
    except SourceError:
        return False
    first = headers[0]
    return (
        all(h.axes == first.axes and h.shape == first.shape for h in headers)
        and all(h.dtype == first.dtype and h.series == 1 for h in headers)
        and not set(series.along) & set(first.axes)
    )


def _numbered(
    tree: FileTree,
    series: Series,
    headers: dict[str, ImageHeader],
    axes: str | None,
    indices: bool,
) -> Opened:
    first = headers[series.there[0]]
    files = [None if n is None else tree.file(n) for n in series.files]
    known = None
    if first.format == "tiff" and not (indices and first.palette):
        known = open_tiff(tree.file(series.there[0]), axes=axes, limits=tree.limits)[0]
    plane = first.size[0] * first.size[1] * first.dtype.itemsize
    pixels: Pixels
    if first.single and (plane <= _SMALL or known is None):
        pixels = stack_frames(
            files,
            series.along,
            series.counts,
            headers=[None if n is None else headers[n] for n in series.files],
            limits=tree.limits,
            indices=indices,
        )
        letters = pixels.axes
    else:
        parts = [
            None if f is None else open_tiff(f, axes=axes, limits=tree.limits)[0].pixels
            for f in files
        ]
        inner = "".join(a.name for a in known.axes) if known is not None else first.axes
        if set(inner) & set(series.along):
            raise SourceError(
                "numbered files have the axis that they are numbered along",
                file=series.there[0],
                found=f"axes {inner}, numbered along {series.along}",
                mend="say what the axes in the files are with --axes",
            )
        pixels = stack_pixels(
            parts, inner, series.along, series.counts, [n or "" for n in series.files]
        )
        letters = pixels.axes
    scales = {a.name: a for a in (known.axes if known is not None else ())}
    notices = [] if known is None else list(known.notices)
    missing = len(series.files) - len(series.there)
    if missing:
        what = f"{missing} of {len(series.files)} files of a series are missing: their pixels are 0"
        notices.append(Notice("warning", what, file=series.name))
    return Opened(
        "",
        pixels,
        tuple(scales.get(a, Axis(a)) for a in letters),
        first.channels if "c" in first.axes else (),
        _frames(series),
        _attributes(series, known),
        tuple(notices),
        tuple(series.there),
    )


def _frames(series: Series) -> tuple[Frame, ...]:
    """A frame for each time point, with the files that it is made of."""
    if "t" not in series.along:
        return (Frame(name=series.name, record={"files": list(series.files)}),)
    each = len(series.files) // series.counts[0]
    frames = []
    for t, number in enumerate(series.numbers[0]):
        files = list(series.files[t * each : (t + 1) * each])
        name = next((f for f in files if f is not None), series.name)
        record: dict[str, Any] = {"number": number}
        frames.append(Frame(name, t, record=record if each == 1 else record | {"files": files}))
    return tuple(frames)


def _attributes(series: Series, known: TiffImage | None) -> dict[str, Any]:
    found = dict(known.attributes) if known is not None else {}
    gaps = {
        a: list(n)
        for a, n in zip(series.along, series.numbers, strict=True)
        if any(y - x != 1 for x, y in pairwise(n))
    }
    return found | ({"numbers": gaps} if gaps else {})
