"""Class names and splits of YOLO datasets: ``data.yaml``, ``obj.data`` and lists of names.

Formats: https://docs.ultralytics.com/datasets/detect/ (``data.yaml``), https://pjreddie.com/darknet/yolo/
(``obj.data``, ``obj.names``, lists of images).
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field
from typing import Any

from ngff_bio.errors import SourceError
from ngff_bio.formats.problems import damage_named
from ngff_bio.formats.text import text_of
from ngff_bio.model import SourceFile

#: Most digits of a class number.
_DIGITS = 6

#: Keys of ``data.yaml`` and ``obj.data`` whose values are folders or lists of images.
SPLITS = ("train", "val", "valid", "test", "minival")


@dataclass(frozen=True, slots=True)
class YoloClasses:
    """What a dataset file states.

    Parameters
    ----------
    file
        Name of the file; ``None`` if there is none.
    names
        Class names by class number.
    splits
        Folders or lists of images of each split, as written.
    keypoints
        Number of keypoints, and of values of each (``kpt_shape``).
    """

    file: str | None = None
    names: dict[int, str] = field(default_factory=dict)
    splits: dict[str, list[str]] = field(default_factory=dict)
    keypoints: tuple[int, int] | None = None


def read_yaml(file: SourceFile) -> YoloClasses | None:
    """The classes of a ``data.yaml``; ``None`` if the file has no ``names``.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is not YAML, or a value has another type.
    """
    import yaml

    text = text_of(file, "the dataset file")
    with damage_named(file.name, "the dataset file is not valid YAML"):
        # All scalars are text: a class may be named `no` or `1e3`.
        content = yaml.load(text, Loader=yaml.BaseLoader)
    if not isinstance(content, dict) or "names" not in content:
        return None

    def wrong(key: str, expected: str) -> SourceError:
        return SourceError(
            "a value of the dataset file has the wrong type",
            file=file.name,
            record=key,
            expected=expected,
            found=reprlib.repr(content[key])[:80],  # anchors may stand for values without end
            hint="correct the file as the documentation of YOLO says",
        )

    given: Any = content["names"]
    pairs = list(given.items() if isinstance(given, dict) else enumerate(given))
    if isinstance(given, str) or not all(
        isinstance(v, str) and str(k).isdecimal() and len(str(k)) <= _DIGITS for k, v in pairs
    ):
        raise wrong("names", "a list of names, or names by class number")
    stated = str(content.get("nc", len(pairs)))
    if stated != str(len(pairs)):
        raise SourceError(
            "the number of classes and the list of their names differ",
            file=file.name,
            record="nc",
            expected=f"{len(pairs)}, the number of names",
            found=stated[:80],
            hint="correct nc or names: which of them is wrong cannot be known",
        )
    splits: dict[str, list[str]] = {}
    for key in SPLITS:
        value = content.get(key)
        if isinstance(value, str) and value:
            splits[key] = [value]
        elif isinstance(value, list) and all(isinstance(v, str) for v in value):
            splits[key] = value
        elif value:
            raise wrong(key, "a folder or a list of images, or several")
    keypoints = None
    if "kpt_shape" in content:
        shape = content["kpt_shape"]
        if not (isinstance(shape, list) and len(shape) == 2 and all(map(_is_count, shape))):
            raise wrong("kpt_shape", "the number of keypoints, and 2 or 3 values of each")
        keypoints = (int(shape[0]), int(shape[1]))
    return YoloClasses(file.name, {int(k): v for k, v in pairs}, splits, keypoints)


def _is_count(value: object) -> bool:
    return isinstance(value, str) and value.isdecimal() and len(value) < 5


def read_names(file: SourceFile) -> YoloClasses:
    """The classes of ``obj.names`` or ``classes.txt``: a name in each line."""
    lines = text_of(file, "the file of class names").splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    return YoloClasses(file.name, {i: line.strip() for i, line in enumerate(lines)})


def read_data(file: SourceFile) -> dict[str, str]:
    """The settings of ``obj.data``: ``key = value`` in each line."""
    lines = text_of(file, "the dataset file").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}
