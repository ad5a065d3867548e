"""``convert``: write the dataset of a source to a store."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ngff_bio.deprecation import renamed_keywords
from ngff_bio.engine import ConversionReport, Runner, Settings, plan_dataset, write_dataset
from ngff_bio.engine.plan.estimate import Estimate, estimate_plan
from ngff_bio.engine.resume.state import check_destination
from ngff_bio.engine.run.conversion import Progress
from ngff_bio.errors import ArgumentError, NgffBioError
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.model import OnError, SourceDataset
from ngff_bio.storage import Storage, ZipStorage, storage_at
from ngff_bio.zarrio.place import store_of

# Sources are imported where one is read: they take long, and a store is converted without them.
if TYPE_CHECKING:
    from ngff_bio.sources import FileTree


@renamed_keywords(destination_options="storage_options")
def convert(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str] | Storage,
    *,
    format: str | None = None,
    settings: Settings | None = None,
    runner: Runner | None = None,
    progress: Progress | None = None,
    overwrite: bool = False,
    append: bool = False,
    options: Mapping[str, Any] | None = None,
    source_options: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    on_error: OnError = "stop",
    exclude: Sequence[str] = (),
    ignore_unread: bool = False,
    reading: Callable[[str, int, int], None] | None = None,
    checksums: bool = True,
) -> ConversionReport:
    """Convert a dataset, or an OME-Zarr store, to an OME-Zarr store.

    Parameters
    ----------
    source
        Folder, archive (zip, tar, compressed tar) or URL of the dataset; or a store (OME-Zarr 0.1 to
        0.6 of any writer). Of a store the images, labels, plates, tables and attributes are kept, and
        chunks are not decoded where their shape and codec stay.
    destination
        Path, URL or storage of the store. The same call resumes a cancelled conversion.
    format
        Name of the source format; ``None`` to detect it.
    settings
        Settings of the store: version, levels, chunks, shards, codecs.
    runner
        Where the work runs; threads of this process if ``None``.
    progress
        Called after every unit of work with the raw bytes done and their total.
    overwrite
        Whether to replace an existing store.
    append
        Whether to add what an existing store does not contain yet.
    options
        Options of the source, as ``ngff-bio formats`` lists them.
    source_options
        Options of the URL of the source: endpoint, credentials. The names are those of
        `storage_options`; of a URL that is not a bucket, those of fsspec.
    storage_options
        Options of the bucket that the store is written to, as in
        :class:`ngff_bio.storage.BucketStorage`.
    limits
        Maximum size of an image plane and of an archive member.
    on_error
        ``stop``: an invalid record ends the conversion with an error. ``skip``: the rest is converted,
        and the report lists what was skipped.
    exclude
        Globs of files that are not part of the source: of paths below it, or of the name of a file or
        a folder anywhere if there is no ``/`` in it.
    ignore_unread
        Whether files that could hold annotations or pixels, and are not read, are left out. Without
        it they end the conversion with an error.
    reading
        Called while annotation files are read, before the conversion starts, with the name of a file,
        the bytes read and its size.
    checksums
        Whether to record size and checksum of each source file in the manifest.

    Returns
    -------
    ConversionReport
        What was written, and what was skipped and why.

    Raises
    ------
    ngff_bio.errors.NgffBioError
        One of :mod:`ngff_bio.errors`. The store cannot be opened until a conversion succeeds.
    """
    storage = storage_at(destination, storage_options)
    if isinstance(storage, ZipStorage):
        storage.delete("")  # raises: it can only be read
    if not append:
        check_destination(storage, overwrite, settings or Settings())
    store = store_of(source, format, source_options)
    if store is not None:
        if append:
            raise ArgumentError(
                "a store cannot be appended to another one", hint="convert into a new destination"
            )
        from ngff_bio.copying.rewrite import convert_store

        return convert_store(
            store,
            storage,
            settings or Settings(),
            images=_image_patterns(options),
            overwrite=overwrite,
            on_error=on_error,
            runner=runner,
            progress=progress,
        )
    from ngff_bio.sources import open_tree
    from ngff_bio.sources.files.checksums import Checksums, files_of

    tree = open_tree(source, source_options=source_options, limits=limits, exclude=exclude)
    dataset = _read(
        tree, format, options, on_error=on_error, ignore_unread=ignore_unread, progress=reading
    )
    dataset = replace(dataset, options={**dataset.options, **limits.given()})
    try:
        names = files_of(tree, dataset) if checksums else ()
        with Checksums(tree, names, dataset.source_parts) as source_files:
            return write_dataset(
                dataset,
                storage,
                settings,
                runner=runner,
                progress=progress,
                overwrite=overwrite,
                append=append,
                on_error=on_error,
                source_files=source_files,
            )
    except NgffBioError as error:
        error.files = dataset.account.to_json()
        _add_hint(error, error.files)
        raise


@renamed_keywords(storage_options="source_options")
def estimate(
    source: str | os.PathLike[str],
    *,
    format: str | None = None,
    settings: Settings | None = None,
    options: Mapping[str, Any] | None = None,
    source_options: Mapping[str, Any] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    on_error: OnError = "stop",
    exclude: Sequence[str] = (),
    ignore_unread: bool = False,
    reading: Callable[[str, int, int], None] | None = None,
) -> Estimate:
    """Estimate what :func:`convert` would write with these parameters; reads annotations, no pixels.

    Raises
    ------
    ngff_bio.errors.NgffBioError
        As :func:`convert` for an invalid source.
    """
    store = store_of(source, format, source_options)
    if store is not None:
        from ngff_bio.copying.rewrite import estimate_store

        images = _image_patterns(options)
        return estimate_store(store, settings or Settings(), images=images, on_error=on_error)
    from ngff_bio.sources import open_tree

    tree = open_tree(source, source_options=source_options, limits=limits, exclude=exclude)
    dataset = _read(
        tree, format, options, on_error=on_error, ignore_unread=ignore_unread, progress=reading
    )
    return estimate_plan(plan_dataset(dataset, settings or Settings()))


def _read(
    tree: FileTree, format: str | None, options: Mapping[str, Any] | None, **given: Any
) -> SourceDataset:
    """The dataset of a source; an error has the account of its files."""
    from ngff_bio.sources import find_source, read_source
    from ngff_bio.sources.accounting import account_for

    try:
        if format is None and (options or {}).get("pattern"):
            format = "plate"
        return read_source(find_source(tree, format), tree, options, **given)
    except NgffBioError as error:
        if error.files is None:
            error.files = account_for(tree, None).to_json()
        _add_hint(error, error.files)
        raise


def _add_hint(error: NgffBioError, files: Mapping[str, Any]) -> None:
    """A hint that fits any file of the source, for an error that has none."""
    if error.hint is None and any(error.file in one["names"] for one in files.values()):
        error.hint = f"correct the file, or leave it out with --exclude '{error.file}'"


def _image_patterns(options: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Globs of images, the only option that the source of a store has.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If another option is given.
    """
    given = {name: value for name, value in (options or {}).items() if value}
    images = given.pop("images", ())
    if given:
        raise ArgumentError(
            "an option does not apply to a source that is a store",
            expected="--images",
            found=", ".join(sorted(given)),
            hint="leave it out: what a store contains is kept as it is",
        )
    return (images,) if isinstance(images, str) else tuple(images)
