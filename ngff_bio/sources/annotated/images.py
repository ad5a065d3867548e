"""The images of a folder with annotation documents, and their label layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import AnnotatedImage, DocumentInstances, DocumentReader
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.names import safe_name
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.tiff.images import OpenedImage
from ngff_bio.model import (
    Category,
    Frame,
    InstanceLayer,
    Instances,
    LabelLayer,
    SourceImage,
)
from ngff_bio.sources.annotated.pairing import stem
from ngff_bio.sources.assembly import base_of, folder_of, layer_name
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.opening import file_images, image_of_file, image_of_frames

#: Key of dataset attributes and frame records with what documents state.
KEY = "annotations"


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """What a document states about one image; its instances are read again when they are written."""

    reader: DocumentReader
    index: int
    image: AnnotatedImage
    count: int
    classes: tuple[str, ...]
    categories: tuple[Category, ...]
    instances: MakeInstances | None = None
    last_frame: int = 0
    max_value: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Movie:
    """A document of tracks, and the image file of each frame."""

    reader: DocumentReader
    files: tuple[str, ...]
    categories: tuple[Category, ...]
    frames: Sequence[AnnotatedImage]


#: Instances whose geometry is in another file: gets what the document states, the image there, and
#: the (height, width) of the image file.
MakeInstances = Callable[[DocumentInstances, AnnotatedImage, tuple[int, int]], Instances]

#: Further label layers of an image file: gets its name and its (height, width).
MoreLayers = Callable[[str, tuple[int, int]], Sequence[LabelLayer]]


class ReadFolder(Protocol):
    """The parts of an `AnnotatedFolder` that its images are made of."""

    tree: FileTree
    problems: Problems
    axes: str | None
    entries: dict[str, list[Entry]]
    movies: list[Movie]

    @property
    def headers(self) -> dict[str, ImageHeader]:
        """Headers of the image files."""
        ...

    def turn_of(self, name: str) -> int:
        """EXIF orientation that an image file is shown with."""
        ...


@dataclass(slots=True, eq=False)
class ImageMaker:
    """Makes the images of a folder.

    Parameters
    ----------
    folder
        Its image files and documents.
    categories, splits, records, more_layers
        As in `AnnotatedFolder.dataset`.
    """

    folder: ReadFolder
    categories: Sequence[Category]
    splits: Mapping[str, Sequence[str]]
    records: Mapping[str, Mapping[str, object]]
    more_layers: MoreLayers | None
    layer: str = field(init=False)

    def __post_init__(self) -> None:
        entries = [e for found in self.folder.entries.values() for e in found]
        classes = {c.name for c in self.categories} | {c for e in entries for c in e.classes}
        movies = {c.name for m in self.folder.movies for c in m.categories}
        self.layer = layer_name(classes | movies | {c.name for e in entries for c in e.categories})

    def of_file(self, name: str) -> list[SourceImage]:
        """The images of an image file; annotations are of the first, or of the one that they state."""
        problems, tree = self.folder.problems, self.folder.tree
        found: list[SourceImage] = []
        with problems.caught():
            header, turn = self.folder.headers[name], self.folder.turn_of(name)
            for one in file_images(tree, name, header, self.folder.axes, turn, problems):
                found.append(self._image(name, one, len(found)))
            lost = [e for e in self.folder.entries.get(name, ()) if e.image.series >= len(found)]
            if lost:
                raise SourceError(
                    "annotations of an image that the file does not have",
                    file=name,
                    expected=f"{len(found)} images",
                    found=f"annotations of image {lost[0].image.series}, from 0",
                    hint="skip such annotations with --on-error skip",
                )
        return found

    def of_movie(self, movie: Movie) -> list[SourceImage]:
        """The image of a movie, with its tracks."""
        tree, problems = self.folder.tree, self.folder.problems
        with problems.caught():
            headers = [self.folder.headers[n] for n in movie.files]
            files = [tree.file(n) for n in movie.files]
            pixels = stack_frames(files, "t", headers=headers, limits=tree.limits)
            instances = [i for frame in movie.frames for i in frame.instances]
            numbers = range(len(movie.frames))
            layer = InstanceLayer(
                name=self.layer,
                instances=DocumentInstances(movie.reader, numbers, tracked=True),
                count=len(instances),
                max_value=max((i.value for i in instances), default=0),
                categories=merged_categories(
                    movie.categories, (i.category for i in instances if i.category is not None)
                ),
                tracked=True,
                on_error=problems.on_error,
            )
            about = {"file": movie.reader.file.name, "layer": self.layer}
            sizes = pixels.sizes or (None,) * len(files)
            frames = tuple(
                Frame(
                    name,
                    t,
                    size=sizes[t],
                    splits=tuple(self.splits.get(name, ())),
                    record={KEY: [{**about, "image": t, "record": dict(movie.frames[t].record)}]},
                )
                for t, name in enumerate(movie.files)
            )
            name = base_of(folder_of(movie.files[0])) or stem(base_of(movie.reader.file.name))
            layers = (layer,) if instances else ()
            return [image_of_frames(name, pixels, headers[0], layers, frames)]
        return []

    def _image(self, name: str, one: OpenedImage, series: int) -> SourceImage:
        layers: list[LabelLayer] = []
        stated: list[dict[str, object]] = []
        splits = list(self.splits.get(name, ()))
        size = (one.pixels.shape[-2], one.pixels.shape[-1])
        sizes = {a.name: n for a, n in zip(one.axes, one.pixels.shape, strict=True)}
        entries = [e for e in self.folder.entries.get(name, []) if e.image.series == series]
        for entry in entries:
            with self.folder.problems.caught():
                _check_size(entry, name, size)
                layer = self._layer(entry, layers, size, sizes.get("t", 1))
                about: dict[str, object] = {"file": entry.reader.file.name, "image": entry.index}
                if layer is not None:
                    layers.append(layer)
                    about["layer"] = layer.name
                if entry.image.record:
                    about["record"] = dict(entry.image.record)
                stated.append(about)
                splits += entry.image.splits
        placed = all(e.image.placed for e in entries)
        if layers and not placed and max(sizes.get("t", 1), sizes.get("z", 1)) > 1:
            self.folder.problems.warn(
                "the image is a stack: annotations apply to its first frame and to all its planes",
                record=name,
            )
        if self.more_layers is not None and not series:
            with self.folder.problems.caught():
                layers += self.more_layers(name, size)
        if not layers:
            self.folder.problems.note("images without annotations", record=name)
        record: dict[str, object] = dict(self.records.get(name, {}))
        if stated:
            record[KEY] = stated
        return image_of_file(name, one, layers, record, splits)

    def _layer(
        self, entry: Entry, before: Iterable[LabelLayer], size: tuple[int, int], times: int
    ) -> InstanceLayer | None:
        if not entry.count:
            return None
        used = {layer.name for layer in before}
        name = self.layer
        if used:
            label = entry.image.layer or stem(base_of(entry.reader.file.name))
            plain = name = f"{self.layer}-{safe_name(label)}"
            for again in range(2, len(used) + 2):
                if name not in used:
                    break
                name = f"{plain}-{again}"
        instances: Instances
        if entry.image.placed and entry.last_frame >= times:
            raise SourceError(
                "an object is on a frame that is not there",
                file=entry.reader.file.name,
                expected=f"frames 0 to {times - 1}",
                found=f"frame {entry.last_frame}",
                hint="if they are of another file, correct its name; or skip them with --on-error skip",
            )
        instances = stated = DocumentInstances(
            entry.reader,
            (entry.index, *[None] * (times - 1)),
            tracked=entry.image.tracked,
            placed=entry.image.placed,
        )
        if entry.instances is not None:
            instances = entry.instances(stated, entry.image, size)
        return InstanceLayer(
            name=name,
            instances=instances,
            count=entry.count,
            max_value=entry.max_value or entry.count,
            tracked=entry.image.tracked and times > 1,
            parents=dict(entry.image.parents),
            categories=merged_categories((*self.categories, *entry.categories), entry.classes),
            attributes=dict(getattr(instances, "attributes", {})),
            on_error=self.folder.problems.on_error,
        )


def merged_categories(listed: Iterable[Category], used: Iterable[str]) -> tuple[Category, ...]:
    """Listed classes, then those that are used and not listed, each name once."""
    found = {c.name: c for c in reversed(list(listed))}
    ordered = dict(reversed(found.items()))
    return tuple((ordered | {n: Category(n, n) for n in used if n not in ordered}).values())


def _check_size(entry: Entry, name: str, size: tuple[int, int]) -> None:
    stated = entry.image.size
    if stated is not None and stated != size:
        raise SourceError(
            "the image file has another size than its annotations state",
            file=entry.reader.file.name,
            record=entry.image.name,
            expected=f"{stated[0]} x {stated[1]} (height x width)",
            found=f"{size[0]} x {size[1]} in {name}",
            hint="if they are of another file, correct its name; or skip them with --on-error skip",
        )
