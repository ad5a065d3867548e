"""``ngff-bio copy``: a store to another place."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ngff_bio.cli import options as cli
from ngff_bio.cli.buckets import with_bucket_options
from ngff_bio.cli.output import ProgressBar, console, print_json, size


@with_bucket_options
def copy(
    store: cli.Store,
    destination: Annotated[
        str,
        typer.Argument(
            help="A folder, s3://, gs:// or az://, or a file in one that ends in .ozx or .zip.",
            metavar="DEST",
            show_default=False,
        ),
    ],
    source_options: dict[str, Any],
    storage_options: dict[str, Any],
    images: Annotated[
        list[str] | None,
        typer.Option(help="Copy only images whose path matches; may be repeated.", metavar="GLOB"),
    ] = None,
    plate: Annotated[
        list[str] | None,
        typer.Option(help="Copy only plates whose path matches; may be repeated.", metavar="GLOB"),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Copy only images with frames of a split; may be repeated."),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Make a store at DEST equal to this one; only what differs is sent."
        ),
    ] = False,
    dry_run: cli.DryRun = False,
    workers: cli.Workers = 0,
    as_json: cli.AsJson = False,
    quiet: cli.Quiet = False,
) -> None:
    """Copy a store between folders, buckets and zips, or from a web server.

    Each object is checked against the manifest of the store. A copy does not open before it is
    complete; an interrupted one is resumed by the same command, except to a zip in a bucket, which
    starts again.
    """
    from ngff_bio.copying import copy as run
    from ngff_bio.parallel import share_freed_memory

    share_freed_memory()
    with ProgressBar("copying", shown=not (quiet or as_json or dry_run)) as bar:
        done = run(
            store,
            destination,
            images=images or (),
            plate=plate or (),
            split=split or (),
            overwrite=overwrite,
            dry_run=dry_run,
            source_options=source_options,
            storage_options=storage_options,
            workers=workers,
            progress=bar.update,
        )
    if as_json:
        print_json(done.to_json())
        return
    if quiet:
        return
    out = console()
    out.print(done.destination, markup=False, style="bold")
    out.print(f"  {done.objects} objects, {size(done.bytes)}, in the store")
    verb = "to send" if dry_run else "sent"
    out.print(f"  {done.sent} objects, {size(done.bytes_sent)}, {verb}")
    if done.removed:
        out.print(f"  {done.removed} objects {'to remove' if dry_run else 'removed'}")
    if dry_run:
        out.print("  requests: " + ", ".join(f"{n} {kind}" for kind, n in done.requests.items()))
    for note in done.notes:
        out.print(f"  note: {note}", markup=False)
    if done.unchecked:
        out.print(
            f"  {len(done.unchecked)} objects without a checksum: the manifest does not name them "
            f"({done.unchecked[0]}{', ...' if len(done.unchecked) > 1 else ''})",
            markup=False,
        )
