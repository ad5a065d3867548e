"""The images of a TIFF: one for each series, with axes, calibration and channels from the file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import tifffile

from ngff_bio.errors import ArgumentError, SourceError
from ngff_bio.formats.images.composed import PixelStack
from ngff_bio.formats.images.headers import CHANNELS
from ngff_bio.formats.limits import DEFAULT_LIMITS, RECORD_BYTES, Limits
from ngff_bio.formats.problems import damage_named
from ngff_bio.formats.tiff.files import locked_tiff
from ngff_bio.formats.tiff.metadata import (
    TiffMetadata,
    clean_name,
    imagej_metadata,
    ome_metadata,
    resolution_metadata,
)
from ngff_bio.formats.tiff.planes import segment_size
from ngff_bio.formats.tiff.tiff import (
    UNREADABLE,
    TiffPixels,
    block_size,
    check_end,
    check_pages,
    palette_of,
    plane_notices,
    sample_type,
)
from ngff_bio.model import Axis, Channel, Notice, SourceFile, axes_from

#: How the notice of regions begins.
UNREAD_REGIONS = "regions in the TIFF"

#: An ROI in OME-XML.
OME_ROI = re.compile(r"<(?:\w+:)?ROI[\s>]")

#: Keys of tifffile for regions that ImageJ keeps in a TIFF.
_REGIONS = {"ROI": "the selection of ImageJ", "Overlays": "the overlay of ImageJ"}

#: Letters of tifffile for axes of unknown meaning.
_UNKNOWN = "IQ"

_STAGE = "positions are those of the stage: which way its y rises is not stated"
_NO_STAGE = "positions on the stage are in the OME-XML only: planes differ, or a unit is not stated"

#: Plain descriptions up to this many characters are kept in the attributes. OME-XML is kept up to
#: `RECORD_BYTES`: parsed, it takes many times as much memory.
_DESCRIPTION = 64_000


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """One image of an image file: a series of a TIFF, or the only image of another file.

    Parameters
    ----------
    name
        Its own name; ``""`` if it has none.
    pixels, axes
        The pixels and their axes.
    channels
        Names and colors of channels; empty if the file has none.
    elapsed_hours
        Time of each frame; empty if the file has none.
    attributes
        Other metadata of the file.
    notices
        What is uncertain or not kept.
    files
        Names of the files that contain its planes.
    translation
        As of `ngff_bio.model.SourceImage`.
    """

    name: str
    pixels: TiffPixels | PixelStack
    axes: tuple[Axis, ...]
    channels: tuple[Channel, ...] = ()
    elapsed_hours: tuple[float, ...] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    files: tuple[str, ...] = ()
    translation: tuple[float, ...] | None = None


def open_tiff(
    file: SourceFile, *, axes: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[OpenedImage, ...]:
    """All images of a TIFF; no pixel is read.

    Parameters
    ----------
    axes
        The axes, if the file does not define them: letters of t, c, z, y, x in the order of the file
        (``"tyx"``).
    limits
        Largest number of pixels of a plane.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is not a TIFF, damaged, truncated, too large, or its axes are unknown.
    ngff_bio.errors.ArgumentError
        If `axes` do not fit the file.
    """
    check_axes(axes)
    with damage_named(file.name, UNREADABLE), locked_tiff(file) as opened:
        tiff = opened.tiff
        check_pages(tiff)
        found = _metadata(tiff)
        return tuple(
            _image(file, tiff, number, found.get(number, TiffMetadata()), axes, limits)
            for number in range(len(tiff.series))
        )


def check_axes(axes: str | None) -> None:
    """Refuse axes that no file can have, whether a file needs them or not.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If they are not letters of t, c, z, y, x, each once.
    """
    letters = "" if axes is None else axes.lower()
    if set(letters) - set("tczyx") or len(set(letters)) < len(letters):
        raise ArgumentError(
            "the axes are not those of an image",
            expected="letters of t, c, z, y, x, each once",
            found=axes,
            hint="give them in the order of the file, as in --axes tyx",
        )


def open_tiff_volume(file: SourceFile) -> TiffPixels:
    """The pages of a TIFF as planes along z, whatever its metadata names their axis.

    Axes are zyx, or czyx if pixels have several samples.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is not a TIFF, damaged, truncated, or its pages differ in shape.
    """
    images = open_tiff(file, axes="zyx")
    pixels = images[0].pixels
    if len(images) > 1 or not isinstance(pixels, TiffPixels) or len(pixels.outer) > 1:
        raise SourceError(
            "the TIFF is not a stack of equal planes",
            file=file.name,
            expected="pages of one shape",
            found="; ".join(f"{i.pixels.axes} of {i.pixels.shape}" for i in images),
        )
    channels = (pixels.samples,) if pixels.samples else ()
    pages = math.prod(pixels.shape) // math.prod((*channels, *pixels.shape[-2:]))
    return replace(
        pixels,
        axes="czyx" if channels else "zyx",
        shape=(*channels, pages, *pixels.shape[-2:]),
        outer="z",
        read_block_shape=(*channels, 1, *pixels.read_block_shape[-2:]),
    )


def _metadata(tiff: tifffile.TiffFile) -> dict[int, TiffMetadata]:
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
    tiff: tifffile.TiffFile,
    number: int,
    metadata: TiffMetadata,
    axes: str | None,
    limits: Limits,
) -> OpenedImage:
    series = tiff.series[number]
    key = series.keyframe
    planar, depth, length, width, contig = key.shaped
    rows, columns = segment_size(key)
    if not (length and width and rows and columns):
        raise SourceError(
            "the planes of a TIFF have no pixels, or its strips or tiles have none",
            file=file.name,
            record=f"series {number}",
            found=f"planes of {length} x {width}, parts of {rows} x {columns}",
        )
    limits.check_plane(length, width, file.name, whole=False)
    if key.compression != 1:  # a strip or tile can only be decoded as a whole
        rows = rows if key.is_tiled else min(rows, length)
        pixel = contig * key.dtype.itemsize if key.dtype else 0
        limits.check_plane(rows, columns, file.name, whole=True, pixel_bytes=pixel)
    if depth > 1 or series.transform is not None:
        raise SourceError(
            "this kind of TIFF is not supported",
            file=file.name,
            record=f"series {number}",
            expected="pages that are planes",
            found=f"pages that are volumes of {depth} planes" if depth > 1 else series.kind,
            hint="save it again as OME-TIFF",
        )
    notices = plane_notices(tiff, file.name)
    files = _files(series, tiff.filename, file, notices)
    samples = planar * contig
    palette = key.photometric == 3 and samples == 1 and not tiff.is_imagej
    outer, sizes = _outer_axes(series, axes, file.name, samples > 1 or palette, notices)
    dtype = sample_type(key)
    if palette:
        samples, dtype = 3, palette_of(key).dtype
    along = "c"
    if (
        samples > 1
        and sizes[-1:] == (samples,)
        and not palette
        and "S" not in series.get_axes(True)
    ):
        along, outer, sizes = outer[-1], outer[:-1], sizes[:-1]
    size = dict(zip(outer, sizes, strict=True)) | {"y": int(length), "x": int(width)}
    if samples > 1:
        size[along] = size.get(along, 1) * samples
    letters = "".join(a for a in "tczyx" if a in size)
    rows, columns = block_size(key)
    read_block_shape = dict.fromkeys(letters, 1) | {"y": rows, "x": columns}
    if samples > 1 and (planar == 1 or palette):
        read_block_shape[along] = samples
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
        along,
    )
    check_end(file, series)
    channels = metadata.channels if len(metadata.channels) == size.get("c", 1) else ()
    if samples > 1 and along == "c" and "c" not in outer:
        channels = CHANNELS.get(samples, ()) if key.photometric in (2, 3, 6) else channels
    regions = [
        k for k in ("ROI", "Overlays") if tiff.is_imagej and (tiff.imagej_metadata or {}).get(k)
    ]
    named = [_REGIONS[r] for r in regions]
    if tiff.is_ome and OME_ROI.search(tiff.ome_metadata or ""):
        named.append("ROIs of OME-XML")
    if named and not number:
        notices.append(
            Notice(
                "skipped",
                f"{UNREAD_REGIONS} (" + " and ".join(named) + ") are not read",
                file=file.name,
            )
        )
    times = metadata.elapsed_hours if len(metadata.elapsed_hours) == size.get("t", 0) else ()
    scaled = axes_from(letters, **{a: s for a, s in metadata.scales.items() if a in letters})
    translation = metadata.translation(scaled)
    if metadata.positioned:
        notices.append(Notice("note", _STAGE if translation else _NO_STAGE, record=file.name))
    return OpenedImage(
        name=clean_name(metadata.name),
        pixels=pixels,
        axes=scaled,
        channels=channels,
        elapsed_hours=times,
        attributes=_attributes(tiff, key, metadata, number, file.name, notices),
        notices=tuple(notices),
        files=files,
        translation=translation,
    )


def _outer_axes(
    series: tifffile.TiffPageSeries,
    given: str | None,
    file: str,
    colors: bool,
    notices: list[Notice],
) -> tuple[str, tuple[int, ...]]:
    """Letters and sizes of the axes that pages run along, in the order of the file."""
    pairs = [
        (a, int(n))
        for a, n in zip(series.get_axes(True), series.get_shape(True), strict=True)
        if a not in "YXS"
    ]
    names, sizes = [a for a, _ in pairs], tuple(n for _, n in pairs)
    if all(a in "TCZ" for a in names):
        if given is not None and not {*"".join(names).lower()} <= {*given.lower()}:
            notices.append(
                Notice(
                    "note",
                    f"the file states the axes of its pages ({', '.join(names).lower()}): --axes is "
                    "not used",
                    file=file,
                )
            )
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
                hint="give them in the order of the file, as in --axes tyx",
            )
        return "".join(wanted), sizes
    if len(pairs) == 1 and names[0] in _UNKNOWN:
        notices.append(
            Notice(
                "warning",
                f"the file does not define the axis of its {sizes[0]} pages: they are read as planes "
                "along z; name the axes with an option, as in --axes tyx",
                file=file,
            )
        )
        return "z", sizes
    raise SourceError(
        "the file does not define its axes",
        file=file,
        expected="axes of t, c, z, y, x",
        found=f"{series.get_axes(True)} of {series.get_shape(True)}",
        hint="name them in the order of the file, as in --axes tzyx",
    )


def _files(
    series: tifffile.TiffPageSeries, own: str, file: SourceFile, notices: list[Notice]
) -> tuple[str, ...]:
    """Files of a series, which may have several, or be in another one than that of the name ``own``;
    missing planes are reported, or refused.
    """
    pages = [] if series.dataoffset is not None else list(series)
    missing = sum(p is None for p in pages)
    folder = file.name.rpartition("/")[0]
    names = {p.parent.filename for p in (*pages, series.keyframe) if p is not None}
    if names == {own}:
        names = set()
    if missing and missing == len(pages) - 1 and not names:
        raise SourceError(
            "planes of the image are in other files, which are missing",
            file=file.name,
            found=f"{missing} of {len(pages)} planes are missing",
            hint="put all files of the set into one folder; unpack them if they are in an archive",
        )
    if missing:
        notices.append(
            Notice(
                "warning",
                f"{missing} of {len(pages)} planes are not in the file: they are 0",
                file=file.name,
            )
        )
    return tuple(sorted(f"{folder}/{n}".lstrip("/") for n in names)) or (file.name,)


def _attributes(
    tiff: tifffile.TiffFile,
    key: tifffile.TiffPage,
    metadata: TiffMetadata,
    number: int,
    file: str,
    notices: list[Notice],
) -> dict[str, object]:
    found = dict(metadata.attributes)
    if key.photometric == 0:
        found["photometric"] = "white is 0"
    if number:
        return found
    text = tiff.ome_metadata if tiff.is_ome else tiff.pages.first.description
    if tiff.is_imagej or tiff.is_shaped or not text:
        return found
    most = RECORD_BYTES if tiff.is_ome else _DESCRIPTION
    if len(text) <= most:
        found["ome_xml" if tiff.is_ome else "description"] = text
    else:
        what = f"metadata of {len(text):,} characters is not kept: at most {most:,} are"
        notices.append(Notice("skipped", what, file=file))
    return found
