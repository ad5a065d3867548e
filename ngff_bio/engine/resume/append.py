"""Adding to a store that is whole: images, fields and plates that are new, and frames behind the last.

Nothing that lies there is written again but metadata and the tables of images that grow. The store
opens as it was until the new root, written last, tells of what was added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from ngff_bio import ngff
from ngff_bio.engine.plan.layout import Stored
from ngff_bio.engine.plan.plan import Plan, label_path, plan_dataset
from ngff_bio.engine.plan.settings import Settings
from ngff_bio.engine.resume import state
from ngff_bio.engine.resume.records import UnitRecord, load_records
from ngff_bio.engine.resume.stored import (
    image_paths,
    layout_of,
    stored_array,
    stored_plates,
)
from ngff_bio.engine.run.report import Written
from ngff_bio.engine.write.manifest import SourceFiles
from ngff_bio.errors import StoreError, StoreExistsError, StoreNotFoundError
from ngff_bio.model import ArrayPixels, InstanceLayer, SourceDataset, SourceImage, VolumeLayer
from ngff_bio.storage import Storage
from ngff_bio.zarrio.nodes import Nodes, read_nodes


class Addition:
    """What a dataset adds to a store.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If there is no store.
    ngff_bio.errors.StoreExistsError
        If what lies there does not allow it; the message says what would have to be written again.
    """

    def __init__(self, dataset: SourceDataset, storage: Storage, settings: Settings) -> None:
        self._base, self._settings = _base(storage), settings
        self._nodes = Nodes(self._base["zarr_format"])
        self._nodes.groups, self._nodes.arrays = self._base["groups"], self._base["arrays"]
        self._same_kind(dataset, storage)
        self._stored: dict[str, Stored] = {}
        images = tuple(i for i in dataset.images if self._is_new(i))
        self._all = dataset
        self.plan = plan_dataset(replace(dataset, images=images), settings, self._stored)

    def _same_kind(self, dataset: SourceDataset, storage: Storage) -> None:
        """Refuse a store of another version, another source or another layout."""
        mine = self._dataset()
        if not mine:
            raise StoreError(
                "the store was not made by this converter: what it holds cannot be told",
                file=storage.url,
                hint="convert into another destination",
            )
        version = ngff.version_of(self._nodes.groups[""]) or (
            "0.4" if self._nodes.zarr_format == 2 else self._settings.version
        )
        expected = {
            "version": version,
            "source": mine.get("source"),
            "layout": layout_of(self._nodes, version),
        }
        found = {
            "version": self._settings.version,
            "source": dataset.source,
            "layout": dataset.layout,
        }
        if expected != found:
            differ = [k for k in expected if expected[k] != found[k]]
            raise StoreExistsError(
                "the store is of another kind than what is to be added",
                file=storage.url,
                expected=", ".join(f"{k}={expected[k]}" for k in differ),
                found=", ".join(f"{k}={found[k]}" for k in differ),
                hint="convert into another destination",
            )

    def _dataset(self) -> dict[str, Any]:
        """What the root says of the dataset; a single image says it with the rest of itself."""
        mine = self._nodes.groups[""].get("ngff_bio") or {}
        return dict(mine if mine.get("kind") == "dataset" else mine.get("dataset") or {})

    def _is_new(self, image: SourceImage) -> bool:
        """Whether anything of an image is not in the store; notes what is."""
        stored = stored_array(self._nodes, image.path, image.axis_names)
        if stored is None:
            return True
        mine = self._nodes.groups[image.path].get("ngff_bio") or {}
        names = [frame["name"] for frame in mine.get("frames") or ()]
        now = [frame.name for frame in image.frames]
        same = min(len(names), len(now))
        if mine.get("name") != image.name or names[:same] != now[:same]:
            raise _refused(
                image,
                "another image lies at this path",
                f"{mine.get('name')} with frames {_some(names)}",
                f"{image.name} with frames {_some(now)}",
                "give the folder with the old and the new frames together; or convert into another "
                "destination",
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
                f"the label layer {layer.name!r} needs larger numbers than it was stored with",
                stored.dtype,
                f"values up to {layer.max_value}",
                "convert everything anew into another destination",
            )
        if grows and isinstance(layer, VolumeLayer) and layer.kind == "instance":
            raise _refused(
                image,
                f"objects of the label layer {layer.name!r} may go on over new frames, so that all "
                "of them would have to be measured again",
                None,
                None,
                "convert everything anew into another destination",
            )
        self._stored[path] = stored
        return grows

    def _frames(
        self, image: SourceImage, axes: str, shape: tuple[int, ...], stored: Stored, path: str
    ) -> int:
        """Number of frames now; refuses what cannot be added behind those that are there."""
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
                    "convert everything anew into another destination; with --frames 1 frames can "
                    "be added to it one by one",
                )
        return shape[at]

    def look(self, storage: Storage) -> state.Action:
        """What is to be done; changes nothing."""
        begun = state.read_plan(storage)
        if begun is None:
            return "begin"
        if begun.get("kind") != "append":
            raise StoreExistsError(
                "the store is half-made: it has to be whole before anything is added",
                file=storage.url,
                hint="run the command that it was begun with again, without --append",
            )
        if begun["fingerprint"] != self.plan.fingerprint:
            state.refuse_other(begun, self.plan, storage)
        return "resume" if _root(storage) == self._base["root"] else "cleanup"

    def begin(self, storage: Storage, action: state.Action) -> Iterable[UnitRecord]:
        """Keep what the store says now, and say what is being added."""
        if action == "resume":
            storage.remove_partial()
            return state.intact(load_records(storage), storage)
        self._check_values(storage)
        state.write_plan(storage, self.plan, "append", self._base)
        return []

    def _check_values(self, storage: Storage) -> None:
        """Refuse if frames that are there are annotated otherwise than they were."""
        from ngff_bio.engine.write.finish import table_key
        from ngff_bio.engine.write.tables import from_parquet

        for image in self.plan.dataset.images:
            for layer in image.labels:
                stored = self._stored.get(label_path(image, layer))
                if stored is None or not isinstance(layer, InstanceLayer):
                    continue
                data = storage.get(table_key(image, layer))
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
                        f"frames that are in the store have other instances now (layer "
                        f"{layer.name!r})",
                        f"{len(rows)} rows",
                        f"{len(now)} instances",
                        "convert everything anew into another destination",
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
    ) -> Written:
        """Write tables and the documents that change, the root last."""
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
            splits=tuple(dict.fromkeys((*mine.get("splits", ()), *self._all.splits))),
            collections=tuple(dict.fromkeys((*self._collections(), *self._all.collections))),
        )
        before = Before(self._nodes, whole, self._base["consolidated"])
        return finish(plan, records, storage, source_files, before)


def _base(storage: Storage) -> dict[str, Any]:
    """What the store said before anything was added, as JSON values."""
    begun = state.read_plan(storage)
    if begun is not None and begun.get("kind") == "append":
        return dict(begun["base"])
    if begun is not None and begun.get("kind") == "new":
        raise StoreExistsError(
            "the store is half-made: it has to be whole before anything is added",
            file=storage.url,
            hint="run the command that it was begun with again, without --append",
        )
    try:
        nodes, consolidated = read_nodes(storage)
    except StoreNotFoundError as error:
        raise StoreNotFoundError(
            "there is no store to add to",
            file=storage.url,
            hint="convert without --append to begin one",
        ) from error
    return {**asdict(nodes), "consolidated": consolidated, "root": _root(storage)}


def _root(storage: Storage) -> str:
    """Digest of the root's documents."""
    documents = [storage.get(key) or b"" for key in ("zarr.json", ".zmetadata", ".zattrs")]
    return hashlib.sha256(b"\0".join(documents)).hexdigest()


def _stub(path: str, nodes: Nodes) -> SourceImage:
    """An image that stays as it is: all that the root and plates say of it is its path."""
    name = nodes.groups[path]["ngff_bio"].get("name", path)
    return SourceImage(path, name, (), ArrayPixels(np.empty(0, "u1")))


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _refused(
    image: SourceImage, what: str, expected: object, found: object, mend: str | None = None
) -> StoreExistsError:
    return StoreExistsError(
        f"cannot be added to: {what}",
        record=image.path or image.name,
        expected=expected,
        found=found,
        hint=mend or "convert into another destination",
    )
