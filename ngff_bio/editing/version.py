"""``upgrade``: a newer version of OME-Zarr in place, where only metadata changes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ngff_bio.checks.store.documents import Documents, read_documents, texts
from ngff_bio.engine.write.ome_xml import OME_XML, collection_xml
from ngff_bio.engine.write.transaction import settled_view
from ngff_bio.engine.write.update import changed_store, held_store
from ngff_bio.errors import ArgumentError, NgffBioError, StoreError
from ngff_bio.ngff.decoding import version_of
from ngff_bio.ngff.metadata import VERSIONS, ZARR_FORMAT, Version
from ngff_bio.ngff.versions import translate
from ngff_bio.storage import Storage, join_key, storage_at
from ngff_bio.zarrio.nodes import Nodes


@dataclass(slots=True)
class UpgradeReport:
    """Outcome of an upgrade, or what it would be.

    ``versions`` are those of its groups before; ``groups`` those whose metadata changes, ``notes`` what
    had to be added, ``documents`` the OME-XML of collections that had none.
    """

    store: str
    version: str
    versions: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


def upgrade(
    store: str | os.PathLike[str] | Storage,
    version: Version | None = None,
    *,
    dry_run: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> UpgradeReport:
    """Write the metadata of a store in another version of OME-Zarr; its arrays stay as they are.

    All of it becomes visible at once. What the specification does not define is kept. A collection
    without OME-XML, which some readers look for, gets one.

    Parameters
    ----------
    version
        ``None`` for the newest one of the same Zarr format: 0.6 for 0.5, 0.4 for 0.1 to 0.3.
    dry_run
        Whether only to report what would change.
    storage_options
        Options of the bucket, as in :class:`ngff_bio.storage.BucketStorage`.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If arrays would have to change, or the version is not known.
    ngff_bio.errors.StoreError
        If metadata cannot be understood, or the version cannot hold something of it.
    ngff_bio.errors.StoreBusyError, ngff_bio.errors.StorageError
        If the store cannot be written.
    """
    storage = storage_at(store, storage_options)
    if dry_run:
        return _translated(settled_view(storage), version)[0]
    with held_store(storage) as held:  # an interrupted upgrade is finished or undone
        report, changed, xml = _translated(held.storage, version)
        if changed or xml:
            with changed_store(held) as change:
                for path, attributes in changed.items():
                    change.set_group(path, attributes)
                for key, document in xml.items():
                    change.put(key, document)
    return report


def _translated(
    storage: Storage, version: Version | None
) -> tuple[UpgradeReport, dict[str, dict[str, Any]], dict[str, bytes]]:
    """What changes: attributes by path of a group, OME-XML by key."""
    documents = read_documents(storage)
    fitting = [v for v in VERSIONS if ZARR_FORMAT[v] == documents.zarr_format]
    wanted = version or fitting[-1]
    if wanted not in VERSIONS:
        raise ArgumentError(
            "unknown version of OME-Zarr", expected=", ".join(VERSIONS), found=wanted
        )
    if wanted not in fitting:
        raise ArgumentError(
            "arrays would have to change: a store of one Zarr format cannot be upgraded in place to a "
            "version of the other",
            file=storage.url,
            expected=", ".join(fitting),
            found=wanted,
            hint=f"ngff-bio convert STORE NEW_STORE --ome-version {wanted}: chunks are not decoded",
        )
    report = UpgradeReport(storage.url, wanted)
    changed: dict[str, dict[str, Any]] = {}
    versions: set[str] = set()
    for key, wrong in documents.broken.items():
        raise StoreError(f"the metadata is {wrong}", file=f"{storage.url}/{key}")
    for path in sorted(documents.groups):
        url = f"{storage.url}/{path}".rstrip("/")

        def shape_of(name: str, path: str = path, url: str = url) -> tuple[int, ...]:
            if (array := documents.array(join_key(path, name))) is None:
                raise StoreError("a level that the metadata lists is missing", file=f"{url}/{name}")
            return array.shape

        attributes = documents.attributes(path)
        try:
            found = translate(attributes, wanted, shape_of)
        except NgffBioError as error:
            raise type(error)(**{"file": url, **error.parts()}) from error
        if found.lost:
            raise StoreError(
                f"OME-Zarr {wanted} has no {found.lost[0]}", file=url, hint="keep the version"
            )
        if found.attributes != attributes:
            versions.add(version_of(attributes) or "?")
            changed[path] = found.attributes
            report.notes += [what for what in found.guessed if what not in report.notes]
    xml = _missing_xml(documents, changed)
    report.groups, report.versions, report.documents = [*changed], sorted(versions), [*xml]
    return report, changed, xml


def _missing_xml(documents: Documents, changed: Mapping[str, dict[str, Any]]) -> dict[str, bytes]:
    """OME-XML of each collection that lists its images and has none, by key."""
    groups = {p: changed.get(p) or documents.attributes(p) for p in documents.groups}
    nodes = Nodes(documents.zarr_format, groups, documents.arrays)
    found = {}
    for path in groups:
        key, above = f"{path}/{OME_XML}", path.removesuffix("OME").rstrip("/")
        if path.rpartition("/")[2] == "OME" and key not in (documents.objects or {}):
            series = texts(documents.ome(path).get("series"))
            images = {p for p in groups if "multiscales" in documents.ome(p)}
            if series and images.issuperset(f"{above}/{name}".lstrip("/") for name in series):
                found[key] = collection_xml(nodes, above, series)
    return found
