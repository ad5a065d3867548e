"""Label files of YOLO: a line for each object.

A line is the class number, then fractions of the image's width and height:

- detect: center x, y, width, height; with a confidence as sixth number in predictions
- segment: x, y of three or more corners; with a confidence at the end in predictions
- obb: x, y of the four corners of a rotated box: an outline of four corners
- pose: a box, then the keypoints, each x, y or x, y, visibility (``kpt_shape`` in ``data.yaml``)

Source: https://docs.ultralytics.com/datasets/ (detect, segment, obb, pose). Values may exceed 0 to 1 by
1 percent, as in ``ultralytics.data.utils.verify_image_label``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import AnnotatedImage, Document, instance_of
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.formats.text import text_of
from ngff_bio.model import Box, Geometry, Instance, Polygons, SourceFile

_TOLERANCE = 0.01
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_LINE = re.compile(rf"\d+(?:\.0*)?(?:\s+{_NUMBER}){{4,}}\s*")
_HINT = "correct the line, or skip such lines with --on-error skip"


def looks_like_labels(text: str) -> bool | None:
    """Whether lines are those of a label file; ``None`` if there are none. The last may be cut."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    return all(_LINE.fullmatch(line) for line in (lines[:-1] or lines))


@dataclass(frozen=True, slots=True)
class YoloLabels:
    """Reads the label file of an image.

    Parameters
    ----------
    file
        The label file.
    image
        Name of its image file.
    size
        Height and width of the image.
    names
        Class names; the name of class ``n`` is at ``n``, ``None`` where there is none. ``None``
        if no file names the classes.
    keypoints
        Number of keypoints, and of values of each.
    names_file
        The file that names the classes, for errors.
    """

    file: SourceFile
    image: str
    size: tuple[int, int]
    names: tuple[str | None, ...] | None
    keypoints: tuple[int, int] | None = None
    names_file: str | None = None

    def read(self, problems: Problems) -> Document:
        """Read the file."""
        instances = []
        for number, line in enumerate(text_of(self.file, "the label file").splitlines()):
            if line.strip():
                with problems.caught():
                    instances.append(self._instance(line, number))
        boxes = [i.indices[0] + 1 for i in instances if isinstance(i.geometry, Box)]
        if boxes and len(boxes) < len(
            instances
        ):  # Ultralytics takes them for outlines of two points
            problems.warn(
                "lines of 4 values among outlines are read as boxes",
                record=f"{self.file.name} line {boxes[0]}",
            )
        return Document([AnnotatedImage(self.image, instances)])

    def _instance(self, line: str, number: int) -> Instance:
        words = line.split()

        def wrong(what: str, expected: str, found: object) -> SourceError:
            at = SourceRecord(self.file.name, f"line {number + 1}", _HINT)
            return at.error(what, expected=expected, found=str(found)[:80])

        try:
            values = [float(w) for w in words]
        except ValueError:
            raise wrong("a line of a label file is not numbers", "numbers", line) from None
        if not (values[0] >= 0 and values[0].is_integer()):
            raise wrong("a line does not begin with a class number", "0, 1, 2, ...", words[0])
        category = int(values[0])
        name = None
        if self.names is not None:
            name = self.names[category] if category < len(self.names) else None
            if name is None:
                raise wrong(
                    "a class number is not in the list of classes",
                    f"a class of {self.names_file}: 0 to {len(self.names) - 1}",
                    category,
                )
        shape = self._fractions(values[1:])
        if shape is None:
            raise wrong(
                "a line has a wrong number of values",
                self._expected(),
                f"{len(values)} values",
            )
        outside = [v for v in shape if not -_TOLERANCE <= v <= 1 + _TOLERANCE]
        if outside:
            raise wrong("a coordinate is not a fraction of the image", "0 to 1", outside[0])
        last = len(shape) if self.keypoints is None else 4 + math.prod(self.keypoints)
        score = values[-1] if len(values) == last + 2 else None
        if (
            score is not None and not 0 <= score <= 1
        ):  # Ultralytics writes numbers of tracks there, too
            raise wrong("the confidence of a line is not a fraction", "0 to 1", words[-1])
        height, width = self.size
        geometry: Geometry
        box = None
        if len(shape) == 4:
            x, y, w, h = (v * n for v, n in zip(shape, (width, height) * 2, strict=True))
            box = (x - w / 2, y - h / 2, w, h)
            geometry = Box(x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        else:
            geometry = Polygons(([v * (height if i % 2 else width) for i, v in enumerate(shape)],))
        one = instance_of(
            geometry, {"line": line}, number, category=name, category_id=category, box=box
        )
        one.score = score
        return one

    def _fractions(self, values: list[float]) -> list[float] | None:
        """Values of the box or the outline; ``None`` if their number is wrong."""
        if not all(map(math.isfinite, values)):
            return [math.nan]
        count = len(values)
        if self.keypoints is not None:
            expected = 4 + self.keypoints[0] * self.keypoints[1]
            return values[:4] if count in (4, expected, expected + 1) else None
        if count in (4, 5):
            return values[:4]
        return values[: count // 2 * 2] if count >= 6 else None

    def _expected(self) -> str:
        if self.keypoints is not None:
            return f"a class, a box and {self.keypoints[0]} keypoints of {self.keypoints[1]} values"
        return "a class, then 4 values of a box or 6 or more of an outline"
