"""Fields of a well as one image, by their positions on the stage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from ngff_bio.errors import ArgumentError, SourceError
from ngff_bio.formats.images.composed import Mosaic
from ngff_bio.formats.limits import Limits
from ngff_bio.formats.problems import Problems
from ngff_bio.sources.plate.fields import Field


def stitched(fields: Sequence[Field], limits: Limits, problems: Problems) -> list[Field]:
    """One field for each well and acquisition.

    A field is put at its position on the stage, rounded to whole pixels. Where fields overlap, the one
    with the lower number is kept; pixels of no field are 0.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the source states no positions or no size of a pixel.
    ngff_bio.errors.SourceError
        If the image of a well would be too large, or its fields have different sizes.
    """
    wells: dict[tuple[str, int, int], list[Field]] = defaultdict(list)
    for field in fields:
        wells[field.row, field.column, field.acquisition].append(field)
    found = []
    for parts in wells.values():
        with problems.caught():
            found.append(_well(parts, limits, problems))
    return found


def _well(fields: Sequence[Field], limits: Limits, problems: Problems) -> Field:
    first = fields[0]
    name = f"well {first.row}{first.column}"
    corners = [_corner(f) for f in fields]
    top, left = (min(c[i] for c in corners) for i in (0, 1))
    y_step, x_step = (a.step for a in first.image.axes[-2:])
    offsets = [(round((y - top) / y_step), round((x - left) / x_step)) for y, x in corners]
    leading = {f.image.pixels.shape[:-2] for f in fields}
    if len(leading) > 1:
        raise SourceError(
            "fields of a well differ in time points, channels or planes: they are not stitched",
            file=first.planes[0][1].file,
            record=name,
            expected="fields of one shape",
            found=", ".join(map(str, sorted(leading))),
            hint="convert without --stitch",
        )
    sizes = [f.image.pixels.shape[-2:] for f in fields]
    height = max(y + h for (y, _), (h, _) in zip(offsets, sizes, strict=True))
    width = max(x + w for (_, x), (_, w) in zip(offsets, sizes, strict=True))
    limits.check_plane(height, width, first.planes[0][1].file, whole=False)
    covered = max(
        (_shared(a, b) for a, b in combinations(zip(offsets, sizes, strict=True), 2)), default=0
    )
    if covered:
        problems.note(
            "fields overlap: the one with the lower number is kept there",
            record=f"{name}: up to {covered} pixels of two fields",
        )
    inner = (0,) * len(next(iter(leading)))
    # The last tile that covers a pixel is seen.
    tiles = [
        (f.image.pixels, (*inner, *o))
        for f, o in zip(reversed(fields), reversed(offsets), strict=True)
    ]
    rows = max(h for h, _ in sizes)
    mosaic = Mosaic(tuple(tiles), (*next(iter(leading)), height, width), rows=rows)
    image = replace(
        first.image,
        name=first.image.name.rpartition(" field ")[0],
        pixels=mosaic,
        translation=(*(first.image.translation or ())[:-2], top, left),
        attributes={
            "well": f"{first.row}{first.column}",
            "stitched": [
                {"field": f.number, "offset": list(o), "size": list(s)}
                for f, o, s in zip(fields, offsets, sizes, strict=True)
            ],
        },
    )
    planes = tuple(p for f in fields for p in f.planes)
    return Field(first.row, first.column, first.acquisition, first.number, image, planes)


def _corner(field: Field) -> tuple[float, float]:
    at = field.image.translation
    if at is None:
        raise ArgumentError(
            "the fields cannot be stitched: their positions or the size of a pixel are not known",
            file=field.planes[0][1].file,
            expected="positions on the stage, as index files of instruments state them",
            hint="convert without --stitch",
        )
    return at[-2], at[-1]


def _shared(
    one: tuple[tuple[int, int], tuple[int, ...]], other: tuple[tuple[int, int], tuple[int, ...]]
) -> int:
    """Number of pixels that two rectangles share."""
    (ay, ax), (ah, aw) = one
    (by, bx), (bh, bw) = other
    return max(min(ay + ah, by + bh) - max(ay, by), 0) * max(min(ax + aw, bx + bw) - max(ax, bx), 0)
