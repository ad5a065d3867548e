"""``ngff-bio validate``: is a store valid?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ngff_bio.checks import Finding

from ngff_bio.cli.progress import ProgressBar


def validate(
    store: Annotated[str, typer.Argument(help="The store.", show_default=False)],
    strict: Annotated[
        bool, typer.Option("--strict", help="What is only recommended counts as an error too.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Decode no pixels.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Every warning, not only the first of each kind.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Check a store against the OME-Zarr specification, and its parts against each other.

    Works on stores of any program, in a folder or behind a URL. Exit code 1 if it does not hold.
    """
    from rich.console import Console

    from ngff_bio.checks import validate as run

    with ProgressBar("decoding", shown=not (quick or as_json)) as bar:
        findings = run(store, strict=strict, quick=quick, progress=bar.update)
    errors = [f for f in findings if f.level == "error"]
    if as_json:
        typer.echo(json.dumps([f.to_json() for f in findings], indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for finding in errors:
            console.print(str(finding), markup=False)
        for alike in _by_rule([f for f in findings if f.level != "error"]):
            shown = alike if every else alike[:1]
            for finding in shown:
                console.print(str(finding), markup=False)
            if len(shown) < len(alike):
                console.print(f"  ... and {len(alike) - 1} more of this kind (--all)")
        warnings = len(findings) - len(errors)
        console.print(f"{store}: {len(errors)} errors, {warnings} warnings", markup=False)
    if errors:
        raise typer.Exit(1)


def _by_rule(findings: list[Finding]) -> list[list[Finding]]:
    """Findings of each rule, in the order of their first."""
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.rule, []).append(finding)
    return list(found.values())
