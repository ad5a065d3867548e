"""``ngff-bio convert``: a dataset into an OME-Zarr store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ngff_bio.cli.text import size

if TYPE_CHECKING:
    from ngff_bio.engine.report import Report
    from ngff_bio.engine.settings import Settings


def convert(
    source: Annotated[
        str, typer.Argument(help="Folder or archive of the dataset.", show_default=False)
    ],
    destination: Annotated[
        str, typer.Argument(help="Where the store goes.", metavar="DEST", show_default=False)
    ],
    format: Annotated[
        str | None,
        typer.Option(help="What the source is (see `ngff-bio formats`); looked for if not given."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a store that lies at DEST.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write the report to this file as JSON.", metavar="FILE")
    ] = None,
    ome_version: Annotated[
        str, typer.Option(help="Version of OME-Zarr: 0.5 (Zarr v3) or 0.4 (Zarr v2).")
    ] = "0.5",
    levels: Annotated[
        int | None,
        typer.Option(help="Number of levels; as many as it takes if not given.", min=1),
    ] = None,
    chunk: Annotated[
        str | None, typer.Option(help="Chunk shape, Y,X or Z,Y,X; chosen if not given.")
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(help="Codec of images: blosc-zstd-5-shuffle, zstd-3, none, ..."),
    ] = None,
    label_codec: Annotated[str | None, typer.Option(help="Codec of labels.")] = None,
    workers: Annotated[int, typer.Option(help="Threads; 0 for one per processor core.", min=0)] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No bar, no report.")] = False,
) -> None:
    """Convert a dataset with its annotations into one OME-Zarr store.

    Looks what lies in SOURCE, shows a bar while it works, and tells at the end what was written and
    what was not. If it is stopped, the same command goes on where it was.
    """
    from ngff_bio.conversion import convert as run
    from ngff_bio.engine.runners import ThreadRunner

    settings = _settings(ome_version, levels, chunk, codec, label_codec)
    with _Bar(shown=not quiet) as bar:
        done = run(
            source,
            destination,
            format=format,
            settings=settings,
            runner=ThreadRunner(workers),
            progress=bar.update,
            overwrite=overwrite,
        )
    if report is not None:
        report.write_text(json.dumps(done.to_json(), indent=2, default=str))
    if not quiet:
        _tell(done)


def _settings(
    version: str, levels: int | None, chunk: str | None, codec: str | None, label_codec: str | None
) -> Settings:
    from ngff_bio.engine.codecs import parse_codec
    from ngff_bio.engine.settings import Settings
    from ngff_bio.errors import ArgumentError

    given: dict[str, Any] = {"version": version, "levels": levels}
    if chunk is not None:
        try:
            given["chunk"] = tuple(int(n) for n in chunk.split(","))
        except ValueError as error:
            raise ArgumentError(
                "a chunk shape is whole numbers with commas between them",
                expected="--chunk 256,256 or --chunk 8,256,256",
                found=chunk,
            ) from error
    if codec is not None:
        given["codec"] = parse_codec(codec)
    if label_codec is not None:
        given["label_codec"] = parse_codec(label_codec)
    return Settings(**given)


class _Bar:
    """A progress bar with bytes, rate and time left; made when the first unit is done."""

    def __init__(self, *, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not shown,
            transient=True,
        )
        self._task = self._bar.add_task("looking", total=None)

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, done: int, total: int) -> None:
        """Called after every unit with raw bytes done and in all."""
        self._bar.update(self._task, description="converting", completed=done, total=total)


def _tell(report: Report) -> None:
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


def _tell_notices(console: Any, report: Report) -> None:
    styles = {"skipped": "yellow", "warning": "yellow", "note": "dim"}
    for notice in report.notices[:20]:
        where = " ".join(w for w in (notice.file, notice.record) if w)
        console.print(f"  [{styles[notice.kind]}]{notice.kind}:[/] ", end="")
        console.print(f"{notice.what}{f' ({where})' if where else ''}", markup=False)
    if len(report.notices) > 20:
        console.print(f"  ... and {len(report.notices) - 20} more: see --report FILE")
