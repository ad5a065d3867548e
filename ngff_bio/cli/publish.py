"""``ngff-bio publish``: a store to where others read it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ngff_bio.cli import options as cli
from ngff_bio.cli.buckets import with_bucket_options
from ngff_bio.cli.output import ProgressBar, console, print_json, size


@with_bucket_options
def publish(
    store: cli.Store,
    destination: Annotated[
        str,
        typer.Argument(
            help="s3://, gs:// or az://, or a folder.", metavar="DEST", show_default=False
        ),
    ],
    source_options: dict[str, Any],
    storage_options: dict[str, Any],
    title: Annotated[str | None, typer.Option(help="Title of the dataset.")] = None,
    description: Annotated[str | None, typer.Option(help="What it contains.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence: 'CC BY 4.0', or a URL.", metavar="LICENCE")
    ] = None,
    citation: Annotated[str | None, typer.Option(help="What users of the data cite.")] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            help="A dataset.yaml with these and creators, keywords, doi, organism, taxon, modality, "
            "fbbi, preparation.",
            metavar="FILE",
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="Where everyone reads DEST, if not at the bucket's own address."),
    ] = None,
    overwrite: cli.Overwrite = False,
    dry_run: cli.DryRun = False,
    workers: cli.Workers = 0,
    as_json: cli.AsJson = False,
    quiet: cli.Quiet = False,
) -> None:
    """Copy a store to a public place, with a page, README, RO-Crate and Croissant metadata.

    Prints the policies that make the place public, and checks afterwards, as an anonymous browser,
    that ranges and requests from other origins work. Exit code 1 if they do not.
    """
    from ngff_bio.parallel import share_freed_memory

    share_freed_memory()
    from ngff_bio.publishing import publish as run  # imports Arrow

    with ProgressBar("publishing", shown=not (quiet or as_json or dry_run)) as bar:
        done = run(
            store,
            destination,
            metadata=metadata,
            url=url,
            overwrite=overwrite,
            dry_run=dry_run,
            source_options=source_options,
            storage_options=storage_options,
            workers=workers,
            progress=bar.update,
            title=title,
            description=description,
            licence=licence,
            citation=citation,
        )
    if as_json:
        print_json(done.to_json())
    elif not quiet:
        out = console()
        copied, verb = done.copied, "to send" if dry_run else "sent"
        out.print(done.url or copied.destination, markup=False, style="bold")
        out.print(f"  {copied.sent} of {copied.objects} objects, {size(copied.bytes_sent)}, {verb}")
        if dry_run:
            requests = ", ".join(f"{n} {kind}" for kind, n in copied.requests.items())
            out.print(f"  requests: {requests}")
        files = {name: count for name, count in done.files.items() if "/" not in name}
        for name, count in files.items():
            out.print(f"  {name}: {size(count)}", markup=False)
        if named := len(done.files) - len(files):
            out.print(f"  names of the values of {named} label images, for Neuroglancer")
        for note in done.notes:
            out.print(f"note: {note}", markup=False)
        for check in done.checks:
            mark = "[green]yes[/]" if check.passed else "[red]no[/]"
            out.print(f"{mark} ", end="")
            out.print(f"{check.what} ({check.found})", markup=False)
        if dry_run or (not done.public and len(done.checks) > 1):  # it answers, but not everyone
            for kind, commands in done.policies.items():
                out.print(f"[bold]to make it public on {kind}[/]:")
                for line in commands.splitlines():
                    out.print(f"  {line}", markup=False)
        if done.url is None:
            out.print("note: links to viewers need --url, where everyone reads the destination")
    if not done.public:
        raise typer.Exit(1)
