"""``ngff-bio convert``: a dataset into an OME-Zarr store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ngff_bio.cli import options as cli
from ngff_bio.cli.buckets import with_bucket_options
from ngff_bio.cli.output import (
    ProgressBar,
    console,
    print_account,
    print_notices,
    size,
    write_report,
)

if TYPE_CHECKING:
    from ngff_bio.engine.plan.estimate import Estimate
    from ngff_bio.engine.run.report import ConversionReport


@with_bucket_options
@cli.with_groups
def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder, archive or URL of the dataset, or a store.", show_default=False
        ),
    ],
    destination: Annotated[
        str,
        typer.Argument(
            help="The store to write: a folder, s3://, gs:// or az://.",
            metavar="DEST",
            show_default=False,
        ),
    ],
    source_options: dict[str, Any],
    storage_options: dict[str, Any],
    read: cli.SourceOptions,
    written: cli.StoreOptions,
    where: cli.RunOptions,
    format: cli.Format = None,
    overwrite: cli.Overwrite = False,
    append: Annotated[
        bool, typer.Option("--append", help="Add what the store at DEST does not contain yet.")
    ] = False,
    on_error: Annotated[
        cli.OnError,
        typer.Option(help="Invalid record or file: stop, or skip it and list it in the report."),
    ] = cli.OnError.stop,
    report: cli.ReportFile = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Verify the store against the source afterwards.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written; write nothing.")
    ] = False,
    quiet: cli.Quiet = False,
) -> None:
    """Convert a dataset with its annotations to one OME-Zarr store, or a store to another version.

    Detects the format of SOURCE, shows the progress, and reports what was written and what was
    skipped. A cancelled conversion is resumed by the same command.
    """
    from ngff_bio.conversion import convert as run
    from ngff_bio.conversion import estimate
    from ngff_bio.engine.write.tables import without_pandas
    from ngff_bio.formats.limits import DEFAULT_LIMITS
    from ngff_bio.viewing.versions import version_warning

    options, settings = read.of_format(), written.settings()
    reading: dict[str, Any] = {
        "format": format,
        "settings": settings,
        "options": options,
        "source_options": source_options,
        "limits": cli.parse_limits(read.max_pixels, read.max_bytes) or DEFAULT_LIMITS,
        "on_error": on_error.value,
        "exclude": read.exclude or (),
        "ignore_unread": read.ignore_unread,
    }
    if dry_run:
        with _failure_reported(report), ProgressBar("reading", shown=not quiet) as bar:
            estimated = estimate(source, reading=bar.reading, **reading)
        write_report(estimated.to_json(), report)
        _print_estimate(estimated, remote="://" in destination)
        return
    without_pandas()
    with _failure_reported(report), ProgressBar("converting", shown=not quiet) as bar:
        done = run(
            source,
            destination,
            runner=where.make_runner(),
            progress=bar.update,
            reading=bar.reading,
            overwrite=overwrite,
            append=append,
            storage_options=storage_options,
            **reading,
        )
    write_report(done.to_json(), report)
    if not quiet:
        _print_report(done)
        if (warning := version_warning(settings.version)) is not None:
            console().print(f"  note: {warning}", markup=False)
    if verify:
        _verify(
            source,
            destination,
            format=done.format,
            options=options,
            on_error=on_error.value,
            exclude=read.exclude,
            source_options=source_options,
            storage_options=storage_options,
            quiet=quiet,
        )


@contextmanager
def _failure_reported(report: Path | None) -> Iterator[None]:
    """Write an error and the account of the source's files to the report, too."""
    from ngff_bio.errors import NgffBioError

    try:
        yield
    except NgffBioError as error:
        found = {"error": error.parts(), "files": error.files}
        write_report({k: v for k, v in found.items() if v is not None}, report)
        raise


def _verify(source: str, destination: str, *, quiet: bool, **given: Any) -> None:
    from ngff_bio.checks.source.verify import verify
    from ngff_bio.cli.verify import print_verification

    with ProgressBar("verifying", shown=not quiet) as bar:
        done = verify(destination, source, progress=bar.update, **given)
    if not quiet or not done.equal:
        print_verification(done)
    if not done.equal:
        raise typer.Exit(1)


def _print_estimate(found: Estimate, *, remote: bool) -> None:
    from rich.markup import escape

    out = console()
    out.print(f"[bold]{escape(found.name)}[/] (nothing is written)")
    out.print(
        f"  {found.images} images, {found.frames} frames"
        + (f", {found.instances} annotations" if found.instances is not None else "")
        + (f", labels: {', '.join(found.labels)}" if found.labels else ""),
        markup=False,
    )
    out.print(f"  {size(found.bytes_raw)} of pixels in {found.units} units of work")
    hidden = ""
    if found.objects_hidden:
        hidden = (
            f", and {found.objects_hidden} more per hidden label image of overlapping instances"
        )
    out.print(f"  at most {found.objects} objects{hidden}")
    if remote:  # a record of each unit is written, listed and removed
        puts, size_of = found.objects + found.units, size(found.bytes_raw)
        out.print(f"  requests to the bucket: at most {puts} PUT and {found.units} DELETE")
        out.print(f"  at most {size_of} to send, before compression")
    for line in found.plates:
        out.print(f"  {line}", markup=False)
    print_account(out, found.account)


def _print_report(report: ConversionReport) -> None:
    from rich.markup import escape

    out = console()
    rate = report.bytes_raw / max(report.seconds, 1e-9)
    out.print(f"[bold]{escape(report.destination)}[/]")
    if not report.objects:  # it was converted before
        print_notices(out, report)
        return
    several = (report.annotations or 0) > (report.instances or 0)
    more = [f"of {report.annotations} annotations"] if several else []
    more += [f"{report.overlaps} partly covered by others"] if report.overlaps else []
    overlaps = f" ({', '.join(more)})" if more else ""
    out.print(
        f"  {report.images} images, {report.frames} frames"
        + (f", {report.instances} instances{overlaps}" if report.instances is not None else ""),
        markup=False,
    )
    if report.labels:
        out.print(f"  labels: {', '.join(report.labels)}", markup=False)
    out.print(
        f"  {size(report.bytes_raw)} of pixels in {report.objects} objects, "
        f"{size(report.bytes_stored)}, in {report.seconds:.1f} s ({size(rate)}/s)"
    )
    if report.resumed:
        out.print(f"  resumed: {report.resumed} of {report.units} units were already written")
    print_account(out, report.account)
    print_notices(out, report)
