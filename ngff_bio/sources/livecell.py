"""LIVECell: phase contrast images of eight cell types in COCO form.

A name ``<type>_Phase_<well>_<location>_<time>_<crop>.tif`` tells everything: one plate per cell type,
one field per location and crop, frames over time. The four crops of a location are the quarters of
one frame of twice their size, column by column. Images lie in ``images.zip`` or in a folder, flat or
by cell type; any number of COCO files list them (train, val, test; by cell type; parts of the
training set).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.coco import (
    KEY,
    AnnotationSet,
    CocoFile,
    Entry,
    Placement,
    annotation_sets,
    frame_record,
    instance_layers,
    short_names,
)
from ngff_bio.formats.coco_index import looks_like_coco, open_coco
from ngff_bio.formats.images import ImageHeader, probe_image, stack_frames
from ngff_bio.formats.mosaic import Mosaic
from ngff_bio.formats.problems import Problems
from ngff_bio.model import (
    Axis,
    Dataset,
    Frame,
    Image,
    InstanceLayer,
    OnError,
    Pixels,
    Plate,
    SourceFile,
)
from ngff_bio.sources.files import FileTree, with_archives
from ngff_bio.sources.livecell_counts import GROUP, count_images, find_counts
from ngff_bio.sources.livecell_names import (
    COLUMNS,
    CROPS,
    ROWS,
    CropName,
    parse_name,
    why_unknown,
)
from ngff_bio.sources.registry import Source

LAYER = "cell"

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


@dataclass(slots=True)
class _Crop:
    """One image file: what its name says, what its header says, and who lists it."""

    name: CropName
    file: SourceFile
    header: ImageHeader
    entries: list[Entry] = field(default_factory=list)
    sets: list[AnnotationSet] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Files:
    """Annotation files by name: their short names and their places in the list of all."""

    short: Mapping[str, str]
    numbers: Mapping[str, int]

    @classmethod
    def of(cls, names: Sequence[str]) -> Files:
        """Of all names, in order."""
        return cls(short_names(names), {n: i for i, n in enumerate(names)})


def read(
    tree: FileTree,
    *,
    stitch: bool = False,
    on_error: OnError = "stop",
    progress: Callable[[str, int, int], None] | None = None,
) -> Dataset:
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
    _list_entries(crops, cocos, {_base(n) for n in rest}, problems)
    files = Files.of([c.name for c in cocos])
    images = list(_images(crops, files, stitch, problems))
    counts = list(count_images(tree, sets, problems))
    if not images and not counts:
        raise SourceNotFoundError(
            "no image of LIVECell is here",
            file=tree.origin,
            expected="images.zip, or files such as A172_Phase_A7_1_00d00h00m_1.tif",
            mend="name the folder that holds annotations and images",
        )
    types = list(dict.fromkeys(i.path.partition("/")[0] for i in images))
    return Dataset(
        name="LIVECell",
        source="livecell",
        origin=tree.origin,
        layout="plates",
        images=(*images, *counts),
        plates=tuple(Plate(t, t, ROWS, COLUMNS) for t in types),
        collections=(GROUP,) if counts else (),
        licence="CC BY-NC 4.0",
        citation="LIVECell: A large-scale dataset for label-free live cell segmentation, "
        "https://www.nature.com/articles/s41592-021-01249-6",
        splits=tuple(_split(c.name) for c in cocos),
        notices=problems.gathered(),
        attributes={"modality": "phase contrast", KEY: [c.attributes() for c in cocos]},
    )


def _find_crops(tree: FileTree, names: list[str], problems: Problems) -> dict[str, _Crop]:
    """Image files by their bare names, which are unique in the collection."""
    crops: dict[str, _Crop] = {}
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
                    mend="keep one of the two",
                )
            file = tree.file(place)
            crops[base] = _Crop(name, file, probe_image(file, tree.limits))
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
            if looks_like_coco(tree.file(place)):
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


def _split(name: str) -> str:
    """Name of a split: the annotation file's path below ``annotations``, without its ending."""
    path = PurePosixPath(name).with_suffix("")
    parts = path.parts
    if "annotations" in parts:
        parts = parts[parts.index("annotations") + 1 :]
    return "/".join(parts)


def _list_entries(
    crops: Mapping[str, _Crop], cocos: Sequence[CocoFile], bases: set[str], problems: Problems
) -> None:
    """Tell every image who lists it."""
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
                        mend="find the image that the annotations were drawn on",
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
            lost = sum(coco.annotations(i).count for i in missing)
            problems.fail(
                SourceError(
                    "an image is listed and has no file",
                    file=coco.name,
                    record=f"images[{missing[0].index}] ({missing[0].file_name})",
                    expected="a file of that name",
                    found=f"{len(missing)} of {len(coco.images)} listed images have none; "
                    f"they have {lost} annotations",
                    mend="add the images, or go on without them with --on-error skip",
                ),
                len(missing),
            )
    for base, crop in crops.items():
        crop.sets = annotation_sets(crop.entries)
        if cocos and not crop.entries:
            problems.note("an image is listed by no annotation file", None, base)


def _images(
    crops: Mapping[str, _Crop], files: Files, stitch: bool, problems: Problems
) -> list[Image]:
    """One image per field, all frames of it; sorted as in the plates."""
    wells: dict[tuple[str, str, int], list[_Crop]] = defaultdict(list)
    for crop in sorted(crops.values(), key=lambda c: c.name):
        wells[crop.name.cell_type, crop.name.row, crop.name.column].append(crop)
    images = []
    for well in wells.values():
        fields: dict[tuple[int, int], list[_Crop]] = defaultdict(list)
        for crop in well:
            fields[crop.name.location, 0 if stitch else crop.name.crop].append(crop)
        for number, key in enumerate(sorted(fields)):
            try:
                build = _stitched if stitch else _field
                images.append(build(number, fields[key], files, problems))
            except SourceError as error:
                problems.fail(error)
    return images


def _field(number: int, crops: Sequence[_Crop], files: Files, problems: Problems) -> Image:
    """The frames of one crop of one location."""
    pixels = stack_frames([c.file for c in crops], "t", headers=[c.header for c in crops])
    placements = [
        Placement(each, t, crop.header.size) for t, crop in enumerate(crops) for each in crop.sets
    ]
    layers, names = instance_layers(LAYER, placements, files.short, problems.on_error)
    _tell_layers(layers, problems, crops[0].name)
    layer_of = {id(p.annotations): names.get(i) for i, p in enumerate(placements)}
    rows, columns = pixels.shape[1:]
    frames = []
    for t, crop in enumerate(crops):
        size = crop.header.size
        frames.append(
            Frame(
                name=crop.file.name,
                t=t,
                size=size if size != (rows, columns) else None,
                elapsed_hours=crop.name.elapsed_hours,
                splits=_splits(crop),
                record=_coco_record(crop, layer_of, files),
            )
        )
    name = crops[0].name
    down, right = CROPS[name.crop]
    return _image(
        number,
        name,
        pixels,
        layers,
        frames,
        (down * rows, right * columns),
        f"{name.cell_type}_Phase_{name.well}_{name.location} crop {name.crop}",
        {"crop": name.crop},
    )


def _stitched(number: int, crops: Sequence[_Crop], files: Files, problems: Problems) -> Image:
    """The frames of one location, each put together of its crops."""
    times = sorted({c.name.minutes for c in crops})
    rows = max(c.header.size[0] for c in crops)
    columns = max(c.header.size[1] for c in crops)
    tiles: list[tuple[Pixels, tuple[int, ...]]] = []
    for quarter, (down, right) in CROPS.items():
        at = {c.name.minutes: c for c in crops if c.name.crop == quarter}
        if not at:
            continue
        chosen = [at.get(minutes) for minutes in times]
        stack = stack_frames(
            [None if c is None else c.file for c in chosen],
            "t",
            headers=[None if c is None else c.header for c in chosen],
        )
        tiles.append((stack, (0, down * rows, right * columns)))
    placements = []
    by_time = {m: [c for c in crops if c.name.minutes == m] for m in times}
    for t, minutes in enumerate(times):
        for crop in by_time[minutes]:
            down, right = CROPS[crop.name.crop]
            size = crop.header.size
            for each in crop.sets:
                window = (down * rows, right * columns, *size)
                placements.append(Placement(each, t, size, window))
    layers, names = instance_layers(LAYER, placements, files.short, problems.on_error)
    _tell_layers(layers, problems, crops[0].name)
    layer_of = {id(p.annotations): names.get(i) for i, p in enumerate(placements)}
    frames = []
    for t, minutes in enumerate(times):
        present = by_time[minutes]
        if len(present) < len(CROPS):
            problems.warn(
                "a frame lacks some of its crops; they are 0",
                record=f"{_base(present[0].file.name)} and its {len(present) - 1} neighbours",
            )
        frames.append(
            Frame(
                name=_base(present[0].file.name).rpartition("_")[0],
                t=t,
                elapsed_hours=present[0].name.elapsed_hours,
                splits=tuple(dict.fromkeys(s for c in present for s in _splits(c))),
                record={
                    "crops": [
                        {
                            "name": c.file.name,
                            "crop": c.name.crop,
                            "offset": [
                                d * n
                                for d, n in zip(CROPS[c.name.crop], (rows, columns), strict=True)
                            ],
                            "size": list(c.header.size),
                            "splits": list(_splits(c)),
                            **_coco_record(c, layer_of, files),
                        }
                        for c in present
                    ]
                },
            )
        )
    name = crops[0].name
    return _image(
        number,
        name,
        Mosaic(tuple(tiles), (len(times), 2 * rows, 2 * columns)),
        layers,
        frames,
        (0, 0),
        f"{name.cell_type}_Phase_{name.well}_{name.location}",
        {"stitched": True},
    )


def _image(
    number: int,
    name: CropName,
    pixels: Pixels,
    layers: tuple[InstanceLayer, ...],
    frames: Sequence[Frame],
    corner: tuple[int, int],
    title: str,
    attributes: dict[str, object],
) -> Image:
    hours = [f.elapsed_hours or 0.0 for f in frames]
    steps = {b - a for a, b in pairwise(hours)}
    regular = steps.pop() if len(steps) == 1 else None
    time = Axis("t") if regular is None else Axis("t", regular, "hour")
    start = 0.0 if regular is None else hours[0]
    return Image(
        path=f"{name.cell_type}/{name.row}/{name.column}/{number}",
        name=title,
        axes=(time, Axis("y"), Axis("x")),
        pixels=pixels,
        labels=layers,
        frames=tuple(frames),
        translation=(start, float(corner[0]), float(corner[1])),
        attributes={
            "cell_type": name.cell_type,
            "well": name.well,
            "location": name.location,
            **attributes,
        },
    )


def _splits(crop: _Crop) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_split(e.coco.name) for e in crop.entries))


def _coco_record(
    crop: _Crop, layer_of: Mapping[int, str | None], files: Files
) -> dict[str, object]:
    found = frame_record(((s, layer_of.get(id(s))) for s in crop.sets), files.numbers)
    return {KEY: found} if found else {}


def _tell_layers(layers: Sequence[InstanceLayer], problems: Problems, name: CropName) -> None:
    for layer in layers[1:]:
        problems.note(
            f"annotation files differ on some images: the others' are in the layer {layer.name}",
            record=f"{name.cell_type}/{name.well}",
        )


SOURCE = Source(
    name="livecell",
    title="LIVECell: phase contrast images of eight cell types, with COCO files",
    layout="images.zip or A172_Phase_A7_1_00d00h00m_1.tif and the like, and annotations/**/*.json",
    detect=detect,
    read=read,
    options={"stitch": "put the four crops of a location together (true or false)"},
)
