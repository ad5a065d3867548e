"""Files that are not read, and could hold annotations or pixels: a conversion stops at them.

Sources of any folder call `account_for` with what they do not read. Nothing is left out unseen: such
files end the conversion with a list of them, or are reported as skipped if the user says so.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from ngff_bio.errors import SourceError
from ngff_bio.formats.problems import Problems
from ngff_bio.sources.assembly import DOCUMENTS, base_of, image_files
from ngff_bio.sources.files.archives import is_archive
from ngff_bio.sources.files.tree import FileTree

#: Help text of the option ``ignore_unread`` of sources that call `account_for`.
IGNORE_HELP = "leave out files that could hold annotations and are not read"

#: What a file is by its ending, where every such file could hold annotations or pixels.
_KINDS = {
    ".json": "JSON of another kind",
    ".geojson": "GeoJSON",
    ".xml": "XML, as of Pascal VOC or CVAT",
    ".roi": "ImageJ region",
    ".npy": "NumPy array",
    ".npz": "NumPy arrays",
    ".mat": "MATLAB arrays",
    ".h5": "HDF5 arrays",
    ".hdf5": "HDF5 arrays",
    ".parquet": "table",
    **dict.fromkeys((".czi", ".lif", ".lsm", ".nd2", ".oib", ".vsi", ".ims"), "microscope image"),
    **dict.fromkeys((".gif", ".webp", ".jp2", ".dcm", ".svs", ".ndpi"), "image of another format"),
}

#: Bytes of a table in which names of images are looked for.
_SNIFFED = 1 << 16

_WORD = re.compile(r"[^\s,;\"'|/\\]+")


def account_for(
    tree: FileTree,
    unread: Iterable[str],
    problems: Problems,
    what: str,
    *,
    ignore: bool,
    masks: Iterable[str] = (),
) -> None:
    """Report files that a source does not read.

    Parameters
    ----------
    unread
        Their names; they can include documents.
    what
        What they are not, for the report.
    ignore
        Whether files that could hold annotations are left out, too.
    masks
        Image files that are named like label images, and are not read either.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a file could hold annotations or pixels, and `ignore` is not set.
    """
    stems = {PurePosixPath(n).stem for n in image_files(tree.names())}
    found: dict[str, list[str]] = defaultdict(list)
    for name in masks:
        found["image named like a label image"].append(name)
    for name in unread:
        kind = _kind(tree, name, stems)
        if kind is not None:
            found[kind].append(name)
        elif not name.lower().endswith(DOCUMENTS):
            problems.skip(what, record=name)
    if not found:
        return
    if not ignore:
        count = sum(map(len, found.values()))
        files = "file" if count == 1 else "files"
        raise SourceError(
            f"{count} {files} that could hold annotations would not be read",
            file=next(iter(found.values()))[0],
            expected="files that the format reads, and documents",
            found="; ".join(f"{kind}: {_some(names)}" for kind, names in found.items()),
            hint="to convert without them, add --ignore-unread; `ngff-bio formats` lists what is read",
        )
    for kind, names in found.items():
        for name in names:
            problems.skip(f"not read, as --ignore-unread says: {kind}", record=name)


def _kind(tree: FileTree, name: str, stems: set[str]) -> str | None:
    """What a file could hold, or ``None`` if it holds no annotations and no pixels."""
    path = PurePosixPath(name)
    ending = path.suffix.lower()
    if ending in _KINDS:
        return _KINDS[ending]
    if is_archive(name):
        return "ImageJ regions" if "roi" in base_of(name).lower() else "archive"
    if ending == ".txt" and path.stem in stems:
        return "text named like an image, as of YOLO"
    if ending in (".csv", ".tsv"):
        with tree.file(name).open() as stream:
            text = stream.read(_SNIFFED).decode("utf-8", "replace")
        words = {PurePosixPath(w).stem for w in _WORD.findall(text) if image_files([w])}
        if not words.isdisjoint(stems):
            return "table that names images"
    return None


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{len(names)} ({shown}{', ...' if len(names) > 3 else ''})"
