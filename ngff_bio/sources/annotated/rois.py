"""Regions of ImageJ and Fiji (``.roi`` files, sets of them in zips, overlays of TIFFs), and ROIs of
OME-TIFFs.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from ngff_bio.formats.imagej_roi import RoiFiles
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.ome_rois import OmeRois, regions_within
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.tiff.images import UNREAD_REGIONS
from ngff_bio.model import SourceDataset
from ngff_bio.sources.annotated.folder import OPTIONS, AnnotatedFolder
from ngff_bio.sources.assembly import base_of, folder_of, image_files, without_image
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source

#: Files of regions, and the part of their name that their image's does not have.
_REGIONS = re.compile(r"(\.roi|roi.*\.zip)$", re.IGNORECASE)
_SET = re.compile(r"[ _.-]*roi[ _-]?s?(et|_set)?s?[ _.-]*", re.IGNORECASE)

#: TIFFs whose metadata are looked at to recognize the format.
_LOOKED_AT = 64


def detect(tree: FileTree) -> int:
    """1 if there are image files and files of regions, or TIFFs with regions inside."""
    names = tree.names()
    images = image_files(names)
    if not images:
        return 0
    if any(not _of_cellpose(n, names) for n in filter(_REGIONS.search, names)):
        return 1
    tiffs = [n for n in images if n.lower().endswith((".tif", ".tiff"))]
    chosen = tiffs[:: max(len(tiffs) // _LOOKED_AT, 1)][:_LOOKED_AT]
    return int(any(any(regions_within(tree.file(name))) for name in chosen))


def _of_cellpose(name: str, names: Sequence[str]) -> bool:
    """Whether regions are those of masks that Cellpose saved beside them."""
    stem = name.removesuffix("_rois.zip")
    masks = tuple(f"{stem}_{end}" for end in ("seg.npy", "cp_masks.png", "cp_masks.tif"))
    return stem != name and not set(masks).isdisjoint(names)


def read(tree: FileTree, problems: Problems, *, axes: str | None = None) -> SourceDataset:
    """Every image file as an image, with its regions: each on its plane and frame, or on all planes.

    Parameters
    ----------
    axes
        Axes of TIFFs that do not state them.
    """
    names = tree.names()
    outside = [n for n in names if _REGIONS.search(n)]
    tiffs = [n for n in image_files(names) if n.lower().endswith((".tif", ".tiff"))]
    within = tree.each(lambda name: regions_within(tree.file(name)), tiffs)
    inside = [n for n, (imagej, _) in zip(tiffs, within, strict=True) if imagej]
    ome = [n for n, (_, xml) in zip(tiffs, within, strict=True) if xml]
    documents = [*outside, *inside, *ome]
    folder = AnnotatedFolder.open(tree, documents, "ROIs", problems, axes=axes)
    files: dict[str, list[str]] = defaultdict(list)
    for name in inside:
        files[name].append(name)
    for name in outside:
        with problems.caught():
            image = _image_of(name, folder)
            if image is None:
                raise without_image(name, "of its name, as a.tif for a_RoiSet.zip, or one alone")
            files[image].append(name)
    for image, listed in files.items():
        with problems.caught():
            header = folder.headers.get(image)
            if header is None:
                continue
            reader = RoiFiles(tuple(map(tree.file, listed)), image, _counts(header))
            folder.add(reader)
            folder.read_files |= set(listed)
    for name in ome:
        folder.add(OmeRois(tree.file(name)), find=lambda given, _: given)
    dataset = folder.dataset("rois")
    problems.notices[:] = [
        n
        for n in problems.notices
        if not (n.what.startswith(UNREAD_REGIONS) and n.file in (*inside, *ome))
    ]
    return dataset


def _stem(name: str) -> str:
    return base_of(name).rpartition(".")[0]


def _image_of(name: str, folder: AnnotatedFolder) -> str | None:
    """The image of a file of regions: of its name, of the name of its folder, or the only one near."""
    near = folder_of(name)
    stems = dict.fromkeys([_stem(name), _SET.sub("", _stem(name)), _SET.sub("", base_of(near))])
    for stem in stems:
        found = folder.finder.find(stem, near) if stem else None
        if found is not None:
            return found
    for place in (near, folder_of(near)):
        beside = [n for n in folder.images if folder_of(n) == place]
        if len(beside) == 1:
            return beside[0]
    return folder.images[0] if len(folder.images) == 1 else None


def _counts(header: ImageHeader) -> tuple[int, int, int]:
    """Number of channels, planes and frames of an image file."""
    sizes = dict(zip(header.axes, header.shape, strict=True))
    channels = sizes.get("c", 1) if header.samples == 1 else 1
    known = {*"tczyx"}
    other = [n for a, n in sizes.items() if a not in known]
    planes = sizes.get("z", 1) * (other[0] if len(other) == 1 else 1)
    return channels, planes, sizes.get("t", 1)


SOURCE = Source(
    name="rois",
    title="ImageJ and Fiji: ROI files, RoiSet.zip, overlays of TIFFs; ROIs of OME-TIFFs",
    layout="a.tif with a.roi, RoiSet.zip or a_RoiSet.zip; TIFFs with an overlay, OME-TIFFs with ROIs",
    detect=detect,
    read=read,
    options=OPTIONS,
)
