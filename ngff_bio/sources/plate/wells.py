"""A table of wells that the user gives: ``well,compound,dose``."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.text import text_of
from ngff_bio.model import SourceFile, SourceTable
from ngff_bio.sources.files.tree import FileTree, open_tree
from ngff_bio.sources.plate.planes import MOST_COLUMNS, ROWS, well_of

#: Name of the table in the store.
TABLE = "wells"

_HEAD = re.compile(rb"(^|[,;\t])\W*well\W*([,;\t]|$)", re.IGNORECASE)

_INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,17})")

#: Not names as 007 or 1_1, which ``float`` takes, nor integers of more digits than it holds.
_NUMBER = re.compile(
    r"[+-]?((0|[1-9]\d{0,14})(\.\d*)?|\.\d+)(e[+-]?\d+)?|nan|[+-]?inf", re.IGNORECASE
)


def find_table(tree: FileTree, given: str) -> SourceFile:
    """The file of an option ``--wells``: of the source by its name, or else by its path.

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If the file does not exist.
    """
    if given in tree.names():
        return tree.file(given)
    path = Path(given)
    if not path.is_file():
        raise SourceNotFoundError(
            "the table of wells does not exist",
            file=given,
            expected="a CSV file, by its path or by its name in the source",
            hint="give it with --wells FILE",
        )
    files = open_tree(path)
    return files.file(files.names()[0])


def tables_of_wells(tree: FileTree) -> list[str]:
    """CSV files of the source whose first line has a column ``well``."""
    tables = (n for n in tree.names() if n.lower().endswith(".csv"))
    return [n for n in tables if _HEAD.search(tree.file(n).read_range(0, 1000).split(b"\n")[0])]


def well_table(
    file: SourceFile,
    used: Collection[tuple[str, int]],
    size: tuple[int, int] | None,
    problems: Problems,
) -> SourceTable:
    """The table of a CSV file, one row per well.

    Columns: row, column, well (as the plate names it), and those of the file. Values of a column are
    integers or numbers if all of them are.

    Parameters
    ----------
    used
        Wells with images.
    size
        Rows and columns of the plate, if they are known.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a well is unknown or listed twice, or the file is not such a table.
    """
    text = text_of(file, "the table of wells")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = [name.strip() for name in next(rows, [])]
    lower = [name.lower() for name in header]
    keys = ["well"] if "well" in lower else ["row", "column"]
    if any(k not in lower for k in keys) or len(set(lower)) < len(lower) or not all(lower):
        raise SourceError(
            "the table of wells lacks the column of wells, or names of columns occur twice",
            file=file.name,
            expected="columns well, or row and column, and others, each with its name",
            found=", ".join(header) or "an empty file",
        )
    at = [lower.index(k) for k in keys]
    rest = [i for i, name in enumerate(lower) if name not in ("well", "row", "column")]
    seen: dict[tuple[str, int], int] = {}
    kept: list[list[str]] = []
    for cells in rows:
        if not any(c.strip() for c in cells):
            continue
        with problems.caught():
            line = f"line {rows.line_num}"
            if len(cells) != len(header):
                raise SourceError(
                    "a line of the table of wells has another number of values than its header",
                    file=file.name, record=line, expected=len(header), found=len(cells),
                )  # fmt: skip
            given = "".join(cells[i].strip() for i in at)
            well = _known(given, file.name, line, size)
            if well in seen:
                raise SourceError(
                    "the table of wells has a well twice",
                    file=file.name,
                    record=line,
                    found=f"{given}, in line {seen[well]} too",
                    hint="keep one line for each well",
                )
            seen[well] = rows.line_num
            kept.append(cells)
    without = [f"{r}{c}" for r, c in used if (r, c) not in seen]
    if without:
        problems.warn(
            "wells with images are not in the table of wells",
            file.name,
            f"{len(without)}: {', '.join(without[:6])}",
        )
    unused = [f"{r}{c}" for r, c in seen if (r, c) not in used]
    if unused:
        problems.note(
            "wells of the table have no images",
            file.name,
            f"{len(unused)}: {', '.join(unused[:6])}",
        )
    if not seen:
        raise SourceError("the table of wells has no row", file=file.name)
    wells = list(seen)
    columns: dict[str, Sequence[str | int | float | None]] = {
        "row": [r for r, _ in wells],
        "column": [str(c) for _, c in wells],
        "well": [f"{r}{c}" for r, c in wells],
    }
    columns |= {header[i]: _typed([cells[i].strip() for cells in kept]) for i in rest}
    return SourceTable(TABLE, columns, "condition_table")


def _known(given: str, file: str, line: str, size: tuple[int, int] | None) -> tuple[str, int]:
    well = well_of(given)
    rows, columns = size or (len(ROWS), MOST_COLUMNS)
    if well is None or ROWS.index(well[0]) >= rows or well[1] > columns:
        raise SourceError(
            "the table of wells names a well that the plate does not have",
            file=file,
            record=line,
            expected=f"A1 to {ROWS[rows - 1]}{columns}",
            found=given or "nothing",
            hint="correct the table, or leave out such lines with --on-error skip",
        )
    return well


def _typed(cells: list[str]) -> list[str | int | float | None]:
    """Values of a column: integers or numbers if all are, else texts; ``None`` for empty ones."""
    given = [c for c in cells if c]
    if given and all(_INTEGER.fullmatch(c) for c in given):
        return [int(c) if c else None for c in cells]
    if given and all(_NUMBER.fullmatch(c) for c in given):
        return [float(c) if c else None for c in cells]
    return [c or None for c in cells]
