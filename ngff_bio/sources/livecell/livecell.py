"""LIVECell: phase contrast images of eight cell types in COCO form.

A name ``<type>_Phase_<well>_<location>_<time>_<crop>.tif`` tells everything: one plate per cell type,
one field per location and crop, frames over time. The four crops of a location are the quarters of
one frame of twice their size, column by column. Images lie in ``images.zip`` or in a folder, flat or
by cell type; any number of COCO files list them (train, val, test; by cell type; parts of the
training set).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.coco.layers import (
    KEY,
    CocoFile,
    CocoImage,
    Entry,
    annotation_sets,
    open_coco,
)
from ngff_bio.formats.images.frames import probe_image
from ngff_bio.formats.json.text import json_kind
from ngff_bio.formats.problems import Problems
from ngff_bio.model import (
    OnError,
    SourceDataset,
    SourcePlate,
)
from ngff_bio.sources.files.tree import FileTree, with_archives
from ngff_bio.sources.livecell.counts import GROUP, count_images, find_counts
from ngff_bio.sources.livecell.fields import Crop, Files, field_images, split_name
from ngff_bio.sources.livecell.names import (
    COLUMNS,
    ROWS,
    parse_name,
    why_unknown,
)
from ngff_bio.sources.registry import Source

_COCO = re.compile(r"(?:^|/)livecell_coco_\w+\.json$")
_IMAGES_ZIP = re.compile(r"(?:^|/)images\.zip$")
_COUNT_ZIP = re.compile(r"(?:^|/)nuclear_count_benchmark/[^/]+\.zip$")

#: Endings of files that hold no data of the collection, and are left without a word.
_TEXTS = (".md", ".txt", ".py", ".yaml", ".yml", ".html", ".pdf", "LICENSE", "README", ".xml")


def detect(tree: FileTree) -> int:
    """Sure where an image or an annotation file is named as the collection names it."""
    return 3 if any(parse_name(_base(n)) or _COCO.search(n) for n in tree.names()) else 0


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def read(
    tree: FileTree,
    *,
    stitch: bool = False,
    on_error: OnError = "stop",
    progress: Callable[[str, int, int], None] | None = None,
) -> SourceDataset:
    """The plates of the cell types that are there, with every annotation file that is there.

    Parameters
    ----------
    stitch
        Whether the four crops of a location become one image instead of four.
    on_error
        What to do about wrong records and files.
    progress
        Called while annotation files are read.

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If there is no image.
    ngff_bio.errors.SourceError
        If a file or a record is wrong, unless these are skipped.
    """
    problems = Problems(on_error)
    counted = any(n.endswith("_counts.json") for n in tree.names())
    tree = with_archives(
        tree, lambda n: bool(_IMAGES_ZIP.search(n) or (counted and _COUNT_ZIP.search(n)))
    )
    names = tree.names()
    sets = find_counts(names)
    benchmark = {
        place
        for each in sets.values()
        for place in (each.counts, *each.phase.values(), *each.fluorescence.values())
    }
    rest = [n for n in names if n not in benchmark]
    crops = _find_crops(tree, rest, problems)
    cocos = _open_annotations(tree, rest, problems, progress)
    lost = _list_entries(crops, cocos, {_base(n) for n in rest}, problems)
    files = Files.of([c.name for c in cocos])
    images = field_images(crops, files, stitch, problems)
    counts = list(count_images(tree, sets, problems))
    if not images and not counts:
        raise SourceNotFoundError(
            "no image of LIVECell is here",
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
        splits=tuple(split_name(c.name) for c in cocos),
        notices=problems.gathered(),
        attributes={
            "modality": "phase contrast",
            KEY: [c.attributes(lost.get(c.name, ())) for c in cocos],
        },
    )


def _find_crops(tree: FileTree, names: list[str], problems: Problems) -> dict[str, Crop]:
    """Image files by their bare names, which are unique in the collection."""
    crops: dict[str, Crop] = {}
    for place in names:
        base = _base(place)
        name = parse_name(base)
        if name is None:
            if base.lower().endswith((".tif", ".tiff", ".png", ".jpg")):
                problems.skip(f"the image has {why_unknown(base)}", place)
            elif not base.endswith((*_TEXTS, ".json")):
                problems.skip("not a file of this collection", None, place)
            continue
        try:
            if base in crops:
                raise SourceError(
                    "two files are the same image",
                    file=place,
                    expected="each name once",
                    found=f"{crops[base].file.name} too",
                    hint="keep one of the two",
                )
            file = tree.file(place)
            crops[base] = Crop(name, file, probe_image(file, tree.limits))
        except SourceError as error:
            problems.fail(error)
    return crops


def _open_annotations(
    tree: FileTree,
    names: list[str],
    problems: Problems,
    progress: Callable[[str, int, int], None] | None,
) -> list[CocoFile]:
    """All COCO files, those of the whole collection first."""
    found = []
    places = [n for n in names if n.lower().endswith(".json")]
    known = [n for n in places if _COCO.search(n) or "annotations/" in n]
    for place in places:
        if place not in known:
            if json_kind(tree.file(place)) == "coco":
                known.append(place)
            else:
                problems.skip("not a file of this collection", None, place)
    for place in sorted(known, key=_preference):
        try:
            found.append(
                open_coco(tree.file(place), problems, digests=len(known) > 1, progress=progress)
            )
        except SourceError as error:
            problems.fail(error)
    if not known:
        problems.note("there is no annotation file: images only")
    return found


def _preference(name: str) -> tuple[int, int, str]:
    """Order of files: collection-wide ones, those of cell types, parts of the training set."""
    rank = 0
    if "single_cell" in name.lower():
        rank = 1
    if "size_split" in name.lower() or "percent" in name.lower():
        rank = 2
    order = [i for i, s in enumerate(("train", "val", "test")) if s in _base(name).lower()]
    return rank, order[0] if order else 3, name


def _list_entries(
    crops: Mapping[str, Crop], cocos: Sequence[CocoFile], bases: set[str], problems: Problems
) -> dict[str, list[CocoImage]]:
    """Tell every image who lists it; returns entries without an image, by file."""
    lost: dict[str, list[CocoImage]] = {}
    for coco in cocos:
        absent = []
        for image in coco.images:
            base = _base(image.file_name.replace("\\", "/"))
            crop = crops.get(base)
            if crop is None:
                absent.append(image)
                continue
            if image.size is not None and image.size != crop.header.size:
                problems.fail(
                    SourceError(
                        "an image is of another size than its record says",
                        file=coco.name,
                        record=f"images[{image.index}] (id {image.id})",
                        expected=f"{image.size[0]} x {image.size[1]}",
                        found=f"{crop.header.size[0]} x {crop.header.size[1]} in {base}",
                        hint="find the image that the annotations were drawn on",
                    )
                )
                continue
            crop.entries.append(Entry(coco, image))
        known = [i for i in absent if _base(i.file_name) in bases]
        for image in known:
            problems.skip(
                f"an image is listed that has {why_unknown(_base(image.file_name))}",
                coco.name,
                image.file_name,
            )
        missing = [i for i in absent if _base(i.file_name) not in bases]
        if missing:
            problems.fail(coco.missing_error(missing), len(missing))
            lost[coco.name] = missing
    for base, crop in crops.items():
        crop.sets = annotation_sets(crop.entries)
        if cocos and not crop.entries:
            problems.note("an image is listed by no annotation file", None, base)
    return lost


SOURCE = Source(
    name="livecell",
    title="LIVECell: phase contrast images of eight cell types, with COCO files",
    layout="images.zip or A172_Phase_A7_1_00d00h00m_1.tif and the like, and annotations/**/*.json",
    detect=detect,
    read=read,
    options={"stitch": "put the four crops of a location together (true or false)"},
)
