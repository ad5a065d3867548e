"""Which formats a store can be exported to."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ngff_bio.errors import ArgumentError

if TYPE_CHECKING:
    from ngff_bio.export.report import Report
    from ngff_bio.export.selection import Selection


@dataclass(frozen=True, slots=True)
class Exporter:
    """A format to export to.

    Parameters
    ----------
    name
        What ``--to`` calls it.
    title
        One line for people.
    suffixes
        Endings of a name that make the export one file; a folder is made for any other name.
    write
        Writes a selection of a store to a place: a file if its name ends so, else a folder.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    write: Callable[[Selection, Path, Report], None]

    def is_file(self, out: Path) -> bool:
        """Whether an export to `out` is one file."""
        return out.name.lower().endswith(self.suffixes) if self.suffixes else False


#: Module and attribute of each format; imported when asked for.
_FORMATS = {
    "coco": "coco:COCO",
    "labelme": "labelme:LABELME",
    "rle-json": "run_length:RLE_JSON",
    "milab": "milab:MILAB",
    "label-tiff": "tiff:LABEL_TIFF",
    "ome-tiff": "tiff:OME_TIFF",
    "wbc-crops": "wbc_crops:WBC_CROPS",
    "yolo": "yolo:YOLO",
    "yolo-seg": "yolo:YOLO_SEG",
    "parquet": "parquet:PARQUET",
    "geoparquet": "parquet:GEOPARQUET",
}


def exporters() -> dict[str, Exporter]:
    """All formats by name."""
    return {name: _load(place) for name, place in _FORMATS.items()}


def find_exporter(name: str) -> Exporter:
    """The format of a name.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there is none; it lists those that are.
    """
    key = name.strip().lower().replace("_", "-")
    if key not in _FORMATS:
        near = difflib.get_close_matches(key, _FORMATS, 1)
        raise ArgumentError(
            "a store cannot be exported to this format",
            expected=", ".join(_FORMATS),
            found=name,
            hint=f"did you mean {near[0]}?" if near else None,
        )
    return _load(_FORMATS[key])


def _load(place: str) -> Exporter:
    module, _, name = place.partition(":")
    found: Any = getattr(import_module(f"ngff_bio.export.{module}"), name)
    if not isinstance(found, Exporter):
        raise TypeError(f"{place} is no Exporter")
    return found
