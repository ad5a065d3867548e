"""Splits: which frames are for training, which for testing."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def in_split(names: Iterable[str], wanted: str) -> bool:
    """Whether one of the names is the wanted one, or fits it as a pattern (``*train``)."""
    return any(name == wanted or fnmatchcase(name, wanted) for name in names)
