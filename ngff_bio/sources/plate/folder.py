"""Plates of high-content instruments: one store for each plate, an image for each field of each well.

Index files place the planes; without one, names of files do. See `names.RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.problems import Problems
from ngff_bio.model import SourceDataset, SourcePlate, SourceTable
from ngff_bio.sources.assembly import base_of, folder_of, image_files, probe_all
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.plate import (
    cellvoyager,
    harmony,
    incell,
    metaxpress,
    micromanager,
    scanr,
)
from ngff_bio.sources.plate.fields import Field, FieldReader, renumbered
from ngff_bio.sources.plate.labels import FieldLabels, label_files, plane_files
from ngff_bio.sources.plate.names import GROUPS, RULES, named_plate, pattern_rule, rule_of
from ngff_bio.sources.plate.planes import ROWS, PlateIndex, PlatePlane
from ngff_bio.sources.plate.stitching import stitched
from ngff_bio.sources.plate.wells import find_table, tables_of_wells, well_table
from ngff_bio.sources.registry import Source

_Reader = Callable[[FileTree, str, Problems], PlateIndex]

#: Readers of index files, by what the names of these end with.
_INDEXES: tuple[tuple[tuple[str, ...], _Reader], ...] = (
    (harmony.ENDINGS, lambda tree, name, problems: harmony.read_index(tree.file(name), problems)),
    (cellvoyager.ENDINGS, cellvoyager.read_index),
    (metaxpress.ENDINGS, metaxpress.read_index),
    (incell.ENDINGS, lambda tree, name, problems: incell.read_index(tree.file(name), problems)),
    (scanr.ENDINGS, scanr.read_index),
)

#: Table of all planes of a plate.
PLANES = "planes"


def _index_files(tree: FileTree) -> list[tuple[str, _Reader]]:
    """Index files, one for each folder and instrument (Harmony writes the same index twice)."""
    found: dict[tuple[str, tuple[str, ...], str], tuple[str, _Reader]] = {}
    for endings, reader in _INDEXES:
        for name in tree.names():
            base = base_of(name).lower()
            if base.endswith(endings) and not base.startswith("._"):
                alone = "" if endings == harmony.ENDINGS else base
                found.setdefault((folder_of(name), endings, alone), (name, reader))
    return list(found.values())


def detect(tree: FileTree) -> int:
    """3 if there is an index file, 1 if the names of all image files follow one rule."""
    if _index_files(tree) and image_files(tree.names()):
        return 3
    return int(rule_of(plane_files(tree.names())) is not None)


def read(
    tree: FileTree,
    problems: Problems,
    *,
    pattern: str | None = None,
    wells: str | None = None,
    stitch: bool = False,
) -> SourceDataset:
    """All fields of the plate; several index files are acquisitions of one plate.

    Parameters
    ----------
    pattern
        Regular expression that places files by named groups, in place of index files and rules.
    wells
        CSV file with a row for each well.
    stitch
        Whether the fields of a well become one image.

    Raises
    ------
    ngff_bio.errors.SourceError
        If an index is damaged or names missing files, or two files are the same plane.
    ngff_bio.errors.SourceNotFoundError
        If nothing places any file in a well.
    """
    indexes = [_there(tree, i, problems) for i in _indexes(tree, pattern, problems)]
    indexes = [part for index in indexes if index.planes for part in _acquisitions(index)]
    if not indexes:
        raise problems.nothing("no image file of a plate is readable", tree.origin)
    for index in indexes:
        problems.note(f"files are joined {index.rule}", record=f"{len(index.planes)} planes")
    files = list(dict.fromkeys(p.file for i in indexes for p in i.planes))
    headers = probe_all(tree, files, problems)
    fields: list[Field] = []
    for number, index in enumerate(indexes):
        found = FieldReader(tree, problems, headers, index, number).fields()
        fields += stitched(found, tree.limits, problems) if stitch else found
    if not fields:
        raise problems.nothing("no field of the plate is readable", tree.origin)
    labels = FieldLabels(tree, problems, probe_all(tree, label_files(tree.names()), problems))
    fields, lists = labels.added(fields)
    fields = renumbered(fields)
    sizes = {i.size for i in indexes if i.size is not None}
    size = max(sizes) if sizes else None
    read_files = [*lists, *(f for i in indexes for f in i.read_files)]
    tables = [_plane_table(fields)]
    if wells is not None:
        file = find_table(tree, wells)
        used = dict.fromkeys((f.row, f.column) for f in fields)
        tables.insert(0, well_table(file, used, size, problems))
        read_files += [wells] if wells in tree.names() else []
    else:
        for table in tables_of_wells(tree):
            problems.note(f"a table of wells is read with --wells {table}", table)
    name = indexes[0].plate or base_of(tree.origin.replace("\\", "/").rstrip("/")) or "plate"
    several = len(indexes) > 1
    plate = SourcePlate(
        "",
        name,
        *_layout(fields, size),
        acquisitions=tuple(_acquisition(n, i, fields) for n, i in enumerate(indexes))
        if several
        else (),
        tables=tuple(tables),
    )
    return SourceDataset(
        name=name,
        source="plate",
        origin=tree.origin,
        layout="plates",
        images=tuple(_with_acquisition(f) if several else f.image for f in fields),
        plates=(plate,),
        attributes=_attributes(indexes),
        read_files=tuple(read_files),
    )


def _indexes(tree: FileTree, pattern: str | None, problems: Problems) -> list[PlateIndex]:
    names = plane_files(tree.names())
    if pattern is not None:
        found = named_plate(names, pattern_rule(pattern), problems)
        if not found.planes:
            raise SourceNotFoundError(
                "no name of an image file matches the pattern",
                file=tree.origin,
                expected=pattern,
                found=", ".join(names[:3]) or "no image file",
                hint="it is searched in the path of each file below the source",
            )
        return [found]
    listed = _index_files(tree)
    if listed:
        indexes = []
        for name, reader in listed:
            with problems.caught():
                indexes.append(reader(tree, name, problems))
        plates = {i.plate for i in indexes}
        if len(plates) > 1:
            raise SourceError(
                "the folder contains several plates",
                file=tree.origin,
                expected="acquisitions of one plate",
                found=", ".join(f"{i.plate or 'no name'} ({i.read_files[0]})" for i in indexes),
                hint="convert the folder of each plate by itself",
            )
        return indexes
    rule = rule_of(names)
    if rule is None:
        raise SourceNotFoundError(
            "the files are not named as those of a plate",
            file=tree.origin,
            expected="an index file of an instrument, or names as `ngff-bio formats plate` lists them",
            found=", ".join(names[:3]) or "no image file",
            hint="give the parts of the names as groups: --pattern "
            "'(?P<well>[A-P][0-9]+)_(?P<field>[0-9]+)_(?P<channel>[^_.]+)'",
        )
    found = named_plate(names, rule, problems)
    if rule.name == "Micro-Manager":
        found = micromanager.described(tree, found, problems)
    return [found]


def _there(tree: FileTree, index: PlateIndex, problems: Problems) -> PlateIndex:
    """The index without planes whose files are missing, which are an error."""
    names = {*tree.names()}
    missing = [p for p in index.planes if p.file not in names]
    if missing:
        problems.fail(
            SourceError(
                "an index names files that are missing",
                file=index.read_files[0],
                expected=f"{len(index.planes)} files, among them {missing[0].file}",
                found=f"{len(missing)} of them are missing",
                hint="add the files, or convert what is there with --on-error skip",
            ),
            len(missing),
        )
    return replace(index, planes=tuple(p for p in index.planes if p.file in names))


def _acquisitions(index: PlateIndex) -> list[PlateIndex]:
    """An index for each acquisition that names of files state."""
    names = sorted({p.acquisition for p in index.planes})
    if len(names) == 1:
        return [replace(index, acquisition=names[0] or index.acquisition)]
    return [
        replace(
            index,
            acquisition=name,
            planes=tuple(p for p in index.planes if p.acquisition == name),
        )
        for name in names
    ]


def _acquisition(number: int, index: PlateIndex, fields: Sequence[Field]) -> dict[str, object]:
    """An acquisition as OME-Zarr describes it."""
    counts: dict[tuple[str, int], int] = {}
    for field in fields:
        if field.acquisition == number:
            counts[field.row, field.column] = counts.get((field.row, field.column), 0) + 1
    return {
        "id": number,
        "name": index.acquisition or str(number),
        "maximumfieldcount": max(counts.values(), default=1),
    }


def _with_acquisition(field: Field) -> Any:
    image = field.image
    return replace(image, attributes={**image.attributes, "acquisition": field.acquisition})


def _attributes(indexes: Sequence[PlateIndex]) -> dict[str, object]:
    found = [
        {"rule": i.rule, "acquisition": i.acquisition or None, **i.attributes} for i in indexes
    ]
    return {"index": [{k: v for k, v in one.items() if v} for one in found]}


def _layout(
    fields: Sequence[Field], size: tuple[int, int] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of all rows and columns; those in use if the size of the plate is unknown."""
    rows = {f.row for f in fields}
    columns = {f.column for f in fields}
    if size is not None and size[0] <= len(ROWS):
        rows |= {*ROWS[: size[0]]}
        columns |= {*range(1, min(size[1], 48) + 1)}
    return tuple(r for r in ROWS if r in rows), tuple(map(str, sorted(columns)))


def _plane_table(fields: Sequence[Field]) -> SourceTable:
    """A row per plane: where it is in the store, its file, position and time, and its record."""
    rows: list[tuple[Field, tuple[int, int, int], PlatePlane]] = [
        (field, at, plane) for field in fields for at, plane in field.planes
    ]
    columns: dict[str, list[Any]] = {
        "path": [f.image.path for f, _, _ in rows],
        "well": [p.well for _, _, p in rows],
        "field": [p.field for _, _, p in rows],
        **{a: [at[i] for _, at, _ in rows] for i, a in enumerate("tcz")},
        "file": [p.file for _, _, p in rows],
        **{f"{a}_um": [p.place[i] for _, _, p in rows] for i, a in enumerate("zyx")},
        "seconds": [p.seconds for _, _, p in rows],
    }
    kept = {k: v for k, v in columns.items() if any(x is not None for x in v)}
    names = dict.fromkeys(key for _, _, p in rows for key in p.record)
    return SourceTable(
        PLANES,
        {
            **kept,
            **{n: [_text(p.record.get(n)) for _, _, p in rows] for n in names if n not in kept},
        },
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


SOURCE = Source(
    name="plate",
    title="plates of ImageXpress, CellVoyager, Opera, Operetta, Phenix, IN Cell, ScanR, Incucyte, ...",
    layout="Index.idx.xml, MeasurementData.mlf, *.HTD, *.xdce, experiment_descriptor.xml; or all "
    "images named by one rule, as A01_s1_w1.tif",
    detect=detect,
    read=read,
    details=(
        "without an index file, all images must be named by one of these rules:",
        *(f"    {rule.name}: {rule.example}" for rule in RULES),
        "--format plate takes the same rules; --pattern takes any other names",
    ),
    options={
        "pattern": f"regular expression with groups (?P<name>...) that places files by their names; "
        f"names are {', '.join(GROUPS)}",
        "wells": "CSV file with a row for each well: well, compound, dose, ...",
        "stitch": "put the fields of a well into one image, by their positions on the stage",
    },
    belongs=(
        "*_thumb*.tif", "thumb*.tif", "*.mes", "*.mrf", "*.mlf", "*.wpi", "*.wpp", "*.icr", "*.kw.txt",
        "*.ref.xml", "*.xdce", "*.htd", "*.db", "dc_*.tif", "sc_*.tif", "index.xml", "index.idx.xml",
        "metadata.ome.xml", "*.mxprotocol", "display_and_comments.txt", "displaysettings.json",
        "*_mmstack_*_metadata.txt",
        "acquisition parameters.json", "coordinates.csv", "configurations.xml",
        "zstep_0/*", "*/zstep_0/*",
        "assaylayout/*", "*/assaylayout/*", "*ffc_profile*",
    ),
)  # fmt: skip
