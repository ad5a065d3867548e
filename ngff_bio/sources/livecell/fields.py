"""Fields of LIVECell's plates: the crops of a location over time, separate or stitched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ngff_bio.formats.coco.layers import AnnotationSet, ImageEntry, Placement, annotation_sets
from ngff_bio.formats.images.composed import Mosaic
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Axis, Frame, Pixels, SourceFile, SourceImage
from ngff_bio.sources.assembly import base_of
from ngff_bio.sources.coco.files import CocoFiles, ImageLabels
from ngff_bio.sources.livecell.names import CROPS, CropName


@dataclass(frozen=True, slots=True)
class Crop:
    """One image file: its parsed name, its header, and its entries in COCO files."""

    name: CropName
    file: SourceFile
    header: ImageHeader
    entries: Sequence[ImageEntry]
    sets: Sequence[AnnotationSet]

    @classmethod
    def of(
        cls, name: CropName, file: SourceFile, header: ImageHeader, entries: Sequence[ImageEntry]
    ) -> Crop:
        """A crop with the annotations of its entries."""
        return cls(name, file, header, entries, annotation_sets(entries))


def field_images(
    crops: Sequence[Crop], coco: CocoFiles, stitch: bool, problems: Problems
) -> list[SourceImage]:
    """One image per field with all its frames, sorted as in the plates."""
    wells: dict[tuple[str, str, int], dict[tuple[int, int], list[Crop]]] = {}
    for crop in sorted(crops, key=lambda c: c.name):
        name = crop.name
        fields = wells.setdefault((name.cell_type, name.row, name.column), defaultdict(list))
        fields[name.location, 0 if stitch else name.crop].append(crop)
    images = []
    for fields in wells.values():
        for number, key in enumerate(sorted(fields)):
            with problems.caught():
                images.append(_image(number, fields[key], coco, stitch, problems))
    return images


def _image(
    number: int, crops: Sequence[Crop], coco: CocoFiles, stitch: bool, problems: Problems
) -> SourceImage:
    """The frames of one crop of one location, or of the whole location."""
    name = crops[0].name
    frames = [[crop] for crop in crops]
    if stitch:
        times = sorted({c.name.minutes for c in crops})
        frames = [[c for c in crops if c.name.minutes == minutes] for minutes in times]
    rows, columns = (max(c.header.size[i] for c in crops) for i in (0, 1))
    corners = {quarter: (down * rows, right * columns) for quarter, (down, right) in CROPS.items()}
    placements = []
    for t, present in enumerate(frames):
        for crop in present:
            window = (*corners[crop.name.crop], *crop.header.size) if stitch else None
            placements += [Placement(each, t, window) for each in crop.sets]
    labels = coco.labels(placements)
    for layer in labels.layers[1:]:
        problems.note(
            f"annotation files differ on some images: the others' are in the layer {layer.name}",
            record=f"{name.cell_type}/{name.well}",
        )
    title = f"{name.cell_type}_Phase_{name.well}_{name.location}"
    own: dict[str, object]
    pixels: Pixels
    if stitch:
        pixels, corner, own = _mosaic(frames, corners, (2 * rows, 2 * columns)), (0, 0), {}
        own["stitched"] = True
        made = [
            _stitched_frame(t, present, corners, coco, labels, problems)
            for t, present in enumerate(frames)
        ]
    else:
        pixels = stack_frames([c.file for c in crops], "t", headers=[c.header for c in crops])
        corner, own = corners[name.crop], {"crop": name.crop}
        title += f" crop {name.crop}"
        made = [_frame(t, crop, (rows, columns), coco, labels) for t, crop in enumerate(crops)]
    hours = [crop.name.elapsed_hours for crop, *_ in frames]
    steps = {b - a for a, b in pairwise(hours)}
    regular = steps.pop() if len(steps) == 1 else None
    return SourceImage(
        path=f"{name.cell_type}/{name.row}/{name.column}/{number}",
        name=title,
        axes=(
            Axis("t") if regular is None else Axis("t", regular, "hour"),
            Axis("y"),
            Axis("x"),
        ),
        pixels=pixels,
        labels=labels.layers,
        frames=tuple(made),
        translation=(0.0 if regular is None else hours[0], float(corner[0]), float(corner[1])),
        attributes={
            "cell_type": name.cell_type,
            "well": name.well,
            "location": name.location,
            **own,
        },
    )


def _frame(
    t: int, crop: Crop, plane: tuple[int, int], coco: CocoFiles, labels: ImageLabels
) -> Frame:
    return Frame(
        name=crop.file.name,
        t=t,
        size=None if crop.header.size == plane else crop.header.size,
        elapsed_hours=crop.name.elapsed_hours,
        splits=coco.splits_of(crop.entries),
        record=labels.record(crop.sets),
    )


def _stitched_frame(
    t: int,
    crops: Sequence[Crop],
    corners: Mapping[int, tuple[int, int]],
    coco: CocoFiles,
    labels: ImageLabels,
    problems: Problems,
) -> Frame:
    base = base_of(crops[0].file.name)
    if len(crops) < len(CROPS):
        problems.warn(
            "a frame lacks some of its crops; they are 0",
            record=f"{base} and its {len(crops) - 1} neighbours",
        )
    records: list[dict[str, object]] = [
        {
            "name": crop.file.name,
            "crop": crop.name.crop,
            "offset": list(corners[crop.name.crop]),
            "size": list(crop.header.size),
            "splits": list(coco.splits_of(crop.entries)),
            **labels.record(crop.sets),
        }
        for crop in crops
    ]
    return Frame(
        name=base.rpartition("_")[0],
        t=t,
        elapsed_hours=crops[0].name.elapsed_hours,
        splits=tuple(dict.fromkeys(s for c in crops for s in coco.splits_of(c.entries))),
        record={"crops": records},
    )


def _mosaic(
    frames: Sequence[Sequence[Crop]],
    corners: Mapping[int, tuple[int, int]],
    plane: tuple[int, int],
) -> Mosaic:
    """Whole frames, each put together of its crops; those that are missing are 0."""
    tiles = []
    for quarter, corner in corners.items():
        crops = [next((c for c in f if c.name.crop == quarter), None) for f in frames]
        if any(crops):
            stack = stack_frames(
                [None if c is None else c.file for c in crops],
                "t",
                headers=[None if c is None else c.header for c in crops],
            )
            tiles.append((stack, (0, *corner)))
    return Mosaic(tuple(tiles), (len(frames), *plane))
