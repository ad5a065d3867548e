"""``ngff-bio demo``: converts a small sample of each source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[
        Path, typer.Argument(help="Folder of the samples, the stores and the images of them.")
    ] = Path("demo"),
) -> None:
    """Make a small sample of each source, convert it, open it and draw a preview."""
    from rich.console import Console

    import ngff_bio
    from ngff_bio.testing.demo_data import SAMPLES, make_sample
    from ngff_bio.viewing.preview import draw_preview

    console = Console(highlight=False, soft_wrap=True)
    for name in SAMPLES:
        store, preview = folder / f"{name}.zarr", folder / f"{name}.png"
        ngff_bio.convert(make_sample(name, folder / name), store, overwrite=True)
        typer.echo(repr(ngff_bio.open(store)))
        draw_preview(store).save(preview)
        console.print(f"[bold]{name}[/]  {store}  {preview}")
