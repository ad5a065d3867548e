"""``ngff-bio convert``: a dataset into an OME-Zarr store."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ngff_bio.cli.progress import ProgressBar
from ngff_bio.cli.text import parse_options, parse_pairs, parse_size, size

if TYPE_CHECKING:
    from ngff_bio.engine.plan.estimate import Estimate
    from ngff_bio.engine.plan.settings import Settings
    from ngff_bio.engine.run.report import ConversionReport
    from ngff_bio.engine.run.runners import Runner

_SOURCE = "What is read"
_STORE = "What is written"
_WORK = "Where the work runs"


class OnError(StrEnum):
    """What to do about a wrong record."""

    stop = "stop"
    skip = "skip"


class Where(StrEnum):
    """Workers of this machine."""

    threads = "threads"
    processes = "processes"


def convert(
    source: Annotated[
        str,
        typer.Argument(help="Folder, archive or URL of the dataset.", show_default=False),
    ],
    destination: Annotated[
        str,
        typer.Argument(
            help="Where the store goes: a folder, s3://, gs:// or az://.",
            metavar="DEST",
            show_default=False,
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(help="What the source is (see `ngff-bio formats`); looked for if not given."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a store that lies at DEST.")
    ] = False,
    append: Annotated[
        bool,
        typer.Option("--append", help="Add to the store at DEST what it does not hold yet."),
    ] = False,
    on_error: Annotated[
        OnError,
        typer.Option(help="A wrong record or file: stop, or skip it and say so in the report."),
    ] = OnError.stop,
    report: Annotated[
        Path | None, typer.Option(help="Write the report to this file as JSON.", metavar="FILE")
    ] = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Then prove that the store is equal to the source."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be written.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No bar, no report.")] = False,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            help="Label images of a picture folder; may be given again.",
            metavar="NAME=GLOB",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    stitch: Annotated[
        bool,
        typer.Option(
            "--stitch", help="LIVECell: whole frames instead of crops.", rich_help_panel=_SOURCE
        ),
    ] = False,
    scale_annotations: Annotated[
        bool,
        typer.Option(
            "--scale-annotations",
            help="Organoid: scale annotations whose file gives another image size.",
            rich_help_panel=_SOURCE,
        ),
    ] = False,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            "-O",
            help="Any option of the source (see `ngff-bio formats`); may be given again.",
            metavar="NAME=VALUE",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    max_pixels: Annotated[
        str | None,
        typer.Option(help="Largest plane that is read, e.g. 30G.", rich_help_panel=_SOURCE),
    ] = None,
    max_bytes: Annotated[
        str | None,
        typer.Option(
            help="Largest member of an archive that is read, e.g. 100G.", rich_help_panel=_SOURCE
        ),
    ] = None,
    source_option: Annotated[
        list[str] | None,
        typer.Option(
            help="Option of a URL that is read (fsspec): endpoint_url=..., anon=true.",
            metavar="NAME=VALUE",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    ome_version: Annotated[
        str,
        typer.Option(
            help="Version of OME-Zarr: 0.5 or 0.6 (Zarr v3), 0.4 (Zarr v2).",
            rich_help_panel=_STORE,
        ),
    ] = "0.5",
    levels: Annotated[
        int | None,
        typer.Option(
            help="Number of levels; as many as it takes if not given.",
            min=1,
            rich_help_panel=_STORE,
        ),
    ] = None,
    chunk: Annotated[
        str | None,
        typer.Option(
            help="Chunk shape, Y,X or Z,Y,X; chosen if not given.", rich_help_panel=_STORE
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="Shard shape, or `none`; chosen if not given.", rich_help_panel=_STORE),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            help="Most frames of a shard; 1 lets --append add frame by frame.",
            min=1,
            rich_help_panel=_STORE,
        ),
    ] = None,
    codec: Annotated[
        str,
        typer.Option(
            help="Codec of images: auto, blosc-zstd-5-shuffle, zstd-3, none, ...",
            rich_help_panel=_STORE,
        ),
    ] = "auto",
    label_codec: Annotated[
        str, typer.Option(help="Codec of labels.", rich_help_panel=_STORE)
    ] = "auto",
    method: Annotated[
        str,
        typer.Option(
            help="How image levels are made: mean, gaussian, mode, nearest.", rich_help_panel=_STORE
        ),
    ] = "mean",
    destination_option: Annotated[
        list[str] | None,
        typer.Option(
            help="Option of the bucket at DEST: endpoint=..., region=...",
            metavar="NAME=VALUE",
            rich_help_panel=_STORE,
        ),
    ] = None,
    runner: Annotated[
        Where,
        typer.Option(
            help="Where the work runs on this machine; processes where outlines are very many.",
            rich_help_panel=_WORK,
        ),
    ] = Where.threads,
    workers: Annotated[
        int,
        typer.Option(
            help="Threads or processes; 0 for one per core.", min=0, rich_help_panel=_WORK
        ),
    ] = 0,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Run on this dask cluster instead.",
            metavar="ADDRESS",
            rich_help_panel=_WORK,
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="What work in flight may take, e.g. 500M; half of what is free if not given.",
            rich_help_panel=_WORK,
        ),
    ] = None,
) -> None:
    """Convert a dataset with its annotations into one OME-Zarr store.

    Looks what lies in SOURCE, shows a bar while it works, and tells at the end what was written and
    what was not. If it is stopped, the same command goes on where it was.
    """
    from ngff_bio.conversion import convert as run
    from ngff_bio.conversion import estimate
    from ngff_bio.formats.limits import Limits

    options = parse_options(option, "--option")
    if labels:
        options["labels"] = labels
    if stitch:
        options["stitch"] = True
    if scale_annotations:
        options["scale_annotations"] = True
    settings = _settings(
        version=ome_version,
        levels=levels,
        chunk=chunk,
        shard=shard,
        frames=frames,
        codec=codec,
        label_codec=label_codec,
        method=method,
    )
    limits = Limits(
        None if max_pixels is None else parse_size(max_pixels, "--max-pixels"),
        None if max_bytes is None else parse_size(max_bytes, "--max-bytes"),
    )
    source_options = parse_pairs(source_option, "--source-option")
    storage_options = parse_pairs(destination_option, "--destination-option")
    if dry_run:
        with ProgressBar("looking", shown=not quiet) as bar:
            seen = estimate(
                source,
                format=format,
                settings=settings,
                options=options,
                source_options=source_options,
                limits=limits,
                on_error=on_error.value,
                reading=bar.reading,
            )
        _foretell(seen)
        return
    with ProgressBar("converting", shown=not quiet) as bar:
        done = run(
            source,
            destination,
            format=format,
            settings=settings,
            runner=_runner(runner, workers, scheduler, memory),
            progress=bar.update,
            reading=bar.reading,
            overwrite=overwrite,
            append=append,
            on_error=on_error.value,
            options=options,
            source_options=source_options,
            storage_options=storage_options,
            limits=limits,
        )
    if report is not None:
        report.write_text(json.dumps(done.to_json(), indent=2, default=str))
    if not quiet:
        _tell(done)
    if verify:
        _verify(
            source,
            destination,
            format=done.format,
            options=options,
            on_error=on_error.value,
            source_options=source_options,
            storage_options=storage_options,
            quiet=quiet,
        )


def _verify(source: str, destination: str, *, quiet: bool, **given: Any) -> None:
    from ngff_bio.checks.source.verify import verify
    from ngff_bio.cli.verify import tell

    with ProgressBar("verifying", shown=not quiet) as bar:
        proof = verify(destination, source, progress=bar.update, **given)
    if not quiet or not proof.equal:
        tell(proof)
    if not proof.equal:
        raise typer.Exit(1)


def _settings(
    *, chunk: str | None, shard: str | None, codec: str, label_codec: str, **given: Any
) -> Settings:
    from ngff_bio.engine.plan.settings import Settings
    from ngff_bio.zarrio.codecs import parse_codec

    if chunk is not None:
        given["chunk"] = _sizes(chunk, "--chunk")
    if shard == "none":
        given["sharded"] = False
    elif shard is not None:
        given["shard"] = _sizes(shard, "--shard")
    return Settings(codec=parse_codec(codec), label_codec=parse_codec(label_codec), **given)


def _sizes(text: str, option: str) -> tuple[int, ...]:
    from ngff_bio.errors import ArgumentError

    try:
        return tuple(int(n) for n in text.split(","))
    except ValueError as error:
        raise ArgumentError(
            "a shape is whole numbers with commas between them",
            expected=f"{option} 256,256 or {option} 8,256,256",
            found=text,
        ) from error


def _runner(where: Where, workers: int, scheduler: str | None, memory: str | None) -> Runner:
    budget = 0 if memory is None else parse_size(memory, "--memory")
    if scheduler is not None:
        from ngff_bio.engine.run.cluster import DaskRunner

        return DaskRunner(scheduler, budget)
    if where is Where.processes:
        from ngff_bio.engine.run.processes import ProcessRunner

        return ProcessRunner(workers, budget)
    from ngff_bio.engine.run.runners import ThreadRunner

    return ThreadRunner(workers, budget)


def _foretell(seen: Estimate) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{seen.name}[/] (nothing is written)")
    console.print(
        f"  {seen.images} images, {seen.frames} frames, {seen.instances} instances"
        + (f", labels: {', '.join(seen.labels)}" if seen.labels else ""),
        markup=False,
    )
    console.print(f"  {size(seen.bytes_raw)} of pixels in {seen.units} units of work")
    console.print(f"  at most {seen.objects} objects", end="")
    if seen.objects_hidden:
        console.print(
            f", and {seen.objects_hidden} more for each label image that takes instances which "
            "others cover in part",
            end="",
        )
    console.print()


def _tell(report: ConversionReport) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    rate = report.bytes_raw / max(report.seconds, 1e-9)
    console.print(f"[bold]{report.destination}[/]")
    console.print(
        f"  {report.images} images, {report.frames} frames, {report.instances} instances"
        + (f" ({report.overlaps} partly covered by others)" if report.overlaps else "")
    )
    if report.labels:
        console.print(f"  labels: {', '.join(report.labels)}", markup=False)
    console.print(
        f"  {size(report.bytes_raw)} of pixels in {report.objects} objects, "
        f"{size(report.bytes_stored)}, in {report.seconds:.1f} s ({size(rate)}/s)"
    )
    if report.resumed:
        console.print(f"  went on: {report.resumed} of {report.units} units were done before")
    _tell_notices(console, report)


def _tell_notices(console: Any, report: ConversionReport) -> None:
    styles = {"skipped": "yellow", "warning": "yellow", "note": "dim"}
    for notice in report.notices[:20]:
        where = " ".join(w for w in (notice.file, notice.record) if w)
        console.print(f"  [{styles[notice.kind]}]{notice.kind}:[/] ", end="")
        console.print(f"{notice.what}{f' ({where})' if where else ''}", markup=False)
    if len(report.notices) > 20:
        console.print(f"  ... and {len(report.notices) - 20} more: see --report FILE")
