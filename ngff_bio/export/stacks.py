"""An image or a label image of a store as a calibrated stack of planes, for TIFFs."""

from __future__ import annotations

from ngff_bio.export.selection import SelectedImage
from ngff_bio.formats.tiff.writer import Stack, Step


def stack_of(image: SelectedImage, name: str | None) -> Stack:
    """The image (``None``) or a label image as a stack of planes."""
    stored = image.stored
    axes = stored.axes_of(name)
    meta = stored.multiscale
    scale = dict(zip(stored.axes, meta.levels[0].scale, strict=True))
    units = {a.name: a.unit for a in meta.axes}
    # Stores have a scale of 1 without a unit where the source has no pixel size.
    steps = {a: Step(scale[a], units[a]) for a in axes if units[a] is not None or scale[a] != 1.0}
    channels = [c.label for c in stored.meta.channels if c.label] if name is None else []
    if "c" in axes and [c.lower() for c in channels] == ["red", "green", "blue"]:
        axes = axes.replace("c", "") + "s"
    sizes = {a: image.span(a)[1] - image.span(a)[0] for a in axes if a != "s"} | {"s": 3}
    hours = [image.frames.get(t, {}).get("elapsed_hours") for t in range(*image.span("t"))]
    return Stack(
        axes=axes,
        shape=tuple(sizes[a] for a in axes),
        dtype=stored.variable(name).dtype,
        planes=image.blocks(name, axes),
        name=stored.attributes.get("name") or image.name,
        steps=steps,
        channels=channels,
        elapsed_hours=[h for h in hours if h is not None]
        if None not in hours and "t" in axes
        else [],
    )
