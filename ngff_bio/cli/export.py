"""``ngff-bio export``: a store, or a part of it, in another format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ngff_bio.cli import options as cli
from ngff_bio.cli.buckets import with_bucket_options
from ngff_bio.cli.output import console, print_notices, size, write_report

if TYPE_CHECKING:
    from ngff_bio.export.selection import Masks

#: How notices of an export are titled.
_TITLES = {"skipped": "not exported", "warning": "changed"}


@with_bucket_options
def export(
    store: cli.Store,
    out: Annotated[
        str,
        typer.Argument(
            help="File or folder to write, also in a bucket.", metavar="OUT", show_default=False
        ),
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
    storage_options: dict[str, Any],
    out_options: dict[str, Any],
    image: Annotated[
        list[str] | None,
        typer.Option(help="Export only this image, plate or well; repeatable.", metavar="PATH"),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(help="Export only these pixels: z=0:5,y=0:512,x=0:512.", metavar="RANGES"),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(help="Export only this label layer; repeatable.", metavar="NAME"),
    ] = None,
    images: Annotated[
        bool | None,
        typer.Option(
            "--images/--no-images",
            help="Write image files too; by default if the format requires them.",
        ),
    ] = None,
    masks: Annotated[
        str | None,
        typer.Option(help="Encoding of masks: rle, mask or polygons; by default a lossless one."),
    ] = None,
    overwrite: cli.Overwrite = False,
    report: cli.ReportFile = None,
    quiet: cli.Quiet = False,
) -> None:
    """Export annotations (and images) of a store to a common annotation format.

    Annotations that came from the same format are equal to the source. The report lists what the
    format cannot represent.
    """
    from rich.markup import escape

    from ngff_bio.export import export as run

    done = run(
        store,
        out,
        to=to,
        image=image or None,
        region=region,
        labels=labels or None,
        images=images,
        masks=cast("Masks | None", masks),
        storage_options=storage_options,
        out_options=out_options,
        overwrite=overwrite,
    )
    write_report(done.to_json(), report)
    if quiet:
        return
    screen = console()
    screen.print(f"[bold]{escape(done.destination)}[/]")
    screen.print(
        f"  {done.images} images, {done.instances} instances"
        + (f" as {done.annotations} annotations" if done.annotations > done.instances else "")
        + f" in {done.files} files, "
        f"{size(done.bytes)}, in {done.seconds:.1f} s"
    )
    print_notices(screen, done, _TITLES, counts=True)
