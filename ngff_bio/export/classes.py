"""The classes of a selection, with ids that are the same for all of its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ngff_bio.export.annotations import Annotation
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import Selection


@dataclass(frozen=True, slots=True)
class ClassEntry:
    """A class: its id in the export, its name, and its record in the source."""

    id: int
    name: str
    color: tuple[int, ...] | None = None
    record: Mapping[str, object] = field(default_factory=dict)


class Classes:
    """Classes by name, the declared ones first, others in order of appearance.

    Declared ids are kept if they are unique integers; else classes are numbered from 1. An instance
    without a class gets one of its layer's name, because formats require a class.
    """

    def __init__(self, selection: Selection, report: ExportReport) -> None:
        self._report = report
        self._entries: dict[str, ClassEntry] = {}
        declared: dict[str, Mapping[str, Any]] = {}
        agree = True
        for image in selection.images:
            for layer in image.layers:
                for one in image.stored.label_attributes(layer).get("categories") or ():
                    known = declared.setdefault(str(one["name"]), one)
                    agree &= known["id"] == one["id"]
        ids = [one["id"] for one in declared.values()]
        kept = agree and all(isinstance(i, int) for i in ids) and len(set(ids)) == len(ids)
        if not kept and ids:
            report.warn("class ids are not unique integers: classes are numbered from 1")
        for number, (name, one) in enumerate(declared.items(), 1):
            color = one.get("color")
            self._entries[name] = ClassEntry(
                one["id"] if kept else number,
                name,
                tuple(color) if color else None,
                one.get("record") or {},
            )

    def of(self, annotation: Annotation) -> ClassEntry:
        """The class of an instance."""
        name = annotation.instance.category
        if name is None:
            name = annotation.layer
            if name not in self._entries:
                self._report.note(
                    "instances without a class get one of their layer's name",
                    record=name,
                )
        if name not in self._entries:
            number = max((e.id for e in self._entries.values()), default=0) + 1
            self._entries[name] = ClassEntry(number, name)
        return self._entries[name]

    def all(self) -> list[ClassEntry]:
        """All classes, the declared ones first, in source order."""
        return list(self._entries.values())

    def number(self, entry: ClassEntry) -> int:
        """Index of a class among all, from 0."""
        return list(self._entries).index(entry.name)


#: Layer of Pascal VOC whose objects have boxes in another layer too.
_OBJECTS = "segmentation_object"


def instance_layers(
    selection: Selection, report: ExportReport, *, boxes: bool = False
) -> Selection:
    """The selection without semantic layers, unless layers were named.

    A class that covers parts of an image is not an instance; it is exported as one only if the user
    names its layer, or if there are no other layers. Objects of Pascal VOC that have a box and pixels
    are exported once: their pixels, or the boxes if `boxes` is set.
    """
    if selection.named_layers:
        return selection
    wanted = {}
    for image in selection.images:
        objects = tuple(n for n in image.layers if not image.stored.is_semantic(n))
        if objects and len(objects) < len(image.layers):
            left = ", ".join(n for n in image.layers if n not in objects)
            report.skip(
                "semantic layers have no instances: export them with --labels",
                record=left,
            )
        if selection.source == "voc" and _OBJECTS in objects and len(objects) > 1:
            twice = tuple(n for n in objects if (n != _OBJECTS) == boxes)
            left = ", ".join(n for n in objects if n not in twice)
            report.note(
                "objects with a box and pixels are exported once: see --labels", record=left
            )
            objects = twice
        wanted[image.path] = objects or image.layers
    return selection.with_layers(wanted)
