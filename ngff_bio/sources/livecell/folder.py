"""LIVECell: phase contrast images of eight cell types in COCO form.

The name ``<type>_Phase_<well>_<location>_<time>_<crop>.tif`` places an image: one plate per cell type,
one field per location and crop, frames over time. The four crops of a location are the quarters of
one frame of twice their size, in column-major order. Images are in ``images.zip`` or in a folder, flat
or by cell type; any number of COCO files list them (train, val, test; by cell type; parts of the
training set).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ngff_bio.errors import SourceNotFoundError
from ngff_bio.formats.coco.file import CocoFile
from ngff_bio.formats.coco.layers import KEY
from ngff_bio.formats.problems import Problems
from ngff_bio.model import SourceDataset, SourcePlate
from ngff_bio.sources.assembly import base_of, given_twice, image_files, probe_all
from ngff_bio.sources.coco.files import CocoFiles
from ngff_bio.sources.files.tree import FileTree, with_archives
from ngff_bio.sources.livecell.counts import GROUP, count_images, find_counts
from ngff_bio.sources.livecell.fields import Crop, field_images
from ngff_bio.sources.livecell.names import COLUMNS, ROWS, CropName, parse_name, why_unknown
from ngff_bio.sources.registry import Source

#: Name of the label layer; further sets of annotations are named after it and their file.
LAYER = "cell"

_COCO = re.compile(r"(?:^|/)livecell_coco_\w+\.json$")
_IMAGES_ZIP = re.compile(r"(?:^|/)images\.zip$")
_COUNT_ZIP = re.compile(r"(?:^|/)nuclear_count_benchmark/[^/]+\.zip$")


def detect(tree: FileTree) -> int:
    """3 if an image or an annotation file is named as in the collection."""
    return 3 if any(parse_name(base_of(n)) or _COCO.search(n) for n in tree.names()) else 0


def read(tree: FileTree, problems: Problems, *, stitch: bool = False) -> SourceDataset:
    """The plates of the cell types that are there, with every annotation file that is there.

    Parameters
    ----------
    stitch
        Whether the four crops of a location become one image instead of four.
    """
    counted = any(n.endswith("_counts.json") for n in tree.names())
    tree = with_archives(
        tree, lambda n: bool(_IMAGES_ZIP.search(n) or (counted and _COUNT_ZIP.search(n)))
    )
    sets = find_counts(tree.names())
    benchmark = {
        name
        for each in sets.values()
        for name in (each.counts, *each.phase.values(), *each.fluorescence.values())
    }
    names = [n for n in tree.names() if n not in benchmark]
    places = _named_crops(names, problems)
    headers = probe_all(tree, list(places), problems)
    annotated = _annotation_files(tree, names, problems)
    coco = CocoFiles.open(tree, annotated, LAYER, split_name, problems)
    by_base = {base_of(n): n for n in reversed(names)} | {base_of(n): n for n in headers}

    def find(_: CocoFile, file_name: str) -> str | None:
        return by_base.get(base_of(file_name.replace("\\", "/")))

    entries = coco.entries(headers, find)
    crops = [Crop.of(places[n], tree.file(n), headers[n], entries[n]) for n in headers]
    images = field_images(crops, coco, stitch, problems)
    counts = list(count_images(tree, sets, problems))
    if not images and not counts:
        raise SourceNotFoundError(
            "no image of LIVECell found",
            file=tree.origin,
            expected="images.zip, or files such as A172_Phase_A7_1_00d00h00m_1.tif",
            hint="name the folder that holds annotations and images",
        )
    types = list(dict.fromkeys(i.path.partition("/")[0] for i in images))
    return SourceDataset(
        name="LIVECell",
        source="livecell",
        origin=tree.origin,
        layout="plates",
        images=(*images, *counts),
        plates=tuple(SourcePlate(t, t, ROWS, COLUMNS) for t in types),
        collections=(GROUP,) if counts else (),
        licence="CC BY-NC 4.0",
        citation="LIVECell: A large-scale dataset for label-free live cell segmentation, "
        "https://www.nature.com/articles/s41592-021-01249-6",
        splits=tuple(coco.splits.values()),
        attributes={"modality": "phase contrast", KEY: coco.attributes()},
        read_files=(*coco.names, *(each.counts for each in sets.values())),
    )


def _named_crops(names: list[str], problems: Problems) -> dict[str, CropName]:
    """Image files that are named as in the collection, where each base name is unique."""
    found: dict[str, CropName] = {}
    seen: dict[str, str] = {}
    for name in names:
        base = base_of(name)
        crop = parse_name(base)
        if crop is None:
            if image_files([base]):
                problems.skip(f"the image has {why_unknown(base)}", name)
        elif base in seen:
            problems.fail(given_twice(name, seen[base]))
        else:
            seen[base] = name
            found[name] = crop
    return found


def _annotation_files(tree: FileTree, names: list[str], problems: Problems) -> list[str]:
    """All COCO files, those of the whole collection first."""
    found = []
    for name in names:
        if not name.lower().endswith(".json"):
            continue
        if _COCO.search(name) or "annotations/" in name or tree.json_kind(name) == "coco":
            found.append(name)
    if not found:
        problems.note("there is no annotation file: images only")
    return sorted(found, key=_preference)


def _preference(name: str) -> tuple[int, int, str]:
    """Order of files: of the whole collection, of cell types, of parts of the training set."""
    rank = 0
    if "single_cell" in name.lower():
        rank = 1
    if "size_split" in name.lower() or "percent" in name.lower():
        rank = 2
    order = [i for i, s in enumerate(("train", "val", "test")) if s in base_of(name).lower()]
    return rank, order[0] if order else 3, name


def split_name(name: str) -> str:
    """Name of a split: the annotation file's path below ``annotations``, without its ending."""
    parts = PurePosixPath(name).with_suffix("").parts
    if "annotations" in parts:
        parts = parts[parts.index("annotations") + 1 :]
    return "/".join(parts)


SOURCE = Source(
    name="livecell",
    title="LIVECell: phase contrast images of eight cell types, with COCO files",
    layout="images.zip or A172_Phase_A7_1_00d00h00m_1.tif and the like, and annotations/**/*.json",
    detect=detect,
    read=read,
    options={"stitch": "put the four crops of a location together (true or false)"},
    belongs=("*.txt", "*.xml"),
)
