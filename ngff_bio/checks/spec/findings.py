"""Findings: which rule data breaks, where, and how to correct it.

The rules themselves are data, in ``rules.toml``; code names them by id.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any, Literal

from ngff_bio.printing import printable

Severity = Literal["error", "warning"]

#: Longest excerpt of the data that a finding shows.
_EXCERPT = 120


@dataclass(frozen=True, slots=True)
class Rule:
    """One requirement.

    Parameters
    ----------
    id
        A stable name for programs (``"axes-order"``).
    demand
        ``"MUST"`` or ``"SHOULD"``, as in the text of the specification; breaking an ``"ADVICE"`` is
        never an error.
    section
        The part of the specification.
    sentence
        What it requires, shortened.
    hint
        How to correct data that breaks it.
    contested
        The versions whose own published cases hold data valid that breaks this sentence of their
        text. It stays a MUST, except where data is judged as those cases judge it.
    in_strict_schema
        The versions whose published strict schemas turn this into an error.
    authority
        Who requires it, where that is not OME-Zarr.
    """

    id: str
    demand: Literal["MUST", "SHOULD", "ADVICE"]
    section: str
    sentence: str
    hint: str
    contested: tuple[str, ...] = ()
    in_strict_schema: tuple[str, ...] = ()
    authority: str | None = None


@cache
def rule_table() -> dict[str, dict[str, Any]]:
    """The fields of each rule by id, as in ``rules.toml``."""
    import tomllib
    from importlib.resources import files

    return tomllib.loads((files(__package__) / "rules.toml").read_text(encoding="utf-8"))


@cache
def find_rule(id: str, version: str = "") -> Rule:
    """The rule of an id, as it holds in a version of the specification.

    Raises
    ------
    KeyError
        If no rule has this id: a fault of the caller.
    """
    row = rule_table()[id]
    always = {key: value for key, value in row.items() if not isinstance(value, dict)}
    return Rule(id, **{**always, **row.get(version, {})})


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where data breaks one rule.

    Parameters
    ----------
    rule
        Id of the rule.
    level
        ``"error"``: the data is not valid. ``"warning"``: it is valid, but not as recommended.
    group
        Path of the group in its store; empty for the root.
    pointer
        JSON pointer (RFC 6901) from the group's attributes to the place.
    found
        The value there, or what is wrong with it.
    sentence
        The sentence of the specification that it breaks, shortened.
    source
        Version and section of the specification.
    hint
        How to correct it.
    """

    rule: str
    level: Severity
    group: str
    pointer: str
    found: str
    sentence: str
    source: str
    hint: str

    @property
    def path(self) -> str:
        """Group path and JSON pointer as one text: ``A/1/0#/ome/multiscales/0/axes``."""
        return f"{self.group}#{self.pointer}"

    def to_json(self) -> dict[str, str]:
        """The finding as a flat JSON object, ``path`` included."""
        return {**asdict(self), "path": self.path}

    def __str__(self) -> str:
        lines = (
            f"{self.level} {self.rule} at {self.path}: {self.found}",
            f"  {self.source}: {self.sentence}",
            f"  hint: {self.hint}",
        )
        return "\n".join(map(printable, lines))


@dataclass(frozen=True, slots=True)
class Findings:
    """Collects findings, in the order in which they are made.

    Parameters
    ----------
    strict
        Broken SHOULDs are errors too.
    as_cases
        Judge as the specification's own published cases and schemas do, where these are milder
        than its text: see :class:`Rule`.
    version
        The specification that the group is checked against; empty where no version matters.
    group
        Path of the group in its store.
    found
        The findings so far.
    """

    strict: bool = False
    as_cases: bool = False
    version: str = ""
    group: str = ""
    found: list[Finding] = field(default_factory=list)

    def of(self, group: str, version: str = "") -> Findings:
        """The same collection, for findings on another group."""
        return replace(self, group=group, version=version)

    def add(self, rule: str, pointer: str, found: str) -> None:
        """Add a finding: the value at ``pointer`` breaks the rule of this id."""
        broken = find_rule(rule, self.version)
        self.found.append(
            Finding(
                rule=rule,
                level=self._level(broken),
                group=self.group,
                pointer=pointer,
                found=found,
                sentence=broken.sentence,
                source=f"{broken.authority or f'OME-Zarr {self.version}'}, {broken.section}",
                hint=broken.hint,
            )
        )

    def _level(self, rule: Rule) -> Severity:
        if rule.demand == "ADVICE":
            return "warning"
        must = rule.demand == "MUST" and not (self.as_cases and self.version in rule.contested)
        in_force = not self.as_cases or self.version in rule.in_strict_schema
        return "error" if must or (self.strict and in_force) else "warning"


def excerpt(value: object) -> str:
    """A JSON value in one short line."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
