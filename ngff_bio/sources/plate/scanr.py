"""ScanR: ``experiment_descriptor.xml`` (of LabVIEW), and the names of the images in ``data/``.

Names are ``nucleus--W00001--P00001--Z00000--T00000--DAPI.tif``: wells and positions are counted
from 1. The descriptor is a sequence of ``Name`` and ``Val``; after ``well selection table + cDNA``
values are the number of a well and its label (``A1``) in turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ngff_bio.errors import SourceError
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.xml import local_name, parse_xml
from ngff_bio.sources.assembly import base_of, folder_of, image_files
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.plate.planes import (
    PlateIndex,
    PlatePlane,
    channel_names,
    optional_number,
    well_of,
)

#: What a name of an index file ends with, in lower case.
ENDINGS = ("experiment_descriptor.xml",)

_NAME = re.compile(
    r"(?:.*--)?W(?P<well>\d{5})--P(?P<field>\d{5})--Z(?P<z>\d{5})--T(?P<t>\d{5})--(?P<channel>.+)\.tiff?$",
    re.IGNORECASE,
)

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
    rows, columns = (optional_number(about, k) for k in ("Rows", "Columns"))
    channels = dict.fromkeys(p.channel for p in planes)
    return PlateIndex(
        rule=f"by the index {name} of ScanR, and their names",
        planes=tuple(planes),
        plate=about.get("plate name", ""),
        channels=channel_names((c, c) for c in channels),
        pixel_size=(size, size) if size else None,
        size=(int(rows), int(columns)) if rows and columns else None,
        read_files=(name,),
        attributes={"descriptor": about},
    )


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
