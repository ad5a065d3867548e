"""ImageXpress: the ``.HTD`` file of MetaXpress, and the names of the images beside it.

The ``.HTD`` is a line per value: ``"XWells", 12``. Images are ``plate_A01_s1_w1<UUID>.tif``,
without ``_s`` or ``_w`` where there is one site or wavelength, in folders ``TimePoint_n`` and
``ZStep_n``. Each TIFF has pixel size and stage position in its description (``MetaData`` of
MetaSeries).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ngff_bio.errors import SourceError
from ngff_bio.formats.problems import Problems, damage_named
from ngff_bio.formats.tiff.metaseries import metaseries_values
from ngff_bio.model import Channel
from ngff_bio.sources.assembly import folder_of, image_files
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.plate.names import UUID, NameRule, named_plate
from ngff_bio.sources.plate.planes import Place, PlateIndex, PlatePlane, optional_number

#: What a name of an index file ends with, in lower case.
ENDINGS = (".htd",)


def read_index(tree: FileTree, name: str, problems: Problems) -> PlateIndex:
    """The planes of an ``.HTD`` file.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is damaged, or no image belongs to it.
    """
    values = _values(tree, name)
    plate = re.sub(r"\.htd$", "", name.rpartition("/")[2], flags=re.IGNORECASE)
    folder = folder_of(name)
    rule = _rule(f"{folder}/" if folder else "", plate)
    index = named_plate(image_files(tree.names()), rule, problems)
    planes = index.planes
    if len({p.z for p in planes}) > 1 and any(p.z == 0 for p in planes):
        planes = tuple(_without_projections(planes, name, problems))
    if not planes:
        raise SourceError(
            "no image belongs to an index file of MetaXpress",
            file=name,
            expected=f"{plate}_A01_s1_w1.tif and the like, beside it or in TimePoint_1",
            hint="name the folder that holds the images too",
        )
    size = tuple(int(optional_number(values, key) or 0) for key in ("YWells", "XWells"))
    names = {k[8:]: v for k, v in values.items() if re.fullmatch(r"WaveName\d+", k)}
    keys = list(index.channels)
    if keys == [""] and len(names) == 1:  # one wavelength has no number in names
        names = {"": next(iter(names.values()))}
    planes, pixel = _placed(tree, planes, problems)
    sites = _site_count(values)
    _report_missing(name, planes, values, sites, problems)
    return PlateIndex(
        rule=f"by the index {name} of MetaXpress, and their names",
        planes=planes,
        plate=values.get("UniquePlateIdentifier") or plate,
        acquisition=plate,
        channels={key: Channel(names.get(key) or key) for key in keys},
        pixel_size=pixel,
        z_step=_z_step(tree, planes),
        size=(size[0], size[1]) if all(size) else None,
        read_files=(name,),
        attributes={"htd": values},
    )


def _rule(folder: str, plate: str) -> NameRule:
    pattern = (
        rf"^{re.escape(folder)}(?:TimePoint_(?P<t>\d+)/)?(?:ZStep_(?P<z>\d+)/)?{re.escape(plate)}_"
        rf"(?P<well>[A-Z]{{1,2}}\d\d)(?:_s(?P<field>\d+))?(?:_w(?P<channel>\d))?(?:{UUID})?$"
    )
    return NameRule("MetaXpress", "", re.compile(pattern, re.IGNORECASE))


def _without_projections(
    planes: Sequence[PlatePlane], name: str, problems: Problems
) -> Iterator[PlatePlane]:
    """Planes of stacks; of a channel that has a projection (``ZStep_0``) alone, that as first plane."""

    def stack(plane: PlatePlane) -> tuple[object, ...]:
        return plane.well, plane.field, plane.channel, plane.t

    stacks = {stack(p) for p in planes if p.z}
    alone = [p for p in planes if not p.z and stack(p) not in stacks]
    if count := sum(not p.z for p in planes) - len(alone):
        what = "projections of stacks (ZStep_0) are not converted"
        problems.skip(what, name, f"{count} files")
    if alone:
        what = "channels of which there is a projection alone have it as first plane"
        problems.note(what, name, f"{len(alone)} files")
    first = min(p.z for p in planes if p.z)
    yield from (p for p in planes if p.z)
    yield from (replace(p, z=first) for p in alone)


def _values(tree: FileTree, name: str) -> dict[str, str]:
    with damage_named(name, "the index of the plate cannot be read"):
        text = tree.file(name).read().decode("utf-8-sig", "replace")
        rows = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
        found = {row[0].strip(): ", ".join(v.strip() for v in row[1:]) for row in rows if row}
    if "HTSInfoFile" not in found or "XWells" not in found:
        raise SourceError(
            "the file is not an index of MetaXpress",
            file=name,
            expected='lines "HTSInfoFile" and "XWells"',
            found=", ".join([*found][:5]) or "nothing",
        )
    return found


def _flags(text: str) -> list[bool]:
    return [part.strip().upper() == "TRUE" for part in text.split(",")]


def _site_count(values: Mapping[str, str]) -> int:
    lists = [_flags(v) for k, v in values.items() if re.fullmatch(r"SiteSelection\d+", k)]
    return sum(map(sum, lists)) or 1


def _report_missing(
    name: str,
    planes: Sequence[PlatePlane],
    values: Mapping[str, str],
    sites: int,
    problems: Problems,
) -> None:
    """Sites that were selected and of which there is no image."""
    wells = {
        (int(key[14:]), column)
        for key, text in values.items()
        if re.fullmatch(r"WellsSelection\d+", key)
        for column, selected in enumerate(_flags(text), 1)
        if selected
    }
    there = {(p.row, p.column, p.field) for p in planes}
    if wells and len(there) < len(wells) * sites:
        lost = len(wells) * sites - len(there)
        problems.warn(f"{lost} of {len(wells) * sites} sites that were selected are missing", name)


def _z_step(tree: FileTree, planes: Sequence[PlatePlane]) -> float | None:
    """Distance of the first two planes of the first field along z, negative if z falls."""
    first = planes[0]
    same = {"row", "column", "field", "channel", "t"}
    stack = [p for p in planes if all(getattr(p, k) == getattr(first, k) for k in same)]
    at = []
    for plane in sorted(stack, key=lambda p: p.z)[:2]:
        found = optional_number(metaseries_values(tree.file(plane.file)), "z-position")
        at += [] if found is None else [found]
    return round(at[1] - at[0], 9) or None if len(at) == 2 else None


def _placed(
    tree: FileTree, planes: Sequence[PlatePlane], problems: Problems
) -> tuple[tuple[PlatePlane, ...], tuple[float, float] | None]:
    """Planes with the position of their field, and the pixel size, from one file of each field."""
    first: dict[tuple[str, int, int], PlatePlane] = {}
    for plane in planes:
        first.setdefault((plane.row, plane.column, plane.field), plane)
    pixel: tuple[float, float] | None = None
    places: dict[tuple[str, int, int], Place] = {}
    for key, plane in first.items():
        with problems.caught():
            found = metaseries_values(tree.file(plane.file))
            x, y = (optional_number(found, f"stage-position-{a}") for a in "xy")
            if x is not None and y is not None:
                places[key] = (None, y, x)
            sizes = [optional_number(found, f"spatial-calibration-{a}") for a in "yx"]
            if (
                pixel is None
                and sizes[0]
                and sizes[1]
                and found.get("spatial-calibration-units") == "um"
            ):
                pixel = (sizes[0], sizes[1])
    nowhere: Place = (None, None, None)
    return (
        tuple(replace(p, place=places.get((p.row, p.column, p.field), nowhere)) for p in planes),
        pixel,
    )
