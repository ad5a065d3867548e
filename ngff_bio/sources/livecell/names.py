"""Names of LIVECell's image files."""

from __future__ import annotations

import re
from dataclasses import dataclass

CELL_TYPES = ("A172", "BT474", "BV2", "Huh7", "MCF7", "SHSY5Y", "SkBr3", "SKOV3")

#: The layout of a 96-well plate.
ROWS = tuple("ABCDEFGH")
COLUMNS = tuple(str(n) for n in range(1, 13))

#: Row and column of each crop in the 2 x 2 crops of a frame, which are in column-major order.
CROPS = {1: (0, 0), 2: (1, 0), 3: (0, 1), 4: (1, 1)}

_NAME = re.compile(
    rf"^(?P<type>{'|'.join(CELL_TYPES)})_Phase_(?P<row>[A-H])(?P<column>[1-9]|1[0-2])"
    r"_(?P<location>\d+)_(?P<days>\d\d)d(?P<hours>\d\d)h(?P<minutes>\d\d)m_(?P<crop>[1-4])\.tif$"
)
_LIKE = re.compile(
    r"^(?P<type>.+?)_Phase_(?P<well>[^_]+)_(?P<location>[^_]+)_(?P<time>[^_]+)_(?P<crop>[^_.]+)"
    r"\.tiff?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, order=True)
class CropName:
    """The parts of ``<type>_Phase_<well>_<location>_<time>_<crop>.tif``; minutes since the start."""

    cell_type: str
    row: str
    column: int
    location: int
    crop: int
    minutes: int

    @property
    def well(self) -> str:
        """Name of the well, without zero padding."""
        return f"{self.row}{self.column}"

    @property
    def elapsed_hours(self) -> float:
        """Hours since the start of the experiment."""
        return self.minutes / 60


def parse_name(name: str) -> CropName | None:
    """The parts of a base name; ``None`` if it is not a name of the collection."""
    match = _NAME.match(name)
    if match is None:
        return None
    minutes = (int(match["days"]) * 24 + int(match["hours"])) * 60 + int(match["minutes"])
    return CropName(
        match["type"],
        match["row"],
        int(match["column"]),
        int(match["location"]),
        int(match["crop"]),
        minutes,
    )


def why_unknown(name: str) -> str:
    """Which part of a base name is not as in the collection, for messages."""
    match = _LIKE.match(name)
    if match is None:
        return "a name that is not of this collection"
    if match["type"] not in CELL_TYPES:
        return f"an unknown cell type, {match['type']}"
    if not re.fullmatch(r"[A-H](?:[1-9]|1[0-2])", match["well"]):
        return f"an unknown well, {match['well']}"
    if not re.fullmatch(r"[1-4]", match["crop"]):
        return f"an unknown crop, {match['crop']}"
    return "a name that is not of this collection"
