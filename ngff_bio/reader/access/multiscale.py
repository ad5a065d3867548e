"""A multi-resolution array of a store: an image's pixels, or one of its label images."""

from __future__ import annotations

from collections.abc import Iterator

from ngff_bio.errors import ArgumentError, StoreError
from ngff_bio.model import SampleType
from ngff_bio.ngff import AxisMeta, MultiscaleMeta
from ngff_bio.reader.access.arrays import StoredArray
from ngff_bio.reader.access.nodes import NodeTree
from ngff_bio.storage import join_key


class Multiscale:
    """Levels of one array and the world coordinates of their pixels.

    Parameters
    ----------
    nodes
        Metadata of the store.
    path
        Path of the group.
    meta
        Metadata of the group.
    """

    def __init__(self, nodes: NodeTree, path: str, meta: MultiscaleMeta) -> None:
        self.nodes = nodes
        self.path = path
        self.meta = meta

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self.nodes.storage.url}/{self.path}".rstrip("/")

    @property
    def axes(self) -> tuple[AxisMeta, ...]:
        """The axes, in the order of the array's."""
        return self.meta.axes

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the axes."""
        return tuple(a.name for a in self.meta.axes)

    def __len__(self) -> int:
        return len(self.meta.levels)

    def _level(self, number: int) -> int:
        if not -len(self) <= number < len(self):
            raise ArgumentError(
                "there is no such level",
                file=self.url,
                expected=f"0 to {len(self) - 1}",
                found=number,
            )
        return number % len(self)

    def place(self, number: int) -> str:
        """Path of the array of a level."""
        return join_key(self.path, self.meta.levels[self._level(number)].path, file=self.url)

    def array(self, number: int = 0) -> StoredArray:
        """The array of a level.

        Raises
        ------
        ngff_bio.errors.StoreError
            If the level is listed but absent, or does not have the axes that the group names.
        """
        array = self._open(number)
        if array.ndim != len(self.axes):
            raise StoreError(
                "the array of a level does not have the axes of its image",
                file=array.url,
                expected=", ".join(self.names),
                found=f"shape {array.shape}",
            )
        return array

    def _open(self, number: int) -> StoredArray:
        try:
            return self.nodes.array(self.place(number))
        except StoreError as error:
            raise StoreError(**{**error.parts(), "record": f"level {number}"}) from error

    def shape(self, number: int = 0) -> tuple[int, ...]:
        """Size of a level along each axis; from metadata alone."""
        return self.array(number).shape

    def sizes(self, number: int = 0) -> dict[str, int]:
        """Size of a level by axis; reads metadata only."""
        return dict(zip(self.names, self.shape(number), strict=True))

    def scale(self, number: int = 0) -> dict[str, float]:
        """Size of a pixel along each axis, in its unit (or in pixels of level 0)."""
        level = self.meta.levels[self._level(number)]
        return dict(zip(self.names, level.scale, strict=True))

    def translation(self, number: int = 0) -> dict[str, float]:
        """World position of the centre of the first pixel along each axis."""
        level = self.meta.levels[self._level(number)]
        offsets = level.translation or (0.0,) * len(self.names)
        return dict(zip(self.names, offsets, strict=True))

    def present(self) -> Iterator[int]:
        """Numbers of the levels that are there."""
        for number in range(len(self)):
            if self.nodes.document(self.place(number)) is not None:
                yield number

    @property
    def dtype(self) -> SampleType:
        """Type of a pixel of level 0."""
        return self.array(0).dtype


def overlap(image: Multiscale, other: Multiscale) -> bool:
    """Whether two arrays have pixels at the same place, along the axes of space that both have."""
    spans = []
    for one in (image, other):
        scale, shift, sizes = one.scale(), one.translation(), one.sizes()
        spans.append(
            {
                a.name: sorted((shift[a.name], shift[a.name] + scale[a.name] * (sizes[a.name] - 1)))
                for a in one.axes
                if a.type == "space"
            }
        )
    first, second = spans
    steps = (image.scale(), other.scale())
    for axis in first.keys() & second.keys():
        # Pixels reach half a pixel beyond their centres.
        reach = sum(abs(step[axis]) for step in steps) / 2
        (low, high), (start, stop) = first[axis], second[axis]
        if low - stop >= reach or start - high >= reach:
            return False
    return True
