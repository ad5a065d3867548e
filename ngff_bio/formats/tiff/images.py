"""The images of a TIFF: one for each series, with axes, calibration and channels as the file says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ngff_bio.errors import ArgumentError, SourceError
from ngff_bio.formats.images.headers import CHANNELS
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.formats.tiff.files import opened_tiff
from ngff_bio.formats.tiff.metadata import (
    TiffMetadata,
    clean_name,
    imagej_metadata,
    ome_metadata,
    resolution_metadata,
)
from ngff_bio.formats.tiff.tiff import (
    TiffPixels,
    check_end,
    check_pages,
    damage_named,
    palette_of,
    plane_grain,
    total_bytes,
)
from ngff_bio.model import Axis, Channel, Notice, SourceFile, axes_from

#: Letters of tifffile that say nothing of what an axis is.
_UNKNOWN = "IQ"

#: Descriptions up to this many characters are kept in the attributes, which are read at every open.
_DESCRIPTION = 64_000


@dataclass(frozen=True, slots=True)
class TiffImage:
    """One series of a TIFF.

    Parameters
    ----------
    name
        Its own name; ``""`` where it has none.
    pixels
        On the axes in `axes`.
    elapsed_hours
        Of each frame, where the file says it.
    attributes
        What else the file says.
    files
        Names of the files that its planes lie in.
    """

    name: str
    pixels: TiffPixels
    axes: tuple[Axis, ...]
    channels: tuple[Channel, ...] = ()
    elapsed_hours: tuple[float, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    files: tuple[str, ...] = ()


def open_tiff(
    file: SourceFile, *, axes: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[TiffImage, ...]:
    """All images of a TIFF; no pixel is read.

    Parameters
    ----------
    axes
        What the axes are, where the file does not say: letters of t, c, z, y, x in the order of the
        file (``"tyx"``).
    limits
        How many pixels a plane may claim.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is no TIFF, damaged, cut off, too large, or its axes cannot be known.
    ngff_bio.errors.ArgumentError
        If `axes` do not fit the file.
    """
    with damage_named(file.name):
        opened = opened_tiff(file)
        with opened.lock:
            tiff = opened.tiff
            check_pages(tiff)
            found = _metadata(tiff)
            return tuple(
                _image(file, tiff, number, found.get(number, TiffMetadata()), axes, limits)
                for number in range(len(tiff.series))
            )


def _metadata(tiff: Any) -> dict[int, TiffMetadata]:
    if tiff.is_ome and tiff.ome_metadata:
        images = ome_metadata(tiff.ome_metadata)
        if len(images) == len(tiff.series):
            return dict(enumerate(images))
        named = {i.name: i for i in images if i.name}
        return {n: named[s.name] for n, s in enumerate(tiff.series) if s.name in named}
    if tiff.is_imagej and tiff.imagej_metadata:
        return {0: imagej_metadata(tiff.pages.first, tiff.imagej_metadata)}
    return {n: resolution_metadata(s.keyframe) for n, s in enumerate(tiff.series)}


def _image(
    file: SourceFile,
    tiff: Any,
    number: int,
    said: TiffMetadata,
    axes: str | None,
    limits: Limits,
) -> TiffImage:
    series = tiff.series[number]
    key = series.keyframe
    planar, depth, length, width, contig = key.shaped
    limits.check_plane(length, width, file.name, whole=_whole(key))
    if depth > 1 or series.transform is not None:
        raise SourceError(
            "this kind of TIFF is not read",
            file=file.name,
            record=f"series {number}",
            expected="pages that are planes",
            found=f"pages that are volumes of {depth} planes" if depth > 1 else series.kind,
            hint="save it anew as OME-TIFF",
        )
    notices: list[Notice] = []
    files = _files(series, file, notices)
    samples = planar * contig
    palette = key.photometric == 3 and samples == 1 and not tiff.is_imagej
    outer, sizes = _outer_axes(series, axes, file.name, samples > 1 or palette, notices)
    dtype = np.dtype(key.dtype).newbyteorder("=")
    if palette:
        samples, dtype = 3, palette_of(key).dtype
    if dtype.kind not in "uifb":
        raise SourceError(
            "the pixels are of a type that OME-Zarr does not have",
            file=file.name,
            expected="whole numbers or floats",
            found=str(dtype),
        )
    if dtype.kind == "b":
        dtype = np.dtype(np.uint8)
    size = dict(zip(outer, sizes, strict=True)) | {"y": int(length), "x": int(width)}
    if samples > 1:
        size["c"] = size.get("c", 1) * samples
    letters = "".join(a for a in "tczyx" if a in size)
    rows, columns = plane_grain(key)
    read_block_shape = dict.fromkeys(letters, 1) | {"y": rows, "x": columns}
    if samples > 1 and (planar == 1 or palette):
        read_block_shape["c"] = samples
    pixels = TiffPixels(
        file,
        number,
        letters,
        tuple(size[a] for a in letters),
        dtype,
        outer,
        samples if samples > 1 else 0,
        tuple(read_block_shape[a] for a in letters),
        palette,
    )
    _check_end(file, series)
    channels = said.channels if len(said.channels) == size.get("c", 0) else ()
    if samples > 1 and "c" not in outer:
        channels = CHANNELS.get(samples, ()) if key.photometric in (2, 3, 6) else channels
    times = said.elapsed_hours if len(said.elapsed_hours) == size.get("t", 0) else ()
    return TiffImage(
        name=clean_name(said.name),
        pixels=pixels,
        axes=axes_from(letters, **{a: s for a, s in said.scales.items() if a in letters}),
        channels=channels,
        elapsed_hours=times,
        attributes=_attributes(tiff, key, said, number, file.name, notices),
        notices=tuple(notices),
        files=files,
    )


def _whole(key: Any) -> bool:
    """Whether a page can only be decoded as a whole: one compressed strip."""
    return int(key.compression) != 1 and not key.is_tiled and key.rowsperstrip >= key.imagelength


def _outer_axes(
    series: Any, given: str | None, file: str, colors: bool, notices: list[Notice]
) -> tuple[str, tuple[int, ...]]:
    """Letters and sizes of the axes that pages run along, in the order of the file."""
    pairs = [
        (a, int(n))
        for a, n in zip(series.get_axes(True), series.get_shape(True), strict=True)
        if a not in "YXS"
    ]
    names, sizes = [a for a, _ in pairs], tuple(n for _, n in pairs)
    if all(a in "TCZ" for a in names):
        return "".join(names).lower(), sizes
    if given is not None:
        wanted = [a for a in given.lower() if a not in "yx"]
        if colors and len(wanted) == len(pairs) + 1 and "c" in wanted:
            wanted.remove("c")
        if len(wanted) != len(pairs) or len(set(wanted)) != len(wanted) or set(wanted) - set("tcz"):
            raise ArgumentError(
                "the axes do not fit the file",
                file=file,
                expected=f"letters of t, c, z for {len(pairs)} axes of {sizes}, then y and x",
                found=given,
                hint="give --axes in the order of the file, as in --axes tyx",
            )
        return "".join(wanted), sizes
    if len(pairs) == 1 and names[0] in _UNKNOWN:
        notices.append(
            Notice(
                "warning",
                f"the file does not say what its {sizes[0]} pages are: they are taken as planes "
                "along z; say what they are with --axes, as in --axes tyx",
                file=file,
            )
        )
        return "z", sizes
    raise SourceError(
        "the file does not say what its axes are",
        file=file,
        expected="axes of t, c, z, y, x",
        found=f"{series.get_axes(True)} of {series.get_shape(True)}",
        hint="say it with --axes in the order of the file, as in --axes tzyx",
    )


def _files(series: Any, file: SourceFile, notices: list[Notice]) -> tuple[str, ...]:
    """Files of a series that lies in several; missing planes are told of, or refused."""
    pages = series._pages
    missing = sum(p is None for p in pages)
    folder = file.name.rpartition("/")[0]
    names = {p.parent.filename for p in pages if p is not None} if series.is_multifile else set()
    if missing and missing == len(pages) - 1 and not names:
        raise SourceError(
            "planes of the image lie in other files, which are not there",
            file=file.name,
            found=f"{missing} of {len(pages)} planes are missing",
            hint="put all files of the set into one folder; unpack them if they are in an archive",
        )
    if missing:
        notices.append(
            Notice(
                "warning",
                f"{missing} of {len(pages)} planes were never written: they are 0",
                file=file.name,
            )
        )
    return tuple(sorted(f"{folder}/{n}".lstrip("/") for n in names)) or (file.name,)


def _check_end(file: SourceFile, series: Any) -> None:
    if series.is_multifile:
        return
    if series.dataoffset is not None:
        first = next(p for p in series._pages if p is not None)
        check_end(file, first, total_bytes(series))
        return
    last = [p for p in series._pages[-1:] if p is not None]
    for page in last:
        check_end(file, page)


def _attributes(
    tiff: Any,
    key: Any,
    said: TiffMetadata,
    number: int,
    file: str,
    notices: list[Notice],
) -> dict[str, Any]:
    found = dict(said.attributes)
    if key.photometric == 0:
        found["photometric"] = "white is 0"
    if number:
        return found
    text = tiff.ome_metadata if tiff.is_ome else tiff.pages.first.description
    if tiff.is_imagej or tiff.is_shaped or not text:
        return found
    if len(text) <= _DESCRIPTION:
        found["ome_xml" if tiff.is_ome else "description"] = text
    else:
        notices.append(
            Notice("skipped", f"metadata of {len(text)} characters is not kept", file=file)
        )
    return found
