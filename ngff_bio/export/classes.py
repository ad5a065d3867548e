"""The classes of a selection, under ids that hold for all of its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ngff_bio.export.annotations import Annotation
from ngff_bio.export.report import Report
from ngff_bio.export.selection import Selection


@dataclass(frozen=True, slots=True)
class ClassEntry:
    """A class: its id in the export, its name, and what else the source says of it."""

    id: int
    name: str
    color: tuple[int, ...] | None = None
    record: Mapping[str, Any] = field(default_factory=dict)


class Classes:
    """Classes by name, the declared ones first, others as they are met.

    Declared whole-number ids are kept where they tell the classes apart; else all are numbered.
    An instance without a class has that of its layer: formats want one, and none is invented.
    """

    def __init__(self, selection: Selection, report: Report) -> None:
        self._report = report
        self._entries: dict[str, ClassEntry] = {}
        declared: dict[str, Mapping[str, Any]] = {}
        agree = True
        for picture in selection.pictures:
            for layer in picture.layers:
                for one in picture.stored.layer(layer).get("categories") or ():
                    known = declared.setdefault(str(one["name"]), one)
                    agree &= known["id"] == one["id"]
        ids = [one["id"] for one in declared.values()]
        kept = agree and all(isinstance(i, int) for i in ids) and len(set(ids)) == len(ids)
        if not kept and ids:
            report.warn("ids of classes do not tell them apart in one file: they are numbered anew")
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
                    "instances without a class are written as the class of their layer's name",
                    record=name,
                )
        if name not in self._entries:
            number = max((e.id for e in self._entries.values()), default=0) + 1
            self._entries[name] = ClassEntry(number, name)
        return self._entries[name]

    def all(self) -> list[ClassEntry]:
        """All classes, declared ones in the source's order."""
        return list(self._entries.values())

    def number(self, entry: ClassEntry) -> int:
        """Place of a class among all, from 0."""
        return list(self._entries).index(entry.name)


def instance_layers(selection: Selection, report: Report) -> Selection:
    """The same with only the layers that hold instances, where no layer was named.

    A class that covers parts of an image is no instance; it is exported as one where the user names
    its layer, or where there is nothing else.
    """
    if selection.named_layers:
        return selection
    wanted = {}
    for picture in selection.pictures:
        objects = tuple(n for n in picture.layers if not picture.stored.is_semantic(n))
        if objects and len(objects) < len(picture.layers):
            left = ", ".join(n for n in picture.layers if n not in objects)
            report.skip(
                "layers whose values are classes are not instances: choose them with --labels",
                record=left,
            )
        wanted[picture.path] = objects or picture.layers
    return selection.with_layers(wanted)
