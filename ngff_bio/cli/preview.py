"""``ngff-bio preview``: a picture of an image with its labels outlined."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def preview(
    store: Annotated[str, typer.Argument(help="The store.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The picture.", metavar="PNG")
    ] = Path("preview.png"),
    image: Annotated[
        str | None,
        typer.Option(help="Path of the image; the first one with labels if not given."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Label image to draw; classes first if not given.")
    ] = None,
    t: Annotated[
        int | None, typer.Option("-t", help="Frame; the first with instances if not given.")
    ] = None,
    z: Annotated[
        int | None, typer.Option("-z", help="Plane; the one with most instances if not given.")
    ] = None,
    width: Annotated[int, typer.Option(help="Most pixels across.", min=16)] = 1200,
    fill: Annotated[
        float, typer.Option(help="How strongly objects are filled, 0 to 1.", min=0, max=1)
    ] = 0.25,
) -> None:
    """Draw an image with its labels outlined, and a legend of the classes."""
    from ngff_bio.viewing.preview import draw_preview

    picture = draw_preview(store, image=image, label=label, t=t, z=z, width=width, fill=fill)
    output.parent.mkdir(parents=True, exist_ok=True)
    picture.save(output)
    typer.echo(f"{output}: {picture.width} x {picture.height}")
