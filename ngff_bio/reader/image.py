"""One image with everything that the reader does with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack

from ngff_bio.errors import NameNotFoundError, closest_names
from ngff_bio.printing import printable
from ngff_bio.reader.access.image import ImageNode

if TYPE_CHECKING:
    import networkx as nx
    import PIL.Image
    import xarray as xr
    from typing_extensions import TypeVar

    from ngff_bio.reader.analysis.masks import InstanceMask
    from ngff_bio.reader.tables.frames import Library
    from ngff_bio.reader.tables.rows import RowSelection
    from ngff_bio.reader.xarray.blocks import Chunks
    from ngff_bio.reader.xarray.world import Position, Span, Units


class Image(ImageNode):
    """A multi-resolution image of a store. Nothing is read before it is needed.

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

    def level(
        self,
        number: int = 0,
        *,
        labels: Sequence[str] | None = None,
        chunks: Chunks = "auto",
    ) -> xr.Dataset:
        """One level: the image and its labels as variables on one grid of physical coordinates.

        Labels have no channel axis. A label image of another pixel size is resampled to the grid
        by nearest neighbour.

        Parameters
        ----------
        labels
            Names of the label images; all that can be read if ``None``.
        chunks
            Chunks of the dask arrays: ``"auto"`` for whole stored objects of about 32 MiB together,
            a number of bytes, or sizes along axes; ``None`` for lazy arrays without dask.

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If the image has no such level.
        ngff_bio.errors.StoreError
            If the level is listed but missing.
        """
        from ngff_bio.reader.xarray.views import level_dataset

        return level_dataset(self, number, labels=labels, chunks=chunks)

    def region(
        self,
        *,
        x: Span = None,
        y: Span = None,
        z: Span = None,
        t: Span = None,
        c: Span = None,
        resolution: Position | None = None,
        level: int | None = None,
        units: Units = "world",
        labels: Sequence[str] | None = None,
        chunks: Chunks = "auto",
    ) -> xr.Dataset:
        """Part of the image and of its labels at a given resolution, lazily.

        Parameters
        ----------
        x, y, z
            (start, stop): pixels whose centre is in start <= position < stop. A single value:
            the pixel that contains it. Values are positions in the unit of the axis, or carry a
            unit (``"12.5 um"``). A region is clipped to the image.
        t
            Index of a frame, or (start, stop) of indices.
        c
            Index or name of a channel, or (start, stop) of indices.
        resolution
            Pixel size in the unit of the axes, or in pixels of level 0 with ``units="pixel"``: the
            coarsest level whose pixels are not larger is read.
        level
            Number of the level, instead of a resolution.
        units
            ``"pixel"``: x, y and z are pixels of level 0.
        labels, chunks
            As for :meth:`level`.

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If the region is outside the image or empty.
        ngff_bio.errors.NameNotFoundError
            If the image has no channel of this name.
        """
        from ngff_bio.reader.xarray.views import level_dataset
        from ngff_bio.reader.xarray.world import choose_level, index_region

        number = choose_level(self.pixels, level, resolution, units)
        if isinstance(c, str):
            c = self._channel(c)
        spans = {"x": x, "y": y, "z": z, "t": t, "c": c}
        indexers = index_region(self.pixels, number, spans, units)
        return level_dataset(self, number, labels=labels, chunks=chunks).isel(indexers)

    def _channel(self, name: str) -> int:
        names = [c.label for c in self.meta.channels]
        if not name or name not in names:
            raise NameNotFoundError(
                f"no channel {name!r}",
                file=self.url,
                expected=closest_names(name, filter(None, names))
                or "this image has no named channels",
            )
        return names.index(name)

    def to_datatree(self, *, chunks: Chunks = "auto") -> xr.DataTree:
        """All levels as one tree with a node for each: ``tree["0"]``, ``tree["1"]``, ...

        The name of the tree is the last part of the path of the image.
        """
        import xarray as xr

        from ngff_bio.reader.xarray.views import level_datasets

        levels = {str(n): level for n, level in level_datasets(self, chunks).items()}
        return xr.DataTree.from_dict(levels, name=self.path.rpartition("/")[2] or None)

    def annotations(
        self,
        table: str | None = None,
        *,
        columns: Sequence[str] | None = None,
        to: Library = "pandas",
        **rows: Unpack[RowSelection],
    ) -> Any:
        """Annotations of the image as a table with a row per instance and frame.

        Rows are selected before they are read; all conditions must hold.

        Parameters
        ----------
        table
            Name of a table; all tables if ``None``, with the column ``layer`` first.
        columns
            Names of the columns; all if ``None``.
        to
            ``"pandas"``, ``"pyarrow"``, ``"polars"``, ``"geopandas"`` (polygons as geometry, in
            pixels), or ``"dask"`` (rows are read when they are computed).
        t
            Frames: an index, several, or a slice.
        category
            Name of a class, or several.
        label
            Label value, or several.
        x, y, z
            (start, stop) of a region that the box of a row must touch, as for :meth:`region`. A row
            with neither box nor polygons is kept.
        units
            ``"world"`` (default), or ``"pixel"``: x, y and z are pixels of level 0.
        where
            Further conditions: values by column (a list means any of them), or a pyarrow
            expression.

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If there is no such filter or library.
        ngff_bio.errors.NameNotFoundError
            If there is no such table, column or category; the message offers the nearest names.
        ngff_bio.errors.DependencyError
            If the library is not installed.
        """
        from ngff_bio.reader.tables.tables import read_tables

        origin = ("layer",) if table is None else ()
        return read_tables([self], table, self.url, origin, columns, to, rows)

    def instances(
        self,
        label: str | None = None,
        *,
        x: Span = None,
        y: Span = None,
        z: Span = None,
        t: Span = None,
        resolution: Position | None = None,
        level: int | None = None,
        units: Units = "world",
        hidden: bool = True,
    ) -> list[InstanceMask]:
        """Masks of the instances of a label image in a region, ordered by label value.

        Parameters
        ----------
        label
            Name of the label image; optional if only one holds instances.
        x, y, z, t, resolution, level, units
            The region, as for :meth:`region`. Instances are clipped to it.
        hidden
            Whether instances that are covered by others are completed from the hidden label images
            (and included where nothing of them is visible). Those that are whole in no label image,
            because too many others overlap them, are left out with a warning.

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If the region is outside the image, or the label image must be named.
        """
        from ngff_bio.reader.analysis.masks import instance_masks

        spans = {"x": x, "y": y, "z": z, "t": t}
        return instance_masks(self, label, spans, resolution, level, units, hidden=hidden)

    def tracks(self, name: str | None = None) -> nx.DiGraph:
        """Tracks as a directed graph: nodes are objects at a time, edges lead forward in time.

        A GEFF graph below ``tracks`` is returned as it is. Without one, the graph is made from a
        label layer whose values are the same object over time: a node ``(label, t)`` for each row
        of its table, and an edge to the next frame that has the value.

        Parameters
        ----------
        name
            Name of the graph, or of the label layer; optional if there is only one.

        Raises
        ------
        ngff_bio.errors.NameNotFoundError
            If there is no such graph and no such layer.
        ngff_bio.errors.DependencyError
            If networkx is not installed.
        """
        from ngff_bio.reader.tables.tracks import read_tracks

        return read_tracks(self, name)

    @property
    def derived(self) -> dict[str, Self]:
        """Images that were made from this one and written beside it, by name."""
        listed = self.nodes.names(self.below("derived"), "derived")
        return {n: type(self)(self.nodes, self.below(f"derived/{n}")) for n in listed}

    def thumbnail(
        self,
        size: int = 256,
        *,
        t: int | None = None,
        z: int | None = None,
        labels: str | None = None,
        opacity: float = 0.4,
    ) -> PIL.Image.Image:
        """One plane as an RGB image whose longer side is at most ``size`` pixels.

        Parameters
        ----------
        t, z
            Indices at level 0; the first frame and the middle plane if ``None``.
        labels
            Name of a label image to overlay in colour.
        opacity
            Opacity of the overlay, 0 to 1.
        """
        from ngff_bio.reader.analysis.render import thumbnail

        return thumbnail(self, size, t=t, z=z, labels=labels, opacity=opacity)

    def html(self, *, thumbnail: bool = False) -> str:
        """HTML representation, optionally with a thumbnail."""
        from ngff_bio.reader.html import image_html

        return image_html(self, thumbnail=thumbnail)

    def _repr_html_(self) -> str:
        return self.html()

    def __repr__(self) -> str:
        return printable(f"<ngff_bio.Image {self.path or '(root)'}: {self.summary()}>")


if TYPE_CHECKING:
    #: What the images of a collection are: those of `ngff_bio.open` have methods that write.
    ImageT = TypeVar("ImageT", bound=Image, default=Image, covariant=True)
else:
    from typing import TypeVar

    ImageT = TypeVar("ImageT")
