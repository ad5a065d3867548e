"""Options of the commands, each declared once, and the parsing of their values."""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast, get_type_hints

import typer

if TYPE_CHECKING:
    from ngff_bio.engine.plan.settings import Settings
    from ngff_bio.engine.run.runners import Runner
    from ngff_bio.formats.limits import Limits


class OnError(StrEnum):
    """How to handle an invalid record."""

    stop = "stop"
    skip = "skip"


class Where(StrEnum):
    """Kind of local workers."""

    threads = "threads"
    processes = "processes"


Command = TypeVar("Command", bound=Callable[..., None])

_source = partial(typer.Option, rich_help_panel="Source")
_store = partial(typer.Option, rich_help_panel="Store")
_execution = partial(typer.Option, rich_help_panel="Execution")
PAIR = "NAME=VALUE"

# Several commands.
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; write nothing.")]
Store = Annotated[str, typer.Argument(help="Path or URL of the store.", show_default=False)]
_FORMAT = "Option of the source format that has no name here (see `ngff-bio formats`); repeatable."
Option = Annotated[list[str] | None, _source("--option", "-O", help=_FORMAT, metavar=PAIR)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no report.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing destination.")]
_REPORT = "Write the report to this file as JSON."
ReportFile = Annotated[Path | None, typer.Option(help=_REPORT, metavar="FILE")]
Workers = Annotated[int, _execution(help="Number of workers; 0 for one per core.", min=0)]
_SCHEDULER = "Run on the dask cluster at this address."
_PLACE = "ADDRESS|FILE.json"
Scheduler = Annotated[
    str | None, _execution("--scheduler", "--scheduler-file", help=_SCHEDULER, metavar=_PLACE)
]

# Several commands that read a source.
_EXCLUDE = "Files or folders that are not part of the source, such as '*_preview.png'; repeatable."
Exclude = Annotated[list[str] | None, _source(help=_EXCLUDE, metavar="GLOB")]
MaxPixels = Annotated[str | None, _source(help="Largest plane to read, e.g. 30G.")]
MaxBytes = Annotated[str | None, _source(help="Largest archive member to read, e.g. 100G.")]

# Only `convert`.
_DETECTED = "Format of the source (see `ngff-bio formats`); detected by default."
Format = Annotated[str | None, typer.Option(help=_DETECTED)]
_LABELS = (
    "Label images of a folder of images, `*` standing for the image name, or none; repeatable."
)
_SERIES = (
    "Axis (t, z, c) of a last number in names; c=RED,GREEN: names of channels; none: no series."
)
_AXES = "Axes of TIFFs that do not state them, in the order of the file, such as tyx."
_PIXEL = "Size of a pixel with its unit: 0.65um, or Y,X or Z,Y,X as in 2,0.65,0.65um."
_INTERVAL = "Time between two frames with its unit, such as 30s, 5min or 24h."
_CHANNELS = "Names of the channels, separated by commas: DAPI,GFP."
_STITCH = "Plate: put the fields of a well into one image; LIVECell: write whole frames, not crops."
_PATTERN = (
    "Plate: regular expression that places files, with groups (?P<well>...) or (?P<row>...) and "
    "(?P<column>...), field (or field_x and field_y), channel, z, t, acquisition."
)
_WELLS = "Plate: CSV file with a row for each well: well, compound, dose, ..."
_SCALE = "Organoid: scale annotations whose file states another image size."
_KIND = (
    "Values of label images are objects (instance) or classes (semantic), or the connected regions "
    "of masks are objects (objects); repeatable."
)
_TRACKED = "Equal label values on two time points are one object."
_IMAGES = "Of a store convert only images whose path matches; repeatable."
_IGNORE = "Leave out files that could hold annotations or pixels and are not read."
_VERSION = "OME-Zarr version: 0.5 or 0.6 (Zarr v3), 0.4 (Zarr v2)."
_LEVELS = (
    "Number of resolution levels; by default as many as the image size needs. Of a store: keep its "
    "levels (default), or make them anew."
)
_FRAMES = "Maximum number of frames per shard; with 1, single frames can be added by --append."
_CODEC = "Codec of images: auto, blosc-zstd-5-shuffle, zstd-3, none, ..."
_METHOD = "Downsampling of images: mean, gaussian, mode, nearest."
_RUNNER = "Kind of local workers; processes for images with very many outlines."
_MEMORY = "Memory limit of units in flight, e.g. 500M; by default half of the free memory."


@dataclass(frozen=True)
class SourceOptions:
    """What `convert` reads, and how."""

    labels: Annotated[list[str] | None, _source(help=_LABELS, metavar="NAME=GLOB")] = None
    series: Annotated[str | None, _source(help=_SERIES, metavar="AXIS")] = None
    axes: Annotated[str | None, _source(help=_AXES)] = None
    pixel_size: Annotated[str | None, _source(help=_PIXEL, metavar="SIZE")] = None
    time_interval: Annotated[str | None, _source(help=_INTERVAL, metavar="TIME")] = None
    channel_names: Annotated[str | None, _source(help=_CHANNELS, metavar="NAMES")] = None
    stitch: Annotated[bool, _source("--stitch", help=_STITCH)] = False
    pattern: Annotated[str | None, _source(help=_PATTERN, metavar="REGEX")] = None
    wells: Annotated[str | None, _source(help=_WELLS, metavar="FILE")] = None
    scale_annotations: Annotated[bool, _source("--scale-annotations", help=_SCALE)] = False
    label_kind: Annotated[list[str] | None, _source(help=_KIND, metavar="[LAYER=]KIND")] = None
    tracked: Annotated[bool, _source("--tracked", help=_TRACKED)] = False
    images: Annotated[list[str] | None, _source(help=_IMAGES, metavar="GLOB")] = None
    exclude: Exclude = None
    ignore_unread: Annotated[bool, _source("--ignore-unread", help=_IGNORE)] = False
    option: Option = None
    max_pixels: MaxPixels = None
    max_bytes: MaxBytes = None

    def of_format(self) -> dict[str, Any]:
        """Options of the source format: those with a name here, and others by --option."""
        general = ("exclude", "ignore_unread", "option", "max_pixels", "max_bytes")
        named = {n: v for n, v in vars(self).items() if v and n not in general}
        return parse_options(self.option, named=True) | named


@dataclass(frozen=True)
class StoreOptions:
    """What `convert` writes."""

    ome_version: Annotated[str, _store(help=_VERSION)] = "0.5"
    levels: Annotated[str | None, _store(help=_LEVELS, metavar="N|keep|make")] = None
    chunk: Annotated[str | None, _store(help="Chunk shape, Y,X or Z,Y,X; chosen by default.")] = (
        None
    )
    shard: Annotated[str | None, _store(help="Shard shape, or `none`; chosen by default.")] = None
    frames: Annotated[int | None, _store(help=_FRAMES, min=1)] = None
    codec: Annotated[str, _store(help=_CODEC)] = "auto"
    label_codec: Annotated[str, _store(help="Codec of label images.")] = "auto"
    method: Annotated[str, _store(help=_METHOD)] = "mean"

    def settings(self) -> Settings:
        """The settings of the store."""
        from ngff_bio.engine.plan.settings import Settings
        from ngff_bio.zarrio.codecs import parse_codec

        given = vars(self) | {
            "levels": parse_levels(self.levels),
            "chunk": None if self.chunk is None else parse_shape(self.chunk, "--chunk"),
            "sharded": self.shard != "none",
            "shard": None if self.shard in (None, "none") else parse_shape(self.shard, "--shard"),
            "codec": parse_codec(self.codec),
            "label_codec": parse_codec(self.label_codec),
        }
        return Settings(version=given.pop("ome_version"), **given)


@dataclass(frozen=True)
class RunOptions:
    """Where `convert` runs."""

    runner: Annotated[Where, _execution(help=_RUNNER)] = Where.threads
    workers: Workers = 0
    scheduler: Scheduler = None
    memory: Annotated[str | None, _execution(help=_MEMORY)] = None

    def make_runner(self) -> Runner:
        """The runner."""
        budget = 0 if self.memory is None else parse_size(self.memory, "--memory")
        if self.scheduler is not None:
            from ngff_bio.engine.run.cluster import DaskRunner

            return DaskRunner(self.scheduler, budget)
        if self.runner is Where.processes:
            from ngff_bio.engine.run.processes import ProcessRunner

            return ProcessRunner(self.workers, budget)
        from ngff_bio.engine.run.runners import ThreadRunner

        return ThreadRunner(self.workers, budget)


def with_groups(command: Command) -> Command:
    """Give a command the options of its groups: parameters whose type is a dataclass of options."""
    signature = inspect.signature(command, eval_str=True)
    given = signature.parameters.values()
    groups: dict[str, Any] = {p.name: p.annotation for p in given if is_dataclass(p.annotation)}

    @functools.wraps(command)
    def run(**given: Any) -> None:
        made = {n: g(**{f.name: given.pop(f.name) for f in fields(g)}) for n, g in groups.items()}
        command(**given, **made)

    shown = [p for p in given if p.name not in groups]
    for group in groups.values():
        types = get_type_hints(group, include_extras=True)
        shown += [keyword(f.name, types[f.name], f.default) for f in fields(group)]
    return cast("Command", with_parameters(run, shown))


def keyword(name: str, kind: object, default: object = None) -> inspect.Parameter:
    """A parameter that is an option of a command."""
    only = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, only, annotation=kind, default=default)


def with_parameters(
    run: Callable[..., None], shown: list[inspect.Parameter]
) -> Callable[..., None]:
    """A function that typer takes for one of these parameters."""
    named = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in shown]
    run.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]  # typer reads it
    run.__annotations__ = {p.name: p.annotation for p in shown}
    return run


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
        found = int(float(plain[:-1] if factor > 1 else plain) * factor)
    except (ValueError, OverflowError):
        found = 0
    if found <= 0:
        raise ArgumentError(
            f"{option} is not a size", expected=f"{option} 500M, {option} 2G", found=text
        )
    return found


def parse_limits(max_pixels: str | None, max_bytes: str | None) -> Limits | None:
    """The limits of ``--max-pixels`` and ``--max-bytes``; ``None`` if neither is given."""
    if max_pixels is None and max_bytes is None:
        return None
    from ngff_bio.formats.limits import Limits

    return Limits(
        None if max_pixels is None else parse_size(max_pixels, "--max-pixels"),
        None if max_bytes is None else parse_size(max_bytes, "--max-bytes"),
    )


def parse_levels(text: str | None) -> int | Literal["make"] | None:
    """A number of levels, ``make``, or ``None`` for ``keep``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it is none of these.
    """
    from ngff_bio.errors import ArgumentError

    if text in (None, "keep"):
        return None
    if text == "make":
        return "make"
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise ArgumentError(
        "--levels is not a number of levels", expected="1 or more, keep, make", found=text
    )


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


def parse_options(pairs: list[str] | None, *, named: bool = False) -> dict[str, Any]:
    """``NAME=VALUE`` options of a source format; values that are JSON (``true``, ``3``) are parsed.

    ``named`` says that the command has some of them under their own names, which a note then says.
    """
    if not pairs:
        return {}
    from ngff_bio.sources.registry import NAMED, option_text  # loads what reads image files

    found: dict[str, Any] = {}
    for name, value in parse_pairs(pairs, "--option").items():
        if named and name in NAMED:
            print(f"note: --option {name}= is deprecated: use {option_text(name)}", file=sys.stderr)
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
