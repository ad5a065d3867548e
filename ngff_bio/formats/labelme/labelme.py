"""labelme's JSON, of versions 3.x, 4.5.x and 5: shapes, and what is needed to write the file again.

Format: https://github.com/wkentaro/labelme/blob/main/labelme/label_file.py
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec

from ngff_bio.errors import SourceError
from ngff_bio.formats.json.text import JsonObject, checked, parse_json, shown
from ngff_bio.formats.limits import RECORD_BYTES, record_too_large
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.model import Instance, OnError, Shape, SourceFile, SourceParts

#: Minimum and maximum number of points of each shape type (labelme.utils.shape_to_mask; X-AnyLabeling
#: has rotated rectangles and quadrilaterals too).
SHAPE_TYPES: dict[str, tuple[int, float]] = {
    "polygon": (3, math.inf),
    "rectangle": (2, 2),
    "circle": (2, 2),
    "line": (2, 2),
    "linestrip": (2, math.inf),
    "point": (1, 1),
    "points": (1, math.inf),
    "mask": (2, 2),
    "oriented_rectangle": (4, 4),
    "rotation": (4, 4),
    "quadrilateral": (4, 4),
}

#: Coordinates beyond this are not drawn (NaN and infinity fail the comparison).
_MAX_COORDINATE = 2**30 / 5 - 1

_RAW = dict[str, msgspec.Raw]


class _Shape(msgspec.Struct):
    label: str
    points: list[tuple[float, float]]
    shape_type: str | None = None
    mask: str | None = None


class _File(msgspec.Struct):
    imageHeight: int | None = None  # noqa: N815
    imageWidth: int | None = None  # noqa: N815
    imagePath: str | None = None  # noqa: N815


@dataclass(frozen=True, slots=True, eq=False)
class LabelmeFile:
    """One annotation file.

    Parameters
    ----------
    name
        Its name.
    shapes
        Records of its valid shapes.
    places
        Position of each in the file's list.
    record
        The other keys, in their order; ``shapes`` and ``imageData`` are null in it.
    size
        Height and width of the image according to the file; ``None`` if it does not give them.
    image_path
        ``imagePath``, which may be outdated, absolute, or a Windows path.
    embedded
        Whether the file contains the image.
    """

    name: str
    shapes: list[JsonObject]
    places: list[int]
    record: JsonObject
    size: tuple[int, int] | None
    image_path: str | None
    embedded: bool

    @property
    def labels(self) -> list[str]:
        """Label of each shape."""
        return [shape["label"] for shape in self.shapes]

    def owners(self) -> list[int]:
        """Rank of the instance that each shape belongs to, in source order.

        Shapes with the same label and ``group_id`` are parts of one instance, as in labelme's own
        converters; any other shape is an instance.
        """
        ranks: dict[object, int] = {}
        found = []
        for number, shape in enumerate(self.shapes):
            group = shape.get("group_id")
            key = (number,) if group is None else (shape["label"], str(group))
            found.append(ranks.setdefault(key, len(ranks)))
        return found


def read_labelme(file: SourceFile, problems: Problems) -> LabelmeFile:
    """Read an annotation file.

    Parameters
    ----------
    problems
        Receives the errors of shapes that cannot be drawn; those are left out.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the file is not labelme JSON, or, unless errors are skipped, a shape cannot be drawn.
    """
    return decode_labelme(file.read(), file.name, problems)


def decode_labelme(data: bytes, name: str, problems: Problems) -> LabelmeFile:
    """Read the bytes of an annotation file; see `read_labelme`."""
    raw: dict[str, msgspec.Raw] = parse_json(data, name, _RAW)
    if "shapes" not in raw:
        raise SourceError(
            "the file is not a labelme file",
            file=name,
            expected="an object with the key shapes",
            found=", ".join(list(raw)[:8]) or "an empty object",
            hint="leave the file out with --exclude GLOB, or skip it with --on-error skip",
        )
    # The image, which can be larger than all else together, is never decoded with the rest.
    embedded = "imageData" in raw and bytes(memoryview(raw["imageData"])[:1]) == b'"'
    record = {
        key: None if key in ("shapes", "imageData") else parse_json(bytes(value), name)
        for key, value in raw.items()
    }
    about: _File = checked(record, _File, SourceRecord(name))
    shapes, places = [], []
    for number, shape in enumerate(_listed_shapes(bytes(raw["shapes"]), name)):
        with problems.caught():
            at = SourceRecord(name, f"shapes[{number}]", _HINT)
            if isinstance(shape, msgspec.Raw):
                raise record_too_large(len(memoryview(shape)), at.file, at.name)
            _check_shape(shape, at)
            shapes.append(shape)
            places.append(number)
    size = None
    if about.imageHeight is not None and about.imageWidth is not None:
        size = (about.imageHeight, about.imageWidth)
    return LabelmeFile(name, shapes, places, record, size, about.imagePath, embedded)


def _listed_shapes(text: bytes, name: str) -> list[Any]:
    """Values of the shapes; those that are too large stay text."""
    at = SourceRecord(name, "shapes")
    if len(text) <= RECORD_BYTES:
        return checked(parse_json(text, name), list, at)
    texts = checked(parse_json(text, name, list[msgspec.Raw]), list, at)
    return [t if len(memoryview(t)) > RECORD_BYTES else parse_json(bytes(t), name) for t in texts]


def _check_shape(value: object, at: SourceRecord) -> None:
    """Refuse a shape that cannot be drawn."""
    shape: _Shape = checked(value, _Shape, at)

    def wrong(member: str, expected: str, found: object) -> SourceError:
        inner = at.member(f".{member}")
        return inner.error("a shape cannot be drawn", expected=expected, found=shown(found))

    kind = shape.shape_type or "polygon"
    if kind not in SHAPE_TYPES:
        raise wrong("shape_type", " or ".join(SHAPE_TYPES), kind)
    fewest, most = SHAPE_TYPES[kind]
    if not (fewest <= len(shape.points) <= most or _is_outline(kind, len(shape.points))):
        many = str(fewest) if fewest == most else f"{fewest} or more"
        raise wrong("points", f"{many} points of a {kind}", shape.points)
    if not all(abs(v) < _MAX_COORDINATE for point in shape.points for v in point):
        raise wrong("points", "finite coordinates in pixels", shape.points)
    if kind != "mask":
        return
    # A mask is a PNG that fills its box, both corners in it (labelme 5.3 and later).
    try:
        head = base64.b64decode((shape.mask or "")[:32], validate=True)
        found = struct.unpack(">II", head[16:24])
    except (ValueError, struct.error):
        raise wrong("mask", "a PNG in base64", shape.mask) from None
    (x0, y0), (x1, y1) = [[math.trunc(v) for v in p] for p in shape.points]
    if not head.startswith(b"\x89PNG") or found != (x1 - x0 + 1, y1 - y0 + 1):
        expected = f"a PNG of {x1 - x0 + 1} x {y1 - y0 + 1} pixels, the size of its box"
        raise wrong("mask", expected, f"{found[0]} x {found[1]}")


_HINT = "correct the file in labelme, or skip such shapes with --on-error skip"


def _is_outline(kind: str, points: int) -> bool:
    """Whether a shape is a rotated rectangle, or another with all corners (X-AnyLabeling)."""
    outlines = ("oriented_rectangle", "rotation", "quadrilateral")
    return kind in outlines or (kind == "rectangle" and points == 4)


def shape_geometry(shape: Mapping[str, Any], scale: tuple[float, float] = (1.0, 1.0)) -> Shape:
    """Geometry of a shape; ``scale`` multiplies x and y."""
    kind = shape.get("shape_type") or "polygon"
    points = tuple((x * scale[0], y * scale[1]) for x, y in shape["points"])
    if _is_outline(kind, len(points)):
        kind = "polygon"
    # labelme draws a set of points as the polygon that they span, which needs three.
    if kind == "points" and len(points) < 3:
        kind = "point" if len(points) == 1 else "line"
    return Shape(kind, points, shape["mask"] if kind == "mask" else None)


def shape_record(shape: Mapping[str, object], *, scaled: bool = False) -> str:
    """A shape as JSON text with its keys in their order.

    Points (and the PNG of a mask) are null: the table has columns for them. If they were scaled,
    the record has the original ones.
    """
    columns = {"points"} if not scaled else set()
    if shape.get("shape_type") == "mask":
        columns.add("mask")
    kept = {k: None if k in columns else v for k, v in shape.items()}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def restored_shape(
    record: str, points: Sequence[float] | None, mask: str | None = None
) -> JsonObject:
    """The shape of the file again, from a row of the table.

    Parameters
    ----------
    record
        As `shape_record` gives it.
    points
        The one list of the row's ``polygons``: x0, y0, x1, y1, ...
    mask
        The row's mask.
    """
    shape: JsonObject = json.loads(record)
    if shape.get("points") is None and points is not None:
        shape["points"] = [list(p) for p in zip(points[0::2], points[1::2], strict=True)]
    if mask is not None:
        shape["mask"] = mask
    return shape


def restored_file(record: Mapping[str, object], shapes: Sequence[JsonObject]) -> JsonObject:
    """The content of the file again, without an embedded image."""
    return {k: list(shapes) if k == "shapes" else v for k, v in record.items()}


@dataclass(frozen=True, slots=True)
class LabelmeInstances:
    """Instances of one image: a labelme file for each frame.

    Parameters
    ----------
    files
        One for each frame; ``None`` for a frame without annotations.
    first_values
        Label value of the first instance of each frame; those of further instances that are not
        tracked follow it.
    tracks
        If labels are identities: all of them, in the order of their values, from 1 on. ``None`` if
        labels are classes.
    scales
        Factors of x and y for each frame; ``None`` for 1.
    on_error
        ``stop`` at a shape that cannot be drawn, or ``skip`` it.
    """

    files: tuple[SourceFile | None, ...]
    first_values: tuple[int, ...]
    tracks: tuple[str, ...] | None = None
    scales: tuple[tuple[float, float], ...] | None = None
    on_error: OnError = "stop"

    def read(self, t: int) -> list[Instance]:
        """All instances of frame ``t``, in source order, with their label values set."""
        file = self.files[t]
        if file is None:
            return []
        content = read_labelme(file, Problems(self.on_error))
        scale = (1.0, 1.0) if self.scales is None else self.scales[t]
        if self.tracks is None:
            values = [self.first_values[t] + rank for rank in content.owners()]
        else:
            known = {label: value for value, label in enumerate(self.tracks, 1)}
            values = [known[label] for label in content.labels]
        return [
            self._instance(shape, value, t, scale)
            for shape, value in zip(content.shapes, values, strict=True)
        ]

    def source_parts(self) -> SourceParts:
        """The labelme files."""
        return [file for file in self.files if file is not None]

    def _instance(
        self, shape: JsonObject, value: int, t: int, scale: tuple[float, float]
    ) -> Instance:
        geometry = shape_geometry(shape, scale)
        box = None
        if geometry.type == "rectangle":
            (x0, y0), (x1, y1) = geometry.points
            box = (min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0))
        tracked = self.tracks is not None
        return Instance(
            value=value,
            geometry=geometry,
            t=t,
            category=None if tracked else shape["label"],
            track_id=shape["label"] if tracked else None,
            box=box,
            record=shape_record(shape, scaled=scale != (1.0, 1.0)),
        )


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """The image inside a labelme file, as a separate file."""

    file: SourceFile

    @property
    def name(self) -> str:
        """Name of the labelme file and the key that holds the image."""
        return f"{self.file.name}#imageData"

    @property
    def size(self) -> int:
        """Size of the image file in bytes."""
        return len(self.read())

    @property
    def identity(self) -> str | None:
        """That of the labelme file."""
        of_file = self.file.identity
        return None if of_file is None else f"{of_file}#imageData"

    @property
    def path(self) -> None:
        """It has no path of its own."""
        return

    def open(self) -> BinaryIO:
        """The image file, in memory."""
        return io.BytesIO(self.read())

    def read_range(self, offset: int, size: int) -> bytes:
        """Some of the image file's bytes."""
        return self.read()[offset : offset + size]

    def read(self) -> bytes:
        """The bytes of the image file."""
        raw: dict[str, msgspec.Raw] = parse_json(self.file.read(), self.file.name, _RAW)
        text = msgspec.json.decode(raw.get("imageData", msgspec.Raw(b"null")))
        try:
            return base64.b64decode(text, validate=True)
        except (TypeError, ValueError, binascii.Error) as error:
            raise SourceError(
                "the embedded image cannot be read",
                file=self.file.name,
                record="imageData",
                expected="base64",
                found=error,
                hint="put the image file beside the annotation file",
            ) from error
