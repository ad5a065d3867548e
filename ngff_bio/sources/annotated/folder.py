"""A folder of image files with annotation documents as a dataset.

A source reads its documents into an `AnnotatedFolder`, which pairs them with image files, checks
sizes, reports what does not fit, and makes the images with their label layers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.documents import (
    AnnotatedImage,
    Document,
    DocumentInstances,
    DocumentReader,
    read_document,
)
from ngff_bio.formats.images.frames import open_image, stack_frames
from ngff_bio.formats.images.headers import ImageHeader, exif_orientation
from ngff_bio.formats.json.text import JsonKind, json_kind
from ngff_bio.formats.names import safe_name
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.tiff.images import OpenedImage
from ngff_bio.model import (
    Category,
    Frame,
    InstanceLayer,
    LabelLayer,
    SourceDataset,
    SourceImage,
    axes_from,
)
from ngff_bio.sources.annotated.pairing import ImageFinder, stem
from ngff_bio.sources.assembly import (
    base_of,
    folder_of,
    image_files,
    layer_name,
    placed,
    probe_all,
)
from ngff_bio.sources.files.tree import FileTree

#: Options of sources of annotation documents.
OPTIONS = {
    "axes": "axes of TIFFs that do not state them, in the order of the file: tyx",
}


def json_documents(tree: FileTree, kind: JsonKind) -> list[str]:
    """Names of the JSON files of a format; without any, those of no format: one may be damaged."""
    kinds = {n: json_kind(tree.file(n)) for n in tree.names() if n.lower().endswith(".json")}
    found = [n for n, k in kinds.items() if k == kind]
    return found or [n for n, k in kinds.items() if k is None]


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


@dataclass(frozen=True, slots=True, eq=False)
class Movie:
    """A document of tracks, and the image file of each frame."""

    reader: DocumentReader
    files: tuple[str, ...]
    categories: tuple[Category, ...]
    frames: Sequence[AnnotatedImage]


#: Further label layers of an image file: gets its name and its (height, width).
MoreLayers = Callable[[str, tuple[int, int]], Sequence[LabelLayer]]


@dataclass(slots=True, eq=False)
class AnnotatedFolder:
    """The image files and documents of a dataset.

    Parameters
    ----------
    tree
        All files of the source.
    images
        Names of the image files that are converted.
    problems
        Receives what is wrong.
    axes
        Axes of TIFFs that do not state them.
    """

    tree: FileTree
    images: Sequence[str]
    problems: Problems
    axes: str | None = None
    finder: ImageFinder = field(init=False)
    movies: list[Movie] = field(default_factory=list)
    entries: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    #: Names of documents and other files that were read.
    read_files: set[str] = field(default_factory=set)
    documents: list[dict[str, Any]] = field(default_factory=list)
    _headers: dict[str, ImageHeader] | None = None

    def __post_init__(self) -> None:
        self.finder = ImageFinder(self.images)

    @classmethod
    def open(
        cls,
        tree: FileTree,
        documents: Iterable[str],
        title: str,
        problems: Problems,
        *,
        axes: str | None = None,
        images: Sequence[str] | None = None,
    ) -> AnnotatedFolder:
        """The folder of some documents.

        Parameters
        ----------
        documents
            Names of the documents.
        title
            Name of the format.
        images
            Names of the image files that are converted; all by default.

        Raises
        ------
        ngff_bio.errors.SourceNotFoundError
            If there is no document, or no image file.
        """
        listed = list(documents)
        images = image_files(tree.names()) if images is None else images
        if not images or not listed:
            raise SourceNotFoundError(
                f"not a dataset of {title}",
                file=tree.origin,
                expected=f"files of {title}, and image files",
                found=f"{len(listed)} files of {title}, {len(images)} image files",
                hint="name the folder that holds both",
            )
        return cls(tree, images, problems, axes)

    @property
    def headers(self) -> dict[str, ImageHeader]:
        """Headers of the image files that can be read."""
        if self._headers is None:
            self._headers = probe_all(self.tree, self.images, self.problems)
        return self._headers

    def size_of(self, name: str) -> tuple[int, int]:
        """Height and width of an image file as tools show it; see `turn_of`."""
        height, width = self.headers[name].size
        return (width, height) if self.turn_of(name) > 4 else (height, width)

    def turn_of(self, name: str) -> int:
        """EXIF orientation that an image file is shown with, 1 for none.

        Tools show images turned; a document that states the size of the stored pixels does not.
        """
        header = self.headers[name]
        turn = exif_orientation(self.tree.file(name), header)
        sizes = {e.image.size for e in self.entries.get(name, ()) if e.image.size is not None}
        stored = header.size in sizes and header.size[::-1] not in sizes
        return 1 if turn > 4 and stored else turn

    def add(
        self, reader: DocumentReader, find: Callable[[str], str | None] | None = None
    ) -> Document | None:
        """Read a document, and find the image file of each of its images.

        Parameters
        ----------
        find
            From the name of an image in the document to its file; else by `ImageFinder.find`.
        """
        document = None
        with self.problems.caught():
            document = read_document(reader, self.problems)
        if document is None:
            return None
        self.read_files.add(reader.file.name)
        if document.record:
            self.documents.append({"file": reader.file.name, "record": document.record})
        near = folder_of(reader.file.name)
        for index, image in enumerate(document.images):
            with self.problems.caught():
                name = find(image.name) if find is not None else self.finder.find(image.name, near)
                if name is None:
                    raise without_image(reader.file.name, base_of(image.name), image.name)
                self.entries[name].append(_entry(reader, index, image, document.categories))
        return document

    def add_movie(self, reader: DocumentReader, files: Sequence[str]) -> None:
        """Read a document whose images are the frames of one movie, a file each."""
        with self.problems.caught():
            document = read_document(reader, self.problems)
            self.read_files.add(reader.file.name)
            self.documents.append({"file": reader.file.name, "record": document.record})
            self.movies.append(Movie(reader, tuple(files), document.categories, document.images))

    def dataset(
        self,
        source: str,
        *,
        categories: Sequence[Category] = (),
        splits: Mapping[str, Sequence[str]] | None = None,
        records: Mapping[str, Mapping[str, Any]] | None = None,
        record: Mapping[str, Any] | None = None,
        more_layers: MoreLayers | None = None,
    ) -> SourceDataset:
        """The dataset of all image files.

        Parameters
        ----------
        source
            Name of the source.
        categories
            Classes that no document lists, but another file of the dataset.
        splits
            Splits of image files by name, besides those that documents state.
        records
            What the frame of an image file keeps besides.
        record
            What the dataset keeps besides the documents, JSON values only.
        more_layers
            Further label layers of an image file.

        Raises
        ------
        ngff_bio.errors.SourceNotFoundError
            If no image can be read.
        """
        maker = _Images(self, categories, splits or {}, records or {}, more_layers)
        in_movies = {name for movie in self.movies for name in movie.files}
        images = [
            (folder_of(n), i) for n in self.headers if n not in in_movies for i in maker.of_file(n)
        ]
        images += [(folder_of(m.files[0]), i) for m in self.movies for i in maker.of_movie(m)]
        if not images:
            raise SourceNotFoundError("no image file is readable", file=self.tree.origin)
        named = {s for _, image in images for frame in image.frames for s in frame.splits}
        order = ("train", "val", "valid", "validation", "test")
        ranked = sorted(named, key=lambda s: (order.index(s) if s in order else len(order), s))
        about = {"format": source, "documents": self.documents, **(record or {})}
        return SourceDataset(
            name=PurePosixPath(self.tree.origin.rstrip("/")).stem or source,
            source=source,
            origin=self.tree.origin,
            layout="image" if len(images) == 1 else "collection",
            images=placed(images),
            splits=tuple(ranked),
            notices=self.problems.gathered(),
            attributes={KEY: about},
            read_files=tuple(sorted(self.read_files)),
        )


@dataclass(slots=True, eq=False)
class _Images:
    """Makes the images of a folder."""

    folder: AnnotatedFolder
    categories: Sequence[Category]
    splits: Mapping[str, Sequence[str]]
    records: Mapping[str, Mapping[str, Any]]
    more_layers: MoreLayers | None
    layer: str = field(init=False)

    def __post_init__(self) -> None:
        entries = [e for found in self.folder.entries.values() for e in found]
        classes = {c.name for c in self.categories} | {c for e in entries for c in e.classes}
        movies = {c.name for m in self.folder.movies for c in m.categories}
        self.layer = layer_name(classes | movies | {c.name for e in entries for c in e.categories})

    def of_file(self, name: str) -> list[SourceImage]:
        """The images of an image file; annotations are of the first."""
        problems, tree = self.folder.problems, self.folder.tree
        found: list[SourceImage] = []
        with problems.caught():
            file, header = tree.file(name), self.folder.headers[name]
            opened = open_image(file, header, axes=self.folder.axes, limits=tree.limits)
            for one in opened:
                problems.notices.extend(one.notices)
                found.append(self._image(name, self._turned(name, one), first=not found))
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
            image = SourceImage(
                path="",
                name=name,
                axes=axes_from(pixels.axes),
                pixels=pixels,
                labels=(layer,) if instances else (),
                channels=headers[0].channels,
                frames=frames,
            )
            return [image]
        return []

    def _turned(self, name: str, one: OpenedImage) -> OpenedImage:
        turn = self.folder.turn_of(name)
        if turn == 1:
            return one
        self.folder.problems.note("images rotated by their EXIF orientation", record=name)
        pixels = stack_frames(
            [self.folder.tree.file(name)], headers=[self.folder.headers[name]], orientation=turn
        )
        return replace(one, pixels=pixels, attributes={**one.attributes, "exif_orientation": turn})

    def _image(self, name: str, one: OpenedImage, *, first: bool) -> SourceImage:
        layers: list[LabelLayer] = []
        stated: list[dict[str, Any]] = []
        splits = list(self.splits.get(name, ()))
        size = (one.pixels.shape[-2], one.pixels.shape[-1])
        sizes = {a.name: n for a, n in zip(one.axes, one.pixels.shape, strict=True)}
        entries = self.folder.entries.get(name, []) if first else []
        for entry in entries:
            with self.folder.problems.caught():
                _check_size(entry, name, size)
                layer = self._layer(entry, layers, sizes.get("t", 1))
                about: dict[str, Any] = {"file": entry.reader.file.name, "image": entry.index}
                if layer is not None:
                    layers.append(layer)
                    about["layer"] = layer.name
                if entry.image.record:
                    about["record"] = dict(entry.image.record)
                stated.append(about)
                splits += entry.image.splits
        if layers and max(sizes.get("t", 1), sizes.get("z", 1)) > 1:
            self.folder.problems.warn(
                "the image is a stack: annotations apply to its first frame and to all its planes",
                record=name,
            )
        if self.more_layers is not None and first:
            with self.folder.problems.caught():
                layers += self.more_layers(name, size)
        if not layers:
            self.folder.problems.note("images without annotations", record=name)
        record: dict[str, Any] = dict(self.records.get(name, {}))
        if stated:
            record[KEY] = stated
        base = base_of(name)
        return SourceImage(
            path="",
            name=f"{base}/{one.name}" if one.name else base,
            axes=one.axes,
            pixels=one.pixels,
            labels=tuple(layers),
            channels=one.channels,
            frames=tuple(
                Frame(
                    name,
                    t,
                    elapsed_hours=hours,
                    splits=tuple(dict.fromkeys(splits)),
                    record=record,
                )
                for t, hours in enumerate(one.elapsed_hours or (None,))
            ),
            attributes=one.attributes,
        )

    def _layer(
        self, entry: Entry, before: Iterable[LabelLayer], times: int
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
        images = (entry.index, *[None] * (times - 1))
        return InstanceLayer(
            name=name,
            instances=DocumentInstances(entry.reader, images),
            count=entry.count,
            max_value=entry.count,
            categories=merged_categories((*self.categories, *entry.categories), entry.classes),
            on_error=self.folder.problems.on_error,
        )


def _entry(
    reader: DocumentReader, index: int, image: AnnotatedImage, categories: tuple[Category, ...]
) -> Entry:
    classes = dict.fromkeys(i.category for i in image.instances if i.category is not None)
    count = len(image.instances)
    return Entry(reader, index, replace(image, instances=()), count, tuple(classes), categories)


def merged_categories(listed: Iterable[Category], used: Iterable[str]) -> tuple[Category, ...]:
    """Listed classes, then those that are used and not listed, each name once."""
    found = {c.name: c for c in reversed(list(listed))}
    ordered = dict(reversed(found.items()))
    return tuple((ordered | {n: Category(n, n) for n in used if n not in ordered}).values())


def without_image(file: str, expected: str, record: str | None = None) -> SourceError:
    """The error for annotations whose image file is not there."""
    return SourceError(
        "annotations without their image",
        file=file,
        record=record,
        expected=f"an image file {expected}",
        found="no such file, or several",
        hint="add the image file, or skip such annotations with --on-error skip",
    )


def _check_size(entry: Entry, name: str, size: tuple[int, int]) -> None:
    stated = entry.image.size
    if stated is not None and stated != size:
        raise SourceError(
            "the image file has another size than its annotations state",
            file=entry.reader.file.name,
            record=entry.image.name,
            expected=f"{stated[0]} x {stated[1]} (height x width)",
            found=f"{size[0]} x {size[1]} in {name}",
            hint="check that the annotations belong to this image file",
        )
