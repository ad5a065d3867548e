"""What a function returns for a piece: checked, and kept beside the data until it is written.

An array is kept as ``NUMBER.TYPE.MAXIMUM.CHANNELS.npy.zst`` (0 channels without an axis c), a table as
``NUMBER.parquet``: a list of names says what is done, and what has to be known to write it.
"""

from __future__ import annotations

import io
import re
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numcodecs import Zstd

from ngff_bio.compute.pieces import ImagePiece, cropped
from ngff_bio.editing.values import check_label_type, check_labels
from ngff_bio.engine.write.tables import from_parquet, to_parquet
from ngff_bio.errors import ArgumentError, FunctionError, NgffBioError, StoreError
from ngff_bio.model import PixelArray
from ngff_bio.storage import Storage

Kind = Literal["labels", "images", "tables"]


@dataclass(frozen=True)
class PieceTask:
    """What is done with each piece; sent with each batch.

    Parameters
    ----------
    kind
        What is written, if anything is.
    classes
        The only label values, where they are classes.
    storage, folder
        Where results are kept until they are written.
    """

    function: Callable[[Any], Any]
    kind: Kind | None = None
    classes: tuple[int, ...] | None = None
    storage: Storage | None = None
    folder: str = ""


@dataclass
class Done:
    """The result of a piece: a value, or the name of the object that holds it, or an error."""

    value: Any = None
    name: str | None = None
    error: NgffBioError | None = None


def run_batch(task: PieceTask, batch: list[ImagePiece]) -> list[Done]:
    """Apply the function to pieces, one at a time."""
    return [_run(task, piece) for piece in batch]


def _run(task: PieceTask, piece: ImagePiece) -> Done:
    try:
        loaded = piece.load()
        found = _call(task.function, loaded, piece)
        value = _checked(found, piece, task)
        del loaded
        if task.storage is None:
            return Done(value)
        name, data = _encoded(value, piece)
    except NgffBioError as error:
        error.record = error.record or piece.title
        return Done(error=error)
    task.storage.put(f"{task.folder}/{folder_of(piece.image.path)}/{name}", data)
    return Done(name=name)


def _call(function: Callable[[Any], Any], loaded: Any, piece: ImagePiece) -> Any:
    try:
        found = function(loaded)
        return found.compute() if hasattr(found, "dask") else found
    except NgffBioError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise FunctionError(
            "the function failed on an image",
            record=piece.title,
            found=f"{type(error).__name__}: {error} ({last.filename}, line {last.lineno})",
            hint='fix it, or skip such images with on_error="skip"',
        ) from error


def _checked(value: Any, piece: ImagePiece, task: PieceTask) -> Any:
    """An array or a table of the kind that is wanted."""
    is_array = hasattr(value, "dtype") and not isinstance(value, pd.Series) and np.ndim(value) > 0
    if task.kind is None:
        if is_array:
            return _array(value, piece, "images")
        return table_of(value, piece)
    if task.kind == "tables":
        if is_array:
            raise _unexpected("rows of a table: a data frame, a dictionary or a number", value)
        return table_of(value, piece)
    if not is_array:
        raise _unexpected("an array of the piece's shape", value)
    array = _array(value, piece, task.kind)
    if task.kind == "labels":
        check_labels(array, classes=task.classes)
    return array


def _unexpected(expected: str, value: Any) -> ArgumentError:
    return ArgumentError(
        "the function returned something else", expected=expected, found=type(value).__name__
    )


def piece_axes(piece: ImagePiece) -> str:
    """Axes of a piece, without those that are dropped."""
    return "".join(a for a in piece.image.axes if a not in piece.cut.dropped)


def _array(value: Any, piece: ImagePiece, kind: str) -> PixelArray:
    axes = piece_axes(piece)
    outer = dict(zip(piece.grid.sizes, piece.grid.outer(piece.number), strict=True))
    if kind == "labels" or (np.ndim(value) == len(axes) - 1 and "c" in axes):
        axes = axes.replace("c", "")
    dims = getattr(value, "dims", None)
    if dims is not None and sorted(map(str, dims)) == sorted(axes):
        value = value.transpose(*axes)
    array = np.asarray(value)
    wanted = [outer[a][1] - outer[a][0] if a in outer else None for a in axes]
    fits = array.ndim == len(wanted) and all(
        w in (None, n) for w, n in zip(wanted, array.shape, strict=True)
    )
    if not fits:
        raise ArgumentError(
            "the function returned another shape",
            expected=", ".join(
                f"{a}={'any' if n is None else n}" for a, n in zip(axes, wanted, strict=True)
            ),
            found=array.shape,
        )
    if kind == "labels":
        check_label_type(array)
    if array.dtype.kind == "b":
        array = array.astype("u1")
    elif array.dtype.kind not in "uif" or array.dtype.itemsize > 8:
        raise ArgumentError(
            "the function returned another type",
            expected="integers or floats of up to 64 bits",
            found=array.dtype,
        )
    return array


def table_of(value: Any, piece: ImagePiece) -> pd.DataFrame:
    """Rows with the index of their piece: of a data frame, a dictionary, several, or a number."""
    if value is None:
        table = pd.DataFrame()
    elif isinstance(value, pd.DataFrame):
        table = value.reset_index(drop=True)
    elif hasattr(value, "to_pandas"):
        table = value.to_pandas()
    elif isinstance(value, Mapping):
        table = pd.DataFrame([dict(value)])
    elif isinstance(value, list) and all(isinstance(v, Mapping) for v in value):
        table = pd.DataFrame(value)
    elif np.isscalar(value) or np.ndim(value) == 0:
        table = pd.DataFrame({"value": [np.asarray(value).item()]})
    else:
        raise _unexpected("an array, a data frame, a dictionary or a number", value)
    for at, (column, index) in enumerate(piece.where().items() if len(table) else ()):
        if column not in table:
            table.insert(min(at, table.shape[1]), column, index)
    return table


def folder_of(path: str) -> str:
    """Where the results of an image are, below the folder of the task."""
    return f"images/{path}".rstrip("/")


def _encoded(value: Any, piece: ImagePiece) -> tuple[str, bytes]:
    number, axes = piece.number, piece_axes(piece)
    if isinstance(value, pd.DataFrame):
        import pyarrow as pa

        try:
            table = pa.Table.from_pandas(value, preserve_index=False)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise ArgumentError(
                "the rows that the function returned cannot be stored",
                expected="values of one type in each column",
                found=error.args[0] if error.args else error,
            ) from error
        return f"{number:08d}.parquet", to_parquet(table)
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(value, value.dtype.newbyteorder("<")))
    most = int(value.max()) if value.size and value.dtype.kind in "uib" else 0
    kind = value.dtype.newbyteorder("<").str[1:]
    channels = value.shape[axes.index("c")] if "c" in axes and value.ndim == len(axes) else 0
    name = f"{number:08d}.{kind}.{most}.{channels}.npy.zst"
    return name, bytes(Zstd(level=1, checksum=True).encode(out.getvalue()))


@dataclass(frozen=True)
class Kept:
    """What the name of a kept result says."""

    name: str
    number: int
    dtype: str = ""
    maximum: int = 0
    channels: int = 0


_NAME = re.compile(r"(\d{8,})\.(?:parquet|([uif]\d)\.(-?\d+)\.(\d+)\.npy\.zst)")


def parse_name(name: str) -> Kept | None:
    """The parts of the name of a result; ``None`` if it is not one."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    number, dtype, most, channels = found.groups()
    if dtype is None:
        return Kept(name, int(number))
    return Kept(name, int(number), dtype, int(most), int(channels))


_last = threading.local()


def load_array(storage: Storage, key: str, run: str) -> PixelArray:
    """An array that was kept; the last one of each thread stays in memory.

    The next run may keep another array by the same key, and workers of a cluster live longer than a
    run: `run` is the name of the one that reads.
    """
    place = (run, storage.url, key)
    if getattr(_last, "place", None) != place:
        data = _kept(storage, key)
        try:
            _last.array = np.load(io.BytesIO(Zstd().decode(data)), allow_pickle=False)
        except (ValueError, RuntimeError, EOFError) as error:
            raise _damaged(storage, key, error) from None
        _last.place = place
    found: PixelArray = _last.array
    return found


def load_table(storage: Storage, key: str) -> Any:
    """A table that was kept."""
    data = _kept(storage, key)
    try:
        return from_parquet(data)
    except (ValueError, OSError) as error:  # of pyarrow
        raise _damaged(storage, key, error) from None


def _damaged(storage: Storage, key: str, error: Exception) -> StoreError:
    return StoreError(
        "a result that was kept of an interrupted run is damaged",
        file=f"{storage.url}/{key}",
        found=error,
        hint="remove what was kept with `ngff-bio discard STORE`, then run the same command again",
    )


def _kept(storage: Storage, key: str) -> bytes:
    data = storage.get(key)
    if data is None:
        raise StoreError(
            "a result that was kept is missing",
            file=f"{storage.url}/{key}",
            hint="run the same command again",
        )
    return data


@dataclass(frozen=True)
class Collected:
    """Arrays of pieces put together to one for each image."""

    arrays: dict[str, PixelArray]
    tables: list[pd.DataFrame]

    def add(self, piece: ImagePiece, value: Any) -> None:
        """Add the result of a piece."""
        if isinstance(value, pd.DataFrame):
            if len(value):
                value.insert(0, "image", piece.image.path)
                self.tables.append(value)
            return
        grid, axes = piece.grid, piece_axes(piece)
        if value.ndim == len(axes) - 1:
            axes = axes.replace("c", "")
        whole_axes = piece.image.axes if "c" in axes else piece.image.axes.replace("c", "")
        core = dict(zip(grid.sizes, grid.core(piece.number), strict=True))
        part = cropped(value, grid, piece.number, axes)
        channels = value.shape[axes.index("c")] if "c" in axes else 1
        if piece.image.path not in self.arrays:
            shape = tuple(grid.sizes.get(a, channels) for a in whole_axes)
            self.arrays[piece.image.path] = np.zeros(shape, value.dtype)
        whole = self.arrays[piece.image.path]
        if (dtype := np.promote_types(whole.dtype, value.dtype)) != whole.dtype:
            whole = self.arrays[piece.image.path] = whole.astype(dtype)
        kept = tuple(slice(*core[a]) if a in core else slice(None) for a in whole_axes)
        shape = tuple(core[a][1] - core[a][0] if a in core else channels for a in whole_axes)
        if len(whole_axes) != whole.ndim or whole[kept].shape != shape:
            raise ArgumentError(
                "the function returned different numbers of channels for the pieces of an image",
                record=piece.title,
            )
        whole[kept] = part.reshape(shape)
