"""The application and its commands. Importing it imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ngff_bio._version import __version__
from ngff_bio.cli.convert import convert
from ngff_bio.cli.copy import copy
from ngff_bio.cli.edit import add_labels, add_table, describe, discard, remove
from ngff_bio.cli.export import export
from ngff_bio.cli.info import info
from ngff_bio.cli.measure import measure
from ngff_bio.cli.output import console
from ngff_bio.cli.preview import preview
from ngff_bio.cli.publish import publish
from ngff_bio.cli.serve import serve
from ngff_bio.cli.upgrade import upgrade
from ngff_bio.cli.validate import validate
from ngff_bio.cli.verify import verify
from ngff_bio.cli.view import view

app = typer.Typer(
    name="ngff-bio",
    help="""
    Convert annotated bio-image datasets to OME-Zarr and back without loss.

    Quick start:

      ngff-bio convert FOLDER out.zarr     (detects the format of FOLDER)
      ngff-bio info out.zarr
      ngff-bio preview out.zarr -o out.png
    """,
    epilog="Add --debug to any command to see the traceback of an error.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ngff-bio {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    # Its help is that of the application; --version is handled by its callback.
    del version


def formats(
    name: Annotated[
        str | None, typer.Argument(help="Only this format, with all that is known of its files.")
    ] = None,
) -> None:
    """List the formats that can be converted, their files and their options."""
    from ngff_bio.sources import sources
    from ngff_bio.sources.calibration import CALIBRATION
    from ngff_bio.sources.registry import option_text, source_named

    out = console()
    for source in sources().values() if name is None else [source_named(name)]:
        out.print(f"[bold]{source.name}[/]  {source.title}")
        out.print(f"    files: {source.layout}", markup=False)
        for line in source.details if name is not None else ():
            out.print(f"    {line}", markup=False)
        for option, text in source.options.items():
            out.print(f"    {option_text(option)}: {text}", markup=False)
    out.print("[bold]ome-zarr[/]  A store: OME-Zarr 0.1 to 0.6 of any writer")
    out.print("    files: a folder, zip or URL with zarr.json or .zgroup", markup=False)
    out.print("    --images: globs of paths of images; only these are converted", markup=False)
    out.print("[bold]every format[/]")
    for option, text in CALIBRATION.items():
        out.print(f"    {option_text(option)}: {text}", markup=False)


def demo(
    folder: Annotated[
        Path, typer.Argument(help="Folder of the samples, their stores and their previews.")
    ] = Path("demo"),
) -> None:
    """Make a small sample of each dataset, convert it, open it and draw a preview."""
    import ngff_bio
    from ngff_bio.testing.demo_data import SAMPLES, make_sample
    from ngff_bio.viewing.preview import draw_preview

    out = console()
    for name in SAMPLES:
        store, image = folder / f"{name}.zarr", folder / f"{name}.png"
        ngff_bio.convert(make_sample(name, folder / name), store, overwrite=True)
        for line in repr(ngff_bio.open(store)).splitlines():
            out.print(line, markup=False)
        draw_preview(store).save(image)
        out.print(f"[bold]{name}[/]  {store}  {image}")


app.command()(convert)
app.command()(info)
app.command()(validate)
app.command()(verify)
app.command()(preview)
app.command()(export)
app.command()(measure)
app.command()(copy)
app.command()(publish)
app.command()(remove)
app.command()(upgrade)
app.command()(describe)
app.command()(discard)
app.command()(serve)
app.command()(view)
app.command()(formats)
app.command()(demo)

labels = typer.Typer(help="Labels of an image of a store.", no_args_is_help=True)
labels.command("add")(add_labels)
app.add_typer(labels, name="labels")

table = typer.Typer(help="Tables of an image of a store.", no_args_is_help=True)
table.command("add")(add_table)
app.add_typer(table, name="table")
