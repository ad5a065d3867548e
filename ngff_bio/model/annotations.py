"""Annotations: instances, categories, and the layers that they form on an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from ngff_bio.model.files import SourceParts, parts_of
from ngff_bio.model.notices import Notice, OnError
from ngff_bio.model.pixels import Pixels
from ngff_bio.model.runs import RunVolume

Rgba = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Category:
    """A class that instances belong to.

    Parameters
    ----------
    id
        The source's own id, of any type.
    name
        The source's own name.
    color
        Red, green, blue, alpha in 0..255, if the source or its documentation gives one.
    record
        Its other attributes in the source (``supercategory``, ``skeleton``, ...).
    """

    id: int | str
    name: str
    color: Rgba | None = None
    record: dict[str, Any] = field(default_factory=dict)


#: How outlines are drawn; see `Polygons`.
OutlineRule = Literal["coco", "center", "imagej", "opencv"]


@dataclass(frozen=True, slots=True)
class Polygons:
    """One or several closed outlines, each ``x0, y0, x1, y1, ...`` in pixels, verbatim.

    They cover the union of what is drawn for each: by pycocotools (COCO), or, for the rules
    ``"center"`` and ``"imagej"``, pixels whose center is inside. A center on an outline is inside if
    the area is to its right (``"center"``, as Java defines it), or left (``"imagej"``), or below. For
    ``"opencv"`` coordinates are those of pixels, and the pixels of the outline are covered too.
    """

    parts: tuple[Sequence[float], ...]
    rule: OutlineRule = "coco"


@dataclass(frozen=True, slots=True)
class Rle:
    """A COCO run-length code: column-major, 0-based, the first run is background.

    ``size`` is (height, width); ``counts`` a compressed string or the list of run lengths. ``cut``
    is whether the source has pixels beyond the image, which no code can hold.
    """

    size: tuple[int, int]
    counts: str | list[int]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A box of pixels: half-open [x0, x1) and [y0, y1), before clipping to the frame."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def xywh(self) -> tuple[float, float, float, float]:
        """x, y, width and height."""
        return self.x0, self.y0, self.x1 - self.x0, self.y1 - self.y0


@dataclass(frozen=True, slots=True)
class Shape:
    """A labelme shape; ``points`` are (x, y) in pixels. It covers what labelme draws.

    ``mask`` is the raw base64 PNG of a labelme ``mask`` shape, else ``None``.
    """

    type: str
    points: tuple[tuple[float, float], ...]
    mask: str | None = None


Geometry = Polygons | Rle | Box | Shape


@dataclass(slots=True)
class Instance:
    """One annotated object on one frame.

    Parameters
    ----------
    value
        Its label value: 1 or more, unique in its layer over all frames and planes; a tracked object
        has one value.
    t, z
        Index of the frame and of the plane; ``z`` is ``None`` if it applies to every plane.
    geometry
        What it covers; ``None`` if the source gives no outline.
    category
        Name of its class, if any.
    category_id, source_id, track_id
        The source's own ids, of any type; ``None`` if there are none.
    box
        x, y, width, height in pixels in the source; ``None`` if it gives none.
    area
        Area in pixels in the source.
    iscrowd
        COCO's flag.
    score
        Confidence of a prediction, as in the source.
    record
        The source's record as JSON text with its keys in their order; the geometry that other
        columns hold verbatim is null in it.
    files, indices
        Names of the annotation files that contain the record, and its position in each.
    variants
        If the record differs between these files: for each of them JSON text of the members that
        differ (its id there), or ``None``.
    window
        Row, column, height and width of the part of the frame that coordinates refer to (a crop in a
        larger frame); ``None`` for the whole frame.
    notice
        What is wrong with it. If it is ``skipped``, it is not drawn, but has a row.
    """

    value: int
    geometry: Geometry | None
    t: int = 0
    z: int | None = None
    category: str | None = None
    category_id: int | str | None = None
    source_id: int | str | None = None
    track_id: int | str | None = None
    box: tuple[float, float, float, float] | None = None
    area: float | None = None
    iscrowd: int | None = None
    score: float | None = None
    record: str | None = None
    files: tuple[str, ...] = ()
    indices: tuple[int, ...] = ()
    variants: tuple[str | None, ...] | None = None
    window: tuple[int, int, int, int] | None = None
    notice: Notice | None = None

    @property
    def place(self) -> tuple[str | None, str]:
        """File and record, as errors and reports name them."""
        record = f"id {self.source_id}" if self.source_id is not None else f"label {self.value}"
        if not self.files:
            return None, record
        return self.files[0], f"annotations[{self.indices[0]}] ({record})"


@runtime_checkable
class Instances(Protocol):
    """Instances of a layer, read frame by frame. Pickles, and opens its own files."""

    def read(self, t: int) -> list[Instance]:
        """All instances of frame ``t``, in source order, with their label values set."""
        ...

    def source_parts(self) -> SourceParts:
        """Files that the instances are read from, and what else they are made of."""
        ...


@dataclass(frozen=True, slots=True)
class InstanceLayer:
    """A label layer whose instances have outlines, runs or boxes.

    ``count`` is the number of instances over all frames; ``max_value`` the largest label value.
    ``on_error`` decides whether an instance that cannot be drawn ends the conversion, or is reported.
    ``parents`` of a tracked layer are as in `VolumeLayer`.
    """

    name: str
    instances: Instances
    count: int
    max_value: int
    categories: tuple[Category, ...] = ()
    tracked: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)
    on_error: OnError = "stop"
    parents: dict[int, int] = field(default_factory=dict)

    def source_parts(self) -> SourceParts:
        """What the instances are made of."""
        return parts_of(self.instances)


@dataclass(frozen=True, slots=True)
class VolumeLayer:
    """A label layer that the source has as pixels (or as runs of a whole volume).

    Parameters
    ----------
    pixels
        Unsigned label values on the image's axes without c.
    kind
        ``semantic``: values are classes, listed in ``categories``. ``instance``: values are
        objects, and get a table row each; on an image with axis t a row for each frame.
    source_ids
        Source id by label value, where the two differ.
    classes
        Name of the semantic layer that gives each instance its class by majority.
    compare
        A second source of the same layer; pixels on which the two disagree are reported.
    tracked
        On an image with axis t: whether a value is one object on all frames, or equal values on two
        frames are different objects.
    parents
        Of a tracked layer: label value of the object that each one is a part of after a division.
    listed
        Label values that the source lists besides its pixels, and that should occur in them.
    """

    name: str
    pixels: Pixels | RunVolume
    kind: Literal["semantic", "instance"]
    max_value: int
    categories: tuple[Category, ...] = ()
    source_ids: dict[int, int | str] = field(default_factory=dict)
    classes: str | None = None
    compare: Pixels | RunVolume | None = None
    tracked: bool | None = None
    parents: dict[int, int] = field(default_factory=dict)
    listed: tuple[int, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)

    def source_parts(self) -> SourceParts:
        """What both sources of the layer are made of."""
        return parts_of(self.pixels, *(() if self.compare is None else (self.compare,)))


LabelLayer = InstanceLayer | VolumeLayer

#: Hidden label images of a layer at most; what finds no place in them is complete in its table only.
MAX_HIDDEN = 16


def label_dtype(max_value: int) -> np.dtype[Any]:
    """Smallest unsigned type of 8, 16 or 32 bits that holds ``max_value`` (0 is background)."""
    for kind in (np.uint8, np.uint16, np.uint32):
        if max_value <= np.iinfo(kind).max:
            return np.dtype(kind)
    raise ValueError(f"{max_value} objects are more than label values of 32 bits")
