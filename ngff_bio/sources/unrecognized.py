"""What a folder contains that no source takes, and what would take it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ngff_bio.errors import SourceNotFoundError
from ngff_bio.sources.assembly import ending_of, image_files
from ngff_bio.sources.files.archives import is_archive
from ngff_bio.sources.files.tree import STORE_MARKS, FileTree
from ngff_bio.sources.unread import WAYS, belongs

#: Formats of microscopes that no plug-in reads without Java, and Bio-Formats does.
_MICROSCOPE = {
    ".flex": "Opera",
    ".ics": "Nikon and Hamamatsu",
    ".ids": "Nikon and Hamamatsu",
    ".lei": "Leica",
    ".mvd2": "Volocity",
    ".nd": "MetaMorph",
    ".sld": "SlideBook",
}

#: Other files by their ending: what they are, and what to do.
_OTHERS = {
    ".csv": "a table names no pixels: name the folder that holds the image files too",
    ".tsv": "a table names no pixels: name the folder that holds the image files too",
    ".npy": "save NumPy arrays as TIFF (tifffile.imwrite)",
    ".npz": "save NumPy arrays as TIFF (tifffile.imwrite)",
    ".h5": "save the arrays of HDF5 files as TIFF (tifffile.imwrite)",
    ".hdf": "save the arrays of HDF5 files as TIFF (tifffile.imwrite)",
    ".hdf5": "save the arrays of HDF5 files as TIFF (tifffile.imwrite)",
    ".mat": "save the arrays of MATLAB files as TIFF",
    ".gif": "save GIF images as PNG or TIFF",
    ".webp": "save WebP images as PNG or TIFF",
    ".jp2": "save JPEG 2000 images as PNG or TIFF",
    ".dcm": "save DICOM images as TIFF",
    ".xml": "name the folder that holds the image files too",
}

#: Formats of JSON files.
_TITLES = {
    "coco": "COCO",
    "coco-panoptic": "COCO panoptic",
    "labelme": "labelme",
    "via": "VIA",
    "label-studio": "Label Studio",
    "supervisely": "Supervisely",
    "geojson": "GeoJSON",
    "datumaro": "Datumaro",
}

_EXPECTED = (
    "image files (TIFF, PNG, JPEG, BMP), alone or with annotations, in one of the formats that "
    "`ngff-bio formats` lists"
)

#: JSON files that are sniffed for annotations.
_SNIFFED_FILES = 16


def unrecognized(tree: FileTree) -> SourceNotFoundError:
    """The error for files that no source takes: what they are, and what would take them."""
    names = tree.names()
    what, hint = _advice(tree, names)
    return SourceNotFoundError(
        what, file=tree.origin, expected=_EXPECTED, found=counts_by_ending(names), hint=hint
    )


def counts_by_ending(names: Iterable[str]) -> str:
    """Counts of files by their ending, the most frequent first: ``3 .csv, 1 .xml``."""
    counts = Counter(ending_of(n) for n in names)
    shown = [f"{count} {ending or 'without an ending'}" for ending, count in counts.most_common(8)]
    if len(counts) > 8:
        shown.append(f"{len(counts) - 8} more kinds")
    return ", ".join(shown) or "no files"


def file_alone_hint(tree: FileTree) -> str:
    """The hint for an annotation file that was given in place of its folder."""
    folder = os.path.dirname(os.path.abspath(tree.origin))
    return f"give the folder that holds it and its image files, not the file: {folder}"


def _advice(tree: FileTree, names: list[str]) -> tuple[str, str]:
    """What the files are, in a sentence; and what to do."""
    unknown = "the format of the source is not recognized"
    stores = _stores(tree)
    if stores:
        return (
            "the source is a folder of OME-Zarr or Zarr stores",
            f"convert one of them: {stores[0]}",
        )
    unusable = [*image_files(tree.unusable), *tree.unusable]
    if unusable and not image_files(names):
        reason = tree.unusable[unusable[0]]
        return f"files of the source cannot be opened: {unusable[0]} is a {reason}", WAYS.get(
            reason, "allow reading the files, or copy them again"
        )
    if not names:
        return "the source contains no files", "check the path, and that the files are downloaded"
    alone = os.path.isfile(tree.origin) and len(names) == 1
    listed = [n for n in names if n.lower().endswith(".json")][:_SNIFFED_FILES]
    kinds = {kind: name for name in reversed(listed) if (kind := tree.json_kind(name))}
    for kind, name in kinds.items():
        title = _TITLES[kind]
        if alone:
            return (
                f"the source is a {title} file without its image files",
                file_alone_hint(tree),
            )
        if not image_files(names):
            return (
                f"the source has {title} annotations and no image files",
                f"name the folder that holds both {name} and its image files",
            )
    archives = [n for n in names if is_archive(n)]
    if archives:
        first = os.path.join(tree.origin, archives[0])
        named = f", or name one as the source: {first}" if Path(tree.origin).is_dir() else ""
        return unknown, f"unpack the archives{named}"
    endings = Counter(ending_of(n) for n in names)
    for ending, _ in endings.most_common():
        if ending in _MICROSCOPE:
            return (
                f"{_MICROSCOPE[ending]} {ending} files are not read",
                f"convert them with Bio-Formats: `bioformats2raw IN{ending} OUT.zarr` makes OME-Zarr, "
                f"`bfconvert IN{ending} OUT.ome.tif` OME-TIFF",
            )
        if ending in _OTHERS:
            return unknown, _OTHERS[ending]
    if all(n.lower().endswith(".txt") or belongs(n) for n in names):
        return "the source contains only documents", "name the folder that holds the image files"
    return unknown, "name the folder that holds the image files, or save them as TIFF, PNG or JPEG"


def _stores(tree: FileTree) -> list[str]:
    """The Zarr stores that a local source is, or contains: their files are not part of a source."""
    top = Path(tree.origin)
    if not top.is_dir():
        return []
    places = [top, *(p for p in sorted(top.iterdir()) if p.is_dir())]
    return [str(p) for p in places if any((p / mark).exists() for mark in STORE_MARKS)]
