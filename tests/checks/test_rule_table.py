"""The table of rules: complete, and in step with the code that names rules by their id."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import ngff_bio.checks
from ngff_bio.checks.spec.conformance import VERSIONS
from ngff_bio.checks.spec.findings import Findings, find_rule, rule_table

CODE = Path(ngff_bio.checks.__file__).parent
#: Texts of the code that look like an id: words of the specification.
NOT_RULES = {"image-label", "label-value", "bspline-cubic"}


def rule_ids_in(folder: Path) -> set[str]:
    """The ids of rules in the code below a folder: its texts of lower-case words and hyphens."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return {text for text in found if re.fullmatch(r"[a-z]+(-[a-z]+)+", text)} - NOT_RULES


def test_the_code_names_the_rules_of_the_table_and_no_others() -> None:
    assert rule_ids_in(CODE) == set(rule_table())


@pytest.mark.parametrize("version", ["", *VERSIONS])
def test_every_rule_is_complete_in_every_version(version: str) -> None:
    for id in rule_table():
        rule = find_rule(id, version)
        assert rule.id == id
        assert rule.demand in ("MUST", "SHOULD", "ADVICE")
        assert rule.section
        assert rule.sentence
        assert rule.hint
        assert {*rule.contested, *rule.in_strict_schema} <= set(VERSIONS)


def test_fields_that_a_version_replaces_hold_in_it_alone() -> None:
    assert find_rule("level-dtype", "0.5").demand == "SHOULD"
    assert find_rule("level-dtype", "0.6").demand == "MUST"
    assert find_rule("level-dtype", "0.6").hint == find_rule("level-dtype").hint


def test_an_id_that_is_not_in_the_table_is_an_error_of_the_code() -> None:
    with pytest.raises(KeyError):
        Findings().add("axes-oder", "", "")
