"""``ngff-bio export``: a store, or a part of it, into another format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from ngff_bio.cli.text import size


def export(
    store: Annotated[str, typer.Argument(help="The store.", show_default=False)],
    out: Annotated[
        str,
        typer.Argument(help="File or folder to make.", metavar="OUT", show_default=False),
    ],
    to: Annotated[
        str,
        typer.Option(
            help="coco, labelme, rle-json, milab, label-tiff, ome-tiff, wbc-crops, yolo, yolo-seg, "
            "parquet or geoparquet.",
            metavar="FORMAT",
            show_default=False,
        ),
    ],
    image: Annotated[
        list[str] | None,
        typer.Option(help="Only this image, plate or well; may be given again.", metavar="PATH"),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(help="Only these pixels: z=0:5,y=0:512,x=0:512.", metavar="RANGES"),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(help="Only this label layer; may be given again.", metavar="NAME"),
    ] = None,
    pictures: Annotated[
        bool | None,
        typer.Option(
            "--pictures/--no-pictures",
            help="Write the images too; what the format needs if not given.",
        ),
    ] = None,
    masks: Annotated[
        str | None,
        typer.Option(
            help="How masks are written: rle, mask or polygons; what is exact if not given."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what lies at OUT.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write the report to this file as JSON.", metavar="FILE")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No report.")] = False,
) -> None:
    """Export annotations (and images) of a store to a format that people train and publish with.

    What came from a format goes back to it value for value. What a format cannot hold is named at
    the end.
    """
    from rich.console import Console

    from ngff_bio.export import export as run

    done = run(
        store,
        out,
        to=to,
        image=image or None,
        region=region,
        labels=labels or None,
        pictures=pictures,
        masks=cast("Literal['rle', 'polygons', 'mask'] | None", masks),
        overwrite=overwrite,
    )
    if report is not None:
        report.write_text(json.dumps(done.to_json(), indent=2, default=str))
    if quiet:
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{done.destination}[/]")
    console.print(
        f"  {done.images} images, {done.instances} instances in {done.files} files, "
        f"{size(done.bytes)}, in {done.seconds:.1f} s"
    )
    styles = {"skipped": "yellow", "warning": "yellow", "note": "dim"}
    titles = {"skipped": "not in it", "warning": "changed", "note": "note"}
    for notice in done.notices:
        console.print(f"  [{styles[notice.kind]}]{titles[notice.kind]}:[/] ", end="")
        times = f" ({notice.count} times)" if notice.count > 1 else ""
        where = f" ({notice.record})" if notice.record else ""
        console.print(f"{notice.what}{where}{times}", markup=False)
