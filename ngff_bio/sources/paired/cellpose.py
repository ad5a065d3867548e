"""Folders that Cellpose writes its results to, beside the images.

``a_seg.npy`` (masks of the interface), ``a_cp_masks.png`` or ``.tif``, ``a_masks.*``, and
``a_cp_outlines.txt`` (an outline in each line, as for ImageJ); with ``--in_folders`` in folders
``masks`` and ``txt_outlines``. Omnipose writes ``a_masks.*`` beside ``a_flows.tif``.
https://cellpose.readthedocs.io/en/latest/outputs.html
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ngff_bio.errors import SourceError
from ngff_bio.formats.problems import Problems
from ngff_bio.model import (
    Instance,
    InstanceLayer,
    Polygons,
    SourceDataset,
    SourceFile,
    SourceParts,
)
from ngff_bio.sources.assembly import base_of, folder_of, image_files, stem_of, without_image
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.paired.pairs import Labels, Pair, PairReader
from ngff_bio.sources.registry import Source

#: Names of files that hold labels.
_LABELS = re.compile(
    r"^(?P<image>.+?)_(?:(?P<seg>seg)\.npy|(?P<layer>cp_masks|masks)\.(?:png|tiff?)|"
    r"(?P<outlines>cp_outlines|outlines)\.txt)$"
)
#: Files that show the network's output, or the masks again.
_SHOWN = (
    *("*_cp_output.*", "*_output.*", "*_flows*.*", "*_outlines*.png", "*_outlines*.svg"),
    *("*_dp.*", "*_cellprob.*", "*_rois.zip", "*_ncolor_masks.*"),
)
#: Losses that training writes beside models.
_LOSSES = ("models/*_losses.npy", "*/models/*_losses.npy")

#: Parts of images' names that the names of results do not have (``000_img.png``, ``000_masks.png``).
_IMAGE = re.compile(r"_(img|image)$")


def detect(tree: FileTree) -> int:
    """1 if a name ends as only Cellpose's results do."""
    names = tree.names()
    own = re.compile(r"(_seg\.npy|_cp_masks\.(png|tiff?)|_(cp_)?outlines\.txt|[^/]_flows\.tiff?)$")
    return int(bool(image_files(names)) and any(map(own.search, names)))


def read(tree: FileTree, problems: Problems) -> SourceDataset:
    """Every image with its masks; outlines, which are made of masks, only where there are none."""
    names = tree.names()
    results: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    rest: list[str] = []
    for name in names:
        match = None if _is_shown(name) else _LABELS.match(base_of(name))
        if match is not None:
            kind = match["layer"] or match["outlines"] or match["seg"]
            results[folder_of(name), match["image"]][kind] = name
        else:
            rest.append(name)
    images = [n for n in image_files(rest) if not _is_shown(n)]
    outlines = [r[k] for r in results.values() for k in ("cp_outlines", "outlines") if k in r]
    pairs = [_pair(tree, name, results, problems) for name in images]
    for (_, stem), files in results.items():
        name = next(iter(files.values()))
        problems.fail(without_image(name, f"{stem}.* beside it", what="results of Cellpose"))
    return PairReader(tree, problems).dataset("cellpose", pairs, read_files=outlines)


def _is_shown(name: str) -> bool:
    return any(fnmatchcase(name.lower(), glob) for glob in _SHOWN)


def _pair(
    tree: FileTree, name: str, results: dict[tuple[str, str], dict[str, str]], problems: Problems
) -> Pair:
    folder, stem = folder_of(name), stem_of(name)
    files: dict[str, str] = {}
    for below in ("", "masks", "txt_outlines"):
        place = f"{folder}/{below}".strip("/")
        for own in (stem, _IMAGE.sub("", stem)):
            files |= results.pop((place, own), {})
    labels = [Labels(kind, files[kind]) for kind in ("seg", "cp_masks", "masks") if kind in files]
    layers: tuple[InstanceLayer, ...] = ()
    for kind in ("cp_outlines", "outlines"):
        if kind in files and labels:
            problems.note("outlines of masks that are read: not read", record=files[kind])
        elif kind in files:
            with problems.caught():
                lines = OutlineLines(tree.file(files[kind]))
                count = len(lines.read(0))
                layers = (
                    InstanceLayer("outlines", lines, count, count, on_error=problems.on_error),
                )
    if not files:
        problems.note("images without labels", record=name)
    return Pair(folder, base_of(name), (name,), tuple(labels), layers=layers)


@dataclass(frozen=True, slots=True)
class OutlineLines:
    """Instances from lines of ``x,y,x,y,...``, in pixels."""

    file: SourceFile

    def read(self, t: int) -> list[Instance]:
        """All instances; label values are 1, 2, ...

        Raises
        ------
        ngff_bio.errors.SourceError
            If a line is not a list of three points or more.
        """
        if t:
            return []
        found: list[Instance] = []
        for number, line in enumerate(self.file.read().decode("utf-8", "replace").splitlines(), 1):
            if not line.strip():
                continue
            try:
                values = [float(v) for v in line.strip().rstrip(",").split(",")]
            except ValueError:
                values = []
            if len(values) < 6 or len(values) % 2 or not all(abs(v) < 1e7 for v in values):
                raise SourceError(
                    "a line is not an outline",
                    file=self.file.name,
                    record=f"line {number}",
                    expected="x,y of three points or more, in pixels",
                    found=line.strip()[:60],
                    hint="correct the line, or leave the file out with --on-error skip",
                )
            record = json.dumps({"line": number, "outlines": self.file.name}, ensure_ascii=False)
            found.append(Instance(len(found) + 1, Polygons((tuple(values),)), record=record))
        return found

    def source_parts(self) -> SourceParts:
        """The file."""
        return (self.file,)


SOURCE = Source(
    name="cellpose",
    title="Cellpose: masks and outlines beside the images",
    layout="a.tif with a_seg.npy, a_cp_masks.png, a_masks.tif or a_cp_outlines.txt",
    detect=detect,
    read=read,
    belongs=(*_SHOWN, *_LOSSES),
)
