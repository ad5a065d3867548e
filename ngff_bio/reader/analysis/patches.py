"""Patches for training: pieces of images with aligned labels, boxes and classes, as NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError
from ngff_bio.model import Region
from ngff_bio.reader.access.arrays import Readable
from ngff_bio.reader.access.splits import in_split
from ngff_bio.reader.analysis.masks import boxes_of
from ngff_bio.reader.tables.classes import classes_of

if TYPE_CHECKING:
    from ngff_bio.reader.access.dataset import Dataset
    from ngff_bio.reader.access.image import Image


@dataclass(frozen=True)
class Objects:
    """Instances of one label image in a patch.

    Parameters
    ----------
    values
        Their label values, int64, (n,).
    boxes
        float32, (n, 4) as x0, y0, x1, y1, or (n, 6) as x0, y0, z0, x1, y1, z1, half-open, in pixels
        of the patch: around what of them is in it.
    classes
        Names of their classes, ``None`` where there is none.
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
        Its pixels: (y, x), with the channel axis first where there is one, and z for volumes.
    labels
        Label values by name of the label image, without a channel axis.
    objects
        Instances by name of the label image; none for semantic ones.
    path
        Of the image.
    at
        Index of its first pixel by axis, in pixels of the level.
    """

    image: NDArray[Any]
    labels: dict[str, NDArray[Any]]
    objects: dict[str, Objects]
    path: str
    at: dict[str, int]


@dataclass(frozen=True)
class _Frame:
    """A plane (or volume) to cut from: its image, its place along t and z, its true size."""

    path: str
    fixed: tuple[tuple[str, int], ...]
    size: tuple[int, ...]


@dataclass
class Patches:
    """Patches by number. The same number gives the same patch, in any process.

    Made by :func:`patches`. It pickles, and every process opens the store for itself.
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
    _open: dict[str, _Opened] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    @property
    def axes(self) -> tuple[str, ...]:
        """Axes that are cut: y and x, or z, y and x."""
        return ("z", "y", "x")[-len(self.size) :]

    def set_epoch(self, epoch: int) -> None:
        """Other random patches for another pass; the same for the same number."""
        self.epoch = epoch

    @cached_property
    def _corners(self) -> tuple[NDArray[np.int64], list[list[list[int]]]]:
        """For a grid: patches before each frame, and corners along each axis of each."""
        starts = [
            [_grid(n, p, s) for n, p, s in zip(f.size, self.size, self.stride, strict=True)]
            for f in self.frames
        ]
        counts = [int(np.prod([len(along) for along in one])) for one in starts]
        return np.cumsum([0, *counts]), starts

    def __len__(self) -> int:
        return self.number if self.mode == "random" else int(self._corners[0][-1])

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[i] for i in range(len(self))[number]]
        if not -len(self) <= number < len(self):
            raise IndexError(f"patch {number} of {len(self)}")
        frame, corner = self._place(int(number) % len(self))
        return self._cut(frame, corner)

    def __iter__(self) -> Iterator[Patch]:
        return (self[i] for i in range(len(self)))

    def _place(self, number: int) -> tuple[_Frame, tuple[int, ...]]:
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
        labels = {n: _read(a, d, spans, self) for n, (a, d) in opened.layers.items()}
        objects = {
            name: _objects(values, opened.classes(name))
            for name, values in labels.items()
            if name not in opened.semantic
        }
        at = {**dict(frame.fixed), **dict(zip(self.axes, corner, strict=True))}
        return Patch(image, labels, objects, frame.path, at)


def _grid(size: int, patch: int, stride: int) -> list[int]:
    """Corners along an axis; the last patch ends with the image."""
    if size <= patch:
        return [0]
    return [*range(0, size - patch, stride), size - patch]


class _Opened:
    """Arrays of one image, opened once in a process."""

    def __init__(self, image: Image, labels: Sequence[str], level: int) -> None:
        from ngff_bio.reader.xarray.views import label_layer

        self.image = image
        self.pixels: Readable = image.pixels.array(level)
        self.names = image.pixels.names
        made = {n: label_layer(image, n, level) for n in labels}
        self.layers = {n: (one.array, one.dims) for n, one in made.items()}
        self.semantic = {n for n in labels if image.label_attributes(n).get("values") == "semantic"}
        self._classes: dict[str, Mapping[int, str]] = {}

    def classes(self, name: str) -> Mapping[int, str]:
        """Class by label value."""
        if name not in self._classes:
            self._classes[name] = classes_of(self.image, name) or {}
        return self._classes[name]


def _read(
    array: Readable, names: Sequence[str], spans: Mapping[str, tuple[int, int]], patches: Patches
) -> NDArray[Any]:
    """A region without its fixed axes, filled up with 0 to the patch's size."""
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


def _objects(values: NDArray[Any], classes: Mapping[int, str]) -> Objects:
    found = boxes_of(values)
    ids = np.array([v for v, _ in found], np.int64)
    boxes = np.array(
        [[*(a for a, _ in reversed(b)), *(z for _, z in reversed(b))] for _, b in found],
        np.float32,
    ).reshape(len(found), 2 * values.ndim)
    return Objects(ids, boxes, tuple(classes.get(int(v)) for v in ids))


def patches(
    dataset: Dataset,
    size: int | Sequence[int],
    *,
    labels: str | Sequence[str] | None = None,
    split: str | None = None,
    images: Iterable[str] | None = None,
    mode: Literal["random", "grid"] = "random",
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
        What reaches beyond an image is 0.
    labels
        Names of the label images that go with them; those of the first image, without hidden
        ones, if ``None``.
    split
        Only frames of this split: its name, or a pattern (``*train``).
    images
        Paths of images; all if ``None``.
    mode
        ``random``: each frame is equally likely, and each place in it. ``grid``: every place, a
        ``stride`` apart, the last ones flush with the end.
    count
        Number of random patches; as many as there are frames if ``None``.
    stride
        Distance of the grid's patches; their size if ``None``.
    level
        Resolution level.
    seed
        Same seed, same patches.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there is no frame to cut from, or a size is not understood.
    ngff_bio.errors.NameNotFoundError
        If an image has no such labels.
    """
    shape = _sides(size, "size")
    step = shape if stride is None else _sides(stride, "stride", len(shape))
    if mode not in ("random", "grid"):
        raise ArgumentError("patches are random or a grid", found=mode)
    paths = list(dataset if images is None else images)
    frames: list[_Frame] = []
    names: tuple[str, ...] | None = None
    if labels is not None:
        names = (labels,) if isinstance(labels, str) else tuple(labels)
    for path in paths:
        image = dataset[path]
        if names is None:
            names = tuple(image.layers)
        for name in names:
            image.label_meta(name)
        frames += _frames(image, len(shape), level, split)
    if not frames:
        raise ArgumentError(
            "there is no image to cut patches from",
            file=dataset.url,
            expected=_splits(dataset) if split is not None else None,
            found=f"split {split!r}" if split is not None else "no image",
        )
    number = len(frames) if count is None else int(count)
    return Patches(dataset, shape, names or (), frames, level, mode, number, step, int(seed))


def _splits(dataset: Dataset) -> str:
    names = dict.fromkeys(s for path in dataset for f in dataset[path].frames
                          for s in f.get("splits") or ())  # fmt: skip
    return ", ".join(list(names)[:10]) or "the store names no splits"


def _sides(value: int | Sequence[int], what: str, ndim: int | None = None) -> tuple[int, ...]:
    sides = (value,) * (ndim or 2) if isinstance(value, int) else tuple(int(v) for v in value)
    if len(sides) not in ((2, 3) if ndim is None else (ndim,)) or min(sides) < 1:
        raise ArgumentError(
            f"a patch's {what} is not understood",
            expected="a number, (height, width) or (depth, height, width)",
            found=value,
        )
    return sides


def _frames(image: Image, ndim: int, level: int, split: str | None) -> Iterator[_Frame]:
    sizes = dict(zip(image.pixels.names, image.level_shape(level), strict=True))
    if ndim == 3 and "z" not in sizes:
        raise ArgumentError("an image without depth has no patches of volumes", file=image.url)
    known = {f.get("t", 0): f for f in image.frames}
    finest = image.sizes
    for t in range(sizes.get("t", 1)):
        frame = known.get(t, {})
        if split is not None and not in_split(frame.get("splits") or (), split):
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
