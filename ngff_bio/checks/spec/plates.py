"""High-content screening: plates and wells."""

from __future__ import annotations

from collections.abc import Mapping

from ngff_bio.checks.spec.node import Node, duplicates, texts

_ALPHANUMERIC = "[A-Za-z0-9]+"
#: Node names that Zarr v3 recommends: not only periods, not reserved by a leading "__".
_NODE_NAME = r"(?!\.+$)(?!__)[A-Za-z0-9_.-]+"


def check_plate(metadata: Node) -> None:
    """Check a plate: rows, columns, acquisitions, and the wells against them."""
    plate = metadata["plate"].as_object("plate-object")
    if plate is None:
        return
    rows = _check_names(plate["rows"], "plate-rows", "row-name", "row-name-unique")
    columns = _check_names(plate["columns"], "plate-columns", "column-name", "column-name-unique")
    wells = plate["wells"].as_objects("plate-wells", at_least=1) or []
    for well in wells:
        _check_well_of_plate(well, rows, columns)
    paths = [well["path"].value for well in wells if "path" in well]
    plate["wells"].check_unique("plate-well-unique", paths)
    if plate.recommended("field_count", "plate-field-count"):
        plate["field_count"].as_integer("plate-field-count-value", minimum=1)
    if plate.recommended("name", "plate-name"):
        plate["name"].as_text("plate-name-text")
    if "acquisitions" in plate:
        _check_acquisitions(plate["acquisitions"])


def _check_names(listed: Node, present: str, each: str, unique: str) -> list[str | None]:
    entries = listed.as_list(present, at_least=1) or []
    names: list[str | None] = []
    for entry in entries:
        named = entry.as_object(present)
        names.append(named["name"].as_text(each, pattern=_ALPHANUMERIC) if named else None)
    known = [name for name in names if name is not None]
    listed.check_unique(unique, known)
    for name in duplicates([name.casefold() for name in dict.fromkeys(known)]):
        listed.breaks("row-column-name-case", f"names that differ from {name!r} in case alone")
    return names


def _check_well_of_plate(well: Node, rows: list[str | None], columns: list[str | None]) -> None:
    row_index = _check_index(well["rowIndex"], len(rows))
    column_index = _check_index(well["columnIndex"], len(columns))
    path = well["path"].as_text("well-path", pattern=f"{_ALPHANUMERIC}/{_ALPHANUMERIC}")
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
        well["path"].breaks("well-path-swapped", place)
    elif row not in rows or column not in columns:
        well["path"].breaks("well-path-names", f"{path!r} with rows {rows} and columns {columns}")
    elif at_row is not None and at_column is not None:
        well["path"].breaks("well-path-index", place)


def _check_index(index: Node, count: int) -> int | None:
    position = index.as_integer("well-index", minimum=0)
    if position is None or count == 0:
        return None
    if position >= count:
        index.breaks("well-index-range", f"{position} of {count}")
        return None
    return position


def _check_acquisitions(listed: Node) -> None:
    ids: list[int] = []
    for acquisition in listed.as_objects("acquisitions-list") or []:
        number = acquisition["id"].as_integer("acquisition-id", minimum=0)
        if number is not None:
            ids.append(number)
        acquisition.recommended("name", "acquisition-name")
        if acquisition.recommended("maximumfieldcount", "acquisition-maximumfieldcount"):
            count = acquisition["maximumfieldcount"]
            count.as_integer("acquisition-maximumfieldcount-value", minimum=1)
        for key in ("name", "description"):
            if key in acquisition:
                acquisition[key].as_text("acquisition-text")
        for key in ("starttime", "endtime"):
            if key in acquisition:
                acquisition[key].as_integer("acquisition-time", minimum=0)
    listed.check_unique("acquisition-id-unique", ids, "id ")


def check_well(metadata: Node, plate: Mapping[str, object] | None) -> None:
    """Check a well, against the acquisitions of its plate where its attributes are known."""
    well = metadata["well"].as_object("well-object")
    if well is None:
        return
    pattern = _NODE_NAME if well.findings.version == "0.6" else _ALPHANUMERIC
    images = well["images"].as_objects("well-images", at_least=1) or []
    paths = texts([image["path"] for image in images], "well-image-path", pattern=pattern)
    well["images"].check_unique("well-image-path-unique", paths)
    acquisitions = _acquisitions_of(Node(dict(plate or {}), "", well.findings))
    for image in images:
        if "acquisition" in image:
            number = image["acquisition"].as_integer("well-image-acquisition")
            if number is not None and acquisitions and number not in acquisitions:
                known = sorted(acquisitions)
                image["acquisition"].breaks(
                    "well-image-acquisition-known", f"{number}, not of {known}"
                )
        elif len(acquisitions) > 1:
            image.breaks("well-image-acquisition-needed", f"none of {sorted(acquisitions)}")


def _acquisitions_of(attributes: Node) -> set[int]:
    """The ids that a plate defines; what is wrong with them is a finding on the plate."""
    inner = attributes["ome"]
    listed = (attributes if inner.missing else inner)["plate"]["acquisitions"].value
    entries = listed if isinstance(listed, list) else []
    ids = (entry.get("id") for entry in entries if isinstance(entry, dict))
    return {number for number in ids if isinstance(number, int)}
