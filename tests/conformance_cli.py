"""Print whether a group's metadata is valid, as the runner of the specification's cases expects it.

The runner calls ``conformance_cli.py [options] CASE`` for each of its cases. CASE is the JSON text of
the attributes of a group, a JSON file of them (or a whole ``zarr.json``), or the folder of a group.
Printed is ``{"valid": bool, "message": str}``; the exit code is 0 whatever the verdict.

A case is strict if its ``_conformance`` marks it so, or if it is below a folder ``strict``. Where the
published cases are milder than the text, the verdict is theirs, and the message states the difference.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ngff_bio.checks.spec.conformance import KINDS, VERSIONS, validate_attributes


def read_attributes(case: str) -> Any:
    """The attributes of a group, from JSON text, a JSON file or the group's folder.

    Raises
    ------
    ValueError, RecursionError
        If it is not JSON, or an object has a key twice: readers differ in which one they take.
    OSError
        If it cannot be read.
    """
    text = case
    if not case.lstrip().startswith(("{", "[")):
        path = Path(case)
        if path.is_dir():
            inner = path / "zarr.json"
            path = inner if inner.is_file() else path / ".zattrs"
        text = path.read_text(encoding="utf-8")
    content = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    if isinstance(content, dict) and content.get("node_type") == "group":
        return content.get("attributes", {})
    return content


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(members)
    if len(content) < len(members):
        raise ValueError(f"an object has a key twice, of {[key for key, _ in members]}")
    return content


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def verdict(options: argparse.Namespace) -> tuple[bool, str]:
    """Whether a case is valid, and why not."""
    try:
        attributes = read_attributes(options.case)
    except (ValueError, RecursionError) as error:
        return False, f"not JSON: {error}"
    except OSError as error:
        return False, f"cannot be read: {error}"
    if not isinstance(attributes, dict):
        return False, "the attributes are not a JSON object"
    case = attributes.get("_conformance")
    strict_case = isinstance(case, dict) and case.get("strict") is True
    strict = options.strict or strict_case or "strict" in Path(options.case).parts
    found = [
        [
            f"{finding.rule} at {finding.path}: {finding.found}"
            for finding in validate_attributes(
                attributes,
                version=options.version,
                kind=options.kind,
                strict=strict,
                as_cases=as_cases,
            )
            if finding.level == "error"
        ]
        for as_cases in (not options.by_text, False)
    ]
    errors, by_text = found
    if errors:
        return False, "; ".join(errors)
    if by_text:
        return True, f"valid as the published cases judge, not by the text: {'; '.join(by_text)}"
    return True, "valid"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the verdict on one case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case")
    parser.add_argument("--strict", action="store_true", help="a broken SHOULD is an error")
    parser.add_argument("--version", choices=VERSIONS, help="detected from the data if not given")
    parser.add_argument("--kind", choices=KINDS, help="detected from the data if not given")
    parser.add_argument(
        "--by-text",
        action="store_true",
        help="judge by the text where the published cases are milder",
    )
    valid, message = verdict(parser.parse_args(arguments))
    json.dump({"valid": valid, "message": message}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
