"""All metadata documents of a store, as they lie there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ngff_bio.errors import IncompleteStoreError, StoreError, StoreNotFoundError
from ngff_bio.storage import Storage


@dataclass(slots=True)
class Documents:
    """Metadata of each group and array by path, in the form of Zarr v3's ``zarr.json``.

    ``zarr_format`` is that of the root.
    """

    zarr_format: int
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrays: dict[str, dict[str, Any]] = field(default_factory=dict)

    def attributes(self, path: str) -> dict[str, Any]:
        """Attributes of a group or array; empty if there is none at that path."""
        found = self.groups.get(path) or self.arrays.get(path) or {}
        return dict(found.get("attributes") or {})


def read_documents(storage: Storage) -> Documents:
    """Read every metadata document of a store.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If there is no Zarr group at the place.
    ngff_bio.errors.StoreError
        If a document is not JSON.
    """
    keys = [key for key, _ in storage.list()]
    if "zarr.json" in keys:
        found = Documents(3)
        for key in keys:
            if key.rpartition("/")[2] == "zarr.json":
                document = _load(storage, key)
                kind = found.arrays if document.get("node_type") == "array" else found.groups
                kind[key.rpartition("/")[0]] = document
        return found
    if ".zgroup" in keys or ".zattrs" in keys:
        found = Documents(2)
        for key in keys:
            path, _, name = key.rpartition("/")
            if name in (".zgroup", ".zarray"):
                start = f"{path}/" if path else ""
                attributes = f"{start}.zattrs"
                document = _load(storage, key)
                document["attributes"] = _load(storage, attributes) if attributes in keys else {}
                (found.arrays if name == ".zarray" else found.groups)[path] = document
        return found
    if any(key.startswith(".ngff_bio/") for key in keys):
        raise IncompleteStoreError(
            "the store is half-made",
            file=storage.url,
            mend="run the same convert command again: it goes on where it stopped",
        )
    raise StoreNotFoundError(
        "there is no Zarr store here", file=storage.url, mend="name the folder that holds it"
    )


def _load(storage: Storage, key: str) -> dict[str, Any]:
    data = storage.get(key) or b""
    try:
        content = json.loads(data)
    except ValueError as error:
        raise StoreError(
            "metadata is not JSON", file=f"{storage.url}/{key}", found=error
        ) from error
    if not isinstance(content, dict):
        raise StoreError("metadata is no JSON object", file=f"{storage.url}/{key}")
    return content
