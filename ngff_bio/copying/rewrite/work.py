"""``convert`` of a store: another version of OME-Zarr, other chunks, shards, codecs or levels.

Chunks are not decoded where chunk shape, codec and byte order stay; levels stay as they are unless they
are to be made. It runs, resumes and ends as the conversion of a dataset does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from ngff_bio._version import __version__
from ngff_bio.copying.objects import check_complete
from ngff_bio.copying.part import Choice, part_of_store
from ngff_bio.copying.rewrite.arrays import RewrittenArray
from ngff_bio.copying.rewrite.inventory import store_identity, take_inventory
from ngff_bio.copying.rewrite.metadata import nodes_of
from ngff_bio.copying.rewrite.plan import MadeLevels, RewritePlan, plan_rewrite
from ngff_bio.engine.plan.estimate import Estimate
from ngff_bio.engine.plan.settings import Settings
from ngff_bio.engine.resume.fingerprint import digest_of
from ngff_bio.engine.run.conversion import run_work, settle_interrupted
from ngff_bio.engine.run.report import ConversionReport
from ngff_bio.engine.run.runners import Runner
from ngff_bio.engine.run.work import NewStore
from ngff_bio.engine.write.checksums import ChecksummingWriter
from ngff_bio.engine.write.finish import Finished, write_documents
from ngff_bio.engine.write.manifest import (
    MANIFEST,
    ManifestEntry,
    SourceFiles,
    no_files,
    object_entries,
    read_manifest,
    region_text,
    write_manifest,
)
from ngff_bio.engine.write.records import UnitRecord, load_record
from ngff_bio.engine.write.transaction import settled_view
from ngff_bio.errors import ArgumentError, SourceError
from ngff_bio.model import Notice, OnError, gathered
from ngff_bio.parallel import WorkerPool, shared_pool
from ngff_bio.storage import Storage
from ngff_bio.zarrio.journal import Journal
from ngff_bio.zarrio.place import FORMAT

#: What is reported of each way to convert arrays.
_WAYS = {
    "objects": "arrays copied as they are, object by object",
    "chunks": "arrays whose chunks were passed on without decoding",
    "pixels": "arrays decoded and encoded again",
    "whole": "arrays of texts written by zarr-python",
    "made": "images whose levels were made anew",
}


def convert_store(
    source: Storage,
    storage: Storage,
    settings: Settings,
    *,
    images: Sequence[str] = (),
    overwrite: bool = False,
    on_error: OnError = "stop",
    runner: Runner | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ConversionReport:
    """Convert a store into another one.

    Parameters
    ----------
    source, storage
        The store, and the destination.
    settings
        Version, chunks, shards, codecs: what is not given stays as it is. Levels stay, too, if
        ``settings.levels`` is ``None``.
    images
        Globs of paths of images: only these are converted.
    overwrite, runner, progress
        As for the conversion of a dataset.
    on_error
        ``skip`` leaves out images and label images that cannot be read or contradict their metadata.

    Raises
    ------
    ngff_bio.errors.StoreError
        If the store, or with ``on_error="stop"`` an image of it, cannot be converted.
    ngff_bio.errors.DependencyError
        If chunks must be decoded, and their codec is not installed.
    ngff_bio.errors.StoreExistsError, ngff_bio.errors.StoreBusyError, ngff_bio.errors.StorageError
        As for the conversion of a dataset.
    """
    _check_apart(source, storage)
    settled = settle_interrupted(storage)
    plan = _plan(source, settings, images, on_error)
    work = _Rewrite(plan, overwrite, on_error, images, settled)
    return run_work(work, storage, runner=runner, progress=progress, on_error=on_error)


def estimate_store(
    source: Storage, settings: Settings, *, images: Sequence[str] = (), on_error: OnError = "stop"
) -> Estimate:
    """What :func:`convert_store` would write; raises what it raises."""
    plan = _plan(source, settings, images, on_error)
    report = _counted(plan)
    objects = len(plan.inventory.others) + sum(
        _object_count(a) for a in plan.arrays if isinstance(a, RewrittenArray)
    )
    documents = nodes_of(plan)[0].paths
    return Estimate(
        name=report.source,
        images=report.images,
        frames=report.frames,
        instances=None,
        labels=tuple(report.labels),
        bytes_raw=plan.bytes_raw,
        units=len(plan.units),
        objects=objects + len(documents) + 2,
        objects_hidden=0,
    )


def _object_count(array: RewrittenArray) -> int:
    count = 1
    for n, o in zip(array.new.shape, array.new.object_shape, strict=True):
        count *= -(-n // o)
    return count


def _check_apart(source: Storage, storage: Storage) -> None:
    one, other = (PurePosixPath(s.url) for s in (source, storage))
    if one == other or one in other.parents or other in one.parents:
        raise ArgumentError(
            "a store cannot be converted into itself",
            file=storage.url,
            hint="choose a destination outside of it; `ngff-bio upgrade` changes metadata in place",
        )


def _plan(
    source: Storage, settings: Settings, images: Sequence[str], on_error: OnError
) -> RewritePlan:
    check_complete(source)
    whole = settled_view(source)
    notes: list[str] = []
    part = part_of_store(whole, Choice(images), notes) if images else whole
    return plan_rewrite(take_inventory(part, whole, on_error), settings, on_error)


class _Rewrite(NewStore[RewritePlan]):
    """A store that is written from another one."""

    def __init__(
        self,
        plan: RewritePlan,
        overwrite: bool,
        on_error: OnError,
        images: Sequence[str],
        settled: Journal | None,
    ) -> None:
        inventory = plan.inventory
        identity = inventory.identity
        layout = [[u.phase, u.nbytes, len(u.parts)] for u in plan.units]
        arrays = [
            [a.new.path, a.how, a.new.chunk, a.new.shard, str(a.new.pipeline)]
            if isinstance(a, RewrittenArray)
            else [a.image.path, [[v.shape, v.chunk, v.shard] for v in a.plan.levels]]
            for a in plan.arrays
        ]
        summary = {
            "converter": f"ngff_bio {__version__}",
            "source": FORMAT,
            "name": _name(inventory.storage.url),
            "layout": digest_of([layout, arrays, list(images), sorted(inventory.dropped)]),
            # All of it is one: a store that has changed is converted from the start.
            "images": {"": ["", identity]},
            "on_error": on_error,
            "settings": plan.settings.to_json(),
        }
        conversion = {**summary, "images": list(images), "content": identity}
        digest = "" if identity is None else digest_of(summary)
        super().__init__(plan, summary, conversion, digest, overwrite, no_files, settled)
        # Documents that cannot be made are reported before anything is written.
        self._notices = nodes_of(plan)[1]

    def skip_failed(
        self, plan: RewritePlan, records: Mapping[str, UnitRecord], storage: Storage
    ) -> tuple[RewritePlan, list[int]]:
        """Leave out images and label images of which a part could not be read."""
        if store_identity(plan.inventory.storage) != plan.inventory.identity:
            raise SourceError(
                "the store was changed while it was converted",
                file=plan.inventory.storage.url,
                hint="run the same command again: it begins anew",
            )
        failed = {
            plan.owners[part.array] or "": part.failed
            for _, record in sorted(records.items())
            for part in record.parts
            if part.failed is not None
        }
        if not failed:
            return plan, []
        inventory = replace(
            plan.inventory,
            dropped=plan.inventory.dropped | failed.keys(),
            notices=[
                *plan.inventory.notices,
                *(
                    Notice("skipped", f"{path} was skipped: {f.what}", f.file, f.record)
                    for path, f in failed.items()
                ),
            ],
        )
        if not inventory.images() or "" in failed:
            first = next(iter(failed.values()))
            raise SourceError(
                f"no image could be converted; error of the first one: {first.what}",
                file=first.file,
                record=first.record,
                hint="fix the store, then run the same command again",
            )
        removed = []
        for path in failed:
            removed += [size for _, size in storage.list(path)]
            storage.delete_all(path)
        return replace(plan, inventory=inventory), removed

    def finish(
        self,
        plan: RewritePlan,
        records: Iterable[UnitRecord],
        storage: Storage,
        source_files: SourceFiles,
    ) -> Finished:
        """Write the documents and the manifest, all but the root."""
        done = list(records)
        nodes, self._notices = nodes_of(plan)
        writer = ChecksummingWriter(storage)
        pool = shared_pool(remote=True) if storage.locality == "network" else WorkerPool()
        roots, last = write_documents(nodes, writer, plan.settings.consolidated, None, pool)
        entries = {
            (e.kind, e.path, e.region): e
            for e in (
                *_carried(plan),
                *_written(plan, done, storage),
                *object_entries({**writer.written, **last}),
            )
        }
        skipped = sorted(plan.inventory.dropped)
        conversion = {**self.conversion, "skipped": skipped} if skipped else self.conversion
        sizes = write_manifest(storage, entries.values(), conversion)
        made = [*writer.written.values(), *last.values()]
        return Finished(roots, [*sizes, *(size for size, _ in made)])

    def report(
        self,
        plan: RewritePlan,
        records: Mapping[str, UnitRecord],
        notices: Iterable[Notice],
        **counts: Any,
    ) -> ConversionReport:
        """The report of what was done, with how many arrays were decoded."""
        ways = Counter(a.how if isinstance(a, RewrittenArray) else "made" for a in plan.arrays)
        notes = [
            Notice("note", f"{ways[way]} {text}", count=ways[way])
            for way, text in _WAYS.items()
            if ways[way]
        ]
        report = _counted(plan)
        report.units = len(plan.units)
        report.bytes_raw = plan.bytes_raw
        report.notices = gathered([*plan.inventory.notices, *self._notices, *notices, *notes])
        for name, value in counts.items():
            setattr(report, name, value)
        return report


def _name(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2]


def _counted(plan: RewritePlan) -> ConversionReport:
    inventory = plan.inventory
    images = inventory.images()
    frames = 0
    for image in images:
        sizes = dict(zip(image.letters, inventory.shape(image.levels[0]), strict=False))
        frames += sizes.get("t", 1)
    labels = {
        m.path.rpartition("/")[2]
        for m in inventory.multiscales
        if m.label and not inventory.is_dropped(m.path)
    }
    codecs: dict[str, str] = {}
    for array, owner in zip(plan.arrays, plan.owners, strict=True):
        if owner is not None and len(codecs) < 20 and (owner or "/") not in codecs:
            if isinstance(array, MadeLevels):
                codecs[owner or "/"] = str(array.plan.codec)
            elif array.new.pipeline is not None:
                codecs[owner or "/"] = " ".join(map(str, array.new.pipeline.codecs)) or "none"
    return ConversionReport(
        source=inventory.storage.url,
        format=FORMAT,
        destination="",
        images=len(images),
        frames=frames,
        instances=None,
        annotations=None,
        labels=sorted(labels),
        codecs=codecs,
    )


def _carried(plan: RewritePlan) -> Iterator[ManifestEntry]:
    """Rows of the old manifest that still hold: files of the first source, pixels of level 0."""
    inventory = plan.inventory
    if inventory.storage.size(MANIFEST) is None:
        return
    kept = {a.old.path for a in plan.arrays if isinstance(a, RewrittenArray)}
    for entry in read_manifest(inventory.storage):
        if entry.kind == "source" or (entry.kind == "pixels" and entry.path in kept):
            yield entry


def _written(
    plan: RewritePlan, records: Sequence[UnitRecord], storage: Storage
) -> Iterator[ManifestEntry]:
    """Objects that units wrote, and pixels of level 0 that they decoded."""
    inventory = plan.inventory
    firsts = {m.levels[0] for m in inventory.multiscales}
    for record in records:
        whole = record if record.objects else load_record(storage, record.id)
        for key, size in whole.objects if whole is not None else ():
            if whole is not None and not inventory.is_dropped(key):
                yield ManifestEntry("object", key, None, size, whole.checksums.get(key))
        for part in record.parts:
            array = plan.arrays[part.array]
            if part.crc32c is None or inventory.is_dropped(plan.owners[part.array] or "?"):
                continue
            if isinstance(array, MadeLevels):
                path, itemsize = f"{array.image.path}/0".lstrip("/"), array.source.dtype.itemsize
            elif (path := array.new.path) in firsts:
                itemsize = array.new.dtype.itemsize
            else:
                continue
            size = itemsize
            for a, b in part.region:
                size *= b - a
            yield ManifestEntry("pixels", path, region_text(part.region), size, part.crc32c)
