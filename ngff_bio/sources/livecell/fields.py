"""Fields of LIVECell's plates: the crops of a location over time, one by one or put together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath

from ngff_bio.errors import SourceError
from ngff_bio.formats.coco.layers import (
    KEY,
    AnnotationSet,
    Entry,
    Placement,
    frame_record,
    instance_layers,
    short_names,
)
from ngff_bio.formats.images.composed import Mosaic
from ngff_bio.formats.images.frames import ImageHeader, stack_frames
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Axis, Frame, InstanceLayer, Pixels, SourceFile, SourceImage
from ngff_bio.sources.livecell.names import CROPS, CropName

#: Name of the label layer; further sets of annotations are named after it and their file.
LAYER = "cell"


@dataclass(slots=True)
class Crop:
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


def field_images(
    crops: Mapping[str, Crop], files: Files, stitch: bool, problems: Problems
) -> list[SourceImage]:
    """One image per field, all frames of it; sorted as in the plates."""
    wells: dict[tuple[str, str, int], list[Crop]] = defaultdict(list)
    for crop in sorted(crops.values(), key=lambda c: c.name):
        wells[crop.name.cell_type, crop.name.row, crop.name.column].append(crop)
    images = []
    for well in wells.values():
        fields: dict[tuple[int, int], list[Crop]] = defaultdict(list)
        for crop in well:
            fields[crop.name.location, 0 if stitch else crop.name.crop].append(crop)
        for number, key in enumerate(sorted(fields)):
            try:
                build = _stitched if stitch else _field
                images.append(build(number, fields[key], files, problems))
            except SourceError as error:
                problems.fail(error)
    return images


def _field(number: int, crops: Sequence[Crop], files: Files, problems: Problems) -> SourceImage:
    """The frames of one crop of one location."""
    pixels = stack_frames([c.file for c in crops], "t", headers=[c.header for c in crops])
    placements = [Placement(each, t) for t, crop in enumerate(crops) for each in crop.sets]
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


def _stitched(number: int, crops: Sequence[Crop], files: Files, problems: Problems) -> SourceImage:
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
                placements.append(Placement(each, t, window))
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
) -> SourceImage:
    hours = [f.elapsed_hours or 0.0 for f in frames]
    steps = {b - a for a, b in pairwise(hours)}
    regular = steps.pop() if len(steps) == 1 else None
    time = Axis("t") if regular is None else Axis("t", regular, "hour")
    start = 0.0 if regular is None else hours[0]
    return SourceImage(
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


def _splits(crop: Crop) -> tuple[str, ...]:
    return tuple(dict.fromkeys(split_name(e.coco.name) for e in crop.entries))


def _coco_record(crop: Crop, layer_of: Mapping[int, str | None], files: Files) -> dict[str, object]:
    found = frame_record(((s, layer_of.get(id(s))) for s in crop.sets), files.numbers)
    return {KEY: found} if found else {}


def _tell_layers(layers: Sequence[InstanceLayer], problems: Problems, name: CropName) -> None:
    for layer in layers[1:]:
        problems.note(
            f"annotation files differ on some images: the others' are in the layer {layer.name}",
            record=f"{name.cell_type}/{name.well}",
        )


def split_name(name: str) -> str:
    """Name of a split: the annotation file's path below ``annotations``, without its ending."""
    path = PurePosixPath(name).with_suffix("")
    parts = path.parts
    if "annotations" in parts:
        parts = parts[parts.index("annotations") + 1 :]
    return "/".join(parts)


def _base(name: str) -> str:
    return name.rpartition("/")[2]
