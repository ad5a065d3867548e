"""``describe``: title, licence and citation of a finished store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ngff_bio.editing.changes import provenance
from ngff_bio.engine.write.update import changed_store
from ngff_bio.errors import ArgumentError, StoreError
from ngff_bio.ngff.attributes import DESCRIBED, KEY, described_fields
from ngff_bio.ngff.stored_attributes import own_attributes
from ngff_bio.storage import Storage, storage_at
from ngff_bio.zarrio.hierarchy import Hierarchy


def describe(
    store: str | os.PathLike[str] | Storage,
    *,
    title: str | None = None,
    licence: str | None = None,
    citation: str | None = None,
    author: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write title, licence or citation of a dataset into its store; returns all three.

    The attributes state who has done it, and when: ``verify`` does not compare them with the source
    any more.

    Parameters
    ----------
    title, licence, citation
        ``None`` for no change; ``""`` removes a licence or a citation.
    author
        Who describes it; the name of the user if ``None``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If nothing is given, or an empty title.
    ngff_bio.errors.StoreError
        If the store was not written by ngff_bio.
    ngff_bio.errors.StoreBusyError, ngff_bio.errors.StorageError
        If the store cannot be written.
    """
    given = {"name": title, "licence": licence, "citation": citation}
    changed = {key: text for key, text in given.items() if text is not None}
    if not changed or title == "":
        raise ArgumentError(
            "nothing to describe",
            expected="a title, a licence or a citation: --title, --licence, --citation",
            found=changed or None,
        )
    with changed_store(storage_at(store, storage_options)) as change:
        tree: Hierarchy = change.tree
        root = dict(tree.attributes("") or {})
        own = own_attributes(root, tree.storage.url)
        single = own.get("kind") == "image"
        dataset = own.get("dataset") if single else own
        if not dataset:
            raise StoreError("the store was not written by ngff_bio", file=tree.storage.url)
        more = dict(dataset.get("attributes") or {})
        fields = sorted({*described_fields(dataset), *changed})
        more[DESCRIBED] = {**provenance(author), "fields": fields}
        dataset = {**dataset, **changed, "attributes": more}
        dataset = {key: value for key, value in dataset.items() if value != ""}
        change.set_group("", {**root, KEY: {**own, "dataset": dataset} if single else dataset})
    return {"title": dataset.get("name"), **{k: dataset.get(k) for k in ("licence", "citation")}}
