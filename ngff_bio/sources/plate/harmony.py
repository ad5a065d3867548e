"""Opera, Operetta and Phenix: ``Index.idx.xml`` or ``Index.xml`` of Harmony and Columbus.

An element ``Image`` for each plane, with its file (``URL``), well (``Row``, ``Col``), ``FieldID``,
``PlaneID``, ``TimepointID``, ``ChannelID``, and positions in meters, y upwards. Up to Harmony 5 it
also has what is constant in a channel; later versions have this once, in an ``Entry`` of a ``Map``.
"""

from __future__ import annotations

from collections.abc import Mapping

from ngff_bio.formats.problems import Problems
from ngff_bio.formats.xml import Element, local_name, stream_xml
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

#: What a name of an index file ends with, in lower case.
ENDINGS = ("index.idx.xml", "index.xml")

_MICROMETERS = {"m": 1e6, "mm": 1e3, "um": 1.0, "µm": 1.0, "nm": 1e-3}
_NANOMETERS = {"nm": 1.0, "um": 1e3, "µm": 1e3, "m": 1e9}
_SECONDS = {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0}

#: Characters of a value of a channel that is kept; profiles of illumination are longer.
_LONGEST = 1000

_PLATE = ("Name", "PlateID", "MeasurementID", "MeasurementStartTime", "PlateTypeName")


def read_index(file: SourceFile, problems: Problems) -> PlateIndex:
    """The planes of an index file.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is damaged, or a record lacks a number that places its plane.
    """
    planes: list[PlatePlane] = []
    channels: dict[str, Channel] = {}
    shared: dict[str, dict[str, str]] = {}
    about: dict[str, str] = {}
    pixel: tuple[float, float] | None = None
    size: tuple[int, int] | None = None
    without = 0
    for element in stream_xml(file, ("Image", "Entry", "Plate")):
        kind, values = local_name(element), _values(element)
        if kind == "Entry" and element.get("ChannelID"):
            for name in [n for n, text in values.items() if len(text) > _LONGEST]:
                problems.skip(f"{name} of a channel is not kept", file.name, values.pop(name)[:40])
            shared.setdefault(element.get("ChannelID", ""), {}).update(values)
        elif kind == "Plate" and values:
            about = values
            rows, columns = (optional_number(values, k) for k in ("PlateRows", "PlateColumns"))
            size = (int(rows), int(columns)) if rows and columns else None
        elif kind == "Image" and "ChannelID" in values:
            with problems.caught():
                if not values.get("URL"):
                    without += 1
                    continue
                plane = _plane(file.name, values)
                planes.append(plane)
                if plane.channel not in channels:
                    channels[plane.channel] = _channel(plane.channel, values)
                pixel = pixel or _pixel_size(values)
    for key in channels:
        if key in shared:
            channels[key] = _channel(key, shared[key])
            pixel = pixel or _pixel_size(shared[key])
    if without:
        what = "planes of the index have no file: they were not taken"
        problems.warn(what, file.name, f"{without} planes")
    return PlateIndex(
        rule=f"by the index {file.name} of Harmony",
        planes=tuple(planes),
        plate=about.get("PlateID") or about.get("Name") or "",
        acquisition=about.get("MeasurementID", ""),
        channels=dict(sorted(channels.items(), key=lambda item: (len(item[0]), item[0]))),
        pixel_size=pixel,
        size=size,
        read_files=(file.name,),
        attributes={
            "plate": {k: about[k] for k in _PLATE if about.get(k)},
            **({"channels": shared} if shared else {}),
        },
    )


def _values(element: Element) -> dict[str, str]:
    """Texts of children by name, those in a unit with the unit behind ``@``."""
    found: dict[str, str] = {}
    for child in element:
        name = local_name(child)
        found[name] = (child.text or "").strip()
        if child.get("Unit"):
            found[f"{name}@"] = child.get("Unit", "")
    return found


def _in(values: Mapping[str, str], key: str, units: Mapping[str, float]) -> float | None:
    """A quantity in the unit of which `units` are multiples; ``None`` without a known unit."""
    found, factor = optional_number(values, key), units.get(values.get(f"{key}@", ""))
    # 2.99e-07 m is 0.299 micrometers, which the product is not.
    return None if found is None or factor is None else float(f"{found * factor:.12g}")


def _pixel_size(values: Mapping[str, str]) -> tuple[float, float] | None:
    y, x = (_in(values, f"ImageResolution{a}", _MICROMETERS) for a in "YX")
    return (y, x) if y and x else None


def _channel(key: str, values: Mapping[str, str]) -> Channel:
    emitted = _in(values, "MainEmissionWavelength", _NANOMETERS)
    return Channel(values.get("ChannelName") or key, wavelength_color(emitted))


def _plane(file: str, values: Mapping[str, str]) -> PlatePlane:
    record = f"Image {values.get('id') or values['URL']}"
    row, column, field, z, t = (
        number_in(values, key, file, record, whole=True)
        for key in ("Row", "Col", "FieldID", "PlaneID", "TimepointID")
    )
    well = indexed_well(row, column, file, record)
    z_place, y, x = (_in(values, f"Position{a}", _MICROMETERS) for a in "ZYX")
    if z_place is None:
        z_place = _in(values, "AbsPositionZ", _MICROMETERS)
    return PlatePlane(
        beside(file, values["URL"]),
        *well,
        int(field),
        values["ChannelID"],
        int(t),
        int(z),
        place=(z_place, None if y is None else -y, x),
        seconds=_in(values, "MeasurementTimeOffset", _SECONDS),
        record={k: v for k, v in values.items() if k not in _PLACED and not k.endswith("@")},
    )


#: Values of a record that the plane has under other names.
_PLACED = {"URL", "Row", "Col", "FieldID", "PlaneID", "TimepointID", "ChannelID"}
