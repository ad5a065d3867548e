"""CVAT XML 1.1 as documents: "CVAT for images" and "CVAT for video"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ngff_bio.formats.cvat.shapes import NO_AREAS, SHAPES, shape_instance
from ngff_bio.formats.cvat.tracks import track_instances
from ngff_bio.formats.documents import AnnotatedImage, Document
from ngff_bio.formats.json.text import JsonObject
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.formats.text import hex_color
from ngff_bio.formats.xml import Element, as_json, from_json, parse_xml, write_xml
from ngff_bio.model import Category, SourceFile

ROOT = "annotations"


@dataclass(frozen=True, slots=True)
class CvatFile:
    """Reads an XML file.

    Parameters
    ----------
    file
        The XML file.
    frames
        Of a movie, the numbers of its frames.
    size
        Of a movie, height and width of its frames.
    """

    file: SourceFile
    frames: range | tuple[int, ...] = ()
    size: tuple[int, int] = (0, 0)

    def read(self, problems: Problems) -> Document:
        """Read the file."""
        name = self.file.name
        root = parse_xml(self.file.read(), name, ROOT)
        categories = tuple(_categories(root))
        labels = {c.name: c for c in categories}
        record = {
            tag: as_json(one) for tag in ("version", "meta") if (one := root.find(tag)) is not None
        }
        if root.find("track") is not None:
            images = track_instances(root, self.frames, self.size, name, problems, labels)
            return Document(images, categories, record, movie=True)
        images = [
            self._image(one, number, problems, labels)
            for number, one in enumerate(root.iterfind("image"))
        ]
        return Document(images, categories, record)

    def _image(
        self, one: Element, number: int, problems: Problems, labels: dict[str, Category]
    ) -> AnnotatedImage:
        file, given = self.file.name, one.get("name", "")
        size = None
        height, width = one.get("height", ""), one.get("width", "")
        if height.isdecimal() and width.isdecimal() and len(height + width) < 16:
            size = (int(height), int(width))
        instances = []
        others: list[object] = []
        for index, shape in enumerate(one):
            at = SourceRecord(file, f"image {given} {shape.tag}[{index}]")
            if shape.tag not in SHAPES:
                others.append([index, shape.tag, as_json(shape)])
                if shape.tag != "tag":
                    problems.skip("shapes of an unknown kind", file, at.name)
                continue
            with problems.caught():
                if shape.tag == "mask" and size is None:
                    raise SourceRecord(file, f"image {given}").error(
                        "an image with masks has no size",
                        expected="height and width",
                        found="no such values",
                    )
                label = shape.get("label", "")
                instances.append(shape_instance(shape, label, size or (1, 1), index, at, labels))
                if shape.tag in NO_AREAS:
                    problems.note(
                        "points, lines, cuboids and skeletons have no area: a row without pixels",
                        file,
                    )
        subset = one.get("subset")
        about: JsonObject = dict(one.attrib)
        return AnnotatedImage(
            f"{subset}/{given}" if subset else given,
            instances,
            size,
            splits=(subset,) if subset else (),
            record={"image": about, **({"others": others} if others else {})},
        )


def _categories(root: Element) -> Iterator[Category]:
    seen: set[str] = set()
    for label in root.iterfind("meta//labels/label"):
        name = label.findtext("name") or ""
        if not name or name in seen:
            continue
        seen.add(name)
        members = as_json(label)
        rest = (
            {k: v for k, v in members.items() if k != "name"} if isinstance(members, dict) else {}
        )
        yield Category(name, name, hex_color(label.findtext("color")), rest)


Shapes = list[tuple[int, JsonObject]]
"""Shapes of an image with their positions."""


def restored(record: JsonObject, images: list[tuple[JsonObject, Shapes]]) -> bytes:
    """A file of CVAT again, for images or for video.

    Parameters
    ----------
    record
        Record of the document.
    images
        Record of each image or frame, and its shapes with their positions, or those of their tracks.
    """
    root = Element(ROOT)
    for tag, value in record.items():
        root.append(from_json(tag, value))
    tracks: dict[int, Element] = {}
    for about, shapes in images:
        if "frame" in about:
            for place, shape in shapes:
                if place not in tracks:
                    tracks[place] = from_json("track", shape["track"])
                tracks[place].append(_shape(shape))
            continue
        one = from_json("image", {f"@{k}": v for k, v in about["image"].items()})
        parts = [(i, from_json(tag, value)) for i, tag, value in about.get("others", ())]
        parts += [(i, _shape(shape)) for i, shape in shapes]
        one.extend(part for _, part in sorted(parts, key=lambda p: p[0]))
        root.append(one)
    root.extend(tracks[place] for place in sorted(tracks))
    return write_xml(root)


def _shape(record: JsonObject) -> Element:
    return from_json(
        record["shape"], {k: v for k, v in record.items() if k not in ("shape", "track")}
    )
