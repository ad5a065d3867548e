"""``validate``: hold a whole store against the specification, and its parts against each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ngff_bio.checks.spec.conformance import validate_attributes
from ngff_bio.checks.spec.findings import Finding
from ngff_bio.checks.store.arrays import check_arrays, image_of
from ngff_bio.checks.store.decoding import check_pixels
from ngff_bio.checks.store.documents import Documents, join, read_documents
from ngff_bio.checks.store.hierarchy import check_documents, check_group
from ngff_bio.checks.store.ngff_bio_attributes import check_own
from ngff_bio.checks.store.tables import Table, check_rows, check_tables
from ngff_bio.deprecation import renamed_keywords
from ngff_bio.ngff import version_of
from ngff_bio.parallel import WorkerPool, cpu_count
from ngff_bio.storage import Storage, storage_at

#: Called with raw bytes decoded and in all.
Progress = Callable[[int, int], None]


@renamed_keywords(store_options="storage_options")
def validate(
    store: str | os.PathLike[str] | Storage,
    *,
    strict: bool = False,
    quick: bool = False,
    workers: int = 0,
    storage_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[Finding]:
    """Check every group, array and table of a store, whatever program has written it.

    The rules of the specification's metadata come first; then what no JSON Schema can see: arrays
    against metadata, groups against each other, labels against their image, tables against labels,
    the ``ngff_bio`` attributes against their schemas, copies of metadata against the documents, and
    that every chunk decodes.

    Parameters
    ----------
    store
        The store: a folder, or a URL. A web server cannot be asked what it holds; there, what the
        metadata leads to is checked.
    strict
        What the specification only recommends counts as an error.
    quick
        Decode no pixels: metadata and tables alone.
    workers
        Threads; one per processor core if 0.
    storage_options
        Options of the bucket of the store, as in :class:`ngff_bio.storage.BucketStorage`.
    progress
        Called with raw bytes decoded and in all.

    Returns
    -------
    list of Finding
        All findings, by path; the store is valid if none has the level ``"error"``.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If there is no store.
    """
    storage = storage_at(store, storage_options)
    documents = read_documents(storage)
    findings = check_documents(documents, strict=strict)
    tables: list[Table] = []
    for path in sorted(documents.groups):
        findings += _check_group(documents, path, strict)
        if _holds_tables(documents, path):
            found, read = check_tables(documents, storage, path, strict=strict)
            findings += found
            tables += read
    if not quick:
        with WorkerPool(workers or cpu_count()) as pool:
            found, values = check_pixels(documents, storage, pool, strict=strict, progress=progress)
        findings += found
        for table in tables:
            findings += check_rows(documents, table, values, strict=strict)
    return sorted(findings, key=lambda f: f.group)


def _check_group(documents: Documents, path: str, strict: bool) -> list[Finding]:
    attributes = documents.attributes(path)
    findings: list[Finding] = []
    if version_of(attributes) is not None:
        findings += validate_attributes(
            attributes,
            strict=strict,
            group=path,
            kind=_kind(documents, path),
            plate=_plate_of(documents, path),
        )
        findings += check_arrays(documents, path, strict=strict)
        findings += check_group(documents, path, strict=strict)
    return findings + check_own(documents, path, strict=strict)


def _kind(documents: Documents, path: str) -> str | None:
    """What a group must be, as its place says."""
    content = documents.ome(path)
    if "multiscales" in content and image_of(documents, path) is not None:
        return "label"
    return None


def _plate_of(documents: Documents, path: str) -> dict[str, Any] | None:
    """Attributes of the plate that a well lies in: two groups up."""
    if "/" not in path:
        return None
    above = "/".join(path.split("/")[:-2])
    return documents.attributes(above) if "plate" in documents.ome(above) else None


def _holds_tables(documents: Documents, path: str) -> bool:
    """Whether a group is that of an image's tables."""
    above, _, name = path.rpartition("/")
    if name != "tables" or "multiscales" not in documents.ome(above):
        return False
    return join(path) in documents.groups
