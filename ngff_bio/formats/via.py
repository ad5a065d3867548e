"""VGG Image Annotator: regions in project files, exported JSON and CSV, of versions 1 and 2.

Formats: https://www.robots.ox.ac.uk/~vgg/software/via/ (user guide; ``via.js`` of 1.0.6 and 2.0.12).
Shapes are rect, circle, ellipse (``theta`` in radians), polygon, polyline and point, in pixels.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import AnnotatedImage, Document, instance_of
from ngff_bio.formats.json.text import JsonObject, parse_json, shown
from ngff_bio.formats.outlines import check_points, ellipse, outline
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.formats.text import csv_bytes, text_of
from ngff_bio.model import Box, Category, Geometry, Instance, SourceFile

#: Region attributes that name the class, in order of preference, if there are several.
CLASS_NAMES = ("class", "label", "name", "category", "type", "object", "object_name")

CSV_HEADER = ("filename", "file_size", "file_attributes", "region_count", "region_id",
              "region_shape_attributes", "region_attributes")  # fmt: skip

_HINT = "correct the file in VIA, or skip such regions with --on-error skip"


@dataclass(frozen=True, slots=True)
class ViaFile:
    """Reads a project, or an export as JSON or CSV.

    Parameters
    ----------
    file
        The file.
    class_attribute
        The region attribute that names the class; by default the only one, or one of `CLASS_NAMES`.
    """

    file: SourceFile
    class_attribute: str | None = None

    def read(self, problems: Problems) -> Document:
        """Read the file."""
        entries, rest = read_entries(self.file)
        known = self.class_attribute or _class_attribute(rest, entries.values())
        if known is None and any(_attributes(r) for e in entries.values() for r in _regions(e)):
            problems.note(
                "no attribute of regions is known to be the class; choose one with "
                "-O class_attribute=NAME",
                self.file.name,
            )
        images = []
        for key, entry in entries.items():
            instances = []
            for number, region in enumerate(_regions(entry)):
                name = f"{entry.get('filename')} regions[{number}]"
                at = SourceRecord(self.file.name, name, _HINT)
                with problems.caught():
                    instances.append(_instance(region, number, known, at, problems))
            about = {k: v for k, v in entry.items() if k != "regions"}
            kept = {"key": key, "entry": about, "as_object": isinstance(entry.get("regions"), dict)}
            images.append(AnnotatedImage(str(entry.get("filename", "")), instances, record=kept))
        categories = _categories(rest, known)
        return Document(images, categories, rest)


def _instance(
    region: object, number: int, known: str | None, at: SourceRecord, problems: Problems
) -> Instance:
    shape = region.get("shape_attributes") if isinstance(region, dict) else None
    if not isinstance(shape, dict):
        raise at.error(
            "a region has no shape",
            expected="shape_attributes with the name of a shape",
            found=shown(region),
        )
    geometry = shape_geometry(shape, at)
    if geometry is None:
        problems.note("points and lines have no area: a row without pixels", at.file)
    value = _attributes(region).get(known) if known is not None else None
    if isinstance(value, Mapping):  # checkboxes: the ticked ones
        value = only_ticked([k for k, v in value.items() if v], problems, at.file)
    category = str(value) if value not in (None, "") else None
    return instance_of(geometry, region, number, category=category)


def only_ticked(options: Sequence[str], problems: Problems, file: str) -> str | None:
    """The class of ticked checkboxes: the only one; several are no class, and stay in the record."""
    if len(options) > 1:
        problems.note(
            "several ticked options: a row without a class, the options in its record", file
        )
    return options[0] if len(options) == 1 else None


def read_entries(file: SourceFile) -> tuple[dict[str, JsonObject], JsonObject]:
    """Entries of images by their keys, and what else a project has.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is not a file of VIA.
    """
    if file.name.lower().endswith(".csv"):
        return _csv_entries(file), {}
    content = parse_json(file.read(), file.name, JsonObject)
    entries = content
    rest: JsonObject = {}
    if "_via_img_metadata" in content:
        entries = content["_via_img_metadata"]
        rest = {k: v for k, v in content.items() if k != "_via_img_metadata"}
    if not isinstance(entries, dict) or not all(
        isinstance(e, dict) and isinstance(e.get("filename"), str) for e in entries.values()
    ):
        raise SourceError(
            "the file is not a file of VIA 1 or 2",
            file=file.name,
            expected='objects with "filename" and "regions", by key',
            found=shown(
                next(iter(entries.values()), None) if isinstance(entries, dict) else entries
            ),
            hint="export the annotations from VIA as JSON",
        )
    return entries, rest


def is_via_csv(head: str) -> bool:
    """Whether the first line of a table is that of VIA."""
    names = next(csv.reader(io.StringIO(head.lstrip("\ufeff").lstrip("#"), newline="")), [])
    return {"filename", "region_shape_attributes"} <= {n.strip() for n in names}


def _csv_entries(file: SourceFile) -> dict[str, JsonObject]:
    text = text_of(file, "the table")
    table = csv.DictReader(io.StringIO(text.lstrip("#"), newline=""), skipinitialspace=True)
    found: dict[str, JsonObject] = {}
    for number, row in enumerate(table, 2):

        def value(key: str, row: dict[str, str] = row, number: int = number) -> JsonObject:
            record = f"line {number} {key}"
            given = parse_json((row.get(key) or "{}").encode(), file.name, record=record)
            return given if isinstance(given, dict) else {}

        name, size = row.get("filename") or "", row.get("file_size") or ""
        if not name:
            raise SourceError(
                "a row of the table names no image",
                file=file.name,
                record=f"line {number}",
                expected="filename, ...",
                found=shown(row),
                hint=_HINT,
            )
        entry = found.setdefault(
            f"{name}{size}",
            {
                "filename": name,
                "size": int(size) if size.lstrip("-").isdecimal() else size,
                "file_attributes": value("file_attributes"),
                "regions": [],
            },
        )
        shape = value("region_shape_attributes")
        if shape:
            entry["regions"].append(
                {"shape_attributes": shape, "region_attributes": value("region_attributes")}
            )
    return found


def _regions(entry: Mapping[str, Any]) -> list[object]:
    """Regions of an image: a list, or in version 1 an object by number."""
    regions = entry.get("regions") or []
    return list(regions.values()) if isinstance(regions, dict) else list(regions)


def _attributes(region: object) -> JsonObject:
    found = region.get("region_attributes") if isinstance(region, dict) else None
    return found if isinstance(found, dict) else {}


def _class_attribute(
    project: Mapping[str, object], entries: Iterable[Mapping[str, object]]
) -> str | None:
    declared = project.get("_via_attributes")
    regions = declared.get("region") if isinstance(declared, dict) else None
    names = [str(n) for n in regions] if isinstance(regions, dict) else []
    if not names:
        names = list({k: None for e in entries for r in _regions(e) for k in _attributes(r)})
    if len(names) == 1:
        return names[0]
    lower = {n.lower().replace(" ", "_"): n for n in names}
    return next((lower[n] for n in CLASS_NAMES if n in lower), None)


def _categories(project: Mapping[str, object], known: str | None) -> tuple[Category, ...]:
    """Options of the class attribute, in their order."""
    declared = project.get("_via_attributes")
    regions = declared.get("region") if isinstance(declared, dict) else None
    about = regions.get(known) if isinstance(regions, dict) and known is not None else None
    options = about.get("options") if isinstance(about, dict) else None
    names = list(options) if isinstance(options, dict) else []
    return tuple(Category(n, n) for n in names if n)


def shape_geometry(shape: Mapping[str, object], at: SourceRecord) -> Geometry | None:
    """What a shape covers; ``None`` if it has no area."""

    def number(key: str) -> float:
        value = shape.get(key)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise at.member(f".{key}").error(
                "a shape cannot be drawn",
                expected="a number of pixels",
                found=shown(value) if key in shape else "no such value",
            )
        return float(value)

    def points() -> list[tuple[float, float]]:
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if (
            not isinstance(xs, list)
            or not isinstance(ys, list)
            or len(xs) != len(ys)
            or not all(isinstance(v, int | float) for v in (*xs, *ys))
        ):
            raise at.member(".all_points_x").error(
                "a shape cannot be drawn",
                expected="as many numbers as all_points_y",
                found=shown([xs, ys]),
            )
        return list(zip(xs, ys, strict=True))

    name = shape.get("name")
    if name == "rect":
        x, y, width, height = (number(k) for k in ("x", "y", "width", "height"))
        return Box(x, y, x + width, y + height)
    if name in ("circle", "ellipse"):
        center = (number("cx"), number("cy"))
        radii = (number("r"),) * 2 if name == "circle" else (number("rx"), number("ry"))
        check_points([center, radii], 2, at)
        if min(radii) < 0:
            raise at.error(
                "a shape cannot be drawn", expected="a radius of 0 or more", found=min(radii)
            )
        turn = number("theta") if name == "ellipse" and "theta" in shape else 0.0
        return ellipse(center, (radii[0], radii[1]), math.degrees(turn))
    if name == "polygon":
        return outline(points(), at)
    if name == "polyline":
        check_points(points(), 1, at)
        return None
    if name == "point":
        check_points([(number("cx"), number("cy"))], 1, at)
        return None
    raise at.member(".name").error(
        "a shape of an unknown kind",
        expected="rect, circle, ellipse, polygon, polyline or point",
        found=shown(name),
    )


def restored(
    record: Mapping[str, object], images: list[tuple[JsonObject, list[tuple[int, object]]]]
) -> JsonObject:
    """The content of a project or a JSON export again."""
    entries: JsonObject = {}
    for about, regions in images:
        listed = [r for _, r in sorted(regions, key=lambda p: p[0])]
        made: object = {str(i): r for i, r in enumerate(listed)} if about["as_object"] else listed
        entries[about["key"]] = {**about["entry"], "regions": made}
    return {"_via_img_metadata": entries, **record} if record else entries


def restored_csv(images: list[tuple[JsonObject, list[tuple[int, Any]]]]) -> bytes:
    """A CSV export again."""
    rows: list[Sequence[object]] = [CSV_HEADER]
    for about, regions in images:
        entry = about["entry"]
        first = [entry["filename"], entry["size"], json.dumps(entry["file_attributes"])]
        listed = [r for _, r in sorted(regions, key=lambda p: p[0])]
        for number, region in enumerate(listed or [{}]):
            shape, attributes = (
                region.get(k, {}) for k in ("shape_attributes", "region_attributes")
            )
            rows.append([*first, len(listed), number, json.dumps(shape), json.dumps(attributes)])
    return csv_bytes(rows)
