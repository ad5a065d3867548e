"""Label layers from label images: one for a whole image, or one for each of its frames or planes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.composed import stack_pixels
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.images.label_pixels import LossyMask, fit_labels, open_label_image
from ngff_bio.formats.images.mapped_labels import refuse_other_size
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Pixels, SourceImage, VolumeLayer
from ngff_bio.model.pixels import flat_index
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.numbered import Naming, Series, find_series

#: Index along each axis that files are numbered on (none for the whole image), and the file.
PlacedFile = tuple[tuple[tuple[str, int], ...], str]


@dataclass(frozen=True, slots=True)
class LabelGrid:
    """Label files of one layer of one image.

    Parameters
    ----------
    along, counts
        Letters of the axes that they are stacked along, and the number of files along each.
    files
        One for each position, the last axis varying fastest; ``None`` where there is none.
    """

    along: str
    counts: tuple[int, ...]
    files: tuple[str | None, ...]

    @property
    def names(self) -> list[str]:
        """Files that are there."""
        return [name for name in self.files if name is not None]


def label_grid(one: Series, files: list[PlacedFile], naming: Naming) -> LabelGrid:
    """Label files in the order of the image's files.

    Parameters
    ----------
    one
        The image.
    files
        Its label files, each with its place.
    naming
        How they are numbered.

    Raises
    ------
    ngff_bio.errors.SourceError
        If two have one place.
    """
    along = one.along.replace("c", "")
    counts = tuple(len((one.numbers or {})[a]) for a in along)
    if len(files) == 1 and not files[0][0]:
        return LabelGrid("", (), (files[0][1],))
    if not along:  # an image that is one file, its labels a file for each frame
        split = find_series([n for _, n in files], naming, lambda _: None, lambda *_: None)
        if len(split) == 1:
            return LabelGrid(split[0].along, split[0].counts, split[0].files)
    grid: list[str | None] = [None] * math.prod(counts)
    for at, name in files:
        place = dict(at)
        number = flat_index([place.get(axis, 0) for axis in along], counts)
        if set(place) != set(along) or grid[number] is not None:
            raise SourceError(
                "two label images are of one image and one layer",
                file=name,
                found=", ".join(n for _, n in files[:5]),
                hint="give each layer a name with --labels NAME=GLOB",
            )
        grid[number] = name
    return LabelGrid(along, counts, tuple(grid))


def label_layer(
    tree: FileTree,
    image: SourceImage,
    layer: str,
    grid: LabelGrid,
    headers: Mapping[str, ImageHeader],
    problems: Problems,
    *,
    asked: bool = False,
) -> VolumeLayer:
    """The layer, on the image's axes.

    Parameters
    ----------
    asked
        Whether the files were selected by a rule.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a label image has colours, or does not fit the image.
    """
    names = grid.names
    pixels: list[Pixels | None] = []
    letters = ""
    for name in grid.files:
        if name is None:
            pixels.append(None)
            continue
        part, axes = open_label_image(tree.file(name), headers[name], tree.limits)
        if isinstance(part, LossyMask):
            problems.note(LossyMask.NOTE, record=name)
        if letters and axes != letters:
            raise SourceError(
                "label images of one image are of different kinds",
                file=name,
                expected=f"axes {letters}, those of {names[0]}",
                found=axes,
            )
        letters = axes
        if grid.along:  # a stack would fill smaller ones with background
            height, width = image.pixels.shape[-2:]
            refuse_other_size(name, (part.shape[-2], part.shape[-1]), (height, width))
        pixels.append(part)
    missing = len(grid.files) - len(names)
    if missing:
        problems.warn(
            f"{missing} of {len(grid.files)} frames have no label image: labels are 0 there",
            file=names[0],
        )
    source = pixels[0]
    if grid.along:
        shown = [n or "" for n in grid.files]
        stack = stack_pixels(pixels, letters, grid.along, grid.counts, shown)
        source, letters = stack, stack.axes
    if source is None:
        raise SourceError("a label layer without a file", record=layer)
    sizes = zip(image.axis_names, image.pixels.shape, strict=True)
    wide = sum(n > 1 for a, n in sizes if a != "c")
    if not asked and sum(n > 1 for n in source.shape) != wide:
        raise SourceError(
            "a file that is named like a label image has other axes than its image",
            file=names[0],
            expected=f"{wide} axes, as {image.name} has without channels",
            found=f"{letters} of {list(source.shape)}",
            hint="if it is an image, add --labels none (all files are images) or select the label "
            "images with --labels NAME=GLOB",
        )
    fitted, most = fit_labels(source, letters, names[0], image)
    return VolumeLayer(
        name=layer,
        pixels=fitted,
        kind="instance",
        max_value=most,
        attributes={
            "files": names,
            **({"file_places": [i for i, n in enumerate(grid.files) if n]} if missing else {}),
        },
    )
