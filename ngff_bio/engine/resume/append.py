"""Appending to a complete store: new images, fields and plates, and frames after the last one.

Of what it contains only metadata and the tables of images that grow are written again. All of it is a
transaction (`ngff_bio.engine.write.transaction`): the store is what it was until the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ngff_bio import ngff
from ngff_bio.engine.plan.layout import Stored
from ngff_bio.engine.plan.plan import Plan, label_path
from ngff_bio.engine.plan.planning import plan_dataset
from ngff_bio.engine.plan.settings import Settings
from ngff_bio.engine.resume import redo, state
from ngff_bio.engine.resume.fingerprint import (
    SourceIdentities,
    changed_images,
    differences,
    summarize,
)
from ngff_bio.engine.resume.stored import (
    check_groups,
    image_paths,
    layout_of,
    stored_array,
    stored_plates,
)
from ngff_bio.engine.run.report import ConversionReport, make_report
from ngff_bio.engine.run.work import DatasetWork
from ngff_bio.engine.write.manifest import (
    MANIFEST,
    SourceFiles,
    SourceRow,
    read_conversion,
    source_rows,
)
from ngff_bio.engine.write.records import UnitRecord
from ngff_bio.engine.write.transaction import State, Transaction
from ngff_bio.engine.write.update import refuse_inner
from ngff_bio.errors import StoreBusyError, StoreError, StoreExistsError, StoreNotFoundError
from ngff_bio.model import ArrayPixels, Notice, SourceDataset, SourceImage, VolumeLayer, names_of
from ngff_bio.ngff.schema_version import KEY
from ngff_bio.storage import Storage
from ngff_bio.zarrio.journal import ADDITION, PLAN, STAGED
from ngff_bio.zarrio.nodes import Nodes, read_nodes

if TYPE_CHECKING:
    from ngff_bio.engine.write.finish import Finished

_ELSEWHERE = "convert into another destination"
_ALONE = (
    "only frames can be added to a store of a single image: convert the folder that holds all images "
    "into a new destination, which is a collection that images can be added to"
)


class Addition(DatasetWork):
    """What a dataset adds to a store.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If there is no store.
    ngff_bio.errors.StoreExistsError
        If the store does not allow it; the message says what would have to be written again.
    """

    def __init__(self, dataset: SourceDataset, storage: Storage, settings: Settings) -> None:
        self._base, self._settings = _base(storage), settings
        refuse_inner(storage)
        self._nodes = Nodes(self._base["zarr_format"])
        self._nodes.groups, self._nodes.arrays = self._base["groups"], self._base["arrays"]
        dataset = self._of_same_kind(dataset, storage)
        self._stored: dict[str, Stored] = {}
        images = tuple(i for i in dataset.images if self._is_new(i))
        self._all = dataset
        self.plan = plan_dataset(replace(dataset, images=images), settings, self._stored)
        self.files = SourceIdentities()
        self.summary = summarize(self.plan, self.files)
        self._notices: list[Notice] = []

    def _of_same_kind(self, dataset: SourceDataset, storage: Storage) -> SourceDataset:
        """The dataset in the layout of the store; a single image fits into a collection.

        A store of another version, another source or another layout is refused.
        """
        mine = self._dataset()
        if not mine:
            what = "the store was not written by ngff_bio"
            raise StoreError(what, file=storage.url, hint=_ELSEWHERE)
        version = ngff.version_of(self._nodes.groups[""]) or (
            "0.4" if self._nodes.zarr_format == 2 else self._settings.version
        )
        expected = {
            "version": version,
            "source": mine.get("source"),
            "layout": layout_of(self._nodes, version),
        }
        if dataset.single_path and expected["layout"] == "collection":
            dataset = dataset.as_collection()
        found = {
            "version": self._settings.version,
            "source": dataset.source,
            "layout": dataset.layout,
        }
        if expected != found:
            differ = [k for k in expected if expected[k] != found[k]]
            raise StoreExistsError(
                "the store differs in kind from what is to be appended",
                file=storage.url,
                expected=", ".join(f"{k}={expected[k]}" for k in differ),
                found=", ".join(f"{k}={found[k]}" for k in differ),
                hint=_ALONE if expected["layout"] == "image" else _ELSEWHERE,
            )
        return dataset

    def _dataset(self) -> dict[str, Any]:
        """Attributes of the dataset: of the root, or among those of a single image."""
        mine = self._nodes.groups[""].get(KEY) or {}
        return dict(mine if mine.get("kind") == "dataset" else mine.get("dataset") or {})

    def _is_new(self, image: SourceImage) -> bool:
        """Whether any part of an image is not in the store; notes what is."""
        stored = stored_array(self._nodes, image.path, image.axis_names)
        if stored is None:
            return True
        mine = self._nodes.groups[image.path].get(KEY) or {}
        names = [frame["name"] for frame in mine.get("frames") or ()]
        now = [frame.name for frame in image.frames]
        same = min(len(names), len(now))
        if mine.get("name") != image.name or names[:same] != now[:same]:
            raise _refused(
                image,
                "the store has another image at this path",
                f"{mine.get('name')} with frames {state.some(names)}",
                f"{image.name} with frames {state.some(now)}",
                "convert the folder with the old and the new frames together, or convert into another "
                "destination"
                if image.path
                else _ALONE,
            )
        frames = self._frames(image, image.axis_names, image.pixels.shape, stored, image.path)
        layers = [self._layer_is_new(image, layer, frames) for layer in image.labels]
        if frames <= stored.frames and not any(layers):
            return False
        self._stored[image.path] = stored
        return True

    def _layer_is_new(self, image: SourceImage, layer: Any, frames: int) -> bool:
        path = label_path(image, layer)
        axes = image.axis_names.replace("c", "")
        stored = stored_array(self._nodes, path, axes)
        if stored is None:
            return True
        grows = frames > stored.frames
        if layer.max_value > np.iinfo(np.dtype(stored.dtype)).max:
            raise _refused(
                image,
                f"the label layer {layer.name!r} needs a larger type than it was stored with",
                stored.dtype,
                f"values up to {layer.max_value}",
                "convert the whole source to a new destination",
            )
        self._stored[path] = stored
        return grows

    def _frames(
        self, image: SourceImage, axes: str, shape: tuple[int, ...], stored: Stored, path: str
    ) -> int:
        """Number of frames now; refuses what cannot be appended to those in the store."""
        if np.dtype(stored.dtype) != image.pixels.dtype:
            raise _refused(image, "its pixels have another type", stored.dtype, image.pixels.dtype)
        at = axes.index("t") if "t" in axes else None
        before = stored.levels[0].shape
        if len(before) != len(shape) or any(
            a != b for i, (a, b) in enumerate(zip(before, shape, strict=True)) if i != at
        ):
            raise _refused(image, "it has another shape", before, shape)
        if at is None or shape[at] <= stored.frames:
            return stored.frames
        for level in stored.levels:
            if stored.frames % level.object_shape[at]:
                raise _refused(
                    image,
                    "its last shard is not full, and would have to be written again",
                    f"a multiple of {level.object_shape[at]} frames in the store",
                    f"{stored.frames} frames",
                    "convert the whole source to a new destination; with --frames 1 single "
                    "frames can be appended to it",
                )
        return shape[at]

    def decide_action(self, storage: Storage) -> state.Action:
        """What to do; changes nothing."""
        begun = _begun(storage)
        if begun is None:
            if _root(storage) == self._base["root"]:
                return "begin"
            raise StoreBusyError(
                "another process has changed the store in the meantime",
                file=storage.url,
                hint="run the same command again",
            )
        if differences(begun["plan"], self.summary):
            raise state.other_plan(
                begun, self.summary, storage, "undo what was begun with `ngff-bio discard STORE`"
            )
        grown = self._stored.keys() & changed_images(begun["plan"], self.summary)
        if grown:
            raise StoreExistsError(
                "the interrupted conversion cannot be resumed: an image that it added frames to was "
                "changed in the source, or nothing is known of it that changes with its content",
                file=storage.url,
                record=min(grown) or "(root)",
                hint="undo what was begun with `ngff-bio discard STORE`, then run the same command "
                "again",
            )
        return "resume"

    def target(self, storage: Storage, action: state.Action) -> tuple[state.Action, Storage]:
        """Units write into the store itself."""
        if action == "begin" and storage.size(f"{STAGED}/{PLAN}") is not None:
            raise StoreExistsError(
                "a conversion that replaces the store was interrupted, and must end before anything "
                "is appended",
                file=storage.url,
                hint="run its command again to finish it, or undo it with `ngff-bio discard STORE`",
            )
        return action, storage

    def begin(self, storage: Storage, action: state.Action) -> list[Notice]:
        """Keep the current documents of the store, and record what is being added."""
        if action == "begin":
            self._check_values(storage)
        begun = action == "resume"
        notices = redo.forget_changed(self.plan, self.summary, storage) if begun else []
        paths = {image.path for image in self.plan.dataset.images}
        # Without a manifest it is not known which objects are new: all are moved to their places.
        new = paths if storage.size(MANIFEST) is not None else ()
        self._transaction = Transaction.resume(storage) or Transaction.begin(storage, new)
        if action == "begin":  # last: a manifest that cannot be read ends it before
            state.write_plan(storage, self.plan, self.summary, "append", self._base)
        return notices

    def _check_values(self, storage: Storage) -> None:
        """Refuse if annotations of frames in the store have changed."""
        from ngff_bio.engine.write.finish import table_key
        from ngff_bio.engine.write.tables import from_parquet

        for image in self.plan.dataset.images:
            for layer in image.labels:
                stored = self._stored.get(label_path(image, layer))
                if stored is None:
                    continue
                data = storage.get(table_key(image, layer))
                if isinstance(layer, VolumeLayer):
                    names = [] if data is None else from_parquet(data).column_names
                    if names and ("t" in names, "track_id" in names) != (True, bool(layer.tracked)):
                        raise _refused(
                            image,
                            f"the table of the label layer {layer.name!r} has other columns",
                            ", ".join(names),
                            "a row for each object and frame"
                            + (", with its track_id" if layer.tracked else ""),
                            "convert the whole source to a new destination",
                        )
                    continue
                rows: list[tuple[int, int]] = []
                if data is not None:
                    table = from_parquet(data).select(["t", "label"]).to_pydict()
                    rows = list(zip(table["t"], table["label"], strict=True))
                now = [
                    (i.t, i.value) for t in range(stored.frames) for i in layer.instances.read(t)
                ]
                if sorted(r for r in rows if r[0] < stored.frames) != sorted(now):
                    raise _refused(
                        image,
                        f"frames in the store have other instances now (label layer {layer.name!r})",
                        f"{len(rows)} rows",
                        f"{len(now)} instances",
                        "convert the whole source to a new destination",
                    )

    def _collections(self) -> list[str]:
        """Groups below the root that are collections of their own."""
        plates = {p.path for p in stored_plates(self._nodes)}
        return [path for path in self._dataset().get("groups") or () if path not in plates]

    def finish(
        self,
        plan: Plan,
        records: Iterable[UnitRecord],
        storage: Storage,
        source_files: SourceFiles,
    ) -> Finished:
        """Write tables and the documents that change, all but the root."""
        from ngff_bio.engine.write.finish import Before, finish

        grown = {i.path: i for i in plan.dataset.images}
        there = image_paths(self._nodes)
        images = [grown.pop(path) if path in grown else _stub(path, self._nodes) for path in there]
        plates = {p.path: p for p in (*stored_plates(self._nodes), *self._all.plates)}
        mine = self._dataset()
        whole = replace(
            self._all,
            images=(*images, *grown.values()),
            plates=tuple(plates.values()),
            splits=tuple(dict.fromkeys((*(mine.get("splits") or ()), *self._all.splits))),
            collections=tuple(dict.fromkeys((*self._collections(), *self._all.collections))),
        )
        before = Before(self._nodes, whole, self._base["consolidated"])
        files, known = self._files(source_files(), storage), read_conversion(storage)
        return finish(plan, records, self._transaction, lambda: files, before, known)

    def _files(self, files: Iterable[SourceRow], storage: Storage) -> list[SourceRow]:
        """Files of the source; those of which nothing is added as they were, with a note."""
        rows = source_rows(storage) if storage.size(MANIFEST) is not None else ()
        known, files = {row[0]: row for row in rows}, list(files)
        self._notices = redo.changed_notices([f[0] for f in files if known.get(f[0], f) != f])
        old = names_of(self._all.source_parts()) - names_of(self.plan.dataset.source_parts())
        return [known.get(row[0], row) if row[0] in old else row for row in files]

    def report(
        self,
        plan: Plan,
        records: Mapping[str, UnitRecord],
        notices: Iterable[Notice],
        **counts: Any,
    ) -> ConversionReport:
        """The report of what was added."""
        return make_report(plan, records, [*notices, *self._notices], **counts)

    def publish(self, storage: Storage, roots: Mapping[str, bytes], kept: State) -> None:
        """Make what was added visible."""
        self._transaction.commit(roots, kept)


def _begun(storage: Storage) -> state.Begun | None:
    """The addition that was begun and has not finished."""
    begun = state.read_plan(storage)
    if begun is not None and "damaged" in begun:
        raise StoreError(
            "the state of what is being appended is damaged",
            file=f"{storage.url}/{ADDITION}",
            hint="undo it with `ngff-bio discard STORE`, then run the same command again",
        )
    if begun is not None and begun.get("kind") != "append":
        raise StoreExistsError(
            "the store is incomplete: it must be complete before anything is appended",
            file=storage.url,
            hint="run the command that it was begun with again, without --append",
        )
    return begun


def _base(storage: Storage) -> dict[str, Any]:
    """Documents of the store before anything was appended, as JSON values."""
    if (begun := _begun(storage)) is not None:
        return begun["base"] or {}
    try:
        nodes, consolidated = read_nodes(storage)
    except StoreNotFoundError as error:
        raise StoreNotFoundError(
            "there is no store to append to",
            file=storage.url,
            hint="convert without --append to create one",
        ) from error
    check_groups(nodes, storage.url)
    return {**asdict(nodes), "consolidated": consolidated, "root": _root(storage)}


def _root(storage: Storage) -> str:
    """Digest of the root's documents."""
    documents = [storage.get(key) or b"" for key in ("zarr.json", ".zmetadata", ".zattrs")]
    return hashlib.sha256(b"\0".join(documents)).hexdigest()


def _stub(path: str, nodes: Nodes) -> SourceImage:
    """An image that does not change: the root and plates need only its path."""
    name = nodes.groups[path][KEY].get("name") or path
    return SourceImage(path, name, (), ArrayPixels(np.empty(0, "u1")))


def _refused(
    image: SourceImage, what: str, expected: object, found: object, hint: str | None = None
) -> StoreExistsError:
    return StoreExistsError(
        f"the store cannot be appended to: {what}",
        record=image.path or image.name,
        expected=expected,
        found=found,
        hint=hint or "convert into another destination",
    )
