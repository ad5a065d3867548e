"""LIVECell's nuclear count benchmark: phase and fluorescence images, and nuclei counted in them.

``<X>.zip`` (phase), ``<X>_fluorescent_images.zip``, ``<X>_counts.json``: counts by file name, which
come as integers, floats or text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.json.text import parse_json, shown
from ngff_bio.formats.names import safe_names
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Channel, Frame, SourceImage, axes_from
from ngff_bio.sources.assembly import base_of, image_files
from ngff_bio.sources.files.tree import FileTree

#: Group of the benchmark's images in the store.
GROUP = "nuclear_count_benchmark"

Count = int | float

_ENDING = "_counts.json"
_CHANNELS = (Channel("phase contrast"), Channel("fluorescence", (0, 255, 0, 255)))


@dataclass(slots=True)
class CountSet:
    """The files of one set: names of phase and fluorescence images by file name."""

    counts: str
    phase: dict[str, str] = field(default_factory=dict)
    fluorescence: dict[str, str] = field(default_factory=dict)


def find_counts(names: list[str]) -> dict[str, CountSet]:
    """The benchmark's sets by name; its files are those beside a ``<X>_counts.json``."""
    sets = {
        base_of(n).removesuffix(_ENDING): CountSet(n) for n in names if base_of(n).endswith(_ENDING)
    }
    image_names = image_files(names)
    for found in sets.values():
        start = found.counts.removesuffix(_ENDING)
        for files, ending in ((found.phase, ""), (found.fluorescence, "_fluorescent_images")):
            folders = (f"{start}{ending}/", f"{start}{ending}.zip/")
            files.update((base_of(n), n) for n in image_names if n.startswith(folders))
    return sets


def count_images(
    tree: FileTree, sets: dict[str, CountSet], problems: Problems
) -> Iterator[SourceImage]:
    """One image of two channels for each phase image, with its count of nuclei."""
    for title in sorted(sets):
        found = sets[title]
        counts: dict[str, tuple[Count, Count | str]] = {}
        with problems.caught():
            counts = _read_counts(tree, found.counts, problems)
        indices = {name: index for index, name in enumerate(counts)}
        for name, safe in safe_names(sorted(found.phase)).items():
            phase, dark = found.phase[name], found.fluorescence.get(name)
            if dark is None:
                problems.warn("a phase image has no fluorescence image", phase)
            attributes: dict[str, object] = {"set": title}
            if name in counts:
                attributes |= {"nuclear_count": counts[name][0], "count": counts[name][1]}
                attributes["counts"] = {"file": found.counts, "index": indices[name]}
            else:
                problems.warn("an image has no count", found.counts, name)
            with problems.caught():
                files = [tree.file(p) for p in (phase, dark) if p is not None]
                yield SourceImage(
                    path=f"{GROUP}/{title}/{safe}",
                    name=name,
                    axes=axes_from("cyx"),
                    pixels=stack_frames(files, "c", limits=tree.limits),
                    channels=_CHANNELS[: len(files)],
                    frames=(Frame(name=phase, record={"fluorescence": dark} if dark else {}),),
                    attributes=attributes,
                )
        for name in found.fluorescence.keys() - found.phase.keys():
            problems.skip("a fluorescence image has no phase image", found.fluorescence[name])
        for name in counts.keys() - found.phase.keys():
            problems.skip("a count has no image", found.counts, name)


def _read_counts(
    tree: FileTree, name: str, problems: Problems
) -> dict[str, tuple[Count, Count | str]]:
    """Counts by file name: as a number, and as the file spells it."""
    content = parse_json(tree.file(name).read(), name, dict[str, object], lenient=True)
    counts: dict[str, tuple[Count, Count | str]] = {}
    for key, value in content.items():
        number = _number(value)
        if number is not None:
            counts[key] = number, value
            continue
        problems.fail(
            SourceError(
                "a count is not a number",
                file=name,
                record=key,
                expected="a number, or text of one",
                found=shown(value),
            )
        )
    return counts


def _number(value: object) -> Count | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else number
