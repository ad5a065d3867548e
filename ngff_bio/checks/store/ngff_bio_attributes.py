"""The attribute ``ngff_bio`` against its schemas, and against what it names."""

from __future__ import annotations

from typing import Any

from ngff_bio.checks.spec.findings import Findings, excerpt
from ngff_bio.checks.store.documents import Documents, join
from ngff_bio.checks.store.multiscales import first_multiscale
from ngff_bio.ngff.attributes import problems
from ngff_bio.ngff.schema_version import KEY, newer_than_known


def check_own(documents: Documents, path: str, findings: Findings) -> None:
    """Check the value of the key ``ngff_bio`` of a group."""
    attributes = documents.attributes(path)
    if KEY not in attributes:
        return
    own = attributes[KEY]
    if newer := newer_than_known(own):
        findings.add("own-version", f"/{KEY}/version", newer)
    else:
        for pointer, found in problems(own):
            findings.add("own-attributes", f"/{KEY}{pointer}", found)
    if isinstance(own, dict):
        _check_references(documents, path, own, findings)


def _check_references(
    documents: Documents, path: str, own: dict[str, Any], findings: Findings
) -> None:
    if isinstance(own.get("frames"), list):
        _check_frames(documents, path, own["frames"], findings)
    if own.get("kind") == "labels":
        beside = path.rpartition("/")[0]
        hidden = own.get("hidden")
        for name in [*(hidden if isinstance(hidden, list) else []), own.get("hides")]:
            if isinstance(name, str) and join(beside, name) not in documents.groups:
                findings.add("own-labels", f"/{KEY}", f"no label image {name!r}")
        above = "/".join(path.split("/")[:-2])
        for key in ("table", "tracks"):
            target = own.get(key)
            place = join(above, str(target).replace("../", ""))
            if isinstance(target, str) and place not in documents.groups:
                findings.add("own-labels", f"/{KEY}/{key}", f"nothing at {target!r}")
    dataset = own if own.get("kind") == "dataset" else own.get("dataset")
    if isinstance(dataset, dict) and isinstance(dataset.get("images"), int):
        images = {p for p in documents.groups if "multiscales" in documents.ome(p)}
        count = sum(1 for p in images if not {"labels", "derived"} & set(p.split("/")))
        if count != dataset["images"]:
            findings.add("own-images", f"/{KEY}/images", f"{dataset['images']}, there are {count}")


def _check_frames(
    documents: Documents, path: str, frames: list[object], findings: Findings
) -> None:
    image = first_multiscale(documents, path)
    info = image.levels[0].array if image is not None and image.levels else None
    if image is None or info is None or len(info.shape) != len(image.axes):
        return
    sizes = dict(zip(image.axes, info.shape, strict=True))
    for number, frame in enumerate(frames):
        if not isinstance(frame, dict):
            continue
        t, size = frame.get("t", 0), frame.get("size")
        plane = [sizes.get("y", 0), sizes.get("x", 0)]
        if isinstance(t, int) and t >= sizes.get("t", 1):
            findings.add("own-frames", f"/{KEY}/frames/{number}/t", f"{t} of {sizes.get('t', 1)}")
        if (
            isinstance(size, list)
            and len(size) == 2
            and any(not isinstance(n, int) or n > m for n, m in zip(size, plane, strict=True))
        ):
            findings.add(
                "own-frames", f"/{KEY}/frames/{number}/size", f"{excerpt(size)} in {plane}"
            )
