"""Each rule of the specification with a way to break it, and it alone."""

from __future__ import annotations

import copy
from typing import Any

from attribute_examples import (
    AXES,
    Spoil,
    again,
    drop,
    example,
    level_06,
    metadata_of,
    put,
    resolve,
)

ALL = ("0.4", "0.5", "0.6")
OLD = ("0.4", "0.5")
NEW = ("0.6",)
MS = "/multiscales/0"
TR = f"{MS}/datasets/0/coordinateTransformations"
BETWEEN = f"{MS}/coordinateTransformations"


def axes_at(version: str) -> str:
    return f"{MS}/coordinateSystems/0/axes" if version == "0.6" else f"{MS}/axes"


def both(*changes: Spoil) -> Spoil:
    def change(metadata: dict[str, Any]) -> None:
        for one in changes:
            one(metadata)

    return change


def nested(levels: int) -> list[Any]:
    return [nested(levels - 1)] if levels else []


def new_axes(*kinds: str | None) -> list[dict[str, Any]]:
    return [
        {"name": f"a{number}", **({"type": kind} if kind else {})}
        for number, kind in enumerate(kinds)
    ]


def second_system(*between: dict[str, Any], axes: list[dict[str, Any]] | None = None) -> Spoil:
    """0.6: define a system "other" and transformations between it and the image's own."""

    def change(metadata: dict[str, Any]) -> None:
        image = metadata["multiscales"][0]
        image["coordinateSystems"].append({"name": "other", "axes": axes or copy.deepcopy(AXES)})
        image["coordinateTransformations"] = [
            {"input": {"name": "physical"}, "output": {"name": "other"}, **entry}
            for entry in between
        ]

    return change


def identity(size: int, extra: int = 0) -> list[list[float]]:
    return [[float(i == j) for j in range(size + extra)] for i in range(size)]


PART = {"transformation": {"type": "identity"}, "inputAxes": [0, 1], "outputAxes": [0, 1]}
REST = {"transformation": {"type": "identity"}, "inputAxes": [2, 3, 4], "outputAxes": [2, 3, 4]}

# rule, kind of group, versions, what is spoiled
BROKEN: list[tuple[str, str, tuple[str, ...], Spoil]] = [
    ("metadata-nesting", "image", ALL, put("/x", nested(210))),
    ("multiscales-list", "image", ALL, put("/multiscales", [])),
    ("multiscales-list", "image", ALL, put("/multiscales", {"0": {}})),
    ("multiscales-list", "image", ALL, put("/multiscales", ["image"])),
    ("multiscales-list", "image", ALL, drop("/multiscales")),
    ("multiscales-unique", "image", ALL, again("/multiscales")),
    ("multiscale-name", "image", ALL, drop(f"{MS}/name")),
    ("multiscale-name-text", "image", ALL, put(f"{MS}/name", 5)),
    ("multiscale-type", "image", ALL, drop(f"{MS}/type")),
    ("multiscale-metadata", "image", ALL, drop(f"{MS}/metadata")),
    ("datasets-list", "image", ALL, drop(f"{MS}/datasets")),
    ("datasets-list", "image", ALL, put(f"{MS}/datasets", [])),
    ("dataset-path", "image", OLD, put(f"{MS}/datasets/0/path", 0)),
    ("dataset-path", "image", OLD, drop(f"{MS}/datasets/1/path")),
    ("dataset-path-unique", "image", ALL,
     lambda m: m["multiscales"][0]["datasets"].insert(0, m["multiscales"][0]["datasets"][0])),
    ("datasets-order", "image", ALL, lambda m: m["multiscales"][0]["datasets"].reverse()),
    ("axes-list", "image", OLD, drop(f"{MS}/axes")),
    ("axes-list", "image", NEW, drop(f"{MS}/coordinateSystems/0/axes")),
    ("axes-list", "image", OLD, put(f"{MS}/axes", "tczyx")),
    ("axis-name", "image", OLD, drop(f"{MS}/axes/0/name")),
    ("axis-name", "image", NEW, put(f"{MS}/coordinateSystems/0/axes/0/name", "")),
    ("axis-name-unique", "image", OLD, put(f"{MS}/axes/4/name", "t")),
    ("axis-name-unique", "image", NEW, put(f"{MS}/coordinateSystems/0/axes/4/name", "t")),
    ("axis-type", "image", OLD, drop(f"{MS}/axes/1/type")),
    ("axis-type-text", "image", OLD, put(f"{MS}/axes/1/type", 3)),
    ("axis-type-known", "image", OLD, put(f"{MS}/axes/1/type", "angle")),
    ("axis-unit", "image", OLD, drop(f"{MS}/axes/0/unit")),
    ("axis-unit-text", "image", OLD, put(f"{MS}/axes/4/unit", 3)),
    ("axis-unit-text", "image", NEW, put(f"{MS}/coordinateSystems/0/axes/4/unit", None)),
    ("axis-unit-known", "image", OLD, put(f"{MS}/axes/4/unit", "micron")),
    ("axis-unit-known", "image", OLD, put(f"{MS}/axes/0/unit", "micrometer")),
    ("axis-discrete", "image", NEW, put(f"{MS}/coordinateSystems/0/axes/0/discrete", "no")),
    ("axis-long-name", "image", NEW, put(f"{MS}/coordinateSystems/0/axes/0/longName", 1)),
    ("transformations-list", "image", OLD, drop(TR)),
    ("transformations-list", "image", OLD, put(TR, [])),
    ("transformations-list", "image", NEW, put(BETWEEN, [])),
    ("transformation-type", "image", OLD, put(f"{TR}/1", {"type": "identity"})),
    ("transformation-parameters", "image", OLD, put(f"{TR}/0/scale", [1, 1, 1, "1", 1])),
    ("transformation-parameters", "image", OLD, put(f"{TR}/0/scale", [1])),
    ("transformation-length", "image", OLD, put(f"{TR}/0/scale", [1, 1, 1, 1])),
    ("transformation-length", "image", OLD, put(f"{TR}/1/translation", [1, 1, 1, 1])),
    ("scale-once", "image", OLD, drop(f"{TR}/0")),
    ("translation-once", "image", OLD, put(BETWEEN, [
        {"type": kind, kind: [1, 1, 1, 1, 1]} for kind in ("scale", "translation", "translation")
    ])),
    ("translation-after-scale", "image", OLD, lambda m: resolve(m, TR).reverse()),
    ("scale-positive", "image", OLD, put(f"{TR}/0/scale", [1, 1, 0.5, 0.1, 0])),
    ("omero-channels", "image", ALL, put("/omero", {})),
    ("omero-color", "image", ALL, put("/omero/channels/0/color", "#0000FF")),
    ("omero-color", "image", OLD, drop("/omero/channels/0/color")),
    ("omero-window", "image", OLD, drop("/omero/channels/0/window")),
    ("omero-window-limits", "image", ALL, drop("/omero/channels/0/window/start")),
    ("omero-window-limits", "image", OLD, drop("/omero/channels/0/window/max")),
    ("omero-window-range", "image", NEW, drop("/omero/channels/0/window/max")),
    ("omero-field", "image", ALL, put("/omero/channels/0/active", "yes")),
    ("label-multiscales", "label", ALL, drop("/multiscales")),
    ("image-label-object", "label", OLD[1:] + NEW, put("/image-label", [])),
    ("label-colors", "label", ALL, drop("/image-label/colors")),
    ("label-colors-list", "label", ALL, put("/image-label/colors", [])),
    ("label-color-value", "label", ALL, drop("/image-label/colors/1/label-value")),
    ("label-color-value", "label", ALL, put("/image-label/colors/1/label-value", 1.5)),
    ("label-color-unique", "label", ALL, put("/image-label/colors/1/label-value", 1)),
    ("label-color-rgba", "label", ALL, put("/image-label/colors/0/rgba", [0, 0, 0])),
    ("label-color-rgba", "label", ALL, put("/image-label/colors/0/rgba", [0, 0, 0, 256])),
    ("label-color-rgba", "label", ALL, put("/image-label/colors/0/rgba", [0, 0, 0, 0.5])),
    ("label-properties-list", "label", ALL, put("/image-label/properties", [])),
    ("label-property-value", "label", ALL, put("/image-label/properties/0/label-value", "1")),
    ("label-property-unique", "label", ALL, again("/image-label/properties")),
    ("label-source", "label", ALL, put("/image-label/source", "../../")),
    ("label-source", "label", ALL, put("/image-label/source/image", 1)),
    ("labels-list", "labels", ALL, put("/labels", "cell")),
    ("labels-list", "labels", ALL, put("/labels/0", 0)),
    ("labels-unique", "labels", ALL, again("/labels")),
    ("plate-object", "plate", OLD[1:] + NEW, put("/plate", [])),
    ("plate-rows", "plate", ALL, drop("/plate/rows")),
    ("plate-columns", "plate", ALL, put("/plate/columns", [])),
    ("row-name", "plate", ALL, both(put("/plate/rows/1/name", "B-1"), drop("/plate/wells/1"))),
    ("column-name", "plate", ALL, drop("/plate/columns/0/name")),
    ("row-name-unique", "plate", ALL, again("/plate/rows")),
    ("column-name-unique", "plate", ALL, again("/plate/columns")),
    ("row-column-name-case", "plate", ALL, put("/plate/rows", [{"name": x} for x in "ABa"])),
    ("plate-wells", "plate", ALL, put("/plate/wells", {})),
    ("well-path", "plate", ALL, put("/plate/wells/0/path", "plate/A/2")),
    ("well-path", "plate", ALL, put("/plate/wells/0/path", "A2")),
    ("well-path-names", "plate", ALL, put("/plate/wells/0/path", "C/2")),
    ("well-path-swapped", "plate", ALL, put("/plate/wells/0/path", "2/A")),
    ("well-path-index", "plate", ALL, put("/plate/wells/0/rowIndex", 1)),
    ("well-path-index", "plate", ALL, put("/plate/wells/0/path", "A/3")),
    ("well-index", "plate", ALL, drop("/plate/wells/0/rowIndex")),
    ("well-index", "plate", ALL, put("/plate/wells/0/columnIndex", -1)),
    ("well-index-range", "plate", ALL, put("/plate/wells/0/columnIndex", 3)),
    ("plate-well-unique", "plate", ALL, again("/plate/wells")),
    ("plate-field-count", "plate", ALL, drop("/plate/field_count")),
    ("plate-field-count-value", "plate", ALL, put("/plate/field_count", 0)),
    ("plate-name", "plate", ALL, drop("/plate/name")),
    ("plate-name-text", "plate", ALL, put("/plate/name", 7)),
    ("acquisitions-list", "plate", ALL, put("/plate/acquisitions", {"id": 1})),
    ("acquisition-id", "plate", ALL, put("/plate/acquisitions/0/id", "0")),
    ("acquisition-id", "plate", ALL, put("/plate/acquisitions/0/id", True)),
    ("acquisition-id-unique", "plate", ALL, put("/plate/acquisitions/0/id", 3)),
    ("acquisition-name", "plate", ALL, drop("/plate/acquisitions/0/name")),
    ("acquisition-maximumfieldcount", "plate", ALL,
     drop("/plate/acquisitions/0/maximumfieldcount")),
    ("acquisition-maximumfieldcount-value", "plate", ALL,
     put("/plate/acquisitions/0/maximumfieldcount", 0)),
    ("acquisition-text", "plate", ALL, put("/plate/acquisitions/1/description", 1)),
    ("acquisition-time", "plate", ALL, put("/plate/acquisitions/0/starttime", "2022-05-13")),
    ("well-object", "well", OLD[1:] + NEW, put("/well", [])),
    ("well-images", "well", ALL, put("/well/images", [])),
    ("well-image-path", "well", ALL, put("/well/images/0/path", "a/0")),
    ("well-image-path", "well", OLD, put("/well/images/0/path", "0_a-b.image")),
    ("well-image-path", "well", NEW, put("/well/images/0/path", "..")),
    ("well-image-path", "well", NEW, put("/well/images/0/path", "__0")),
    ("well-image-path-unique", "well", ALL, put("/well/images/1/path", "0")),
    ("well-image-acquisition", "well", ALL, put("/well/images/0/acquisition", "0")),
    ("collection-layout", "collection", ALL, put("/bioformats2raw.layout", "3")),
    ("series-list", "series", ALL, put("/series", "0")),
    ("series-list", "series", ALL, put("/series/0", 0)),
    ("group-kind", "series", ALL, drop("/series")),
    ("ome-version", "well", OLD[1:] + NEW, drop("/version")),
    ("version-consistent", "plate", OLD[1:] + NEW, put("/plate/version", "0.4")),
    ("version-value", "plate", ("0.4",), put("/plate/version", "0.5")),
    ("version-recommended", "image", ("0.4",), drop(f"{MS}/version")),
    ("version-recommended", "label", ("0.4",), drop("/image-label/version")),
    ("plate-version", "plate", ("0.4",), drop("/plate/version")),
    # 0.6: coordinate systems, and a dataset's way to them
    ("coordinate-systems-list", "scene", NEW, both(
        put("/scene/coordinateSystems", {}),
        put("/scene/coordinateTransformations/0/output", {"name": "physical", "path": "right"}),
        drop("/scene/coordinateTransformations/1"))),
    ("coordinate-system-name", "scene", NEW, both(
        again("/scene/coordinateSystems"), drop("/scene/coordinateSystems/1/name"))),
    ("coordinate-system-name-unique", "image", NEW, again(f"{MS}/coordinateSystems")),
    ("dataset-transformation", "image", NEW,
     put(f"{TR}/0/transformations/0", {"type": "identity"})),
    ("dataset-transformation", "image", NEW, drop(f"{TR}/0/transformations/1")),
    ("dataset-transformation", "image", NEW, again(TR)),
    ("dataset-transformation", "image", NEW, put(f"{TR}/0/transformations", [
        {"type": "rotation", "rotation": identity(5)},
        {"type": "translation", "translation": [0, 0, 0, 0, 0]},
    ])),
    ("dataset-input", "image", NEW, put(f"{TR}/0/input", "0")),
    ("dataset-input", "image", NEW, put(f"{TR}/0/input", {})),
    ("dataset-input-path", "image", NEW, put(f"{TR}/0/input/path", "s0")),
    ("dataset-output", "image", NEW, put(f"{TR}/0/output", {})),
    ("dataset-output", "image", NEW, put(f"{TR}/0/output", {"name": "nowhere"})),
    ("dataset-reference-extra", "image", NEW, put(f"{TR}/0/input/name", "0")),
    ("datasets-one-output", "image", NEW, both(
        second_system({"type": "identity"}),
        put(f"{MS}/datasets/1", level_06("1", 2, output="other")))),
    ("scale-positive", "image", NEW, put(f"{TR}/0/transformations/0/scale", [1, 1, 0, 0.1, 0.1])),
    ("transformation-length", "image", NEW,
     put(f"{TR}/0/transformations/0/scale", [1, 1, 0.1, 0.1])),
    ("transformation-object", "image", NEW, second_system(
        {"type": "bijection", "forward": "there", "inverse": {"type": "identity"}})),
    # 0.6: transformations between systems
    ("transformation-intrinsic", "image", NEW, both(
        second_system(
            {"type": "identity"},
            {"type": "identity", "input": {"name": "other"}, "output": {"name": "third"}}),
        lambda m: m["multiscales"][0]["coordinateSystems"].append(
            {"name": "third", "axes": AXES}))),
    ("transformation-reference", "image", NEW,
     second_system({"type": "identity", "input": "physical"})),
    ("transformation-reference", "image", NEW,
     second_system({"type": "identity", "output": {"path": "labels/cell"}})),
    ("transformation-reference-known", "image", NEW,
     second_system({"type": "identity"}, {"type": "identity", "output": {"name": "nowhere"}})),
    ("coordinate-systems-connected", "image", NEW, both(second_system(), drop(BETWEEN))),
    ("coordinate-systems-connected", "scene", NEW, both(
        again("/scene/coordinateSystems"), put("/scene/coordinateSystems/1/name", "island"))),
    ("transformation-labels", "image", NEW, put(BETWEEN, [
        {"type": "affine", "affine": identity(5, 1), "input": {"name": "physical"},
         "output": {"name": "physical", "path": "labels/cell"}}])),
    ("transformation-labels", "image", NEW, put(BETWEEN, [
        {"type": "identity", "input": {"name": "physical"},
         "output": {"name": "physical", "path": "../other"}}])),
    ("transformation-type", "image", NEW, second_system({"type": "inverseOf"})),
    ("transformation-name", "image", NEW, second_system({"type": "identity", "name": 5})),
    ("transformation-name-unique", "image", NEW, second_system(
        {"type": "identity", "name": "one"},
        {"type": "translation", "translation": [0, 0, 0, 1, 1], "name": "one"})),
    ("transformation-parameters", "image", NEW,
     second_system({"type": "scale", "path": "factors"})),
    ("transformation-parameters", "image", NEW, second_system({"type": "affine"})),
    ("transformation-parameters", "image", NEW,
     second_system({"type": "affine", "affine": identity(5, 1), "path": "matrix"})),
    ("transformation-parameters", "image", NEW,
     second_system({"type": "rotation", "rotation": [0]})),
    ("transformation-parameters", "image", NEW,
     second_system({"type": "rotation", "rotation": identity(2, 1)})),
    ("transformation-parameters", "image", NEW, second_system({"type": "mapAxis"})),
    ("transformation-parameters", "image", NEW,
     second_system({"type": "mapAxis", "mapAxis": [0, 0, 1, 2, 3]})),
    ("transformation-parameters", "image", NEW, second_system({"type": "projectAxis"})),
    ("transformation-parameters", "image", NEW,
     second_system({"type": "projectAxis", "droppedInputs": [5]})),
    ("transformation-parameters", "image", NEW,
     second_system({"type": "projectAxis", "createdOutputs": []})),
    ("transformation-parameters", "image", NEW,
     second_system({"type": "sequence", "transformations": []})),
    ("transformation-parameters", "image", NEW, second_system(
        {"type": "byDimension", "transformations": [{**PART, "inputAxes": ["x"]}, REST]})),
    ("transformation-parameters", "image", NEW, second_system({"type": "displacements"})),
    ("transformation-dimensions", "image", NEW,
     second_system({"type": "mapAxis", "mapAxis": [1, 0]})),
    ("transformation-dimensions", "image", NEW,
     second_system({"type": "affine", "affine": identity(4, 1)})),
    ("transformation-dimensions", "image", NEW,
     second_system({"type": "identity"}, axes=AXES[3:])),
    ("transformation-dimensions", "image", NEW,
     second_system({"type": "projectAxis", "droppedInputs": [0]}, axes=AXES[3:])),
    ("transformation-dimensions", "image", NEW, second_system({
        "type": "bijection",
        "forward": {"type": "displacements", "path": "there"},
        "inverse": {"type": "affine", "affine": identity(2, 1)}})),
    ("rotation-orthonormal", "image", NEW, second_system(
        {"type": "rotation", "rotation": [[2.0 * x for x in row] for row in identity(5)]})),
    ("rotation-orthonormal", "image", NEW, second_system(
        {"type": "rotation", "rotation": [[-1.0, 0, 0, 0, 0], *identity(5)[1:]]})),
    ("by-dimension-covered", "image", NEW,
     second_system({"type": "byDimension", "transformations": [PART]})),
    ("by-dimension-once", "image", NEW,
     second_system({"type": "byDimension", "transformations": [PART, PART, REST]})),
    ("transformation-interpolation", "image", NEW, second_system(
        {"type": "displacements", "path": "field", "interpolation": "magic"})),
    ("scene-object", "scene", NEW, put("/scene", [])),
    ("scene-transformations", "scene", NEW, drop("/scene/coordinateTransformations")),
    ("transformation-reference", "scene", NEW,
     put("/scene/coordinateTransformations/0/output", "world")),
]  # fmt: skip

# rule, axes that break it: names are made up, so that units and types may be advised against too
BROKEN_AXES = [
    ("axes-count", ["time", "channel", "custom", "space", "space", "space"]),
    ("axes-space-count", ["time", "channel", "space"]),
    ("axes-space-count", ["space", "space", "space", "space"]),
    ("axes-time-count", ["time", "time", "space", "space"]),
    ("axes-channel-count", ["channel", "angle", "space", "space"]),
    ("axes-channel-count", ["time", None, "channel", "space", "space"]),
    ("axes-order", ["space", "space", "channel"]),
    ("axes-order", ["channel", "time", "space", "space"]),
    ("axes-order", ["space", "channel", "space"]),
]


def spoiled(version: str, kind: str, spoil: Spoil) -> dict[str, Any]:
    attributes = example(version, kind)
    spoil(metadata_of(attributes))
    return attributes
