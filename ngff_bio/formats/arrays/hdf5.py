"""The image of an HDF5 file, as ilastik exports it: one dataset, with ``axistags``. Needs h5py.

https://www.ilastik.org/documentation/basics/export: the dataset is ``exported_data`` unless the user
names it otherwise. ``axistags`` is JSON of vigra with a key for each axis.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from ngff_bio.errors import SourceError, import_optional
from ngff_bio.formats.arrays.image import ArrayImage
from ngff_bio.formats.limits import Limits
from ngff_bio.formats.problems import damage_named
from ngff_bio.model import ORDER, PixelArray, Region, SampleType, SourceFile, SourceParts, axes_from

#: Names of the dataset of an image, if there are others.
_NAMES = ("exported_data", "volume/data", "data", "image")

#: Most bytes that a byte of deflate can encode, and chunks that are looked up.
_DEFLATE_BYTES, _CHUNKS = 1032, 10_000_000

#: Letters of axes by number, without tags. A last axis of at most four is c.
_LETTERS = {2: "yx", 3: "zyx", 4: "zyxc", 5: "tzyxc"}


@dataclass(frozen=True, slots=True)
class Hdf5Pixels:
    """One dataset.

    Parameters
    ----------
    file, dataset
        The file, and the path of the dataset.
    order
        For each axis that is kept its number in the dataset; other axes have length 1.
    count
        Number of axes of the dataset.
    shape, read_block_shape, dtype
        Of the kept axes.
    """

    file: SourceFile
    dataset: str
    order: tuple[int, ...]
    count: int
    shape: tuple[int, ...]
    read_block_shape: tuple[int, ...]
    dtype: SampleType

    def read(self, region: Region) -> PixelArray:
        """The block of a region, C-contiguous."""
        index: list[slice | int] = [0] * self.count
        for place, span in zip(self.order, region, strict=True):
            index[place] = slice(*span)
        with (
            damage_named(self.file.name, "the dataset of the HDF5 file cannot be read"),
            opened_hdf5(self.file) as opened,
        ):
            block = np.asarray(opened[self.dataset][tuple(index)])
        kept = sorted(self.order)
        ordered = np.transpose(block, [kept.index(place) for place in self.order])
        return np.ascontiguousarray(ordered, dtype=self.dtype)

    def source_parts(self) -> SourceParts:
        """The file."""
        return (self.file,)


@contextmanager
def opened_hdf5(file: SourceFile) -> Iterator[Any]:
    """The file, opened by h5py."""
    h5py = import_optional("h5py", "ngff-bio[hdf5]")
    with file.open() as stream, h5py.File(_CheckedHeaps(stream), "r") as opened:
        yield opened


class _CheckedHeaps:
    """A file that is read by the HDF5 library, which never returns from a damaged heap of texts.

    A heap is ``GCOL``, 12 bytes, and objects: the number, 6 bytes, the size in 8 bytes, the padded
    content. Object 0 is the free space, its size includes its 16 bytes of header.
    https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, "Global Heap"
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        """Bytes from the current position."""
        data = self._stream.read(size)
        at = 16 if data.startswith(b"GCOL") else len(data)
        while at + 16 <= len(data):
            number, length = struct.unpack_from("<H6xQ", data, at)
            if length >= 2**63 or (number == 0 and not length):
                raise OSError("an object of the heap has an impossible length")
            at += 16 + (length + 7) // 8 * 8 if number else length
        return data


def open_hdf5(file: SourceFile, limits: Limits) -> ArrayImage:
    """The image of an HDF5 file: its only dataset of two axes or more, or the one of a known name.

    Datasets that other files contain (links, virtual and external ones) are not read.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the file is damaged, or it is unclear which dataset is the image, or what its axes are.
    ngff_bio.errors.DependencyError
        If h5py is not installed.
    """
    with damage_named(file.name, "the HDF5 file cannot be read"), opened_hdf5(file) as opened:
        found = dict(hdf5_datasets(opened))
        named = [n for n in _NAMES if n in found]
        if len(found) != 1 and not named:
            raise SourceError(
                "the image of an HDF5 file is not known",
                file=file.name,
                expected=f"one dataset, or one of the name {' or '.join(_NAMES)}",
                found=", ".join(list(found)[:8]) or "no dataset",
                hint="export the image to a file of its own, or to TIFF",
            )
        path = named[0] if named else next(iter(found))
        dataset = found[path]
        shape = tuple(int(n) for n in dataset.shape)
        dtype, tags = dataset.dtype, dataset.attrs.get("axistags")
        chunks = dataset.chunks or (*(1 for _ in shape[:-2]), *shape[-2:])
        stored = int(dataset.id.get_storage_size())
    letters = _letters(tags, shape, file.name)
    if letters is None or dtype.kind not in "uifb" or 0 in shape:
        raise SourceError(
            "the dataset of an HDF5 file is not an image",
            file=file.name,
            record=path,
            expected="numbers on axes of t, c, z, y, x, in axistags or 2 to 5 of them",
            found=f"{list(shape)} of {dtype}",
            hint="export it to TIFF",
        )
    limits.check_member(math.prod(chunks) * dtype.itemsize, file.name)
    if math.prod(shape) * dtype.itemsize > limits.most_bytes + stored * _DEFLATE_BYTES:
        raise SourceError(
            "the dataset of an HDF5 file is larger than its data",
            file=file.name,
            record=path,
            expected=f"at most {limits.most_bytes:,} bytes that are not stored",
            found=f"{list(shape)} of {dtype}, of which {stored:,} bytes are stored",
            hint="raise the limit with --max-bytes if the file can be trusted",
        )
    if (count := math.prod(-(-n // c) for n, c in zip(shape, chunks, strict=True))) > _CHUNKS:
        raise SourceError(
            "the dataset of an HDF5 file has more chunks than allowed",
            file=file.name,
            record=path,
            expected=f"at most {_CHUNKS:,}",
            found=f"{count:,} of {list(chunks)}",
            hint="write it with larger chunks (h5repack -l CHUNK=100x100)",
        )
    axes = [a for a in ORDER if a in letters and (a in "yx" or shape[letters.index(a)] > 1)]
    order = tuple(letters.index(a) for a in axes)
    pixels = Hdf5Pixels(
        file,
        path,
        order,
        len(shape),
        tuple(shape[i] for i in order),
        tuple(min(chunks[i], shape[i]) for i in order),
        np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("="),
    )
    kept = {"hdf5": {"dataset": path, "axes": letters}}
    return ArrayImage(pixels, axes_from("".join(axes)), kept)


def hdf5_datasets(
    group: Any, above: str = "", seen: set[int] | None = None
) -> Iterator[tuple[str, Any]]:
    """Datasets of two axes or more with their paths; none whose content is in other files.

    An object with several paths is given once.
    """
    h5py = import_optional("h5py", "ngff-bio[hdf5]")
    seen = {h5py.h5o.get_info(group.id).addr} if seen is None else seen
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        one, path = group[name], f"{above}{name}"
        if (address := h5py.h5o.get_info(one.id).addr) in seen:
            continue
        seen.add(address)
        if isinstance(one, h5py.Group) and path.count("/") < 8:
            yield from hdf5_datasets(one, f"{path}/", seen)
        elif not isinstance(one, h5py.Dataset) or one.is_virtual or one.external:
            continue
        elif len(one.shape or ()) >= 2:
            yield path, one


def _letters(tags: Any, shape: tuple[int, ...], file: str) -> str | None:
    """Letters of the axes in the order of the dataset."""
    if tags is not None:
        with damage_named(file, "the axistags of an HDF5 dataset cannot be read"):
            letters = "".join(str(a["key"]) for a in json.loads(tags)["axes"])
    elif len(shape) == 3 and shape[-1] <= 4:
        letters = "yxc"
    else:
        letters = _LETTERS.get(len(shape), "")
    fits = len(letters) == len(shape) == len(set(letters)) and {*"yx"} <= {*letters} <= {*ORDER}
    return letters if fits else None
