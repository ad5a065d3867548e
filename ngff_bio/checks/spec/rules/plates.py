"""High-content screening: plates and wells."""

from __future__ import annotations

from ngff_bio.checks.spec.findings import ALL_VERSIONS, Rule
from ngff_bio.checks.spec.node import Node, duplicates

_PLATE = '"plate" metadata'
_WELL = '"well" metadata'
_ALPHANUMERIC = "[A-Za-z0-9]+"
#: Node names that Zarr v3 recommends: not only periods, not reserved by a leading "__".
_NODE_NAME = r"(?!\.+$)(?!__)[A-Za-z0-9_.-]+"

PLATE_OBJECT = Rule(
    "plate-object", "MUST", _PLATE, 'the value of "plate" is a JSON object', "write an object"
)
PLATE_ROWS = Rule(
    "plate-rows",
    "MUST",
    _PLATE,
    'the plate MUST contain a "rows" key, a list of JSON objects (not empty)',
    "define every row of the physical plate",
)
PLATE_COLUMNS = Rule(
    "plate-columns",
    "MUST",
    _PLATE,
    'the plate MUST contain a "columns" key, a list of JSON objects (not empty)',
    "define every column of the physical plate",
)
ROW_NAME = Rule(
    "row-name",
    "MUST",
    _PLATE,
    'each row MUST contain a "name", a string of only alphanumeric characters',
    "name the row with letters and digits only",
)
COLUMN_NAME = Rule(
    "column-name",
    "MUST",
    _PLATE,
    'each column MUST contain a "name", a string of only alphanumeric characters',
    "name the column with letters and digits only",
)
ROW_NAME_UNIQUE = Rule(
    "row-name-unique",
    "MUST",
    _PLATE,
    'the name MUST NOT be a duplicate of any other name in "rows"',
    "define each row once",
)
COLUMN_NAME_UNIQUE = Rule(
    "column-name-unique",
    "MUST",
    _PLATE,
    'the name MUST NOT be a duplicate of any other name in "columns"',
    "define each column once",
)
NAME_CASE = Rule(
    "row-column-name-case",
    "SHOULD",
    _PLATE,
    "care SHOULD be taken to avoid collisions on case-insensitive filesystems",
    "choose names that differ in more than upper and lower case",
)
PLATE_WELLS = Rule(
    "plate-wells",
    "MUST",
    _PLATE,
    'the plate MUST contain a "wells" key, a list of JSON objects (not empty)',
    "list the wells that have images",
)
WELL_PATH = Rule(
    "well-path",
    "MUST",
    _PLATE,
    'a well\'s "path" MUST consist of a row name, "/" and a column name, and nothing else',
    'write the path as "A/1"',
)
WELL_PATH_NAMES = Rule(
    "well-path-names",
    "MUST",
    _PLATE,
    'a well\'s "path" MUST consist of a name in "rows" and a name from "columns"',
    "define the row and the column, or mend the path",
)
WELL_PATH_SWAPPED = Rule(
    "well-path-swapped",
    "MUST",
    _PLATE,
    'the path MUST consist of a row name, "/" and a column name, in that order',
    "move the well to row/column, or swap the rows and the columns of the plate",
    # The published plate cases of 0.4 and 0.6 have such paths and are valid; 0.5 mended them.
    contested=frozenset({"0.4", "0.6"}),
)
WELL_INDEX = Rule(
    "well-index",
    "MUST",
    _PLATE,
    'each well MUST contain "rowIndex" and "columnIndex", 0-based integers',
    "give the 0-based positions in rows and columns",
)
WELL_INDEX_RANGE = Rule(
    "well-index-range",
    "MUST",
    _PLATE,
    '"rowIndex" and "columnIndex" identify an index into "rows" and "columns"',
    "count from 0, up to one less than the number of rows or columns",
)
WELL_PATH_INDEX = Rule(
    "well-path-index",
    "MUST",
    _PLATE,
    'the "rowIndex", "columnIndex" and "path" MUST all refer to the same row/column pair',
    "mend the indices or the path",
)
WELL_UNIQUE = Rule(
    "plate-well-unique",
    "MUST",
    _PLATE,
    '"wells" lists each well once (plate.schema: unique items)',
    "list each well once",
)
PLATE_FIELD_COUNT = Rule(
    "plate-field-count",
    "SHOULD",
    _PLATE,
    'the plate SHOULD contain a "field_count" key',
    "give the largest number of fields in any well",
)
PLATE_FIELD_COUNT_VALUE = Rule(
    "plate-field-count-value",
    "MUST",
    _PLATE,
    'the value of "field_count" MUST be a positive integer',
    "give the largest number of fields in any well",
)
PLATE_NAME = Rule(
    "plate-name",
    "SHOULD",
    _PLATE,
    'the plate SHOULD contain a "name" key',
    "name the plate",
    in_strict_schema=ALL_VERSIONS,
)
PLATE_NAME_TEXT = Rule(
    "plate-name-text",
    "MUST",
    _PLATE,
    "the name of a plate MUST be a string",
    "write the name as a string",
)
ACQUISITIONS_LIST = Rule(
    "acquisitions-list",
    "MUST",
    _PLATE,
    'the value of "acquisitions" MUST be a list of JSON objects',
    "list the acquisitions, or leave the key out",
)
ACQUISITION_ID = Rule(
    "acquisition-id",
    "MUST",
    _PLATE,
    'each acquisition MUST contain an "id" key, an integer greater than or equal to 0',
    "number the acquisitions from 0",
)
ACQUISITION_ID_UNIQUE = Rule(
    "acquisition-id-unique",
    "MUST",
    _PLATE,
    "the id of an acquisition MUST be unique within the context of the plate",
    "give each acquisition an id of its own",
)
ACQUISITION_NAME = Rule(
    "acquisition-name",
    "SHOULD",
    _PLATE,
    'each acquisition SHOULD contain a "name" key',
    "name the acquisition",
    in_strict_schema=ALL_VERSIONS,
)
ACQUISITION_FIELDS = Rule(
    "acquisition-maximumfieldcount",
    "SHOULD",
    _PLATE,
    'each acquisition SHOULD contain a "maximumfieldcount" key',
    "give the largest number of fields of the acquisition in any well",
    in_strict_schema=ALL_VERSIONS,
)
ACQUISITION_FIELDS_VALUE = Rule(
    "acquisition-maximumfieldcount-value",
    "MUST",
    _PLATE,
    'the value of "maximumfieldcount" MUST be a positive integer',
    "give the largest number of fields of the acquisition in any well",
)
ACQUISITION_TEXT = Rule(
    "acquisition-text",
    "MUST",
    _PLATE,
    '"name" and "description" of an acquisition MUST be strings',
    "write the value as a string",
)
ACQUISITION_TIME = Rule(
    "acquisition-time",
    "MUST",
    _PLATE,
    '"starttime" and "endtime" MUST be integer epoch timestamps',
    "give the seconds since 1970-01-01 as an integer",
)
WELL_OBJECT = Rule(
    "well-object", "MUST", _WELL, 'the value of "well" is a JSON object', "write an object"
)
WELL_IMAGES = Rule(
    "well-images",
    "MUST",
    _WELL,
    'the well MUST contain an "images" key, a list of JSON objects (not empty)',
    "list the fields of view",
)
IMAGE_PATH = Rule(
    "well-image-path",
    "MUST",
    _WELL,
    'each image MUST contain a "path" of only alphanumeric characters; from 0.6 on also of '
    '"-", "_" and ".", but not only of periods and not after "__"',
    "rename the field of view",
)
IMAGE_PATH_UNIQUE = Rule(
    "well-image-path-unique",
    "MUST",
    _WELL,
    'the path MUST NOT be a duplicate of any other path in "images"',
    "list each field of view once",
)
IMAGE_ACQUISITION = Rule(
    "well-image-acquisition",
    "MUST",
    _WELL,
    'the value of "acquisition" MUST be an integer identifying the acquisition',
    "give the id of the acquisition as an integer",
)
IMAGE_ACQUISITION_NEEDED = Rule(
    "well-image-acquisition-needed",
    "MUST",
    _WELL,
    "if multiple acquisitions were performed in the plate, an image MUST name its acquisition",
    "add the id of the acquisition",
)
IMAGE_ACQUISITION_KNOWN = Rule(
    "well-image-acquisition-known",
    "MUST",
    _WELL,
    "the acquisition of an image MUST match one of those defined in the plate",
    "define the acquisition in the plate, or mend the id",
)


def check_plate(metadata: Node) -> None:
    """Check a plate: rows, columns, acquisitions, and the wells against them."""
    plate = metadata["plate"].as_object(PLATE_OBJECT)
    if plate is None:
        return
    rows = _check_names(plate["rows"], PLATE_ROWS, ROW_NAME, ROW_NAME_UNIQUE)
    columns = _check_names(plate["columns"], PLATE_COLUMNS, COLUMN_NAME, COLUMN_NAME_UNIQUE)
    wells = plate["wells"].as_objects(PLATE_WELLS, at_least=1) or []
    for well in wells:
        _check_well_of_plate(well, rows, columns)
    for path in duplicates([well["path"].value for well in wells if "path" in well]):
        plate["wells"].breaks(WELL_UNIQUE, f"{path!r} more than once")
    if "field_count" in plate:
        plate["field_count"].as_integer(PLATE_FIELD_COUNT_VALUE, minimum=1)
    else:
        plate.breaks(PLATE_FIELD_COUNT, "no field_count")
    if "name" in plate:
        plate["name"].as_text(PLATE_NAME_TEXT)
    else:
        plate.breaks(PLATE_NAME, "no name")
    if "acquisitions" in plate:
        _check_acquisitions(plate["acquisitions"])


def _check_names(listed: Node, present: Rule, each: Rule, unique: Rule) -> list[str | None]:
    entries = listed.as_list(present, at_least=1) or []
    names: list[str | None] = []
    for entry in entries:
        named = entry.as_object(present)
        names.append(named["name"].as_text(each, pattern=_ALPHANUMERIC) if named else None)
    known = [name for name in names if name is not None]
    for name in duplicates(known):
        listed.breaks(unique, f"{name!r} more than once")
    for name in duplicates([name.casefold() for name in dict.fromkeys(known)]):
        listed.breaks(NAME_CASE, f"names that differ from {name!r} in case alone")
    return names


def _check_well_of_plate(well: Node, rows: list[str | None], columns: list[str | None]) -> None:
    row_index = _check_index(well["rowIndex"], len(rows))
    column_index = _check_index(well["columnIndex"], len(columns))
    path = well["path"].as_text(WELL_PATH, pattern=f"{_ALPHANUMERIC}/{_ALPHANUMERIC}")
    if path is None or not rows or not columns:
        return
    row, column = path.split("/")
    at_row = rows[row_index] if row_index is not None else None
    at_column = columns[column_index] if column_index is not None else None
    if (row, column) == (at_row, at_column):
        return
    place = (
        f"{path!r}, rowIndex {row_index} is {at_row!r}, columnIndex {column_index} is {at_column!r}"
    )
    if (column, row) == (at_row, at_column):
        well["path"].breaks(WELL_PATH_SWAPPED, place)
    elif row not in rows or column not in columns:
        well["path"].breaks(WELL_PATH_NAMES, f"{path!r} with rows {rows} and columns {columns}")
    elif at_row is not None and at_column is not None:
        well["path"].breaks(WELL_PATH_INDEX, place)


def _check_index(index: Node, count: int) -> int | None:
    position = index.as_integer(WELL_INDEX, minimum=0)
    if position is None or count == 0:
        return None
    if position >= count:
        index.breaks(WELL_INDEX_RANGE, f"{position} of {count}")
        return None
    return position


def _check_acquisitions(listed: Node) -> None:
    ids: list[int] = []
    for acquisition in listed.as_objects(ACQUISITIONS_LIST) or []:
        number = acquisition["id"].as_integer(ACQUISITION_ID, minimum=0)
        if number is not None:
            ids.append(number)
        if "name" not in acquisition:
            acquisition.breaks(ACQUISITION_NAME, "no name")
        if "maximumfieldcount" not in acquisition:
            acquisition.breaks(ACQUISITION_FIELDS, "no maximumfieldcount")
        else:
            acquisition["maximumfieldcount"].as_integer(ACQUISITION_FIELDS_VALUE, minimum=1)
        for key in ("name", "description"):
            if key in acquisition:
                acquisition[key].as_text(ACQUISITION_TEXT)
        for key in ("starttime", "endtime"):
            if key in acquisition:
                acquisition[key].as_integer(ACQUISITION_TIME, minimum=0)
    for number in duplicates(ids):
        listed.breaks(ACQUISITION_ID_UNIQUE, f"id {number} more than once")


def check_well(metadata: Node) -> None:
    """Check a well, against the acquisitions of its plate where these are known."""
    well = metadata["well"].as_object(WELL_OBJECT)
    if well is None:
        return
    pattern = _NODE_NAME if well.report.version == "0.6" else _ALPHANUMERIC
    images = well["images"].as_objects(WELL_IMAGES, at_least=1) or []
    paths = [image["path"].as_text(IMAGE_PATH, pattern=pattern) for image in images]
    for path in duplicates([path for path in paths if path is not None]):
        well["images"].breaks(IMAGE_PATH_UNIQUE, f"{path!r} more than once")
    acquisitions = _acquisitions_of_plate(well)
    for image in images:
        if "acquisition" in image:
            number = image["acquisition"].as_integer(IMAGE_ACQUISITION)
            if number is not None and acquisitions and number not in acquisitions:
                known = sorted(acquisitions)
                image["acquisition"].breaks(IMAGE_ACQUISITION_KNOWN, f"{number}, not of {known}")
        elif len(acquisitions) > 1:
            image.breaks(IMAGE_ACQUISITION_NEEDED, f"none of {sorted(acquisitions)}")


def _acquisitions_of_plate(well: Node) -> set[int]:
    """The ids that the plate defines; what is wrong with them is the plate's finding, not ours."""
    attributes = Node(dict(well.report.plate or {}), "", well.report)
    namespaced = "ome" in attributes
    plate = attributes["ome"]["plate"] if namespaced else attributes["plate"]
    listed = plate["acquisitions"].value
    entries = listed if isinstance(listed, list) else []
    ids = (entry.get("id") for entry in entries if isinstance(entry, dict))
    return {number for number in ids if isinstance(number, int)}
