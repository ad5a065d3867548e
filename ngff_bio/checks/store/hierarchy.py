"""Groups against each other: what one names must exist and be of the right kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from posixpath import normpath

from ngff_bio.checks.spec.conformance import detect_version
from ngff_bio.checks.spec.findings import Findings, excerpt
from ngff_bio.checks.store.documents import Documents, join, texts
from ngff_bio.engine.write.ome_xml import OME_XML, image_paths
from ngff_bio.ngff import version_of
from ngff_bio.ngff.schema_version import KEY
from ngff_bio.storage import Storage, is_relative, leads_out


def check_documents(documents: Documents, findings: Findings) -> None:
    """Documents that cannot be read, copies that differ, versions that do not fit together."""
    for key, wrong in sorted(documents.broken.items()):
        path, _, name = key.rpartition("/")
        findings.of(path).add("metadata-json", "", f"{name}: {wrong}")
    for path, document in sorted((documents.groups | documents.arrays).items()):
        if not _is_json(document):
            findings.of(path).add("metadata-numbers", "", "NaN or Infinity")
    versions: dict[str, str] = {}
    for path in sorted(documents.groups):
        attributes = documents.attributes(path)
        if version_of(attributes) is None:
            continue
        version = detect_version(attributes)
        here = findings.of(path, version)
        if documents.zarr_format != (2 if version == "0.4" else 3):
            here.add("zarr-format", "", f"OME-Zarr {version} on Zarr v{documents.zarr_format}")
        named = str(documents.ome(path).get("version", version))
        first = next(iter(versions), None)
        if first is not None and named not in versions:
            here.add("hierarchy-version", "/ome/version", f"{named}, {versions[first]!r}: {first}")
        versions.setdefault(named, path)
    for path, copies in documents.consolidated.items():
        _check_copies(documents, path, copies, findings.of(path))


def _is_json(document: dict[str, object]) -> bool:
    try:
        json.dumps(document, allow_nan=False)
    except ValueError:
        return False
    except RecursionError:
        pass
    return True


def _check_copies(
    documents: Documents, path: str, copies: dict[str, dict[str, object]], findings: Findings
) -> None:
    start = f"{path}/" if path else ""
    below = {p for p in (*documents.groups, *documents.arrays) if p.startswith(start) and p != path}
    own = {path} if documents.zarr_format == 2 else set()
    for other in sorted(copies.keys() | below | own):
        node, copy = documents.node(other), copies.get(other)
        if node is None:
            findings.add("consolidated-equal", "", f"names {other!r}, which does not exist")
        elif copy is None:
            findings.add("consolidated-equal", "", f"does not name {other!r}")
        elif _plain(copy) != _plain(node):
            found = f"the copy of {other!r} is not equal to its document"
            findings.add("consolidated-equal", "", found)


def _plain(node: dict[str, object]) -> dict[str, object]:
    """A document without the copies of others, and without empty attributes."""
    left = {k: v for k, v in node.items() if k != "consolidated_metadata"}
    return {k: v for k, v in left.items() if not (k == "attributes" and not v)}


def check_group(documents: Documents, path: str, findings: Findings) -> None:
    """Check that the groups which a group names exist and are of the right kind."""
    content = documents.ome(path)
    start = documents.pointer(path)
    if isinstance(content.get("plate"), dict):
        _check_plate(documents, path, content["plate"], findings, start)
    elif "bioformats2raw.layout" in content:
        _check_collection(documents, path, findings)
    if isinstance(content.get("well"), dict):
        for number, name in _paths(content["well"].get("images")):
            if not _is_image(documents, join(path, name)):
                pointer = f"{start}/well/images/{number}/path"
                findings.add("well-image-there", pointer, f"no image at {name!r}")
    if isinstance(content.get("labels"), list):
        _check_labels(documents, path, content["labels"], findings, start)
    if isinstance(content.get("image-label"), dict):
        _check_source(documents, path, content["image-label"], findings, start)


def check_xml(documents: Documents, storage: Storage, path: str, findings: Findings) -> None:
    """Check that the OME-XML of a collection has an image for each of its series."""
    series = documents.ome(path).get("series")
    if not isinstance(series, list):
        return
    data = storage.get(join(path, OME_XML))
    if data is None:
        findings.add("collection-xml", "", f"no {OME_XML}")
        return
    try:
        found = len(image_paths(data))
    except ValueError as error:
        findings.add("collection-xml", "", f"{OME_XML}: {error}"[:200])
        return
    if found != len(series):
        findings.add("collection-xml", "", f"{found} images in {OME_XML}, {len(series)} series")


def check_names(documents: Documents, path: str, findings: Findings) -> None:
    """Check that no path in a group's attributes leads out of the store."""
    attributes, own, start = (
        documents.attributes(path),
        documents.own(path),
        documents.pointer(path),
    )
    content = documents.ome(path)
    plate, well, label = (content.get(key) for key in ("plate", "well", "image-label"))
    names = {
        f"{start}/labels": texts(content.get("labels")),
        f"{start}/series": texts(content.get("series")),
        f"{start}/plate/wells": texts(plate.get("wells"), "path")
        if isinstance(plate, dict)
        else [],
        f"{start}/well/images": texts(well.get("images"), "path") if isinstance(well, dict) else [],
        "/tables": texts(attributes.get("tables")),
        "/tracks": texts(attributes.get("tracks")),
        f"/{KEY}/groups": texts(own.get("groups")),
        f"/{KEY}/hidden": texts(own.get("hidden")),
        f"/{KEY}/hides": texts([own.get("hides")]),
        "": list(documents.consolidated.get(path, ())),
    }
    images = content.get("multiscales")
    for number, image in enumerate(images if isinstance(images, list) else ()):
        datasets = image.get("datasets") if isinstance(image, dict) else None
        names[f"{start}/multiscales/{number}/datasets"] = texts(datasets, "path")
    for pointer, found in names.items():
        for name in found:
            if not is_relative(name):
                findings.add("path-inside", pointer, excerpt(name))
    source = label.get("source") if isinstance(label, dict) else None
    graph, region = attributes.get("geff"), attributes.get("region")
    targets = {
        f"/{KEY}/table": texts([own.get("table")]),
        f"/{KEY}/tracks": texts([own.get("tracks")]),
        f"{start}/image-label/source/image": texts([source], "image"),
        "/region/path": texts([region], "path"),
        "/geff/related_objects": texts(
            graph.get("related_objects") if isinstance(graph, dict) else None, "path"
        ),
    }
    for pointer, found in targets.items():
        for target in found:
            # A label image that is opened by itself keeps the path to its image.
            alone = target.strip("/") == "../.." and path.count("/") < 2
            if leads_out(path, target) and not alone:
                findings.add("path-inside", pointer, excerpt(target))


def _paths(entries: object) -> Iterator[tuple[int, str]]:
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        if isinstance(entry, dict) and isinstance(entry.get("path"), str):
            yield number, entry["path"]


def _is_image(documents: Documents, path: str) -> bool:
    return isinstance(documents.ome(path).get("multiscales"), list)


def _check_plate(
    documents: Documents, path: str, plate: dict[str, object], findings: Findings, start: str
) -> None:
    listed, most = set(), 0
    for number, name in _paths(plate.get("wells")):
        listed.add(join(path, name))
        well = documents.ome(join(path, name)).get("well")
        if not isinstance(well, dict):
            findings.add(
                "plate-well-there", f"{start}/plate/wells/{number}/path", f"no well at {name!r}"
            )
        else:
            most = max(most, sum(1 for _ in _paths(well.get("images"))))
    above = f"{path}/" if path else ""
    for other in documents.groups_below(path):
        inside = other[len(above) :].count("/") == 1
        if inside and "well" in documents.ome(other) and other not in listed:
            findings.add("plate-well-listed", f"{start}/plate/wells", f"{other!r} is not listed")
    count = plate.get("field_count")
    if isinstance(count, int) and most and count != most:
        found = f"{count}, the wells have at most {most}"
        findings.add("plate-field-count-true", f"{start}/plate/field_count", found)


def _check_collection(documents: Documents, path: str, findings: Findings) -> None:
    series = documents.ome(join(path, "OME")).get("series")
    if isinstance(series, list):
        for name in (s for s in series if isinstance(s, str)):
            if not _is_image(documents, join(path, name)):
                findings.add("series-image-there", "", f"no image at {name!r}")
    else:
        series = []
        while _is_image(documents, join(path, str(len(series)))):
            series.append(str(len(series)))
        if not series:
            findings.add("collection-numbered", "", "no image at '0'")
    listed = {join(path, s) for s in series if isinstance(s, str)}
    for other in documents.children(path):
        if _is_image(documents, other) and other not in listed:
            findings.add("series-listed", "", f"the image {other!r} is not among the series")


def _check_labels(
    documents: Documents, path: str, listed: list[object], findings: Findings, start: str
) -> None:
    names = [n for n in listed if isinstance(n, str)]
    for name in names:
        if not _is_image(documents, join(path, name)):
            findings.add("labels-there", f"{start}/labels", f"no label image at {name!r}")
    known = {join(path, n) for n in names}
    for other in documents.groups_below(path):
        if _is_image(documents, other):
            if other not in known:
                findings.add("labels-listed", f"{start}/labels", f"{other!r} is not listed")
        elif any(k.startswith(f"{other}/") for k in known) and documents.attributes(other):
            found = f"{other!r} has {excerpt(documents.attributes(other))}"
            findings.add("labels-between", f"{start}/labels", found)


def _check_source(
    documents: Documents, path: str, label: dict[str, object], findings: Findings, start: str
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
        findings.add("label-source-there", pointer, f"no image at {image!r}")
