"""The state of a run of ``map_images`` that writes: what it would be resumed by, and what is done.

Below ``.ngff_bio/map/<kind>-<name>/<digest>/``, with the lease of the store held. The digest is that of
the function, the pieces, and the objects of the images that are read: a run with another digest starts
anew, and removes what others with the same target have left.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import CodeType
from typing import Any

import msgspec

from ngff_bio.compute.results import Kept, folder_of, parse_name
from ngff_bio.engine.write.manifest import MANIFEST, read_manifest
from ngff_bio.reader import Image
from ngff_bio.storage import Storage
from ngff_bio.zarrio.journal import RESULTS, STATE, sealed, unsealed

_DOCUMENTS = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")


@dataclass
class KeptResults:
    """Results of the pieces that are done, by image."""

    storage: Storage
    target: str
    digest: str

    @property
    def folder(self) -> str:
        """Where they are."""
        return f"{RESULTS}/{self.target}/{self.digest}"

    def begin(self, provenance: Mapping[str, Any], *, resume: bool) -> dict[str, Any]:
        """Remove what other runs have left; returns the provenance that the first run has noted."""
        kept = f"{self.folder}/" if resume else ""
        for key, _ in list(self.storage.list(f"{RESULTS}/{self.target}")):
            if not kept or not key.startswith(kept):
                self.storage.delete(key)
        noted = self.storage.get(self._note)
        if noted is not None:
            try:
                return msgspec.json.decode(unsealed(noted), type=dict[str, Any])
            except (msgspec.DecodeError, ValueError, RecursionError):
                pass
        self.storage.put(self._note, sealed(json.dumps(dict(provenance)).encode()))
        return dict(provenance)

    @property
    def _note(self) -> str:
        return f"{self.folder}/run.json"

    @property
    def _mark(self) -> str:
        return f"{self.folder}/writing"

    @property
    def was_writing(self) -> bool:
        """Whether a run began to write the results into the store: what is there may be from it."""
        return self.storage.size(self._mark) is not None

    def begin_writing(self) -> None:
        """Note that results are about to be written into the store."""
        self.storage.put(self._mark, b"")

    def done(self) -> dict[str, dict[int, Kept]]:
        """Results by path of the image and number of the piece."""
        found: dict[str, dict[int, Kept]] = defaultdict(dict)
        start = f"{self.folder}/{folder_of('')}"
        for key, _ in self.storage.list(start):
            path, _, name = key[len(start) :].rpartition("/")
            kept = parse_name(name)
            if kept is not None:
                found[path.strip("/")][kept.number] = kept
        return found

    def remove(self) -> None:
        """Remove all of it."""
        self.storage.delete_all(f"{RESULTS}/{self.target}")


def digest_of(
    function: Callable[[Any], Any],
    settings: Iterable[object],
    storage: Storage,
    images: Mapping[str, tuple[Image, Iterable[str]]],
) -> str:
    """What must be equal for results to be taken over.

    Parameters
    ----------
    images
        By path, with the label images that are read.
    """
    total = hashlib.sha256(repr((identity(function), *settings)).encode())
    read = {image.below(name) for image, labels in images.values() for name in _read(image, labels)}
    if storage.size(MANIFEST) is not None:
        rows = [(e.path, e.size, e.crc32c) for e in read_manifest(storage) if e.kind == "object"]
    else:
        rows = [(k, n, None) for k, n in storage.list() if not k.startswith(f"{STATE}/")]
    for path, size, crc in sorted(rows):
        if path.rpartition("/")[2] not in _DOCUMENTS and _within(path, read):
            total.update(f"{path} {size} {crc}\n".encode())
    total.update("\n".join(images).encode())
    return total.hexdigest()[:32]


def _read(image: Image, labels: Iterable[str]) -> Iterable[str]:
    yield from (level.path for level in image.multiscale.levels)
    for name in labels:
        yield f"labels/{name}"


def _within(path: str, groups: set[str]) -> bool:
    while path:
        if path in groups:
            return True
        path = path.rpartition("/")[0]
    return False


def identity(function: object) -> object:
    """What identifies a function: names, code and defaults; not what it calls."""
    if isinstance(function, partial):
        given = sorted(function.keywords.items())
        return ("partial", identity(function.func), _value(function.args), _value(given))
    code = getattr(function, "__code__", None)
    name = getattr(function, "__qualname__", type(function).__qualname__)
    if isinstance(code, CodeType):
        cells = getattr(function, "__closure__", None) or ()
        inner = [_value(c.cell_contents) for c in cells]
        return (name, _code(code), _value(getattr(function, "__defaults__", None)), inner)
    return (name, _value(function))


def _code(code: CodeType) -> object:
    consts = [_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return (code.co_code.hex(), code.co_names, consts)


def _value(value: object) -> object:
    if callable(value) and hasattr(value, "__code__"):
        return identity(value)
    try:
        return hashlib.sha256(pickle.dumps(value)).hexdigest()
    except (pickle.PicklingError, AttributeError, TypeError):
        return type(value).__qualname__
