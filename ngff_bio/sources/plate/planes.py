"""The planes of a plate in neutral words: what every index file and every rule of names comes to."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ngff_bio.errors import SourceError
from ngff_bio.model import Channel, Rgba

#: Rows of the largest plate, A to AF (1536 wells).
MOST_ROWS = 32

#: Columns of the largest plate.
MOST_COLUMNS = 48

_WELL = re.compile(r"\s*([A-Za-z]{1,2})[\s_-]*0*(\d{1,3})\s*")


def row_name(number: int) -> str:
    """The letters of a row, counted from 1: A ... Z, AA ... AF."""
    return chr(64 + number) if number <= 26 else f"A{chr(64 + number - 26)}"


ROWS = tuple(map(row_name, range(1, MOST_ROWS + 1)))


def well_of(text: str) -> tuple[str, int] | None:
    """Row and column of ``A01``, ``a1``, ``A - 1``; ``None`` if it is not the name of a well."""
    match = _WELL.fullmatch(text)
    if match is None or match[1].upper() not in ROWS or not 1 <= int(match[2]) <= MOST_COLUMNS:
        return None
    return match[1].upper(), int(match[2])


#: Position (z, y, x) on the stage in micrometers, y downwards as rows of an image.
Place = tuple[float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class PlatePlane:
    """One plane of a field, and the file that contains it.

    Parameters
    ----------
    file
        Its name below the root of the source.
    row, column
        Its well.
    field
        The instrument's own number of the field.
    channel
        Key of its channel in `PlateIndex.channels`.
    t, z
        Numbers as the source counts them.
    acquisition
        Its acquisition, where names of files state it.
    place
        Its position on the stage.
    seconds
        Since the start of the measurement.
    record
        What else the index states of it.
    """

    file: str
    row: str
    column: int
    field: int
    channel: str = ""
    t: int = 0
    z: int = 0
    acquisition: str = ""
    place: Place = (None, None, None)
    seconds: float | None = None
    record: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def well(self) -> str:
        """``B7``."""
        return f"{self.row}{self.column}"


@dataclass(frozen=True, slots=True)
class PlateIndex:
    """The planes that one index file lists, or that one rule of names finds.

    Parameters
    ----------
    rule
        What joined the files, for the report.
    planes
        All planes; their files need not exist.
    plate
        Name or barcode of the plate; ``""`` if none is given.
    acquisition
        Name of the measurement.
    channels
        By their keys, in order; channels of planes that are not listed come after them.
    pixel_size, z_step
        (y, x) of a pixel, and the distance of planes where positions do not state it, in micrometers.
    size
        Rows and columns of the plate.
    read_files
        Files that were read for it.
    attributes
        What else the index states of the measurement.
    """

    rule: str
    planes: tuple[PlatePlane, ...]
    plate: str = ""
    acquisition: str = ""
    channels: Mapping[str, Channel] = dataclasses.field(default_factory=dict)
    pixel_size: tuple[float, float] | None = None
    z_step: float | None = None
    size: tuple[int, int] | None = None
    read_files: tuple[str, ...] = ()
    attributes: Mapping[str, object] = dataclasses.field(default_factory=dict)


#: Longest wavelength in nanometers that is shown in each color.
_COLORS: tuple[tuple[float, Rgba], ...] = (
    (490, (0, 0, 255, 255)),
    (505, (0, 255, 255, 255)),
    (565, (0, 255, 0, 255)),
    (590, (255, 255, 0, 255)),
    (625, (255, 128, 0, 255)),
    (690, (255, 0, 0, 255)),
    (math.inf, (255, 0, 255, 255)),
)


def wavelength_color(nanometers: float | None) -> Rgba | None:
    """The color that light of a wavelength is shown in; far red is magenta."""
    if not nanometers:
        return None
    return next(color for most, color in _COLORS if nanometers <= most)


def number_in(
    values: Mapping[str, str | None], key: str, file: str, record: str, *, whole: bool = False
) -> float:
    """A number of an index file.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is missing, not a finite number, or not an integer where one is needed.
    """
    found = optional_number(values, key)
    if found is None or (whole and found != int(found)):
        raise SourceError(
            "an index file lacks a number",
            file=file,
            record=f"{record}, {key}",
            expected="an integer" if whole else "a number",
            found=values.get(key) or "nothing",
            hint="export the plate again, or skip such records with --on-error skip",
        )
    return found


def optional_number(values: Mapping[str, str | None], key: str) -> float | None:
    """A finite number of an index file; ``None`` if it is missing or something else."""
    try:
        found = float((values.get(key) or "").strip())
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def number_of(values: Mapping[str, object], key: str) -> float | None:
    """A finite number of a JSON object; ``None`` if it is missing or something else."""
    return optional_number({key: str(values.get(key))}, key)


def indexed_well(row: float, column: float, file: str, record: str) -> tuple[str, int]:
    """A well by its numbers, counted from 1.

    Raises
    ------
    ngff_bio.errors.SourceError
        If no plate has it.
    """
    if not (1 <= row <= MOST_ROWS and 1 <= column <= MOST_COLUMNS):
        raise SourceError(
            "an index file names a well that no plate has",
            file=file,
            record=record,
            expected=f"rows 1 to {MOST_ROWS} and columns 1 to {MOST_COLUMNS}",
            found=f"row {row:g}, column {column:g}",
        )
    return row_name(int(row)), int(column)


def beside(index: str, name: str) -> str:
    """A file that an index names, below the root of the source; no part leads out of its folder."""
    parts = [p for p in name.replace("\\", "/").split("/") if p not in ("", ".")]
    if ".." in parts:
        raise SourceError("an index file names a file outside its folder", file=index, found=name)
    return "/".join([*index.split("/")[:-1], *parts])


def channel_names(names: Iterable[tuple[str, str]]) -> dict[str, Channel]:
    """Channels by key, each with its name."""
    return {key: Channel(name) for key, name in names}
