"""Results of ``map_images`` that go into the store: kept until all are there, then one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ngff_bio.compute.joining import MappedPixels, Seam, join_batch, joined_values, offsets_of
from ngff_bio.compute.kept import KeptResults, digest_of
from ngff_bio.compute.map_work import Mapped, MapWork, Target
from ngff_bio.compute.pieces import Grid
from ngff_bio.compute.results import Kept, PieceTask, folder_of, load_table
from ngff_bio.compute.workers import Batches, Cluster
from ngff_bio.editing.additions import StoreAddition, check_free, write_additions
from ngff_bio.editing.changes import categories_of, provenance
from ngff_bio.editing.values import class_values
from ngff_bio.engine.run.cluster import DaskRunner
from ngff_bio.engine.write.update import HeldStore
from ngff_bio.errors import ArgumentError, NgffBioError, StoreBusyError
from ngff_bio.model import VolumeLayer
from ngff_bio.ngff.attributes import ADDED
from ngff_bio.reader import Image


class ResultWriter:
    """Keeps the results of the pieces, and writes them when all are there."""

    def __init__(
        self,
        work: MapWork,
        target: Target,
        held: HeldStore,
        classes: Mapping[int, str] | None,
        author: str | None,
    ) -> None:
        self._work, self._target, self._held, self._classes = work, target, held, classes
        read = {i.path: (i, work.labels[i.path]) for i in work.images}
        settings = (target, work.cut, work.level, sorted((classes or {}).items()))
        digest = digest_of(work.function, settings, held.storage, read)
        name = f"{target.kind}-{target.name}"
        self._kept = KeptResults(held.storage, name, digest)
        self._run = uuid.uuid4().hex
        function = getattr(work.function, "__qualname__", type(work.function).__qualname__)
        module = getattr(work.function, "__module__", None) or "__main__"
        self._added = provenance(author, function=f"{module}.{function}")

    def run(self, *, overwrite: bool, resume: bool) -> Mapped:
        """Do what is not done, and write all of it."""
        work, kept = self._work, self._kept
        ours = resume and kept.was_writing
        if not overwrite and not ours:
            check_free(work.images, self._target.kind, self._target.name)
        self._added = kept.begin(self._added, resume=resume)
        done = kept.done()
        resumed = sum(map(len, done.values()))
        classes = class_values(self._classes)
        task = PieceTask(work.function, self._target.kind, classes, kept.storage, kept.folder)
        try:
            for _ in work.run(task, done):
                self._held.check_lease()
        except BaseException:
            with suppress(NgffBioError):
                if not kept.done():  # nothing that could be taken over
                    kept.remove()
            raise
        done = kept.done()
        failed = {row["image"] for row in work.failures}
        images = [i for i in work.images if i.path not in failed]
        for image in images:
            if len(done.get(image.path, ())) < work.grid(image).size:
                raise StoreBusyError(
                    "another program has removed results that were kept in the store",
                    file=kept.storage.url,
                    record=image.path,
                    hint="run the same again: it does what is missing",
                )
        additions = [a for i in images if (a := self._addition(i, done[i.path])) is not None]
        if additions:
            kept.begin_writing()
            runner = None
            if isinstance(work.pool, Cluster):
                runner = DaskRunner(work.pool.client, work.pool.memory * work.pool.threads)
            write_additions(additions, self._held, runner)
        kept.remove()
        return work.result(written=[a.path for a in additions], resumed=resumed)

    def _addition(self, image: Image, done: Mapping[int, Kept]) -> StoreAddition | None:
        grid, folder = self._work.grid(image), f"{self._kept.folder}/{folder_of(image.path)}"
        kept = [done[number] for number in range(grid.size)]
        name, storage = self._target.name, self._kept.storage
        if self._target.kind == "tables":
            return self._table(image, [f"{folder}/{k.name}" for k in kept])
        names, axes = tuple(k.name for k in kept), image.axes.replace("c", "")
        sizes = dict(image.sizes)
        if self._target.kind == "images":
            kinds = {(k.dtype, k.channels) for k in kept}
            if len(kinds) > 1:
                raise ArgumentError(
                    "the function returned different types for the pieces of an image",
                    record=image.path,
                    expected="one type and number of channels",
                    found=", ".join(f"{d} with {c} channels" for d, c in sorted(kinds)),
                )
            ((dtype, channels),) = kinds
            if channels:
                axes, sizes["c"] = image.axes, channels
            shape = tuple(sizes[a] for a in axes)
            stored = np.dtype(f"<{dtype}")
            pixels = MappedPixels(storage, folder, names, self._run, grid, axes, shape, stored)
            more = {ADDED: self._added}
            return StoreAddition(image, name, pixels=pixels, axes=axes, attributes=more)
        shape = tuple(sizes[a] for a in axes)
        semantic = self._classes is not None
        offsets: list[int] = []
        most = max(k.maximum for k in kept)
        joined = None
        if not semantic and grid.size > 1:
            offsets, most = offsets_of([k.maximum for k in kept], image.path)
            if self._work.cut.overlap:
                joined = joined_values(self._pairs(image, grid, folder, names), offsets)
        stored = np.dtype("u4")
        pixels = MappedPixels(
            storage, folder, names, self._run, grid, axes, shape, stored, tuple(offsets), joined
        )
        layer = VolumeLayer(
            name,
            pixels,
            "semantic" if semantic else "instance",
            most,
            categories_of(self._classes),
            attributes={ADDED: self._added},
        )
        return StoreAddition(image, name, layer)

    def _pairs(self, image: Image, grid: Grid, folder: str, names: tuple[str, ...]) -> list[Any]:
        """Objects that are one, over all seams of an image."""
        size = 4 * int(np.prod(grid.core_shape)) * 2
        seams = (
            Seam(self._kept.storage, folder, names, self._run, grid, image.path, number, size)
            for number in range(grid.size)
        )
        found: list[Any] = []
        batches = Batches(seams, self._work.pool.threads, lambda: 0.5)
        for _, results in self._work.pool.run(join_batch, batches, "join"):
            for pairs in results:
                found += pairs
        return sorted(found)

    def _table(self, image: Image, keys: Sequence[str]) -> StoreAddition | None:
        import pyarrow as pa

        tables = [load_table(self._kept.storage, key) for key in keys]
        tables = [t for t in tables if t.num_rows]
        if not tables:
            return None
        whole = pa.concat_tables(tables, promote_options="permissive")
        return StoreAddition(image, self._target.name, table=whole)
