"""Tasks of Label Studio as documents: JSON (with all of a task), JSON-MIN, CSV and TSV (regions only).

Formats: https://labelstud.io/guide/export and https://labelstud.io/guide/task_format. Coordinates are
percent of the original image; a rectangle is rotated clockwise around its upper left corner, an ellipse
around its center, in degrees.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import AnnotatedImage, Document, instance_of
from ngff_bio.formats.images.headers import EXTENSIONS
from ngff_bio.formats.json.text import JsonObject, checked, parse_json, shown
from ngff_bio.formats.label_studio.brush import decode_brush
from ngff_bio.formats.outlines import check_points, ellipse, mask_rle, outline, rotated_box
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.formats.text import text_of
from ngff_bio.model import Box, Geometry, SourceFile

_HINT = "correct the file, or skip such regions with --on-error skip"

#: A prefix of uploaded files.
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")

#: Kinds of regions, by a member of their value that only they have.
_SHAPES = {
    "brush": "rle", "ellipse": "radiusX", "polygon": "points", "rectangle": "height",
    "keypoint": "x", "vector": "vertices",
}  # fmt: skip

#: Numbers of a value that a region cannot be drawn without.
_MEMBERS = {
    "rectangle": ("x", "y", "width", "height"), "ellipse": ("x", "y", "radiusX", "radiusY"),
    "keypoint": ("x", "y"),
}  # fmt: skip


class _Value(msgspec.Struct):
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0
    radiusX: float = 0  # noqa: N815
    radiusY: float = 0  # noqa: N815
    rotation: float = 0
    points: list[tuple[float, float]] = []
    rle: list[int] = []
    vertices: list[dict[str, Any]] = []
    closed: bool = False


class _Result(msgspec.Struct):
    original_width: int
    original_height: int
    image_rotation: float = 0


@dataclass(frozen=True, slots=True)
class LabelStudioFile:
    """Reads an export of tasks."""

    file: SourceFile

    def read(self, problems: Problems) -> Document:
        """Read the file."""
        name = self.file.name
        table = name.lower().endswith((".csv", ".tsv"))
        tasks: Sequence[object] = (
            _rows(self.file) if table else parse_json(self.file.read(), name, list[object])
        )
        images: list[AnnotatedImage] = []
        for number, task in enumerate(tasks):
            if not isinstance(task, dict):
                at = SourceRecord(name, f"[{number}]", _HINT)
                expected = "a task of Label Studio"
                problems.fail(
                    at.error("a task is not an object", expected=expected, found=shown(task))
                )
                continue
            with problems.caught():
                images += self._images(task, number, problems)
        return Document(
            images, record={"format": "label-studio", **({"table": True} if table else {})}
        )

    def _images(
        self, task: JsonObject, number: int, problems: Problems
    ) -> Iterator[AnnotatedImage]:
        """What each annotation of a task states about its image."""
        if "data" not in task:  # JSON-MIN
            listed = [k for k, v in task.items() if isinstance(v, list) and _has_regions(v)]
            image = _image_of(task, self.file.name, number)
            rest = {k: None if k in listed else v for k, v in task.items()}
            regions = [
                ({"value": r, **r}, r, (k, i)) for k in listed for i, r in enumerate(task[k])
            ]
            yield self._annotated(image, regions, {"task": rest}, None, number, problems)
            return
        key = "annotations" if "annotations" in task else "completions"
        found = [(key, i, a) for i, a in enumerate(task.get(key) or ())]
        found += [("predictions", i, a) for i, a in enumerate(task.get("predictions") or ())]
        results = [r for _, _, a in found if isinstance(a, dict) for r in a.get("result") or ()]
        tags = {str(r.get("to_name")) for r in results if isinstance(r, dict) and _kind(r)}
        image = _image_of(task["data"], self.file.name, number, tags)
        upload = task.get("file_upload")  # of an image, or of the JSON or CSV that listed its tasks
        if isinstance(upload, str) and upload.lower().endswith(EXTENSIONS):
            image = upload
        lists = {kind for kind, _, one in found if isinstance(one, dict)}
        rest = {k: None if k in lists else v for k, v in task.items()}
        first = True
        for kind, place, one in found:
            if not isinstance(one, dict):
                continue
            results = one.get("result") or []
            about = {
                "task": rest if first else None,
                "number": number,
                "annotation": [kind, place, {k: v for k, v in one.items() if k != "result"}],
            }
            first = False
            layer = "predictions" if kind == "predictions" else f"annotation-{one.get('id', place)}"
            if one.get("was_cancelled"):
                problems.note("cancelled annotations are kept", self.file.name)
            regions = [(r, r, (kind, i)) for i, r in enumerate(results)]
            yield self._annotated(image, regions, about, layer, number, problems)
        if not found:
            yield AnnotatedImage(image, [], record={"task": rest, "number": number})

    def _annotated(
        self,
        image: str,
        regions: list[tuple[Any, object, tuple[str, int]]],
        record: JsonObject,
        layer: str | None,
        number: int,
        problems: Problems,
    ) -> AnnotatedImage:
        """One list of regions; results of one id are one region."""
        groups: dict[object, list[int]] = defaultdict(list)
        for i, (region, _, _) in enumerate(regions):
            own = region.get("id") if isinstance(region, dict) else None
            groups[own if own is not None else ("#", i)].append(i)
        instances, others = [], []
        size: tuple[int, int] | None = None
        for members in groups.values():
            parts = [regions[i] for i in members]
            shaped = next((p for p in parts if _kind(p[0]) is not None), None)
            if shaped is None:  # a choice, a text, a relation: about the whole image
                others += [[*p[2], p[1]] for p in parts]
                if any(True for p in parts for _ in _labels(p[0])):
                    problems.fail(_unknown(parts[0], self.file.name, number))
                continue
            record_name = f"[{number}] {shaped[2][0]}[{shaped[2][1]}]"
            at = SourceRecord(self.file.name, record_name, _HINT)
            with problems.caught():
                about, geometry = _geometry(shaped[0], at)
                own_size = about.original_height, about.original_width
                size = size or own_size
                if own_size != size:
                    raise at.error(
                        "regions of one image state different sizes of it",
                        expected=f"{size[0]} x {size[1]} (height x width)",
                        found=f"{own_size[0]} x {own_size[1]}",
                    )
                if geometry is None:
                    problems.note(
                        "points and vectors that are open or curved have no area: a row without "
                        "pixels",
                        self.file.name,
                    )
                label = next((n for p in parts for n in _labels(p[0])), None)
                results = {"results": [[*p[2], p[1]] for p in parts]}
                own = shaped[0].get("id")
                instances.append(
                    instance_of(geometry, results, shaped[2][1], category=label, source_id=own)
                )
        if others:
            record = {**record, "others": others}
        return AnnotatedImage(image, instances, size, record=record, layer=layer)


def _unknown(part: tuple[Any, object, tuple[str, int]], file: str, number: int) -> SourceError:
    region, _, (key, place) = part
    return SourceRecord(file, f"[{number}] {key}[{place}]", _HINT).error(
        "a region of a kind that is not read",
        expected=", ".join(_SHAPES),
        found=shown(region.get("type", region)),
    )


def _geometry(region: Any, at: SourceRecord) -> tuple[_Result, Geometry | None]:
    about: _Result = checked(region, _Result, at)
    value: _Value = checked(region.get("value"), _Value, at.member(".value"))
    height, width = about.original_height, about.original_width
    # How the image was shown: its editor saves coordinates of the image as it is in the file
    # (`serialize` of RectRegion.js, PolygonRegion.js and EllipseRegion.js, `Region2RLE`).
    if about.image_rotation % 90:
        raise at.member(".image_rotation").error(
            "the image of a region was rotated by an angle that Label Studio does not have",
            expected="0, 90, 180 or 270",
            found=about.image_rotation,
        )
    kind = _kind(region)
    for key in _MEMBERS.get(kind or "", ()):
        given: float = getattr(value, key)
        missing = key not in region["value"]
        if missing or (key not in ("x", "y") and given < 0):
            raise at.member(f".value.{key}").error(
                "a region cannot be drawn",
                expected="a number in percent of the image",
                found="no such key" if missing else given,
            )
    across, down = width / 100, height / 100
    corner = (value.x * across, value.y * down)
    check_points([corner, (value.width, value.height)], 2, at)
    if kind == "rectangle":
        sides = (*corner, corner[0] + value.width * across, corner[1] + value.height * down)
        if value.rotation % 360:
            return about, rotated_box(sides, value.rotation, corner)
        return about, Box(*sides)
    if kind == "polygon":
        points = [(x * across, y * down) for x, y in value.points]
        return about, outline(points, at.member(".value.points"))
    if kind == "vector" and value.closed and not any(v.get("isBezier") for v in value.vertices):
        points = [
            (v.get("x", math.nan) * across, v.get("y", math.nan) * down) for v in value.vertices
        ]
        return about, outline(points, at.member(".value.vertices"))
    if kind == "ellipse":
        radii = (value.radiusX * across, value.radiusY * down)
        check_points([radii], 1, at)
        return about, ellipse(corner, radii, value.rotation)
    if kind == "brush":
        try:
            mask = decode_brush(value.rle, (height, width))
        except ValueError as error:
            raise at.member(".value.rle").error(
                "the run lengths of a brush region do not fit the image",
                expected=f"run lengths of {height} x {width} pixels of 4 bytes",
                found=error,
            ) from error
        return about, mask_rle(mask, (0, 0), (height, width))
    return about, None


def is_label_studio_table(file: SourceFile) -> bool:
    """Whether a table has the columns that Label Studio writes, and regions."""
    head = file.read_range(0, 1 << 14).decode("utf-8-sig", "replace")
    first, _, rest = head.partition("\n")
    columns = {c.strip().strip('"') for c in re.split(r"[,\t]", first)}
    return {"id", "annotator", "annotation_id"} <= columns and "original_width" in rest


def _rows(file: SourceFile) -> list[JsonObject]:
    """The rows of a table as tasks of JSON-MIN: cells with regions are lists in JSON."""
    text = io.StringIO(text_of(file, "the table"), newline="")
    separator = "\t" if file.name.lower().endswith(".tsv") else ","
    csv.field_size_limit(max(csv.field_size_limit(), file.size))
    rows = csv.DictReader(text, delimiter=separator)
    return [
        {
            k: parse_json(v.encode(), file.name, record=f"line {rows.line_num}")
            if v.startswith("[{")
            else v
            for k, v in row.items()
            if k and v
        }
        for row in rows
    ]


def _kind(region: Any) -> str | None:
    """What a region is: by its type, or by the members of its value."""
    value = region.get("value") if isinstance(region, dict) else None
    if not isinstance(value, dict):
        return None
    kind = str(region.get("type") or "").removesuffix("labels")
    if kind in _SHAPES:
        return kind
    return next((k for k, member in _SHAPES.items() if member in value), None)


def _labels(region: Any) -> Iterator[str]:
    """Names of classes in a region."""
    for key, names in region.get("value", {}).items():
        if key.endswith("labels") and isinstance(names, list):
            yield from (n for n in names if isinstance(n, str))


def _has_regions(values: list[object]) -> bool:
    return any(isinstance(v, dict) and "original_width" in v for v in values)


def _image_of(data: object, file: str, number: int, tags: Collection[str] = ()) -> str:
    """Name of the image of a task, from its URL; of several, that of the tag that regions are on."""
    texts = {k: v for k, v in data.items() if isinstance(v, str)} if isinstance(data, dict) else {}
    paths = {k: unquote(v.partition("?d=")[2] or v.partition("?")[0]) for k, v in texts.items()}
    found = {k: path for k, path in paths.items() if path.lower().endswith(EXTENSIONS)}
    if len(found) > 1 and len(tags) > 1:
        raise SourceRecord(file, f"[{number}].data", _HINT).error(
            "regions of a task are on several images",
            expected="one image in each task",
            found=", ".join(found.values())[:80],
        )
    if found:
        return next((found[t] for t in tags if t in found), next(iter(found.values())))
    raise SourceError(
        "a task names no image file",
        file=file,
        record=f"[{number}].data",
        expected=f"a name that ends in {', '.join(EXTENSIONS)}",
        found=shown(data),
        hint="export the tasks of image files, and put these beside the export",
    )


def without_prefix(name: str) -> str:
    """The name that an uploaded file had: Label Studio puts eight digits before it."""
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}{_UPLOAD.sub('', base)}"


def restored(
    images: Sequence[tuple[Mapping[str, Any], Sequence[JsonObject]]],
) -> list[JsonObject]:
    """Tasks again, from what a store keeps: records of their images, and records of their regions."""
    tasks: dict[int, JsonObject] = {}
    for place, (about, regions) in enumerate(images):
        number = about.get("number", place)
        if about.get("task") is not None:
            tasks.setdefault(number, {}).update(about["task"])
        task = tasks.setdefault(number, {})
        results = [r for region in regions for r in region["results"]]
        results += about.get("others", [])
        results.sort(key=lambda r: (r[0], r[1]))
        if "annotation" in about:
            kind, _, rest = about["annotation"]
            entry = {**rest, "result": [r[2] for r in results]}
            task[kind] = [*(task.get(kind) or []), entry]
            continue
        for key, _, region in results:
            task[key] = [*(task.get(key) or []), region]
        for key in ("annotations", "completions", "predictions"):
            if key in task and task[key] is None:
                task[key] = []
    return [tasks[n] for n in sorted(tasks)]
