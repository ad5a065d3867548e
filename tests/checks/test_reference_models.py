"""ome-zarr-models reads the same specification independently; where we differ is explained here."""

from __future__ import annotations

import contextlib
import copy
import warnings
from typing import Any

import pytest
from attribute_examples import Json, Spoil, drop, example, metadata_of, put, wrapped
from broken_rules import BROKEN, BROKEN_AXES, axes_at, new_axes, spoiled
from hypothesis import given, settings
from hypothesis import strategies as st
from ome_zarr_models.v04.bioformats2raw import BioFormats2RawAttrs as Collection04
from ome_zarr_models.v04.hcs import HCSAttrs as Plate04
from ome_zarr_models.v04.image import ImageAttrs as Image04
from ome_zarr_models.v04.image_label import ImageLabelAttrs as Label04
from ome_zarr_models.v04.labels import LabelsAttrs as Labels04
from ome_zarr_models.v04.well import WellAttrs as Well04
from ome_zarr_models.v05.bioformats2raw import BioFormats2RawAttrs as Collection05
from ome_zarr_models.v05.hcs import HCSAttrs as Plate05
from ome_zarr_models.v05.image import ImageAttrs as Image05
from ome_zarr_models.v05.image_label import ImageLabelAttrs as Label05
from ome_zarr_models.v05.labels import LabelsAttrs as Labels05
from ome_zarr_models.v05.well import WellAttrs as Well05
from pydantic import BaseModel, ValidationError

from ngff_bio.checks.spec.axes import SPACE_UNITS, TIME_UNITS
from ngff_bio.checks.spec.conformance import validate_attributes

# Its models of 0.6 are of a draft that still had no coordinate systems.
MODELS: dict[str, dict[str, type[BaseModel]]] = {
    "0.4": {
        "image": Image04,
        "label": Label04,
        "labels": Labels04,
        "plate": Plate04,
        "well": Well04,
        "collection": Collection04,
    },
    "0.5": {
        "image": Image05,
        "label": Label05,
        "labels": Labels05,
        "plate": Plate05,
        "well": Well05,
        "collection": Collection05,
    },
}

#: What we call an error and the models let pass, and why it is one.
LET_PASS = {
    "multiscales-unique": "image.schema has uniqueItems; the models have a plain list",
    "multiscale-name-text": "image.schema has a string; the models take any JSON value",
    "dataset-path-unique": "the paths are ordered by size; the models look at the scales alone",
    "axis-unit-text": "units are strings; the models take any JSON value",
    "axes-channel-count": "the text allows one axis of channel OR custom type; the models one each",
    "omero-channels": "the models of 0.5 do not look at omero",
    "omero-color": "six digits and no more; the models search for six digits anywhere",
    "omero-window": "the models of 0.5 do not look at omero",
    "omero-window-limits": "the models of 0.5 do not look at omero",
    "omero-field": "image.schema has the types; the models do not know these fields",
    "label-property-value": "an integer; the models turn a text into one",
    "label-property-unique": "the set of unique values; the models look at the colors alone",
    "well-index": "0-based indices; the models take negative ones",
    "well-index-range": "indices point into rows and columns; the models do not follow them",
    "well-path-index": "path and indices MUST agree; the models look at the path alone",
    "plate-well-unique": "plate.schema has uniqueItems; the models have a plain list",
    "acquisition-id": "an integer; the models turn a text or a boolean into one",
    "acquisition-id-unique": "ids are unique in the plate; the models do not compare them",
    "well-images": "well.schema has minItems 1; the models take an empty list",
    "well-image-path-unique": "no path twice; the models compare path and acquisition together",
    "well-image-acquisition": "an integer; the models turn a text into one",
    "version-value": "a plate of 0.4 says 0.4; the models take any text",
    "version-consistent": "one version in a hierarchy; the models take any text in a plate",
    "plate-version": "MUST in the text of 0.4; the models leave it open",
    "metadata-nesting": "a limit of ours; the models do not look into fields that they do not know",
}

#: The same, but only where the other list is not there to be compared with, or with five axes.
LET_PASS_ALONE = {
    "transformation-parameters": "numbers; the models turn a text into one",
    "label-colors-list": "label.schema has minItems 1; the models take an empty list",
    "label-properties-list": "label.schema has minItems 1; the models take an empty list",
}

#: What the models refuse and we let pass, and why it is allowed.
REFUSED: dict[str, tuple[str, Spoil]] = {
    "the rgba of a color MAY be left out": (
        "label",
        drop("/image-label/colors/0/rgba"),
    ),
    "colors and properties need not have the same label values": (
        "label",
        put("/image-label/properties", [{"label-value": 7}]),
    ),
}


def ours(attributes: Json, version: str) -> bool:
    findings = validate_attributes(attributes, version=version)
    return not any(finding.level == "error" for finding in findings)


def theirs(attributes: Json, version: str, kind: str) -> bool:
    with warnings.catch_warnings():
        # A plate of 0.5 without a version, as it should be, is warned of.
        warnings.simplefilter("ignore")
        try:
            MODELS[version][kind].model_validate(copy.deepcopy(metadata_of(attributes)))
        except (ValidationError, IndexError):
            # IndexError: the models compare scales of unequal length before they count them.
            return False
    return True


def colored(attributes: Json) -> Json:
    """An example whose label values all have a color, as the models want them."""
    label = metadata_of(attributes).get("image-label")
    colors = label.get("colors") if isinstance(label, dict) else None
    for color in colors if isinstance(colors, list) else []:
        color.setdefault("rgba", [0, 0, 0, 0])
    return attributes


@pytest.mark.parametrize("version", MODELS)
@pytest.mark.parametrize("kind", MODELS["0.5"])
def test_the_examples_are_valid_for_both(version: str, kind: str) -> None:
    attributes = colored(example(version, kind))
    assert ours(attributes, version)
    assert theirs(attributes, version, kind)


def verdicts() -> list[tuple[str, str, bool, bool]]:
    """Rule, version, our verdict and theirs of everything that is broken in these tests."""
    found = []
    for version, models in MODELS.items():
        for rule, kind, versions, spoil in BROKEN:
            if version in versions and kind in models:
                attributes = colored(spoiled(version, kind, spoil))
                both = ours(attributes, version), theirs(attributes, version, kind)
                found.append((rule, version, *both))
        for rule, kinds in BROKEN_AXES:
            attributes = spoiled(version, "image", put(axes_at(version), new_axes(*kinds)))
            for dataset in metadata_of(attributes)["multiscales"][0]["datasets"]:
                for entry in dataset["coordinateTransformations"]:
                    entry[entry["type"]] = [1.0] * len(kinds)
            both = ours(attributes, version), theirs(attributes, version, "image")
            found.append((rule, version, *both))
    return found


def test_every_disagreement_on_what_is_broken_is_explained() -> None:
    found = verdicts()
    assert len(found) > 150
    refused_by_them_alone = {row for row in found if row[2] and not row[3]}
    assert refused_by_them_alone == set()
    let_pass = {rule for rule, _, mine, yours in found if not mine and yours}
    assert let_pass == set(LET_PASS)


@pytest.mark.parametrize("version", MODELS)
@pytest.mark.parametrize("why", REFUSED)
def test_what_they_refuse_alone_is_allowed_by_the_text(version: str, why: str) -> None:
    kind, spoil = REFUSED[why]
    attributes = colored(example(version, kind))
    spoil(metadata_of(attributes))
    assert ours(attributes, version)
    assert not theirs(attributes, version, kind)


NAMES = st.text("abcXYZ019", min_size=1, max_size=3)
SIZES = st.floats(1e-3, 1e3)


@st.composite
def images(draw: st.DrawFn) -> Json:
    """Multiscales metadata as 0.4 and 0.5 both have it, of any allowed axes and levels."""
    before = draw(st.sampled_from([[], ["time"], ["channel"], ["time", "channel"], ["angle"]]))
    kinds = [*before, *["space"] * draw(st.integers(2, 3))]
    units = {"space": sorted(SPACE_UNITS), "time": sorted(TIME_UNITS)}
    names = draw(st.lists(NAMES, min_size=len(kinds), max_size=len(kinds), unique=True))
    axes: list[Json] = []
    for name, kind in zip(names, kinds, strict=True):
        axes.append({"name": name, "type": kind})
        if kind in units and draw(st.booleans()):
            axes[-1]["unit"] = draw(st.sampled_from(units[kind]))
    vector = st.lists(SIZES, min_size=len(kinds), max_size=len(kinds))
    scale = draw(vector)
    datasets: list[Json] = []
    for level in range(draw(st.integers(1, 4))):
        transformations: list[Json] = [{"type": "scale", "scale": scale}]
        if draw(st.booleans()):
            transformations.append({"type": "translation", "translation": draw(vector)})
        datasets.append({"path": f"s{level}", "coordinateTransformations": transformations})
        factors = [draw(st.sampled_from([1, 2, 3])) if k == "space" else 1 for k in kinds]
        scale = [size * factor for size, factor in zip(scale, factors, strict=True)]
    image: Json = {"axes": axes, "datasets": datasets}
    if draw(st.booleans()):
        image["coordinateTransformations"] = [{"type": "scale", "scale": draw(vector)}]
    if draw(st.booleans()):
        image["name"] = draw(NAMES)
    return {"multiscales": [image]}


@st.composite
def label_images(draw: st.DrawFn) -> Json:
    values = draw(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4, unique=True))
    rgba = st.lists(st.integers(0, 255), min_size=4, max_size=4)
    label: Json = {"colors": [{"label-value": value, "rgba": draw(rgba)} for value in values]}
    if draw(st.booleans()):
        label["properties"] = [{"label-value": value, "class": draw(NAMES)} for value in values]
    if draw(st.booleans()):
        label["source"] = {"image": "../../"}
    return {**draw(images()), "image-label": label}


@st.composite
def plates(draw: st.DrawFn) -> Json:
    rows = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    columns = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    pairs = [(r, c) for r in range(len(rows)) for c in range(len(columns))]
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True))
    plate: Json = {
        "rows": [{"name": name} for name in rows],
        "columns": [{"name": name} for name in columns],
        "wells": [
            {"path": f"{rows[r]}/{columns[c]}", "rowIndex": r, "columnIndex": c} for r, c in chosen
        ],
    }
    if draw(st.booleans()):
        ids = draw(st.lists(st.integers(0, 99), max_size=3, unique=True))
        plate["acquisitions"] = [{"id": number, "name": str(number)} for number in ids]
    if draw(st.booleans()):
        plate["field_count"] = draw(st.integers(1, 99))
    return {"plate": plate}


@st.composite
def wells(draw: st.DrawFn) -> Json:
    paths = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    listed: list[Json] = [{"path": path} for path in paths]
    for image in listed:
        if draw(st.booleans()):
            image["acquisition"] = draw(st.integers(0, 9))
    return {"well": {"images": listed}}


GROUPS = st.one_of(
    st.tuples(st.just("image"), images()),
    st.tuples(st.just("label"), label_images()),
    st.tuples(st.just("plate"), plates()),
    st.tuples(st.just("well"), wells()),
    st.tuples(st.just("labels"), st.lists(NAMES, unique=True).map(lambda x: {"labels": x})),
)


@settings(max_examples=150, deadline=None)
@given(GROUPS, st.sampled_from(sorted(MODELS)))
def test_metadata_made_by_the_rules_is_valid_for_both(
    group: tuple[str, Json], version: str
) -> None:
    kind, metadata = group
    attributes = wrapped(version, metadata)
    assert [str(f) for f in validate_attributes(attributes, kind=kind) if f.level == "error"] == []
    assert theirs(attributes, version, kind)


@settings(max_examples=200, deadline=None)
@given(GROUPS, st.sampled_from(sorted(MODELS)), st.data())
def test_metadata_that_is_then_broken_is_valid_for_neither_unless_explained(
    group: tuple[str, Json], version: str, data: st.DataObject
) -> None:
    kind, metadata = group
    attributes: dict[str, Any] = wrapped(version, metadata)
    spoils = [spoil for _, of, versions, spoil in BROKEN if of == kind and version in versions]
    with contextlib.suppress(KeyError, IndexError):
        # What is to be spoiled may be optional, and not there this time.
        data.draw(st.sampled_from(spoils))(metadata_of(attributes))
    findings = validate_attributes(attributes, version=version)
    errors = {finding.rule for finding in findings if finding.level == "error"}
    if theirs(attributes, version, kind):
        assert errors <= set(LET_PASS) | set(LET_PASS_ALONE)
    elif not errors:
        # A label value that was changed in one of two lists: see REFUSED.
        assert kind == "label"
        assert "properties" in metadata_of(attributes)["image-label"]
