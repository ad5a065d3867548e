"""Which class an instance is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ngff_bio.reader.access.image import Image


def classes_of(image: Image, layer: str) -> dict[int, str] | None:
    """Class by label value, from the table of the layer, or from the label's own properties."""
    if layer in image.tables:
        table = image.annotations(layer, columns=["label", "category"])
        if {"label", "category"} <= set(table.columns):
            return dict(zip(table["label"].tolist(), table["category"].tolist(), strict=True))
    meta = image.label_meta(layer).label
    if meta is not None and any("class" in p for p in meta.properties):
        return {int(p["label-value"]): p["class"] for p in meta.properties if "class" in p}
    return None
