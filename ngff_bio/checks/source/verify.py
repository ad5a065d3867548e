"""``verify``: is a store what was written, and is it equal to its source?"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

from ngff_bio.checks.source.compare_instances import StoredLayer, instance_tasks
from ngff_bio.checks.source.compare_metadata import (
    dataset_differences,
    image_differences,
    label_differences,
)
from ngff_bio.checks.source.compare_pixels import METHODS, level_tasks, pixel_tasks
from ngff_bio.checks.source.compare_tracks import track_tasks
from ngff_bio.checks.source.compare_volumes import Objects, compare_objects, volume_tasks
from ngff_bio.checks.source.decoded import decoded_tasks
from ngff_bio.checks.source.differences import Difference, Kind, Verification
from ngff_bio.checks.source.skipped import without_left_out
from ngff_bio.checks.source.stored_tables import StoredTables
from ngff_bio.checks.source.tasks import Found, StoredArray, Task
from ngff_bio.checks.source.zarr_view import view
from ngff_bio.checks.store.arrayinfo import ArrayInfo, array_info
from ngff_bio.checks.store.documents import Documents, join, read_documents, texts
from ngff_bio.checks.store.multiscales import multiscales
from ngff_bio.checks.store.objects import check_objects, load_manifest
from ngff_bio.deprecation import renamed_keywords
from ngff_bio.engine.write.manifest import Entry
from ngff_bio.errors import StoreError
from ngff_bio.model import InstanceLayer, OnError, SourceDataset, SourceImage, VolumeLayer
from ngff_bio.parallel import WorkerPool, cpu_count
from ngff_bio.sources import FileTree, find_source, open_tree, read_source
from ngff_bio.sources.files.checksums import checksums
from ngff_bio.storage import Storage, storage_at

#: Called with raw bytes done and in all.
Progress = Callable[[int, int], None]


@renamed_keywords(store_options="storage_options")
def verify(
    store: str | os.PathLike[str] | Storage,
    source: str | os.PathLike[str] | SourceDataset | None = None,
    *,
    format: str | None = None,
    options: Mapping[str, Any] | None = None,
    on_error: OnError | None = None,
    source_options: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    sample: int | None = None,
    pixels: bool = False,
    workers: int = 0,
    progress: Progress | None = None,
) -> Verification:
    """Prove that a store is whole and, where the source is given, equal to it.

    Without the source, every object is held against the manifest that ``convert`` has left: a flipped
    bit, a missing, swapped or foreign file is found. With the source, both are read again, the store
    by zarr-python: level 0 pixel for pixel, each further level made again, each instance's mask drawn
    again, every row, every frame and all that the metadata says.

    Parameters
    ----------
    store
        The store.
    source
        The folder, archive or URL that it was made from, or the dataset that a program made itself.
    format
        Name of the source format; as the store says, if not given.
    options
        Options of the source that the conversion was given; as the store says, if not given.
    on_error
        ``skip`` if the conversion went on without wrong records; as the store says, if not given.
    source_options
        Options of the URL of the source: endpoint, credentials. The names are those of
        `storage_options`; any other is passed to fsspec.
    storage_options
        Options of the bucket of the store, as in :class:`ngff_bio.storage.BucketStorage`.
    sample
        Compare only so many pieces (objects of the store, blocks of pixels, frames of instances),
        picked at random, always the same ones. Metadata is compared whole.
    pixels
        Without the source: also decode level 0 and hold it against the checksums of the pixels that
        were read from the source.
    workers
        Threads; one per processor core if 0.
    progress
        Called with raw bytes compared and in all.

    Returns
    -------
    Verification
        Every difference, not only the first.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If there is no store.
    ngff_bio.errors.StoreError
        If it has no manifest and no source is given.
    """
    began = time.monotonic()
    storage = storage_at(store, storage_options)
    done = Verification(storage.url, sampled=sample)
    with WorkerPool(workers or cpu_count()) as pool:
        proof = _Proof(storage, done, pool, progress or (lambda done, total: None))
        entries = proof.objects(required=source is None)
        if isinstance(source, SourceDataset):
            done.source = source.origin
            proof.compare(read_documents(storage), source, sample)
        elif source is not None:
            done.source = os.fspath(source)
            tree = open_tree(source, source_options=source_options)
            proof.source_files(tree, entries, checked=sample is None)
            documents = read_documents(storage)
            said = _said(documents)
            kind = find_source(tree, format or said.get("source"))
            recorded = said.get("options")
            recorded = recorded if isinstance(recorded, dict) else {}
            if options is None:
                options = {k: v for k, v in recorded.items() if k in kind.options}
            skipping = on_error or recorded.get("on_error", "stop")
            dataset = read_source(kind, tree, options, on_error=skipping)
            if skipping == "skip":
                dataset, left_out = without_left_out(dataset, documents.groups)
                done.notes += left_out
            proof.compare(documents, dataset, sample)
        elif pixels:
            proof.decoded(entries, sample)
    done.seconds = time.monotonic() - began
    return done


@dataclass
class _Proof:
    storage: Storage
    done: Verification
    pool: WorkerPool
    progress: Progress
    objects_seen: dict[str, tuple[VolumeLayer, str, Objects]] = field(default_factory=dict)
    tables: StoredTables = field(init=False)

    def __post_init__(self) -> None:
        self.tables = StoredTables(self.storage)

    def objects(self, *, required: bool) -> list[Entry]:
        """Hold the store's objects against its manifest; returns the manifest's rows."""
        try:
            entries, wrong = load_manifest(self.storage)
        except StoreError:
            if required:
                read_documents(self.storage)  # nothing here, or half-made: that is said first
                raise
            self.done.notes.append("the store has no manifest; only the comparison was made")
            return []
        self.done.differences += wrong
        for found in check_objects(
            self.storage, entries, self.pool, self.progress, self.done.sampled
        ):
            if isinstance(found, Difference):
                self.done.differences.append(found)
            else:
                self.done.objects += 1
                self.done.bytes_objects += found
        return entries

    def source_files(self, tree: FileTree, entries: list[Entry], *, checked: bool) -> None:
        """Whether the source's files are still those that were converted: by size, or checksum."""
        known = {e.path: e for e in entries if e.kind == "source"}
        if not known:
            return
        names = [n for n in tree.names() if n in known or tree.file(n).path is None]
        found = checksums(tree, names, checked=checked)
        there = {name: (size, crc) for name, size, crc in found}
        for name, entry in known.items():
            if name not in there:
                self._differs("source", name, "a file that was converted is not in the source")
                continue
            size, crc = there[name]
            changed = crc is not None and entry.crc32c is not None and crc != entry.crc32c
            if size != entry.size or changed:
                self._differs("source", name, "the file has changed since it was converted")

    def _differs(self, kind: Kind, path: str, what: str) -> None:
        self.done.differences.append(Difference(kind, path, what))

    def decoded(self, entries: list[Entry], sample: int | None) -> None:
        """Hold decoded pixels against the checksums of those that were read."""
        documents = read_documents(self.storage)
        regions = [e for e in entries if e.kind == "pixels"]
        store = view(self.storage)
        self._run(list(decoded_tasks(documents, store, regions)), sample)

    def compare(self, documents: Documents, dataset: SourceDataset, sample: int | None) -> None:
        """Hold everything against the source."""
        for key, wrong in documents.broken.items():
            self._differs("object", key, f"the metadata is {wrong}")
        self.done.differences += dataset_differences(documents, dataset)
        self.done.images = len(dataset.images)
        self._run(list(self._tasks(documents, dataset)), sample)
        if sample is None:
            for path, (layer, axes, objects) in self.objects_seen.items():
                table = self.tables.read(path)
                self.done.instances += len(objects.seen)
                self.done.differences += compare_objects(path, table, layer, axes, objects)
        self.done.differences += self.tables.differences

    def _run(self, tasks: list[Task], sample: int | None) -> None:
        if sample is not None and sample < len(tasks):
            tasks = random.Random(0).sample(tasks, sample)
        total, at = sum(t.nbytes for t in tasks), 0
        work = (partial(_with_weight, task) for task in tasks)
        for nbytes, found in self.pool.imap(work):
            at += nbytes
            self.progress(at, total)
            self.done.bytes_pixels += nbytes
            self.done.differences += found.differences
            self.done.instances += found.instances
            self.done.frames += found.frames

    def _tasks(self, documents: Documents, dataset: SourceDataset) -> Iterator[Task]:
        store = view(self.storage)
        for image in dataset.images:
            if image.path not in documents.groups:
                continue
            levels = self._levels(documents, image.path)
            self.done.differences += image_differences(documents, image, levels)
            arrays = [StoredArray(store, info) for info in levels]
            if arrays and self._fits(arrays[0], image.pixels.shape, str(image.pixels.dtype)):
                yield from pixel_tasks(arrays[0], image.pixels, image.axis_names)
            yield from self._pyramid(documents, image.path, arrays, image.axis_names)
            yield from self._labels(documents, image, store)

    def _labels(self, documents: Documents, image: SourceImage, store: Any) -> Iterator[Task]:
        axes = image.axis_names.replace("c", "")
        shape = tuple(
            n for n, a in zip(image.pixels.shape, image.axis_names, strict=True) if a != "c"
        )
        listed = texts(documents.ome(join(image.path, "labels")).get("labels"))
        hidden: dict[str, Any] = {}
        for name in listed:
            own = documents.attributes(join(image.path, "labels", name)).get("ngff_bio")
            if isinstance(own, dict) and own.get("hides") is not None:
                hidden[name] = own["hides"]
        wanted = {layer.name for layer in image.labels}
        for name in listed:
            if name not in wanted and hidden.get(name) not in wanted:
                self._differs(
                    "label", join(image.path, "labels", name), "the source has no such layer"
                )
        for layer in image.labels:
            images: dict[str, StoredArray] = {}
            for name in [layer.name, *(n for n, of in hidden.items() if of == layer.name)]:
                path = join(image.path, "labels", name)
                levels = self._levels(documents, path)
                if name == layer.name:
                    self.done.differences += label_differences(documents, image, layer, levels)
                arrays = [StoredArray(store, info) for info in levels]
                if arrays and self._fits(arrays[0], shape, None):
                    images[name] = arrays[0]
                yield from self._pyramid(documents, path, arrays, axes)
            if layer.name not in images:
                continue
            table_path = join(image.path, "tables", layer.name, "table.parquet")
            if isinstance(layer, InstanceLayer):
                stored = StoredLayer(layer, axes, images, table_path, self.tables)
                yield from instance_tasks(stored)
                frames = shape[0] if axes.startswith("t") else 1
                yield from track_tasks(documents, store, image.path, layer, frames)
            else:
                objects = Objects()
                self.objects_seen[table_path] = (layer, axes, objects)
                named = (x for x in image.labels if x.name == layer.classes)
                classes = next((x for x in named if isinstance(x, VolumeLayer)), None)
                yield from volume_tasks(images[layer.name], layer, classes, objects)

    def _levels(self, documents: Documents, path: str) -> list[ArrayInfo]:
        """Arrays of a multiscale; those that are missing are differences, and left out."""
        found: list[ArrayInfo] = []
        multiscale = next(multiscales(documents.ome(path), ""), None)
        for level in multiscale.levels if multiscale is not None else ():
            below = join(path, level.path)
            info = array_info(below, documents.arrays.get(below, {}))
            if info is None:
                self._differs("level", below, "the level is not there, or cannot be understood")
            else:
                found.append(info)
        if not found:
            self._differs("image", path, "the image has no levels")
        return found

    def _fits(self, array: StoredArray, shape: tuple[int, ...], dtype: str | None) -> bool:
        info = array.info
        if info.shape != shape or (dtype is not None and str(info.dtype) != dtype):
            self.done.differences.append(
                Difference(
                    "pixels",
                    array.path,
                    "shape or type of the pixels is not the source's",
                    expected=f"{shape} {dtype or ''}".strip(),
                    found=f"{info.shape} {info.dtype if dtype else ''}".strip(),
                )
            )
            return False
        return True

    def _pyramid(
        self, documents: Documents, path: str, arrays: list[StoredArray], axes: str
    ) -> Iterator[Task]:
        multiscale = next(multiscales(documents.ome(path), ""), None)
        method = multiscale.method if multiscale is not None else None
        if len(arrays) > 1 and method not in METHODS:
            self.done.notes.append(f"{path}: levels made by {method!r} cannot be made again here")
        for below, above in pairwise(arrays):
            yield from level_tasks(below, above, axes, method)


def _with_weight(task: Task) -> tuple[int, Found]:
    return task.nbytes, task.run()


def _said(documents: Documents) -> dict[str, Any]:
    """What the store says of the conversion: source format, options."""
    own = documents.attributes("").get("ngff_bio")
    said = own.get("dataset") if isinstance(own, dict) and own.get("kind") == "image" else own
    return said if isinstance(said, dict) else {}
