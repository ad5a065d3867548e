"""``convert``: the way from a source's files to a store, in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ngff_bio.deprecation import renamed_keywords
from ngff_bio.engine import ConversionReport, Runner, Settings, plan_dataset, write_dataset
from ngff_bio.engine.plan.estimate import Estimate, estimate_plan
from ngff_bio.engine.run.conversion import Progress
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.model import OnError
from ngff_bio.sources import find_source, open_tree, read_source
from ngff_bio.sources.files.checksums import Checksums, files_of
from ngff_bio.storage import Storage, storage_at


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
    reading: Callable[[str, int, int], None] | None = None,
    checksums: bool = True,
) -> ConversionReport:
    """Convert a dataset into an OME-Zarr store.

    Parameters
    ----------
    source
        Folder, archive (zip, tar, compressed tar) or URL that the dataset lies in.
    destination
        Where the store goes. Running the same call again goes on where a stopped one was.
    format
        Name of the source format; ``None`` to look.
    settings
        How the store is written.
    runner
        Where the work runs; threads of this process if ``None``.
    progress
        Called with raw bytes done and in all after every unit of work.
    overwrite
        Whether a store at the destination is replaced.
    append
        Whether what a store at the destination does not hold yet is added to it.
    options
        Options of the source, as ``ngff-bio formats`` lists them.
    source_options
        Options of the URL of the source: endpoint, credentials. The names are those of
        `storage_options`; any other is passed to fsspec.
    storage_options
        Options of the bucket that the store is written to, as in
        :class:`ngff_bio.storage.BucketStorage`.
    limits
        How large a picture or a member of an archive may claim to be.
    on_error
        ``stop``: a wrong record ends the conversion with one error. ``skip``: the rest is converted,
        and the report names what was not.
    reading
        Called while annotation files are read, before the work begins: with a file's name, the bytes
        read of it, and its size.
    checksums
        Whether the manifest names size and checksum of each source file.

    Returns
    -------
    ConversionReport
        What was written, what was skipped and why.

    Raises
    ------
    ngff_bio.errors.NgffBioError
        Of the kinds in :mod:`ngff_bio.errors`; nothing that opens is left behind.
    """
    tree = open_tree(source, source_options=source_options, limits=limits)
    kind = find_source(tree, format)
    dataset = read_source(kind, tree, options, on_error=on_error, progress=reading)
    with Checksums(tree, files_of(tree, dataset) if checksums else ()) as source_files:
        return write_dataset(
            dataset,
            storage_at(destination, storage_options),
            settings,
            runner=runner,
            progress=progress,
            overwrite=overwrite,
            append=append,
            on_error=on_error,
            source_files=source_files,
        )


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
    reading: Callable[[str, int, int], None] | None = None,
) -> Estimate:
    """What :func:`convert` would make, with the same parameters. Reads annotations, but no pixels.

    Raises
    ------
    ngff_bio.errors.NgffBioError
        As :func:`convert` does for a wrong source.
    """
    tree = open_tree(source, source_options=source_options, limits=limits)
    kind = find_source(tree, format)
    dataset = read_source(kind, tree, options, on_error=on_error, progress=reading)
    return estimate_plan(plan_dataset(dataset, settings or Settings()))
