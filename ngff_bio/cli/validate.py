"""``ngff-bio validate``: is a store valid?"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer


def validate(
    store: Annotated[str, typer.Argument(help="The store.", show_default=False)],
    strict: Annotated[
        bool, typer.Option("--strict", help="What is only recommended counts as an error too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Check a store against the OME-Zarr specification. Exit code 1 if it does not hold to it."""
    from rich.console import Console

    from ngff_bio.checks import validate as run

    findings = run(store, strict=strict)
    errors = [f for f in findings if f.level == "error"]
    if as_json:
        typer.echo(json.dumps([asdict(f) for f in findings], indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            console.print(str(finding), markup=False)
        warnings = len(findings) - len(errors)
        console.print(f"{store}: {len(errors)} errors, {warnings} warnings", markup=False)
    if errors:
        raise typer.Exit(1)
