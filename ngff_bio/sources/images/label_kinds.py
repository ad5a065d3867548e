"""What values of label images mean: objects, classes, or a mask whose connected regions are objects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

import numpy as np

from ngff_bio.errors import ArgumentError, NgffBioError
from ngff_bio.formats.images.components import components_of, values_of
from ngff_bio.formats.problems import Problems
from ngff_bio.model import RunVolume, SourceImage, VolumeLayer

LabelKind = Literal["instance", "semantic", "objects"]

#: Label images of a layer, and rows and columns of each, that are looked at for regions of classes.
_SAMPLED, _WINDOW = 3, 2048

#: Most classes, and least regions of each, for which label values look like classes.
_CLASSES, _REGIONS = 24, 3


@dataclass(frozen=True, slots=True)
class LabelKinds:
    """Kinds that the user gives.

    Parameters
    ----------
    every
        Of all other layers; ``None`` to decide by names and values.
    layers
        By name of a layer.
    """

    every: LabelKind | None
    layers: Mapping[str, LabelKind]

    @classmethod
    def parse(cls, given: str | Sequence[str]) -> LabelKinds:
        """Kinds of ``KIND`` and ``LAYER=KIND``.

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If there is no such kind, or two are given for one layer.
        """
        found: dict[str, LabelKind] = {}
        for text in [given] if isinstance(given, str) else given:
            layer, _, kind = text.rpartition("=")
            if kind not in get_args(LabelKind) or layer in found:
                raise ArgumentError(
                    "unknown kind of labels" if layer not in found else "two kinds of labels",
                    expected="instance (values are objects), semantic (values are classes) or "
                    "objects (connected regions are objects), or LAYER=KIND",
                    found=text,
                )
            found[layer] = cast(LabelKind, kind)
        return cls(found.pop("", None), found)

    def settle(
        self, images: Sequence[tuple[str, SourceImage]], problems: Problems, *, tracked: bool
    ) -> list[tuple[str, SourceImage]]:
        """Images with the kind of each of their label layers.

        What is not given is decided for all layers of a name together. Values are objects, but if all
        label images have the same single value besides 0, they are masks, and it is a class.

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If a layer is named that is not there.
        ngff_bio.errors.SourceError
            If connected regions are asked for, and a layer has several values.
        """
        layers: dict[str, list[VolumeLayer]] = defaultdict(list)
        for _, image in images:
            for layer in image.labels:
                if isinstance(layer, VolumeLayer):
                    layers[layer.name].append(layer)
        for name in self.layers:
            if name not in layers:
                raise ArgumentError(
                    "there is no label layer of this name to give a kind",
                    expected=", ".join(layers) or "label images",
                    found=name,
                )
        kinds = {name: self._kind(name, same, problems) for name, same in layers.items()}
        return [
            (
                folder,
                replace(
                    image,
                    labels=tuple(
                        _of_kind(layer, image, kinds[layer.name], problems, tracked=tracked)
                        if isinstance(layer, VolumeLayer)
                        else layer
                        for layer in image.labels
                    ),
                ),
            )
            for folder, image in images
        ]

    def _kind(self, name: str, layers: Sequence[VolumeLayer], problems: Problems) -> LabelKind:
        given = self.layers.get(name, self.every)
        if given is not None:
            return given
        values: set[int] = set()
        for layer in layers:
            if isinstance(layer.pixels, RunVolume):
                return "instance"
            if len(values) > 1:
                break
            values |= values_of(layer.pixels, 1)
        if len(values) != 1:
            if any(map(_looks_semantic, layers[:_SAMPLED])):
                problems.warn(
                    "values of label images have several regions each, which are one object here; if "
                    "values are classes, add --label-kind semantic",
                    record=f"layer {name}: {len(layers)} images",
                )
            return "instance"
        problems.note(
            f"label images with no value but 0 and {values.pop()} are masks, without objects; to make "
            "each connected region an object, add --label-kind objects; if all pixels of an image "
            "are one object, add --label-kind instance",
            record=f"layer {name}: {len(layers)} images",
        )
        return "semantic"


def _looks_semantic(layer: VolumeLayer) -> bool:
    """Whether most of a few values of a plane have three or more regions, as classes have."""
    pixels = layer.pixels
    if isinstance(pixels, RunVolume):
        return False
    sizes = pixels.shape[-2:]
    lead = [(0, 1)] * (len(pixels.shape) - 2)
    try:
        block = pixels.read((*lead, *((0, min(n, _WINDOW)) for n in sizes)))
    except NgffBioError:  # reported where it is converted
        return False
    plane = np.asarray(block).reshape(block.shape[-2:]).astype(np.int64)
    padded = np.pad(plane, 1)
    above = [padded[:-2, 1 + d : padded.shape[1] - 1 + d] == plane for d in (-1, 0, 1)]
    starts = padded[1:-1, :-2] != plane
    runs = np.flatnonzero(starts.ravel())
    if not runs.size:
        return False
    first = ~np.logical_or.reduceat(np.logical_or.reduce(above).ravel(), runs)
    tops = np.unique(plane.ravel()[runs][first], return_counts=True)
    counts = tops[1][tops[0] != 0]
    return bool(0 < counts.size <= _CLASSES and (counts >= _REGIONS).mean() > 0.5)


def _of_kind(
    layer: VolumeLayer, image: SourceImage, kind: LabelKind, problems: Problems, *, tracked: bool
) -> VolumeLayer:
    frames = "t" in image.axis_names
    file = str(layer.attributes["files"][0])
    if kind == "objects":
        pixels, most = components_of(layer.pixels, frames=frames, file=file)
        made = {**layer.attributes, "objects": "connected regions of a mask"}
        layer = replace(layer, pixels=pixels, max_value=most, attributes=made)
        problems.note("objects are the connected regions of masks", record=f"layer {layer.name}")
    if kind == "semantic":
        return replace(layer, kind="semantic")
    if frames and not tracked:
        problems.note(
            "equal label values on two time points are separate objects"
            + ("" if kind == "objects" else "; if they are the same object, add --tracked"),
            file=file,
            record=f"layer {layer.name}",
        )
    return replace(layer, kind="instance", tracked=tracked if frames else None)
