"""``ngff-bio validate``: check a store against the specification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ngff_bio.cli import options as cli
from ngff_bio.cli.buckets import with_bucket_options
from ngff_bio.cli.output import ProgressBar, console, print_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ngff_bio.checks import Finding

#: Places at which a warning is printed; errors are printed at every place.
_PLACES = 5


@with_bucket_options
def validate(
    store: cli.Store,
    storage_options: dict[str, Any],
    strict: Annotated[
        bool, typer.Option("--strict", help="Treat violated recommendations as errors.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Do not decode pixels.")] = False,
    as_json: cli.AsJson = False,
) -> None:
    """Check a store against the OME-Zarr specification, and its parts for consistency.

    Works on stores of any writer, in a folder or behind a URL. Prints every error, and the first
    places of each warning; --json prints all. Exit code 1 if there are errors.
    """
    from ngff_bio.checks import validate as run
    from ngff_bio.storage.zipped import ENDINGS

    with ProgressBar("decoding", shown=not (quick or as_json)) as bar:
        findings = run(
            store,
            strict=strict,
            quick=quick,
            storage_options=storage_options,
            progress=bar.update,
        )
    errors = [f for f in findings if f.level == "error"]
    if as_json:
        print_json([f.to_json() for f in findings])
    else:
        out = console()
        for line in lines(findings):
            out.print(line, markup=False)
        warnings = len(findings) - len(errors)
        if store.startswith(("http://", "https://")) and not store.endswith(ENDINGS):
            out.print(
                "note: a web server cannot be listed: objects of no array were not looked for"
            )
        out.print(f"{store}: {len(errors)} errors, {warnings} warnings", markup=False)
    if errors:
        raise typer.Exit(1)


def lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Lines of text for findings, grouped by rule, errors first."""
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
