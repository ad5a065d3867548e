"""Options of the commands, each declared once, and the parsing of their values."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

_SOURCE, _STORE, _WORK = "Source", "Store", "Execution"


class OnError(StrEnum):
    """How to handle an invalid record."""

    stop = "stop"
    skip = "skip"


class Where(StrEnum):
    """Kind of local workers."""

    threads = "threads"
    processes = "processes"


# Several commands.
Store = Annotated[str, typer.Argument(help="Path or URL of the store.", show_default=False)]
StorageOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Option of the store's bucket: endpoint=..., region=...; repeatable.",
        metavar="NAME=VALUE",
        rich_help_panel=_STORE,
    ),
]
SourceOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Option of the source's URL: endpoint=..., skip_signature=true; repeatable.",
        metavar="NAME=VALUE",
        rich_help_panel=_SOURCE,
    ),
]
Option = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-O",
        help="Option of the source format (see `ngff-bio formats`); repeatable.",
        metavar="NAME=VALUE",
        rich_help_panel=_SOURCE,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no report.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing destination.")]
ReportFile = Annotated[
    Path | None, typer.Option(help="Write the report to this file as JSON.", metavar="FILE")
]
Workers = Annotated[
    int,
    typer.Option(help="Number of workers; 0 for one per core.", min=0, rich_help_panel=_WORK),
]

# What `convert` reads.
Format = Annotated[
    str | None,
    typer.Option(help="Format of the source (see `ngff-bio formats`); detected by default."),
]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        help="Label images of a folder of images, `*` standing for the image name; repeatable.",
        metavar="NAME=GLOB",
        rich_help_panel=_SOURCE,
    ),
]
Stitch = Annotated[
    bool,
    typer.Option(
        "--stitch", help="LIVECell: write whole frames, not crops.", rich_help_panel=_SOURCE
    ),
]
ScaleAnnotations = Annotated[
    bool,
    typer.Option(
        "--scale-annotations",
        help="Organoid: scale annotations whose file states another image size.",
        rich_help_panel=_SOURCE,
    ),
]
MaxPixels = Annotated[
    str | None, typer.Option(help="Largest plane to read, e.g. 30G.", rich_help_panel=_SOURCE)
]
MaxBytes = Annotated[
    str | None,
    typer.Option(help="Largest archive member to read, e.g. 100G.", rich_help_panel=_SOURCE),
]

# What `convert` writes.
OmeVersion = Annotated[
    str,
    typer.Option(
        help="OME-Zarr version: 0.5 or 0.6 (Zarr v3), 0.4 (Zarr v2).", rich_help_panel=_STORE
    ),
]
Levels = Annotated[
    int | None,
    typer.Option(
        help="Number of resolution levels; by default as many as the image size needs.",
        min=1,
        rich_help_panel=_STORE,
    ),
]
Chunk = Annotated[
    str | None,
    typer.Option(help="Chunk shape, Y,X or Z,Y,X; chosen by default.", rich_help_panel=_STORE),
]
Shard = Annotated[
    str | None,
    typer.Option(help="Shard shape, or `none`; chosen by default.", rich_help_panel=_STORE),
]
Frames = Annotated[
    int | None,
    typer.Option(
        help="Maximum number of frames per shard; 1 allows to --append single frames.",
        min=1,
        rich_help_panel=_STORE,
    ),
]
ImageCodec = Annotated[
    str,
    typer.Option(
        help="Codec of images: auto, blosc-zstd-5-shuffle, zstd-3, none, ...",
        rich_help_panel=_STORE,
    ),
]
LabelCodec = Annotated[str, typer.Option(help="Codec of label images.", rich_help_panel=_STORE)]
Method = Annotated[
    str,
    typer.Option(
        help="Downsampling of images: mean, gaussian, mode, nearest.", rich_help_panel=_STORE
    ),
]

# Where `convert` runs.
LocalRunner = Annotated[
    Where,
    typer.Option(
        help="Kind of local workers; processes for images with very many outlines.",
        rich_help_panel=_WORK,
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Run on the dask cluster at this address.", metavar="ADDRESS", rich_help_panel=_WORK
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        help="Memory limit of units in flight, e.g. 500M; by default half of the free memory.",
        rich_help_panel=_WORK,
    ),
]


def parse_size(text: str, option: str) -> int:
    """Bytes (or pixels) of ``500M``, ``2G``, ``1e9`` or a plain number.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it is not a number with such a unit.
    """
    from ngff_bio.errors import ArgumentError

    units = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
    plain = text.strip().upper().removesuffix("B")
    factor = units.get(plain[-1:], 1)
    try:
        return int(float(plain[:-1] if factor > 1 else plain) * factor)
    except ValueError as error:
        raise ArgumentError(
            f"{option} is not a size", expected=f"{option} 500M, {option} 2G", found=text
        ) from error


def parse_shape(text: str, option: str) -> tuple[int, ...]:
    """A shape of ``256,256`` or ``8,256,256``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it is not a list of integers.
    """
    from ngff_bio.errors import ArgumentError

    try:
        return tuple(int(n) for n in text.split(","))
    except ValueError as error:
        raise ArgumentError(
            f"{option} is not a shape",
            expected=f"integers separated by commas: {option} 256,256 or {option} 8,256,256",
            found=text,
        ) from error


def parse_pairs(pairs: list[str] | None, option: str) -> dict[str, str]:
    """``NAME=VALUE`` options as a dictionary.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If one has no ``=``. The message does not show its value, which may be a secret.
    """
    from ngff_bio.errors import ArgumentError

    found = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ArgumentError(
                f"{option} needs a name and a value",
                expected=f"{option} NAME=VALUE",
                found="no name" if equals else "no =",
            )
        found[name] = value
    return found


def parse_options(pairs: list[str] | None, option: str) -> dict[str, Any]:
    """``NAME=VALUE`` options of a source format; values that are JSON (``true``, ``3``) are parsed."""
    found: dict[str, Any] = {}
    for name, value in parse_pairs(pairs, option).items():
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
