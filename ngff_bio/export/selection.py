"""The selected part of a store: images, region, label layers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

import ngff_bio.reader as reader
from ngff_bio.errors import ArgumentError, NameNotFoundError, closest_names
from ngff_bio.export.stored import StoredImage
from ngff_bio.model import PixelArray
from ngff_bio.ngff.attributes import edits_of
from ngff_bio.storage import Storage

Spans = dict[str, tuple[int, int]]
Masks = Literal["rle", "polygons", "mask"]
Region = Mapping[str, tuple[int | None, int | None] | int]

_SPAN = re.compile(r"\s*([a-z])\s*=\s*(-?\d*)\s*(:?)\s*(-?\d*)\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Plane:
    """A two-dimensional plane of an image: a frame, or a slice of a stack.

    Parameters
    ----------
    image
        The image.
    t, z
        Indices in the store, 0 if the image has no such axis.
    y, x
        Half-open ranges of its pixels in the store.
    whole
        Whether these are all of its pixels.
    name
        Source name of the frame, or a name of the image's name and the indices.
    frame
        Attributes of the frame in the store.
    """

    image: SelectedImage
    t: int
    z: int
    y: tuple[int, int]
    x: tuple[int, int]
    whole: bool
    name: str
    frame: Mapping[str, Any]

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.y[1] - self.y[0]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.x[1] - self.x[0]

    @property
    def stem(self) -> str:
        """Its name without folders and suffix."""
        return PurePosixPath(self.name).stem

    def pixels(self) -> PixelArray:
        """Pixels (y, x), or (y, x, c) if the image has channels."""
        block = self._cut(None)
        return block.transpose(1, 2, 0) if block.ndim == 3 else block

    def labels(self, name: str) -> PixelArray:
        """Label values (y, x) of a label image."""
        return self._cut(name)

    def _cut(self, name: str | None) -> PixelArray:
        block = self.image.stored.plane(name, self.t, self.z)
        return block[..., slice(*self.y), slice(*self.x)]


@dataclass(frozen=True)
class SelectedImage:
    """An image of the store, and the part of it to export."""

    stored: StoredImage
    spans: Spans
    layers: tuple[str, ...]
    whole: bool

    @property
    def path(self) -> str:
        """Path of the image in the store."""
        return self.stored.path

    @cached_property
    def all_frames(self) -> list[tuple[int, Mapping[str, Any]]]:
        """Attributes of each source file, with its index along t."""
        return [(int(f.get("t", 0)), f) for f in self.stored.frames]

    @property
    def selected_frames(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Those of `all_frames` within the selected range."""
        first, stop = self.span("t")
        return ((t, frame) for t, frame in self.all_frames if first <= t < stop)

    @cached_property
    def frames(self) -> dict[int, Mapping[str, Any]]:
        """Attributes of the first file of each frame, by index along t."""
        return dict(reversed(self.all_frames))

    @cached_property
    def slices(self) -> dict[tuple[int, int], Mapping[str, object]]:
        """Attributes of each slice of a stack that had a file of its own, by t and z."""
        known = [(t, (f.get("record") or {}).get("z"), f) for t, f in self.all_frames]
        return {(t, z): f for t, z, f in known if isinstance(z, int)}

    def cuts(self, *axes: str) -> bool:
        """Whether only a part along one of the axes is selected."""
        return any(a in self.spans and self.spans[a] != (0, self.stored.size(a)) for a in axes)

    @property
    def name(self) -> str:
        """A name for files: the image's path, else its own name."""
        own = self.stored.attributes.get("name") or self.stored.multiscale.name
        return self.path or str(own or "image")

    def span(self, axis: str) -> tuple[int, int]:
        """Selected range along an axis, (0, 1) if the image does not have it."""
        return self.spans.get(axis, (0, 1))

    def planes(self) -> Iterator[Plane]:
        """All selected planes, t outermost."""
        stacked = "z" in self.stored.axes and self.stored.size("z") > 1
        for t in range(*self.span("t")):
            first = self.frames.get(t, {})
            height, width = first.get("size") or (self.stored.size("y"), self.stored.size("x"))
            y = _clipped(self.span("y"), int(height))
            x = _clipped(self.span("x"), int(width))
            whole = y == (0, height) and x == (0, width)
            for z in range(*self.span("z")):
                frame = self.slices.get((t, z), first)
                name = self._plane_name(frame, t, z, stacked)
                yield Plane(self, t, z, y, x, whole, name, frame)

    def _plane_name(self, frame: Mapping[str, object], t: int, z: int, stacked: bool) -> str:
        name = str(frame.get("name") or "")
        if not name:
            name = self.name + (f"_t{t:04}" if self.stored.size("t") > 1 else "")
        if not stacked or (t, z) in self.slices:
            return name
        path = PurePosixPath(name)
        stem = path.with_suffix("") if path.suffix.lower() in _SUFFIXES else path
        return f"{stem}_z{z:04}{path.suffix if stem != path else ''}"

    def blocks(self, name: str | None, axes: str) -> Iterator[PixelArray]:
        """Selected planes of the image (``None``) or of a label image with these axes.

        (y, x), or (y, x, c) if the axes end with ``s`` for colour samples. The leading axes are in C
        order: t, c, z.
        """
        y, x = slice(*self.span("y")), slice(*self.span("x"))
        times, channels, depths = (range(*self.span(a)) if a in axes else (0,) for a in "tcz")
        for t, c, z in product(times, channels, depths):
            block = self.stored.plane(name, t, z)[..., y, x]
            if axes.endswith("s"):
                yield block.transpose(1, 2, 0)
            else:
                yield block[c] if "c" in axes else block


_SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"}


def _clipped(span: tuple[int, int], size: int) -> tuple[int, int]:
    return min(span[0], size), min(span[1], size)


@dataclass(frozen=True)
class Selection:
    """What to export, and how."""

    dataset: reader.Dataset
    images: tuple[SelectedImage, ...]
    whole: bool
    named_layers: bool
    with_images: bool | None
    masks: Masks | None

    @property
    def url(self) -> str:
        """URL of the store."""
        return self.dataset.url

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Attributes of the dataset under the key ``ngff_bio``; empty for stores of other writers."""
        return self.dataset.attributes

    @cached_property
    def edited(self) -> bool:
        """Whether annotations of a selected layer were edited: files of the source do not have them."""
        return any(
            edits_of(image.stored.label_attributes(layer))
            for image in self.images
            for layer in image.layers
        )

    @property
    def source(self) -> str | None:
        """Name of the format that the store was converted from; ``None`` if files cannot be equal."""
        return None if self.edited else self.attributes.get("source")

    @property
    def name(self) -> str:
        """A name for files: the dataset's, else the store's."""
        return str(self.attributes.get("name") or PurePosixPath(self.url).stem or "dataset")

    @property
    def cuts_planes(self) -> bool:
        """Whether only a part along y, x or z is selected of any image."""
        return any(image.cuts("y", "x", "z") for image in self.images)

    def with_layers(self, layers: Mapping[str, tuple[str, ...]]) -> Selection:
        """The same with other label layers, by path of the image."""
        return replace(
            self, images=tuple(replace(i, layers=layers.get(i.path, i.layers)) for i in self.images)
        )


def select(
    store: str | os.PathLike[str] | Storage,
    *,
    image: str | Sequence[str] | None = None,
    region: str | Region | None = None,
    labels: str | Sequence[str] | None = None,
    images: bool | None = None,
    masks: Masks | None = None,
) -> Selection:
    """Open a store and select a part of it; see :func:`ngff_bio.export.run.export`."""
    if masks is not None and masks not in get_args(Masks):
        raise ArgumentError(
            "unknown encoding of masks", expected=", ".join(get_args(Masks)), found=masks
        )
    dataset = reader.open(store)
    spans = parse_region(region)
    wanted = (labels,) if isinstance(labels, str) else labels
    found = []
    for path in _paths(dataset, image):
        stored = StoredImage(dataset.nodes, path)
        stored.variable(None)  # its axes are checked
        own = _spans(stored, spans)
        whole = all(own[a] == (0, stored.size(a)) for a in stored.axes)
        layers = tuple(n for n in stored.layers if wanted is None or n in wanted)
        found.append(SelectedImage(stored, own, layers, whole))
    if wanted is not None:
        _check_layers(dataset, found, wanted)
    return Selection(
        dataset=dataset,
        images=tuple(found),
        whole=image is None and all(p.whole for p in found),
        named_layers=wanted is not None,
        with_images=images,
        masks=masks,
    )


def _paths(dataset: reader.Dataset, image: str | Sequence[str] | None) -> list[str]:
    """Paths of the requested images: by path, group or own name."""
    every = list(dataset)
    if image is None:
        return every
    wanted: set[str] = set()
    for one in (image,) if isinstance(image, str) else image:
        text = one.strip("/")
        hits = [p for p in every if p == text or p.startswith(f"{text}/")]
        if not hits:
            hits = [p for p in every if text and text in _own_names(dataset[p])]
        if not hits:
            raise NameNotFoundError(
                f"the store has no image {one!r}",
                file=dataset.url,
                expected=closest_names(text, [p or "'' (the root)" for p in every]),
                found=one,
            )
        wanted.update(hits)
    return [p for p in every if p in wanted]


def _own_names(image: reader.Image) -> set[str]:
    """Names of an image and of its source files."""
    files = [str(f.get("name")) for f in image.attributes.get("frames") or ()]
    return {
        str(image.attributes.get("name") or ""),
        *files,
        *(PurePosixPath(f).name for f in files),
    }


def parse_region(region: str | Region | None) -> dict[str, tuple[int | None, int | None]]:
    """A region as ranges by axis.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it does not have the form ``z=0:5,y=0:512,x=100:200``.
    """
    if region is None:
        return {}
    if not isinstance(region, str):
        return {a: (s, s + 1) if isinstance(s, int) else (s[0], s[1]) for a, s in region.items()}
    spans: dict[str, tuple[int | None, int | None]] = {}
    for part in region.split(","):
        match = _SPAN.match(part)
        if match is None or not (match[2] or match[3]):
            raise ArgumentError(
                "the region is not a list of pixel ranges",
                expected="half-open ranges separated by commas, as z=0:5,y=0:512,x=100:200, or z=3",
                found=region,
            )
        start = int(match[2]) if match[2] else None
        stop = int(match[4]) if match[4] else None
        axis = match[1].lower()
        if not match[3] and start is not None:
            stop = start + 1
        spans[axis] = (start, stop)
    return spans


def _spans(stored: StoredImage, wanted: Mapping[str, tuple[int | None, int | None]]) -> Spans:
    unknown = [a for a in wanted if a not in stored.axes or a == "c"]
    if unknown:
        raise ArgumentError(
            f"a region cannot have the axis {unknown[0]!r} here",
            file=stored.path or "the root image",
            expected=f"axes {', '.join(a for a in stored.axes if a != 'c')}",
            found=", ".join(wanted),
        )
    spans: Spans = {}
    for axis in stored.axes:
        size = stored.size(axis)
        start, stop = wanted.get(axis, (None, None))
        low, high = start or 0, size if stop is None else stop
        if not 0 <= low < min(high, size) or high > size:
            raise ArgumentError(
                f"the region is outside of the image along {axis}",
                file=stored.path or "the root image",
                expected=f"a range within 0:{size}",
                found=f"{axis}={low}:{high}",
            )
        spans[axis] = (low, high)
    return spans


def _check_layers(
    dataset: reader.Dataset, found: Sequence[SelectedImage], wanted: Sequence[str]
) -> None:
    known = dict.fromkeys(name for p in found for name in p.stored.layers)
    for name in wanted:
        if name not in known:
            raise NameNotFoundError(
                f"the selected images have no label layer {name!r}",
                file=dataset.url,
                expected=", ".join(known) or "no labels: the images have none",
                found=name,
            )
