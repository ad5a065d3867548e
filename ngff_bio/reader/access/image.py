"""One image: its levels, its labels, its annotations; nothing is read until asked for."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from ngff_bio.errors import ArgumentError, NameNotFoundError, StoreError
from ngff_bio.ngff import GroupMeta, MultiscaleMeta
from ngff_bio.reader.access.multiscale import Multiscale
from ngff_bio.reader.access.nodes import NodeTree

if TYPE_CHECKING:
    import networkx as nx
    import PIL.Image
    import xarray as xr

    from ngff_bio.reader.analysis.masks import InstanceMask
    from ngff_bio.reader.xarray.blocks import Chunks
    from ngff_bio.reader.xarray.world import Span

#: Name of the image's own variable beside those of its labels.
IMAGE = "image"


class Image:
    """A multi-resolution image of a store.

    Parameters
    ----------
    nodes
        Metadata of the store.
    path
        Path of the image's group, ``""`` for the root.

    Raises
    ------
    ngff_bio.errors.StoreError
        If there is no image at the path.
    """

    def __init__(self, nodes: NodeTree, path: str) -> None:
        meta = nodes.meta(path)
        if meta is None or not meta.multiscales:
            raise StoreError("there is no image at this path", file=f"{nodes.storage.url}/{path}")
        self._nodes = nodes
        self.path = path
        self.meta: GroupMeta = meta

    def __reduce__(self) -> tuple[Any, ...]:
        return (Image, (self._nodes.below(self.path), self.path))

    def _below(self, name: str) -> str:
        return f"{self.path}/{name}".lstrip("/")

    @property
    def url(self) -> str:
        """Where it lies."""
        return f"{self._nodes.storage.url}/{self.path}".rstrip("/")

    @property
    def multiscale(self) -> MultiscaleMeta:
        """Axes and levels."""
        return self.meta.multiscales[0]

    @cached_property
    def pixels(self) -> Multiscale:
        """The levels of its own pixels: ``image.pixels.array(0)[..., :512, :512]`` reads directly."""
        return Multiscale(self._nodes, self.path, self.multiscale)

    @property
    def axes(self) -> str:
        """Letters of the axes."""
        return "".join(a.name for a in self.multiscale.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of level 0 along each axis."""
        return self.level_shape(0)

    @property
    def sizes(self) -> dict[str, int]:
        """Size of level 0 by axis."""
        return dict(zip(self.pixels.names, self.shape, strict=True))

    @property
    def dtype(self) -> Any:
        """Type of a pixel."""
        return self.pixels.dtype

    @property
    def scale(self) -> dict[str, float]:
        """Size of a pixel of level 0 by axis."""
        return self.pixels.scale(0)

    @property
    def units(self) -> dict[str, str | None]:
        """Unit by axis, ``None`` where there is none."""
        return {a.name: a.unit for a in self.multiscale.axes}

    def level_shape(self, level: int) -> tuple[int, ...]:
        """Size of a level along each axis; from metadata alone."""
        return self.pixels.shape(level)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """What the image says of itself under the key ``ngff_bio``: frames, source name, ..."""
        return dict((self._nodes.attributes(self.path) or {}).get("ngff_bio") or {})

    @property
    def rendering(self) -> list[dict[str, Any]]:
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

    @property
    def frames(self) -> tuple[dict[str, Any], ...]:
        """What is known of each source image: name, t, elapsed hours, splits, ..."""
        return tuple(self.attributes.get("frames") or ())

    @cached_property
    def elapsed_hours(self) -> tuple[float, ...] | None:
        """Hours since the start for each index along t; ``None`` if they are not all known."""
        found = {f.get("t", 0): f.get("elapsed_hours") for f in self.frames}
        count = self.sizes.get("t", 1)
        hours = [found.get(t) for t in range(count)]
        known = tuple(h for h in hours if h is not None)
        return known if len(known) == count else None

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of its label images, the hidden ones too."""
        meta = self._nodes.meta(self._below("labels"))
        return meta.labels or () if meta is not None else ()

    def label(self, name: str) -> Multiscale:
        """The levels of a label image.

        Raises
        ------
        ngff_bio.errors.NameNotFoundError
            If there is none of that name.
        ngff_bio.errors.StoreError
            If it is no label image: its pixels are not integers.
        """
        meta = self.label_meta(name)
        made = Multiscale(self._nodes, self._below(f"labels/{name}"), meta.multiscales[0])
        kind = made.dtype
        if kind.kind not in "uib":
            raise StoreError(
                "a label image holds numbers that are not whole",
                file=made.url,
                expected="an integer type",
                found=str(kind),
            )
        return made

    def label_meta(self, name: str) -> GroupMeta:
        """What OME-Zarr says of a label image."""
        if name not in self.labels:
            raise self._unknown("label image", name, self.labels)
        meta = self._nodes.meta(self._below(f"labels/{name}"))
        if meta is None or not meta.multiscales:
            raise StoreError(
                "a label image that is listed is not there",
                file=f"{self.url}/labels/{name}",
            )
        return meta

    def _unknown(self, kind: str, name: str, names: Sequence[str]) -> NameNotFoundError:
        near = difflib.get_close_matches(name, names, 3) or list(names[:5])
        return NameNotFoundError(
            f"no {kind} {name!r}",
            file=self.url,
            expected=", ".join(near) or f"this image has no {kind}s",
        )

    def label_attributes(self, name: str) -> dict[str, Any]:
        """What a label image says of itself under the key ``ngff_bio``."""
        attributes = self._nodes.attributes(self._below(f"labels/{name}")) or {}
        return dict(attributes.get("ngff_bio") or {})

    @cached_property
    def layers(self) -> dict[str, tuple[str, ...]]:
        """Label images by layer: the visible one, and the hidden ones that complete it."""
        found: dict[str, tuple[str, ...]] = {}
        for name in self.labels:
            own = self.label_attributes(name)
            if not own.get("hides"):
                found[name] = tuple(h for h in own.get("hidden") or () if h in self.labels)
        return found

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """Names of its tables."""
        return tuple((self._nodes.attributes(self._below("tables")) or {}).get("tables") or ())

    def level(
        self,
        number: int = 0,
        *,
        labels: Sequence[str] | None = None,
        chunks: Chunks = "auto",
    ) -> xr.Dataset:
        """One level: the image and its labels as variables on one grid of physical coordinates.

        Labels have no channel axis. A label image of another pixel size is read at the nearest
        pixels.

        Parameters
        ----------
        labels
            Names of the label images wanted; all that can be read if ``None``.
        chunks
            Of dask: ``"auto"`` for whole stored objects of about 32 MiB together, bytes, or sizes
            along axes; ``None`` for direct lazy indexing without dask.

        Raises
        ------
        ngff_bio.errors.StoreError
            If the level is not there.
        """
        from ngff_bio.reader.xarray.views import level_dataset

        return level_dataset(self, number, labels=labels, chunks=chunks)

    def region(
        self,
        *,
        x: Span = None,
        y: Span = None,
        z: Span = None,
        t: Any = None,
        c: Any = None,
        resolution: Any = None,
        level: int | None = None,
        units: Literal["world", "pixel"] = "world",
        labels: Sequence[str] | None = None,
        chunks: Chunks = "auto",
    ) -> xr.Dataset:
        """Part of the image and of its labels, at a wanted resolution; lazily.

        Parameters
        ----------
        x, y, z
            (start, stop): pixels whose centre lies in start <= position < stop. A single value:
            the pixel that holds it. Values are positions in the axis's unit, or carry a unit
            (``"12.5 um"``). What reaches beyond the image is cut off.
        t
            Index of a frame, or (start, stop) of indices.
        c
            Index or name of a channel, or (start, stop) of indices.
        resolution
            Wanted pixel size in the world's unit: the coarsest level that is not coarser is taken.
            With ``units="pixel"`` in pixels of level 0.
        level
            A level, instead of a resolution.
        units
            ``pixel``: x, y and z are pixels of level 0.
        labels, chunks
            As for :meth:`level`.

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If the region is outside the image or empty.
        """
        from ngff_bio.reader.xarray.views import level_dataset
        from ngff_bio.reader.xarray.world import frame_span, pick_level, pixel_span

        world = units == "world"
        number = pick_level(self.pixels, resolution, world=world) if level is None else level
        sizes = dict(zip(self.pixels.names, self.level_shape(number), strict=True))
        wanted = {"x": x, "y": y, "z": z, "t": t, "c": c}
        at: dict[str, Any] = {}
        for axis in self.multiscale.axes:
            span = wanted.pop(axis.name, None)
            if span is None:
                continue
            if axis.name in ("x", "y", "z"):
                at[axis.name] = pixel_span(self.pixels, number, axis, span, world=world)
            else:
                span = self._channel(span) if axis.type == "channel" else span
                at[axis.name] = frame_span(axis.name, sizes[axis.name], span)
        for name, span in wanted.items():
            if span not in (None, 0):
                raise ArgumentError(
                    f"the image has no axis {name}", file=self.url, expected=self.axes
                )
        return level_dataset(self, number, labels=labels, chunks=chunks).isel(at)

    def _channel(self, span: Any) -> Any:
        if not isinstance(span, str):
            return span
        names = [c.label for c in self.meta.channels]
        if span not in names:
            raise self._unknown("channel", span, names)
        return names.index(span)

    def to_datatree(self, *, chunks: Chunks = "auto") -> xr.DataTree:
        """All levels as one tree with a node for each: ``tree["0"]``, ``tree["1"]``, ..."""
        import xarray as xr

        from ngff_bio.reader.xarray.views import level_numbers

        levels = {str(i): self.level(i, chunks=chunks) for i in level_numbers(self)}
        return xr.DataTree.from_dict(levels, name=self.path or None)

    def annotations(self, table: str | None = None, **wanted: Any) -> Any:
        """Table of its instances, a row each; of all tables if none is named.

        With several tables a column ``layer`` says which one a row is from. Keywords select rows
        before they are read, and the library that holds them:
        :func:`ngff_bio.reader.tables.tables.read_tables` lists them.

        Raises
        ------
        ngff_bio.errors.NameNotFoundError
            If there is no such table.
        """
        from ngff_bio.reader.tables.tables import read_tables

        return read_tables(self, table, **wanted)

    def instances(self, label: str | None = None, **region: Any) -> list[InstanceMask]:
        """Masks of the instances in a region, whole where others cover them.

        :func:`ngff_bio.reader.analysis.masks.instance_masks` says how the region is named.
        """
        from ngff_bio.reader.analysis.masks import instance_masks

        return instance_masks(self, label, **region)

    def tracks(self, name: str | None = None) -> nx.DiGraph:
        """Tracks as a directed graph: a node is an object at a time, an edge leads on in time.

        :func:`ngff_bio.reader.tables.tracks.read_tracks` says where they come from.
        """
        from ngff_bio.reader.tables.tracks import read_tracks

        return read_tracks(self, name)

    def thumbnail(self, size: int = 256, **wanted: Any) -> PIL.Image.Image:
        """A small picture of one plane: the coarsest level that is large enough, reduced.

        :func:`ngff_bio.reader.analysis.thumbnail.thumbnail` lists the keywords.
        """
        from ngff_bio.reader.analysis.thumbnail import thumbnail

        return thumbnail(self, size, **wanted)

    def html(self, *, thumbnail: bool = False) -> str:
        """The image for a notebook, on request with a small picture of it."""
        from ngff_bio.reader.xarray.html import image_html

        return image_html(self, thumbnail=thumbnail)

    def _repr_html_(self) -> str:
        return self.html()

    def summary(self) -> str:
        """One line: axes, shape, levels, labels."""
        sizes = " ".join(f"{a}{n}" for a, n in zip(self.axes, self.shape, strict=True))
        labels = f", labels {', '.join(self.labels)}" if self.labels else ""
        return f"{sizes}, {len(self.multiscale.levels)} levels{labels}"

    def __repr__(self) -> str:
        return f"<ngff_bio.Image {self.path or '(root)'}: {self.summary()}>"
