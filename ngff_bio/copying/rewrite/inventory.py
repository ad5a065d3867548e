"""What a store contains: images, label images, other arrays and objects; and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ngff_bio import ngff
from ngff_bio.checks.store.documents import (
    Documents,
    join,
    read_documents,
    texts,
)
from ngff_bio.engine.resume.fingerprint import digest_of
from ngff_bio.engine.write.manifest import MANIFEST, MANIFEST_CHECKSUM, read_manifest
from ngff_bio.errors import NgffBioError, StorageError, StoreError
from ngff_bio.model import Notice, OnError
from ngff_bio.ngff.older import as_04
from ngff_bio.parallel import shared_pool
from ngff_bio.reader.access.arrays import StoredArray
from ngff_bio.storage import Storage, checked_key, join_key
from ngff_bio.zarrio.documents import DOCUMENT_NAMES, store_errors
from ngff_bio.zarrio.journal import STATE


@dataclass(frozen=True, slots=True)
class StoredMultiscale:
    """An image or a label image: its group, names of its axes as they are stored, the arrays of its
    levels, its metadata.

    A group can list several (levels that were made by another method): readers show the first, and
    ``further`` are the others.
    """

    path: str
    label: bool
    further: bool
    axes: tuple[str, ...]
    levels: tuple[str, ...]
    meta: ngff.MultiscaleMeta

    @property
    def letters(self) -> str:
        """Letters of the axes."""
        return "".join(a.name for a in self.meta.axes)


@dataclass
class Inventory:
    """A store that is converted.

    Parameters
    ----------
    storage
        Its documents, in a part of a store only those of that part.
    data
        Where chunks and other objects are read: the whole store.
    identity
        `store_identity` before anything was read.
    arrays
        Each array by path, as it is read.
    others
        Size of each object that is neither a document nor below an array, by key.
    dropped
        Paths of images and label images that cannot be converted.
    """

    storage: Storage
    data: Storage
    documents: Documents
    identity: str | None
    multiscales: list[StoredMultiscale] = field(default_factory=list)
    arrays: dict[str, StoredArray] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    notices: list[Notice] = field(default_factory=list)

    def shape(self, path: str) -> tuple[int, ...]:
        """Shape of an array.

        Raises
        ------
        ngff_bio.errors.StoreError
            If there is none at the path.
        """
        if path not in self.documents.arrays:
            raise StoreError("a level that the metadata lists is missing", file=self.url(path))
        return self.array(path).shape

    def array(self, path: str) -> StoredArray:
        """An array of the store, to be read."""
        if path not in self.arrays:
            document = self.documents.arrays[path]
            zarr_format = 3 if document.get("zarr_format") == 3 else 2
            self.arrays[path] = StoredArray(self.data, path, document, zarr_format)
        return self.arrays[path]

    def url(self, path: str) -> str:
        """Where a node is, for messages."""
        return f"{self.storage.url}/{path}".rstrip("/")

    def is_dropped(self, path: str) -> bool:
        """Whether a node belongs to something that cannot be converted."""
        return any(path == d or path.startswith(f"{d}/") for d in self.dropped)

    def drop(self, path: str, error: NgffBioError, on_error: OnError) -> None:
        """Raise what is wrong with an image, or leave it out and note why."""
        if on_error == "stop":
            parts: dict[str, Any] = {"file": self.url(path), **error.parts()}
            parts.setdefault("hint", "fix it, or leave it out with --on-error skip")
            raise type(error)(**parts) from error
        self.dropped |= {path}
        what = f"{path or 'the image'} was skipped: {error.what}"
        file = error.file or self.url(path)
        self.notices.append(Notice("skipped", what, file, error.record))

    def images(self) -> list[StoredMultiscale]:
        """Images that are converted, one of each group, without label images."""
        given = (m for m in self.multiscales if not m.label and not m.further)
        return [m for m in given if not self.is_dropped(m.path)]


def store_identity(storage: Storage) -> str | None:
    """Digest of what changes with the content of a store: keys, sizes and versions of its objects, or
    the checksum of its manifest where they cannot be listed; ``None`` if nothing is known.
    """
    try:
        objects = sorted(o for o in storage.versions() if not o[0].startswith(f"{STATE}/"))
    except StorageError:
        manifest = storage.get(MANIFEST_CHECKSUM)
        return None if manifest is None else digest_of(manifest.decode(errors="replace"))
    return digest_of(objects) if all(version for _, _, version in objects) else None


def take_inventory(storage: Storage, data: Storage, on_error: OnError) -> Inventory:
    """Read all metadata of a store, and check it against its arrays.

    Raises
    ------
    ngff_bio.errors.StoreError
        If there is no image, or with ``on_error="stop"`` something is wrong with one.
    """
    identity = store_identity(storage)  # first: what is changed later is seen at the end
    documents = read_documents(storage)
    found = Inventory(storage, data, documents, identity)
    for key, wrong in documents.broken.items():
        error = StoreError(f"the metadata is {wrong}", file=found.url(key))
        found.drop(key.rpartition("/")[0], error, on_error)
    labels = set(_label_paths(documents))
    for path in sorted(documents.groups):
        content = documents.ome(path)
        if "multiscales" not in content or found.is_dropped(path):
            continue
        label = path in labels or "image-label" in content
        try:
            found.multiscales += _multiscales(found, path, label)
        except NgffBioError as error:
            found.drop(path, error, on_error)
    if not found.images():
        first = next((n for n in found.notices if n.kind == "skipped"), None)
        raise StoreError(
            "no image of the store can be converted"
            if first
            else "the store has no OME-Zarr image",
            file=storage.url,
            found=first.what if first else None,
            hint="run `ngff-bio validate` on it to see every finding",
        )
    if "spatialdata_attrs" in documents.attributes(""):
        text = (
            "spatialdata reads OME-Zarr only in its own form: the new store opens in other programs"
        )
        found.notices.append(Notice("warning", text, storage.url))
    if missing := sorted(set(_listed_groups(documents)) - documents.groups.keys()):
        text = "images, wells or label images that the metadata lists are missing"
        some = ", ".join(missing[:3])
        found.notices.append(Notice("warning", text, storage.url, some, len(missing)))
    found.others = dict(_others(found))
    return found


def _listed_groups(documents: Documents) -> Iterator[str]:
    """Paths of wells, fields, label images and images of collections that groups list."""
    yield from _label_paths(documents)
    for path in documents.groups:
        content = documents.ome(path)
        for key, listed in (("plate", "wells"), ("well", "images")):
            part = content.get(key)
            names = texts(part.get(listed), "path") if isinstance(part, dict) else []
            yield from (join(path, name) for name in names)
        above = path.removesuffix("OME").rstrip("/")
        yield from (join(above, name) for name in texts(content.get("series")))


def _label_paths(documents: Documents) -> Iterator[str]:
    for path in documents.groups:
        for name in texts(documents.ome(path).get("labels")):
            yield join(path, name)


def _multiscales(found: Inventory, path: str, label: bool) -> list[StoredMultiscale]:
    """The images of a group, whose metadata fits their arrays.

    Raises
    ------
    ngff_bio.errors.StoreError
        If it does not.
    """

    def shape_of(name: str) -> tuple[int, ...]:
        return found.shape(join_key(path, name, file=found.url(path)))

    with store_errors("the OME-Zarr metadata of a group cannot be understood"):
        attributes = as_04(found.documents.attributes(path), shape_of)
    meta = ngff.decode(attributes)
    if meta is None or not meta.multiscales:
        raise StoreError("a group has no image", expected="an entry of multiscales", found="none")
    if others := meta.multiscales[1:]:
        names = ", ".join(repr(m.name or f"entry {n}") for n, m in enumerate(others, 1))
        text = "multiscales beside the first one of a group, which readers show, are kept"
        found.notices.append(Notice("note", text, found.url(path), names, len(others)))
    content: Any = attributes.get("ome", attributes)
    return [
        _multiscale(found, path, label, image, _axis_names(entry, image), n > 0)
        for n, (image, entry) in enumerate(
            zip(meta.multiscales, content["multiscales"], strict=True)
        )
    ]


def _multiscale(
    found: Inventory,
    path: str,
    label: bool,
    image: ngff.MultiscaleMeta,
    axes: tuple[str, ...],
    further: bool,
) -> StoredMultiscale:
    paths = tuple(join_key(path, v.path, file=found.url(path)) for v in image.levels)
    for array_path, level in zip(paths, image.levels, strict=True):
        shape = found.shape(array_path)
        if not len(shape) == len(image.axes) == len(level.scale):
            raise StoreError(
                "the array of a level does not have the axes of its image",
                file=found.url(array_path),
                expected=", ".join(a.name for a in image.axes),
                found=f"shape {shape}",
            )
    _check_extents(found, path, paths, image)
    types = {found.array(p).dtype for p in paths}
    if len(types) > 1:
        raise StoreError(
            "the levels of an image have different types",
            found=", ".join(sorted(map(str, types))),
        )
    if label and (dtype := types.pop()).kind not in "uib":
        raise StoreError(
            "the values of a label image are not integers", expected="an integer type", found=dtype
        )
    return StoredMultiscale(path, label, further, axes, paths, image)


def _check_extents(
    found: Inventory, path: str, levels: tuple[str, ...], image: ngff.MultiscaleMeta
) -> None:
    """Note a level whose pixels, times their number, do not make the size of level 0."""
    whole, first = found.shape(levels[0]), image.levels[0].scale
    for level, array in zip(image.levels[1:], levels[1:], strict=True):
        shape = found.shape(array)
        for axis, n, m, s, t in zip(image.axes, whole, shape, first, level.scale, strict=True):
            if axis.type == "space" and abs(n * s - m * t) > 1.5 * max(abs(s), abs(t)):
                text = "the scale of a level contradicts its size: both are kept as they are"
                found.notices.append(Notice("warning", text, found.url(path), level.path))
                break


def _axis_names(entry: dict[str, Any], meta: ngff.MultiscaleMeta) -> tuple[str, ...]:
    """Names of axes as they are stored: some writers use upper case."""
    axes = entry.get("axes")
    return tuple(a["name"] for a in axes) if axes else tuple(a.name for a in meta.axes)


def _listed(found: Inventory) -> dict[str, int]:
    """Size of each object by key: of a web server, those of the manifest, or that metadata names."""
    documents = found.documents
    if documents.objects is not None:
        return documents.objects
    if found.storage.size(MANIFEST) is not None:
        return {e.path: e.size for e in read_manifest(found.storage) if e.kind == "object"}
    text = "the objects of the store cannot be listed: only those that its metadata names are taken"
    found.notices.append(Notice("warning", text, found.storage.url))
    named = []
    for path in documents.groups:
        tables = texts(documents.attributes(path).get("tables"))
        named += [join(path, t, file) for t in tables for file in ("table.parquet", "table.csv")]
        if path.rpartition("/")[2] == "OME":
            named.append(join(path, "METADATA.ome.xml"))
    sizes = shared_pool(remote=True).map(found.data.size, named)
    return {key: size for key, size in zip(named, sizes, strict=True) if size is not None}


def _others(found: Inventory) -> Iterator[tuple[str, int]]:
    """Objects that are neither documents nor below arrays nor of our manifest."""
    names = DOCUMENT_NAMES[found.documents.zarr_format]
    stray: list[str] = []
    objects = _listed(found)
    for key, size in sorted(objects.items()):
        folder, _, name = key.rpartition("/")
        if key in (MANIFEST, MANIFEST_CHECKSUM, ".zmetadata") or found.is_dropped(folder):
            continue
        if name in names and (folder in found.documents.groups or folder in found.documents.arrays):
            continue
        owner = folder
        while owner and owner not in found.documents.arrays:
            owner = owner.rpartition("/")[0]
        if owner not in found.documents.arrays:
            yield checked_key(key, found.storage.url), size
        elif found.array(owner).meta.index_of(key) is None:
            stray.append(key)
    if stray:
        text = "objects below an array that are none of its chunks are not taken"
        some = ", ".join(stray[:3])
        found.notices.append(Notice("skipped", text, found.storage.url, some, len(stray)))
