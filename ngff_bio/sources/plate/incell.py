"""IN Cell Analyzer: the ``.xdce`` file, XML with an ``Image`` for each plane.

An ``Image`` has its ``filename``, a ``Well`` with ``Row`` and ``Column``, and an ``Identifier``
with indices of field, z, wavelength and time. ``offset_point`` elements, in the order of field indices,
are the positions of fields in micrometers, y upwards (as of Bio-Formats, ome/bioformats#3486). Where
there are none, ``PlatePosition_um`` is that of an image from the upper left of the plate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ngff_bio.formats.problems import Problems
from ngff_bio.formats.xml import local_name, root_attributes, stream_xml
from ngff_bio.model import Channel, SourceFile
from ngff_bio.sources.plate.planes import (
    PlateIndex,
    PlatePlane,
    beside,
    indexed_well,
    number_in,
    optional_number,
    wavelength_color,
)

if TYPE_CHECKING:
    from ngff_bio.formats.xml import Element

#: What a name of an index file ends with, in lower case.
ENDINGS = (".xdce",)

_ABOUT = (
    "Plate",
    "ObjectiveCalibration",
    "offset_point",
    "Wavelength",
    "EmissionFilter",
    "Creation",
)


def read_index(file: SourceFile, problems: Problems) -> PlateIndex:
    """The planes of an ``.xdce`` file.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is damaged, or a record lacks a number that places its plane.
    """
    planes: list[PlatePlane] = []
    places: list[tuple[float, float]] = []
    waves: list[Channel] = []
    about: dict[str, Mapping[str, str]] = {}
    for element in stream_xml(file, ("Image", *_ABOUT)):
        kind = local_name(element)
        values = dict(element.attrib)
        if kind == "Image":
            with problems.caught():
                planes.append(_plane(file.name, element, places))
        elif kind == "offset_point":
            x, y = (number_in(values, a, file.name, kind) for a in "xy")
            places.append((y, x))
        elif kind in ("Wavelength", "EmissionFilter"):
            filters = [e for e in element.iter() if local_name(e) == "EmissionFilter"]
            for one in filters:
                nanometers = optional_number(one.attrib, "wavelength")
                waves.append(Channel(one.get("name", ""), wavelength_color(nanometers)))
        else:
            about.setdefault(kind, values)
    plate, lens = about.get("Plate", {}), about.get("ObjectiveCalibration", {})
    y_size, x_size = (optional_number(lens, f"pixel_{a}") for a in ("height", "width"))
    rows, columns = (optional_number(plate, a) for a in ("rows", "columns"))
    keys = sorted({int(p.channel) for p in planes})
    return PlateIndex(
        rule=f"by the index {file.name} of IN Cell",
        planes=tuple(planes),
        plate=root_attributes(file).get("PlateID") or plate.get("name", ""),
        acquisition=file.name.rpartition("/")[2],
        channels={str(k): waves[k] if k < len(waves) else Channel(str(k)) for k in keys},
        pixel_size=(y_size, x_size) if y_size and x_size else None,
        size=(int(rows), int(columns)) if rows and columns else None,
        read_files=(file.name,),
        attributes={kind: dict(values) for kind, values in about.items()},
    )


def _plane(file: str, image: Element, places: list[tuple[float, float]]) -> PlatePlane:
    parts: dict[str, Mapping[str, str]] = {local_name(e): e.attrib for e in image.iter()}
    name = image.get("filename", "")
    record = f"Image {name}"
    row, column = (
        number_in(parts.get(p, {}), "number", file, record, whole=True) for p in ("Row", "Column")
    )
    field, z, wave, t = (
        int(number_in(parts.get("Identifier", {}), f"{k}_index", file, record, whole=True))
        for k in ("field", "z", "wave", "time")
    )
    on_plate = parts.get("PlatePosition_um", {})
    y, x = (optional_number(on_plate, a) for a in "yx")
    if places:
        upwards, x = places[field] if 0 <= field < len(places) else (None, None)
        y = None if upwards is None else -upwards
    taken = optional_number(image.attrib, "acquisition_time_ms")
    focus = parts.get("FocusPosition", {})
    return PlatePlane(
        beside(file, name),
        *indexed_well(row, column, file, record),
        field,
        str(wave),
        t,
        z,
        place=(optional_number(focus, "z"), y, x),
        seconds=None if taken is None else taken / 1000,
        record={k: v for k, v in image.attrib.items() if k not in ("filename", "thumbnail")},
    )
