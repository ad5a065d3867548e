"""Images and scenes of 0.6: named coordinate systems, and transformations between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ngff_bio.checks.spec.axes import (
    Place,
    check_connected,
    check_coordinate_systems,
    reference,
)
from ngff_bio.checks.spec.images import (
    check_descriptions,
    check_level_order,
    check_omero,
    datasets_of,
    multiscale_images,
)
from ngff_bio.checks.spec.node import Node, is_number
from ngff_bio.checks.spec.transformations import check_transformation

#: Number of axes of each coordinate system by name; None where it is not known.
Systems = Mapping[str, int | None]

#: Types of the transformations that may lead to a label image, sequences as lists.
_TO_LABELS = (["identity"], ["scale"], ["translation"], ["scale", "translation"])


def check_image(metadata: Node) -> None:
    """Check the multiscale images of a group and their channels."""
    for multiscale in multiscale_images(metadata):
        systems = check_coordinate_systems(multiscale["coordinateSystems"], of_image=True)
        datasets = datasets_of(multiscale)
        outputs: list[str] = []
        scales: list[list[float] | None] = []
        for dataset in datasets:
            output, scale = _check_dataset(dataset, systems)
            scales.append(scale)
            if output is not None:
                outputs.append(output)
        if len(set(outputs)) > 1:
            multiscale["datasets"].breaks("datasets-one-output", f"{sorted(set(outputs))}")
        check_level_order(datasets, scales)
        _check_between_systems(multiscale, systems, outputs[0] if outputs else None)
        check_descriptions(multiscale)
    check_omero(metadata)


def _check_dataset(dataset: Node, systems: Systems) -> tuple[str | None, list[float] | None]:
    """Check the transformation of a dataset; returns the system that it maps to, and its scale."""
    listed = dataset["coordinateTransformations"]
    entries = listed.as_objects("dataset-transformation", at_least=1) or []
    if len(entries) > 1:
        listed.breaks("dataset-transformation", f"{len(entries)} transformations")
    if not entries:
        return None, None
    transformation = entries[0]
    kinds = _simple_kinds(transformation)
    if kinds not in (["scale"], ["identity"], ["scale", "translation"]):
        transformation.breaks(
            "dataset-transformation", transformation["type"].shown + _inside(kinds)
        )
    output = _check_ends(dataset, transformation, systems)
    axes = systems.get(output) if output is not None else None
    check_transformation(transformation, None, axes)
    scale = transformation if kinds == ["scale"] else transformation["transformations"][0]
    if kinds not in (["scale"], ["scale", "translation"]):
        return output, None
    factors = scale["scale"].value
    numbers = isinstance(factors, list) and all(is_number(x) for x in factors)
    return output, [float(x) for x in factors] if numbers else None


def _inside(kinds: list[str] | None) -> str:
    return f" of {', '.join(kinds)}" if kinds and len(kinds) > 1 else ""


def _simple_kinds(transformation: Node) -> list[str] | None:
    """The types of a sequence, or the one type; None if not known."""
    if transformation["type"].value != "sequence":
        kind = transformation["type"].value
        return [kind] if isinstance(kind, str) else None
    links = transformation["transformations"].value
    if not isinstance(links, list) or not all(isinstance(link, dict) for link in links):
        return None
    kinds = [str(link.get("type")) for link in links]
    # A sequence of one is not the single transformation that the text allows.
    return kinds if len(kinds) > 1 else ["sequence", *kinds]


def _check_ends(dataset: Node, transformation: Node, systems: Systems) -> str | None:
    start, end = transformation["input"], transformation["output"]
    if start.as_object("dataset-input") is not None:
        path = start["path"].as_text("dataset-input")
        if path is not None and path != dataset["path"].value:
            start["path"].breaks("dataset-input-path", f"{path!r} for {dataset['path'].shown}")
        if start["name"].value is not None and "name" in start:
            start["name"].breaks("dataset-reference-extra")
    if end.as_object("dataset-output") is None:
        return None
    if end["path"].value is not None and "path" in end:
        end["path"].breaks("dataset-reference-extra")
    name = end["name"].as_text("dataset-output")
    if name is not None and name not in systems:
        end["name"].breaks("dataset-output", f"{name!r}, not of {sorted(systems)}")
        return None
    return name


def _check_between_systems(multiscale: Node, systems: Systems, intrinsic: str | None) -> None:
    listed = multiscale["coordinateTransformations"]
    edges: list[tuple[Place, Place]] = []
    if not listed.missing:
        entries = listed.as_objects("transformations-list", at_least=1) or []
        for entry, start, end in _check_edges(listed, entries, systems):
            if intrinsic is not None and ("", intrinsic) not in (start, end):
                found = f"from {start[1]!r} to {end[1]!r}, not {intrinsic!r}"
                entry.breaks("transformation-intrinsic", found)
            outside = [path for path, _ in (start, end) if path]
            up = any(".." in path.split("/") for path in outside)
            if outside and (up or _simple_kinds(entry) not in _TO_LABELS):
                entry.breaks("transformation-labels", f"{entry['type'].shown} to {outside[0]!r}")
            edges.append((start, end))
        if len(edges) < len(entries):
            return  # a broken edge would be reported twice: itself, and the gap that it leaves
    if intrinsic is not None:
        check_connected(multiscale["coordinateSystems"], systems, edges)


def _check_edges(
    listed: Node, entries: list[Node], systems: Systems
) -> Iterator[tuple[Node, Place, Place]]:
    """Check transformations between systems; yields each whose two ends are known."""
    names = [entry["name"].value for entry in entries if "name" in entry]
    listed.check_unique("transformation-name-unique", names)
    for entry in entries:
        start, end = reference(entry["input"], systems), reference(entry["output"], systems)
        into = systems.get(start[1]) if start is not None and not start[0] else None
        out = systems.get(end[1]) if end is not None and not end[0] else None
        check_transformation(entry, into, out)
        if start is not None and end is not None:
            yield entry, start, end


def check_scene(metadata: Node) -> None:
    """Check how the images below a group are placed relative to each other."""
    scene = metadata["scene"].as_object("scene-object")
    if scene is None:
        return
    systems: Systems = {}
    if "coordinateSystems" in scene:
        systems = check_coordinate_systems(scene["coordinateSystems"], of_image=False)
    listed = scene["coordinateTransformations"]
    entries = listed.as_objects("scene-transformations", at_least=1)
    if entries is None:
        return
    edges = [(start, end) for _, start, end in _check_edges(listed, entries, systems)]
    if len(edges) == len(entries):
        check_connected(listed, systems, edges)
