"""Groups against each other: what one names and another must be."""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import normpath
from typing import Any

from ngff_bio.checks.spec.conformance import detect_version
from ngff_bio.checks.spec.findings import Finding, Report, Rule, excerpt
from ngff_bio.checks.store.documents import Documents, join
from ngff_bio.ngff import version_of

_PLATE, _WELL = '"plate" metadata', '"well" metadata'
_LABELS = '"labels" metadata'
_COLLECTION = '"bioformats2raw.layout"'
_ZARR = "Zarr specification"

METADATA_JSON = Rule(
    "metadata-json",
    "MUST",
    "metadata documents",
    "the metadata of a node is a JSON object that says what the node is",
    "restore the document, or convert again",
    authority=_ZARR,
)
ZARR_FORMAT = Rule(
    "zarr-format",
    "MUST",
    "storage format",
    "0.4 stands on version 2 of the Zarr format, 0.5 and later on version 3",
    "write the version of OME-Zarr that the Zarr format goes with",
)
VERSIONS_CONSISTENT = Rule(
    "hierarchy-version",
    "MUST",
    "OME-Zarr metadata",
    "the OME-Zarr metadata version MUST be consistent within a hierarchy",
    "write all groups in one version",
)
CONSOLIDATED = Rule(
    "consolidated-equal",
    "MUST",
    "consolidated metadata",
    "consolidated metadata is a copy of the documents of the nodes below",
    "consolidate the metadata again, after the last change",
    authority="zarr-python",
)
PLATE_WELL = Rule(
    "plate-well-there",
    "MUST",
    "high-content screening",
    "the group above the images defines the well and MUST implement the well specification",
    "write the well, or take it out of the plate's list",
)
PLATE_WELL_LISTED = Rule(
    "plate-well-listed",
    "SHOULD",
    _PLATE,
    'the "wells" of a plate are all wells that hold images',
    "list the well in the plate",
)
PLATE_FIELD_COUNT = Rule(
    "plate-field-count-true",
    "SHOULD",
    _PLATE,
    '"field_count" is the maximum number of fields per view across all wells',
    "write the number that the wells have",
)
WELL_IMAGE = Rule(
    "well-image-there",
    "MUST",
    _WELL,
    '"path" specifies the path to the field of view',
    "write the image, or take it out of the well's list",
)
SERIES_IMAGE = Rule(
    "series-image-there",
    "MUST",
    _COLLECTION,
    '"series" MUST be a list of strings, each of which is a path to an image group',
    "write the image, or take it out of the list",
)
COLLECTION_IMAGES = Rule(
    "collection-numbered",
    "MUST",
    _COLLECTION,
    "without series, images MUST be stored in consecutively numbered groups starting from 0",
    "number the images, or list them in the series of the OME group",
)
SERIES_LISTED = Rule(
    "series-listed",
    "SHOULD",
    _COLLECTION,
    "the series of a collection are all of its images",
    "list the image",
)
LABELS_THERE = Rule(
    "labels-there",
    "MUST",
    _LABELS,
    '"labels" is an array of paths to the labeled multiscale images',
    "write the label image, or take it out of the list",
)
LABELS_LISTED = Rule(
    "labels-listed",
    "SHOULD",
    _LABELS,
    "all label images SHOULD be listed in the metadata of the labels group",
    "list the label image",
)
LABELS_BETWEEN = Rule(
    "labels-between",
    "MUST",
    _LABELS,
    'intermediate groups between "labels" and the images within it MUST NOT contain metadata',
    "take the metadata away",
)
LABEL_SOURCE_THERE = Rule(
    "label-source-there",
    "SHOULD",
    _LABELS,
    '"image" of "source" is the relative path to a Zarr image group',
    "name the image that the labels are of",
)


def check_documents(documents: Documents, *, strict: bool = False) -> list[Finding]:
    """Documents that are none, copies that are not equal, versions that do not fit together."""
    findings: list[Finding] = []
    for key, wrong in sorted(documents.broken.items()):
        report = Report("", key.rpartition("/")[0], strict=strict)
        report.add(METADATA_JSON, "", f"{key.rpartition('/')[2]}: {wrong}")
        findings += report.findings
    versions: dict[str, str] = {}
    for path in sorted(documents.groups):
        attributes = documents.attributes(path)
        if version_of(attributes) is None:
            continue
        version = detect_version(attributes)
        report = Report(version, path, strict=strict)
        needed = 2 if version == "0.4" else 3
        if documents.zarr_format != needed:
            report.add(ZARR_FORMAT, "", f"OME-Zarr {version} on Zarr v{documents.zarr_format}")
        named = str(documents.ome(path).get("version", version))
        first = next(iter(versions), None)
        if first is not None and named not in versions:
            report.add(
                VERSIONS_CONSISTENT, "/ome/version", f"{named}, {versions[first]!r}: {first}"
            )
        versions.setdefault(named, path)
        findings += report.findings
    for path, copies in documents.consolidated.items():
        findings += _check_copies(documents, path, copies, strict)
    return findings


def _check_copies(
    documents: Documents, path: str, copies: dict[str, dict[str, Any]], strict: bool
) -> Iterator[Finding]:
    report = Report("", path, strict=strict)
    start = f"{path}/" if path else ""
    below = {p for p in (*documents.groups, *documents.arrays) if p.startswith(start) and p != path}
    own = {path} if documents.zarr_format == 2 else set()
    for other in sorted(copies.keys() | below | own):
        node, copy = documents.node(other), copies.get(other)
        if node is None:
            report.add(CONSOLIDATED, "", f"names {other!r}, which is not there")
        elif copy is None:
            report.add(CONSOLIDATED, "", f"does not name {other!r}")
        elif _plain(copy) != _plain(node):
            report.add(CONSOLIDATED, "", f"the copy of {other!r} is not equal to its document")
    yield from report.findings


def _plain(node: dict[str, Any]) -> dict[str, Any]:
    """A document without copies of others, and without what says nothing."""
    left = {k: v for k, v in node.items() if k != "consolidated_metadata"}
    return {k: v for k, v in left.items() if not (k == "attributes" and not v)}


def check_group(documents: Documents, path: str, *, strict: bool = False) -> list[Finding]:
    """What a group names, and what must be there for it."""
    content = documents.ome(path)
    start = "/ome" if "ome" in documents.attributes(path) else ""
    report = Report(detect_version(documents.attributes(path)), path, strict=strict)
    if isinstance(content.get("plate"), dict):
        _check_plate(documents, path, content["plate"], report, start)
    elif "bioformats2raw.layout" in content:
        _check_collection(documents, path, report)
    if isinstance(content.get("well"), dict):
        for number, name in _paths(content["well"].get("images")):
            if not _is_image(documents, join(path, name)):
                pointer = f"{start}/well/images/{number}/path"
                report.add(WELL_IMAGE, pointer, f"no image at {name!r}")
    if isinstance(content.get("labels"), list):
        _check_labels(documents, path, content["labels"], report, start)
    if isinstance(content.get("image-label"), dict):
        _check_source(documents, path, content["image-label"], report, start)
    return report.findings


def _paths(entries: Any) -> Iterator[tuple[int, str]]:
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        if isinstance(entry, dict) and isinstance(entry.get("path"), str):
            yield number, entry["path"]


def _is_image(documents: Documents, path: str) -> bool:
    return isinstance(documents.ome(path).get("multiscales"), list)


def _check_plate(
    documents: Documents, path: str, plate: dict[str, Any], report: Report, start: str
) -> None:
    listed, most = set(), 0
    for number, name in _paths(plate.get("wells")):
        listed.add(join(path, name))
        well = documents.ome(join(path, name)).get("well")
        if not isinstance(well, dict):
            report.add(PLATE_WELL, f"{start}/plate/wells/{number}/path", f"no well at {name!r}")
        else:
            most = max(most, sum(1 for _ in _paths(well.get("images"))))
    above = f"{path}/" if path else ""
    for other in documents.groups_below(path):
        inside = other[len(above) :].count("/") == 1
        if inside and "well" in documents.ome(other) and other not in listed:
            report.add(PLATE_WELL_LISTED, f"{start}/plate/wells", f"{other!r} is not listed")
    count = plate.get("field_count")
    if isinstance(count, int) and most and count != most:
        found = f"{count}, the wells have at most {most}"
        report.add(PLATE_FIELD_COUNT, f"{start}/plate/field_count", found)


def _check_collection(documents: Documents, path: str, report: Report) -> None:
    series = documents.ome(join(path, "OME")).get("series")
    if isinstance(series, list):
        for name in (s for s in series if isinstance(s, str)):
            if not _is_image(documents, join(path, name)):
                report.add(SERIES_IMAGE, "", f"no image at {name!r}")
    else:
        series = []
        while _is_image(documents, join(path, str(len(series)))):
            series.append(str(len(series)))
        if not series:
            report.add(COLLECTION_IMAGES, "", "no image at '0'")
    listed = {join(path, s) for s in series if isinstance(s, str)}
    for other in documents.children(path):
        if _is_image(documents, other) and other not in listed:
            report.add(SERIES_LISTED, "", f"the image {other!r} is not among the series")


def _check_labels(
    documents: Documents, path: str, listed: list[Any], report: Report, start: str
) -> None:
    names = [n for n in listed if isinstance(n, str)]
    for name in names:
        if not _is_image(documents, join(path, name)):
            report.add(LABELS_THERE, f"{start}/labels", f"no label image at {name!r}")
    known = {join(path, n) for n in names}
    for other in documents.groups_below(path):
        if _is_image(documents, other):
            if other not in known:
                report.add(LABELS_LISTED, f"{start}/labels", f"{other!r} is not listed")
        elif any(k.startswith(f"{other}/") for k in known) and documents.attributes(other):
            found = f"{other!r} has {excerpt(documents.attributes(other))}"
            report.add(LABELS_BETWEEN, f"{start}/labels", found)


def _check_source(
    documents: Documents, path: str, label: dict[str, Any], report: Report, start: str
) -> None:
    source = label.get("source")
    image = source.get("image") if isinstance(source, dict) else None
    if not isinstance(image, str):
        return
    target = normpath(join(path, image) if not path else f"{path}/{image}")
    target = "" if target == "." else target
    if target.startswith("..") or "://" in image:
        return  # outside of this store
    if not _is_image(documents, target):
        pointer = f"{start}/image-label/source/image"
        report.add(LABEL_SOURCE_THERE, pointer, f"no image at {image!r}")
