"""``verify``: is a store as it was written, and equal to its source?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ngff_bio.checks.differences import Difference, Progress, Verification
from ngff_bio.checks.source.comparison import Comparison
from ngff_bio.checks.source.left_out import (
    conversion_of,
    files_not_read,
    other_place,
    records_skipped,
    without_skipped,
)
from ngff_bio.checks.store.documents import Documents, read_documents, texts
from ngff_bio.deprecation import renamed_keywords
from ngff_bio.engine.write.manifest import ManifestEntry
from ngff_bio.engine.write.transaction import settled_view
from ngff_bio.errors import ArgumentError
from ngff_bio.formats.limits import Limits
from ngff_bio.model import OnError, SourceDataset
from ngff_bio.ngff.stored_attributes import own_attributes
from ngff_bio.parallel import WorkerPool, cpu_count
from ngff_bio.printing import without_secrets
from ngff_bio.sources import FileTree, Source, find_source, open_tree, read_source
from ngff_bio.sources.files.checksums import checksums
from ngff_bio.sources.registry import options_of
from ngff_bio.storage import Storage, storage_at
from ngff_bio.zarrio.place import store_of


@renamed_keywords(store_options="storage_options")
def verify(
    store: str | os.PathLike[str] | Storage,
    source: str | os.PathLike[str] | SourceDataset | None = None,
    *,
    format: str | None = None,
    options: Mapping[str, object] | None = None,
    on_error: OnError | None = None,
    exclude: Sequence[str] | None = None,
    source_options: Mapping[str, object] | None = None,
    storage_options: Mapping[str, object] | None = None,
    limits: Limits | None = None,
    sample: int | None = None,
    pixels: bool = False,
    workers: int = 0,
    progress: Progress | None = None,
) -> Verification:
    """Check that a store is intact and, where the source is given, equal to it.

    Without the source, every object is checked against the manifest that ``convert`` wrote: this
    finds a flipped bit, and missing, swapped or unknown files. With the source, both are read again,
    the store by zarr-python: level 0 is compared pixel for pixel, each further level is recomputed,
    each instance's mask is drawn again, and every row, every frame and all metadata are compared.

    Parameters
    ----------
    store
        The store.
    source
        The folder, archive, URL or store that it was converted from, or the dataset, if a program built
        it.
    format
        Name of the source format; read from the store if not given.
    options
        Options of the source that the conversion used; read from the store if not given. A store names
        no file outside of the source: where there was such a table of wells, they must be given.
    on_error
        ``skip`` if the conversion skipped wrong records; read from the store if not given.
    exclude
        Globs of files that the conversion excluded; read from the store if not given.
    source_options
        Options of the URL of the source: endpoint, credentials. The names are those of
        `storage_options`; of a URL that is not a bucket, those of fsspec.
    storage_options
        Options of the bucket of the store, as in :class:`ngff_bio.storage.BucketStorage`.
    limits
        Maximum size of an image plane and of an archive member of the source; those of the conversion
        if not given.
    sample
        Compare only so many objects of the store, and so many blocks of pixels and frames of
        instances, picked at random, always the same ones. All metadata is compared.
    pixels
        Without the source: also decode level 0 and check it against the checksums of the pixels that
        were read from the source.
    workers
        Threads; one per processor core if 0.
    progress
        Called with raw bytes compared and in all.

    Returns
    -------
    Verification
        Every difference, not only the first.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If there is no store.
    ngff_bio.errors.StoreError
        If it has no manifest and no source is given.
    """
    began = time.monotonic()
    storage = settled_view(storage_at(store, storage_options))
    done = Verification(storage.url, sampled=sample)
    with WorkerPool(workers or cpu_count()) as pool:
        comparison = Comparison(storage, done, pool, progress or (lambda done, total: None))
        entries = comparison.objects(required=source is None)
        recorded = conversion_of(storage)
        done.not_read = files_not_read(recorded)
        done.skipped = records_skipped(recorded, None)
        if isinstance(source, SourceDataset):
            done.source = source.origin
            comparison.dataset(_documents(storage), source)
        elif source is not None and (other := store_of(source, format, source_options)):
            done.source = other.url
            comparison.store(read_documents(storage), other)
        elif source is not None:
            done.source = without_secrets(os.fspath(source))
            documents = _documents(storage)
            used = recorded.get("options")
            used = used if isinstance(used, dict) else {}
            tree = open_tree(
                source,
                source_options=source_options,
                limits=limits or _limits(used),
                exclude=texts(used.get("exclude")) if exclude is None else exclude,
            )
            _check_place(tree, entries)
            done.differences += _file_differences(tree, entries, checked=sample is None)
            kind = find_source(tree, format or recorded.get("source"))
            if options is None:
                options = _recorded_options(kind, tree, used)
            on_error = on_error or used.get("on_error", "stop")
            dataset = read_source(kind, tree, options, on_error=on_error, ignore_unread=True)
            if on_error == "skip":
                dataset, notes = without_skipped(dataset, documents.groups)
                done.notes += notes
            comparison.dataset(documents, dataset)
            here = os.path.realpath(storage.url)  # a store may be in the folder of its source
            done.not_read = [
                name
                for name in (*dataset.account.excluded, *dataset.account.unread)
                if os.path.realpath(os.path.join(os.fspath(source), name)) != here
            ]
            done.skipped = records_skipped(recorded, dataset)
        elif pixels:
            comparison.checksums(read_documents(storage), entries)
    done.seconds = time.monotonic() - began
    return done


def _documents(storage: Storage) -> Documents:
    """The documents of the store; raises a StoreError if attributes cannot be understood."""
    found = read_documents(storage)
    for path in found.groups:
        own_attributes(found.attributes(path), f"{storage.url}/{path}".rstrip("/"))
    return found


def _recorded_options(
    kind: Source, tree: FileTree, used: Mapping[str, object]
) -> dict[str, object]:
    """Options of a source that a store records."""
    found = {k: v for k, v in used.items() if k in options_of(kind)}
    if (wells := found.get("wells")) not in (None, *tree.names()):
        raise ArgumentError(
            "the table of wells of the conversion is not a file of the source",
            expected="the option wells: a store is not asked which file of this machine is read",
            found=wells,
            hint="give it with --option wells=FILE, and the other options of the conversion",
        )
    if isinstance(pattern := found.get("pattern"), str) and not _ends(pattern, tree.names()):
        raise ArgumentError(
            "the pattern that the store records takes too long on the names of the source",
            expected=f"a regular expression that is searched in all names within {_SECONDS} s",
            found=pattern,
            hint="if it is yours, give it with --option pattern=PATTERN, and the other options of the "
            "conversion",
        )
    return found


#: Seconds that a pattern of a store may take; nothing ends a search in this process.
_SECONDS = 10

_SEARCH = """
import json, re, sys
pattern, names = json.load(sys.stdin)
search = re.compile(pattern).search
for name in names:
    search(name.rpartition(".")[0].removesuffix(".ome")), search(name)
"""


def _ends(pattern: str, names: Iterable[str]) -> bool:
    """Whether a regular expression of a store, which may try without an end, is soon searched."""
    command = [sys.executable, "-I", "-S", "-c", _SEARCH]
    given = json.dumps([pattern, [*names]])
    try:
        subprocess.run(
            command, input=given, text=True, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return True


def _file_differences(
    tree: FileTree, entries: list[ManifestEntry], *, checked: bool
) -> Iterator[Difference]:
    """Whether the source's files are still those that were converted: by size, or by checksum."""
    known = {e.path: e for e in entries if e.kind == "source"}
    if not known:
        return
    names = [n for n in tree.names() if n in known or tree.file(n).path is None]
    there = {name: (size, crc) for name, size, crc in checksums(tree, names, checked=checked)}
    for name, entry in known.items():
        if name not in there:
            yield Difference("source", name, "a file that was converted is not in the source")
            continue
        size, crc = there[name]
        changed = crc is not None and entry.crc32c is not None and crc != entry.crc32c
        if size != entry.size or changed:
            yield Difference("source", name, "the file has changed since it was converted")


def _check_place(tree: FileTree, entries: Iterable[ManifestEntry]) -> None:
    """Refuse a folder in or above the source: nothing could be compared.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the files that were converted are in another folder.
    """
    known = [e.path for e in entries if e.kind == "source"]
    found = other_place(tree.names(), known)
    if found is not None:
        if found.startswith("../"):
            where, hint = f"the files of {found[3:]} alone", "name the folder that contains it"
        else:
            where = f"them in {found}"
            hint = f"verify with --source {tree.origin.rstrip('/')}/{found.rstrip('/')}"
        raise ArgumentError(
            "the store was converted from another folder",
            file=tree.origin,
            expected=f"{len(known)} files, among them {known[0]}",
            found=where,
            hint=hint,
        )


def _limits(used: Mapping[str, object]) -> Limits:
    """The limits that a store was converted with."""
    given = (used.get("max_pixels"), used.get("max_bytes"))
    return Limits(*(n if isinstance(n, int) else None for n in given))
