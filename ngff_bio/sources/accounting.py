"""Each file of a source is read, belongs to what is read, is excluded, or is unread; none is silent.

`read_source` calls this for all sources. A source declares nothing for files that its pixels and layers
name; other files that it reads are ``read_files`` of its dataset, and globs of files that accompany its
datasets are ``belongs`` of the source.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from ngff_bio.errors import SourceError
from ngff_bio.formats.mat_labels import missing_readers
from ngff_bio.model import FileAccount, Notice, SourceDataset, gathered, names_of
from ngff_bio.sources.assembly import base_of, ending_of, image_files, stem_of
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.unread import WAYS, belongs, looks_like

#: Kind of files that begin with a dot, and of those that an operating system adds.
HIDDEN = "hidden file"

#: Hidden files that were hidden by somebody, and not by a program.
_DATA = re.compile(
    r"(?!.*(?:^|/)(?:\._|__MACOSX/|\.git/|\.ipynb_checkpoints/))"
    r".*\.(?:tiff?|png|jpe?g|bmp|json|geojson|xml|csv|npy|npz|h5|mat|roi|zip)",
    re.IGNORECASE,
)


def account_for(
    tree: FileTree, dataset: SourceDataset | None, accompanying: Iterable[str] = ()
) -> FileAccount:
    """Class each file of a source.

    Parameters
    ----------
    dataset
        What was read; ``None`` if reading failed, and nothing was.
    accompanying
        Globs of further files that belong to datasets of this kind, in lower case.
    """
    tree = tree.innermost()
    names = tree.names()
    used = set() if dataset is None else _used(dataset, set(names))
    patterns = tuple(accompanying)
    rest = {n: belongs(n) or _matching(n, patterns) for n in names if n not in used}
    unread = [n for n, kind in rest.items() if kind is None]
    return FileAccount(
        read={n: ending_of(n) for n in names if n in used},
        belongs={n: kind for n, kind in rest.items() if kind is not None}
        | dict.fromkeys(tree.hidden, HIDDEN),
        excluded=dict(tree.excluded),
        unread=looks_like(tree, unread)
        | {n: kind for n, kind in tree.unusable.items() if belongs(n) is None},
    )


def _matching(name: str, patterns: Iterable[str]) -> str | None:
    lower = name.lower()
    found = any(fnmatchcase(lower if "/" in p else base_of(lower), p) for p in patterns)
    return "side file of the dataset" if found else None


def _used(dataset: SourceDataset, names: set[str]) -> set[str]:
    """Names of files that a dataset is read from; of an archive that is not opened, the archive."""
    parts = list(dataset.source_parts())
    found = names_of(parts).union(dataset.read_files)
    if any(part is None for part in parts):  # nothing is declared: frames have the names of files
        found.update(frame.name for image in dataset.images for frame in image.frames)
    inside = found - names  # members of an archive that is read in place, parts of a file
    return (found & names) | {above for n in inside for above in _above(n) if above in names}


def _above(name: str) -> Iterator[str]:
    yield name.partition("#")[0]
    parts = name.split("/")
    for end in range(1, len(parts)):
        yield "/".join(parts[:end])


def checked(
    dataset: SourceDataset, account: FileAccount, *, ignore_unread: bool, skipping: bool
) -> SourceDataset:
    """The dataset with the account of its files, and a notice for each kind of file left out.

    Parameters
    ----------
    ignore_unread
        Whether files that could hold annotations or pixels are left out.
    skipping
        Whether errors are skipped: images that could not be read then have their notice.

    Raises
    ------
    ngff_bio.errors.SourceError
        If an unread file could hold annotations or pixels, and `ignore_unread` is not set.
    """
    reasons = {n.file: n.what for n in dataset.notices if n.kind == "skipped" and n.file}
    lost = {stem_of(name) for name in image_files(reasons)} if skipping else set()
    stopping: dict[str, list[str]] = defaultdict(list)
    notices = [
        Notice("note", f"excluded: {kind}", record=name) for name, kind in account.excluded.items()
    ]
    notices += [
        Notice("note", "hidden files are not read; to convert them, rename them", record=name)
        for name, kind in account.belongs.items()
        if kind == HIDDEN and _DATA.fullmatch(name)
    ]
    for name, kind in account.unread.items():
        known = skipping and (name in reasons or kind.startswith("image file"))
        if not known and not image_files([name]) and _is_of(name, lost):
            what = "not read, since the image file of this name is skipped"
            notices.append(Notice("skipped", what, record=name))
        elif not (known or ignore_unread or kind.startswith("other")):
            reason = reasons.get(name)
            stopping[f"{kind}: {reason}" if reason else kind].append(name)
        elif name not in reasons and not known:
            why = "not read, as --ignore-unread says" if ignore_unread else "not read"
            notices.append(Notice("skipped", f"{why}: {kind}", record=name))
    if stopping:
        raise _unread_error(stopping, dataset.source)
    return replace(dataset, account=account, notices=tuple(gathered([*dataset.notices, *notices])))


def _is_of(name: str, images: Collection[str]) -> bool:
    """Whether a file is named like one of the images: ``a.txt``, ``a_RoiSet.zip``."""
    stem = os.path.splitext(base_of(name))[0]
    return stem in images or any(stem.startswith((f"{i}_", f"{i}-", f"{i}.")) for i in images)


def _unread_error(found: Mapping[str, list[str]], source: str) -> SourceError:
    count = sum(map(len, found.values()))
    kinds = {kind.partition(":")[0] for kind in found}
    ways = [*dict.fromkeys(WAYS[kind] for kind in found if kind in WAYS)]
    if "MATLAB arrays" in kinds and (command := missing_readers()):
        ways.insert(0, f"to read maps of instances in MATLAB files (HoVer-Net): {command}")
    if source == "well-table" and "image file" in kinds:
        ways.insert(
            0, "label images are read if a column ObjectsFileName_NAME of the table names them"
        )
    tables = [n for names in found.values() for n in names if n.lower().endswith(".csv")]
    if tables and source == "plate":
        ways.insert(0, f"a table of wells is read with --wells {tables[0]}")
    return SourceError(
        f"{count} {'file' if count == 1 else 'files'} that could hold annotations or pixels would "
        "not be read",
        file=next(iter(found.values()))[0],
        expected="files that the format reads, and documents",
        found="; ".join(f"{kind}: {_some(names)}" for kind, names in found.items()),
        hint="; ".join(ways)
        + ("; " if ways else "")
        + "to convert without them, add --ignore-unread, or leave some out with --exclude GLOB; "
        "`ngff-bio formats` lists what is read",
    )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{len(names)} ({shown}{', ...' if len(names) > 3 else ''})"
