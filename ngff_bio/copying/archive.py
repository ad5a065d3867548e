"""Copying a store to one zip file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ngff_bio import ngff
from ngff_bio.copying.objects import CopyReport, StoredObject, read_object
from ngff_bio.errors import ArgumentError, StoreExistsError
from ngff_bio.parallel import WorkerPool
from ngff_bio.storage import FolderStorage, Storage
from ngff_bio.storage.zip_writer import ZipWriter, zip_comment, zip_order
from ngff_bio.storage.zipped import ZipStorage
from ngff_bio.zarrio.documents import attributes_of, load_node

#: Bytes of objects that are held at a time.
MEMORY = 128 << 20

#: Objects of one batch that is read for a zip.
_BATCH = 16


def copy_to_zip(
    target: ZipStorage,
    source: Storage,
    objects: dict[str, StoredObject],
    report: CopyReport,
    pool: WorkerPool,
    progress: Callable[[int, int], None],
    *,
    overwrite: bool,
    dry_run: bool,
) -> None:
    """Write all objects of a store to a zip on this machine, in the order of RFC 9.

    Raises
    ------
    ngff_bio.errors.StoreExistsError
        If the file exists, and is not to be replaced.
    ngff_bio.errors.ArgumentError
        If it would not be on this machine, or not be what its ending says.
    """
    if not isinstance(target.outer, FolderStorage):
        raise ArgumentError(
            "a zip can only be written on this machine",
            file=target.url,
            hint="write it to a folder, then upload the file",
        )
    if target.outer.size(target.key) is not None and not overwrite:
        raise StoreExistsError(
            "the destination already exists",
            file=target.url,
            hint="choose another destination, or use --overwrite to replace it",
        )
    comment = b""
    if "zarr.json" in objects:
        comment = zip_comment(_version(source))
    elif target.key.lower().endswith(".ozx"):
        raise ArgumentError(
            "a store of Zarr v2 cannot be an .ozx file",
            file=source.url,
            expected="OME-Zarr 0.5 or newer",
            hint="write a .zip instead, or convert again with --ome-version 0.5",
        )
    report.sent, report.bytes_sent = report.objects, report.bytes
    report.requests = {"GET": report.objects}
    if dry_run:
        return
    done = 0
    with ZipWriter(target.outer.root / target.key, comment) as archive:
        for batch in _batches(zip_order(objects), objects):
            for key, data in zip(
                batch, pool.map(lambda k: read_object(source, k, objects[k]), batch), strict=True
            ):
                archive.put(key, data)
                done += len(data)
            progress(done, report.bytes)


def _batches(keys: list[str], objects: Mapping[str, StoredObject]) -> Iterator[list[str]]:
    """Keys in their order, as many at a time as may be held."""
    batch: list[str] = []
    size = 0
    for key in keys:
        if batch and (len(batch) >= _BATCH or size + objects[key].size > MEMORY):
            yield batch
            batch, size = [], 0
        batch.append(key)
        size += objects[key].size
    if batch:
        yield batch


def _version(source: Storage) -> str:
    return ngff.version_of(dict(attributes_of(load_node(source, "", 3)))) or "0.5"
