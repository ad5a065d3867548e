"""What distinguishes one conversion from another: its settings, its source, its layout.

An incomplete store is only resumed with the layout that it was begun with, and an image of it only
while its source is what it was: the summary of a plan covers all that decides a byte, also the identity
of each source file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ngff_bio._version import __version__
from ngff_bio.checksums import crc32c
from ngff_bio.engine.plan.plan import Plan
from ngff_bio.errors import SourceError
from ngff_bio.model import SourceFile, SourceImage, SourcePart


def summarize(plan: Plan, files: SourceIdentities) -> dict[str, Any]:
    """All that decides the bytes of a store, as JSON values; long parts as digests.

    ``images`` has for each path a digest of the image's description, and one of the identities of what
    it is made of: ``None`` where a part of it declares nothing, or nothing is known of a file that
    changes with its content.
    """
    dataset = plan.dataset
    return {
        "converter": f"ngff_bio {__version__}",
        "source": dataset.source,
        "name": dataset.name,
        "layout": digest_of(_layout(plan)),
        "images": {i.path: [digest_of(_description(i)), files.digest(i)] for i in dataset.images},
        "on_error": dataset.options.get("on_error", "stop"),
        "settings": plan.settings.to_json(),
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Values of two summaries that do not allow to resume, by name: the one before, the one now.

    Images whose source alone differs are not among them (see `changed_images`), nor is what is done
    about errors.
    """
    flat_before, flat_now = _comparable(before), _comparable(now)
    return {
        k: (flat_before.get(k), flat_now.get(k))
        for k in {**flat_before, **flat_now}
        if json.dumps(flat_before.get(k)) != json.dumps(flat_now.get(k))
    }


def _comparable(summary: Mapping[str, Any]) -> dict[str, Any]:
    rest = {k: v for k, v in summary.items() if k not in ("settings", "images", "on_error")}
    return {**rest, **summary["settings"]}


def changed_images(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Paths of images that are not, or may not be, the same in two summaries."""
    then, found = before["images"], now["images"]
    return [
        path
        for path in {**then, **found}
        if then.get(path) != found.get(path) or found[path][1] is None
    ]


def undeclared_images(summary: Mapping[str, Any]) -> list[str]:
    """Paths of images of whose source nothing is known that changes with its content."""
    return [path for path, (_, files) in summary["images"].items() if files is None]


def conversion_of(summary: Mapping[str, Any], files: SourceIdentities) -> dict[str, Any]:
    """What of a summary is recorded in the store: nothing that only holds on this machine.

    ``content`` is a digest of the source where no part of it is a file, else ``None``.
    """
    images: dict[str, list[str | None]] = summary["images"]
    known = not files.of_files and all(digest is not None for _, digest in images.values())
    return {
        **summary,
        "images": digest_of({path: described for path, (described, _) in images.items()}),
        "content": digest_of(images) if known else None,
    }


class SourceIdentities:
    """Identities of what images are made of, each asked once: many images share a file."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[SourcePart, str | None]] = {}

    def digest(self, image: SourceImage) -> str | None:
        """Digest of all that an image is made of; ``None`` if a part of it cannot be identified."""
        found: set[str] = set()
        for part in image.source_parts():
            identity = None if part is None else self._of(part)
            if identity is None:
                return None
            found.add(identity)
        return digest_of(sorted(found))

    @property
    def of_files(self) -> bool:
        """Whether any part that was asked for is a file, or nothing was asked for."""
        parts = [part for part, _ in self._known.values()]
        return not parts or any(
            isinstance(p, np.memmap) or not isinstance(p, np.ndarray | str) for p in parts
        )

    def check(self, images: Iterable[SourceImage]) -> None:
        """Check that no file of some images has changed since it was asked.

        Raises
        ------
        ngff_bio.errors.SourceError
            If one has: what was read of it may be of two versions.
        """
        used = {id(part) for image in images for part in image.source_parts()}
        for part, known in (self._known[i] for i in used & self._known.keys()):
            if isinstance(part, SourceFile) and _identity(part) != known:
                raise SourceError(
                    "a source file was changed while it was converted",
                    file=part.name,
                    hint="run the same command again: images that it belongs to are read again",
                )

    def _of(self, part: SourcePart) -> str | None:
        if id(part) not in self._known:  # with the part itself: its id stays its own
            self._known[id(part)] = part, _identity(part)
        return self._known[id(part)][1]


def digest_of(content: Any) -> str:
    """Digest of JSON values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def _description(image: SourceImage) -> list[Any]:
    return (
        [image.name, image.axis_names, list(image.pixels.shape), image.pixels.dtype.str]
        + [[a.scale, a.unit] for a in image.axes]
        + [[layer.name, layer.max_value] for layer in image.labels]
        + [[f.name, f.t] for f in image.frames]
    )


def _layout(plan: Plan) -> list[Any]:
    return [
        [[i.path, i.axis_names] for i in plan.dataset.images],
        [
            [p.plan.path, p.plan.dtype, [[v.shape, v.chunk, v.shard] for v in p.plan.levels]]
            for p in plan.arrays
        ],
        [[u.phase, u.nbytes, len(u.parts)] for u in plan.units],
        *(
            [t.name, {name: list(values) for name, values in t.columns.items()}]
            for plate in plan.dataset.plates
            for t in plate.tables
        ),
    ]


def _identity(part: SourcePart) -> str | None:
    """What changes with the content of a part; ``None`` if nothing is known that does."""
    if isinstance(part, str):
        return f"text {part}"
    if isinstance(part, np.ndarray):
        return f"array {part.shape} {part.dtype.str} {_checksum(part)}"
    try:
        return None if part.identity is None else f"file {part.identity}"
    except FileNotFoundError:  # reported when it is read
        return f"file {part.name}"


def _checksum(array: np.ndarray[Any, Any]) -> str:
    """CRC-32C of an array in memory; for one that is mapped from a file, that of a sample, and what
    the file system says of the file.
    """
    if not array.nbytes:
        return "empty"
    of_file = ""
    if isinstance(array, np.memmap):
        step = max(1, array.size // 4096)
        if array.filename is not None:
            found = os.stat(array.filename)
            of_file = f" {found.st_size} {found.st_mtime_ns} {found.st_ino} {found.st_ctime_ns}"
        array = array.reshape(-1)[::step] if array.flags.c_contiguous else array.flat[::step]
    crc = crc32c(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return f"{crc}{of_file}"
