"""``measure``: instances of a whole dataset as rows of a table, which can be written to the store."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ngff_bio.compute.measured_pieces import (
    MeasuredPiece,
    Measurement,
    joined,
    measure_batch,
    whole_table,
)
from ngff_bio.compute.workers import Batches, Pool, checked_pieces, start_pool
from ngff_bio.engine.write.tables import FILE, group_attributes, to_parquet
from ngff_bio.engine.write.update import StoreChange, changed_store, held_store
from ngff_bio.errors import ArgumentError, NameNotFoundError, closest_names
from ngff_bio.model import Region
from ngff_bio.reader import Dataset, Image, open
from ngff_bio.reader.analysis.measures import Sums, layer_of, merged, regions_of
from ngff_bio.reader.analysis.shapes import groups_of
from ngff_bio.reader.tables.rows import EVERY_ROW, values_of
from ngff_bio.reader.tables.tables import TablePart, classes_of, dask_frame
from ngff_bio.storage import Storage

if TYPE_CHECKING:
    import pandas as pd

#: What is written goes there.
Change = StoreChange | None

#: An image whose labels and pixels take up to so many bytes is measured as a whole.
_WHOLE = 64 << 20

#: Statistics of blocks that wait to be merged.
_FAN_IN = 16


def measure(
    dataset: Dataset | str | os.PathLike[str] | Storage,
    labels: str | Sequence[str] | None = None,
    *,
    images: Iterable[str] | None = None,
    level: int = 0,
    intensity: bool = True,
    properties: str | Sequence[str] = (),
    units: Literal["pixel", "world"] = "pixel",
    write: str | None = None,
    to: Literal["pandas", "dask"] = "pandas",
    cluster: Any = None,
    workers: int = 0,
    memory: int = 0,
    storage_options: Mapping[str, Any] | None = None,
) -> Any:
    """Measure every instance of a dataset, out of core.

    Area, centroid and box as scikit-image's ``regionprops`` has them, mean, minimum, maximum and
    standard deviation of the intensity, and the class, a row for each instance and frame. An
    instance that others cover is measured whole.

    Parameters
    ----------
    dataset
        An open dataset, or a place to open.
    labels
        Names of label layers; all that hold instances if ``None``.
    images
        Paths of images; all if ``None``.
    level
        Resolution level that is measured.
    intensity
        Whether the image is read too. With several channels each has its own columns, ending in
        the channel's name.
    properties
        Further columns by scikit-image, as ``skimage.measure.regionprops_table`` names them:
        ``("eccentricity", "solidity", "perimeter")``.
    units
        ``world``: area and centroid in the axes' units; boxes are always in pixels.
    write
        Name of a table: the rows of each image and layer are also written to the store, to
        ``tables/<layer>-<write>``.
    to
        ``dask``: rows go to the store as they come, are not held in memory, and a dask data frame that
        reads them is returned; needs ``write``.
    cluster
        A ``distributed.Client`` or the address of a scheduler; if ``None``, the current client of this
        process, else threads. Workers open the store themselves.
    workers
        Number of threads; one per processor if 0.
    memory
        Bytes that all workers may take together; 0 for half of what is free.

    Returns
    -------
    pandas.DataFrame or dask.dataframe.DataFrame
        Columns image, layer, label, label_image, category (where known), t, pixels, area,
        ``centroid_<axis>``, ``<axis>_start``, ``<axis>_stop``, ``intensity_<statistic>``, then those
        of ``properties``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If ``write`` is not a name, ``units`` is unknown, or scikit-image has no such property.
    ngff_bio.errors.NameNotFoundError
        If there are no such labels.
    ngff_bio.errors.DependencyError
        If ``properties`` are wanted and scikit-image is not installed.
    ngff_bio.errors.WorkerError
        If workers of the cluster cannot do the work.
    ngff_bio.errors.StorageError
        If the table cannot be written.
    """
    if write is not None and (not write or "/" in write):
        raise ArgumentError("not a name of a table", expected="a name without /", found=write)
    if units not in ("pixel", "world"):
        raise ArgumentError("unknown units", expected="pixel or world", found=units)
    if to not in ("pandas", "dask") or (to == "dask" and write is None):
        raise ArgumentError(
            "rows are returned as pandas, or as dask of a table that is written",
            expected="to='pandas', or to='dask' with write=NAME",
            found=f"to={to!r}",
        )
    opened = dataset if isinstance(dataset, Dataset) else open(dataset, storage_options)
    paths = list(dict.fromkeys(opened if images is None else values_of(images)))
    how = Measurement(level, intensity, values_of(properties), units)
    work = _Work(opened, paths, labels, how, write, held=to == "pandas")
    pool = start_pool(cluster, workers, memory)
    with ExitStack() as stack:
        stack.callback(pool.close)
        pool.check(opened.nodes.storage, None, writing=False)
        if write is not None:
            held = stack.enter_context(held_store(opened.nodes.storage))
            opened.nodes.refresh()  # others may have written since it was opened
            change = stack.enter_context(changed_store(held, *work.tables()))
            work.run(pool, change)
        else:
            work.run(pool, None)
    if write is not None:
        opened.nodes.refresh()
    if to == "dask":
        return dask_frame(
            [
                TablePart(image, name, EVERY_ROW, None, ("image", "layer"))
                for image in map(opened.__getitem__, paths)
                for name in image.tables
                if name in work.written
            ]
        )
    return work.table()


@dataclass
class _Open:
    """An image that is measured block by block: what is still missing of it."""

    image: Image
    missing: int
    sums: dict[tuple[str, str], list[Sums]] = field(default_factory=lambda: defaultdict(list))
    shapes: dict[tuple[str, str], list[pd.DataFrame]] = field(
        default_factory=lambda: defaultdict(list)
    )


class _Work:
    """The measurement of a dataset."""

    def __init__(
        self,
        dataset: Dataset,
        paths: Sequence[str],
        labels: str | Sequence[str] | None,
        how: Measurement,
        write: str | None,
        *,
        held: bool,
    ) -> None:
        self._dataset, self._paths, self._how = dataset, paths, how
        self._wanted = None if labels is None else values_of(labels)
        self._write, self._held = write, held
        self._taken = 0
        self._known: dict[str, None] = {}
        self._open: dict[str, _Open] = {}
        self._found: list[pd.DataFrame] = []
        self.written: set[str] = set()

    def _labels(self, image: Image) -> list[tuple[str, str]]:
        """Layer and label image of all that is measured in an image."""
        found = []
        for name, hidden in image.layers.items():
            chosen = name in self._wanted if self._wanted is not None else None
            if not image.is_semantic(name) if chosen is None else chosen:
                found += [(name, one) for one in (name, *hidden)]
        return found

    def _names(self, image: Image) -> list[str]:
        """Names of the tables that are written of an image if it has instances."""
        layers = dict.fromkeys(layer for layer, _ in self._labels(image))
        return [f"{layer}-{self._write}" for layer in layers]

    def tables(self) -> tuple[list[str], list[str]]:
        """Paths of the tables that are written, and of those among them that are there already."""
        new: list[str] = []
        old: list[str] = []
        for image in map(self.image, self._paths):
            for name in self._names(image):
                (old if name in image.tables else new).append(image.below(f"tables/{name}"))
        return new, old

    def run(self, pool: Pool, change: Change) -> None:
        """Measure, and write what is to be written."""
        hint = "measure a coarser level"
        self._do(
            pool, self._pieces(), lambda: 1 - self._taken / max(len(self._paths), 1), hint, change
        )
        for name in self._wanted or ():
            if name not in self._known:
                raise NameNotFoundError(
                    f"no image has labels {name!r}",
                    file=self._dataset.url,
                    expected=closest_names(name, self._known) or "there are no labels",
                )

    def _do(
        self,
        pool: Pool,
        pieces: Iterator[MeasuredPiece],
        left: Any,
        hint: str,
        change: Change,
    ) -> None:
        batches = Batches(checked_pieces(pool, pieces, hint), pool.threads, left)
        more: list[MeasuredPiece] = []
        for batch, measured in pool.run(partial(measure_batch, self._how), batches, "measure"):
            if measured.rows is not None:
                self._keep([p.image for p in batch if p.is_whole], measured.rows, change)
            for piece, result in zip(batch, measured.parts, strict=True):
                if result is not None:
                    more += self._add(piece, result, change)
        if more:
            self._do(pool, iter(more), lambda: 0.0, hint, change)

    def image(self, path: str) -> Image:
        """An image whose metadata is forgotten with it: that of all images can be gigabytes."""
        path = path.strip("/")
        nodes = self._dataset.nodes.below(path)
        return Image(nodes, path) if path in self._dataset else self._dataset[path]

    def _pieces(self) -> Iterator[MeasuredPiece]:
        for path in self._paths:
            image = self.image(path)
            self._taken += 1
            self._known |= dict.fromkeys(image.layers)
            labels = self._labels(image)
            if not labels:
                continue
            size = max(self._nbytes(image, one) for _, one in labels)  # one is in memory at a time
            if size <= _WHOLE:
                yield MeasuredPiece(image, tuple(labels), size)
                continue
            level = self._how.level
            blocks = [(pair, r) for pair in labels for r in regions_of(image, pair[1], level)]
            self._open[path] = _Open(image, len(blocks))
            for pair, region in blocks:
                yield MeasuredPiece(image, (pair,), self._nbytes(image, pair[1], region), region)

    def _nbytes(self, image: Image, one: str, region: Region | None = None) -> int:
        """Bytes of a region of a label image, and of the pixels that are read with it."""
        array = layer_of(image, one, self._how.level).array
        channels = image.sizes.get("c", 1) if self._how.intensity else 0
        size = array.dtype.itemsize + image.dtype.itemsize * channels
        return size * math.prod(array.shape if region is None else (b - a for a, b in region))

    def _add(self, piece: MeasuredPiece, result: Any, change: Change) -> list[MeasuredPiece]:
        """Keep a block's result; returns what is to be done when all blocks are there."""
        opened = self._open[piece.image.path]
        (pair,) = piece.labels
        opened.missing -= 1
        if piece.group is not None:
            opened.shapes[pair].append(result)
        else:
            sums = opened.sums[pair]
            sums.append(result)
            if len(sums) >= _FAN_IN:
                opened.sums[pair] = [merged(sums)]
        if opened.missing:
            return []
        image, more = opened.image, []
        if piece.group is None and self._how.properties:
            more = [
                MeasuredPiece(image, (one,), self._nbytes(image, one[1], group[0]), group=group)
                for one, sums in opened.sums.items()
                for group in groups_of(image, one[1], self._how.level, merged(sums))
            ]
            if more:
                opened.missing = len(more)
                return more
        del self._open[piece.image.path]
        classes = {layer: classes_of(image, layer) for layer, _ in opened.sums}
        tables = [
            joined(
                image,
                layer,
                one,
                self._how,
                merged(sums),
                classes[layer],
                opened.shapes.get((layer, one), ()),
            )
            for (layer, one), sums in opened.sums.items()
        ]
        self._keep([image], whole_table(tables), change)
        return []

    def _keep(self, images: Sequence[Image], table: pd.DataFrame, change: Change) -> None:
        """Keep the rows of images, and write them."""
        if self._held:
            self._found.append(table)
        if change is not None:
            of_image = dict(iter(table.groupby("image", sort=False))) if len(table) else {}
            for image in images:
                self._write_rows(image, of_image.get(image.path, table[:0]), change)

    def _write_rows(self, image: Image, table: pd.DataFrame, change: StoreChange) -> None:
        import pyarrow as pa

        start = image.below("tables")
        listed = dict(image.nodes.attributes(start) or {})
        names = dict.fromkeys(listed.get("tables", ()))
        gone = set(self._names(image))  # earlier tables of instances that are not there any more
        for layer, rows in table.groupby("layer", sort=True) if len(table) else ():
            rows = rows.drop(columns=["image", "layer"]).reset_index(drop=True)
            name = f"{layer}-{self._write}"
            names[name] = None
            gone.discard(name)
            self.written.add(name)
            change.put(f"{start}/{name}/{FILE}", to_parquet(pa.Table.from_pandas(rows)))
            attributes = group_attributes(str(layer) if rows["label"].is_unique else None)
            change.set_group(f"{start}/{name}", attributes)
        if listed or names:
            change.set_group(start, {**listed, "tables": [n for n in names if n not in gone]})

    def table(self) -> pd.DataFrame:
        """The rows of all images, in their order."""
        import pandas as pd

        found = [t for t in self._found if len(t)]
        if not found:
            return self._found[0] if self._found else pd.DataFrame()
        places = {path.strip("/"): number for number, path in enumerate(self._paths)}
        found.sort(key=lambda t: places[t["image"].iloc[0]])
        table = pd.concat(found, ignore_index=True) if len(found) > 1 else found[0]
        order = np.argsort(table["image"].map(places).to_numpy(), kind="stable")
        return table.take(order).reset_index(drop=True)
