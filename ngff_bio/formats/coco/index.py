"""What lies where in a COCO file: read once from front to back, in bounded memory.

Of each annotation only the place in the file and the image are kept; an image's annotations are read
from there when it is drawn. Measured by ``benchmarks/coco_parse.py``: one window of annotations at a
time through msgspec, all but three members of each skipped, takes 1 s for 400 MB; whole parsers take
ten times as long and many times the file's size in memory.

Format: https://cocodataset.org/#format-data. As files really are, ``annotations`` may be an object
keyed by id, ids may be text or start at 0, and keys may stand in any order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.formats.coco.entries import parse_category, parse_image
from ngff_bio.formats.coco.file import (
    DROPPED,
    SPACE,
    CocoFile,
    CocoImage,
    key_end,
    read_ranges,
)
from ngff_bio.formats.json.scan import (
    WINDOW,
    Container,
    Elements,
    JsonWalk,
    Scalar,
    comment_hint,
    malformed,
)
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Category, SourceFile

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes read of it, and its size."""


def open_coco(
    file: SourceFile,
    problems: Problems,
    *,
    name: str | None = None,
    digests: bool = False,
    progress: Progress | None = None,
    window: int = WINDOW,
) -> CocoFile:
    """Read a COCO file once: its images and categories whole, its annotations as places.

    Parameters
    ----------
    file
        The JSON.
    problems
        Takes what is wrong with single records; those are left out.
    name
        What to call the file; its own name if not given.
    digests
        Whether annotations of an image are to be compared with those of other files.
    progress
        Called while the file is read.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the file is no JSON or no COCO, or, unless errors are skipped, a record is wrong.
    """
    reading = _Reading(name or file.name, problems, digests)
    size = file.size
    known: dict[str, Any] = {}
    keys: list[str] = []
    told = None if progress is None else (lambda done: progress(file.name, done, size))
    with file.open() as stream:
        walk = JsonWalk(stream, file.name, {"annotations"}, window, told)
        for part in walk:
            if isinstance(part, Elements):
                reading.take(part)
                continue
            keys.append(part.key)
            if isinstance(part, Scalar):
                known[part.key] = part.value
            elif part.key == "annotations":
                reading.form = "list" if part.is_list else "object"
            else:
                known[part.key] = part
    for key, part in known.items():
        if isinstance(part, Container):
            (text,) = read_ranges(file, np.array([[part.start, part.stop]]))
            known[key] = _decode(text, file.name, key)
    return reading.finish(file, tuple(keys), known)


def _decode(text: bytes, name: str, key: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        try:  # NaN and numbers beyond 64 bits are what Python's own writer writes
            return json.loads(text)
        except ValueError:
            raise malformed(name, repr(key), "JSON values", error) from error


class _Head(msgspec.Struct, gc=False):
    """What is looked at in every annotation; the rest is skipped."""

    image_id: Any = msgspec.UNSET
    id: Any = msgspec.UNSET
    category_id: Any = msgspec.UNSET


_heads = msgspec.json.Decoder(list[_Head])
_keyed_heads = msgspec.json.Decoder(dict[str, _Head])
_head = msgspec.json.Decoder(_Head)


@dataclass(slots=True)
class _Reading:
    """What is gathered on the way through one file: some bytes for each annotation."""

    name: str
    problems: Problems
    digests: bool
    form: Literal["list", "object", "missing"] = "missing"
    count: int = 0
    image_codes: dict[Any, int] = field(default_factory=dict)
    category_codes: dict[Any, int] = field(default_factory=dict)
    images: list[NDArray[np.int32]] = field(default_factory=list)
    categories: list[NDArray[np.int32]] = field(default_factory=list)
    hashes: list[NDArray[np.int64]] = field(default_factory=list)
    starts: list[NDArray[np.int64]] = field(default_factory=list)
    stops: list[NDArray[np.int64]] = field(default_factory=list)
    hashers: dict[int, Any] = field(default_factory=dict)
    last: int | None = None

    def take(self, part: Elements) -> None:
        """Note the annotations of one window."""
        heads = self._heads_of(part)
        number = len(heads)
        image = self._coded(heads, "image_id", self.image_codes)
        self.categories.append(self._coded(heads, "category_id", self.category_codes))
        hashes, unusable = self._hashed(heads)
        self.hashes.append(hashes)
        image[self.categories[-1] == DROPPED] = DROPPED
        image[unusable] = DROPPED
        self.images.append(image)
        self.starts.append(part.starts + part.offset)
        self.stops.append(part.stops + part.offset)
        if self.digests:
            self._digest(part, image)
        self.count += number

    def _digest(self, part: Elements, image: NDArray[np.int32]) -> None:
        """Add each stretch of annotations of one image to that image's digest.

        Separators within a stretch count, those before it do not: the same annotations have the same
        digest in another file, wherever they stand there and wherever windows are cut.
        """
        cuts = [0, *(np.flatnonzero(np.diff(image)) + 1).tolist(), len(image)]
        for a, b in pairwise(cuts):
            code = int(image[a])
            text = part.text[int(part.starts[a]) : int(part.stops[b - 1])]
            if a > 0 or code != self.last:
                text = text.lstrip(SPACE + b",")
            else:
                text = part.lead + text
            if code not in self.hashers:
                self.hashers[code] = hashlib.blake2b(digest_size=16)
            self.hashers[code].update(text)
        self.last = int(image[-1])

    def _heads_of(self, part: Elements) -> list[_Head]:
        body = part.text.lstrip(SPACE + b",")
        try:
            if part.is_list:
                heads = _heads.decode(b"[" + body + b"]")
            else:
                heads = list(_keyed_heads.decode(b"{" + body + b"}").values())
        except (msgspec.DecodeError, RecursionError):
            heads = self._one_by_one(part)
        if len(heads) != len(part.starts):
            raise SourceError(
                "annotations cannot be told apart",
                file=self.name,
                record=f"annotations[{self.count}] and those after it",
                expected="objects, and where they are keyed by id, each key once",
                found=f"{len(part.starts)} records, {len(heads)} of them objects with their own key",
            )
        return heads

    def _one_by_one(self, part: Elements) -> list[_Head]:
        """Heads of a window in which something is wrong; find what."""
        heads = []
        for i, (a, b) in enumerate(zip(part.starts.tolist(), part.stops.tolist(), strict=True)):
            text = part.text[a:b].lstrip(SPACE + b",")
            if not part.is_list:
                text = text[text.index(b":", key_end(text)) + 1 :]
            try:
                heads.append(_head.decode(text))
            except (msgspec.DecodeError, RecursionError) as error:
                heads.append(self._lenient(text, self.count + i, error))
        return heads

    def _lenient(self, text: bytes, index: int, error: Exception) -> _Head:
        """NaN and Infinity are what Python's own writer makes of such numbers."""
        record = f"annotations[{index}]"
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return _Head(*(found.get(k, msgspec.UNSET) for k in ("image_id", "id", "category_id")))
        raise malformed(self.name, record, "an annotation", error, comment_hint(text)) from error

    def _coded(self, heads: list[_Head], member: str, codes: dict[Any, int]) -> NDArray[np.int32]:
        """A small number for each id; `DROPPED` where it is none."""
        values = [getattr(head, member) for head in heads]
        usual = set(map(type, values)) <= {int, str}
        if not usual:
            values = [self._checked(v, member, i, heads[i]) for i, v in enumerate(values)]
        for value in set(values) - codes.keys():
            codes[value] = DROPPED if value is None else len(codes)
        return np.fromiter(map(codes.__getitem__, values), np.int32, len(values))

    def _checked(self, value: Any, member: str, i: int, head: _Head) -> Any:
        """An id that is a number or text; else ``None``, which drops the annotation."""
        if isinstance(value, int | str) and not isinstance(value, bool):
            return value
        if isinstance(value, float) and value.is_integer():
            return int(value)  # 5.0 is how pandas writes ids of a column with gaps
        if member == "category_id" and value in (msgspec.UNSET, None):
            return msgspec.UNSET
        self.problems.fail(
            SourceError(
                f"an annotation has no usable {member}",
                file=self.name,
                record=_annotation(self.count + i, head.id),
                expected="a number or text",
                found="no such key" if value is msgspec.UNSET else json.dumps(value),
            )
        )
        return None

    def _hashed(self, heads: list[_Head]) -> tuple[NDArray[np.int64], list[int]]:
        """A hash of each annotation's own id, and which have an id that is none."""
        values = [head.id for head in heads]
        unusable: list[int] = []
        if not set(map(type, values)) <= {int, str}:
            for i, value in enumerate(values):
                usable = isinstance(value, int | str | float) and not isinstance(value, bool)
                if not usable:
                    values[i] = ("none", self.count + i)  # so that no two of them seem the same
                    if value not in (msgspec.UNSET, None):
                        unusable.append(i)
                        self._refuse_id(value, i)
        return np.fromiter(map(hash, values), np.int64, len(values)), unusable

    def _refuse_id(self, value: Any, i: int) -> None:
        self.problems.fail(
            SourceError(
                "the id of an annotation is neither a number nor text",
                file=self.name,
                record=f"annotations[{self.count + i}]",
                expected="a number or text",
                found=json.dumps(value),
            )
        )

    def finish(self, file: SourceFile, keys: tuple[str, ...], known: dict[str, Any]) -> CocoFile:
        """Bring annotations, images and categories together."""
        for key in ("images", "annotations"):
            if key in known and not isinstance(known[key], list | type(None)):
                raise SourceError(
                    f"{key!r} is of the wrong kind",
                    file=self.name,
                    expected="a list" + (" or an object keyed by id" * (key == "annotations")),
                    found=type(known[key]).__name__,
                )
        if "images" not in known:
            raise SourceError(
                "the JSON is no COCO dataset",
                file=self.name,
                expected='"images" and "annotations" in the outermost object',
                found=", ".join(keys) or "an empty object",
            )
        images = self._images(known.pop("images") or [])
        categories = self._categories(known.get("categories"))
        image = _joined(self.images, np.int32)
        self._drop_strangers(image, images)
        if known.get("categories"):
            self._drop_unclassed(image, categories)
        starts, stops = _joined(self.starts, np.int64), _joined(self.stops, np.int64)
        self._drop_repeated(image, file, starts, stops)
        runs, codes = _runs(image, starts, stops)
        firsts = np.searchsorted(codes, np.arange(len(self.image_codes) + 1))
        return CocoFile(
            file,
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

    def _images(self, entries: list[Any]) -> list[CocoImage]:
        found: dict[int | str, CocoImage] = {}
        for index, entry in enumerate(entries):
            try:
                image = parse_image(index, entry, self.name)
                if image.id in found:
                    raise SourceError(
                        "two entries of images have one id",
                        file=self.name,
                        record=f"images[{index}]",
                        expected="ids that differ",
                        found=f"id {image.id!r} again, first in images[{found[image.id].index}]",
                        hint="give one of the two another id, or take it out",
                    )
            except SourceError as error:
                self.problems.fail(error)
                continue
            found[image.id] = image
        return list(found.values())

    def _categories(self, entries: Any) -> list[Category]:
        if entries is None:
            return []
        if not isinstance(entries, list):
            raise SourceError(
                "'categories' is of the wrong kind",
                file=self.name,
                expected="a list",
                found=type(entries).__name__,
            )
        found: dict[int | str, Category] = {}
        for index, entry in enumerate(entries):
            try:
                category = parse_category(index, entry, self.name)
                if category.id in found:
                    raise SourceError(
                        "two categories have one id",
                        file=self.name,
                        record=f"categories[{index}]",
                        expected="ids that differ",
                        found=f"id {category.id!r} again",
                    )
            except SourceError as error:
                self.problems.fail(error)
                continue
            found[category.id] = category
        return list(found.values())

    def _drop_strangers(self, image: NDArray[np.int32], images: Sequence[CocoImage]) -> None:
        """Annotations of images that are not listed."""
        known = {i.id for i in images}
        strange = {v: c for v, c in self.image_codes.items() if c >= 0 and v not in known}
        self._drop(image, image, strange, "an unknown image", "image_id", known)

    def _drop_unclassed(self, image: NDArray[np.int32], categories: Sequence[Category]) -> None:
        """Annotations of categories that are not listed."""
        known = {c.id for c in categories}
        codes = self.category_codes
        strange = {
            v: c for v, c in codes.items() if c >= 0 and v not in known and v is not msgspec.UNSET
        }
        category = _joined(self.categories, np.int32)
        self._drop(image, category, strange, "an unknown category", "category_id", known)

    def _drop(
        self,
        image: NDArray[np.int32],
        coded: NDArray[np.int32],
        strange: dict[Any, int],
        what: str,
        member: str,
        known: set[int | str],
    ) -> None:
        for value, code in strange.items():
            rows = np.flatnonzero((coded == code) & (image != DROPPED))
            if not rows.size:
                continue
            other: Any = str(value) if isinstance(value, int) else _as_number(value)
            mend = f"list it under {member.removesuffix('_id')!r}, or take the annotation out"
            if other in known:
                mend = "write ids either as numbers or as text everywhere in the file"
            self.problems.fail(
                SourceError(
                    f"an annotation is of {what}",
                    file=self.name,
                    record=f"annotations[{rows[0]}]",
                    expected=f"{member} that the file lists, such as {_some(known)}",
                    found=json.dumps(value),
                    hint=mend,
                ),
                int(rows.size),
            )
            image[rows] = DROPPED

    def _drop_repeated(
        self,
        image: NDArray[np.int32],
        file: SourceFile,
        starts: NDArray[np.int64],
        stops: NDArray[np.int64],
    ) -> None:
        """Annotations whose id an earlier one has."""
        hashes = _joined(self.hashes, np.int64)
        order = np.argsort(hashes, kind="stable")
        same = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
        if not same.size:
            return
        suspects = np.unique(np.concatenate((order[same], order[same + 1])))
        seen: dict[Any, int] = {}
        for row in suspects.tolist():
            (text,) = read_ranges(file, np.array([[starts[row], stops[row]]]))
            text = text.lstrip(SPACE + b",")
            if self.form == "object":
                text = text[text.index(b":", key_end(text)) + 1 :]
            own = json.loads(text).get("id")
            if own is None or own not in seen:
                seen[own] = row
                continue
            self.problems.fail(
                SourceError(
                    "two annotations have one id",
                    file=self.name,
                    record=f"annotations[{row}]",
                    expected="ids that differ",
                    found=f"id {own!r} again, first in annotations[{seen[own]}]",
                    hint="give one of the two another id, or take it out",
                )
            )
            image[row] = DROPPED


def _annotation(index: int, own: Any) -> str:
    told = isinstance(own, int | str)
    return f"annotations[{index}]" + (f" (id {own})" if told else "")


def _as_number(value: Any) -> Any:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _some(known: Iterable[Any]) -> str:
    shown = [json.dumps(v) for v, _ in zip(known, range(3), strict=False)]
    return ", ".join(shown) or "none"


def _joined(pieces: list[NDArray[Any]], kind: Any) -> NDArray[Any]:
    """All windows' numbers in one array; the windows' own are let go."""
    whole = np.concatenate(pieces) if pieces else np.empty(0, kind)
    pieces.clear()
    return whole


def _runs(
    image: NDArray[np.int32], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Stretches of annotations of one image, sorted by image, and the image's code of each."""
    if not image.size:
        return np.empty((0, 4), np.int64), image
    first = np.concatenate(([0], np.flatnonzero(np.diff(image)) + 1))
    count = np.diff(first, append=image.size)
    runs = np.stack((first, count, starts[first], stops[first + count - 1]), axis=1)
    codes = image[first]
    order = np.argsort(codes, kind="stable")
    order = order[codes[order] != DROPPED]
    return runs[order], codes[order]
