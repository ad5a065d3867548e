"""Which sources there are, and which of them a folder holds.

Sources outside this package register an entry point in the group ``ngff_bio.sources``; its value is
an object with the attributes of :class:`Source`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from ngff_bio.errors import ArgumentError, SourceNotFoundError
from ngff_bio.model import OnError, SourceDataset
from ngff_bio.sources.files.tree import FileTree

GROUP = "ngff_bio.sources"


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of dataset.

    Parameters
    ----------
    name
        What ``--format`` calls it.
    title
        One line for ``ngff-bio formats``.
    layout
        The files that it looks for, for people.
    detect
        Given the files, how sure it is that they are its own: 0 is no; 1 a generic guess; 2 and
        above a dataset's own names. It looks at names, and where names do not tell, into the first
        kilobytes of few files.
    read
        Makes the dataset of the files; keyword options as in ``options``. Where it takes them, it is
        also given ``on_error`` (``stop`` or ``skip``: what to do about a wrong record) and
        ``progress`` (called with a file's name, the bytes read of it, and its size).
    options
        Name to help text.
    """

    name: str
    title: str
    layout: str
    detect: Callable[[FileTree], int]
    read: Callable[..., SourceDataset]
    options: Mapping[str, str] = field(default_factory=dict)


#: Module of each source that comes with the package, and what occurs in a name of every dataset of
#: its kind. Where no name has that, the module is not asked: loading all takes longer than a plane.
BUILT_IN = {
    "livecell": ("ngff_bio.sources.livecell.livecell", "_phase_|livecell_coco_"),
    "nuclei": ("ngff_bio.sources.coco.nuclei", r"\.json$"),
    "organoid": ("ngff_bio.sources.organoid", "proj_"),
    "platelet-em": ("ngff_bio.sources.platelet_em", "-(images|semantic|instance)"),
    "wbc": ("ngff_bio.sources.wbc.wbc", r"\.(jpe?g|json|csv)$"),
    "coco": ("ngff_bio.sources.coco.folder", r"\.json$"),
    "labelme": ("ngff_bio.sources.labelme", r"\.json$"),
    "images": ("ngff_bio.sources.images.folder", ""),
    "tiff": ("ngff_bio.sources.images.tiff", "$^"),
}


def sources() -> dict[str, Source]:
    """All sources by name: built-in ones first, then those of other packages."""
    return _loaded(BUILT_IN)


def _loaded(built_in: Iterable[str]) -> dict[str, Source]:
    found = {name: _load(BUILT_IN[name][0]) for name in built_in}
    for entry in entry_points(group=GROUP):
        if entry.name not in BUILT_IN:
            found[entry.name] = entry.load()
    return found


def _hinted(names: list[str]) -> Iterator[str]:
    """Sources that come into question for some names."""
    for source, (_, hint) in BUILT_IN.items():
        pattern = re.compile(hint, re.IGNORECASE)
        if not hint or any(pattern.search(name) for name in names):
            yield source


def _load(module: str) -> Source:
    source: Any = import_module(module).SOURCE
    if not isinstance(source, Source):
        raise TypeError(f"{module}.SOURCE is no Source")
    return source


def find_source(tree: FileTree, name: str | None = None) -> Source:
    """The source of a tree of files; ``name`` says it instead of looking.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the name is not known, or files of two sources lie there.
    ngff_bio.errors.SourceNotFoundError
        If no source knows the files.
    """
    if name is not None:
        known = sources()
        if name not in known:
            raise ArgumentError(
                "this format is not known",
                expected=", ".join(known),
                found=name,
                hint="run `ngff-bio formats` to see what each looks for",
            )
        return known[name]
    names = tree.names()
    known = _loaded(_hinted(names))
    sure = {n: s.detect(tree) for n, s in known.items()}
    best = [n for n, v in sure.items() if v and v == max(sure.values())]
    if not best:
        raise SourceNotFoundError(
            "no known dataset lies here",
            file=tree.origin,
            expected="; ".join(f"{s.name}: {s.layout}" for s in sources().values()),
            found=_some(names),
            hint="name the folder that the dataset lies in, or say what it is with --format",
        )
    if len(best) > 1:
        raise ArgumentError(
            "files of more than one dataset lie here",
            file=tree.origin,
            found=" and ".join(best),
            hint=f"say which one with --format {best[0]} or --format {best[1]}",
        )
    return known[best[0]]


def read_source(
    source: Source,
    tree: FileTree,
    options: Mapping[str, Any] | None = None,
    *,
    on_error: OnError = "stop",
    progress: Callable[[str, int, int], None] | None = None,
) -> SourceDataset:
    """The dataset of a tree of files.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If an option is none of this source's.
    ngff_bio.errors.SourceError
        If the files are wrong.
    """
    given = dict(options or {})
    for name in given:
        if name not in source.options:
            raise ArgumentError(
                f"the format {source.name} has no such option",
                expected=", ".join(source.options) or "no options",
                found=name,
                hint="run `ngff-bio formats` to see the options of each",
            )
    takes = inspect.signature(source.read).parameters
    general = {"on_error": on_error, "progress": progress}
    dataset = source.read(tree, **given, **{k: v for k, v in general.items() if k in takes})
    skipping = {"on_error": on_error} if on_error != "stop" else {}
    return replace(dataset, options={**given, **skipping})


def _some(names: list[str]) -> str:
    if not names:
        return "no files"
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
