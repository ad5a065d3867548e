"""CellVoyager (CV7000, CV8000, CQ1): ``MeasurementData.mlf``, ``MeasurementDetail.mrf``, ``.mes``.

The ``.mlf`` has a ``MeasurementRecord`` of type ``IMG`` for each plane, with positions in
micrometers, y upwards; the ``.mrf`` the size of the plate and of pixels; the ``.mes`` that it names
the channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ngff_bio.formats.problems import Problems
from ngff_bio.formats.xml import local_name, parse_xml, stream_xml
from ngff_bio.model import Channel
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.plate.planes import (
    PlateIndex,
    PlatePlane,
    beside,
    indexed_well,
    number_in,
    optional_number,
)

if TYPE_CHECKING:
    from ngff_bio.formats.xml import Element

#: What a name of an index file ends with, in lower case.
ENDINGS = ("measurementdata.mlf",)

_PLACED = {"Row", "Column", "FieldIndex", "ZIndex", "TimePoint", "Ch", "X", "Y", "Z"}


def read_index(tree: FileTree, name: str, problems: Problems) -> PlateIndex:
    """The planes of a ``MeasurementData.mlf``.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is damaged, or a record lacks a number that places its plane.
    """
    planes: list[PlatePlane] = []
    failed = 0
    for element in stream_xml(tree.file(name), ("MeasurementRecord",)):
        values = _attributes(element)
        if values.get("Type") == "ERR":
            failed += 1
            continue
        with problems.caught():
            planes.append(_plane(name, values, (element.text or "").strip()))
    if failed:
        problems.warn(f"the instrument reports {failed} planes that it could not take", name)
    if len({p.acquisition for p in planes}) < 2:
        planes = [replace(p, acquisition="") for p in planes]
    starts = [at for p in planes if (at := _instant(p.record.get("Time")))]
    # Times with and without a time zone cannot be compared.
    start = min(starts) if len({at.tzinfo is None for at in starts}) == 1 else None
    read = [name]
    detail = beside(name, "MeasurementDetail.mrf")
    about: dict[str, str] = {}
    plate: dict[str, str] = {}
    calibrations: dict[str, dict[str, str]] = {}
    if detail in tree.names():
        root = parse_xml(tree.file(detail).read(), detail)
        read.append(detail)
        about = _attributes(root)
        for element in root.iter():
            if local_name(element) == "MeasurementSamplePlate":
                plate = _attributes(element)
            elif local_name(element) == "MeasurementChannel":
                calibrations[_attributes(element).get("Ch", "")] = _attributes(element)
    else:
        problems.warn("without MeasurementDetail.mrf no pixel size is known", name)
    settings = _settings(tree, name, about, read, problems)
    first = next(iter(calibrations.values()), {})
    y, x = (optional_number(first, f"{a}PixelDimension") for a in ("Vertical", "Horizontal"))
    if len({c.get("HorizontalPixelDimension") for c in calibrations.values()}) > 1:
        problems.warn("channels have pixels of different sizes: that of the first is taken", name)
    rows, columns = (optional_number(about, f"{a}Count") for a in ("Row", "Column"))
    keys = sorted({p.channel for p in planes}, key=lambda key: (len(key), key))
    return PlateIndex(
        rule=f"by the index {name} of CellVoyager",
        planes=tuple(_since(p, start) for p in planes),
        plate=plate.get("Name", ""),
        acquisition=about.get("Title", ""),
        channels={key: _channel(key, settings.get(key, {})) for key in keys},
        pixel_size=(y, x) if y and x else None,
        size=(int(rows), int(columns)) if rows and columns else None,
        read_files=tuple(read),
        attributes={
            "measurement": about,
            "channels": {k: {**calibrations.get(k, {}), **settings.get(k, {})} for k in keys},
        },
    )


def _attributes(element: Element) -> dict[str, str]:
    """Attributes of an element without their namespace."""
    return {key.rpartition("}")[2]: value for key, value in element.attrib.items()}


def _settings(
    tree: FileTree, index: str, about: Mapping[str, str], read: list[str], problems: Problems
) -> dict[str, dict[str, str]]:
    """Settings of each channel by its number, from the ``.mes`` file."""
    given = about.get("MeasurementSettingFileName")
    if not given:
        return {}
    name = beside(index, given)
    if name not in tree.names():
        problems.warn("without the .mes file, channels have no names and colors", index, given)
        return {}
    read.append(name)
    root = parse_xml(tree.file(name).read(), name)
    found = (_attributes(e) for e in root.iter() if local_name(e) == "Channel")
    return {values["Ch"]: values for values in found if values.get("Ch")}


def _channel(key: str, values: Mapping[str, str]) -> Channel:
    name = values.get("Fluorophore") or values.get("Target") or values.get("Acquisition") or key
    color = values.get("Color", "").lstrip("#")
    try:  # alpha, red, green, blue
        argb = bytes.fromhex(color)
    except ValueError:
        argb = b""
    low, high = (optional_number(values, k) for k in ("MinLevel", "MaxLevel"))
    return Channel(
        name,
        (argb[1], argb[2], argb[3], 255) if len(argb) == 4 else None,
        (low, high) if low is not None and high is not None and low < high else None,
    )


def _plane(file: str, values: Mapping[str, str], image: str) -> PlatePlane:
    record = f"MeasurementRecord {image or '(no file)'}"
    row, column, field, z, t, channel = (
        number_in(values, key, file, record, whole=True)
        for key in ("Row", "Column", "FieldIndex", "ZIndex", "TimePoint", "Ch")
    )
    z_place, y, x = (optional_number(values, a) for a in "ZYX")
    return PlatePlane(
        beside(file, image),
        *indexed_well(row, column, file, record),
        int(field),
        str(int(channel)),
        int(t),
        int(z),
        # Time points of each timeline are counted anew.
        acquisition=f"timeline {values.get('TimelineIndex', '')}".rstrip(),
        place=(z_place, None if y is None else -y, x),
        record={k: v for k, v in values.items() if k not in _PLACED},
    )


def _instant(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text or "")
    except ValueError:
        return None


def _since(plane: PlatePlane, start: datetime | None) -> PlatePlane:
    at = _instant(plane.record.get("Time"))
    if at is None or start is None or (at.tzinfo is None) != (start.tzinfo is None):
        return plane
    return replace(plane, seconds=(at - start).total_seconds())
