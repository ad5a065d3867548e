"""The formats of exports, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ngff_bio.errors import ArgumentError, closest_names

if TYPE_CHECKING:
    from ngff_bio.export.report import ExportReport
    from ngff_bio.export.selection import Selection


@dataclass(frozen=True, slots=True)
class Exporter:
    """A format to export to.

    Parameters
    ----------
    name
        Name for ``--to``.
    title
        Description, one line.
    suffixes
        Suffixes of a destination that is one file; any other destination is a folder.
    write
        Writes a selection of a store to a file to create, or into an existing folder.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    write: Callable[[Selection, Path, ExportReport], None]

    def is_file(self, out: Path) -> bool:
        """Whether the destination `out` is one file."""
        return out.name.lower().endswith(self.suffixes) if self.suffixes else False


#: Module and attribute of each format, imported on demand.
_FORMATS = {
    "coco": "coco:COCO",
    "labelme": "labelme:LABELME",
    "rle-json": "rle_json:RLE_JSON",
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
        If there is no such format; the message lists all.
    """
    key = name.strip().lower().replace("_", "-")
    if key not in _FORMATS:
        raise ArgumentError(
            "unknown export format",
            expected=", ".join(_FORMATS),
            found=name,
            hint=f"did you mean {closest_names(key, _FORMATS)}?",
        )
    return _load(_FORMATS[key])


def _load(place: str) -> Exporter:
    module, _, name = place.partition(":")
    found: Any = getattr(import_module(f"ngff_bio.export.{module}"), name)
    if not isinstance(found, Exporter):
        raise TypeError(f"{place} is not an Exporter")
    return found
