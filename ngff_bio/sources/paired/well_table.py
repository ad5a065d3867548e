"""Tables of images by well, as CellProfiler and the Broad Bioimage Benchmark Collection have them.

A row is a field of view, and if all name their wells, a field of a plate: ``FileName_DNA`` and
``PathName_DNA`` (or ``Image_FileName_DNA``, ...) for each channel, ``Metadata_Well`` and others.
``ObjectsFileName_Nuclei`` are label images; so are files named like a channel's file with
``_SegmentedNuclei`` or ``_outlines`` at the end.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.names import safe_names
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.text import text_of
from ngff_bio.model import SourceDataset, SourcePlate
from ngff_bio.sources.annotated.pairing import ImageFinder
from ngff_bio.sources.assembly import folder_of, image_files, stem_of
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.label_names import by_convention
from ngff_bio.sources.paired.pairs import Labels, Pair, PairReader
from ngff_bio.sources.plate.planes import ROWS, well_of
from ngff_bio.sources.registry import Source

_FILE = re.compile(r"^(?:Image_)?(?P<objects>Objects)?FileName_(?P<name>.+)$")
_PLATE = re.compile(r"^(?:Image_)?Metadata_Plate")
_WELL = re.compile(r"^(?:Image_)?Metadata_Well(?:_|$)")

#: Bytes of a table in which its first line is looked for.
_SNIFFED = 1 << 14


def detect(tree: FileTree) -> int:
    """1 if there are image files, and a table with columns of file names of channels."""
    names = tree.names()
    return int(bool(image_files(names)) and any(_is_table(tree, n) for n in names))


def _is_table(tree: FileTree, name: str) -> bool:
    if not name.lower().endswith(".csv"):
        return False
    head = tree.file(name).read_range(0, _SNIFFED).decode("utf-8-sig", "replace")
    columns = next(csv.reader(io.StringIO(head, newline="")), [])
    return any(m is not None and not m["objects"] for m in map(_FILE.match, columns))


def read(tree: FileTree, problems: Problems) -> SourceDataset:
    """Every row as an image with a channel for each of its files; the row is in its frame's record."""
    images = image_files(tree.names())
    finder = ImageFinder(images)
    labels: dict[str, list[Labels]] = defaultdict(list)
    for name in images:
        found = by_convention(name)
        for stem in found.stems if found is not None else ():
            labels[stem].append(Labels(found.layer if found is not None else "", name))
    tables = [n for n in tree.names() if _is_table(tree, n)]
    pairs = []
    for table in tables:
        rows = csv.DictReader(io.StringIO(text_of(tree.file(table), "the table"), newline=""))
        for row in rows:
            with problems.caught():
                pairs.append(_pair(row, table, rows.line_num, finder, labels))
    if not pairs:
        csvs = [n for n in tree.names() if n.lower().endswith(".csv")]
        raise SourceNotFoundError(
            "no table lists image files that are there",
            file=csvs[0] if csvs else tree.origin,
            expected="columns FileName_DNA and PathName_DNA, for each channel",
            found="; ".join(n.what for n in problems.notices[:3]) or "no such table",
            hint="name the folder that holds the table and the image files",
        )
    dataset = PairReader(tree, problems).dataset("well-table", pairs, read_files=tables)
    return _as_plates(dataset)


def _as_plates(dataset: SourceDataset) -> SourceDataset:
    """The images as fields of plates, if every row names its well."""
    places = []
    for image in dataset.images:
        row = image.frames[0].record["row"]
        well = well_of(next((v for k, v in row.items() if _WELL.match(k)), "") or "")
        plate = next((v for k, v in row.items() if v and _PLATE.match(k)), "")
        places.append((plate, well))
    wells = [(plate, *well) for plate, well in places if well is not None]
    if len(wells) < len(places):
        return dataset
    names = safe_names(dict.fromkeys(plate for plate, _, _ in wells))
    paths = {plate: name if len(names) > 1 else "" for plate, name in names.items()}
    counts: Counter[tuple[str, str, int]] = Counter()
    images = []
    for image, at in zip(dataset.images, wells, strict=True):
        path = "/".join(filter(None, (paths[at[0]], at[1], str(at[2]), str(counts[at]))))
        counts[at] += 1
        images.append(replace(image, path=path))
    plates = (
        SourcePlate(
            paths[plate],
            plate or dataset.name,
            tuple(r for r in ROWS if any(w[:2] == (plate, r) for w in wells)),
            tuple(map(str, sorted({w[2] for w in wells if w[0] == plate}))),
        )
        for plate in names
    )
    return replace(dataset, layout="plates", images=tuple(images), plates=tuple(plates))


def _pair(
    row: Mapping[str, str],
    table: str,
    line: int,
    finder: ImageFinder,
    by_stem: Mapping[str, list[Labels]],
) -> Pair:
    channels: dict[str, str] = {}
    labels: list[Labels] = []
    for column, value in row.items():
        match = _FILE.match(column or "")
        if match is None or not value:
            continue
        folder = row.get(column.replace("FileName_", "PathName_")) or ""
        given = str(PurePosixPath(folder.replace("\\", "/"), value))
        name = finder.find(given, folder_of(table)) or finder.find(value, folder_of(table))
        if name is None:
            raise SourceError(
                "a row of a table names an image file that is not there",
                file=table,
                record=f"line {line}, {column}",
                expected=f"an image file {given}",
                found="no such file, or several",
                hint="add the image files, or leave out such rows with --on-error skip",
            )
        if match["objects"]:
            labels.append(Labels(match["name"].lower(), name))
        else:
            channels[match["name"]] = name
    if not channels:
        raise SourceError(
            "a row of a table names no image file",
            file=table,
            record=f"line {line}",
            expected="the name of a file for each channel",
            hint="leave out such rows with --on-error skip",
        )
    files = tuple(channels.values())
    known = {one.file for one in labels}
    for file in files:
        labels += [one for one in by_stem.get(stem_of(file), []) if one.file not in known]
        known |= {one.file for one in labels}
    plate = next((v for k, v in row.items() if k and v and _PLATE.match(k)), "")
    kept = {k: v for k, v in row.items() if k}
    about = {"row": kept, "row_at": [table, line]}
    return Pair(plate, stem_of(files[0]), files, tuple(labels), tuple(channels), record=about)


SOURCE = Source(
    name="well-table",
    title="CellProfiler and BBBC: a table with the file of each channel of each field, by well",
    layout="*.csv with FileName_DNA, PathName_DNA, Metadata_Well; *_SegmentedNuclei.tif",
    detect=detect,
    read=read,
)
