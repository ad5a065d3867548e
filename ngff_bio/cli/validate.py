"""``ngff-bio validate``: is a store valid?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ngff_bio.cli.progress import ProgressBar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ngff_bio.checks import Finding

#: Places at which a warning is shown; every place of an error is.
_PLACES = 5


def validate(
    store: Annotated[str, typer.Argument(help="The store.", show_default=False)],
    strict: Annotated[
        bool, typer.Option("--strict", help="What is only recommended counts as an error too.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Decode no pixels.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Check a store against the OME-Zarr specification, and its parts against each other.

    Works on stores of any program, in a folder or behind a URL. Every error is shown with its place,
    of a warning the first places; --json has all. Exit code 1 if the store does not hold.
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
        for line in lines(findings):
            console.print(line, markup=False)
        warnings = len(findings) - len(errors)
        console.print(f"{store}: {len(errors)} errors, {warnings} warnings", markup=False)
    if errors:
        raise typer.Exit(1)


def lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Findings by rule, errors first: what is wrong where, who says so, and how to mend it."""
    by_rule: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in sorted(findings, key=lambda f: f.level):
        by_rule.setdefault((finding.level, finding.rule, finding.source), []).append(finding)
    for (level, rule, source), found in by_rule.items():
        places = f" at {len(found)} places" if len(found) > 1 else ""
        yield f"{level} {rule}{places}"
        shown = found if level == "error" else found[:_PLACES]
        for finding in shown:
            yield f"  {finding.path}: {finding.found}"
        if len(shown) < len(found):
            yield f"  ... and {len(found) - len(shown)} more: see --json"
        yield f"  {source}: {found[0].sentence}"
        yield f"  hint: {found[0].hint}"
