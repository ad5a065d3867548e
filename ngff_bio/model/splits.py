"""Splits of a dataset: what a source's own name of one means, and the frames of train, val or test.

Sources name splits in many ways: ``train``, ``Validation``, ``valid``, ``instances_train2017``,
``livecell_coco_test``, ``stage_1_local_val_split``, ``train/_annotations.coco``. Their names are kept
as they are, and read as one of three.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Literal, TypeVar

from ngff_bio.errors import ArgumentError

StandardSplit = Literal["train", "val", "test"]
STANDARD_SPLITS: tuple[StandardSplit, ...] = ("train", "val", "test")

_WORDS: Mapping[str, StandardSplit] = {
    **dict.fromkeys(("train", "training", "imagestr"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing", "imagests"), "test"),
}

#: A folder that is named after a split, and nothing else: ``train``, ``val2017``, ``stage1_test``.
_FOLDER = re.compile(
    rf"(?:(?:images?|labels?|stage)[_ .-]?\d*[_ .-]?)?(?:{'|'.join(_WORDS)})"
    r"(?:[_ .-]?(?:images?|set|data|\d+))?",
    re.IGNORECASE,
)

_Key = TypeVar("_Key", bound=Hashable)


def standard_split(name: str) -> StandardSplit | None:
    """The split that a name means; ``None`` if it means none, or several (``train_val``)."""
    found = {_WORDS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in _WORDS}
    return found.pop() if len(found) == 1 else None


def split_of_path(path: str) -> str | None:
    """The folder of a path that is named after a split; the innermost, if there are several."""
    folders = path.split("/")[:-1]
    return next((f for f in reversed(folders) if _FOLDER.fullmatch(f)), None)


def in_split(names: Iterable[str], wanted: str) -> bool:
    """Whether one of the names equals a name, matches it as a pattern, or means the same split."""
    part = wanted if wanted in STANDARD_SPLITS else None
    return any(
        name == wanted or fnmatchcase(name, wanted) or (part and standard_split(name) == part)
        for name in names
    )


def members_of_split(frames: Mapping[_Key, Iterable[str]], wanted: str) -> set[_Key]:
    """Frames of a split.

    Parameters
    ----------
    frames
        Names of the splits of each frame, as the source has them.
    wanted
        One of these names, or a pattern of them (``*train``); else train, val or test (or a word for
        it) in whatever way the source names it. The name of a whole set is left out if there are
        names of its parts, which mean two of them.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there is no such split, or its frames are in another one too.
    """
    by_name: dict[str, set[_Key]] = defaultdict(set)
    for key, names in frames.items():
        for name in names:
            by_name[name].add(key)
    own = [n for n in by_name if n == wanted] or [n for n in by_name if fnmatchcase(n, wanted)]
    if own:
        return set().union(*(by_name[n] for n in own))
    part = standard_split(wanted)
    own = [n for n in by_name if part is not None and standard_split(n) == part]
    listed = ", ".join(list(by_name)[:10]) or "there are no splits"
    if not own:
        raise ArgumentError("there is no such split", expected=listed, found=f"split {wanted!r}")
    parts = {n: f for n, f in by_name.items() if standard_split(n) and not _is_whole(n, by_name)}
    others = {n: f for n, f in parts.items() if standard_split(n) != part}
    members = set().union(*(parts[n] for n in own if n in parts))
    if shared := members & set().union(*others.values()):
        also = [n for n, f in others.items() if f & shared]
        raise ArgumentError(
            f"the split {wanted!r} is ambiguous",
            expected=f"the name of one split: {listed}",
            found=f"{len(shared)} frames of {', '.join(own)} are in {', '.join(also)} too",
        )
    return members


def _is_whole(name: str, frames: Mapping[str, set[_Key]]) -> bool:
    """Whether a set contains others, of which one means the same split and one another."""
    inside = {n for n, f in frames.items() if n != name and f < frames[name]}
    meant = {standard_split(n) for n in inside} - {None}
    return len(meant) > 1 and standard_split(name) in meant
