"""Copying a store to one zip file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ngff_bio import ngff
from ngff_bio.checksums import crc32c
from ngff_bio.copying.objects import CopyReport, StoredObject, check_unchanged, read_object
from ngff_bio.errors import ArgumentError, StoreExistsError
from ngff_bio.parallel import WorkerPool
from ngff_bio.storage import BucketStorage, FolderStorage, Storage
from ngff_bio.storage.bucket import parts_of
from ngff_bio.storage.zip_writer import PartialZip, zip_bytes, zip_comment, zip_order
from ngff_bio.storage.zipped import ZipStorage
from ngff_bio.zarrio.documents import attributes_of, load_node

#: Bytes of objects that are held at a time.
MEMORY = 40 << 20

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
    """Write all objects of a store to a zip, in the order of RFC 9.

    A file on this machine is resumed: what an interrupted run wrote of it is not fetched again. In a
    bucket it is one upload in parts, which starts anew.

    Raises
    ------
    ngff_bio.errors.StoreExistsError
        If the file exists, and is not to be replaced.
    ngff_bio.errors.StoreBusyError
        If another process writes it.
    ngff_bio.errors.ArgumentError
        If it would not be what its ending says.
    """
    outer = target.outer
    if outer.size(target.key) is not None and not overwrite:
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
    if isinstance(outer, BucketStorage):
        outer.check_writable()
        report.requests["PUT"] = parts_of(report.bytes) + 2
    if dry_run:
        return
    done = 0

    def read(partial: PartialZip | None) -> Iterator[tuple[str, bytes]]:
        nonlocal done
        for batch in _batches(zip_order(objects), objects):
            found = pool.map(lambda key: _object(partial, source, key, objects[key]), batch)
            for key, (data, sent) in zip(batch, found, strict=True):
                report.sent -= not sent
                report.bytes_sent -= 0 if sent else len(data)
                done += len(data)
                yield key, data
            progress(done, report.bytes)
        check_unchanged(source, objects)
        report.requests["GET"] = report.sent

    if isinstance(outer, FolderStorage):
        with PartialZip(outer.root / target.key) as partial:
            partial.write(zip_bytes(read(partial), comment))
    elif isinstance(outer, BucketStorage):
        outer.put_pieces(target.key, zip_bytes(read(None), comment), report.bytes)
    else:
        outer.put(target.key, list(zip_bytes(read(None), comment)))


def _object(
    partial: PartialZip | None, source: Storage, key: str, known: StoredObject
) -> tuple[bytes, bool]:
    """An object, and whether it was read from the store, and not from what was written before."""
    kept = None if partial is None else partial.kept(key)
    if kept is not None and (len(kept), crc32c(kept)) == (known.size, known.crc32c):
        return kept, False
    return read_object(source, key, known), True


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
