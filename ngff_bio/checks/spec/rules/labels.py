"""Label images and the list of them."""

from __future__ import annotations

from ngff_bio.checks.spec.findings import ALL_VERSIONS, Rule
from ngff_bio.checks.spec.node import Node, duplicates, is_number

_LABELS = '"labels" metadata'

LABELS_LIST = Rule(
    "labels-list",
    "MUST",
    _LABELS,
    'the labels group MUST contain the key "labels", a JSON array of paths to label images',
    "list the paths of the label images as strings",
)
LABELS_UNIQUE = Rule(
    "labels-unique",
    "SHOULD",
    _LABELS,
    "all label images SHOULD be listed; once is enough",
    "list each label image once",
)
LABEL_MULTISCALES = Rule(
    "label-multiscales",
    "MUST",
    _LABELS,
    "the group of a label image MUST implement the multiscales specification",
    "add the multiscales metadata of the label image",
    # The published cases for label images hold nothing but "image-label".
    contested=ALL_VERSIONS,
)
LABEL_IMAGE_LABEL = Rule(
    "label-image-label",
    "SHOULD",
    _LABELS,
    'in addition to "multiscales", a label image SHOULD contain the key "image-label"',
    'add "image-label"',
)
IMAGE_LABEL_OBJECT = Rule(
    "image-label-object",
    "MUST",
    _LABELS,
    'the value of "image-label" is a JSON object',
    "write an object",
)
LABEL_COLORS = Rule(
    "label-colors",
    "SHOULD",
    _LABELS,
    'the "image-label" object SHOULD contain a "colors" key',
    "give each label value a colour",
    in_strict_schema=ALL_VERSIONS,
)
LABEL_COLORS_LIST = Rule(
    "label-colors-list",
    "MUST",
    _LABELS,
    'the value of "colors" MUST be a JSON array of objects, not empty (label.schema)',
    "leave the key out where there are no colours",
)
LABEL_COLOR_VALUE = Rule(
    "label-color-value",
    "MUST",
    _LABELS,
    'each color MUST contain the "label-value" key, an integer',
    "say which label value the colour is for",
)
LABEL_COLOR_UNIQUE = Rule(
    "label-color-unique",
    "MUST",
    _LABELS,
    '"colors" contains one JSON object for each unique label',
    "keep one colour for each label value",
)
LABEL_COLOR_RGBA = Rule(
    "label-color-rgba",
    "MUST",
    _LABELS,
    'the value of "rgba" MUST be an array of four integers between 0 and 255',
    "write red, green, blue and alpha as integers from 0 to 255",
)
LABEL_PROPERTIES_LIST = Rule(
    "label-properties-list",
    "MUST",
    _LABELS,
    'the value of "properties" MUST be an array of JSON objects, not empty (label.schema)',
    "leave the key out where there are no properties",
)
LABEL_PROPERTY_VALUE = Rule(
    "label-property-value",
    "MUST",
    _LABELS,
    'each object in "properties" MUST contain the "label-value" key, an integer',
    "say which label value the properties are of",
)
LABEL_PROPERTY_UNIQUE = Rule(
    "label-property-unique",
    "MUST",
    _LABELS,
    '"properties" describes the set of unique possible pixel values',
    "merge the properties of a label value into one object",
)
LABEL_SOURCE = Rule(
    "label-source",
    "MUST",
    _LABELS,
    'the value of "source" MUST be a JSON object; its "image", if there, MUST be a string',
    'write {"image": "../../"}',
)


def check_labels_list(metadata: Node) -> None:
    """Check the list of label images in a labels group."""
    listed = metadata["labels"]
    entries = listed.as_list(LABELS_LIST)
    if entries is None:
        return
    paths = [entry.as_text(LABELS_LIST, pattern="(?s).+") for entry in entries]
    for path in duplicates([path for path in paths if path is not None]):
        listed.breaks(LABELS_UNIQUE, f"{path!r} more than once")


def check_image_label(metadata: Node) -> None:
    """Check what a label image says of its label values."""
    if "multiscales" not in metadata:
        metadata.breaks(LABEL_MULTISCALES, 'no "multiscales"')
    label = metadata["image-label"].as_object(IMAGE_LABEL_OBJECT)
    if label is None:
        return
    if "colors" not in label:
        label.breaks(LABEL_COLORS, "no colors")
    else:
        colors = label["colors"].as_objects(LABEL_COLORS_LIST, at_least=1) or []
        _check_label_values(label["colors"], colors, LABEL_COLOR_VALUE, LABEL_COLOR_UNIQUE)
        for color in colors:
            if "rgba" in color and not _is_rgba(color["rgba"].value):
                color["rgba"].breaks(LABEL_COLOR_RGBA)
    if "properties" in label:
        entries = label["properties"].as_objects(LABEL_PROPERTIES_LIST, at_least=1) or []
        _check_label_values(
            label["properties"], entries, LABEL_PROPERTY_VALUE, LABEL_PROPERTY_UNIQUE
        )
    if "source" in label:
        source = label["source"].as_object(LABEL_SOURCE)
        if source is not None and "image" in source:
            source["image"].as_text(LABEL_SOURCE)


def _check_label_values(listed: Node, entries: list[Node], each: Rule, unique: Rule) -> None:
    values = [entry["label-value"].as_integer(each) for entry in entries]
    for value in duplicates([value for value in values if value is not None]):
        listed.breaks(unique, f"label-value {value} more than once")


def _is_rgba(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(is_number(part) and float(part).is_integer() for part in value)
        and all(0 <= part <= 255 for part in value)
    )
