"""``publish``: copy a store, with a page, metadata and a table of annotations at its root."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ngff_bio.reader as reader
from ngff_bio.copying import CopyReport, copy
from ngff_bio.copying.objects import check_complete
from ngff_bio.copying.part import with_objects
from ngff_bio.copying.transfer import Progress
from ngff_bio.engine.write.transaction import settled_view
from ngff_bio.engine.write.update import PAGE, changed_store
from ngff_bio.printing import printable
from ngff_bio.publishing import crate, croissant
from ngff_bio.publishing.description import describe_dataset, licence_url
from ngff_bio.publishing.hosting import Check, check_public, checked_url, public_url
from ngff_bio.publishing.policies import policies
from ngff_bio.storage import FolderStorage, Storage, storage_at
from ngff_bio.viewing.annotations import segment_properties
from ngff_bio.viewing.landing import Description, landing_page
from ngff_bio.viewing.neuroglancer import has_segments, segments_key
from ngff_bio.viewing.summary import Summary, summarize

_FILES = {
    "README.md": "what the dataset is and how to open it",
    crate.NAME: "metadata as RO-Crate",
    croissant.NAME: "metadata as Croissant, for catalogues and loaders of training data",
    croissant.ANNOTATIONS: "all annotations in one table",
}


@dataclass(slots=True)
class Publication:
    """Outcome of a publication.

    Parameters
    ----------
    copied
        What was sent.
    url
        Where everyone reads the store; ``None`` if it is not known.
    files
        Size in bytes of each file that was added, by name.
    notes
        What is missing: a licence, a citation.
    checks
        What an anonymous browser found.
    policies
        Commands that make the place public, by kind of server.
    """

    copied: CopyReport
    url: str | None
    files: dict[str, int]
    notes: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    policies: dict[str, str] = field(default_factory=dict)

    @property
    def public(self) -> bool:
        """Whether all checks passed."""
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {**asdict(self), "copied": self.copied.to_json()}


def publish(
    store: str | os.PathLike[str] | Storage,
    destination: str | os.PathLike[str],
    *,
    metadata: str | os.PathLike[str] | None = None,
    url: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    source_options: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    workers: int = 0,
    progress: Progress | None = None,
    **description: Any,
) -> Publication:
    """Copy a store to where others read it, with what a public dataset needs, and check that they can.

    Adds ``index.html`` (a page with thumbnails and links to viewers), ``README.md``,
    ``ro-crate-metadata.json``, ``croissant.json`` and ``annotations.parquet`` at the root. The manifest
    names them. Labels of the images that the page lists get a document of class names and numbers for
    Neuroglancer (``segments/info``). Needs ``pip install 'ngff-bio[publish]'``.

    Parameters
    ----------
    store, destination, overwrite, dry_run, source_options, storage_options, workers, progress
        As for :func:`ngff_bio.copy`; the destination may be the store itself.
    metadata
        A YAML file that describes the dataset: ``title``, ``description``, ``licence``, ``citation``,
        ``keywords``, ``creators``, ``doi``, ``organism``, ``taxon``, ``modality``, ``fbbi``,
        ``preparation``.
    url
        Where everyone reads the destination, if it is not its bucket's own address.
    description
        The same members as of the file, and they win.

    Raises
    ------
    ngff_bio.errors.NgffBioError
        As :func:`ngff_bio.copy`; or if the description is not valid, or a package is missing.
    """
    source = storage_at(store, source_options)
    check_complete(source)
    source = settled_view(source)
    place = os.fspath(destination)
    address = checked_url(url) if url else public_url(place, storage_options or {})
    dataset = reader.open(source)
    name = source.url.rstrip("/").rpartition("/")[2]
    known = Description.of_store(dataset.attributes, name)
    about = describe_dataset(known, metadata, description)
    with TemporaryDirectory(prefix="ngff-bio-") as folder:
        added = FolderStorage(Path(folder))
        table = croissant.write_annotations(dataset, added.root / croissant.ANNOTATIONS)
        summary = summarize(dataset, croissant.class_counts(table))
        for file, data in _documents(summary, about, address, table):
            added.put(file, data)
        files = dict(added.list())
        gc.collect()  # what was drawn and read is not held while objects are sent
        if _is_same(source, place, storage_options):
            copied = _put(source, added, dry_run)
        else:
            copied = copy(
                with_objects(source, added),
                destination,
                overwrite=overwrite,
                dry_run=dry_run,
                storage_options=storage_options,
                workers=workers,
                progress=progress,
            )
    done = Publication(copied, address, files)
    done.notes = [*_missing(about), *(f"not on the page: {text}" for text in summary.problems)]
    if "://" in place:
        done.policies = policies(place)
    if address and "://" in place and not dry_run:
        root = "zarr.json" if source.size("zarr.json") is not None else ".zgroup"
        done.checks = check_public(address, root)
    return done


def _is_same(source: Storage, place: str, options: Mapping[str, Any] | None) -> bool:
    """Whether a store is published to itself."""
    target = storage_at(place, options)
    if isinstance(source, FolderStorage) and isinstance(target, FolderStorage):
        return os.path.realpath(source.root) == os.path.realpath(target.root)
    return source.url == target.url


def _put(storage: Storage, added: FolderStorage, dry_run: bool) -> CopyReport:
    """Put files into the store itself, all at once."""
    files = dict(added.list())
    report = CopyReport(storage.url, storage.url, objects=len(files), bytes=sum(files.values()))
    report.sent, report.bytes_sent = report.objects, report.bytes
    report.requests = {"PUT": len(files)}
    if not dry_run:
        with changed_store(storage) as change:
            for key in files:
                change.put(key, added.get(key) or b"")
    return report


def _missing(about: Description) -> list[str]:
    notes = []
    if not about.licence:
        notes.append("no licence is given, so the data may not be reused: --licence 'CC BY 4.0'")
    elif licence_url(about.licence) is None:
        notes.append(f"the licence {about.licence!r} is kept as a text: its URL is not known")
    if not about.citation:
        notes.append("no citation is given: --citation TEXT")
    return notes


def _documents(
    summary: Summary, about: Description, url: str | None, table: Path | None
) -> Iterator[tuple[str, bytes]]:
    """Files that are added besides the table of annotations."""
    files = {n: t for n, t in _FILES.items() if n != croissant.ANNOTATIONS or table is not None}
    yield croissant.NAME, croissant.croissant(summary, about, url, table)
    yield from _segments(summary)
    parts = {PAGE: "a page about the dataset", **files}
    del parts[crate.NAME]
    yield crate.NAME, crate.ro_crate(about, url, parts)
    yield "README.md", _readme(summary, about, url, croissant.row_count(table)).encode()
    yield PAGE, landing_page(summary, about, url, list(files.items())).encode()


def _segments(summary: Summary) -> Iterator[tuple[str, bytes]]:
    """Names and numbers of label values for the links of the page, by key."""
    for image in (summary.dataset[path] for path in summary.listed):
        for name in image.labels:
            if has_segments(image, name):
                made = json.dumps(segment_properties(image, name))
                yield segments_key(image.below(f"labels/{name}")), made.encode()


def _readme(summary: Summary, about: Description, url: str | None, annotations: int) -> str:
    dataset = summary.dataset
    place = url or "."
    lines = [f"# {_plain(about.title)}", "", *map(_plain, about.description.splitlines()), ""]
    for name, value in (
        ("Licence", about.licence),
        ("Citation", about.citation),
        ("DOI", about.doi),
        ("Authors", ", ".join(about.creators)),
        ("Organism", about.organism),
        ("Imaging", about.modality),
    ):
        lines += [f"- {name}: {_plain(value)}"] if value else []
    lines += [f"- Contents: {len(dataset)} images, {annotations} annotations"]
    if plates := summary.opened_instead(url):
        lines += [f"- Viewers open a plate, and not the root: {_plain(plates)}"]
    lines += [""]
    lines += ["An OME-Zarr store. Open it in Python (`pip install ngff-bio`):", "", "```python"]
    lines += ["import ngff_bio", f"store = ngff_bio.open({place!r})"]
    lines += [f"store[{dataset.first_path!r}].level(0)", "store.annotations()", "```", ""]
    if url:
        lines += [f"Thumbnails and links to viewers: {url}/index.html", ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text on one line in which Markdown finds no markup, and a terminal nothing to obey."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|" else c for c in printable(text))
