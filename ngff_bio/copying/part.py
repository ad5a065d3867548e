"""A store with fewer images or with further documents, seen as a store of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any

from ngff_bio.checks.store.documents import read_documents
from ngff_bio.checksums import crc32c
from ngff_bio.engine.write.manifest import (
    MANIFEST,
    object_entries,
    read_manifest,
    write_manifest,
)
from ngff_bio.engine.write.ome_xml import OME_XML, without_images
from ngff_bio.errors import ArgumentError, StorageError, closest_names
from ngff_bio.model.splits import in_split
from ngff_bio.ngff.schema_version import KEY
from ngff_bio.storage import Locality, MemoryStorage, ReadOnlyStorage, Storage, join_key
from ngff_bio.zarrio.documents import node_key
from ngff_bio.zarrio.nodes import Nodes, add_document, read_nodes


@dataclass
class PartOfStore(ReadOnlyStorage):
    """A store without the groups in ``dropped``, and with the objects of ``added`` before its own."""

    refusal = "a part of a store can only be read"

    source: Storage
    dropped: frozenset[str] = frozenset()
    added: Storage = field(default_factory=MemoryStorage)

    @property
    def url(self) -> str:
        """That of the whole store."""
        return self.source.url

    @property
    def locality(self) -> Locality:
        """That of the whole store."""
        return self.source.locality

    def keeps(self, key: str) -> bool:
        """Whether an object of the store belongs to the part."""
        return self.dropped.isdisjoint(paths_above(key))

    def get(self, key: str) -> bytes | None:
        """All bytes of an object, or ``None``."""
        found = self.added.get(key)
        return found if found is not None or not self.keeps(key) else self.source.get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Part of an object, or ``None``; a negative ``start`` counts from the end."""
        found = self.added.get_range(key, start, length)
        if found is not None or not self.keeps(key):
            return found
        return self.source.get_range(key, start, length)

    def size(self, key: str) -> int | None:
        """Size in bytes, or ``None``."""
        found = self.added.size(key)
        return found if found is not None or not self.keeps(key) else self.source.size(key)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Keys below ``prefix`` with their sizes."""
        return ((key, size) for key, size, _ in self.versions(prefix))

    def versions(self, prefix: str = "") -> Iterator[tuple[str, int, str]]:
        """Keys below ``prefix`` with their sizes and versions."""
        added = list(self.added.versions(prefix))
        names = {key for key, _, _ in added}
        kept = (o for o in self.source.versions(prefix) if self.keeps(o[0]) and o[0] not in names)
        return chain(kept, added)


@dataclass(frozen=True)
class Choice:
    """Images to copy: those that each of the given words selects.

    ``images`` and ``plates`` are globs of paths; ``splits`` are names, patterns, or train, val, test.
    """

    images: Sequence[str] = ()
    plates: Sequence[str] = ()
    splits: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.images or self.plates or self.splits)

    def has_split(self, names: Iterable[str]) -> bool:
        """Whether a frame with these splits is in one of the chosen ones."""
        return any(in_split(names, split) for split in self.splits)


def part_of_store(source: Storage, choice: Choice, notes: list[str]) -> PartOfStore:
    """The chosen images of a store, as a store.

    Plates keep all names of rows and columns, and list the wells that are left. ``notes`` gets what
    is copied besides: frames of other splits.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If no image matches, or the store is a single image.
    """
    from ngff_bio.reader import open as open_store

    dataset = open_store(source)
    images = list(dataset)
    if "" in images:
        raise ArgumentError(
            "the store is a single image",
            file=source.url,
            hint="copy all of it, without --images, --plate or --split",
        )
    chosen = images
    for kind, wanted, known in (
        ("image", choice.images, {p: p for p in images}),
        ("plate", choice.plates, {p: f for f in dataset.plates for p in images if below(p, f)}),
    ):
        if wanted:
            chosen = [p for p in chosen if _matches(known.get(p), wanted)]
            _check_any(chosen, kind, source, wanted, known.values())
    if choice.splits:
        with_split = {i.path for i in dataset.select(split=list(choice.splits))}
        chosen = [p for p in chosen if p in with_split]
        frames = {p: [f.get("splits") or [] for f in dataset[p].frames] for p in images}
        _check_any(chosen, "split", source, choice.splits, chain(*chain(*frames.values())))
        if mixed := sum(not all(map(choice.has_split, frames[p])) for p in chosen):
            notes.append(
                f"{mixed} of {len(chosen)} images also have frames of other splits: images are copied "
                "whole"
            )
    kept = {above for path in chosen for above in paths_above(path)}
    dropped = {above for path in images for above in paths_above(path)} - kept
    nodes, consolidated = _all_nodes(source)
    part = PartOfStore(source, frozenset(dropped))
    found = Nodes(nodes.zarr_format)
    found.arrays = {p: d for p, d in nodes.arrays.items() if part.keeps(p)}
    for path, attributes in nodes.groups.items():
        if part.keeps(path):
            found.groups[path] = attributes_of_part(path, attributes, set(chosen), kept)
    changed = {p for p in found.groups if found.groups[p] != nodes.groups[p]} | {""}
    names = ("zarr.json", ".zattrs", ".zmetadata")
    keys = {node_key(path, name) for path in changed for name in names}
    for batch in found.documents(consolidated):
        for key, data in batch:
            if key in keys:
                part.added.put(key, data)
    for path, attributes in found.groups.items():
        content = attributes.get("ome", attributes)
        document = source.get(f"{path}/{OME_XML}") if "series" in content else None
        if document is not None:
            part.added.put(f"{path}/{OME_XML}", without_images(document, content["series"]))
    if source.size(MANIFEST) is not None:
        _add_manifest(part)
    return part


def with_objects(source: Storage, added: Storage) -> PartOfStore:
    """A store with further objects, which its manifest names too: that is put beside them."""
    part = PartOfStore(source, added=added)
    if source.size(MANIFEST) is not None:
        _add_manifest(part)
    return part


def _all_nodes(source: Storage) -> tuple[Nodes, bool]:
    """All groups and arrays; on a web server, which cannot list them, those that metadata names."""
    try:
        return read_nodes(source)
    except StorageError:
        documents = read_documents(source)
        nodes = Nodes(documents.zarr_format)
        for path, document in {**documents.groups, **documents.arrays}.items():
            add_document(nodes, path, document)
        return nodes, False


def below(path: str, group: str) -> bool:
    """Whether an image is in a plate."""
    return path.startswith(f"{group}/") if group else True


def _matches(path: str | None, patterns: Sequence[str]) -> bool:
    return path is not None and any(fnmatchcase(path, pattern) for pattern in patterns)


def _check_any(
    chosen: list[str], kind: str, source: Storage, wanted: Sequence[str], known: Iterable[str]
) -> None:
    if not chosen:
        raise ArgumentError(
            f"no {kind} of the store matches",
            file=source.url,
            expected=f"one such as {closest_names(wanted[0], dict.fromkeys(known)) or 'none'}",
            found=", ".join(wanted),
        )


def paths_above(path: str) -> Iterator[str]:
    """A path and those of all groups above it, without the root."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def attributes_of_part(
    path: str, attributes: dict[str, Any], chosen: set[str], kept: set[str]
) -> dict[str, Any]:
    """Attributes of a group that name only images that are left."""
    found = deepcopy(attributes)
    ome = found.get("ome")
    content: dict[str, Any] = ome if isinstance(ome, dict) else found
    own = found.get(KEY)
    if isinstance(plate := content.get("plate"), dict):
        plate["wells"] = list(_named(path, plate.get("wells"), kept))
        if "field_count" in plate:
            wells = [f"{join_key(path, well['path'])}/" for well in plate["wells"]]
            fields = (sum(p.startswith(well) for p in chosen) for well in wells)
            plate["field_count"] = max(fields, default=0)
    if isinstance(well := content.get("well"), dict):
        well["images"] = list(_named(path, well.get("images"), chosen))
    if "series" in content:
        above = path.rpartition("/")[0]
        content["series"] = [s for s in content["series"] if join_key(above, s) in chosen]
    if isinstance(own, dict) and own.get("kind") == "dataset":
        own["images"] = len(chosen)
        if isinstance(own.get("groups"), list):
            own["groups"] = [g for g in own["groups"] if g in kept]
    return found


def _named(path: str, entries: Any, kept: set[str]) -> Iterator[dict[str, Any]]:
    """Entries of a list whose path, below a group, is left."""
    return (e for e in entries or () if join_key(path, e["path"]) in kept)


def _add_manifest(part: PartOfStore) -> None:
    """Put the manifest of what is left beside the objects that are added to a part."""
    written = {}
    for key, size in part.added.list():
        written[key] = size, crc32c(part.added.get(key) or b"")
    entries = [
        e
        for e in read_manifest(part.source)
        if e.kind == "source"
        or (part.keeps(e.path) and (e.kind != "object" or e.path not in written))
    ]
    write_manifest(part.added, [*entries, *object_entries(written)])
