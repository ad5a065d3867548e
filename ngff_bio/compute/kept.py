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
from types import CodeType, FunctionType, MethodType
from typing import Any
from uuid import uuid4

import msgspec

from ngff_bio.compute.results import Kept, folder_of, parse_name
from ngff_bio.engine.write.manifest import MANIFEST, read_manifest
from ngff_bio.reader import Image
from ngff_bio.storage import Storage
from ngff_bio.zarrio.journal import RESULTS, sealed, unsealed

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
    read = set()
    for path, (image, labels) in images.items():
        read |= {image.below(level.path) for level in image.multiscale.levels}
        read |= {image.below(f"labels/{name}") for name in labels}
        known = [image.meta, dict(image.attributes), *map(image.label_meta, labels)]
        total.update(f"{path} {known}\n".encode())
    rows: Iterable[tuple[str, int, object]]
    if storage.size(MANIFEST) is not None and storage.locality == "network":
        rows = ((e.path, e.size, e.crc32c) for e in read_manifest(storage) if e.kind == "object")
    else:  # another program need not have changed the manifest
        rows = storage.versions()
    for path, size, version in sorted(rows):
        if path.rpartition("/")[2] not in _DOCUMENTS and _within(path, read):
            total.update(f"{path} {size} {version or uuid4()}\n".encode())
    return total.hexdigest()[:32]


def _within(path: str, groups: set[str]) -> bool:
    while path:
        if path in groups:
            return True
        path = path.rpartition("/")[0]
    return False


def identity(function: object, seen: frozenset[object] = frozenset()) -> object:
    """What identifies a function: names, code and defaults; what it is bound to; functions and numbers,
    texts and tuples of its module that it uses. Not what other modules do.
    """
    if isinstance(function, partial):
        named = sorted(function.keywords.items())
        own = identity(function.func, seen)
        return ("partial", own, _value(function.args, seen), _value(named, seen))
    if isinstance(function, MethodType):
        return ("method", _value(function.__self__), identity(function.__func__, seen))
    if not isinstance(function, FunctionType):
        own = {k: v for k, v in vars(type(function)).items() if k[:2] != "__" or k == "__call__"}
        kind = [(k, _value(v, seen)) for k, v in sorted(own.items())]
        return (type(function).__qualname__, _pickled(function), kind)
    code, seen = function.__code__, seen | {function}
    inner = [_value(c.cell_contents, seen) for c in function.__closure__ or ()]
    given = (_value(function.__defaults__, seen), _value(function.__kwdefaults__, seen))
    uses = [
        (name, _value(value, seen))
        for name in sorted(_names(code))
        if isinstance(value := function.__globals__.get(name), _PLAIN)
        or (isinstance(value, FunctionType) and value.__module__ == function.__module__)
    ]
    return (function.__qualname__, _code(code), given, inner, uses)


_PLAIN = (int, float, complex, str, bytes, tuple)


def _names(code: CodeType) -> set[str]:
    inner = (c for c in code.co_consts if isinstance(c, CodeType))
    return {*code.co_names}.union(*map(_names, inner))


def _code(code: CodeType) -> object:
    consts = [_code(c) if isinstance(c, CodeType) else _constant(c) for c in code.co_consts]
    return (code.co_code.hex(), code.co_names, consts)


def _constant(value: object) -> str:
    # The order of a set of texts is another one in each process.
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)


def _value(value: object, seen: frozenset[object] = frozenset()) -> object:
    if isinstance(value, FunctionType | MethodType | partial):
        return "recursion" if value in seen else identity(value, seen)
    return _pickled(value)


def _pickled(value: object) -> str:
    try:
        return hashlib.sha256(pickle.dumps(value)).hexdigest()
    except (pickle.PicklingError, AttributeError, TypeError):
        return type(value).__qualname__
