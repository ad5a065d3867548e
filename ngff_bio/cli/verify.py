"""``ngff-bio verify``: compare a store with its manifest and its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ngff_bio.cli import options as cli
from ngff_bio.cli.buckets import with_bucket_options
from ngff_bio.cli.output import ProgressBar, console, print_json, size

if TYPE_CHECKING:
    from ngff_bio.checks.differences import Verification

#: Differences that are printed; ``--json`` has all of them.
_DIFFERENCES = 200

#: Files that were not read that are printed.
_FILES = 5


@with_bucket_options
def verify(
    store: cli.Store,
    source_options: dict[str, Any],
    storage_options: dict[str, Any],
    source: Annotated[
        str | None,
        typer.Option(
            "--source", "-s", help="The source: compare every pixel and annotation with it."
        ),
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="Format of the source; by default as recorded in the store.")
    ] = None,
    option: cli.Option = None,
    exclude: cli.Exclude = None,
    sample: Annotated[
        int | None,
        typer.Option(help="Compare only this many randomly chosen blocks.", min=1),
    ] = None,
    pixels: Annotated[
        bool,
        typer.Option("--pixels", help="Without --source: also decode level 0."),
    ] = False,
    max_pixels: cli.MaxPixels = None,
    max_bytes: cli.MaxBytes = None,
    workers: cli.Workers = 0,
    as_json: cli.AsJson = False,
    quiet: cli.Quiet = False,
) -> None:
    """Check a store against its manifest, and with --source against its source.

    Prints every difference with its image and instance. Exit code 1 if there is any.
    """
    from ngff_bio.checks.source.verify import verify as run

    with ProgressBar("verifying", shown=not (quiet or as_json)) as bar:
        done = run(
            store,
            source,
            format=format,
            options=cli.parse_options(option) or None,
            exclude=exclude,
            source_options=source_options,
            storage_options=storage_options,
            limits=cli.parse_limits(max_pixels, max_bytes),
            sample=sample,
            pixels=pixels,
            workers=workers,
            progress=bar.update,
        )
    if as_json:
        print_json(done.to_json())
    else:
        print_verification(done)
    if not done.equal:
        raise typer.Exit(1)


def print_verification(done: Verification) -> None:
    """Print the result of a verification."""
    from rich.markup import escape

    out = console()
    for difference in done.differences[:_DIFFERENCES]:
        out.print(str(difference), markup=False)
    count = len(done.differences)
    if count > _DIFFERENCES:
        out.print(f"... and {count - _DIFFERENCES} more: see --json")
    for note in done.notes:
        out.print(f"note: {note}", markup=False)
    if done.equal and done.exceptions:
        out.print(f"[bold yellow]equal, except {done.exceptions}[/] {escape(done.store)}")
        left = [f"not read: {name}" for name in done.not_read]
        left += [f"skipped: {n.what}{n.place}" for n in done.skipped]
        for line in left[:_FILES]:
            out.print(f"  {line}", markup=False)
        if len(left) > _FILES:
            out.print(f"  ... and {len(left) - _FILES} more: see --json")
    elif done.equal:
        out.print(f"[bold green]verified[/] {escape(done.store)}")
    else:
        noun = "difference" if count == 1 else "differences"
        out.print(f"[bold red]{count} {noun}[/] {escape(done.store)}")
    if done.objects:
        out.print(
            f"  {done.objects} objects, {size(done.bytes_objects)}, checked against the manifest"
        )
    if done.source is not None:
        part = "" if done.sampled is None else f" (a sample of {done.sampled} blocks)"
        out.print(
            f"  {done.images} images, {done.instances} instances, {size(done.bytes_pixels)} of "
            f"pixels compared with {done.source}{part}",
            markup=False,
        )
    elif done.bytes_pixels:
        out.print(f"  {size(done.bytes_pixels)} of pixels decoded")
    out.print(f"  {done.seconds:.1f} s")
