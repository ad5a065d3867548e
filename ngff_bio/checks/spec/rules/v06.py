"""Version 0.6: named coordinate systems, and transformations between them."""

from __future__ import annotations

from collections.abc import Mapping

from ngff_bio.checks.spec.findings import Rule
from ngff_bio.checks.spec.node import Node, is_number
from ngff_bio.checks.spec.rules import v05
from ngff_bio.checks.spec.rules.coordinate_systems import (
    Place,
    check_connected,
    check_coordinate_systems,
    reference,
)
from ngff_bio.checks.spec.rules.images import (
    check_descriptions,
    check_level_order,
    check_omero,
    datasets_of,
    multiscale_images,
)
from ngff_bio.checks.spec.rules.specification import Specification, namespaced_metadata
from ngff_bio.checks.spec.rules.transformations import check_names_unique, check_transformation

_MULTISCALES = '"multiscales" metadata'
_SCENE = '"scene" metadata'
_NEWEST = frozenset({"0.6"})

DATASET_TRANSFORMATION = Rule(
    "dataset-transformation",
    "MUST",
    _MULTISCALES,
    "the transformation of a dataset MUST be a single scale or identity, or a sequence of one "
    "scale and one translation",
    "list one transformation: a scale, or a sequence of a scale and a translation",
)
DATASET_INPUT = Rule(
    "dataset-input",
    "MUST",
    _MULTISCALES,
    'the "input" of a dataset\'s transformation MUST be an object with a "path"',
    'write "input": {"path": <path of the dataset>}',
)
DATASET_INPUT_PATH = Rule(
    "dataset-input-path",
    "MUST",
    _MULTISCALES,
    'the "input" MUST specify a "path" matching the "path" of the dataset',
    "write the path of the dataset",
    # Case "multiscales_example" has the array "1" with an input "s1" and is valid.
    contested=_NEWEST,
)
DATASET_OUTPUT = Rule(
    "dataset-output",
    "MUST",
    _MULTISCALES,
    'the "output" of a dataset\'s transformation MUST name a coordinate system of the image',
    'write "output": {"name": <name of the coordinate system>}',
)
DATASET_REFERENCE_EXTRA = Rule(
    "dataset-reference-extra",
    "SHOULD",
    _MULTISCALES,
    'the "name" under "input" and the "path" under "output" SHOULD be omitted',
    "leave it out",
)
DATASETS_ONE_OUTPUT = Rule(
    "datasets-one-output",
    "MUST",
    _MULTISCALES,
    'the name of the "output" MUST be the same for every resolution level of a multiscale image',
    "map all levels to one coordinate system",
)
TRANSFORMATIONS_LIST = Rule(
    "transformations-list",
    "MUST",
    _MULTISCALES,
    '"coordinateTransformations" is a JSON array of objects, not empty (image.schema)',
    "leave the field out where there are no further transformations",
)
INTRINSIC_END = Rule(
    "transformation-intrinsic",
    "MUST",
    _MULTISCALES,
    'one of "input" and "output" MUST reference the intrinsic coordinate system, to which the '
    "datasets are mapped",
    "start or end the transformation at the intrinsic coordinate system",
)
LABELS_END = Rule(
    "transformation-labels",
    "MUST",
    _MULTISCALES,
    "the other end MUST be in this image or in a child labels group; to labels only by identity, "
    "scale, translation, or a sequence of a scale and a translation",
    "simplify the transformation, or describe it in a scene",
)
SCENE_OBJECT = Rule(
    "scene-object", "MUST", _SCENE, 'the value of "scene" is a JSON object', "write an object"
)
SCENE_TRANSFORMATIONS = Rule(
    "scene-transformations",
    "MUST",
    _SCENE,
    'the "scene" object MUST contain the field "coordinateTransformations", an array (not empty)',
    "say how the images lie to each other",
)


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
            multiscale["datasets"].breaks(DATASETS_ONE_OUTPUT, f"{sorted(set(outputs))}")
        check_level_order(datasets, scales)
        _check_between_systems(multiscale, systems, outputs[0] if outputs else None)
        check_descriptions(multiscale)
    check_omero(metadata)


def _check_dataset(
    dataset: Node, systems: Mapping[str, int | None]
) -> tuple[str | None, list[float] | None]:
    """Check the transformation of a dataset; give the system it maps to, and its scale."""
    listed = dataset["coordinateTransformations"]
    entries = listed.as_objects(DATASET_TRANSFORMATION, at_least=1) or []
    if len(entries) > 1:
        listed.breaks(DATASET_TRANSFORMATION, f"{len(entries)} transformations")
    if not entries:
        return None, None
    transformation = entries[0]
    kinds = _simple_kinds(transformation)
    if kinds not in (["scale"], ["identity"], ["scale", "translation"]):
        transformation.breaks(DATASET_TRANSFORMATION, transformation["type"].shown + _inside(kinds))
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
    """The types of a sequence, or the one type; None if it cannot be told."""
    if transformation["type"].value != "sequence":
        kind = transformation["type"].value
        return [kind] if isinstance(kind, str) else None
    links = transformation["transformations"].value
    if not isinstance(links, list) or not all(isinstance(link, dict) for link in links):
        return None
    kinds = [str(link.get("type")) for link in links]
    # A sequence of one is not the single transformation that the text allows.
    return kinds if len(kinds) > 1 else ["sequence", *kinds]


def _check_ends(
    dataset: Node, transformation: Node, systems: Mapping[str, int | None]
) -> str | None:
    start, end = transformation["input"], transformation["output"]
    if start.as_object(DATASET_INPUT) is not None:
        path = start["path"].as_text(DATASET_INPUT)
        if path is not None and path != dataset["path"].value:
            start["path"].breaks(DATASET_INPUT_PATH, f"{path!r} for {dataset['path'].shown}")
        if start["name"].value is not None and "name" in start:
            start["name"].breaks(DATASET_REFERENCE_EXTRA)
    if end.as_object(DATASET_OUTPUT) is None:
        return None
    if end["path"].value is not None and "path" in end:
        end["path"].breaks(DATASET_REFERENCE_EXTRA)
    name = end["name"].as_text(DATASET_OUTPUT)
    if name is not None and name not in systems:
        end["name"].breaks(DATASET_OUTPUT, f"{name!r}, not of {sorted(systems)}")
        return None
    return name


def _check_between_systems(
    multiscale: Node, systems: dict[str, int | None], intrinsic: str | None
) -> None:
    listed = multiscale["coordinateTransformations"]
    edges: list[tuple[Place, Place]] = []
    sound = True
    if not listed.missing:
        entries = listed.as_objects(TRANSFORMATIONS_LIST, at_least=1) or []
        check_names_unique(listed, entries)
        for entry in entries:
            edge = _check_between(entry, systems, intrinsic)
            sound = sound and edge is not None
            edges += [edge] if edge is not None else []
    # A graph with a broken edge would be told twice: as the edge, and as the hole that it leaves.
    if sound and intrinsic is not None:
        check_connected(multiscale["coordinateSystems"], systems, edges)


def _check_between(
    entry: Node, systems: dict[str, int | None], intrinsic: str | None
) -> tuple[Place, Place] | None:
    start, end = reference(entry["input"], systems), reference(entry["output"], systems)
    into = systems.get(start[1]) if start is not None and not start[0] else None
    out = systems.get(end[1]) if end is not None and not end[0] else None
    check_transformation(entry, into, out)
    if start is None or end is None:
        return None
    if intrinsic is not None and ("", intrinsic) not in (start, end):
        entry.breaks(INTRINSIC_END, f"from {start[1]!r} to {end[1]!r}, not {intrinsic!r}")
    outside = [place[0] for place in (start, end) if place[0]]
    simple = _simple_kinds(entry) in (
        ["identity"],
        ["scale"],
        ["translation"],
        ["scale", "translation"],
    )
    if outside and (not simple or any(".." in path.split("/") for path in outside)):
        entry.breaks(LABELS_END, f"{entry['type'].shown} to {outside[0]!r}")
    return start, end


def check_scene(metadata: Node) -> None:
    """Check how the images below a group lie to each other."""
    scene = metadata["scene"].as_object(SCENE_OBJECT)
    if scene is None:
        return
    systems: dict[str, int | None] = {}
    if "coordinateSystems" in scene:
        systems = check_coordinate_systems(scene["coordinateSystems"], of_image=False)
    listed = scene["coordinateTransformations"]
    entries = listed.as_objects(SCENE_TRANSFORMATIONS, at_least=1)
    if entries is None:
        return
    check_names_unique(listed, entries)
    edges: list[tuple[Place, Place]] = []
    for entry in entries:
        start, end = reference(entry["input"], systems), reference(entry["output"], systems)
        into = systems.get(start[1]) if start is not None and not start[0] else None
        out = systems.get(end[1]) if end is not None and not end[0] else None
        check_transformation(entry, into, out)
        if start is not None and end is not None:
            edges.append((start, end))
    if len(edges) == len(entries):
        check_connected(listed, systems, edges)


SPECIFICATION = Specification(
    version="0.6",
    # The release candidate is the release in all but name: _version.schema lists both.
    spellings=frozenset({"0.6", "0.6rc0"}),
    metadata=namespaced_metadata,
    checks={**v05.SPECIFICATION.checks, "multiscales": check_image, "scene": check_scene},
)
