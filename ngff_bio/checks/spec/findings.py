"""What a check found: one finding for each rule of the specification that is broken, and where.

A :class:`Rule` is a sentence of the specification; a :class:`Report` decides how grave it is that
data breaks it, and keeps the findings in the order in which they were made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Level = Literal["error", "warning"]

#: Longest excerpt of the data that a finding shows.
_EXCERPT = 120

ALL_VERSIONS = frozenset({"0.4", "0.5", "0.6"})
NO_VERSION: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rule:
    """One demand of the specification.

    Parameters
    ----------
    id
        A stable name for programs (``"axes-order"``).
    demand
        ``"MUST"`` or ``"SHOULD"``, as the specification's text says; ``"ADVICE"`` is nobody's
        demand, and never an error.
    section
        The part of the specification that says so.
    sentence
        What it says, shortened.
    hint
        What to do about data that breaks it.
    contested
        The versions whose own published cases hold data valid that breaks this sentence of their
        text. It stays a MUST, except where data is judged as those cases judge it.
    in_strict_schema
        The versions whose published strict schemas turn this into an error.
    authority
        Who says so, where it is not OME-Zarr.
    """

    id: str
    demand: Literal["MUST", "SHOULD", "ADVICE"]
    section: str
    sentence: str
    hint: str
    contested: frozenset[str] = NO_VERSION
    in_strict_schema: frozenset[str] = NO_VERSION
    authority: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where data breaks one rule.

    Parameters
    ----------
    rule
        Id of the rule.
    level
        ``"error"``: the data is not valid. ``"warning"``: it is, but against advice.
    group
        Path of the group in its store; empty for the root.
    pointer
        JSON pointer (RFC 6901) from the group's attributes to the place.
    found
        What stands there.
    sentence
        The sentence of the specification that it breaks, shortened.
    source
        Version and section of the specification.
    hint
        What to do about it.
    """

    rule: str
    level: Level
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
        return (
            f"{self.level} {self.rule} at {self.path}: {self.found}\n"
            f"  {self.source}: {self.sentence}\n"
            f"  hint: {self.hint}"
        )


@dataclass(slots=True)
class Report:
    """Gathers the findings on one group.

    Parameters
    ----------
    version
        The specification that the group is held against: ``"0.4"``, ``"0.5"`` or ``"0.6"``.
    group
        Path of the group in its store.
    strict
        Broken SHOULDs are errors too.
    as_cases
        Judge as the specification's own published cases and schemas do, where these are milder
        than its text: see :class:`Rule`.
    plate
        Attributes of the plate that a well belongs to, where known.
    """

    version: str
    group: str = ""
    strict: bool = False
    as_cases: bool = False
    plate: Mapping[str, Any] | None = None
    findings: list[Finding] = field(default_factory=list)

    def add(self, rule: Rule, pointer: str, found: str) -> None:
        """Note that what stands at ``pointer`` breaks ``rule``."""
        self.findings.append(
            Finding(
                rule=rule.id,
                level=self.level(rule),
                group=self.group,
                pointer=pointer,
                found=found,
                sentence=rule.sentence,
                source=f"{rule.authority or f'OME-Zarr {self.version}'}, {rule.section}",
                hint=rule.hint,
            )
        )

    def level(self, rule: Rule) -> Level:
        """How grave it is to break ``rule`` in this version."""
        if rule.demand == "ADVICE":
            return "warning"
        must = rule.demand == "MUST" and not (self.as_cases and self.version in rule.contested)
        in_force = not self.as_cases or self.version in rule.in_strict_schema
        return "error" if must or (self.strict and in_force) else "warning"


def excerpt(value: object) -> str:
    """Show a JSON value in one short line."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
