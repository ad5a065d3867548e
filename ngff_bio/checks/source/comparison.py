"""A store against its manifest and its source: which comparisons there are, and running them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from zarr.abc.store import Store

from ngff_bio.checks.differences import Difference, Found, Kind, Progress, Task, Verification
from ngff_bio.checks.reading import CheckedArray
from ngff_bio.checks.source.compare_instances import StoredLayer, instance_tasks
from ngff_bio.checks.source.compare_metadata import (
    dataset_differences,
    image_differences,
    label_differences,
)
from ngff_bio.checks.source.compare_pixels import (
    METHODS,
    checksum_tasks,
    level_tasks,
    pixel_tasks,
)
from ngff_bio.checks.source.compare_rows import StoredTables, object_keys
from ngff_bio.checks.source.compare_stores import StoreComparison
from ngff_bio.checks.source.compare_tracks import compare_graph, track_tasks
from ngff_bio.checks.source.compare_volumes import ObjectCounts, compare_objects, volume_tasks
from ngff_bio.checks.store.documents import Documents, join, read_documents, texts
from ngff_bio.checks.store.later import without_later
from ngff_bio.checks.store.multiscales import first_multiscale
from ngff_bio.checks.store.objects import check_objects, load_manifest
from ngff_bio.engine.write.manifest import ManifestEntry, read_conversion
from ngff_bio.errors import StoreError
from ngff_bio.model import InstanceLayer, LabelLayer, SourceDataset, SourceImage, VolumeLayer
from ngff_bio.ngff.attributes import ADDED, Json, edits_of, further_field
from ngff_bio.ngff.edited_objects import EditedObjects, edited_objects
from ngff_bio.parallel import WorkerPool
from ngff_bio.storage import Storage
from ngff_bio.zarrio.arrays import ArrayMeta
from ngff_bio.zarrio.zarr_python import StorageStore


@dataclass
class Comparison:
    """Runs comparisons of one store; what they find is added to ``done``."""

    storage: Storage
    done: Verification
    pool: WorkerPool
    progress: Progress
    _counted: dict[str, tuple[VolumeLayer, ObjectCounts]] = field(default_factory=dict)
    _later: dict[str, int] = field(default_factory=dict)
    _tables: StoredTables = field(init=False)

    def __post_init__(self) -> None:
        self._tables = StoredTables(self.storage)

    def objects(self, *, required: bool) -> list[ManifestEntry]:
        """Check the store's objects against its manifest; returns the manifest's rows.

        Raises
        ------
        ngff_bio.errors.StoreError
            If there is no manifest, and it is required.
        """
        try:
            entries, wrong = load_manifest(self.storage)
        except StoreError:
            if required:
                read_documents(self.storage)  # no store, or an incomplete one: the better error
                raise
            self.done.notes.append(
                "the store has no manifest; it was only compared with the source"
            )
            return []
        sample = self.done.sampled
        for found in check_objects(self.storage, entries, self.pool, self.progress, sample):
            if isinstance(found, Difference):
                wrong.append(found)
            elif isinstance(found, str):
                self.done.notes.append(found)
            else:
                self.done.objects += 1
                self.done.bytes_objects += found
        wrong, self._later = without_later(self.storage, entries, wrong)
        self.done.differences += wrong
        self.done.notes += [
            f"{path} was added later, by a program that does not write the manifest: {n} objects were "
            "not checked"
            for path, n in sorted(self._later.items())
        ]
        return entries

    def checksums(self, documents: Documents, entries: list[ManifestEntry]) -> None:
        """Check decoded pixels against the checksums of those that were read."""
        regions = [e for e in entries if e.kind == "pixels"]
        self._run(list(checksum_tasks(documents, StorageStore(self.storage), regions)))

    def dataset(self, documents: Documents, dataset: SourceDataset) -> None:
        """Compare everything with the source."""
        for key, wrong in documents.broken.items():
            self._differs("object", key, f"the metadata is {wrong}")
        self.done.differences += dataset_differences(documents, dataset)
        self.done.differences += self._tables.of_plates(dataset.plates)
        self.done.images = len(dataset.images)
        self._run(list(self._tasks(documents, dataset)))
        if self.done.sampled is None:
            for path, (layer, objects) in self._counted.items():
                self._add(compare_objects(path, self._tables.read(path), layer, objects))
                if layer.tracked and not objects.edited.ranges:
                    graph = f"{path.rpartition('tables/')[0]}tracks/{layer.name}"
                    nodes = objects.nodes()
                    self._add(
                        compare_graph(
                            documents, StorageStore(self.storage), graph, nodes, layer.parents
                        )
                    )
        self.done.differences += self._tables.differences

    def store(self, documents: Documents, source: Storage) -> None:
        """Compare everything with the store that it was converted from."""
        conversion = read_conversion(self.storage) or {}
        compared = StoreComparison(documents, self.storage, source, conversion)
        self.done.images = len(compared.inventory.images())
        self.done.skipped += compared.skipped()
        self._run(list(compared.tasks()))

    def _differs(self, kind: Kind, path: str, what: str, **parts: str) -> None:
        self.done.differences.append(Difference(kind, path, what, **parts))

    def _run(self, tasks: list[Task]) -> None:
        sample = self.done.sampled
        if sample is not None and sample < len(tasks):
            tasks = random.Random(0).sample(tasks, sample)
        total, at = sum(t.nbytes for t in tasks), 0
        for nbytes, found in self.pool.imap(tasks):
            at += nbytes
            self.progress(at, total)
            self.done.bytes_pixels += nbytes
            self._add(found)

    def _add(self, found: Found) -> None:
        self.done.differences += found.differences
        self.done.instances += found.instances
        self.done.frames += found.frames

    def _tasks(self, documents: Documents, dataset: SourceDataset) -> Iterator[Task]:
        store = StorageStore(self.storage)
        for image in dataset.images:
            if image.path not in documents.groups:
                continue
            levels = self._levels(documents, image.path)
            self.done.differences += image_differences(documents, image, levels)
            arrays = [CheckedArray(store, info) for info in levels]
            if arrays and self._fits(arrays[0], image.pixels.shape, str(image.pixels.dtype)):
                yield from pixel_tasks(arrays[0], image.pixels, image.axis_names)
            yield from self._pyramid(documents, image.path, arrays, image.axis_names)
            yield from self._labels(documents, image, store)

    def _labels(self, documents: Documents, image: SourceImage, store: Store) -> Iterator[Task]:
        listed = texts(documents.ome(join(image.path, "labels")).get("labels"))
        hides: dict[str, str] = {}
        for name in listed:
            own = documents.own(join(image.path, "labels", name))
            if own.get("hides") is not None:
                hides[name] = own["hides"]
        wanted = {layer.name for layer in image.labels}
        for name in listed:
            if name not in wanted and hides.get(name) not in wanted:
                path = join(image.path, "labels", name)
                added = further_field(documents.own(path), ADDED)
                if path in self._later:
                    continue
                if isinstance(added, dict):
                    self.done.notes.append(f"{path} was added later: {_who(added)}")
                else:
                    self._differs("label", path, "the source has no such layer")
        for layer in image.labels:
            hidden = [name for name, of in hides.items() if of == layer.name]
            yield from self._layer(documents, image, layer, hidden, store)

    def _layer(
        self,
        documents: Documents,
        image: SourceImage,
        layer: LabelLayer,
        hidden: list[str],
        store: Store,
    ) -> Iterator[Task]:
        sizes = zip(image.axis_names, image.pixels.shape, strict=True)
        shape = tuple(n for a, n in sizes if a != "c")
        axes = image.axis_names.replace("c", "")
        images: dict[str, CheckedArray] = {}
        visible = join(image.path, "labels", layer.name)
        edits = edits_of(documents.own(visible))
        for edit in edits:
            counts = ", ".join(f"{edit.get(k)} {k}" for k in ("added", "removed", "changed"))
            self.done.notes.append(f"{visible} was edited later: {_who(edit)}: objects {counts}")
        for name in [layer.name, *hidden]:
            path = join(image.path, "labels", name)
            levels = self._levels(documents, path)
            if name == layer.name and not edits:
                self.done.differences += label_differences(documents, image, layer, levels)
            arrays = [CheckedArray(store, info) for info in levels]
            if arrays and self._fits(arrays[0], shape, None):
                images[name] = arrays[0]
            yield from self._pyramid(documents, path, arrays, axes)
        table_path = join(image.path, "tables", layer.name, "table.parquet")
        edited = self._edited(documents.own(visible), visible, table_path)
        if layer.name not in images or edited is None:
            return
        if isinstance(layer, InstanceLayer):
            stored = StoredLayer(layer, axes, images, table_path, self._tables, edited)
            yield from instance_tasks(stored)
            frames = shape[0] if axes.startswith("t") else 1
            if not edits:
                yield from track_tasks(documents, store, image.path, layer, frames)
        else:
            objects = ObjectCounts(axes, edited)
            self._counted[table_path] = (layer, objects)
            named = (x for x in image.labels if x.name == layer.classes)
            classes = next((x for x in named if isinstance(x, VolumeLayer)), None)
            yield from volume_tasks(images[layer.name], layer, classes, objects)

    def _edited(self, own: Json, path: str, table_path: str) -> EditedObjects | None:
        """Objects that are not compared; ``None`` if it is not known which, so that none is."""
        if not edits_of(own):
            return EditedObjects({})
        edited = edited_objects(own)
        if edited is None:
            self.done.notes.append(
                f"{path}: which objects were edited is not stated; none was compared with the source"
            )
            return None
        table = self._tables.read(table_path)
        if table is not None:
            keys = object_keys(table)
            later = sum(int(edited.has(t, values).sum()) for t, values in keys.items())
            same = sum(map(len, keys.values())) - later
            self.done.notes.append(
                f"{path}: {same} objects are compared with the source, {later} that were edited or "
                "added are not"
            )
        return edited

    def _levels(self, documents: Documents, path: str) -> list[ArrayMeta]:
        """Arrays of a multiscale; those that are missing are differences."""
        found: list[ArrayMeta] = []
        multiscale = first_multiscale(documents, path)
        for level in multiscale.levels if multiscale is not None else ():
            if level.array is None:
                what = "the level does not exist, or cannot be understood"
                self._differs("level", level.path, what)
            else:
                found.append(level.array)
        if not found:
            self._differs("image", path, "the image has no levels")
        return found

    def _fits(self, array: CheckedArray, shape: tuple[int, ...], dtype: str | None) -> bool:
        info = array.info
        fits = info.shape == shape and (dtype is None or str(info.dtype) == dtype)
        if not fits:
            self._differs(
                "pixels",
                array.path,
                "shape or type of the pixels is not the source's",
                expected=f"{shape} {dtype or ''}".strip(),
                found=f"{info.shape} {info.dtype if dtype else ''}".strip(),
            )
        return fits

    def _pyramid(
        self, documents: Documents, path: str, arrays: list[CheckedArray], axes: str
    ) -> Iterator[Task]:
        multiscale = first_multiscale(documents, path)
        method = multiscale.method if multiscale is not None else None
        if len(arrays) > 1 and method not in METHODS:
            self.done.notes.append(f"{path}: levels made by {method!r} cannot be recomputed")
        for below, above in pairwise(arrays):
            yield from level_tasks(below, above, axes, method)


def _who(stated: Mapping[str, object]) -> str:
    """Who has written something later, and when."""
    return " ".join(str(stated[k]) for k in ("by", "time") if stated.get(k))
