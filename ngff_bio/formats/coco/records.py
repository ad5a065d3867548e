"""COCO annotation records as instances: one record is one instance, and is kept whole.

The text of a record is kept as it is in the file, with null for its ``segmentation`` where other
columns hold that verbatim; every other value, and the order of keys, stays.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np

from ngff_bio.errors import SourceError
from ngff_bio.formats.json.text import checked, parse_json
from ngff_bio.formats.limits import RECORD_BYTES, record_too_large
from ngff_bio.formats.problems import SourceRecord
from ngff_bio.model import Box, Geometry, Instance, Polygons, Rle

#: Height or width; a count of a run (in 32 bits, as pycocotools has it); a flag.
_Length = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
_Count = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**32 - 1)]
_Flag = Annotated[int, msgspec.Meta(ge=-128, le=127)]


class _Rle(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    size: tuple[_Length, _Length]
    counts: str | list[_Count]


class _Record(msgspec.Struct, gc=False):
    """The members that have their own columns; unusual values are parsed by `_lenient`."""

    segmentation: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    bbox: tuple[float, float, float, float] | None = None
    area: float | None = None
    score: float | None = None
    iscrowd: _Flag | None = None
    category_id: int | str | None = None
    id: int | str | None = None


_record = msgspec.json.Decoder(_Record)
_segmentation = msgspec.json.Decoder(list[list[float]] | _Rle | None)
_KEY = b'"segmentation"'
_COUNTS = re.compile(rb'\s*\{\s*"counts"')
#: Replaces an RLE whose keys are in this order in a record; one in the usual order becomes null.
COUNTS_FIRST = b'{"counts":null,"size":null}'
_SEGMENTATION = re.compile(rb'"segmentation"\s*:\s*')
_HINT = "correct the record, or skip it with --on-error skip"


def read_records(
    texts: Sequence[bytes],
    names: Mapping[int | str, str],
    places: Sequence[int],
    file: str,
) -> tuple[list[Instance], dict[int, SourceError]]:
    """Instances of the records of one image, without label values, and the errors of wrong ones.

    Parameters
    ----------
    texts
        JSON text of each record.
    names
        Category names by id.
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
        if len(text) > RECORD_BYTES:
            errors[i] = record_too_large(len(text), file, f"annotations[{places[i]}]")
            text = b"{}"
        try:
            found = _record.decode(text)
            raw = found.segmentation
            shape = None if raw is msgspec.UNSET else _segmentation.decode(raw)
            record = _without_segmentation(text, raw if shape else None)
        except (msgspec.DecodeError, RecursionError):
            try:
                found, shape, record, wrong = _lenient(text, file, f"annotations[{places[i]}]")
            except SourceError as refused:  # text that no parser accepts
                found, shape, record, wrong = _Record(), None, text.decode(), refused
            if wrong is not None:
                errors[i] = wrong
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
                score=found.score,
                iscrowd=found.iscrowd,
                record=record,
            )
        )
    for i, fault in _set_outlines(instances, outlines, owners):
        at = SourceRecord(file, _named(f"annotations[{places[i]}]", instances[i].source_id), _HINT)
        expected = "x0, y0, x1, y1, ...: finite numbers, three points or more"
        errors.setdefault(i, at.error("a polygon cannot be drawn", expected=expected, found=fault))
    return instances, errors


def _set_outlines(
    instances: list[Instance], outlines: list[list[list[float]]], owners: list[int]
) -> list[tuple[int, str]]:
    """Give instances their polygons: views of one array for the whole image."""
    sizes = [len(part) for parts in outlines for part in parts]
    points = chain.from_iterable(chain.from_iterable(outlines))
    flat = np.fromiter(points, np.float64, sum(sizes))
    wrong = []
    numbers = np.array(sizes, np.int64)
    if (numbers % 2).any() or (numbers < 6).any() or not np.isfinite(flat).all():
        faults = ((i, polygon_fault(parts)) for i, parts in zip(owners, outlines, strict=True))
        wrong = [(i, fault) for i, fault in faults if fault is not None]
    at = 0
    for i, parts in zip(owners, outlines, strict=True):
        views = []
        for part in parts:
            stop = at + len(part)
            views.append(flat[at:stop])
            at = stop
        instances[i].geometry = Polygons(tuple(views))  # type: ignore[arg-type]
    return wrong


def polygon_fault(parts: Sequence[Sequence[float]]) -> str | None:
    """Why polygons cannot be drawn."""
    for number, part in enumerate(parts):
        where = f" in part {number}" if len(parts) > 1 else ""
        if len(part) % 2:
            return f"an odd number of coordinates, {len(part)}{where}"
        if len(part) < 6:
            return f"fewer than three points, {len(part)} numbers{where}"
        for value in part:
            if value is None or not math.isfinite(value):
                return f"{value}{where}"
    return None


def _named(record: str, own: object) -> str:
    return record if own is None else f"{record} (id {own})"


def _without_segmentation(text: bytes, raw: msgspec.Raw | msgspec.UnsetType | None) -> str:
    """The record's text with null for its segmentation, which other columns hold.

    An empty or missing one is kept as it is. An RLE with its counts first keeps that order.
    """
    if not isinstance(raw, msgspec.Raw):
        return text.decode()
    if text.count(_KEY) == 1:
        blank = COUNTS_FIRST if _COUNTS.match(bytes(memoryview(raw)[:40])) else b"null"
        match = _SEGMENTATION.search(text)
        if match is not None and text.startswith(bytes(raw), match.end()):
            end = match.end()
            return (text[:end] + blank + text[end + len(raw) :]).decode()
    # The word occurs again, in text or in another member.
    members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    blank = COUNTS_FIRST if _COUNTS.match(bytes(members["segmentation"])) else b"null"
    parts = (
        f"{json.dumps(k, ensure_ascii=False)}:"
        f"{(blank if k == 'segmentation' else bytes(v)).decode()}"
        for k, v in members.items()
    )
    return "{" + ",".join(parts) + "}"


def _lenient(text: bytes, file: str, place: str) -> tuple[_Record, object, str, SourceError | None]:
    """A record with something unusual: NaN, a crowd flag that is true, text for a number, ...

    Returns
    -------
    record
        Its members, those of a wrong type as ``None``.
    segmentation
        As `_segmentation` decodes it; ``None`` if it is wrong.
    text
        JSON text of the record without its segmentation.
    error
        What is wrong with the first wrong member.
    """
    content = parse_json(text, file, record=place, lenient=True)
    found = _Record()
    errors: list[SourceError] = []
    at = SourceRecord(file, _named(place, content.get("id")), _HINT)

    def member(key: str, kind: Any) -> Any:
        try:
            return checked(content.get(key), kind | None, at.member(f".{key}"))
        except SourceError as error:
            errors.append(error)
            return None

    found.id = member("id", int | str)
    found.category_id = member("category_id", int | str)
    crowd = member("iscrowd", _Flag | bool)
    found.iscrowd = None if crowd is None else int(crowd)
    found.area = member("area", float)
    with suppress(SourceError):  # others have texts there: they stay in the record
        score = checked(content.get("score"), float | None, at.member(".score"))
        found.score = None if score is None or not math.isfinite(score) else score
    box = member("bbox", tuple[float, float, float, float])
    if box is not None and not all(map(math.isfinite, box)):
        what = "the box of an annotation has a value that is not finite"
        errors.append(at.error(what, found=box))
        box = None
    found.bbox = box
    segmentation = content.get("segmentation")
    shape = member("segmentation", list[list[float]] | _Rle) or None
    if shape:
        first = isinstance(segmentation, dict) and next(iter(segmentation)) == "counts"
        content["segmentation"] = {"counts": None, "size": None} if first else None
    record = json.dumps(content, ensure_ascii=False)
    return found, shape, record, errors[0] if errors else None
