"""VGG Image Annotator 3: projects with files, views, and metadata whose ``xy`` are shapes.

Format: https://gitlab.com/vgg/via, ``via-3.x.y/CodeDoc.md``. The first number of ``xy`` is the kind of
the shape, the others are in pixels: point, rectangle (x, y, width, height), circle, ellipse, line,
polyline, polygon, extreme rectangle (four points on its sides), extreme circle (three points on it).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import AnnotatedImage, Document, instance_of
from ngff_bio.formats.json.text import JsonObject, parse_json, shown
from ngff_bio.formats.outlines import Point, check_points, ellipse, outline
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.formats.via import CLASS_NAMES, only_ticked
from ngff_bio.model import Box, Category, Geometry, Instance, SourceFile

_HINT = "correct the file in VIA, or skip such regions with --on-error skip"

#: Type of a file that is an image, and the anchor of attributes of regions of images.
_IMAGE, _REGION = 2, "FILE1_Z0_XY1"

#: Numbers of coordinates of each kind; ``None`` for any number of points.
_SIZES = {1: 2, 2: 4, 3: 3, 4: 4, 5: 4, 6: None, 7: None, 8: 8, 9: 6}


_VERSION = re.compile(rb'"data_format_version"\s*:\s*"3\.')


def is_via_3(file: SourceFile) -> bool:
    """Whether a JSON file begins as a project of version 3."""
    return _VERSION.search(file.read_range(0, 1 << 14)) is not None


@dataclass(frozen=True, slots=True)
class ViaProject:
    """Reads a project; `class_attribute` is the name of the attribute with the class."""

    file: SourceFile
    class_attribute: str | None = None

    def read(self, problems: Problems) -> Document:
        """Read the file."""
        name = self.file.name
        content = parse_json(self.file.read(), name, JsonObject)
        key, attribute = self._class(content)
        options: dict[str, str] = attribute.get("options") or {}
        found: dict[str, tuple[list[Instance], JsonObject]] = {v: ([], {}) for v in content["view"]}
        for number, (own, one) in enumerate(content["metadata"].items()):
            at = SourceRecord(name, f"metadata.{own}", _HINT)
            with problems.caught():
                if one.get("vid") not in found:
                    raise _wrong(at, "the vid of a view", one.get("vid"))
                instances, others = found[one["vid"]]
                if not one.get("xy"):
                    others[own] = one
                    continue
                shape = _geometry(one["xy"], at.member(".xy"))
                if shape is None:
                    problems.note("points and lines have no area: a row without pixels", name)
                value = (one.get("av") or {}).get(key)
                label = str(options.get(str(value), value)) if value not in (None, "") else None
                ticked = str(value).split(",")
                if str(value) not in options and options.keys() >= {*ticked}:
                    label = only_ticked([options[o] for o in ticked], problems, name)
                about = {"mid": own, **one}
                instances.append(instance_of(shape, about, number, category=label, source_id=own))
        images = []
        for view, (instances, others) in found.items():
            with problems.caught():
                image = self._image(content, view)
                kept = {"view": view, "others": others}
                images.append(AnnotatedImage(image, instances, record=kept))
        rest = {k: v for k, v in content.items() if k != "metadata"}
        return Document(images, tuple(Category(n, n) for n in map(str, options.values())), rest)

    def _class(self, content: JsonObject) -> tuple[str | None, JsonObject]:
        """Key and description of the attribute that has the class."""
        known = {
            k: a
            for k, a in (content.get("attribute") or {}).items()
            if a.get("anchor_id") == _REGION
        }
        shown_one = ((content.get("config") or {}).get("ui") or {}).get(
            "spatial_region_label_attribute_id"
        )
        names = {str(a.get("aname")).lower(): k for k, a in known.items()}
        wanted = CLASS_NAMES if self.class_attribute is None else (self.class_attribute.lower(),)
        key = next((names[n] for n in wanted if n in names), None)
        if self.class_attribute is None:
            key = key or (shown_one if shown_one in known else None)
            key = key or (next(iter(known)) if len(known) == 1 else None)
        return key, {} if key is None else known[key]

    def _image(self, content: JsonObject, view: str) -> str:
        files = [content["file"].get(str(f)) for f in content["view"][view]["fid_list"]]
        if len(files) != 1 or not files[0] or files[0].get("type") != _IMAGE:
            raise _wrong(SourceRecord(self.file.name, f"view.{view}"), "one image file", files)
        return str(files[0].get("fname") or files[0].get("src"))


def _wrong(at: SourceRecord, expected: str, found: object) -> SourceError:
    return at.error("a project of VIA cannot be read", expected=expected, found=shown(found))


def _geometry(xy: Sequence[float], at: SourceRecord) -> Geometry | None:
    """What a shape covers; ``None`` if it has no area."""
    numbers = all(isinstance(v, int | float) and math.isfinite(v) for v in xy)
    kind, flat = (int(xy[0]) if numbers else 0), list(xy[1:])
    fits = kind in _SIZES and _SIZES[kind] in (None, len(flat)) and len(flat) % 2 == (kind == 3)
    if not fits or (kind in (2, 3, 4) and min(flat[2:]) < 0):
        raise _wrong(at, "the number of a shape, 1 to 9, and its coordinates", list(xy))
    points: list[Point] = list(zip(flat[::2], flat[1::2], strict=False))
    check_points([*points, (flat[-1], 0)], 1, at)
    if kind in (1, 5, 6):
        return None
    if kind == 7:
        return outline(points, at)
    if kind == 8:
        xs, ys = flat[::2], flat[1::2]
        return Box(min(xs), min(ys), max(xs), max(ys))
    if kind == 9:
        return _circle(points, at)
    sizes = flat[2:]
    if kind == 2:
        return Box(flat[0], flat[1], flat[0] + sizes[0], flat[1] + sizes[1])
    return ellipse(points[0], (sizes[0], sizes[-1]))


def _circle(points: Sequence[Point], at: SourceRecord) -> Geometry:
    """The circle through three points."""
    (ax, ay), (bx, by), (cx, cy) = points
    twice = 2 * (ax * (by - cy) + bx * (cy - ay) + cx * (ay - by))
    check_points(points if twice else [], 3, at)
    squares = [x * x + y * y for x, y in points]
    x = (squares[0] * (by - cy) + squares[1] * (cy - ay) + squares[2] * (ay - by)) / twice
    y = (squares[0] * (cx - bx) + squares[1] * (ax - cx) + squares[2] * (bx - ax)) / twice
    radius = math.hypot(ax - x, ay - y)
    check_points([(x, y), (radius, 0)], 2, at)
    return ellipse((x, y), (radius, radius))


def restored(
    record: Mapping[str, object],
    images: Sequence[tuple[Mapping[str, Any], Sequence[tuple[int, Mapping[str, object]]]]],
) -> JsonObject:
    """The content of a project again."""
    metadata: JsonObject = {}
    for about, found in images:
        metadata |= about["others"]
        metadata |= {str(o["mid"]): {k: v for k, v in o.items() if k != "mid"} for _, o in found}
    return {**record, "metadata": metadata}
