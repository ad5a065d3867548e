"""A value inside a group's attributes that knows where it stands.

Attributes under validation can hold anything, so that no rule may trust a type. Each ``as_…``
method gives the value in the form that is asked for, or notes the rule that it breaks and gives
None; a rule then goes on with what is left.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from ngff_bio.checks.spec.findings import Report, Rule, excerpt

_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON value, its JSON pointer, and the report that takes what is wrong with it."""

    value: Any
    pointer: str
    report: Report

    def __getitem__(self, key: str | int) -> Node:
        """The child at a key or index; a missing node where there is none."""
        token = str(key).replace("~", "~0").replace("/", "~1")
        child: Any = _MISSING
        if isinstance(key, str) and isinstance(self.value, dict):
            child = self.value.get(key, _MISSING)
        elif isinstance(key, int) and isinstance(self.value, list) and key < len(self.value):
            child = self.value[key]
        return Node(child, f"{self.pointer}/{token}", self.report)

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and key in self.value

    @property
    def missing(self) -> bool:
        """Whether nothing stands here."""
        return self.value is _MISSING

    @property
    def shown(self) -> str:
        """The value in one short line."""
        return "missing" if self.missing else excerpt(self.value)

    def breaks(self, rule: Rule, found: str | None = None) -> None:
        """Note that this value breaks ``rule``; ``found`` says how, else the value is shown."""
        self.report.add(rule, self.pointer, self.shown if found is None else found)

    def as_object(self, rule: Rule) -> Node | None:
        """This node if it is a JSON object."""
        if isinstance(self.value, dict):
            return self
        self.breaks(rule)
        return None

    def as_list(self, rule: Rule, *, at_least: int = 0) -> list[Node] | None:
        """The items if it is a JSON array of that length or more."""
        if not isinstance(self.value, list):
            self.breaks(rule)
            return None
        if len(self.value) < at_least:
            self.breaks(rule, f"{len(self.value)} entries")
            return None
        return [self[index] for index in range(len(self.value))]

    def as_objects(self, rule: Rule, *, at_least: int = 0) -> list[Node] | None:
        """The items that are JSON objects; the others are noted."""
        items = self.as_list(rule, at_least=at_least)
        if items is None:
            return None
        return [item for item in items if item.as_object(rule) is not None]

    def as_text(self, rule: Rule, *, pattern: str | None = None) -> str | None:
        """The value if it is a string that, where a pattern is given, matches it wholly."""
        if isinstance(self.value, str) and (pattern is None or re.fullmatch(pattern, self.value)):
            return self.value
        self.breaks(rule)
        return None

    def as_integer(self, rule: Rule, *, minimum: int | None = None) -> int | None:
        """The value if it is an integer (1.0 is one, as in JSON Schema; true is none)."""
        number = self.value
        if is_number(number) and float(number).is_integer():
            whole = int(number)
            if minimum is None or whole >= minimum:
                return whole
        self.breaks(rule)
        return None

    def as_integers(self, rule: Rule) -> list[int] | None:
        """The values if it is an array of integers."""
        items = self.as_list(rule)
        if items is None:
            return None
        if not all(is_number(item.value) and float(item.value).is_integer() for item in items):
            self.breaks(rule)
            return None
        return [int(item.value) for item in items]

    def as_numbers(self, rule: Rule) -> list[float] | None:
        """The values if it is an array of finite numbers."""
        items = self.as_list(rule)
        if items is None:
            return None
        if not all(is_number(item.value) for item in items):
            self.breaks(rule)
            return None
        return [float(item.value) for item in items]

    def as_matrix(self, rule: Rule) -> list[list[float]] | None:
        """The rows if it is a non-empty rectangular array of arrays of numbers."""
        items = self.as_list(rule, at_least=1)
        if items is None:
            return None
        rows = [item.as_numbers(rule) for item in items]
        known = [row for row in rows if row is not None]
        if len(known) < len(rows):
            return None
        if len({len(row) for row in known}) > 1:
            self.breaks(rule, f"rows of {sorted({len(row) for row in known})} numbers")
            return None
        return known


def is_number(value: object) -> bool:
    """Whether a JSON value is a number that a float can hold; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max


def duplicates(values: Iterable[Any]) -> list[Any]:
    """The JSON values that come more than once, each named once, in order of first coming."""
    seen: dict[str, list[Any]] = {}
    for value in values:
        key = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=repr)
        seen.setdefault(f"{type(value).__name__}{key}", []).append(value)
    return [group[0] for group in seen.values() if len(group) > 1]
