"""``ngff-bio verify``: is a store what was written, and is it equal to its source?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ngff_bio.cli.progress import ProgressBar
from ngff_bio.cli.text import parse_options, size

if TYPE_CHECKING:
    from ngff_bio.checks.source.differences import Verification

#: Differences that are shown; ``--json`` has all of them.
_MOST = 200


def verify(
    store: Annotated[str, typer.Argument(help="The store.", show_default=False)],
    source: Annotated[
        str | None,
        typer.Option(
            "--source", "-s", help="What it was made from: compare every pixel and annotation."
        ),
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="What the source is; as the store says if not given.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", help="Option of the source that the conversion had.", metavar="NAME=VALUE"
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(help="Compare only so many pieces, picked evenly: a quick look.", min=1),
    ] = None,
    pixels: Annotated[
        bool,
        typer.Option("--pixels", help="Without the source: decode level 0 too."),
    ] = False,
    workers: Annotated[int, typer.Option(help="Threads; 0 for one per processor core.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, all differences.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No bar.")] = False,
) -> None:
    """Prove that a store is whole, and with --source that it is equal to what it was made from.

    Exit code 1 if anything differs; every difference is told, by image and instance.
    """
    from ngff_bio.checks.source.verify import verify as run

    with ProgressBar("verifying", shown=not (quiet or as_json)) as bar:
        done = run(
            store,
            source,
            format=format,
            options=parse_options(option, "--option") or None,
            sample=sample,
            pixels=pixels,
            workers=workers,
            progress=bar.update,
        )
    if as_json:
        typer.echo(json.dumps(done.to_json(), indent=2))
    else:
        tell(done)
    if not done.equal:
        raise typer.Exit(1)


def tell(done: Verification) -> None:
    """Show the outcome of a proof."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for difference in done.differences[:_MOST]:
        console.print(str(difference), markup=False)
    if len(done.differences) > _MOST:
        console.print(f"... and {len(done.differences) - _MOST} more: see --json")
    for note in done.notes:
        console.print(f"note: {note}", markup=False)
    if done.equal:
        console.print(f"[bold green]proved[/] {_escaped(done.store)}")
    else:
        count = len(done.differences)
        console.print(
            f"[bold red]{count} {'difference' if count == 1 else 'differences'}[/] "
            f"{_escaped(done.store)}"
        )
    if done.objects:
        console.print(
            f"  {done.objects} objects, {size(done.bytes_objects)}, held against the manifest"
        )
    if done.source is not None:
        part = "" if done.sampled is None else f" (a sample of {done.sampled} pieces)"
        console.print(
            f"  {done.images} images, {done.instances} instances, {size(done.bytes_pixels)} of "
            f"pixels compared with {done.source}{part}",
            markup=False,
        )
    elif done.bytes_pixels:
        console.print(f"  {size(done.bytes_pixels)} of pixels decoded")
    console.print(f"  {done.seconds:.1f} s")


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
