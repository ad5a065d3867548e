"""Labels of nuclei in MATLAB files, as of HoVer-Net: CoNSeP, Kumar, CPM, Lizard.

``inst_map`` has the id of each pixel. The class of a nucleus is that of its pixels in ``type_map``, or
``inst_type`` at the place of its id in ``inst_uid`` (CoNSeP), or ``class`` at that in ``id`` (Lizard).
https://github.com/vqdang/hover_net, https://warwick.ac.uk/fac/cross_fac/tia/data/lizard. Files of
version 7.3 are HDF5, with axes the other way round.
"""

from __future__ import annotations

import atexit
import io
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import DependencyError, SourceError, import_optional
from ngff_bio.formats.arrays.hdf5 import hdf5_datasets, opened_hdf5
from ngff_bio.formats.documents import AnnotatedImage, Document, instance_of
from ngff_bio.formats.images.label_pixels import check_integers
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.formats.outlines import mask_rle
from ngff_bio.formats.problems import Problems, damage_named
from ngff_bio.model import Category, SourceFile
from ngff_bio.raster.runs import label_extents

_MAP, _TYPES = "inst_map", "type_map"

#: Lists of ids, and the lists of classes that belong to them.
_LISTS = (("inst_uid", "inst_type"), ("id", "class"))
_WANTED = (_MAP, _TYPES, *(name for pair in _LISTS for name in pair))

#: Versions by the start of the file.
_OLD, _HDF5 = b"MATLAB 5.0", b"MATLAB 7.3"


def is_mat_labels(file: SourceFile) -> bool:
    """Whether a file is one of MATLAB that has a map of instances; no if it cannot be read here."""
    try:
        return _MAP in _shapes(file)
    except (SourceError, DependencyError):
        return False


def missing_readers() -> str | None:
    """The command that installs what reads the files of both versions; ``None`` if all is there."""
    missing = []
    for module, extra in (("scipy.io", "objects"), ("h5py", "hdf5")):
        try:
            import_optional(module, f"ngff-bio[{extra}]")
        except DependencyError:
            missing.append(extra)
    return f"pip install 'ngff-bio[{','.join(missing)}]'" if missing else None


@dataclass(frozen=True, slots=True)
class MatLabels:
    """Reads the nuclei of the image that a file is named like."""

    file: SourceFile

    def read(self, problems: Problems) -> Document:
        """Read the file.

        Raises
        ------
        ngff_bio.errors.DependencyError
            If SciPy, or for version 7.3 h5py, is not installed.
        """
        name = self.file.name
        found = _arrays(self.file, DEFAULT_LIMITS)
        labels = check_integers(found[_MAP], name)
        if labels.ndim != 2:
            raise SourceError(
                "the map of instances is not a plane",
                file=name,
                record=_MAP,
                expected="rows and columns",
                found=list(labels.shape),
            )
        labels = labels.astype(np.int64)
        size = (int(labels.shape[0]), int(labels.shape[1]))
        values, _, low, high = label_extents(labels)
        types = _types(found, labels, values, name)
        instances = []
        for number, own in enumerate(values.tolist()):
            (top, left), (bottom, right) = low[number].tolist(), high[number].tolist()
            mask = labels[top:bottom, left:right] == own
            kind = None if types is None else types.get(own)
            instances.append(
                instance_of(
                    mask_rle(mask, (left, top), size),
                    {"id": own, "type": kind},
                    number,
                    category=None if kind is None else str(kind),
                    category_id=kind,
                    source_id=own,
                )
            )
        classes = sorted(set(types.values()) if types else ())
        image = AnnotatedImage(name.rpartition("/")[2].rpartition(".")[0], instances, size)
        return Document([image], tuple(Category(k, str(k)) for k in classes))


def _types(
    found: Mapping[str, NDArray[Any]], labels: NDArray[np.int64], values: NDArray[Any], file: str
) -> dict[int, int] | None:
    """Class of each id; ``None`` if the file has none."""
    for ids, classes in _LISTS:
        if ids in found and classes in found:
            listed, kinds = (
                check_integers(found[n].ravel(), file).astype(int).tolist() for n in (ids, classes)
            )
            if len(listed) == len(kinds) and {*values.tolist()} <= {*listed}:
                return dict(zip(listed, kinds, strict=True))
            raise SourceError(
                "the lists of ids and classes do not fit the map of instances",
                file=file,
                record=f"{ids}, {classes}",
                expected="a class for each id of inst_map",
                found=f"{len(listed)} ids, {len(kinds)} classes, {len(values)} instances",
                hint="skip such files with --on-error skip",
            )
    types = found.get(_TYPES)
    if types is None:
        return None
    if types.shape != labels.shape:
        raise SourceError(
            "two maps differ in shape",
            file=file,
            record=_TYPES,
            expected=list(labels.shape),
            found=list(types.shape),
            hint="skip such files with --on-error skip",
        )
    kinds_of = check_integers(types, file).astype(np.int64)[labels > 0]
    pairs, counts = np.unique(np.stack([labels[labels > 0], kinds_of]), axis=1, return_counts=True)
    order = np.argsort(counts, kind="stable")  # the most frequent last
    return dict(zip(pairs[0, order].tolist(), pairs[1, order].tolist(), strict=True))


def _shapes(file: SourceFile) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays of a file, by name; none if it is not one of MATLAB."""
    start = file.read_range(0, len(_OLD))
    with damage_named(file.name, "the MATLAB file cannot be read"):
        if start == _OLD:
            matlab = import_optional("scipy.io", "ngff-bio[objects]")
            with file.open() as stream:
                return {n: tuple(map(int, shape)) for n, shape, _ in matlab.whosmat(stream)}
        if start == _HDF5:
            with opened_hdf5(file) as opened:
                return {n: tuple(map(int, one.shape)) for n, one in hdf5_datasets(opened)}
    return {}


def _arrays(file: SourceFile, limits: Limits) -> dict[str, NDArray[Any]]:
    shapes = _shapes(file)
    if _MAP not in shapes:
        raise SourceError(
            "the MATLAB file has no map of instances",
            file=file.name,
            expected=_MAP,
            found=", ".join(shapes)[:80] or "no arrays of MATLAB",
            hint="leave the file out with --exclude GLOB",
        )
    wanted = [name for name in _WANTED if name in shapes]
    for name in wanted:  # two processes have it, with numbers of 8 bytes, several times
        limits.check_plane(math.prod(shapes[name]), 1, file.name, whole=True, pixel_bytes=64)
    with damage_named(file.name, "the MATLAB file cannot be read"):
        if file.read_range(0, len(_OLD)) == _OLD:
            return _loaded(file, wanted)
        with opened_hdf5(file) as opened:
            return {n: np.asarray(opened[n][...]).T for n in wanted}


def _loaded(file: SourceFile, wanted: list[str]) -> dict[str, NDArray[Any]]:
    """Arrays of a file before version 7.3, read in another process.

    ``scipy.io.loadmat`` ends its process with a segmentation fault if the type of an element does not
    exist.
    """
    import_optional("scipy.io", "ngff-bio[objects]")
    with file.open() as stream:
        data = stream.read()
    try:
        archive = _READER.read(data, wanted)
    except ValueError as error:
        raise SourceError(
            "the MATLAB file cannot be read",
            file=file.name,
            found=str(error),
            hint="the file may be damaged: get it again, or leave it out with --exclude GLOB",
        ) from error
    with np.load(io.BytesIO(archive), allow_pickle=False) as arrays:
        return {name: np.asarray(arrays[name]) for name in wanted}


#: For each file the other process reads a line of JSON (size of the file in bytes, names of arrays) and
#: the file, and writes a line of JSON (size of the result in bytes, error or null) and an ``.npz``.
_READ = """
import io, json, sys
import numpy, scipy.io
source, answers = sys.stdin.buffer, sys.stdout.buffer
for line in source:
    size, names = json.loads(line)
    archive = io.BytesIO()
    try:
        found = scipy.io.loadmat(io.BytesIO(source.read(size)), variable_names=names)
        numpy.savez(archive, allow_pickle=False, **{name: found[name] for name in names})
        wrong = None
    except Exception as error:
        archive, wrong = io.BytesIO(), f"{type(error).__name__}: {error}"[:200]
    found = None
    answers.write(json.dumps([len(archive.getbuffer()), wrong]).encode() + b"\\n")
    answers.write(archive.getbuffer())
    answers.flush()
"""


class SeparateReader:
    """A process that reads one file after another; a new one is started where it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        atexit.register(self.close)

    def read(self, data: bytes, names: list[str]) -> bytes:
        """An archive (``.npz``) of the arrays of these names; a `ValueError` says what is wrong."""
        with self._lock:
            if (
                self._process is None or self._owner != os.getpid()
            ):  # that of a process is not forked
                # -P: no module from the folder that the program is started in.
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-c", _READ],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
                self._owner = os.getpid()
            try:
                return _answer(self._process, data, names)
            except BaseException:  # what it would answer next may belong to this file
                self.close()
                raise

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            process.kill()
            process.communicate()


def _answer(process: subprocess.Popen[bytes], data: bytes, names: list[str]) -> bytes:
    given, answers = process.stdin, process.stdout
    if given is None or answers is None:
        raise ValueError("a reader without pipes")
    with suppress(BrokenPipeError):
        given.write(json.dumps([len(data), names]).encode() + b"\n" + data)
        given.flush()
    header = answers.readline()
    size, wrong = json.loads(header) if header else (0, None)
    archive = answers.read(size)
    if wrong is not None or not header or len(archive) < size:
        raise ValueError(wrong or f"a reader that ended with code {process.wait()}")
    return archive


_READER = SeparateReader()
