"""Shapes layers of napari as CSV: a line for each vertex.

Columns ``index, shape-type, vertex-index, axis-0, axis-1, ...``
(https://napari.org/stable/howtos/layers/shapes.html). Axes are those of the image, rows before columns;
a pixel's center has whole numbers, so its corner is 0.5 before it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import AnnotatedImage, Document, instance_of
from ngff_bio.formats.outlines import Point, ellipse, outline
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.formats.text import csv_bytes, text_of
from ngff_bio.model import Geometry, SourceFile

_HEAD = ["index", "shape-type", "vertex-index", "axis-0"]
_HINT = "save the layer again from napari, or skip such shapes with --on-error skip"


def is_napari_shapes(file: SourceFile) -> bool:
    """Whether the first line of a file has the columns of a shapes layer."""
    head = file.read_range(0, 256).decode("utf-8-sig", "replace").partition("\n")[0]
    return head.strip().split(",")[:4] == _HEAD


@dataclass(frozen=True, slots=True)
class NapariShapes:
    """Reads a shapes layer of a plane, or of all planes of a stack."""

    file: SourceFile

    #: Pixels whose center is inside, as the program fills its outlines.
    rule: ClassVar[Literal["center"]] = "center"

    def read(self, problems: Problems) -> Document:
        """Read the file."""
        lines = csv.reader(io.StringIO(text_of(self.file, "the table"), newline=""))
        axes = len(next(lines, [])) - 3
        if axes != 2:
            raise SourceError(
                "the shapes are not of a plane",
                file=self.file.name,
                expected="columns axis-0 and axis-1",
                found=f"{axes} axes",
                hint="save the shapes of each plane from a layer of two dimensions, or leave the file "
                "out with --exclude GLOB",
            )
        shapes: dict[str, list[Sequence[str]]] = {}
        for row in filter(None, lines):
            shapes.setdefault(row[0], []).append(row[1:])
        instances = []
        for number, (index, rows) in enumerate(shapes.items()):
            with problems.caught():
                at = SourceRecord(self.file.name, f"index {index}", _HINT)
                kind, kept = rows[0][0] if rows[0] else "", [r[1:] for r in rows]
                shape = _shape(kind, [_point(r, at) for r in kept], at)
                if shape is None:
                    problems.note(
                        "paths and lines have no area: a row without pixels", self.file.name
                    )
                record = {"index": index, "shape-type": kind, "vertices": kept}
                instances.append(instance_of(shape, record, number, source_id=index))
        name = self.file.name.rpartition("/")[2].rpartition(".")[0]
        return Document([AnnotatedImage(name, instances)])


def _point(row: Sequence[str], at: SourceRecord) -> Point:
    """x and y of a vertex, from its number and its position."""
    try:
        _, y, x = row
        return float(x) + 0.5, float(y) + 0.5
    except ValueError:
        raise at.error(
            "a row of a table of shapes is wrong",
            expected="vertex-index, axis-0, axis-1",
            found=row,
        ) from None


def _shape(kind: str, points: list[Point], at: SourceRecord) -> Geometry | None:
    if kind in ("path", "line"):
        return None
    if kind in ("rectangle", "polygon"):
        return outline(points, at)
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    box = (min(xs, default=0), min(ys, default=0), max(xs, default=0), max(ys, default=0))
    upright = len(points) == 4 and len({*xs}) == 2 == len({*ys})
    if kind != "ellipse" or not upright:
        raise at.error(
            "a shape cannot be drawn",
            expected="a polygon, rectangle, path or line, or an ellipse that is not rotated",
            found=f"{kind} of {len(points)} vertices",
        )
    center = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    return ellipse(center, ((box[2] - box[0]) / 2, (box[3] - box[1]) / 2))


def restored(found: Sequence[tuple[int, Mapping[str, Any]]]) -> bytes:
    """The table of some shapes."""
    rows = ([one["index"], one["shape-type"], *v] for _, one in found for v in one["vertices"])
    return csv_bytes([[*_HEAD, "axis-1"], *rows])
