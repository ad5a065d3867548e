"""Label layers from the annotations that one or several COCO files have for an image.

Files may list the same image: splits, experiments on subsets, several annotators. Where they have the
same annotations of it, these are one set, and each row names the files that it is in; where they
differ, each set is a separate layer named after its file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ngff_bio.formats.coco.file import AnnotationRuns, CocoFile, CocoImage
from ngff_bio.formats.coco.records import read_records
from ngff_bio.formats.json.text import JsonObject
from ngff_bio.formats.problems import skipped_notice
from ngff_bio.model import Category, Instance, InstanceLayer, OnError, SourceParts

#: Key of frame records and dataset attributes with the contents of COCO files.
KEY = "coco"


@dataclass(frozen=True, slots=True, eq=False)
class ImageEntry:
    """The entry of one image in one file."""

    coco: CocoFile
    image: CocoImage


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationSet:
    """The same annotations of one image, in one or several files.

    Parameters
    ----------
    entries
        The image in each of the files; rows are read from the first.
    runs
        Positions of the annotations, for each entry.
    same
        Whether the records of each entry equal the first one's byte by byte; else they differ in
        ids.
    """

    entries: tuple[ImageEntry, ...]
    runs: tuple[AnnotationRuns, ...]
    same: tuple[bool, ...]

    @property
    def count(self) -> int:
        """Number of annotations."""
        return self.runs[0].count


def annotation_sets(entries: Sequence[ImageEntry]) -> list[AnnotationSet]:
    """The different sets of annotations that files have for one image, in the order of files.

    Sets are the same if their records are equal, in the same order, except for ids.
    """
    groups: list[tuple[list[ImageEntry], list[AnnotationRuns], list[bool]]] = []
    for entry in entries:
        runs = entry.coco.annotations(entry.image)
        for members, known, same in groups:
            if known[0].count != runs.count:
                continue
            exact = _exactly(known[0], runs)
            if exact or _equal_but_ids(known[0], runs):
                members.append(entry)
                known.append(runs)
                same.append(exact)
                break
        else:
            groups.append(([entry], [runs], [True]))
    return [AnnotationSet(tuple(m), tuple(r), tuple(s)) for m, r, s in groups]


def _exactly(one: AnnotationRuns, other: AnnotationRuns) -> bool:
    if one.count == 0:
        return True
    return bool(one.digest) and one.digest == other.digest and one.is_list == other.is_list


def _equal_but_ids(one: AnnotationRuns, other: AnnotationRuns) -> bool:
    return all(
        _less_ids(a) == _less_ids(b) for a, b in zip(one.texts()[0], other.texts()[0], strict=True)
    )


def _less_ids(text: bytes) -> JsonObject:
    record: JsonObject = json.loads(text)
    return {k: v for k, v in record.items() if k not in ("id", "image_id")}


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """A set of annotations on frame ``t``.

    ``window`` is the part of the frame that the annotated image fills, if not all of it (see
    `Instance.window`).
    """

    annotations: AnnotationSet
    t: int
    window: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The annotations of one placement. Pickles to some hundred bytes."""

    runs: tuple[AnnotationRuns, ...]
    same: tuple[bool, ...]
    names: Mapping[int | str, str]
    first: int
    window: tuple[int, int, int, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class CocoInstances:
    """Instances of a layer, read from COCO files frame by frame.

    Parameters
    ----------
    parts
        For each frame that has annotations, by its index.
    on_error
        ``stop`` at a record that cannot be drawn, or ``skip`` it.
    """

    parts: Mapping[int, tuple[_Part, ...]]
    on_error: OnError = "stop"

    def read(self, t: int) -> list[Instance]:
        """All instances of frame `t`, in source order, with their label values set.

        Raises
        ------
        ngff_bio.errors.SourceError
            If a record cannot be drawn, unless errors are skipped.
        """
        return [i for part in self.parts.get(t, ()) for i in self._read(part, t)]

    def source_parts(self) -> SourceParts:
        """The COCO files."""
        return {runs.file for parts in self.parts.values() for p in parts for runs in p.runs}

    def _read(self, part: _Part, t: int) -> list[Instance]:
        texts, keys = part.runs[0].texts()
        indices = [runs.indices() for runs in part.runs]
        file = part.runs[0].name
        instances, errors = read_records(texts, part.names, indices[0], file)
        if errors and self.on_error == "stop":
            raise errors[min(errors)]
        files = tuple(runs.name for runs in part.runs)
        places = zip(*indices, strict=True)
        for value, (instance, place) in enumerate(zip(instances, places, strict=True), part.first):
            instance.value, instance.t, instance.window = value, t, part.window
            instance.files, instance.indices = files, place
        for i, error in errors.items():
            instances[i].notice = skipped_notice(error)
        if keys is not None or not all(part.same):
            _set_variants(instances, part, keys)
        return instances


def _set_variants(instances: list[Instance], part: _Part, keys: list[str] | None) -> None:
    """Set the members that differ between files: ids, and keys of an object that are not the id."""
    columns: list[list[str | None]] = []
    for number, runs in enumerate(part.runs):
        texts, own = (None, keys) if number == 0 else runs.texts()
        column: list[str | None] = []
        for i, instance in enumerate(instances):
            differs: JsonObject = {}
            source_id = instance.source_id
            if texts is not None and not part.same[number]:
                record = json.loads(texts[i])
                differs = {k: record[k] for k in ("id", "image_id") if k in record}
                source_id = record.get("id")
            if own is not None and own[i] != str(source_id):
                differs["key"] = own[i]
            column.append(json.dumps(differs) if differs else None)
        columns.append(column)
    for instance, row in zip(instances, zip(*columns, strict=True), strict=True):
        if any(one is not None for one in row):
            instance.variants = row


@dataclass(slots=True)
class _Layer:
    parts: dict[int, list[_Part]] = field(default_factory=dict)
    categories: dict[tuple[int | str, str], Category] = field(default_factory=dict)
    count: int = 0


def instance_layers(
    base: str,
    placements: Sequence[Placement],
    short: Mapping[str, str],
    on_error: OnError = "stop",
) -> tuple[tuple[InstanceLayer, ...], dict[int, str]]:
    """Label layers of one image from the sets of annotations on its frames.

    The first set of each frame (and window) goes to the layer `base`; every further one to a layer
    named after its file: ``cell``, ``cell-livecell_coco_val``, ``cell-livecell_coco_val-2``.

    Parameters
    ----------
    base
        Name of the first layer.
    placements
        In order of frames, and for each frame in order of preference of the files.
    short
        Short name of each file, for names of layers; see `short_names`.
    on_error
        See `CocoInstances`.

    Returns
    -------
    layers
        Empty if no frame has an annotation.
    names
        Name of the layer of each placement that has annotations, by its position.
    """
    layers: dict[str, _Layer] = {}
    names: dict[int, str] = {}
    taken: dict[tuple[int, tuple[int, int, int, int] | None], set[str]] = {}
    for number, placed in enumerate(placements):
        if not placed.annotations.count:
            continue
        used = taken.setdefault((placed.t, placed.window), set())
        coco = placed.annotations.entries[0].coco
        name = base if not used else f"{base}-{short[coco.name]}"
        plain, again = name, 1
        while name in used:
            again += 1
            name = f"{plain}-{again}"
        used.add(name)
        names[number] = name
        layer = layers.setdefault(name, _Layer())
        known = {c.id: c.name for c in coco.categories}
        layer.parts.setdefault(placed.t, []).append(
            _Part(
                placed.annotations.runs,
                placed.annotations.same,
                known,
                layer.count + 1,
                placed.window,
            )
        )
        layer.count += placed.annotations.count
        for category in coco.categories:
            layer.categories.setdefault((category.id, category.name), category)
    made = tuple(
        InstanceLayer(
            name,
            CocoInstances({t: tuple(p) for t, p in layers[name].parts.items()}, on_error),
            layers[name].count,
            layers[name].count,
            tuple(layers[name].categories.values()),
            on_error=on_error,
        )
        for name in sorted(layers, key=lambda n: (n != base, n))
    )
    return made, names


def frame_record(
    sets: Iterable[tuple[AnnotationSet, str | None]], numbers: Mapping[str, int]
) -> list[JsonObject]:
    """The entries of one image in the files, each different one once.

    Parameters
    ----------
    sets
        Sets of annotations with the name of their layer, ``None`` if they are empty.
    numbers
        Position of each file in the dataset's list of files: names would be repeated in every frame.

    Returns
    -------
    list
        Of ``{"record": entry, "files": [[file number, index in its images], ...], "layer": name}``.
    """
    found: dict[tuple[str, str | None], JsonObject] = {}
    for one, layer in sets:
        for entry in one.entries:
            key = (json.dumps(entry.image.record), layer)
            made = found.setdefault(key, {"record": entry.image.record, "files": []})
            if layer is not None:
                made["layer"] = layer
            made["files"].append([numbers[entry.coco.name], entry.image.index])
    return list(found.values())


def short_names(names: Sequence[str]) -> dict[str, str]:
    """A short name for each file: its stem, preceded by as many folders as make it unique."""
    paths = {n: PurePosixPath(n).with_suffix("").parts for n in names}
    depth = dict.fromkeys(names, 1)
    while True:
        short = {n: "-".join(p[-depth[n] :]) for n, p in paths.items()}
        users: dict[str, list[str]] = {}
        for name, text in short.items():
            users.setdefault(text, []).append(name)
        ambiguous = (n for same in users.values() if len(same) > 1 for n in same)
        growing = [n for n in ambiguous if depth[n] < len(paths[n])]
        if not growing:
            return short
        for name in growing:
            depth[name] += 1
