"""Indexing a COCO file: it is read once from front to back, in bounded memory.

Of each annotation only the position in the file and the image are kept; an image's annotations are
read from there when it is drawn. Measured by ``benchmarks/coco_parse.py``: one window of annotations
at a time through msgspec, all but three members of each skipped, takes 1 s for 400 MB; whole parsers
take ten times as long and many times the file's size in memory.

Format: https://cocodataset.org/#format-data. In real files, ``annotations`` may be an object keyed by
id, ids may be text or start at 0, and keys may be in any order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.formats.coco.file import CocoFile, CocoImage, parse_category, parse_image, read_ranges
from ngff_bio.formats.json.scan import (
    SEPARATORS,
    WINDOW,
    Container,
    Elements,
    JsonWalk,
    split_element,
)
from ngff_bio.formats.json.text import JsonObject, parse_json, shown
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Category, Notice, PixelArray, SourceFile

_Entry = TypeVar("_Entry", CocoImage, Category)

#: An id in an annotation; not set where there is none, ``None`` where it is not usable.
Id: TypeAlias = int | str | msgspec.UnsetType | None

#: A small integer for each id.
Codes: TypeAlias = dict[Id, int]

#: Code of an annotation that is left out.
_DROPPED = -1


def open_coco(
    file: SourceFile,
    problems: Problems,
    *,
    digests: bool = False,
    window: int = WINDOW,
) -> CocoFile:
    """Read a COCO file once: its images and categories, and the positions of its annotations.

    Parameters
    ----------
    file
        The JSON file.
    problems
        Receives the errors of single records; those records are left out.
    digests
        Whether annotations of an image are compared with those of other files.
    window
        Bytes that are read at once.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the file is not JSON or not COCO, or, unless errors are skipped, a record is wrong.
    """
    reading = _Reading(file, file.name, problems, digests)
    size = file.size
    progress = problems.progress
    report = None if progress is None else (lambda done: progress(file.name, done, size))
    with file.open() as stream:
        walk = JsonWalk(stream, file.name, {"annotations"}, window, report)
        for part in walk:
            reading.take(part)
    known: JsonObject = {}
    for key, value in walk.members.items():
        if not isinstance(value, Container):
            known[key] = value
        elif key == "annotations":
            reading.form = "list" if value.is_list else "object"
        else:
            (text,) = read_ranges(file, np.array([[value.start, value.stop]]))
            known[key] = parse_json(text, file.name, record=repr(key), lenient=True)
    return reading.finish(tuple(walk.members), known)


class _Head(msgspec.Struct, gc=False):
    """The members that are read of every annotation; the rest is skipped."""

    image_id: Any = msgspec.UNSET
    id: Any = msgspec.UNSET
    category_id: Any = msgspec.UNSET


_heads = msgspec.json.Decoder(list[_Head])
_keyed_heads = msgspec.json.Decoder(dict[str, _Head])
_head = msgspec.json.Decoder(_Head)


@dataclass(slots=True)
class _Reading:
    """What is collected while one file is read: some bytes for each annotation."""

    file: SourceFile
    name: str
    problems: Problems
    digests: bool
    form: Literal["list", "object", "missing"] = "missing"
    count: int = 0
    image_codes: Codes = field(default_factory=dict)
    category_codes: Codes = field(default_factory=dict)
    images: list[NDArray[np.int32]] = field(default_factory=list)
    categories: list[NDArray[np.int32]] = field(default_factory=list)
    hashes: list[NDArray[np.int64]] = field(default_factory=list)
    starts: list[NDArray[np.int64]] = field(default_factory=list)
    stops: list[NDArray[np.int64]] = field(default_factory=list)
    hashers: dict[int, hashlib.blake2b] = field(default_factory=dict)
    last: int | None = None

    def take(self, part: Elements) -> None:
        """Add the annotations of one window."""
        heads = self._heads_of(part)
        number = len(heads)
        image = self._coded(heads, "image_id", self.image_codes)
        self.categories.append(self._coded(heads, "category_id", self.category_codes))
        hashes, unusable = self._hashed(heads)
        self.hashes.append(hashes)
        image[self.categories[-1] == _DROPPED] = _DROPPED
        image[unusable] = _DROPPED
        self.images.append(image)
        self.starts.append(part.starts + part.offset)
        self.stops.append(part.stops + part.offset)
        if self.digests:
            self._digest(part, image)
        self.count += number

    def _digest(self, part: Elements, image: NDArray[np.int32]) -> None:
        """Add each run of annotations of one image to that image's digest.

        Separators within a run count, those before it do not: the same annotations have the same
        digest in another file, wherever they are there and wherever windows end.
        """
        cuts = [0, *(np.flatnonzero(np.diff(image)) + 1).tolist(), len(image)]
        for a, b in pairwise(cuts):
            code = int(image[a])
            text = part.text[int(part.starts[a]) : int(part.stops[b - 1])]
            if a > 0 or code != self.last:
                text = text.lstrip(SEPARATORS)
            else:
                text = part.lead + text
            if code not in self.hashers:
                self.hashers[code] = hashlib.blake2b(digest_size=16)
            self.hashers[code].update(text)
        self.last = int(image[-1])

    def _heads_of(self, part: Elements) -> list[_Head]:
        body = part.text.lstrip(SEPARATORS)
        try:
            if part.is_list:
                heads = _heads.decode(b"[" + body + b"]")
            else:
                heads = list(_keyed_heads.decode(b"{" + body + b"}").values())
        except (msgspec.DecodeError, RecursionError):
            heads = [self._head_of(text, i) for i, (_, text) in enumerate(part.items(), self.count)]
        if len(heads) != len(part.starts):
            raise SourceError(
                "annotations cannot be separated",
                file=self.name,
                record=f"annotations[{self.count}] and those after it",
                expected="objects, and where they are keyed by id, each key once",
                found=f"{len(part.starts)} records, {len(heads)} of them objects with their own key",
            )
        return heads

    def _head_of(self, text: bytes, index: int) -> _Head:
        """Of an annotation in a window in which something is wrong."""
        try:
            return _head.decode(text)
        except (msgspec.DecodeError, RecursionError):
            record = f"annotations[{index}]"
            found = parse_json(text, self.name, record=record, lenient=True)
        if isinstance(found, dict):
            return _Head(*(found.get(k, msgspec.UNSET) for k in ("image_id", "id", "category_id")))
        raise SourceError(
            "an annotation is not an object", file=self.name, record=record, found=shown(found)
        )

    def _coded(self, heads: list[_Head], member: str, codes: Codes) -> NDArray[np.int32]:
        """A small integer for each id; `_DROPPED` where it is not usable."""
        values = [getattr(head, member) for head in heads]
        if not set(map(type, values)) <= {int, str}:
            values = [self._id_of(v, member, i, heads[i]) for i, v in enumerate(values)]
        for value in set(values) - codes.keys():
            codes[value] = _DROPPED if value is None else len(codes)
        return np.fromiter(map(codes.__getitem__, values), np.int32, len(values))

    def _id_of(self, value: object, member: str, i: int, head: _Head) -> Id:
        """An id that is an integer or text; else ``None``, which drops the annotation."""
        if isinstance(value, int | str) and not isinstance(value, bool):
            return value
        if isinstance(value, float) and value.is_integer():
            return int(value)  # 5.0 is how pandas writes ids of a column with gaps
        if member == "category_id" and value in (msgspec.UNSET, None):
            return msgspec.UNSET
        self._refuse(member, value, i, head.id)
        return None

    def _hashed(self, heads: list[_Head]) -> tuple[NDArray[np.int64], list[int]]:
        """A hash of each annotation's own id, and the positions of unusable ones."""
        values = [head.id for head in heads]
        unusable: list[int] = []
        if not set(map(type, values)) <= {int, str}:
            for i, value in enumerate(values):
                usable = isinstance(value, int | str | float) and not isinstance(value, bool)
                if not usable:
                    values[i] = ("none", self.count + i)  # so that no two of them are equal
                    if value not in (msgspec.UNSET, None):
                        unusable.append(i)
                        self._refuse("id", value, i)
        return np.fromiter(map(hash, values), np.int64, len(values)), unusable

    def _refuse(self, member: str, value: object, i: int, own: object = None) -> None:
        number = f" (id {own})" if isinstance(own, int | str) else ""
        self.problems.fail(
            SourceError(
                f"an annotation has no usable {member}",
                file=self.name,
                record=f"annotations[{self.count + i}]{number}",
                expected="an integer or text",
                found="no such key" if value is msgspec.UNSET else shown(value),
            )
        )

    def finish(self, keys: tuple[str, ...], known: JsonObject) -> CocoFile:
        """Combine annotations, images and categories."""
        if "images" not in known:
            raise SourceError(
                "the file is not a COCO file",
                file=self.name,
                expected='"images" and "annotations" in the outermost object',
                found=", ".join(keys) or "an empty object",
            )
        for key in ("images", "annotations", "categories"):
            if not isinstance(known.get(key), list | type(None)):
                raise SourceError(
                    f"{key!r} has the wrong type",
                    file=self.name,
                    expected="a list" + (" or an object keyed by id" * (key == "annotations")),
                    found=shown(known[key]),
                )
        images = self._entries("images", known.pop("images"), parse_image)
        categories = self._entries("categories", known.get("categories"), parse_category)
        image, category = _joined(self.images, np.int32), _joined(self.categories, np.int32)
        self._drop_unlisted(image, image, self.image_codes, "image", {i.id for i in images})
        if known.get("categories"):
            listed = {c.id for c in categories}
            self._drop_unlisted(image, category, self.category_codes, "category", listed)
        else:
            unnamed = self.category_codes.get(msgspec.UNSET, _DROPPED)
            named = (image != _DROPPED) & (category != _DROPPED) & (category != unnamed)
            if count := int(named.sum()):
                what = "annotations of categories that the file does not list: without a name"
                self.problems.notices.append(Notice("warning", what, self.name, count=count))
        starts, stops = _joined(self.starts, np.int64), _joined(self.stops, np.int64)
        self._drop_repeated(image, starts, stops)
        runs, codes = _runs(image, starts, stops)
        firsts = np.searchsorted(codes, np.arange(len(self.image_codes) + 1))
        return CocoFile(
            self.file,
            self.name,
            keys,
            {k: v for k, v in known.items() if k != "annotations"},
            self.form,
            tuple(images),
            tuple(categories),
            self.count,
            runs,
            firsts,
            {i.index: self.image_codes[i.id] for i in images if i.id in self.image_codes},
            {code: each.digest() for code, each in self.hashers.items()},
        )

    def _entries(
        self,
        key: str,
        entries: list[JsonObject] | None,
        parse: Callable[[int, JsonObject, str], _Entry],
    ) -> list[_Entry]:
        """Valid entries of ``images`` or ``categories``."""
        found: dict[int | str, tuple[int, _Entry]] = {}
        for index, value in enumerate(entries or ()):
            with self.problems.caught():
                entry = parse(index, value, self.name)
                if entry.id in found:
                    raise self._repeated(key, index, entry.id, found[entry.id][0])
                found[entry.id] = index, entry
        return [entry for _, entry in found.values()]

    def _repeated(self, key: str, index: int, own: object, first: int) -> SourceError:
        return SourceError(
            f"two entries of {key!r} have the same id",
            file=self.name,
            record=f"{key}[{index}]",
            expected="ids that differ",
            found=f"id {own!r} again, first in {key}[{first}]",
            hint="give one of the two another id, or remove it",
        )

    def _drop_unlisted(
        self,
        image: NDArray[np.int32],
        coded: NDArray[np.int32],
        codes: Codes,
        what: str,
        known: set[int | str],
    ) -> None:
        """Drop annotations of images or categories that are not listed."""
        for value, code in codes.items():
            if code < 0 or value in known or not isinstance(value, int | str):
                continue
            rows = np.flatnonzero((coded == code) & (image != _DROPPED))
            if not rows.size:
                continue
            other: int | str | None = str(value)
            if isinstance(value, str):
                other = int(value) if value.isdecimal() else None
            hint = f"list it under {'images' if what == 'image' else 'categories'!r}, or remove the"
            hint += " annotation"
            if other in known:
                hint = "write ids either as numbers or as text everywhere in the file"
            self.problems.fail(
                SourceError(
                    f"an annotation belongs to an unknown {what}",
                    file=self.name,
                    record=f"annotations[{rows[0]}]",
                    expected=f"{what}_id that the file lists, such as {_some(known)}",
                    found=shown(value),
                    hint=hint,
                ),
                int(rows.size),
            )
            image[rows] = _DROPPED

    def _drop_repeated(
        self, image: NDArray[np.int32], starts: NDArray[np.int64], stops: NDArray[np.int64]
    ) -> None:
        """Drop annotations whose id an earlier one has."""
        hashes = _joined(self.hashes, np.int64)
        order = np.argsort(hashes, kind="stable")
        same = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
        suspects = np.unique(np.concatenate((order[same], order[same + 1])))
        seen: dict[object, int] = {}
        for row in suspects.tolist():
            (text,) = read_ranges(self.file, np.array([[starts[row], stops[row]]]))
            _, text = split_element(text, is_list=self.form == "list")
            own = parse_json(text, self.name, lenient=True).get("id")
            if own is None or own not in seen:
                seen[own] = row
                continue
            self.problems.fail(self._repeated("annotations", row, own, seen[own]))
            image[row] = _DROPPED


def _some(known: Iterable[object]) -> str:
    return ", ".join(shown(v) for v in islice(known, 3)) or "none"


def _joined(pieces: list[PixelArray], kind: Any) -> PixelArray:
    """The numbers of all windows in one array; those of the windows are released."""
    whole = np.concatenate(pieces) if pieces else np.empty(0, kind)
    pieces.clear()
    return whole


def _runs(
    image: NDArray[np.int32], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Runs of annotations of one image, sorted by image, and the code of each one's image."""
    if not image.size:
        return np.empty((0, 4), np.int64), image
    first = np.concatenate(([0], np.flatnonzero(np.diff(image)) + 1))
    count = np.diff(first, append=image.size)
    runs = np.stack((first, count, starts[first], stops[first + count - 1]), axis=1)
    codes = image[first]
    order = np.argsort(codes, kind="stable")
    order = order[codes[order] != _DROPPED]
    return runs[order], codes[order]
