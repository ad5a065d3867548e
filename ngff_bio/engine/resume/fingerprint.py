"""What distinguishes one conversion from another: its settings, its source, its layout.

An incomplete store is only resumed with the plan that it was begun with, so the summary of a plan
covers all that decides a byte: also the identity of the source's files, so that a source that was
changed in between is not mixed with itself.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import google_crc32c
import numpy as np

from ngff_bio._version import __version__
from ngff_bio.engine.plan.plan import Plan
from ngff_bio.model import SourceDataset, SourcePart


def summarize(plan: Plan) -> dict[str, Any]:
    """All that decides the bytes of a store, as JSON values; long parts as digests.

    ``files`` is ``None`` where a part of the source does not declare what it is made of.
    """
    dataset = plan.dataset
    return {
        "converter": f"ngff_bio {__version__}",
        "source": dataset.source,
        "name": dataset.name,
        "images": _digest(_images(dataset)),
        "files": _files(dataset),
        "layout": _digest(_layout(plan)),
        "settings": plan.settings.to_json(),
    }


def differences(before: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Values that differ between two summaries, by name: the one before, the one now."""
    flat_before = {k: v for k, v in before.items() if k != "settings"} | before["settings"]
    flat_now = {k: v for k, v in now.items() if k != "settings"} | now["settings"]
    differ = {
        k: (flat_before.get(k), flat_now.get(k))
        for k in {**flat_before, **flat_now}
        if json.dumps(flat_before.get(k)) != json.dumps(flat_now.get(k))
    }
    if len(differ) > 1:  # the layout follows from the rest: naming it explains nothing
        differ.pop("layout", None)
    return differ


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _images(dataset: SourceDataset) -> list[Any]:
    return [
        [i.path, i.name, i.axis_names, list(i.pixels.shape), i.pixels.dtype.str]
        + [[a.scale, a.unit] for a in i.axes]
        + [[layer.name, layer.max_value] for layer in i.labels]
        + [[f.name, f.t] for f in i.frames]
        for i in dataset.images
    ]


def _layout(plan: Plan) -> list[Any]:
    return [
        [
            [p.plan.path, p.plan.dtype, [[v.shape, v.chunk, v.shard] for v in p.plan.levels]]
            for p in plan.arrays
        ],
        [[u.phase, u.nbytes, len(u.parts)] for u in plan.units],
    ]


def _files(dataset: SourceDataset) -> str | None:
    """Digest of all that the source is made of; ``None`` if a part of it declares nothing."""
    parts: dict[int, SourcePart] = {}
    for part in dataset.source_parts():
        if part is None:
            return None
        parts[id(part)] = part  # many images share a file
    return _digest(sorted({_identity(part) for part in parts.values()}))


def _identity(part: SourcePart) -> str:
    if isinstance(part, str):
        return f"text {part}"
    if isinstance(part, np.ndarray):
        return f"array {part.shape} {part.dtype.str} {_checksum(part)}"
    try:
        return f"file {part.identity}"
    except FileNotFoundError:  # reported when it is read
        return f"file {part.name}"


def _checksum(array: np.ndarray[Any, Any]) -> int:
    """CRC-32C of an array in memory; of a sample of one that is mapped from a file."""
    if not array.nbytes:
        return 0
    if isinstance(array, np.memmap):
        step = max(1, array.size // 4096)
        array = array.reshape(-1)[::step] if array.flags.c_contiguous else array.flat[::step]
    return int(google_crc32c.value(np.ascontiguousarray(array).reshape(-1).view(np.uint8)))
