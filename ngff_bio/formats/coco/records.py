"""COCO annotation records to instances: one record is one instance, and stays whole.

The text of a record is kept as the file has it, with its ``segmentation`` put to null where other
columns hold it verbatim; every other value, and the order of keys, stays.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.model import Box, Geometry, Instance, Polygons, Rle


class _Rle(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    size: tuple[int, int]
    counts: str | list[int]


class _Record(msgspec.Struct, gc=False):
    """The members that have columns of their own; unusual values go the slow way."""

    segmentation: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    bbox: tuple[float, float, float, float] | None = None
    area: float | None = None
    iscrowd: int | None = None
    category_id: int | str | None = None
    id: int | str | None = None


_record = msgspec.json.Decoder(_Record)
_segmentation = msgspec.json.Decoder(list[list[float]] | _Rle | None)
_KEY = b'"segmentation"'
_COUNTS = re.compile(rb'\s*\{\s*"counts"')
#: Stands in a record for an RLE whose keys were in this order; null for the usual one.
COUNTS_FIRST = b'{"counts":null,"size":null}'
_SEGMENTATION = re.compile(rb'"segmentation"\s*:\s*')


def read_records(
    texts: Sequence[bytes],
    names: Mapping[int | str, str],
    size: tuple[int, int],
    places: Sequence[int],
    file: str,
) -> tuple[list[Instance], dict[int, SourceError]]:
    """Instances of the records of one image, label values not set; and what is wrong with which.

    Parameters
    ----------
    texts
        JSON text of each record.
    names
        Category names by id.
    size
        Height and width of the image.
    places
        Index of each record in the file, for errors.
    file
        The file's name, for errors.

    Returns
    -------
    instances
        One per record.
    errors
        By position in `texts`: such an instance has no geometry that can be drawn.
    """
    instances: list[Instance] = []
    errors: dict[int, SourceError] = {}
    outlines: list[list[list[float]]] = []
    owners: list[int] = []
    for i, text in enumerate(texts):
        try:
            found = _record.decode(text)
            raw = found.segmentation
            shape = None if raw is msgspec.UNSET else _segmentation.decode(raw)
            record = _without_segmentation(text, raw, keep=not shape)
        except (msgspec.DecodeError, RecursionError):
            found, shape, record, wrong = _slowly(text)
            if wrong is not None:
                errors[i] = _located(wrong, file, places[i], found.id)
        geometry: Geometry | None = None
        if isinstance(shape, _Rle):
            geometry = Rle(shape.size, shape.counts)
        elif shape:
            outlines.append(shape)
            owners.append(i)
        elif found.bbox is not None and i not in errors:
            x, y, width, height = found.bbox
            geometry = Box(x, y, x + width, y + height)
        category = found.category_id
        instances.append(
            Instance(
                value=0,
                geometry=geometry,
                category=None if category is None else names.get(category),
                category_id=category,
                source_id=found.id,
                box=found.bbox,
                area=found.area,
                iscrowd=found.iscrowd,
                record=record,
            )
        )
    for i, wrong in _set_outlines(instances, outlines, owners):
        errors.setdefault(i, _located(wrong, file, places[i], instances[i].source_id))
    return instances, errors


def _set_outlines(
    instances: list[Instance], outlines: list[list[list[float]]], owners: list[int]
) -> list[tuple[int, SourceError]]:
    """Give instances their polygons; all of an image in one array, cut into views."""
    sizes = [len(part) for parts in outlines for part in parts]
    points = chain.from_iterable(chain.from_iterable(outlines))
    flat = np.fromiter(points, np.float64, sum(sizes))
    wrong = []
    if not _all_good(sizes, flat):
        for i, parts in zip(owners, outlines, strict=True):
            error = _fault(parts)
            if error is not None:
                wrong.append((i, error))
    at = 0
    for i, parts in zip(owners, outlines, strict=True):
        views = []
        for part in parts:
            stop = at + len(part)
            views.append(flat[at:stop])
            at = stop
        instances[i].geometry = Polygons(tuple(views))  # type: ignore[arg-type]
    return wrong


def _all_good(sizes: list[int], flat: NDArray[np.float64]) -> bool:
    numbers = np.array(sizes, np.int64)
    return not ((numbers % 2).any() or (numbers < 6).any()) and bool(np.isfinite(flat).all())


def _fault(parts: Sequence[Sequence[float]]) -> SourceError | None:
    """Why polygons cannot be drawn."""
    for number, part in enumerate(parts):
        told = f", part {number}" if len(parts) > 1 else ""
        if len(part) % 2:
            return SourceError(
                "a polygon has an odd number of coordinates",
                expected="x0, y0, x1, y1, ...",
                found=f"{len(part)} numbers{told}",
            )
        if len(part) < 6:
            return SourceError(
                "a polygon has fewer than three points",
                expected="at least 6 numbers",
                found=f"{len(part)} numbers{told}",
            )
        for value in part:
            if not math.isfinite(value):
                return SourceError(
                    "a polygon has a coordinate that is no finite number",
                    expected="pixels",
                    found=f"{value}{told}",
                )
    return None


def _located(error: SourceError, file: str, index: int, own: Any) -> SourceError:
    record = f"annotations[{index}]" + (f" (id {own})" if own is not None else "")
    return SourceError(
        error.what,
        file=file,
        record=record,
        expected=error.expected,
        found=error.found,
        hint=error.hint or "mend the record, or go on without it with --on-error skip",
    )


def _without_segmentation(text: bytes, raw: Any, *, keep: bool) -> str:
    """The record's text with null for its segmentation, which other columns hold.

    An empty or missing one is kept as it is. Of an RLE that is written counts first, this order stays.
    """
    if keep:
        return text.decode()
    if text.count(_KEY) == 1:
        blank = COUNTS_FIRST if _COUNTS.match(bytes(memoryview(raw)[:40])) else b"null"
        match = _SEGMENTATION.search(text)
        if match is not None and text.startswith(bytes(raw), match.end()):
            end = match.end()
            return (text[:end] + blank + text[end + len(raw) :]).decode()
    # The word comes twice: in a text, or inside of another member.
    members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    blank = COUNTS_FIRST if _COUNTS.match(bytes(members["segmentation"])) else b"null"
    parts = (
        f"{json.dumps(k, ensure_ascii=False)}:"
        f"{(blank if k == 'segmentation' else bytes(v)).decode()}"
        for k, v in members.items()
    )
    return "{" + ",".join(parts) + "}"


def _slowly(text: bytes) -> tuple[_Record, Any, str, SourceError | None]:
    """A record with something unusual: NaN, a crowd flag that is true, text for a number, ..."""
    content = json.loads(text)
    wrong: SourceError | None = None
    found = _Record()
    for key, check in _CHECKS.items():
        value = content.get(key)
        if value is None:
            continue
        try:
            setattr(found, key, check(value))
        except (TypeError, ValueError):
            wrong = wrong or SourceError(
                f"{key} of an annotation is of the wrong kind",
                expected=_EXPECTED[key],
                found=json.dumps(value)[:80],
            )
    shape = content.get("segmentation")
    try:
        parsed = _shape(shape)
    except (TypeError, ValueError):
        parsed = None
        wrong = wrong or SourceError(
            "the segmentation of an annotation is of no known kind",
            expected='[[x0, y0, x1, y1, ...], ...] or {"size": [height, width], "counts": ...}',
            found=json.dumps(shape)[:80],
        )
    if parsed:
        first = isinstance(shape, dict) and next(iter(shape)) == "counts"
        content["segmentation"] = {"counts": None, "size": None} if first else None
    return found, parsed, json.dumps(content, ensure_ascii=False), wrong


def _shape(value: Any) -> Any:
    """A segmentation, whatever its numbers are; `ValueError` if it is none."""
    if not value:
        return None
    if isinstance(value, list) and all(isinstance(p, list) for p in value):
        return [[_number(n) for n in part] for part in value]
    if isinstance(value, dict) and set(value) == {"size", "counts"}:
        size, counts = value["size"], value["counts"]
        if not isinstance(counts, str):
            counts = [_whole(n) for n in counts]
        height, width = size
        return _Rle((_whole(height), _whole(width)), counts)
    raise ValueError("no segmentation")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("no number")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, str) or int(value) != value:
        raise ValueError("no whole number")
    return int(value)


def _box(value: Any) -> tuple[float, float, float, float]:
    x, y, width, height = (_number(n) for n in value)
    if not all(map(math.isfinite, (x, y, width, height))):
        raise ValueError("no finite number")
    return x, y, width, height


def _id(value: Any) -> int | str:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return _whole(value)


_CHECKS: dict[str, Any] = {
    "bbox": _box,
    "area": _number,
    "iscrowd": _whole,
    "category_id": _id,
    "id": _id,
}
_EXPECTED = {
    "bbox": "[x, y, width, height]",
    "area": "a number",
    "iscrowd": "0 or 1",
    "category_id": "a number or text",
    "id": "a number or text",
}
