"""Patches for training: pieces of images with aligned labels, boxes and classes, as NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError
from ngff_bio.model import PixelArray, Readable, Region
from ngff_bio.model.splits import members_of_split
from ngff_bio.reader.access.image import FrameAttributes, ImageNode
from ngff_bio.reader.analysis.balance import Places, places_by_class
from ngff_bio.reader.analysis.masks import boxes_of
from ngff_bio.reader.dataset import Dataset
from ngff_bio.reader.tables.rows import values_of
from ngff_bio.reader.tables.tables import classes_of


@dataclass(frozen=True)
class PatchObjects:
    """Instances of one label image in a patch.

    Parameters
    ----------
    values
        Label values, int64, (n,).
    boxes
        float32, (n, 4) as x0, y0, x1, y1, or (n, 6) as x0, y0, z0, x1, y1, z1, half-open, in pixels
        of the patch: around the part of each instance inside it.
    classes
        Names of the classes, ``None`` for an instance without one.
    """

    values: NDArray[np.int64]
    boxes: NDArray[np.float32]
    classes: tuple[str | None, ...]


@dataclass(frozen=True)
class Patch:
    """One patch.

    Parameters
    ----------
    image
        Pixels: (y, x), with the channel axis first if there is one, and z for volumes.
    labels
        Label values by name of the label image, without a channel axis.
    objects
        Instances by name of the label image; none for semantic ones.
    path
        Path of the image.
    at
        Index of the first pixel by axis, in pixels of the level.
    """

    image: PixelArray
    labels: dict[str, PixelArray]
    objects: dict[str, PatchObjects]
    path: str
    at: dict[str, int]


@dataclass(frozen=True)
class _Frame:
    """A plane (or volume) to cut from: image, indices along t and z, true size."""

    path: str
    fixed: tuple[tuple[str, int], ...]
    size: tuple[int, ...]


@dataclass
class Patches:
    """A sequence of patches. The same number gives the same patch, in any process.

    Made by :func:`patches`. It can be pickled; each process opens the store itself.
    """

    dataset: Dataset
    size: tuple[int, ...]
    labels: tuple[str, ...]
    frames: list[_Frame]
    level: int
    mode: str
    number: int
    stride: tuple[int, ...]
    seed: int
    epoch: int = 0
    classes: tuple[Places, ...] = ()
    _open: dict[str, _Opened] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    @property
    def axes(self) -> tuple[str, ...]:
        """Axes of a patch: y and x, or z, y and x."""
        return ("z", "y", "x")[-len(self.size) :]

    def set_epoch(self, epoch: int) -> None:
        """Draw other random patches for another epoch; the same for the same number."""
        self.epoch = epoch

    @cached_property
    def _corners(self) -> tuple[NDArray[np.int64], list[list[list[int]]]]:
        """Of a grid: number of patches before each frame, and corners along each axis of each."""
        starts = [
            [_grid(n, p, s) for n, p, s in zip(f.size, self.size, self.stride, strict=True)]
            for f in self.frames
        ]
        counts = [int(np.prod([len(along) for along in one])) for one in starts]
        return np.cumsum([0, *counts]), starts

    def __len__(self) -> int:
        return self.number if self.mode != "grid" else int(self._corners[0][-1])

    @overload
    def __getitem__(self, number: int) -> Patch: ...
    @overload
    def __getitem__(self, number: slice) -> list[Patch]: ...
    def __getitem__(self, number: int | slice) -> Patch | list[Patch]:
        if isinstance(number, slice):
            return [self[i] for i in range(len(self))[number]]
        if not -len(self) <= number < len(self):
            raise IndexError(f"patch {number} of {len(self)}")
        frame, corner = self._place(int(number) % len(self))
        return self._cut(frame, corner)

    def __iter__(self) -> Iterator[Patch]:
        return (self[i] for i in range(len(self)))

    def order(self) -> NDArray[np.int64]:
        """All numbers in another order for each epoch."""
        return np.random.default_rng([self.seed, self.epoch]).permutation(len(self))

    def _place(self, number: int) -> tuple[_Frame, tuple[int, ...]]:
        if self.mode == "balanced":
            rng = np.random.default_rng([self.seed, self.epoch, number])
            known = self.classes[int(rng.integers(len(self.classes)))]
            at, *middle = known[int(rng.integers(len(known)))].tolist()
            frame = self.frames[at]
            starts = [m - int(rng.integers(p)) for m, p in zip(middle, self.size, strict=True)]
            room = [max(n - p, 0) for n, p in zip(frame.size, self.size, strict=True)]
            return frame, tuple(min(max(s, 0), r) for s, r in zip(starts, room, strict=True))
        if self.mode == "random":
            rng = np.random.default_rng([self.seed, self.epoch, number])
            frame = self.frames[int(rng.integers(len(self.frames)))]
            room = [max(n - p, 0) for n, p in zip(frame.size, self.size, strict=True)]
            return frame, tuple(int(rng.integers(r + 1)) for r in room)
        before, starts = self._corners
        which = int(np.searchsorted(before, number, "right")) - 1
        along = starts[which]
        places = np.unravel_index(number - int(before[which]), [len(a) for a in along])
        return self.frames[which], tuple(int(a[int(i)]) for a, i in zip(along, places, strict=True))

    def _cut(self, frame: _Frame, corner: tuple[int, ...]) -> Patch:
        if frame.path not in self._open:
            self._open[frame.path] = _Opened(self.dataset[frame.path], self.labels, self.level)
        opened = self._open[frame.path]
        spans = {k: (v, v + 1) for k, v in frame.fixed}
        for axis, start, n, size in zip(self.axes, corner, self.size, frame.size, strict=True):
            spans[axis] = (start, min(start + n, size))
        image = _read(opened.pixels, opened.names, spans, self)
        labels = {
            n: _read(layer.array, layer.dims, spans, self) for n, layer in opened.layers.items()
        }
        objects = {n: _objects(labels[n], classes) for n, classes in opened.classes.items()}
        at = {**dict(frame.fixed), **dict(zip(self.axes, corner, strict=True))}
        return Patch(image, labels, objects, frame.path, at)


def _grid(size: int, patch: int, stride: int) -> list[int]:
    """Corners along an axis; the last patch ends with the image."""
    if size <= patch:
        return [0]
    return [*range(0, size - patch, stride), size - patch]


class _Opened:
    """Arrays of one image, opened once in a process."""

    def __init__(self, image: ImageNode, labels: Sequence[str], level: int) -> None:
        from ngff_bio.reader.xarray.grids import label_layer

        self.pixels: Readable = image.pixels.array(level)
        self.names = image.pixels.names
        self.layers = {name: label_layer(image, name, level) for name in labels}
        self.classes = {n: classes_of(image, n) for n in labels if not image.is_semantic(n)}


def _read(
    array: Readable, names: Sequence[str], spans: Mapping[str, tuple[int, int]], patches: Patches
) -> PixelArray:
    """A region without its fixed axes, padded with 0 to the size of the patch."""
    sizes = dict(zip(patches.axes, patches.size, strict=True))
    region: Region = tuple(spans.get(a, (0, n)) for a, n in zip(names, array.shape, strict=True))
    block = array.read(region)
    drop = tuple(i for i, a in enumerate(names) if a in spans and a not in sizes)
    block = block.squeeze(drop)
    kept = [a for i, a in enumerate(names) if i not in drop]
    wanted = [sizes.get(a, int(n)) for a, n in zip(kept, block.shape, strict=True)]
    if list(block.shape) == wanted:
        return block
    whole = np.zeros(wanted, block.dtype)
    whole[tuple(slice(n) for n in block.shape)] = block
    return whole


def _objects(values: PixelArray, classes: Mapping[int, str]) -> PatchObjects:
    found = boxes_of(values)
    ids = np.array([v for v, _ in found], np.int64)
    boxes = np.array(
        [[*(a for a, _ in reversed(b)), *(z for _, z in reversed(b))] for _, b in found],
        np.float32,
    ).reshape(len(found), 2 * values.ndim)
    return PatchObjects(ids, boxes, tuple(classes.get(int(v)) for v in ids))


def patches(
    dataset: Dataset,
    size: int | Sequence[int],
    *,
    labels: str | Sequence[str] | None = None,
    split: str | None = None,
    images: Iterable[str] | None = None,
    mode: Literal["random", "balanced", "grid"] = "random",
    count: int | None = None,
    stride: int | Sequence[int] | None = None,
    level: int = 0,
    seed: int = 0,
) -> Patches:
    """Patches of the images of a dataset.

    Parameters
    ----------
    size
        Height and width (one number for both), or depth, height and width for patches of volumes.
        Pixels outside an image are 0.
    labels
        Names of the label images to cut too; those that all images have, without hidden ones, if
        ``None``.
    split
        Only frames of this split: its name, a pattern (``*train``), or train, val or test in whatever
        way the source names it.
    images
        Paths of images; all if ``None``.
    mode
        ``"random"``: each frame is equally likely, and each position in it. ``"balanced"``: each
        class is equally likely, and each of its instances, which the patch contains. ``"grid"``:
        patches ``stride`` apart, the last ones flush with the border.
    count
        Number of random patches; the number of frames if ``None``.
    stride
        Distance between patches of a grid; their size if ``None``.
    level
        Resolution level.
    seed
        Seed of the random numbers.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there is no frame to cut from, a size is invalid, or the split is ambiguous.
    ngff_bio.errors.NameNotFoundError
        If an image has no such label image.
    """
    shape = _sides(size, "size")
    step = shape if stride is None else _sides(stride, "stride", len(shape))
    if mode not in ("random", "balanced", "grid"):
        raise ArgumentError(
            "unknown mode of patches", expected="random, balanced or grid", found=mode
        )
    frames: list[_Frame] = []
    names: tuple[str, ...] | None = None if labels is None else values_of(labels)
    paths = list(dataset if images is None else images)
    chosen = None if split is None else _members(dataset, paths, split)
    if names is None:
        layers = [tuple(dataset[path].layers) for path in paths] or [()]
        names = tuple(n for n in layers[0] if all(n in some for some in layers)) or layers[0]
    for path in paths:
        image = dataset[path]
        for name in names:
            image.label_meta(name)
        frames += _frames(image, len(shape), level, chosen)
    if not frames:
        raise ArgumentError(
            "there is no image to cut patches from",
            file=dataset.url,
            found="no image" if split is None else f"no frame of split {split!r}",
        )
    number = len(frames) if count is None else int(count)
    made = Patches(dataset, shape, names or (), frames, level, mode, number, step, int(seed))
    if mode == "balanced":
        numbers = {}
        for i, frame in enumerate(frames):
            fixed = dict(frame.fixed)
            numbers[frame.path, fixed.get("t", 0), fixed.get("z", 0)] = i
        images_of = {path: dataset[path] for path in paths}
        made.classes = places_by_class(images_of, numbers, made.labels, made.axes, level)
        if not made.classes:
            raise ArgumentError(
                "there are no instances with a class and a box to draw patches around",
                file=dataset.url,
                expected="a table with categories",
            )
    return made


def _members(dataset: Dataset, paths: Iterable[str], split: str) -> set[tuple[str, int]]:
    """Path of the image and index of each frame of a split."""
    splits = {
        (path, f.get("t", 0)): f.get("splits") or () for path in paths for f in dataset[path].frames
    }
    try:
        return members_of_split(splits, split)
    except ArgumentError as error:
        error.file = error.file or dataset.url
        raise


def _sides(value: int | Sequence[int], what: str, ndim: int | None = None) -> tuple[int, ...]:
    sides = (value,) * (ndim or 2) if isinstance(value, int) else tuple(int(v) for v in value)
    if len(sides) not in ((2, 3) if ndim is None else (ndim,)) or min(sides) < 1:
        raise ArgumentError(
            f"invalid {what} of a patch",
            expected="a number, (height, width) or (depth, height, width)",
            found=value,
        )
    return sides


def _frames(
    image: ImageNode, ndim: int, level: int, chosen: set[tuple[str, int]] | None
) -> Iterator[_Frame]:
    sizes = image.pixels.sizes(level)
    if ndim == 3 and "z" not in sizes:
        raise ArgumentError("volumes cannot be cut from an image without axis z", file=image.url)
    known = {f.get("t", 0): f for f in image.frames}
    finest = image.sizes
    for t in range(sizes.get("t", 1)):
        frame = known.get(t, FrameAttributes())
        if chosen is not None and (image.path, t) not in chosen:
            continue
        true = frame.get("size")
        plane = [sizes["y"], sizes["x"]]
        if true is not None:
            for i, axis in enumerate(("y", "x")):
                plane[i] = max(min(plane[i], -(-int(true[i]) * sizes[axis] // finest[axis])), 1)
        fixed = (("t", t),) if "t" in sizes else ()
        if ndim == 3:
            yield _Frame(image.path, fixed, (sizes["z"], *plane))
        else:
            for z in range(sizes.get("z", 1)):
                place = (*fixed, ("z", z)) if "z" in sizes else fixed
                yield _Frame(image.path, place, tuple(plane))


def training_arrays(
    patch: Patch, ndim: int, class_names: Sequence[str] = ()
) -> dict[str, PixelArray | dict[str, Any]]:
    """A patch as the arrays that a model is trained on.

    Parameters
    ----------
    ndim
        Number of axes of a patch without channels, 2 or 3.
    class_names
        Names of classes; the position of a name is its number.

    Returns
    -------
    dict
        ``image``: float32 (channel, y, x), or (channel, z, y, x); integers are scaled to 0..1.
        ``labels``: int64 by name of the label image. ``objects``: for each label image of instances
        ``values`` int64 (n,), ``boxes`` float32 (n, 4 or 6), ``classes`` int64 (n,), -1 for an
        instance without a known class.
    """
    image = patch.image if patch.image.ndim > ndim else patch.image[None]
    pixels = image.astype(np.float32)
    if image.dtype.kind in "ui":
        pixels /= float(np.iinfo(image.dtype).max)
    numbers: dict[str | None, int] = {name: i for i, name in enumerate(class_names)}
    return {
        "image": pixels,
        "labels": {name: values.astype(np.int64) for name, values in patch.labels.items()},
        "objects": {
            name: {
                "values": found.values,
                "boxes": found.boxes,
                "classes": np.array([numbers.get(c, -1) for c in found.classes], np.int64),
            }
            for name, found in patch.objects.items()
        },
    }
