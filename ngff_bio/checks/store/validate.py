"""``validate``: check a whole store against the specification, and its parts against each other."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ngff_bio.checks.differences import Progress
from ngff_bio.checks.spec.conformance import detect_version, validate_attributes
from ngff_bio.checks.spec.findings import Finding, Findings
from ngff_bio.checks.store.arrays import check_arrays, image_of
from ngff_bio.checks.store.decoding import check_pixels
from ngff_bio.checks.store.documents import Documents, join, read_documents
from ngff_bio.checks.store.hierarchy import check_documents, check_group, check_names, check_xml
from ngff_bio.checks.store.ngff_bio_attributes import check_own
from ngff_bio.checks.store.tables import Table, check_rows, check_tables
from ngff_bio.deprecation import renamed_keywords
from ngff_bio.engine.write.transaction import settled_view
from ngff_bio.ngff import version_of
from ngff_bio.parallel import WorkerPool, cpu_count
from ngff_bio.storage import Storage, storage_at


@renamed_keywords(store_options="storage_options")
def validate(
    store: str | os.PathLike[str] | Storage,
    *,
    strict: bool = False,
    quick: bool = False,
    workers: int = 0,
    storage_options: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> list[Finding]:
    """Check every group, array and table of a store, whatever program wrote it.

    First the rules of the specification for the metadata of each group; then arrays against metadata,
    groups against each other, labels against their image, tables against labels, the ``ngff_bio``
    attributes against their schemas, copies of metadata against the documents, and that every chunk
    decodes.

    Parameters
    ----------
    store
        The store: a folder, or a URL. A web server cannot list its objects; there, the groups and
        arrays that the metadata names are checked.
    strict
        What the specification only recommends counts as an error.
    quick
        Do not decode pixels: check metadata and tables only.
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
    storage = settled_view(storage_at(store, storage_options))
    documents = read_documents(storage)
    findings = Findings(strict)
    check_documents(documents, findings)
    tables: list[Table] = []
    for path in sorted(documents.groups):
        _check_group(documents, path, findings)
        check_xml(
            documents, storage, path, findings.of(path, detect_version(documents.attributes(path)))
        )
        if _holds_tables(documents, path):
            tables += check_tables(documents, storage, path, findings)
    if not quick:
        with WorkerPool(workers or cpu_count()) as pool:
            values = check_pixels(documents, storage, pool, findings, progress)
        for table in tables:
            check_rows(documents, table, values, findings.of(table.path))
    return sorted(findings.found, key=lambda f: f.group)


def _check_group(documents: Documents, path: str, findings: Findings) -> None:
    attributes = documents.attributes(path)
    if version_of(attributes) is not None:
        findings.found.extend(
            validate_attributes(
                attributes,
                strict=findings.strict,
                group=path,
                kind=_kind(documents, path),
                plate=_plate_of(documents, path),
            )
        )
        here = findings.of(path, detect_version(attributes))
        check_arrays(documents, path, here)
        check_group(documents, path, here)
    check_names(documents, path, findings.of(path))
    check_own(documents, path, findings.of(path))


def _kind(documents: Documents, path: str) -> str | None:
    """The kind that a group must be of, by its place."""
    content = documents.ome(path)
    if "multiscales" in content and image_of(documents, path) is not None:
        return "label"
    return None


def _plate_of(documents: Documents, path: str) -> dict[str, object] | None:
    """Attributes of the plate of a well: two groups up."""
    if "/" not in path:
        return None
    above = "/".join(path.split("/")[:-2])
    return documents.attributes(above) if "plate" in documents.ome(above) else None


def _holds_tables(documents: Documents, path: str) -> bool:
    """Whether a group contains the tables of an image."""
    above, _, name = path.rpartition("/")
    if name != "tables" or "multiscales" not in documents.ome(above):
        return False
    return join(path) in documents.groups
