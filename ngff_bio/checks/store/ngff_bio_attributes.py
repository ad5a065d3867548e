"""The attribute ``ngff_bio`` against its schemas, and against what it names."""

from __future__ import annotations

from typing import Any

from ngff_bio.checks.spec.findings import Finding, Report, Rule, excerpt
from ngff_bio.checks.store.arrayinfo import array_info
from ngff_bio.checks.store.documents import Documents, join
from ngff_bio.checks.store.multiscales import multiscales
from ngff_bio.ngff.attributes import problems
from ngff_bio.ngff.schema_version import KEY, newer_than_known

_AUTHORITY = "ngff_bio schemas"

OWN_ATTRIBUTES = Rule(
    "own-attributes",
    "MUST",
    "schemas",
    'the value of "ngff_bio" holds to the JSON Schema of its kind and version',
    "write it as schemas/ says, or take it away",
    authority=_AUTHORITY,
)
OWN_VERSION = Rule(
    "own-version",
    "ADVICE",
    "versions",
    "attributes of a newer version are read as far as they are understood",
    "use a newer version of ngff_bio to check all of it",
    authority=_AUTHORITY,
)
OWN_FRAMES = Rule(
    "own-frames",
    "MUST",
    "image",
    'the "t" of a frame is an index of the t axis, its "size" not larger than the plane',
    "write the frames that the image has",
    authority=_AUTHORITY,
)
OWN_LABELS = Rule(
    "own-labels",
    "MUST",
    "labels",
    '"hidden" and "hides" name label images beside this one, "table" and "tracks" what the image has',
    "name what is there",
    authority=_AUTHORITY,
)
OWN_IMAGES = Rule(
    "own-images",
    "MUST",
    "dataset",
    '"images" is the number of images in the store',
    "write the number of images that are there",
    authority=_AUTHORITY,
)


def check_own(documents: Documents, path: str, *, strict: bool = False) -> list[Finding]:
    """Check what a group says of itself under the key ``ngff_bio``."""
    attributes = documents.attributes(path)
    if KEY not in attributes:
        return []
    own, report = attributes[KEY], Report("", path, strict=strict)
    if newer := newer_than_known(own):
        report.add(OWN_VERSION, f"/{KEY}/version", newer)
    else:
        for pointer, found in problems(own):
            report.add(OWN_ATTRIBUTES, f"/{KEY}{pointer}", found)
    if isinstance(own, dict):
        _check_references(documents, path, own, report)
    return report.findings


def _check_references(documents: Documents, path: str, own: dict[str, Any], report: Report) -> None:
    if isinstance(own.get("frames"), list):
        _check_frames(documents, path, own["frames"], report)
    if own.get("kind") == "labels":
        beside = path.rpartition("/")[0]
        hidden = own.get("hidden")
        for name in [*(hidden if isinstance(hidden, list) else []), own.get("hides")]:
            if isinstance(name, str) and join(beside, name) not in documents.groups:
                report.add(OWN_LABELS, f"/{KEY}", f"no label image {name!r}")
        above = "/".join(path.split("/")[:-2])
        for key in ("table", "tracks"):
            target = own.get(key)
            place = join(above, str(target).replace("../", ""))
            if isinstance(target, str) and place not in documents.groups:
                report.add(OWN_LABELS, f"/{KEY}/{key}", f"nothing at {target!r}")
    dataset = own if own.get("kind") == "dataset" else own.get("dataset")
    if isinstance(dataset, dict) and isinstance(dataset.get("images"), int):
        images = {p for p in documents.groups if "multiscales" in documents.ome(p)}
        count = sum(1 for p in images if "labels" not in p.split("/"))
        if count != dataset["images"]:
            report.add(OWN_IMAGES, f"/{KEY}/images", f"{dataset['images']}, there are {count}")


def _check_frames(documents: Documents, path: str, frames: list[Any], report: Report) -> None:
    image = next(multiscales(documents.ome(path), ""), None)
    if image is None or not image.levels:
        return
    at = join(path, image.levels[0].path)
    info = array_info(at, documents.arrays.get(at, {}))
    if info is None or len(info.shape) != len(image.axes):
        return
    sizes = dict(zip(image.axes, info.shape, strict=True))
    for number, frame in enumerate(frames):
        if not isinstance(frame, dict):
            continue
        t, size = frame.get("t", 0), frame.get("size")
        plane = [sizes.get("y", 0), sizes.get("x", 0)]
        if isinstance(t, int) and t >= sizes.get("t", 1):
            report.add(OWN_FRAMES, f"/{KEY}/frames/{number}/t", f"{t} of {sizes.get('t', 1)}")
        if (
            isinstance(size, list)
            and len(size) == 2
            and any(not isinstance(n, int) or n > m for n, m in zip(size, plane, strict=True))
        ):
            report.add(OWN_FRAMES, f"/{KEY}/frames/{number}/size", f"{excerpt(size)} in {plane}")
