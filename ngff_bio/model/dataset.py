"""A dataset: images with their frames and annotations, and how they are arranged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ngff_bio.model.accounting import FileAccount
from ngff_bio.model.annotations import LabelLayer, Rgba
from ngff_bio.model.axes import Axis
from ngff_bio.model.files import SourceParts, names_of, parts_of
from ngff_bio.model.notices import Notice
from ngff_bio.model.pixels import Pixels


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel, and how viewers should show it.

    Parameters
    ----------
    name
        Its name; ``""`` if the source gives none.
    color
        Its color; ``None`` if the source gives none.
    window
        Pixel values that are black and white, if the source gives them.
    active
        Whether it is shown at first.
    """

    name: str
    color: Rgba | None = None
    window: tuple[float, float] | None = None
    active: bool = True


@dataclass(frozen=True, slots=True)
class Frame:
    """One source image: a time point, or the only frame of an image.

    Parameters
    ----------
    name
        The source's own file name (below the dataset's folder), with any characters.
    t
        Index along t; 0 if there is no such axis.
    size
        True (height, width) if the frame is smaller than the image's plane.
    elapsed_hours
        Time since the start of the experiment.
    splits
        Names of the splits or annotation files that the frame belongs to.
    record
        Its other attributes in the source (ids, focus scores, ...), JSON values only.
    """

    name: str
    t: int = 0
    size: tuple[int, int] | None = None
    elapsed_hours: float | None = None
    splits: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceImage:
    """One multi-dimensional image with its label layers.

    Parameters
    ----------
    path
        Its group in the store, ``""`` for the root: ``50``, ``A172/B/7/0``.
    name
        Its name in the source.
    axes
        In the order t, c, z, y, x.
    pixels
        Its pixels, with these axes.
    labels
        Its label layers; their axes are the image's without c.
    channels
        One for each index along c.
    frames
        Attributes of each frame.
    translation
        World position of pixel 0 along each axis, in the axis's unit (or pixels); ``None`` is 0.
    attributes
        Its other attributes in the source; they become part of the ``ngff_bio`` attribute.
    """

    path: str
    name: str
    axes: tuple[Axis, ...]
    pixels: Pixels
    labels: tuple[LabelLayer, ...] = ()
    channels: tuple[Channel, ...] = ()
    frames: tuple[Frame, ...] = ()
    translation: tuple[float, ...] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def axis_names(self) -> str:
        """Letters of the axes, ``"tczyx"`` for five."""
        return "".join(a.name for a in self.axes)

    @property
    def first_file(self) -> str:
        """Name of the file that the pixels are read from, the first of several; ``""`` if unknown."""
        for part in parts_of(self.pixels):
            if names := names_of((part,)):
                return names.pop()
        return self.frames[0].name if self.frames else ""

    def source_parts(self) -> SourceParts:
        """What the pixels and the label layers are made of."""
        return parts_of(self.pixels, *self.labels)


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table of a plate: values of each column, texts, numbers or ``None``.

    ``type`` is that of the table in ngio's specification.
    """

    name: str
    columns: Mapping[str, Sequence[str | int | float | None]]
    type: Literal["generic_table", "condition_table"] = "generic_table"


@dataclass(frozen=True, slots=True)
class SourcePlate:
    """An HCS plate; its images have the path ``<path>/<row>/<column>/<field>``.

    ``rows`` and ``columns`` are all names of the layout, not only those in use. ``acquisitions`` are
    as OME-Zarr describes them; where there are some, the attribute ``acquisition`` of each image is
    the id of its own.
    """

    path: str
    name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    acquisitions: tuple[Mapping[str, Any], ...] = ()
    tables: tuple[SourceTable, ...] = ()


@dataclass(frozen=True, slots=True)
class OmeDocument:
    """OME-XML of a file of the source; ``images`` are paths of those that it describes, in order."""

    text: str
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceDataset:
    """Everything that one conversion writes into one store.

    ``layout`` is ``image`` (one image at the root), ``collection`` (a group per image, at the
    image's path) or ``plates``. ``single_path`` is the path that an image at the root has in a
    collection. ``origin`` is the folder, archive or URL that the user named.
    ``collections`` are paths of groups below the root that are collections of their own.
    ``options`` are those that the source was read with: with them it reads the same dataset again.
    ``read_files`` are names of files that were read besides those that pixels and layers name: tables,
    lists, annotation files. ``account`` says of each file whether it was read. ``documents`` are
    OME-XML of its files: the collection's has them.
    """

    name: str
    source: str
    origin: str
    layout: Literal["image", "collection", "plates"]
    images: tuple[SourceImage, ...]
    plates: tuple[SourcePlate, ...] = ()
    collections: tuple[str, ...] = ()
    licence: str | None = None
    citation: str | None = None
    splits: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    read_files: tuple[str, ...] = ()
    account: FileAccount = field(default_factory=FileAccount)
    documents: tuple[OmeDocument, ...] = ()
    single_path: str = ""

    def single_at_root(self) -> SourceDataset:
        """The same; if the collection has one image only, that is the root of the store."""
        if len(self.images) != 1:
            return self
        (image,) = self.images
        root = replace(image, path="")
        return replace(self, layout="image", images=(root,), single_path=image.path)

    def as_collection(self) -> SourceDataset:
        """A single image at the root as a collection, for a store that already is one."""
        (image,) = self.images
        return replace(
            self,
            layout="collection",
            images=(replace(image, path=self.single_path),),
            documents=tuple(replace(d, images=(self.single_path,)) for d in self.documents),
        )

    @property
    def frame_count(self) -> int:
        """Number of time points of all images; planes are no frames."""
        return sum(i.pixels.shape[0] if i.axis_names[0] == "t" else 1 for i in self.images)

    def source_parts(self) -> SourceParts:
        """What the images are made of."""
        return parts_of(*self.images)

    def with_images(self, images: Iterable[SourceImage]) -> SourceDataset:
        """The same with some of its images, and the plates of these.

        Files of the others alone are unread.
        """
        kept = tuple(images)
        plates = tuple(
            p for p in self.plates if any(i.path.startswith(f"{p.path}/".lstrip("/")) for i in kept)
        )
        lost = names_of(parts_of(*self.images)) - names_of(parts_of(*kept)) - {*self.read_files}
        account = self.account.without(lost, "image that could not be read")
        return replace(self, images=kept, plates=plates, account=account)
