"""Label images, the list of them, and the list of images of a collection."""

from __future__ import annotations

from ngff_bio.checks.spec.node import Node, is_integer, is_number, texts


def check_collection(metadata: Node) -> None:
    """Check the mark of a group that holds several images (as ``bioformats2raw`` writes it)."""
    layout = metadata["bioformats2raw.layout"]
    if not is_number(layout.value) or layout.value != 3:
        layout.breaks("collection-layout")


def check_series(metadata: Node) -> None:
    """Check the order of the images in the OME group."""
    texts(metadata["series"].as_list("series-list") or [], "series-list")


def check_labels_list(metadata: Node) -> None:
    """Check the list of label images in a labels group."""
    listed = metadata["labels"]
    paths = texts(listed.as_list("labels-list") or [], "labels-list")
    listed.check_unique("labels-unique", paths)


def check_image_label(metadata: Node, *, ruled: bool = False) -> None:
    """Check the colours (unless there is a rule of them), properties and source of a label image."""
    if "multiscales" not in metadata:
        metadata.breaks("label-multiscales", 'no "multiscales"')
    label = metadata["image-label"].as_object("image-label-object")
    if label is None:
        return
    if "colors" in label or (not ruled and label.recommended("colors", "label-colors")):
        colors = label["colors"].as_objects("label-colors-list", at_least=1) or []
        _check_label_values(label["colors"], colors, "label-color-value", "label-color-unique")
        for color in colors:
            if "rgba" in color and not _is_rgba(color["rgba"].value):
                color["rgba"].breaks("label-color-rgba")
    if "properties" in label:
        entries = label["properties"].as_objects("label-properties-list", at_least=1) or []
        _check_label_values(
            label["properties"], entries, "label-property-value", "label-property-unique"
        )
    if "source" in label:
        source = label["source"].as_object("label-source")
        if source is not None and "image" in source:
            source["image"].as_text("label-source")


def _check_label_values(listed: Node, entries: list[Node], each: str, unique: str) -> None:
    values = [entry["label-value"].as_integer(each) for entry in entries]
    listed.check_unique(unique, [v for v in values if v is not None], "label-value ")


def _is_rgba(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(is_integer(part) and 0 <= part <= 255 for part in value)
    )
