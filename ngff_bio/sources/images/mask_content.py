"""Image files whose pixels look like those of a mask or a label image, whatever their names.

A plane looks like a mask if most of its pixels are 0, and the others are areas of one value: a pixel of
an object mostly has a right neighbor of the same value, and where two pixels of objects touch they are
nearly always equal; or if a few pixels of one value mark objects. Acquired pixels have noise or
gradients, and so neither. A plane of one value says nothing; of a JPEG, nearly all pixels are near 0 or
near the largest value. Few pixels are read: files that are compressed as only masks are, one by one; of
other files, three of each folder (of each kind of names, if it has few), and three of those named as
another with an addition (``a_bw.tif`` as ``a.tif``).
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ngff_bio.errors import NgffBioError
from ngff_bio.formats.images.frames import open_image, stack_frames
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.images.label_pixels import without_noise
from ngff_bio.formats.problems import Problems
from ngff_bio.model import PixelArray, Pixels, SourceFile
from ngff_bio.sources.assembly import ending_of, folder_of, stem_of
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.label_names import by_convention

#: Files of more bytes than this part of their pixels and a header are not compressed as masks are.
_COMPRESSED, _HEADER = 0.2, 1024

#: Files of a folder that are sampled where their size shows nothing.
_SAMPLED = 3
#: Most kinds of names in a folder, but for numbers, that are sampled one by one.
_KINDS = 8

#: Rows and columns of the middle of a plane that are looked at; bytes of the largest block to decode.
_ROWS, _COLUMNS, _BYTES = 512, 2048, 1 << 26

#: Least parts: of zeros among pixels, of equal right neighbors among pixels of objects, of equal ones
#: among neighbors that both are of objects.
_ZEROS, _FLAT, _EQUAL = 0.5, 0.6, 0.95

#: Most part of a plane that marks of objects, of a few pixels each, cover.
_MARKS = 0.02

#: Folders of one kind: of images, of subjects, of dates.
_NUMBER = re.compile(r"[0-9a-f]{8,}|\d+", re.IGNORECASE)


def find_masks(
    tree: FileTree, headers: Mapping[str, ImageHeader], names: Iterable[str]
) -> list[str]:
    """Those of some image files that look like masks.

    If all sampled files of one ending of a folder (or of folders that differ in a number alone) look
    like masks or are empty, and one is a mask, all of them are looked at.
    """
    listed = list(names)
    stems = {stem_of(name) for name in listed}
    groups: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    kinds: dict[str, set[str]] = defaultdict(set)
    for name in listed:
        kinds[folder_of(name)].add(_NUMBER.sub("#", stem_of(name)))
    looked: list[str] = []
    for name in listed:
        header = headers[name]
        if header.dtype.kind not in "uib":
            continue
        raw = math.prod(header.shape) * header.dtype.itemsize
        small = tree.file(name).size < _COMPRESSED * raw + _HEADER
        if small and header.format != "jpeg":  # which always is small
            looked.append(name)
        elif header.format != "png":  # which always is compressed
            added = _NUMBER.sub("#", _addition(stem_of(name), stems))
            folder = folder_of(name)
            kind = _NUMBER.sub("#", stem_of(name)) if len(kinds[folder]) <= _KINDS else ""
            groups[_NUMBER.sub("#", folder), kind, added, ending_of(name)].append(name)
    found = _looks(tree, headers, looked)
    for members in groups.values():
        sample = members if len(members) <= _SAMPLED else members[:: len(members) // _SAMPLED]
        looks = _looks(tree, headers, sample)
        if False not in looks.values():
            rest = [m for m in members if m not in looks] if True in looks.values() else []
            found |= looks | _looks(tree, headers, rest)
    beside: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in listed:
        beside[_NUMBER.sub("#", folder_of(name)), ending_of(name)].append(name)
    for members in beside.values():  # an empty mask among masks is one
        looks_of = {found.get(name, False) for name in members}
        if looks_of == {True, None}:
            found |= dict.fromkeys(members, True)
    return sorted(name for name, look in found.items() if look)


def _addition(stem: str, stems: set[str]) -> str:
    """What a name has before or after that of another file."""
    cuts = [m.start() for m in re.finditer(r"[ _.-]", stem)]
    after = next((stem[cut:] for cut in cuts if stem[:cut] in stems), "")
    return after or next((stem[:cut] for cut in cuts if stem[cut + 1 :] in stems), "")


def masks_among(
    tree: FileTree,
    headers: Mapping[str, ImageHeader],
    names: Iterable[str],
    problems: Problems,
) -> set[str]:
    """Image files that no annotations are of, and that are named like label images or look like masks.

    They are reported, and not to be taken as images: they can be annotations themselves.
    """
    listed = [name for name in names if name in headers]
    found = {n: "is named like a label image" for n in listed if by_convention(n)}
    rest = [n for n in listed if n not in found]
    found |= dict.fromkeys(find_masks(tree, headers, rest), "looks like a mask")
    for name, why in found.items():
        problems.skip(f"the image has no annotations, and {why}", file=name)
    return set(found)


def _looks(
    tree: FileTree, headers: Mapping[str, ImageHeader], names: Sequence[str]
) -> dict[str, bool | None]:
    def look(name: str) -> bool | None:
        file, header = tree.file(name), headers[name]
        try:
            block: PixelArray | None = _middle(file, header)
            if header.format == "jpeg" and block is not None and block.size:
                block = without_noise(block)
            return False if block is None else looks_like_mask(block)
        except NgffBioError:  # reported where it is read
            return None

    return dict(zip(names, tree.each(look, names), strict=True))


def _middle(file: SourceFile, header: ImageHeader) -> PixelArray:
    """The middle of a plane as (c, y, x); empty if it takes too much to decode."""
    pixels: Pixels
    if header.palette and header.single:
        pixels, axes = stack_frames([file], headers=[header], indices=True), "yx"
    else:
        opened = open_image(file, header)[0]
        pixels, axes = opened.pixels, "".join(a.name for a in opened.axes)
    if math.prod(pixels.read_block_shape) * pixels.dtype.itemsize > _BYTES:
        return np.zeros((0, 0, 0), pixels.dtype)
    limits = {"y": _ROWS, "x": _COLUMNS, "c": 4}
    region = []
    for axis, size in zip(axes, pixels.shape, strict=True):
        count = min(size, limits.get(axis, 1))
        start = 0 if axis == "c" else (size - count) // 2
        region.append((start, start + count))
    block = pixels.read(tuple(region))
    return block.reshape(-1, *block.shape[-2:])


def looks_like_mask(planes: PixelArray) -> bool | None:
    """Whether pixels look like those of a mask or a label image; ``None`` if they have one value.

    Parameters
    ----------
    planes
        Integers (c, y, x): the samples of a color, or one. A fourth, alpha, is ignored.
    """
    values = planes[:1] if planes.shape[0] == 2 else planes[:3]
    plane = np.zeros(planes.shape[1:], np.int64)
    for sample in values:
        plane = plane * 65536 + sample
    if plane.size < 2 or (plane == plane.flat[0]).all():
        return None
    objects = plane != 0
    if objects.mean() > 1 - _ZEROS:
        return False
    found = plane[objects]
    if found.size > 1 and objects.mean() <= _MARKS and (found == found[0]).all():
        return True
    left, right = plane[:, :-1], plane[:, 1:]
    equal, both = left == right, objects[:, :-1] & objects[:, 1:]
    inside = objects[:, :-1]
    if not both.any():
        return False
    flat = (equal & inside).sum() / inside.sum()
    return bool(flat >= _FLAT and (equal & both).sum() / both.sum() >= _EQUAL)
