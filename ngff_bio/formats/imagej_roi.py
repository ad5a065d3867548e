"""Regions of ImageJ: ``.roi`` files, sets of them in a zip, and the regions inside a TIFF.

roifile decodes them. https://imagej.net/ij/developer/source/ij/io/RoiDecoder.java.html: coordinates are
in pixels, 0, 0 is the upper left corner of the first pixel; positions count from 1, 0 is none.
"""

from __future__ import annotations

import base64
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import tifffile

from ngff_bio.errors import import_optional
from ngff_bio.formats.documents import AnnotatedImage, Document, instance_of
from ngff_bio.formats.limits import RECORD_BYTES, record_too_large
from ngff_bio.formats.outlines import ellipse, joined
from ngff_bio.formats.problems import Problems, SourceRecord, damage_named
from ngff_bio.formats.text import hex_color
from ngff_bio.model import (
    Box,
    Category,
    Geometry,
    Instance,
    Polygons,
    Rgba,
    SourceFile,
    SourceParts,
)

#: Regions with an area, by roifile's names of types. Subtypes of FREEHAND (ellipse, rotated rectangle)
#: have their outline as points too.
_AREAS = ("POLYGON", "RECT", "OVAL", "FREEHAND", "TRACED")
_NO_AREAS = ("TEXT", "ARROW", "IMAGE")

#: Most regions in a set.
_MOST = 1_000_000

_HINT = "save the region again in ImageJ, or skip such regions with --on-error skip"


@dataclass(frozen=True, slots=True)
class RoiFiles:
    """Reads the regions of one image.

    Parameters
    ----------
    files
        ``.roi`` files, zips of them, and TIFFs with regions.
    image
        Name of the image file.
    counts
        Number of channels, planes and frames of the image: a position in the stack counts through
        these, channels first.
    """

    files: tuple[SourceFile, ...]
    image: str
    counts: tuple[int, int, int] = (1, 1, 1)

    #: Pixels whose center is inside, as the program fills its outlines.
    rule: ClassVar[Literal["imagej"]] = "imagej"

    @property
    def file(self) -> SourceFile:
        """The first file."""
        return self.files[0]

    @property
    def parts(self) -> SourceParts:
        """All files."""
        return self.files

    def read(self, problems: Problems) -> Document:
        """Read all regions.

        Raises
        ------
        ngff_bio.errors.DependencyError
            If roifile is not installed.
        """
        instances: list[Instance] = []
        colors: dict[int, set[Rgba | None]] = {}
        for file in self.files:
            with problems.caught():
                for number, (name, data) in enumerate(regions_of(file)):
                    at = SourceRecord(file.name, name, _HINT)
                    with problems.caught():
                        roi = _decoded(data, at)
                        instances.append(self._instance(roi, data, number, at, problems))
                        if roi.group:
                            colors.setdefault(int(roi.group), set()).add(hex_color(_hex(roi)))
        categories = tuple(
            Category(group, str(group), found.pop() if len(found) == 1 else None)
            for group, found in sorted(colors.items())
        )
        image = AnnotatedImage(self.image, instances, placed=True)
        return Document([image], categories, {"files": [f.name for f in self.files]})

    def _instance(
        self, roi: Any, data: bytes, number: int, at: SourceRecord, problems: Problems
    ) -> Instance:
        with damage_named(at.file, "a region cannot be decoded", at.name):
            shape = _shape(roi)
        if shape is None:
            problems.note("points, lines and texts have no area: a row without pixels", at.file)
        elif isinstance(shape, Polygons) and not all(len(p) >= 6 for p in shape.parts):
            raise at.error(
                "a region cannot be drawn",
                expected="three points or more",
                found=f"{roi.roitype.name} of {sum(len(p) // 2 for p in shape.parts)} points",
            )
        z, t = self._place(roi, at, problems)
        group = int(roi.group)
        record = {
            "file": at.file,
            "name": at.name,
            "type": roi.roitype.name,
            "c": int(roi.c_position) or None,
            "color": _hex(roi),
            "roi": base64.b64encode(data).decode("ascii"),
        }
        return instance_of(
            shape,
            record,
            number,
            t=t,
            z=z,
            category=str(group) if group else None,
            category_id=group or None,
            source_id=roi.name or at.name,
        )

    def _place(self, roi: Any, at: SourceRecord, problems: Problems) -> tuple[int | None, int]:
        """Index of the plane, ``None`` for all; and of the frame."""
        channels, planes, frames = self.counts
        z, t = int(roi.z_position), int(roi.t_position)
        if not (z or t) and roi.position:
            rest = (int(roi.position) - 1) // (
                channels if channels > 1 and not roi.c_position else 1
            )
            z, t = rest % planes + 1 if planes > 1 else 0, rest // planes + 1
        if z > planes > 1 or t > max(frames, 1):
            raise at.error(
                "a region is on a plane or frame that is not there",
                expected=f"{planes} planes, {frames} frames",
                found=f"plane {z}, frame {t} (from 1)",
            )
        if not t and frames > 1:
            problems.note("regions that state no frame are on the first one", at.file)
        return (z - 1 if z and planes > 1 else None), max(t - 1, 0)


def regions_of(file: SourceFile) -> Iterator[tuple[str, bytes]]:
    """The regions of a file, each with its name.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the file is damaged, or has too many regions or a too large one.
    """
    lower = file.name.lower()
    if lower.endswith(".roi"):
        if file.size > RECORD_BYTES:
            raise record_too_large(file.size, file.name, file.name)
        yield file.name.rpartition("/")[2].rpartition(".")[0], file.read()
        return
    with damage_named(file.name, "the regions of the file cannot be read"):
        if not lower.endswith(".zip"):
            with file.open() as stream, tifffile.TiffFile(stream) as tiff:
                yield from regions_of_tiff(tiff)
            return
        with file.open() as stream, zipfile.ZipFile(stream) as archive:
            members = [m for m in archive.infolist() if _is_region(m.filename)]
            if len(members) > _MOST:
                raise ValueError(f"more than {_MOST:,} regions")
            for member in members:
                if member.file_size > RECORD_BYTES:
                    raise record_too_large(member.file_size, file.name, member.filename)
                yield member.filename.rpartition("/")[2][:-4], archive.read(member)


def _is_region(member: str) -> bool:
    """Whether a member of a zip is a region; macOS adds others, with the same ending."""
    return member.lower().endswith(".roi") and not member.rpartition("/")[2].startswith("._")


def regions_of_tiff(tiff: tifffile.TiffFile) -> Iterator[tuple[str, bytes]]:
    """The regions of ImageJ inside a TIFF, each with a name."""
    metadata = tiff.imagej_metadata or {}
    for key in ("ROI", "Overlays"):
        found = metadata.get(key)
        listed = found if isinstance(found, list | tuple) else [found] if found else []
        for number, data in enumerate(listed):
            if isinstance(data, bytes):
                yield f"{key} {number}", data


def _decoded(data: bytes, at: SourceRecord) -> Any:
    roifile = import_optional("roifile", "ngff-bio[roi]")
    with damage_named(at.file, "a region cannot be decoded", at.name):
        return roifile.ImagejRoi.frombytes(data)


def _shape(roi: Any) -> Geometry | None:
    """What a region covers; ``None`` if it has no area."""
    kind = roi.roitype.name
    if roi.subtype.name in _NO_AREAS or (kind not in _AREAS and roi.multi_coordinates is None):
        return None
    if roi.multi_coordinates is not None:
        return _composite(roi.path2coords(roi.multi_coordinates))
    if kind in ("RECT", "OVAL"):
        x, y = float(roi.left), float(roi.top)
        width, height = float(roi.right - roi.left), float(roi.bottom - roi.top)
        if roi.subpixelrect:
            x, y, width, height = (float(v) for v in (roi.xd, roi.yd, roi.widthd, roi.heightd))
        if kind == "RECT" and roi.rounded_rect_arc_size > 0:
            return _rounded((x, y, width, height), float(roi.rounded_rect_arc_size))
        if kind == "RECT":
            return Box(x, y, x + width, y + height)
        return ellipse((x + width / 2, y + height / 2), (width / 2, height / 2))
    points = np.asarray(roi.coordinates(), np.float64)
    return Polygons((points.reshape(-1).tolist(),))


def _rounded(box: tuple[float, float, float, float], diameter: float) -> Polygons:
    """A rectangle whose corners are quarters of a circle (``java.awt.geom.RoundRectangle2D``)."""
    x, y, width, height = box
    a, b = min(diameter, width) / 2, min(diameter, height) / 2
    flat = ellipse((0, 0), (a, b)).parts[0]
    points = (
        (x + a + u + (u > 0) * (width - 2 * a), y + b + v + (v > 0) * (height - 2 * b))
        for u, v in zip(flat[::2], flat[1::2], strict=True)
    )
    return Polygons(([v for point in points for v in point],))


def _composite(rings: Sequence[Any]) -> Polygons:
    """Rings of a path, by the even-odd rule: a ring inside of another is a hole in it."""
    listed = [np.asarray(r, np.float64) for r in rings if len(r) >= 3]
    depth = [sum(_inside(one[0], other) for other in listed if other is not one) for one in listed]
    found: list[Sequence[float]] = []
    for i, ring in enumerate(listed):
        if depth[i] % 2:
            continue
        holes = [
            Polygons((hole.reshape(-1).tolist(),))
            for j, hole in enumerate(listed)
            if depth[j] == depth[i] + 1 and _inside(hole[0], ring)
        ]
        found += joined(Polygons((ring.reshape(-1).tolist(),)), holes).parts
    return Polygons(tuple(found))


def _inside(point: Any, ring: Any) -> bool:
    """Whether a point is inside of a ring, by the number of sides to its right."""
    x, y = point
    x0, y0 = ring[:, 0], ring[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    crosses = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    return bool(np.count_nonzero(crosses & (x < at)) % 2)


def _hex(roi: Any) -> str | None:
    """Color of the outline, else of the area."""
    found = roi.hexcolor(roi.stroke_color) or roi.hexcolor(roi.fill_color)
    return None if found is None else str(found)
