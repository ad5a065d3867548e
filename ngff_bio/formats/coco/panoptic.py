"""COCO panoptic: segments of each image in JSON, and a PNG whose colors are their ids.

Format: https://cocodataset.org/#format-data (4. Panoptic Segmentation): the id of a segment is
R + 256 G + 256 * 256 B of its pixels; pixels of 0 have no segment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.formats.coco.file import CocoImage, parse_category, parse_image
from ngff_bio.formats.documents import (
    AnnotatedImage,
    Document,
    DocumentInstances,
    record_text,
)
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.json.text import JsonObject, checked, parse_json
from ngff_bio.formats.outlines import mask_rle
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.model import Instance, SourceFile, SourceParts


class _File(msgspec.Struct):
    images: list[JsonObject]
    annotations: list[object]
    categories: list[JsonObject] = []


class _Annotation(msgspec.Struct):
    image_id: int | str
    file_name: Annotated[str, msgspec.Meta(min_length=1)]
    segments_info: list[object]


class _Segment(msgspec.Struct):
    id: Annotated[int, msgspec.Meta(ge=0, lt=1 << 24)]
    category_id: int | str
    area: float | None = None
    bbox: tuple[float, float, float, float] | None = None
    iscrowd: Annotated[int, msgspec.Meta(ge=0, le=1)] | None = None


@dataclass(frozen=True, slots=True)
class PanopticFile:
    """Reads a JSON file; geometries are in the PNG files, see `PanopticInstances`."""

    file: SourceFile

    def read(self, problems: Problems) -> Document:
        """Read the file. ``record["png"]`` of each image is the name of its PNG."""
        name = self.file.name
        content: JsonObject = parse_json(self.file.read(), name, JsonObject)
        found: _File = checked(content, _File, SourceRecord(name))
        categories = tuple(parse_category(i, c, name) for i, c in enumerate(found.categories))
        names = {c.id: c.name for c in categories}
        listed = [parse_image(i, one, name) for i, one in enumerate(found.images)]
        by_id = {image.id: image for image in listed}
        images: dict[object, AnnotatedImage] = {}
        for number, one in enumerate(found.annotations):
            with problems.caught():
                images |= self._annotated(one, number, by_id, names, problems)
        for image in listed:
            if image.id not in images:
                images[image.id] = AnnotatedImage(
                    image.file_name, [], image.size, record={"image": image.record}
                )
        keys = ("images", "annotations", "categories")
        record = {k: None if k in keys else v for k, v in content.items()}
        return Document([images[i.id] for i in listed], categories, record)

    def _annotated(
        self,
        one: Any,
        number: int,
        by_id: dict[Any, CocoImage],
        names: dict[Any, str],
        problems: Problems,
    ) -> dict[object, AnnotatedImage]:
        at = SourceRecord(self.file.name, f"annotations[{number}]")
        about: _Annotation = checked(one, _Annotation, at)
        image = by_id.get(about.image_id)
        if image is None:
            raise at.member(".image_id").error(
                "segments of an image that is not listed",
                expected="the id of an image in images",
                found=about.image_id,
            )
        instances = []
        for place, segment in enumerate(about.segments_info):
            with problems.caught():
                inner = at.member(f".segments_info[{place}]")
                own: _Segment = checked(segment, _Segment, inner)
                if own.category_id not in names:
                    raise inner.member(".category_id").error(
                        "a category is not listed",
                        expected="the id of a category in categories",
                        found=own.category_id,
                    )
                instances.append(
                    Instance(
                        0,
                        None,
                        category=names[own.category_id],
                        category_id=own.category_id,
                        source_id=own.id,
                        box=own.bbox,
                        area=own.area,
                        iscrowd=own.iscrowd,
                        record=record_text(segment),
                        indices=(place,),
                    )
                )
        rest = {k: None if k == "segments_info" else v for k, v in one.items()}
        kept = {"image": image.record, "annotation": [number, rest], "png": about.file_name}
        return {image.id: AnnotatedImage(image.file_name, instances, image.size, record=kept)}


@dataclass(frozen=True, slots=True, eq=False)
class PanopticInstances:
    """The segments of an image, each with its pixels in the PNG."""

    rows: DocumentInstances
    png: SourceFile
    size: tuple[int, int]

    @property
    def attributes(self) -> JsonObject:
        """What the layer keeps: the name of the PNG."""
        return {"png": self.png.name}

    def read(self, t: int) -> list[Instance]:
        """All segments, in the order of the JSON file."""
        instances = self.rows.read(t)
        if instances:
            ids = segment_ids(self.png, self.size)
            for one in instances:
                one.geometry = mask_rle(ids == one.source_id, (0, 0), self.size)
        return instances

    def source_parts(self) -> SourceParts:
        """The JSON file and the PNG."""
        return (*self.rows.source_parts(), self.png)


def segment_ids(png: SourceFile, size: tuple[int, int]) -> NDArray[np.uint32]:
    """Segment id of each pixel, 0 for none.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the file is not 8-bit RGB, or of another size than the image.
    """
    pixels = stack_frames([png])
    if pixels.axes != "cyx" or pixels.dtype != np.uint8 or pixels.shape[0] < 3:
        raise SourceError(
            "the file does not contain segments",
            file=png.name,
            expected="8-bit RGB, a color for each segment",
            found=f"axes {pixels.axes} of {pixels.shape}, {pixels.dtype}",
        )
    if pixels.shape[1:] != size:
        raise SourceError(
            "a segment image has another size than its image",
            file=png.name,
            expected=f"{size[0]} x {size[1]} (height x width)",
            found=f"{pixels.shape[1]} x {pixels.shape[2]}",
            hint="check that it belongs to this image, or skip it with --on-error skip",
        )
    colors = pixels.read(tuple((0, n) for n in pixels.shape)).astype(np.uint32)
    ids: NDArray[np.uint32] = colors[0] + (colors[1] << np.uint32(8)) + (colors[2] << np.uint32(16))
    return ids


def check_segments(
    instances: DocumentInstances, png: SourceFile, size: tuple[int, int], problems: Problems
) -> None:
    """Compare the segments of the JSON file with the colors of the PNG.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the PNG has a color of no segment, or another size than the image.
    """
    listed = {i.source_id for i in instances.read(0)}
    values, counts = np.unique(segment_ids(png, size), return_counts=True)
    there = dict(zip(values.tolist(), counts.tolist(), strict=True))
    unknown = [v for v in there if v and v not in listed]
    if unknown:
        raise SourceError(
            "a segment image has colors of no segment",
            file=png.name,
            expected=f"ids of {instances.reader.file.name}: {sorted(map(str, listed))[:5]}",
            found="; ".join(
                f"({v & 255}, {v >> 8 & 255}, {v >> 16}), id {v}: {there[v]} pixels"
                for v in unknown[:5]
            ),
            hint="save it without smoothing or lossy compression, or skip it with --on-error skip",
        )
    missing = [i for i in listed if i not in there]
    if missing:
        problems.warn(f"{len(missing)} segments without pixels", png.name)


def restored(
    record: JsonObject,
    images: list[tuple[JsonObject, list[tuple[int, object]]]],
    categories: list[JsonObject],
) -> JsonObject:
    """The content of a JSON file again, from what a store keeps."""
    annotations = []
    for about, segments in images:
        if "annotation" in about:
            number, rest = about["annotation"]
            listed = [s for _, s in segments]
            one = {k: listed if k == "segments_info" else v for k, v in rest.items()}
            annotations.append((number, one))
    lists = {
        "images": [about["image"] for about, _ in images],
        "annotations": [a for _, a in sorted(annotations, key=lambda p: p[0])],
        "categories": categories,
    }
    return {k: lists.get(k, v) for k, v in record.items()}
