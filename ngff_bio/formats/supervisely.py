"""Supervisely: the annotation file of an image, and the classes of its project.

Format: https://docs.supervisely.com/data-organization/00_ann_format_navi. Points are x, y of pixels; a
polygon is filled as by OpenCV, with its sides, and so are its holes; a rectangle includes both corners;
a bitmap is a PNG, compressed with zlib and in base64, its first pixel at ``origin``; its pixels are
those that are not 0, or whose alpha is not; so is an alpha mask. An ``oriented_bbox`` has two corners
in ``points`` itself, and is rotated around its center by ``angle``: clockwise, in radians.
"""

from __future__ import annotations

import base64
import io
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import AnnotatedImage, Document, instance_of
from ngff_bio.formats.json.text import checked, parse_json, shown
from ngff_bio.formats.outlines import check_points, mask_rle, outline, rotated_box
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.formats.text import hex_color
from ngff_bio.model import Box, Category, Geometry, Instance, Polygons, Rle, SourceFile
from ngff_bio.raster.filled import rasterize_filled
from ngff_bio.raster.runs import run_pixels

_HINT = "correct the file, or skip such objects with --on-error skip"

#: Kinds of objects without area.
_NO_AREA = ("point", "line", "cuboid", "cuboid_2d", "graph")

#: Bytes of an uncompressed bitmap file.
_LARGEST = 256 << 20


class _Size(msgspec.Struct):
    height: int
    width: int


class _File(msgspec.Struct):
    size: _Size
    objects: list[object]


class _Points(msgspec.Struct):
    exterior: list[tuple[float, float]] = []
    interior: list[list[tuple[float, float]]] = []


class _Bitmap(msgspec.Struct):
    data: str
    origin: tuple[int, int]


class _Object(msgspec.Struct):
    classTitle: str  # noqa: N815
    geometryType: str | None = None  # noqa: N815
    id: int | str | None = None
    classId: int | str | None = None  # noqa: N815
    points: _Points | list[tuple[float, float]] | None = None
    angle: float | None = None
    bitmap: _Bitmap | None = None


def read_meta(file: SourceFile) -> tuple[tuple[Category, ...], dict[str, object]]:
    """The classes of a project, and the content of its ``meta.json``.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is damaged, or has no classes.
    """
    content: dict[str, object] = parse_json(file.read(), file.name, dict[str, object])
    found = []
    listed = content.get("classes") or []
    for number, one in enumerate(listed if isinstance(listed, list) else [listed]):
        if not isinstance(one, dict) or not isinstance(one.get("title"), str):
            raise SourceError(
                "a class has no name",
                file=file.name,
                record=f"classes[{number}]",
                expected="an object with a title",
                found=shown(one),
            )
        title, color = one["title"], hex_color(str(one.get("color") or ""))
        rest = {k: v for k, v in one.items() if k != "title"}
        found.append(Category(title, title, color, rest))
    return tuple(found), content


@dataclass(frozen=True, slots=True)
class SuperviselyFile:
    """Reads the annotation file of an image.

    Parameters
    ----------
    file
        The file.
    image
        Name of the image file.
    classes
        Names of the classes of the project; ``None`` if it has no ``meta.json``.
    """

    file: SourceFile
    image: str
    classes: tuple[str, ...] | None = None

    #: As its library fills polygons.
    rule: ClassVar[Literal["opencv"]] = "opencv"

    def read(self, problems: Problems) -> Document:
        """Read the file."""
        name = self.file.name
        content: dict[str, object] = parse_json(self.file.read(), name, dict[str, object])
        about: _File = checked(content, _File, SourceRecord(name))
        size = (about.size.height, about.size.width)
        instances = []
        for number, one in enumerate(about.objects):
            with problems.caught():
                instances.append(self._instance(one, number, size, problems))
        record = {k: None if k == "objects" else v for k, v in content.items()}
        return Document([AnnotatedImage(self.image, instances, size, record=record)])

    def _instance(
        self, one: object, number: int, size: tuple[int, int], problems: Problems
    ) -> Instance:
        at = SourceRecord(self.file.name, f"objects[{number}]", _HINT)
        found: _Object = checked(one, _Object, at)
        title = found.classTitle
        if self.classes is not None and title not in self.classes:
            raise at.member(".classTitle").error(
                "a class is not in meta.json", expected=", ".join(self.classes)[:80], found=title
            )
        geometry = _geometry(found, size, at)
        if geometry is None:
            problems.note(
                "points, lines, cuboids and graphs have no area: a row without pixels",
                self.file.name,
            )
        return instance_of(
            geometry, one, number, category=title, category_id=found.classId, source_id=found.id
        )


def _geometry(one: _Object, size: tuple[int, int], at: SourceRecord) -> Geometry | None:
    kind = one.geometryType or ("bitmap" if one.bitmap is not None else "polygon")
    points = one.points or _Points()
    if isinstance(points, list):  # of `oriented_bbox`
        points = _Points(points)
    if kind in ("bitmap", "alpha_mask"):
        mask, (x, y) = _mask(one.bitmap, size, at)
        return mask_rle(mask, (x, y), size)
    if kind in ("rectangle", "oriented_bbox"):
        check_points(points.exterior, 2, at.member(".points"))
        (x0, y0), (x1, y1) = points.exterior[0], points.exterior[-1]
        if (one.angle or 0) % (2 * math.pi):
            return rotated_box((x0, y0, x1, y1), math.degrees(one.angle or 0))
        left, top = min(x0, x1), min(y0, y1)
        return Box(left, top, max(x0, x1) + 1, max(y0, y1) + 1)
    if kind == "polygon":
        outer = outline(points.exterior, at.member(".points.exterior"))
        holes = [outline(p, at.member(".points.interior")) for p in points.interior]
        return _without(outer, holes, size) if holes else outer
    if kind not in _NO_AREA:
        known = ("bitmap", "alpha_mask", "rectangle", "oriented_bbox", "polygon", *_NO_AREA)
        raise at.member(".geometryType").error(
            "an object of a kind that is not read", expected=", ".join(known), found=kind
        )
    return None


def _without(outer: Polygons, holes: Sequence[Polygons], size: tuple[int, int]) -> Rle:
    """A polygon without the pixels of its holes, which their sides belong to."""
    parts = [outer.parts, [part for hole in holes for part in hole.parts]]
    found = rasterize_filled(parts, size)
    drawn = (found.select([i]) for i in range(2))
    filled, empty = (run_pixels(one.starts, one.lengths, one.step) for one in drawn)
    y, x = np.divmod(np.setdiff1d(filled, empty), size[1])
    top, left = int(y.min(initial=size[0])), int(x.min(initial=size[1]))
    mask = np.zeros(
        (int(y.max(initial=top - 1)) - top + 1, int(x.max(initial=left - 1)) - left + 1), bool
    )
    mask[y - top, x - left] = True
    return mask_rle(mask, (left, top), size)


def _mask(
    bitmap: _Bitmap | None, size: tuple[int, int], at: SourceRecord
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    from PIL.Image import DecompressionBombError

    try:
        if bitmap is None:
            raise ValueError("no bitmap")
        mask = decode_bitmap(bitmap.data, size)
    except (ValueError, OSError, zlib.error, SyntaxError, DecompressionBombError) as error:
        raise at.member(".bitmap").error(
            "a bitmap cannot be read",
            expected=f"a PNG within {size[0]} x {size[1]} pixels, in zlib and base64",
            found=error,
        ) from error
    return mask, bitmap.origin


def decode_bitmap(text: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask of a bitmap.

    Raises
    ------
    ValueError
        If it is not base64, or larger than the image.
    OSError
        If it is not a PNG.
    """
    from PIL import Image

    inflate = zlib.decompressobj()
    data = inflate.decompress(base64.b64decode(text, validate=True), _LARGEST)
    if inflate.unconsumed_tail:
        raise ValueError(f"more than {_LARGEST:,} bytes")
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        width, height = image.size
        if height > size[0] or width > size[1]:
            raise ValueError(f"{height} x {width} pixels")
        pixels = np.asarray(image)
    if pixels.ndim == 3:
        pixels = pixels[..., 3] if pixels.shape[2] == 4 else pixels.max(axis=2)
    mask: NDArray[np.bool_] = pixels.astype(np.bool_)
    return mask


def restored(record: Mapping[str, object], objects: Sequence[object]) -> dict[str, object]:
    """The annotation file again, from what a store keeps."""
    return {k: list(objects) if k == "objects" else v for k, v in record.items()}
