"""The application: its verbs, and what ``--help`` says. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

import typer

from ngff_bio._version import __version__
from ngff_bio.cli.convert import convert
from ngff_bio.cli.demo import demo
from ngff_bio.cli.export import export
from ngff_bio.cli.formats import formats
from ngff_bio.cli.info import info
from ngff_bio.cli.preview import preview
from ngff_bio.cli.serve import serve
from ngff_bio.cli.validate import validate
from ngff_bio.cli.verify import verify

app = typer.Typer(
    name="ngff-bio",
    help="""
    Annotated bio-image datasets to OME-Zarr and back, with nothing lost.

    A first try:

      ngff-bio convert FOLDER out.zarr     (looks what lies in FOLDER)
      ngff-bio info out.zarr
      ngff-bio preview out.zarr -o out.png
    """,
    epilog="Add --debug to any command to see the whole traceback of an error.",
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
    # Help comes from the application; options here are handled by their callbacks.
    del version


app.command()(convert)
app.command()(info)
app.command()(validate)
app.command()(verify)
app.command()(preview)
app.command()(export)
app.command()(serve)
app.command()(formats)
app.command()(demo)
