"""ScanR: ``experiment_descriptor.xml`` (of LabVIEW), and the names of the images in ``data/``.

Names are ``nucleus--W00001--P00001--Z00000--T00000--DAPI.tif``: wells and positions are counted
from 1. The descriptor is a sequence of ``Name`` and ``Val``; after ``well selection table + cDNA``
values are the number of a well and its label (``A1``) in turn. ``data/metadata.ome.xml``,
where it is there, has an ``Image`` ``W1P1`` for each field, with positions of planes, y upwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ngff_bio.errors import SourceError
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.xml import local_name, parse_xml, stream_xml
from ngff_bio.sources.assembly import base_of, folder_of, image_files
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.plate.planes import (
    Place,
    PlateIndex,
    PlatePlane,
    beside,
    channel_names,
    optional_number,
    well_of,
)
from ngff_bio.units import unit_factor, unit_name

#: What a name of an index file ends with, in lower case.
ENDINGS = ("experiment_descriptor.xml",)

_NAME = re.compile(
    r"(?:.*--)?W(?P<well>\d{5})--P(?P<field>\d{5})--Z(?P<z>\d{5})--T(?P<t>\d{5})--(?P<channel>.+)\.tiff?$",
    re.IGNORECASE,
)

_IMAGE = re.compile(r"W0*(\d+)P0*(\d+)")

#: Values that are kept, once each.
_KEPT = (
    "plate name", "conversion factor um/pixel", "rows/well", "columns/well", "# slices",
    "timeloop real", "timeloop count", "timeloop delay [ms]", "Rows", "Columns",
)  # fmt: skip


def read_index(tree: FileTree, name: str, problems: Problems) -> PlateIndex:
    """The planes of an ``experiment_descriptor.xml``.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is damaged, or the label of a well is not in it.
    """
    wells: dict[int, tuple[str, int]] = {}
    about: dict[str, str] = {}
    number: int | None = None
    for key, value in _values(tree, name):
        if key == "well selection table + cDNA":
            if value.isdigit():
                number = int(value)
            elif number is not None and (well := well_of(value)) is not None:
                wells[number] = well
                number = None
        elif key in _KEPT:
            about.setdefault(key, value)
    number_of = {well: n for n, well in wells.items()}
    planes = []
    for file in image_files(tree.names()):
        match = _NAME.match(base_of(file))
        if match is None or not f"{file}/".startswith(f"{folder_of(name)}/".lstrip("/")):
            continue
        with problems.caught():
            well = wells.get(int(match["well"]))
            if well is None:
                raise SourceError(
                    "the index does not have the well of an image",
                    file=file,
                    expected=f"one of {len(wells)} wells of {name}",
                    found=f"W{match['well']}",
                )
            field, z, t = (int(match[k]) for k in ("field", "z", "t"))
            planes.append(PlatePlane(file, *well, field, match["channel"], t, z))
    if not planes:
        raise SourceError(
            "no image belongs to an index file of ScanR",
            file=name,
            expected="data/*--W00001--P00001--Z00000--T00000--DAPI.tif",
            hint="name the folder that holds both",
        )
    size = optional_number(about, "conversion factor um/pixel")
    read = [name]
    document = beside(name, "data/metadata.ome.xml")
    if document in tree.names():
        read.append(document)
        places = _places(tree, document)
        planes = [
            replace(p, place=places.get((number_of[p.row, p.column], p.field, p.z), p.place))
            for p in planes
        ]
    rows, columns = (optional_number(about, k) for k in ("Rows", "Columns"))
    channels = dict.fromkeys(p.channel for p in planes)
    return PlateIndex(
        rule=f"by the index {name} of ScanR, and their names",
        planes=tuple(planes),
        plate=about.get("plate name", ""),
        channels=channel_names((c, c) for c in channels),
        pixel_size=(size, size) if size else None,
        size=(int(rows), int(columns)) if rows and columns else None,
        read_files=tuple(read),
        attributes={"descriptor": about},
    )


def _places(tree: FileTree, name: str) -> dict[tuple[int, int, int], Place]:
    """Position of each plane by the numbers of its well and position, and its index along z."""
    found: dict[tuple[int, int, int], Place] = {}
    for image in stream_xml(tree.file(name), ("Image",)):
        match = _IMAGE.search(f"{image.get('ID')} {image.get('Name')}")
        for plane in image.iter() if match is not None else ():
            if match is not None and local_name(plane) == "Plane":
                z, y, x = (_micrometers(plane.attrib, f"Position{a}") for a in "ZYX")
                at = (int(match[1]), int(match[2]), int(optional_number(plane.attrib, "TheZ") or 0))
                found.setdefault(at, (z, None if y is None else -y, x))
    return found


def _micrometers(values: Mapping[str, str], key: str) -> float | None:
    """A length, in micrometers where it has no unit; ``None`` if its unit is unknown."""
    found = optional_number(values, key)
    unit = unit_name(values.get(f"{key}Unit", "µm"))
    factor = unit_factor(unit, "micrometer") if unit is not None else None
    return None if found is None or factor is None else found * factor


def _values(tree: FileTree, name: str) -> Iterator[tuple[str, str]]:
    """Each value with the last name before it, in the order of the document."""
    key = ""
    for element in parse_xml(tree.file(name).read(), name).iter():
        text = (element.text or "").strip()
        if not text:
            continue
        if local_name(element) == "Name":
            key = text
        elif local_name(element) == "Val" or key in ("Rows", "Columns"):
            yield key, text
