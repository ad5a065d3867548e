"""Planes of a plate as images: one for each field, or one for each well where fields are stitched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.composed import stack_pixels
from ngff_bio.formats.images.frames import open_image, stack_frames
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.tiff.images import OpenedImage
from ngff_bio.model import Axis, Channel, Frame, Pixels, SourceFile, SourceImage
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.plate.planes import PlateIndex, PlatePlane

#: Largest difference of two steps along z that are called equal, as a part of the step.
_EQUAL = 0.01


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a well in one acquisition, before it is placed in the plate.

    Parameters
    ----------
    acquisition
        Position of its acquisition.
    number
        The instrument's own number.
    image
        Its image, without a path.
    planes
        What it is made of, each with its index (t, c, z).
    """

    row: str
    column: int
    acquisition: int
    number: int
    image: SourceImage
    planes: tuple[tuple[tuple[int, int, int], PlatePlane], ...]


@dataclass(frozen=True, slots=True)
class FieldReader:
    """Reads the fields of one acquisition.

    Parameters
    ----------
    index
        Its planes.
    number
        Its position among the acquisitions of the plate.
    headers
        Of all image files that are readable.
    """

    tree: FileTree
    problems: Problems
    headers: Mapping[str, ImageHeader]
    index: PlateIndex
    number: int

    def fields(self) -> list[Field]:
        """All fields, sorted by well and number; those that cannot be read are reported."""
        groups: dict[tuple[int, str, int, int], list[PlatePlane]] = defaultdict(list)
        for plane in self.index.planes:
            key = (len(plane.row), plane.row, plane.column, plane.field)
            groups[key].append(plane)
        keys = list(self.index.channels)
        keys += sorted({p.channel for p in self.index.planes} - {*keys})
        numbers = {
            a: sorted({getattr(p, a) for planes in groups.values() for p in planes}) for a in "tz"
        }
        if min(self.index.pixel_size or (1,)) <= 0:
            self.problems.warn("the size of a pixel that is stated is not above 0: it is not taken")
        step = self.z_step()
        if step is not None and step < 0:
            numbers["z"].reverse()
            self.problems.note(
                "planes are in the order of rising z: their numbers rise the other way"
            )
        step = None if step is None else abs(step)
        grid = _Grid(tuple(keys), tuple(numbers["t"]), tuple(numbers["z"]), step)
        found = []
        for _, planes in sorted(groups.items()):
            with self.problems.caught():
                found.append(self._field(planes, grid))
        self._report(found, grid)
        return found

    def z_step(self) -> float | None:
        """Distance of two planes along z in micrometers, where it is the same in all fields.

        It is negative if z falls where numbers of planes rise.
        """
        if self.index.z_step is not None:
            return self.index.z_step
        heights: dict[tuple[str, int, str, int], dict[int, float]] = defaultdict(dict)
        for p in self.index.planes:
            if p.place[0] is not None:
                heights[p.well, p.field, p.channel, p.t][p.z] = p.place[0]
        steps = [
            (b[1] - a[1]) / (b[0] - a[0])
            for found in heights.values()
            for a, b in pairwise(sorted(found.items()))
        ]
        if not steps:
            return None
        step = float(np.median(steps))
        if not step or any(abs(s - step) > _EQUAL * abs(step) for s in steps):
            if any(steps):
                self.problems.note("the planes of a field are not at equal distances along z")
            return None
        return round(step, 9)

    def _field(self, planes: Sequence[PlatePlane], grid: _Grid) -> Field:
        first = planes[0]
        own = {a: sorted({getattr(p, a) for p in planes}) for a in "tz"}
        counts = {
            # A field with fewer time points or planes than others at its end is shorter.
            "t": grid.t.index(own["t"][-1]) + 1,
            "c": len(grid.channels),
            "z": max(map(grid.z.index, own["z"])) + 1,
        }
        placed: dict[tuple[int, int, int], PlatePlane] = {}
        for plane in planes:
            at = (
                grid.t.index(plane.t), grid.channels.index(plane.channel), grid.z.index(plane.z)
            )  # fmt: skip
            if at in placed:
                raise SourceError(
                    "two files are the same plane of a plate",
                    file=plane.file,
                    record=f"well {plane.well}, field {plane.field}",
                    expected="one file for each plane",
                    found=f"{placed[at].file} too",
                    hint="keep one with --exclude GLOB, or name the difference in a group of "
                    "--pattern, such as (?P<acquisition>...)",
                )
            placed[at] = plane
        along = grid.axes
        order = list(product(*(range(counts[a]) for a in along)))
        full = [dict(zip(along, place, strict=True)) for place in order]
        files = [
            p.file if (p := placed.get((at.get("t", 0), at.get("c", 0), at.get("z", 0)))) else None
            for at in full
        ]
        files = [f if f in self.headers else None for f in files]
        if not any(files):
            raise SourceError(
                "a field has no readable image file",
                file=first.file,
                record=f"well {first.well}, field {first.field}",
            )
        self._check_sizes(first, [f for f in files if f is not None])
        pixels, axes, colors = self._pixels(files, along, [counts[a] for a in along])
        known = {a.name: a for a in axes}
        stated = zip("yx", self.index.pixel_size or (), strict=False)
        steps = {axis: size for axis, size in stated if size > 0}
        if grid.z_step is not None:
            steps["z"] = grid.z_step
        scaled = tuple(
            Axis(a, steps[a], "micrometer") if a in steps else known.get(a, Axis(a))
            for a in _letters(pixels, along, axes)
        )
        image = SourceImage(
            path="",
            name=f"{self.index.plate} {first.well} field {first.field}".strip(),
            axes=scaled,
            pixels=pixels,
            channels=self._channels(grid, colors),
            frames=_frames(placed, counts["t"]),
            translation=_translation(planes, scaled),
            attributes={"well": first.well, "field": first.field},
        )
        return Field(
            first.row, first.column, self.number, first.field, image, tuple(sorted(placed.items()))
        )

    def _check_sizes(self, first: PlatePlane, files: Sequence[str]) -> None:
        sizes = {self.headers[f].size: f for f in reversed(files)}
        if len(sizes) > 1:
            raise SourceError(
                "the planes of a field have different sizes",
                file=first.file,
                record=f"well {first.well}, field {first.field}",
                expected="planes of one size",
                found="; ".join(f"{y} x {x} in {f}" for (y, x), f in sizes.items()),
                hint="correct the files, or convert without such fields with --on-error skip",
            )

    def _pixels(
        self, files: Sequence[str | None], along: str, counts: Sequence[int]
    ) -> tuple[Pixels, tuple[Axis, ...], tuple[Channel, ...]]:
        """Files stacked, the axes that they have themselves, and their own channels."""
        headers = [None if f is None else self.headers[f] for f in files]
        known = [h for h in headers if h is not None]
        sources = [None if f is None else self.tree.file(f) for f in files]
        if all(h.single for h in known):
            if any("c" in h.axes for h in known) and "c" in along and counts[along.index("c")] == 1:
                counts = [n for a, n in zip(along, counts, strict=True) if a != "c"]
                along = along.replace("c", "")
            stack = stack_frames(sources, along, counts, headers=headers, limits=self.tree.limits)
            return stack, (), known[0].channels
        opened = [
            None if s is None or h is None else self._own_images(s, h)
            for s, h in zip(sources, headers, strict=True)
        ]
        first = next(o for o in opened if o is not None)
        for one, name in zip(opened, files, strict=True):
            inner = "" if one is None else one[0].pixels.axes
            double = {a for a in inner if a in along and counts[along.index(a)] > 1}
            if one is not None and (len(one) > 1 or double or inner != first[0].pixels.axes):
                raise SourceError(
                    "a file of a field has several images, or axes that other files count too",
                    file=name,
                    expected="planes that only the names of files count, or only the pages of files",
                    found=f"{len(one)} images, axes {', '.join(inner)}",
                )
        inner = first[0].pixels.axes
        outer = [(a, n) for a, n in zip(along, counts, strict=True) if a not in inner]
        parts = [None if o is None else o[0].pixels for o in opened]
        pixels = stack_pixels(
            parts,
            inner,
            "".join(a for a, _ in outer),
            [n for _, n in outer],
            [f or "" for f in files],
        )
        return pixels, first[0].axes, first[0].channels

    def _own_images(self, file: SourceFile, header: ImageHeader) -> tuple[OpenedImage, ...]:
        """Images whose planes are in a file: one of a set of OME-TIFFs describes all of them."""
        found = open_image(file, header, limits=self.tree.limits)
        own = tuple(i for i in found if i.files == (file.name,))
        return own if len(found) > 1 and own else found

    def _channels(self, grid: _Grid, own: tuple[Channel, ...]) -> tuple[Channel, ...]:
        named = tuple(self.index.channels.get(k, Channel(k)) for k in grid.channels)
        if len(named) == 1 and len(own) > 1:  # pixels in color
            return own
        return named if any(c.name for c in named) else own

    def _report(self, fields: Sequence[Field], grid: _Grid) -> None:
        """What some fields or wells have, and others lack."""
        if not fields:
            return
        whole = len(grid.t) * len(grid.channels) * len(grid.z)
        for field in fields:
            if len(field.planes) < whole:
                lost = whole - len(field.planes)
                short = [a for a in "tz" if _count(field.image, a) < len(getattr(grid, a))]
                how = "; the image is shorter" if short else "; they are 0"
                self.problems.warn(
                    f"planes that other fields have are missing{how}",
                    record=f"{field.image.name}: {lost} of {whole}",
                )
        wells: dict[str, set[int]] = defaultdict(set)
        for field in fields:
            wells[f"{field.row}{field.column}"].add(field.number)
        every = set.union(*wells.values())
        for well, numbers in wells.items():
            if numbers != every:
                lacking = ", ".join(map(str, sorted(every - numbers)[:8]))
                self.problems.warn(
                    "fields that other wells have are missing", record=f"well {well}: {lacking}"
                )
        sizes = {f.image.pixels.shape[-2:] for f in fields}
        if len(sizes) > 1:
            self.problems.warn(
                "fields of the plate have different sizes: each keeps its own",
                record=", ".join(f"{y} x {x}" for y, x in sorted(sizes)),
            )


@dataclass(frozen=True, slots=True)
class _Grid:
    """What the fields of an acquisition have in common: channels, numbers along t and z."""

    channels: tuple[str, ...]
    t: tuple[int, ...]
    z: tuple[int, ...]
    z_step: float | None

    @property
    def axes(self) -> str:
        """Axes that files are stacked along."""
        named = len(self.channels) > 1 or any(self.channels)
        return f"{'t' * (len(self.t) > 1)}{'c' * named}{'z' * (len(self.z) > 1)}"


def _letters(pixels: Pixels, along: str, axes: Iterable[Axis]) -> str:
    found = getattr(pixels, "axes", None)
    return found if isinstance(found, str) else "".join([along, *(a.name for a in axes)])


def _count(image: SourceImage, axis: str) -> int:
    names = image.axis_names
    return image.pixels.shape[names.index(axis)] if axis in names else 1


def _frames(placed: Mapping[tuple[int, int, int], PlatePlane], times: int) -> tuple[Frame, ...]:
    """A frame for each time point, named after its first file; the table of planes has all."""
    found = []
    for t in range(times):
        planes = [plane for at, plane in sorted(placed.items()) if at[0] == t]
        seconds = [p.seconds for p in planes if p.seconds is not None]
        hours = min(seconds) / 3600 if seconds and times > 1 else None
        record: dict[str, object] = {"number": planes[0].t} if planes and times > 1 else {}
        found.append(Frame(planes[0].file if planes else "", t, elapsed_hours=hours, record=record))
    return tuple(found)


def _translation(planes: Sequence[PlatePlane], axes: Sequence[Axis]) -> tuple[float, ...] | None:
    """Position of the field on the stage; ``None`` if it, or the size of a pixel, is unknown."""
    places = dict.fromkeys("zyx", 0.0)
    for number, axis in enumerate("zyx"):
        stated = [p.place[number] for p in planes if p.place[number] is not None]
        scaled = any(a.name == axis and a.unit == "micrometer" for a in axes)
        if axis != "z" and not (stated and scaled):
            return None
        if stated and scaled:
            places[axis] = min(float(s) for s in stated if s is not None)
            if axis != "z":
                places[axis] = float(stated[0] or 0.0)
    return tuple(places.get(a.name, 0.0) for a in axes)


def renumbered(fields: Sequence[Field]) -> list[Field]:
    """Fields with their paths ``<row>/<column>/<n>``: n counts the fields of a well from 0."""
    counts: dict[tuple[str, int], int] = defaultdict(int)
    found = []
    order = sorted(fields, key=lambda f: (len(f.row), f.row, f.column, f.acquisition, f.number))
    for field in order:
        number = counts[field.row, field.column]
        counts[field.row, field.column] += 1
        path = f"{field.row}/{field.column}/{number}"
        found.append(replace(field, image=replace(field.image, path=path)))
    return found
