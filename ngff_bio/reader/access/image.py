"""Metadata and arrays of one image: what all other modules of the reader work on."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any, Self, TypedDict

import msgspec

from ngff_bio.errors import NameNotFoundError, StoreError, closest_names, plain_reason
from ngff_bio.model import SampleType
from ngff_bio.ngff import GroupMeta, MultiscaleMeta
from ngff_bio.parallel import decoder_of
from ngff_bio.printing import printable
from ngff_bio.reader.access.multiscale import Multiscale, overlap
from ngff_bio.reader.access.nodes import NodeTree, children
from ngff_bio.storage import Storage

#: Name of the image's own variable beside those of its labels.
IMAGE = "image"

#: A JSON object of the metadata.
Attributes = dict[str, Any]


class FrameAttributes(TypedDict, total=False):
    """A source image as the attributes of an image describe it (:class:`.FrameEntry`)."""

    name: str | None
    t: int
    size: tuple[int, int] | None
    elapsed_hours: float | None
    splits: list[str] | None
    record: dict[str, Any] | None


class PartlyUnreadableWarning(UserWarning):
    """Part of a store cannot be read and was skipped."""


class AlignedLabelsWarning(UserWarning):
    """A label image is not on the grid of its image, and was aligned with it."""


def warn_skipped(what: str, reason: object, *, depth: int = 3) -> None:
    """Warn that part of a store is skipped."""
    warnings.warn(
        printable(f"{what} is skipped: {reason}"), PartlyUnreadableWarning, stacklevel=depth
    )


class ImageNode:
    """Metadata, levels and label images of an image; see :class:`ngff_bio.reader.Image`."""

    def __init__(self, nodes: NodeTree, path: str) -> None:
        meta = nodes.meta(path)
        if meta is None or not meta.multiscales:
            raise StoreError("there is no image at this path", file=f"{nodes.storage.url}/{path}")
        self.nodes = nodes
        self.path = path
        self.meta: GroupMeta = meta

    def __reduce__(self) -> tuple[type[Self], tuple[NodeTree, str]]:
        return (type(self), (self.nodes.below(self.path), self.path))

    def below(self, name: str) -> str:
        """Path of a group below the image's."""
        return f"{self.path}/{name}".lstrip("/")

    @property
    def storage(self) -> Storage:
        """Where the store is kept."""
        return self.nodes.storage

    @property
    def url(self) -> str:
        """URL of the image's group."""
        return f"{self.storage.url}/{self.path}".rstrip("/")

    @property
    def multiscale(self) -> MultiscaleMeta:
        """Axes and levels."""
        return self.meta.multiscales[0]

    @cached_property
    def further(self) -> dict[str, Multiscale]:
        """Multiscales of the group beside the first, which is the image: by name, or else number."""
        found: dict[str, Multiscale] = {}
        for number, meta in enumerate(self.meta.multiscales[1:], 1):
            unnamed = not meta.name or meta.name in found
            name = str(number) if unnamed else str(meta.name)
            found[name] = Multiscale(self.nodes, self.path, meta)
        return found

    @cached_property
    def pixels(self) -> Multiscale:
        """Levels of the image: ``image.pixels.array(0)[..., :512, :512]`` reads pixels directly."""
        return Multiscale(self.nodes, self.path, self.multiscale)

    @property
    def axes(self) -> str:
        """Letters of the axes."""
        return "".join(a.name for a in self.multiscale.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of level 0."""
        return self.level_shape(0)

    @property
    def sizes(self) -> dict[str, int]:
        """Size of level 0 by axis."""
        return self.pixels.sizes(0)

    @property
    def dtype(self) -> SampleType:
        """Data type of the pixels."""
        return self.pixels.dtype

    @property
    def scale(self) -> dict[str, float]:
        """Pixel size of level 0 by axis."""
        return self.pixels.scale(0)

    @property
    def units(self) -> dict[str, str | None]:
        """Unit by axis, ``None`` where there is none."""
        return {a.name: a.unit for a in self.multiscale.axes}

    def level_shape(self, level: int) -> tuple[int, ...]:
        """Shape of a level; reads metadata only."""
        return self.pixels.shape(level)

    @cached_property
    def attributes(self) -> Attributes:
        """Attributes of the image under the key ``ngff_bio``: source name, frames, ..."""
        return self.nodes.own(self.path)

    @property
    def rendering(self) -> list[Attributes]:
        """Channels as a viewer shows them (``omero``): label, colour, window."""
        return [
            {
                "label": c.label,
                "color": c.color,
                "active": c.active,
                "window": {"min": c.minimum, "max": c.maximum, "start": c.start, "end": c.end},
            }
            for c in self.meta.channels
        ]

    @cached_property
    def frames(self) -> tuple[FrameAttributes, ...]:
        """Source images: name, t, elapsed hours, splits, true size."""
        found = self.attributes.get("frames") or ()
        try:
            decoder_of(tuple[FrameAttributes, ...])
            msgspec.convert(found, tuple[FrameAttributes, ...])
        except msgspec.ValidationError as error:
            raise StoreError(
                "the frames of an image have a wrong type",
                file=self.url,
                found=plain_reason(error),
            ) from error
        return tuple(found)

    @cached_property
    def elapsed_hours(self) -> tuple[float, ...] | None:
        """Hours since the start for each index along t; ``None`` if any is unknown."""
        found = {f.get("t", 0): f.get("elapsed_hours") for f in self.frames}
        hours = [found.get(t) for t in range(self.sizes.get("t", 1))]
        known = tuple(h for h in hours if h is not None)
        return known if len(known) == len(hours) else None

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the label images, including hidden ones.

        spatialdata keeps labels beside images: all that overlap this one in world coordinates.
        """
        if self._of_spatialdata:
            return tuple(n for n in children(self.nodes, "labels") if self._overlaps(f"labels/{n}"))
        meta = self.nodes.meta(self.below("labels"))
        return meta.labels or () if meta is not None else ()

    @cached_property
    def _of_spatialdata(self) -> bool:
        """Whether labels and tables are at the root of the store."""
        root = self.nodes.attributes("") or {}
        return "spatialdata_attrs" in root and self.path.startswith("images/")

    def _overlaps(self, path: str) -> bool:
        """Whether a label image has pixels on the image."""
        meta = self.nodes.meta(path)
        return (
            meta is not None
            and bool(meta.multiscales)
            and overlap(self.pixels, Multiscale(self.nodes, path, meta.multiscales[0]))
        )

    def label_path(self, name: str) -> str:
        """Path of the group of a label image."""
        return f"labels/{name}" if self._of_spatialdata else self.below(f"labels/{name}")

    def table_path(self, name: str) -> str:
        """Path of the group of a table."""
        return f"tables/{name}" if self._of_spatialdata else self.below(f"tables/{name}")

    def label(self, name: str) -> Multiscale:
        """Levels of a label image.

        Raises
        ------
        ngff_bio.errors.NameNotFoundError
            If there is no label image of this name.
        ngff_bio.errors.StoreError
            If its pixels are not integers.
        """
        levels = Multiscale(self.nodes, self.label_path(name), self.label_meta(name).multiscales[0])
        if levels.dtype.kind not in "uib":
            raise StoreError(
                "the values of a label image are not integers",
                file=levels.url,
                expected="an integer type",
                found=levels.dtype,
            )
        return levels

    def label_meta(self, name: str) -> GroupMeta:
        """OME-Zarr metadata of a label image."""
        if name not in self.labels:
            raise NameNotFoundError(
                f"no label image {name!r}",
                file=self.url,
                expected=closest_names(name, self.labels) or "this image has no label images",
            )
        meta = self.nodes.meta(self.label_path(name))
        if meta is None or not meta.multiscales:
            raise StoreError(
                "a label image is listed but missing", file=f"{self.url}/labels/{name}"
            )
        return meta

    def label_attributes(self, name: str) -> Attributes:
        """Attributes of a label image under the key ``ngff_bio``."""
        return self.nodes.own(self.label_path(name))

    def is_semantic(self, name: str) -> bool:
        """Whether the values of a label image are classes, not instances."""
        return self.label_attributes(name).get("values") == "semantic"

    @cached_property
    def layers(self) -> dict[str, tuple[str, ...]]:
        """Label images by layer: the visible one, and the hidden ones that complete it."""
        found: dict[str, tuple[str, ...]] = {}
        for name in self.labels:
            if not self.label_attributes(name).get("hides"):
                found[name] = self.hidden(name)
        return found

    def hidden(self, name: str) -> tuple[str, ...]:
        """Hidden label images that complete a label image."""
        named = self.label_attributes(name).get("hidden") or ()
        return tuple(h for h in named if h in self.labels)

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables; of spatialdata, those that annotate a label image of this one."""
        if self._of_spatialdata:
            return tuple(n for n in children(self.nodes, "tables") if self._is_annotated(n))
        return self.nodes.names(self.below("tables"), "tables")

    def _is_annotated(self, table: str) -> bool:
        region = (self.nodes.attributes(f"tables/{table}") or {}).get("region")
        regions = region if isinstance(region, list) else [region]
        return any(name in regions for name in (*self.labels, self.path.rpartition("/")[2]))

    def summary(self) -> str:
        """One line: axes, shape, levels, labels."""
        sizes = " ".join(f"{a}{n}" for a, n in self.sizes.items())
        labels = f", labels {', '.join(self.labels)}" if self.labels else ""
        return f"{sizes}, {len(self.multiscale.levels)} levels{labels}"
