"""Print whether a group's metadata is valid, as the runner of the specification's cases expects it.

The runner calls ``conformance_cli.py [options] PATH`` for each of its cases. PATH is a JSON file
that holds the attributes of a group (or a whole ``zarr.json``), or the folder of a group. Printed
is ``{"valid": bool, "message": str}``; the exit code is 0 whatever the verdict.

A case is strict if its ``_conformance`` marks it so, or if it is below a folder ``strict``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ngff_bio.checks.spec.conformance import KINDS, VERSIONS, validate_attributes


def read_attributes(path: Path) -> Any:
    """The attributes of a group, from a JSON file or from the group's folder."""
    if path.is_dir():
        inner = path / "zarr.json"
        path = inner if inner.is_file() else path / ".zattrs"
    content = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, dict) and content.get("node_type") == "group":
        return content.get("attributes", {})
    return content


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the verdict on one file or folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--strict", action="store_true", help="a broken SHOULD is an error")
    parser.add_argument("--version", choices=VERSIONS, help="detected from the data if not given")
    parser.add_argument("--kind", choices=KINDS, help="detected from the data if not given")
    parser.add_argument(
        "--by-text",
        action="store_true",
        help="judge by the text where the published cases are milder",
    )
    options = parser.parse_args(arguments)
    attributes = read_attributes(options.path)
    if not isinstance(attributes, dict):
        print(json.dumps({"valid": False, "message": "the attributes are not a JSON object"}))
        return
    case = attributes.get("_conformance")
    strict_case = isinstance(case, dict) and case.get("strict") is True
    findings = validate_attributes(
        attributes,
        version=options.version,
        kind=options.kind,
        strict=options.strict or strict_case or "strict" in options.path.parts,
        as_cases=not options.by_text,
    )
    errors = [finding for finding in findings if finding.level == "error"]
    message = "; ".join(f"{error.rule} at {error.path}: {error.found}" for error in errors)
    print(json.dumps({"valid": not errors, "message": message or "valid"}))


if __name__ == "__main__":
    main()
