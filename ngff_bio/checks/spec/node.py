"""A value inside a group's attributes, with its place.

Attributes under validation can contain anything: no check may rely on a type. Each ``as_…``
method returns the value in the form that is asked for, or adds a finding and returns None.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from ngff_bio.checks.spec.findings import Findings, excerpt

_MISSING: Final = object()

#: Pattern of a string that is not empty.
NOT_EMPTY: Final = "(?s).+"


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON value, its JSON pointer, and where findings on it are collected.

    Rules are given by their id.
    """

    value: Any
    pointer: str
    findings: Findings

    def __getitem__(self, key: str | int) -> Node:
        """The child at a key or index; a missing node where there is none."""
        token = str(key).replace("~", "~0").replace("/", "~1")
        child: object = _MISSING
        if isinstance(key, str) and isinstance(self.value, dict):
            child = self.value.get(key, _MISSING)
        elif isinstance(key, int) and isinstance(self.value, list) and key < len(self.value):
            child = self.value[key]
        return Node(child, f"{self.pointer}/{token}", self.findings)

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and key in self.value

    @property
    def missing(self) -> bool:
        """Whether there is no value here."""
        return self.value is _MISSING

    @property
    def shown(self) -> str:
        """The value in one short line."""
        return "missing" if self.missing else excerpt(self.value)

    def breaks(self, rule: str, found: str | None = None) -> None:
        """Add a finding: this value breaks ``rule``; ``found`` describes how (else: the value)."""
        self.findings.add(rule, self.pointer, self.shown if found is None else found)

    def recommended(self, key: str, rule: str) -> bool:
        """Whether there is a value at a key; it breaks ``rule`` if there is none."""
        if key not in self:
            self.breaks(rule, f"no {key}")
        return key in self

    def as_object(self, rule: str) -> Node | None:
        """This node if it is a JSON object."""
        if isinstance(self.value, dict):
            return self
        self.breaks(rule)
        return None

    def as_list(self, rule: str, *, at_least: int = 0) -> list[Node] | None:
        """The items if it is a JSON array of that length or more."""
        if not isinstance(self.value, list):
            self.breaks(rule)
            return None
        if len(self.value) < at_least:
            self.breaks(rule, f"{len(self.value)} entries")
            return None
        return [self[index] for index in range(len(self.value))]

    def as_objects(self, rule: str, *, at_least: int = 0) -> list[Node] | None:
        """The items that are JSON objects; each other item is a finding."""
        items = self.as_list(rule, at_least=at_least)
        if items is None:
            return None
        return [item for item in items if item.as_object(rule) is not None]

    def as_text(self, rule: str, *, pattern: str | None = None) -> str | None:
        """The value if it is a string that matches the whole pattern, where one is given."""
        if isinstance(self.value, str) and (pattern is None or re.fullmatch(pattern, self.value)):
            return self.value
        self.breaks(rule)
        return None

    def as_integer(self, rule: str, *, minimum: int | None = None) -> int | None:
        """The value if it is an integer (1.0 is one, as in JSON Schema; true is not)."""
        if is_integer(self.value) and (minimum is None or self.value >= minimum):
            return int(self.value)
        self.breaks(rule)
        return None

    def as_integers(self, rule: str) -> list[int] | None:
        """The values if it is an array of integers."""
        items = self.as_list(rule)
        if items is None:
            return None
        if not all(is_integer(item.value) for item in items):
            self.breaks(rule)
            return None
        return [int(item.value) for item in items]

    def as_numbers(self, rule: str) -> list[float] | None:
        """The values if it is an array of finite numbers."""
        items = self.as_list(rule)
        if items is None:
            return None
        if not all(is_number(item.value) for item in items):
            self.breaks(rule)
            return None
        return [float(item.value) for item in items]

    def as_matrix(self, rule: str) -> list[list[float]] | None:
        """The rows if it is a non-empty rectangular array of arrays of numbers."""
        items = self.as_list(rule, at_least=1)
        if items is None:
            return None
        rows = [row for item in items if (row := item.as_numbers(rule)) is not None]
        if len(rows) < len(items):
            return None
        if len(widths := {len(row) for row in rows}) > 1:
            self.breaks(rule, f"rows of {sorted(widths)} numbers")
            return None
        return rows

    def check_unique(self, rule: str, values: Iterable[object], named: str = "") -> None:
        """Add a finding for each of the values that occurs more than once."""
        for value in duplicates(values):
            self.breaks(rule, f"{named}{value!r} more than once")


def texts(nodes: Iterable[Node], rule: str, *, pattern: str = NOT_EMPTY) -> list[str]:
    """The values that are strings matching the pattern; each other one is a finding."""
    found = [node.as_text(rule, pattern=pattern) for node in nodes]
    return [text for text in found if text is not None]


def is_number(value: object) -> bool:
    """Whether a JSON value is a number that a float can hold; true and false are not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max


def is_integer(value: Any) -> bool:
    """Whether a JSON value is a number without a fraction."""
    return is_number(value) and float(value).is_integer()


def nested_deeper(value: object, levels: int) -> bool:
    """Whether a JSON value has more than so many levels of arrays and objects."""
    level = [value]
    for _ in range(levels + 1):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


def duplicates(values: Iterable[object]) -> list[object]:
    """The JSON values that occur more than once, each named once, in order of first occurrence."""
    seen: dict[str, list[object]] = {}
    for value in values:
        key = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=repr)
        seen.setdefault(f"{type(value).__name__}{key}", []).append(value)
    return [group[0] for group in seen.values() if len(group) > 1]
