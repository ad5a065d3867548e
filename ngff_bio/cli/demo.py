"""``ngff-bio demo``: the main job on made data, of each source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

#: Source name to the maker of a small sample of it in ``ngff_bio.testing``.
_MAKERS = {
    "livecell": "make_livecell",
    "nuclei": "make_nuclei",
    "organoid": "make_organoid",
    "platelet-em": "make_platelet_em",
    "wbc": "make_wbc",
}


def demo(
    folder: Annotated[Path, typer.Argument(help="Where samples, stores and pictures go.")] = Path(
        "demo"
    ),
) -> None:
    """Make a small sample of each source, convert it, open it and draw a picture."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for name, maker in _MAKERS.items():
        picture = _one(folder, name, maker)
        console.print(f"[bold]{name}[/]  {folder / f'{name}.zarr'}  {picture}")


def _one(folder: Path, name: str, maker: str) -> Path:
    import ngff_bio
    from ngff_bio import testing
    from ngff_bio.viewing.preview import draw_preview

    source, store, picture = folder / name, folder / f"{name}.zarr", folder / f"{name}.png"
    make: Callable[..., object] = getattr(testing, maker)
    make(source, size="small")
    ngff_bio.convert(source, store, overwrite=True)
    typer.echo(repr(ngff_bio.open(store)))
    draw_preview(store).save(picture)
    return picture
