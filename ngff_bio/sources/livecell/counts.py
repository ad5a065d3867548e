"""LIVECell's nuclear count benchmark: phase and fluorescence images, and nuclei counted in them.

``<X>.zip`` (phase), ``<X>_fluorescent_images.zip``, ``<X>_counts.json``: counts by file name, which
come as integers, floats or text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.frames import safe_names, stack_frames
from ngff_bio.formats.images.headers import EXTENSIONS
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Channel, Frame, SourceImage, axes_from
from ngff_bio.sources.files.tree import FileTree

#: Group of the benchmark's images in the store.
GROUP = "nuclear_count_benchmark"

_COUNTS = re.compile(r"(?:^|/)(?P<set>[^/]+)_counts\.json$")
_IMAGES = re.compile(
    r"^(?P<folder>(?:.*/)?)(?P<set>[^/]+?)(?P<dark>_fluorescent_images)?(?:\.zip)?/(?:.*/)?[^/]+$"
)
_CHANNELS = (Channel("phase contrast"), Channel("fluorescence", (0, 255, 0, 255)))


@dataclass(slots=True)
class CountSet:
    """The files of one set: names of phase and fluorescence images by file name."""

    counts: str | None = None
    phase: dict[str, str] = field(default_factory=dict)
    fluorescence: dict[str, str] = field(default_factory=dict)


def find_counts(names: list[str]) -> dict[str, CountSet]:
    """The benchmark's sets by name; its files are those beside a ``<X>_counts.json``."""
    sets: dict[str, CountSet] = {}
    folders: dict[str, str] = {}
    for name in names:
        match = _COUNTS.search(name)
        if match is not None:
            sets[match["set"]] = CountSet(counts=name)
            folders[match["set"]] = name[: match.start("set")]
    for name in names:
        match = _set_of(name, folders)
        if match is not None and name.lower().endswith(EXTENSIONS):
            found = sets[match["set"]]
            images = found.fluorescence if match["dark"] else found.phase
            images[PurePosixPath(name).name] = name
    return sets


def _set_of(name: str, folders: dict[str, str]) -> re.Match[str] | None:
    for depth in range(1, name.count("/") + 1):
        head = "/".join(name.split("/")[:depth])
        match = _IMAGES.match(f"{head}/x")
        if match is not None and folders.get(match["set"]) == match["folder"]:
            return match
    return None


def count_images(
    tree: FileTree, sets: dict[str, CountSet], problems: Problems
) -> Iterator[SourceImage]:
    """One image of two channels for each phase image, with its count of nuclei."""
    for title in sorted(sets):
        found = sets[title]
        counts = _read_counts(tree, found.counts, problems)
        places = {name: index for index, name in enumerate(counts)}
        names = safe_names(sorted(found.phase))
        for name, safe in names.items():
            place = found.phase[name]
            dark = found.fluorescence.get(name)
            if dark is None:
                problems.warn("a phase image has no fluorescence image", place)
            try:
                files = [tree.file(p) for p in (place, dark) if p is not None]
                pixels = stack_frames(files, "c", limits=tree.limits)
            except SourceError as error:
                problems.fail(error)
                continue
            attributes: dict[str, object] = {"set": title}
            if name in counts:
                attributes |= {"nuclear_count": counts[name][0], "count": counts[name][1]}
                attributes["counts"] = {"file": found.counts, "index": places[name]}
            elif found.counts is not None:
                problems.warn("an image has no count", found.counts, name)
            yield SourceImage(
                path=f"{GROUP}/{title}/{safe}",
                name=name,
                axes=axes_from("cyx"),
                pixels=pixels,
                channels=_CHANNELS[: len(files)],
                frames=(Frame(name=place, record={"fluorescence": dark} if dark else {}),),
                attributes=attributes,
            )
        for name in found.fluorescence.keys() - found.phase.keys():
            problems.skip("a fluorescence image has no phase image", found.fluorescence[name])
        for name in counts.keys() - found.phase.keys():
            problems.skip("a count is of an image that is not there", found.counts, name)


def _read_counts(
    tree: FileTree, place: str | None, problems: Problems
) -> dict[str, tuple[int | float, int | float | str]]:
    """Counts by file name: as a number, and as the file spells it."""
    if place is None:
        return {}
    try:
        content = json.loads(tree.file(place).read().decode("utf-8-sig"))
        if not isinstance(content, dict):
            raise ValueError("no object")
    except (ValueError, RecursionError) as error:
        problems.fail(
            SourceError(
                "the counts cannot be read",
                file=place,
                expected='{"<file name>": <count>, ...}',
                found=error,
                hint="download or copy the file again",
            )
        )
        return {}
    counts: dict[str, tuple[int | float, int | float | str]] = {}
    for name, value in content.items():
        number = _number(value)
        if number is None:
            problems.fail(
                SourceError(
                    "a count is no number",
                    file=place,
                    record=name,
                    expected="a number, or text of one",
                    found=json.dumps(value),
                )
            )
        else:
            counts[name] = number, value
    return counts


def _number(value: object) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    if number != number or number in (float("inf"), float("-inf")):
        return None
    return int(number) if number.is_integer() else number
