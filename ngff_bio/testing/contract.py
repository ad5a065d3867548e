"""The contract that every source must keep, as a check to call in the tests of a source."""

from __future__ import annotations

import math
import os
import pickle
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ngff_bio.errors import NgffBioError
from ngff_bio.model import (
    ORDER,
    Box,
    Instance,
    InstanceLayer,
    Instances,
    Notice,
    Pixels,
    Polygons,
    Rle,
    RunVolume,
    Shape,
    SourceDataset,
    SourceFile,
    SourceImage,
)
from ngff_bio.sources.files.ranges import open_range
from ngff_bio.sources.files.tree import FileTree, open_tree
from ngff_bio.sources.registry import Source, read_source, sources

#: Bytes that a source may read of any file to find its shape: headers, directories of pages.
_HEADER = 256 << 10

#: Bytes that pixels or instances may pickle to, and bytes more for each file that they are made of.
_PICKLED, _PICKLED_PER_FILE = 4 << 10, 1 << 10

#: Regions that are compared with the whole, for each image and label layer.
_REGIONS = 8

#: Files that are damaged, one after the other.
_DAMAGED = 12


class SourceContractError(AssertionError):
    """A source does not keep the contract of `check_source`."""


def check_source(
    source: Source | str, folder: str | os.PathLike[str], options: Mapping[str, Any] | None = None
) -> None:
    """Check that a source keeps its contract on a small dataset.

    - It detects the dataset, and not an empty folder.
    - ``read`` reads headers and annotations, not pixels. (Only files above 256 KiB can show this.)
    - Axes, shapes, paths, label layers and frames of the images are consistent.
    - Pixels and instances pickle to a few kilobytes, and read the same afterwards.
    - Any region equals the crop of the whole image, C-contiguous and in native byte order.
    - Each instance has a valid label value, and is inside its frame or has a notice.
    - Each file that pixels and labels are read from is declared in ``source_parts``, with an identity
      that changes when the file changes.
    - Each file that could hold annotations or pixels is read: it is named by a part of an image, or in
      ``read_files``.
    - A damaged file is one `NgffBioError` that names the file, or a notice.

    The dataset is copied to a temporary folder, and each image is read completely into memory.

    Parameters
    ----------
    source
        The source, or the name of one that is registered.
    folder
        A dataset that it reads without an error.
    options
        Options for ``read``.

    Raises
    ------
    SourceContractError
        If the contract is broken, with a sentence that says where.
    """
    known = sources()[source] if isinstance(source, str) else source
    with tempfile.TemporaryDirectory(prefix="ngff-bio-check-") as temporary:
        copy = Path(temporary, "copy", Path(folder).name)
        shutil.copytree(folder, copy)
        (empty := Path(temporary, "empty")).mkdir()
        _require(known.detect(open_tree(copy)) > 0, "detect() returns 0 for the dataset")
        _require(known.detect(open_tree(empty)) == 0, "detect() is not 0 for an empty folder")
        given = dict(options or {})
        dataset = read_source(known, open_tree(copy), given, ignore_unread=True)
        _require(bool(dataset.images), "the dataset has no image")
        for path, count in Counter(image.path for image in dataset.images).items():
            _require(count == 1, f"{count} images have the path {path!r}")
        for part in dataset.source_parts():
            _require(part is not None, "a part of the dataset does not declare its source_parts()")
        for image in dataset.images:
            _check_image(image)
        if known.by_path:  # what a library reads of a path cannot be counted
            used = sorted({p.name for p in _files(dataset)})
        else:
            used = _check_reading(known, copy, given)
        for name, kind in dataset.account.unread.items():
            _require(kind.startswith("other"), f"{name} is not read ({kind})")
        _check_identities(dataset)
        _check_damage(known, copy, given, used)


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise SourceContractError(sentence)


def _check_image(image: SourceImage) -> None:
    place = f"image {image.path!r}"
    letters, shape = image.axis_names, image.pixels.shape
    _require(
        list(letters) == sorted(letters, key=ORDER.index), f"{place}: axes {letters} not in order"
    )
    _require(len(letters) == len(shape), f"{place}: {len(shape)} sizes for axes {letters}")
    _check_pixels(image.pixels, place)
    names = [layer.name for layer in image.labels]
    _require(len(set(names)) == len(names), f"{place}: two label layers have one name")
    sizes = dict(zip(letters, shape, strict=True))
    expected = tuple(n for a, n in sizes.items() if a != "c")
    for frame in image.frames:
        _require(frame.t < sizes.get("t", 1), f"{place}: frame {frame.name} is beyond the t axis")
    for layer in image.labels:
        where = f"{place}, labels {layer.name}"
        if isinstance(layer, InstanceLayer):
            _check_instances(layer, image, sizes, where)
            continue
        _require(
            tuple(layer.pixels.shape) == expected,
            f"{where}: shape {layer.pixels.shape}, but {expected} expected",
        )
        if not isinstance(layer.pixels, RunVolume):
            whole = _check_pixels(layer.pixels, where)
            largest = int(whole.max(initial=0))
            _require(
                largest <= layer.max_value,
                f"{where}: {largest} is above max_value {layer.max_value}",
            )


def _check_pixels(pixels: Pixels, place: str) -> np.ndarray[Any, Any]:
    again = _pickled(pixels, place)
    whole = pixels.read(tuple((0, n) for n in pixels.shape))
    chance = random.Random(str(pixels.shape))
    regions = [
        tuple((a := chance.randrange(n), chance.randint(a + 1, n)) for n in pixels.shape)
        for _ in range(_REGIONS)
    ]
    blocks = zip(pixels.read_block_shape, pixels.shape, strict=True)
    regions.append(tuple((0, min(b, n)) for b, n in blocks))
    for region in regions:
        for one in (pixels, again):
            block = one.read(region)
            _require(
                block.dtype == pixels.dtype and block.dtype.isnative,
                f"{place}: a block is {block.dtype}, but the image {pixels.dtype}",
            )
            _require(block.flags.c_contiguous, f"{place}: the block {region} is not C-contiguous")
            _require(
                np.array_equal(block, whole[tuple(slice(*r) for r in region)]),
                f"{place}: the block {region} differs from the same part of the whole",
            )
    return whole


def _pickled(thing: Any, place: str) -> Any:
    try:
        data = pickle.dumps(thing)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise SourceContractError(
            f"{place}: {type(thing).__name__} does not pickle: {error}"
        ) from error
    most = _PICKLED + _PICKLED_PER_FILE * len(list(thing.source_parts()))
    _require(
        len(data) <= most,
        f"{place}: {type(thing).__name__} pickles to {len(data):,} bytes, more than {most:,}: it holds "
        "data, where it should name files",
    )
    return pickle.loads(data)


def _check_instances(
    layer: InstanceLayer, image: SourceImage, sizes: Mapping[str, int], place: str
) -> None:
    again: Instances = _pickled(layer.instances, place)
    count = 0
    plane = sizes["y"], sizes["x"]
    planes = {frame.t: frame.size for frame in image.frames}
    for t in range(sizes.get("t", 1)):
        found = layer.instances.read(t)
        values_again = [(i.value, i.source_id, i.record) for i in again.read(t)]
        _require(
            values_again == [(i.value, i.source_id, i.record) for i in found],
            f"{place}: instances of frame {t} differ when read again",
        )
        count += len(found)
        for instance in found:
            record = f"{place}, frame {t}, {instance.place[1]}"
            _require(instance.t == t, f"{record}: its t is {instance.t}")
            _require(
                1 <= instance.value <= layer.max_value,
                f"{record}: the label value {instance.value} is not in 1 to {layer.max_value}",
            )
            _require(
                instance.notice is not None or _touches(instance, planes.get(t) or plane),
                f"{record}: it is outside of its frame, and has no notice",
            )
    _require(count == layer.count, f"{place}: {count} instances, but count is {layer.count}")


def _touches(instance: Instance, plane: tuple[int, int]) -> bool:
    """Whether the bounds of an instance intersect its plane (rows, columns)."""
    geometry = instance.geometry
    plane = plane if instance.window is None else instance.window[2:]
    match geometry:
        case Rle():
            return geometry.size == plane
        case Box():
            points = [(geometry.x0, geometry.y0), (geometry.x1, geometry.y1)]
        case Polygons():
            points = [xy for p in geometry.parts for xy in zip(p[::2], p[1::2], strict=True)]
        case Shape(type="circle"):
            (x, y), rim = geometry.points
            radius = math.dist((x, y), rim)
            points = [(x - radius, y - radius), (x + radius, y + radius)]
        case Shape():
            points = list(geometry.points)
        case None:
            return True
    (left, top), (right, bottom) = np.min(points, axis=0), np.max(points, axis=0)
    return bool(right >= 0 and bottom >= 0 and left <= plane[1] and top <= plane[0])


@dataclass(frozen=True, slots=True, eq=False)
class _WatchedFile:
    """A file that counts the bytes that are read of it."""

    file: SourceFile
    counts: Counter[str]

    name = property(lambda self: self.file.name)
    size = property(lambda self: self.file.size)
    identity = property(lambda self: self.file.identity)
    path = None

    def open(self) -> BinaryIO:
        return open_range(self.read_range, 0, self.size, 1 << 12)

    def read(self) -> bytes:
        return self.read_range(0, self.size)

    def read_range(self, offset: int, size: int) -> bytes:
        data = self.file.read_range(offset, size)
        self.counts[self.name] += len(data)
        return data


class _WatchedTree(FileTree):
    def __init__(self, tree: FileTree) -> None:
        super().__init__(tree.origin, {n: tree.file(n) for n in tree.names()}, tree.limits)
        self.counts: Counter[str] = Counter()

    def file(self, name: str) -> SourceFile:
        return _WatchedFile(super().file(name), self.counts)


def _check_reading(source: Source, folder: Path, options: Mapping[str, Any]) -> list[str]:
    """Check what is read, and when; returns the names of the files that are read at all."""
    tree = _WatchedTree(open_tree(folder))
    dataset = read_source(source, tree, options, ignore_unread=True)
    early = dict(tree.counts)
    for name in {p.name for i in dataset.images for p in _files(i.pixels)} & set(tree.names()):
        _require(
            early.get(name, 0) <= _HEADER + tree.file(name).size // 8,
            f"read() reads {early.get(name, 0):,} bytes of {name}: pixels are read on demand",
        )
    tree.counts.clear()
    _read_all(dataset)
    declared = {p.name for p in _files(dataset)}
    for name in tree.counts:
        _require(
            any(d == name or d.startswith((f"{name}/", f"{name}#")) for d in declared),
            f"{name} is read after read(), but not declared in source_parts()",
        )
    return sorted(early.keys() | tree.counts.keys())


def _check_identities(dataset: SourceDataset) -> None:
    """Change each declared file, one after the other."""
    for part in {p.name: p for p in _files(dataset)}.values():
        if part.path is None:
            continue
        before, data, times = part.identity, part.path.read_bytes(), part.path.stat()
        part.path.write_bytes(data + b"\n")
        after = part.identity
        part.path.write_bytes(data)
        os.utime(part.path, ns=(times.st_atime_ns, times.st_mtime_ns))
        _require(before != after, f"the identity of {part.name} stays when the file changes")


def _check_damage(
    source: Source, folder: Path, options: Mapping[str, Any], used: Sequence[str]
) -> None:
    """Overwrite and truncate files, one after the other."""
    for name in used[:: math.ceil(len(used) / _DAMAGED)]:
        path = folder / name
        data = path.read_bytes()
        for damaged, noticed in ((bytes(len(data)), True), (data[: len(data) // 2], False)):
            path.write_bytes(damaged)
            notices: Iterable[Notice] = ()
            try:
                dataset = read_source(source, open_tree(folder), options)
                notices = dataset.notices
                _read_all(dataset)
            except NgffBioError as error:
                named = path.name in f"{error.file} {error.record} {error.found}"
                _require(named, f"{name} is damaged, but the error does not name it: {error}")
                continue
            except Exception as error:
                raise SourceContractError(
                    f"{name} is damaged, and raises {type(error).__name__} instead of an NgffBioError"
                ) from error
            _require(
                not noticed or any(name in f"{n.file} {n.record}" for n in notices),
                f"{name} is overwritten with zeros, and there is neither an error nor a notice",
            )
        path.write_bytes(data)


def _files(thing: SourceImage | SourceDataset | Pixels) -> Iterator[SourceFile]:
    return (p for p in thing.source_parts() if isinstance(p, SourceFile))


def _read_all(dataset: SourceDataset) -> None:
    for image in dataset.images:
        sizes = dict(zip(image.axis_names, image.pixels.shape, strict=True))
        arrays = [image.pixels]
        for layer in image.labels:
            if isinstance(layer, InstanceLayer):
                for t in range(sizes.get("t", 1)):
                    layer.instances.read(t)
            elif not isinstance(layer.pixels, RunVolume):
                arrays.append(layer.pixels)
        for array in arrays:
            array.read(tuple((0, n) for n in array.shape))
