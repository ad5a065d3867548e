"""``ngff-bio preview``: an image file of an image with its labels outlined."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ngff_bio.cli import options as cli
from ngff_bio.cli.buckets import with_bucket_options

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")


@with_bucket_options
def preview(
    store: cli.Store,
    storage_options: dict[str, Any],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The image file to write.", metavar="PNG")
    ] = Path("preview.png"),
    image: Annotated[
        str | None, typer.Option(help="Path of the image; by default the first one with labels.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Label image; by default the semantic one, else the first.")
    ] = None,
    t: Annotated[
        int | None, typer.Option("-t", help="Frame; by default the first with instances.")
    ] = None,
    z: Annotated[
        int | None, typer.Option("-z", help="Plane; by default the one with most instances.")
    ] = None,
    width: Annotated[int, typer.Option(help="Maximum width in pixels.", min=16)] = 1200,
    fill: Annotated[
        float, typer.Option(help="Opacity of the objects, 0 to 1.", min=0, max=1)
    ] = 0.25,
) -> None:
    """Draw an image with its labels outlined, and a legend of the classes."""
    from ngff_bio.cli.output import console, writing
    from ngff_bio.errors import ArgumentError
    from ngff_bio.storage import storage_at
    from ngff_bio.viewing.preview import draw_preview

    if output.suffix.lower() not in _SUFFIXES:
        raise ArgumentError(
            "--output is not the name of an image file",
            expected=", ".join(_SUFFIXES),
            found=output.name,
        )
    storage = storage_at(store, storage_options)
    drawn = draw_preview(storage, image=image, label=label, t=t, z=z, width=width, fill=fill)
    with writing(output):
        drawn.save(output)
    console().print(f"{output}: {drawn.width} x {drawn.height}", markup=False)
