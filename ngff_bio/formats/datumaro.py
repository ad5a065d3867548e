"""Datumaro's own format: a JSON file for each subset.

Format: https://openvinotoolkit.github.io/datumaro/stable/docs/data-formats/formats/datumaro.html.
Coordinates are in pixels; ``label_id`` is a position in the list of labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import AnnotatedImage, Document, instance_of
from ngff_bio.formats.json.text import JsonObject, parse_json, shown
from ngff_bio.formats.outlines import check_points, ellipse, outline, rotated_box
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.model import Box, Category, Geometry, Instance, Rle, SourceFile
from ngff_bio.model.splits import standard_split

_HINT = "correct the file, or skip such annotations with --on-error skip"

#: Kinds of annotations about the image as a whole.
_OF_IMAGE = ("label", "caption")


@dataclass(frozen=True, slots=True)
class DatumaroFile:
    """Reads the annotation file of a subset."""

    file: SourceFile

    def read(self, problems: Problems) -> Document:
        """Read the file."""
        content: JsonObject = parse_json(self.file.read(), self.file.name, JsonObject)
        labels = (content.get("categories") or {}).get("label") or {}
        names = [str(one["name"]) for one in labels.get("labels") or ()]
        subset = self.file.name.rpartition("/")[2].rpartition(".")[0]
        splits = (subset,) if standard_split(subset) else ()
        images = []
        for number, item in enumerate(content.get("items") or ()):
            with problems.caught():
                images.append(self._image(item, number, names, splits, problems))
        rest = {k: v for k, v in content.items() if k != "items"}
        return Document(images, tuple(Category(n, n) for n in names), rest)

    def _image(
        self,
        item: JsonObject,
        number: int,
        names: Sequence[str],
        splits: tuple[str, ...],
        problems: Problems,
    ) -> AnnotatedImage:
        about = item.get("image") or item.get("media") or {}
        size: Sequence[Any] = about.get("size") or ()
        found: list[Instance] = []
        others = []
        for place, one in enumerate(item.get("annotations") or ()):
            if one.get("type") in _OF_IMAGE:
                others.append(one)
                continue
            with problems.caught():
                at = SourceRecord(self.file.name, f"items[{number}].annotations[{place}]", _HINT)
                found.append(_instance(one, place, names, at, problems))
        record = {**item, "annotations": others}
        image = str(about.get("path") or item["id"])
        shape = (int(size[0]), int(size[1])) if len(size) == 2 else None
        return AnnotatedImage(image, found, shape, splits, record)


def _instance(
    one: JsonObject, place: int, names: Sequence[str], at: SourceRecord, problems: Problems
) -> Instance:
    number = one.get("label_id")
    if number is not None and not (isinstance(number, int) and 0 <= number < len(names)):
        raise _wrong(at, f"a label_id of 0 to {len(names) - 1}", number)
    shape = _shape(one, at)
    if shape is None:
        problems.note("points and lines have no area: a row without pixels", at.file)
    category = None if number is None else names[number]
    return instance_of(
        shape, one, place, category=category, category_id=number, source_id=one.get("id")
    )


def _shape(one: Mapping[str, Any], at: SourceRecord) -> Geometry | None:
    kind = one.get("type")
    if kind == "polygon":
        flat = [float(v) for v in one["points"]]
        return outline(list(zip(flat[0::2], flat[1::2], strict=True)), at)
    if kind == "mask":
        height, width = one["rle"]["size"]
        return Rle((int(height), int(width)), one["rle"]["counts"])
    if kind == "bbox":
        x, y, width, height = (float(v) for v in one["bbox"])
        # CVAT writes the box of a rotated one before its rotation, which is an attribute.
        degrees = float((one.get("attributes") or {}).get("rotation") or 0)
        check_points([(x, y), (width, height), (degrees, 0)], 3, at)
        sides = (x, y, x + width, y + height)
        return rotated_box(sides, degrees) if degrees % 360 else Box(*sides)
    if kind == "rotated_bbox":
        x, y, width, height, degrees = (float(v) for v in one["bbox"])
        check_points([(x, y), (width, height), (degrees, 0)], 3, at)
        sides = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        return rotated_box(sides, degrees)
    if kind == "ellipse":
        x0, y0, x1, y1 = (float(v) for v in one["points"])
        check_points([(x0, y0), (x1, y1)], 2, at)
        return ellipse(((x0 + x1) / 2, (y0 + y1) / 2), ((x1 - x0) / 2, (y1 - y0) / 2))
    if kind in ("points", "polyline", "skeleton", "cuboid_3d"):
        return None
    raise _wrong(at, "bbox, polygon, mask, ellipse, points or polyline", kind)


def _wrong(at: SourceRecord, expected: str, found: object) -> SourceError:
    return at.error("an annotation cannot be read", expected=expected, found=shown(found))


def restored(
    record: Mapping[str, object],
    images: Sequence[tuple[Mapping[str, Any], Sequence[tuple[int, object]]]],
) -> dict[str, object]:
    """The content of a document: annotations of an image are put at their position among the others."""
    items = []
    for about, found in images:
        listed = list(about["annotations"])
        for place, one in found:
            listed.insert(place, one)
        items.append({**about, "annotations": listed})
    return {**record, "items": items}
