"""``ngff-bio preview``: an image file of an image with its labels outlined."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ngff_bio.cli import options as cli
from ngff_bio.cli.buckets import with_bucket_options

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".gif")
_ANIMATED = (".png", ".gif", ".webp")

#: Milliseconds that an animation shows each frame.
_DURATION = 200


class _Sheet(StrEnum):
    images = "images"
    plate = "plate"
    z = "z"
    t = "t"


class _Axis(StrEnum):
    z = "z"
    t = "t"


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
        int | None, typer.Option("-t", "--t", help="Frame; by default the first with instances.")
    ] = None,
    z: Annotated[
        int | None, typer.Option("-z", "--z", help="Plane; by default the one with most instances.")
    ] = None,
    width: Annotated[int, typer.Option(help="Maximum width in pixels.", min=16, max=16384)] = 1200,
    fill: Annotated[
        float, typer.Option(help="Opacity of the objects, 0 to 1.", min=0, max=1)
    ] = 0.25,
    sheet: Annotated[
        _Sheet | None,
        typer.Option(
            help="Several in one image file: images, wells of a plate, or planes of an image."
        ),
    ] = None,
    animate: Annotated[
        _Axis | None,
        typer.Option(help="Planes or frames (at most 200), as an animated PNG, GIF or WebP."),
    ] = None,
) -> None:
    """Draw an image with its labels outlined, a legend of the classes, and a scale bar.

    With --sheet plate, --image is the path of the plate.
    """
    from ngff_bio.cli.output import console, writing
    from ngff_bio.errors import ArgumentError
    from ngff_bio.reader import open as open_store
    from ngff_bio.storage import storage_at
    from ngff_bio.viewing.preview import draw_preview
    from ngff_bio.viewing.sheets import draw_frames, draw_sheet

    if output.suffix.lower() not in _SUFFIXES:
        raise ArgumentError(
            "--output is not the name of an image file",
            expected=", ".join(_SUFFIXES),
            found=output.name,
        )
    if animate is not None and output.suffix.lower() not in _ANIMATED:
        raise ArgumentError(
            "this kind of file cannot be animated",
            expected=", ".join(_ANIMATED),
            found=output.name,
        )
    along = animate or sheet
    if animate is not None and sheet is not None:
        raise ArgumentError("a sheet cannot be animated", hint="leave out --sheet or --animate")
    at = {axis: index for axis, index in (("t", t), ("z", z)) if index is not None}
    if along is not None and along.value in at:
        raise ArgumentError(
            f"-{along.value} is one index of the axis that is drawn",
            hint=f"leave out -{along.value}",
        )
    storage = storage_at(store, storage_options)
    how: dict[str, Any] = {"image": image, "label": label, "width": width, "fill": fill}
    count = 1
    options: dict[str, Any] = {}
    if animate is not None:
        count, drawings = draw_frames(open_store(storage), animate.value, at=at, **how)
        drawn = next(drawings)
        # Pillow goes through the frames of a PNG twice.
        others = list(drawings) if output.suffix.lower() == ".png" else drawings
        options = {"save_all": True, "append_images": others, "duration": _DURATION, "loop": 0}
    elif sheet is not None:
        drawn = draw_sheet(open_store(storage), sheet.value, at=at, **how)
    else:
        drawn = draw_preview(storage, t=t, z=z, **how)
    with writing(output):
        drawn.save(output, **(options if count > 1 else {}))
    frames = f", {count} frames" if count > 1 else ""
    console().print(f"{output}: {drawn.width} x {drawn.height}{frames}", markup=False)
