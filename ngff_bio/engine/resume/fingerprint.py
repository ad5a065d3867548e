"""What tells one conversion from another: its settings, its source, its layout.

A half-made store is only gone on with as it was begun, so the fingerprint covers all that decides a
byte: file names and sizes too, so that a source that was changed meanwhile is not mixed with itself.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ngff_bio._version import __version__
from ngff_bio.model import SourceFile

if TYPE_CHECKING:
    from ngff_bio.engine.plan.plan import Plan

#: Deeper than pixels that are made of pixels that are made of files no source goes.
_DEEPEST = 6

#: Arrays in memory are looked at whole up to this size, and by a sample beyond it.
_MOST_BYTES = 1 << 24


def summary(plan: Plan) -> dict[str, Any]:
    """What the fingerprint covers, as JSON values; long parts as digests."""
    dataset = plan.dataset
    return {
        "converter": f"ngff_bio {__version__}",
        "source": dataset.source,
        "name": dataset.name,
        "images": _digest(_images(plan)),
        "files": _digest(sorted(set(source_parts(dataset.images)))),
        "layout": _digest(_layout(plan)),
        "settings": plan.settings.to_json(),
    }


def fingerprint(content: dict[str, Any]) -> str:
    """Digest of a summary."""
    return _digest(content)


def differences(before: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What two summaries say differently, by name: what was said before, what is said now."""
    flat_before = {k: v for k, v in before.items() if k != "settings"} | before["settings"]
    flat_now = {k: v for k, v in now.items() if k != "settings"} | now["settings"]
    differ = {
        k: (flat_before.get(k), flat_now.get(k))
        for k in {**flat_before, **flat_now}
        if json.dumps(flat_before.get(k)) != json.dumps(flat_now.get(k))
    }
    if len(differ) > 1:  # the layout follows from the rest: naming it says nothing
        differ.pop("layout", None)
    return differ


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _images(plan: Plan) -> list[Any]:
    return [
        [i.path, i.name, i.axis_names, list(i.pixels.shape), i.pixels.dtype.str]
        + [[a.scale, a.unit] for a in i.axes]
        + [[layer.name, layer.max_value] for layer in i.labels]
        + [[f.name, f.t] for f in i.frames]
        for i in plan.dataset.images
    ]


def _layout(plan: Plan) -> list[Any]:
    return [
        [
            [p.plan.path, p.plan.dtype, [[lv.shape, lv.chunk, lv.shard] for lv in p.plan.levels]]
            for p in plan.arrays
        ],
        [[u.phase, u.nbytes, len(u.parts)] for u in plan.units],
    ]


def source_parts(thing: Any, depth: int = 0) -> Iterator[str]:
    """Names and sizes of all files, and checksums of arrays, that something is made of.

    Pixels and layers are dataclasses that hold their files; a class that is not says so by an
    attribute ``files``.
    """
    if depth > _DEEPEST or thing is None or isinstance(thing, str | bytes | int | float):
        return
    if isinstance(thing, np.ndarray):
        yield f"array {thing.shape} {thing.dtype.str} {_checksum(thing)}"
    elif _is_file(thing):
        yield f"file {thing.name} {thing.size}"
    elif (files := getattr(thing, "files", None)) is not None and not callable(files):
        for file in files:
            yield from source_parts(file, depth + 1)
    elif isinstance(thing, tuple | list):
        for item in thing:
            yield from source_parts(item, depth + 1)
    elif is_dataclass(thing):
        for one in fields(thing):
            yield from source_parts(getattr(thing, one.name, None), depth + 1)


def _is_file(thing: Any) -> bool:
    kind = type(thing)
    return all(hasattr(kind, n) for n in ("open", "read")) and isinstance(thing, SourceFile)


def _checksum(array: np.ndarray[Any, Any]) -> int:
    if not array.nbytes or array.dtype.hasobject:
        return 0
    if array.nbytes > _MOST_BYTES or isinstance(array, np.memmap):
        step = max(1, array.size // 4096)
        array = array.reshape(-1)[::step] if array.flags.c_contiguous else array.flat[::step]
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data)
