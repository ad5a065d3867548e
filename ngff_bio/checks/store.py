"""``validate``: hold a whole store against the specification."""

from __future__ import annotations

import os
from typing import Any

from ngff_bio.checks.arrays import check_arrays
from ngff_bio.checks.conformance import validate_attributes
from ngff_bio.checks.documents import Documents, read_documents
from ngff_bio.checks.findings import Finding
from ngff_bio.ngff import version_of
from ngff_bio.storage import Storage, storage_at


def validate(store: str | os.PathLike[str] | Storage, *, strict: bool = False) -> list[Finding]:
    """Check every group and array of a store.

    Parameters
    ----------
    store
        The store.
    strict
        What the specification only recommends counts as an error.

    Returns
    -------
    list of Finding
        All findings, by path; the store is valid if none has the level ``"error"``.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If there is no store.
    """
    documents = read_documents(storage_at(store))
    findings: list[Finding] = []
    for path in sorted(documents.groups):
        attributes = documents.attributes(path)
        if version_of(attributes) is None:
            continue
        findings += validate_attributes(
            attributes, strict=strict, group=path, plate=_plate_of(documents, path)
        )
        findings += check_arrays(documents, path)
    return findings


def _plate_of(documents: Documents, path: str) -> dict[str, Any] | None:
    """Attributes of the plate that a well lies in: two groups up."""
    above = path.rpartition("/")[0].rpartition("/")[0] if path.count("/") > 1 else ""
    attributes = documents.attributes(above) if path.count("/") >= 1 else {}
    content = attributes.get("ome", attributes)
    return attributes if isinstance(content, dict) and "plate" in content else None
