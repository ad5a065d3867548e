"""A folder of image files with annotation documents as a dataset.

A source reads its documents into an `AnnotatedFolder`, which pairs them with image files, checks
sizes, reports what does not fit, and makes the images with their label layers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ngff_bio.errors import NgffBioError, SourceError, SourceNotFoundError
from ngff_bio.formats.documents import (
    AnnotatedImage,
    Document,
    DocumentReader,
    read_document,
)
from ngff_bio.formats.images.headers import ImageHeader, exif_orientation
from ngff_bio.formats.json.text import JsonKind
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.tiff.images import check_axes
from ngff_bio.formats.xml import root_tag
from ngff_bio.model import Category, SourceDataset
from ngff_bio.parallel import shared_pool
from ngff_bio.sources.annotated.images import (
    KEY,
    Entry,
    ImageMaker,
    MakeInstances,
    MoreLayers,
    Movie,
)
from ngff_bio.sources.annotated.pairing import ImageFinder
from ngff_bio.sources.assembly import (
    base_of,
    dataset_of,
    folder_of,
    given_twice,
    image_files,
    probe_all,
    without_image,
)
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.mask_content import masks_among

FindImage = Callable[[str, str], str | None]

#: Options of sources of annotation documents.
OPTIONS = {
    "axes": "axes of TIFFs that do not state them, in the order of the file: tyx",
}


def xml_documents(tree: FileTree, root: str) -> list[str]:
    """Names of the XML files with a root element, and of those that cannot be read as XML."""
    listed = [n for n in tree.names() if n.lower().endswith(".xml")]
    tags = tree.each(lambda name: root_tag(tree.file(name)), listed)
    return [n for n, tag in zip(listed, tags, strict=True) if tag in (root, None)]


def json_documents(tree: FileTree, kind: JsonKind) -> list[str]:
    """Names of the JSON files of a format; without any, those of no format: one may be damaged."""
    kinds = {n: tree.json_kind(n) for n in tree.names() if n.lower().endswith(".json")}
    found = [n for n, k in kinds.items() if k == kind]
    return found or [n for n, k in kinds.items() if k is None]


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
    documents: list[dict[str, object]] = field(default_factory=list)
    _headers: dict[str, ImageHeader] | None = None
    _turns: dict[str, int] = field(default_factory=dict)

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
        check_axes(axes)
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
        if name not in self._turns:
            self._turns[name] = exif_orientation(self.tree.file(name), header)
        turn = self._turns[name]
        sizes = {e.image.size for e in self.entries.get(name, ()) if e.image.size is not None}
        stored = header.size in sizes and header.size[::-1] not in sizes
        return 1 if turn > 4 and stored else turn

    def add(
        self,
        reader: DocumentReader,
        find: FindImage | None = None,
        instances: MakeInstances | None = None,
    ) -> Document | None:
        """Read a document, and find the image file of each of its images.

        Parameters
        ----------
        find
            From the name of an image in the document, and the name of this, to the image file; else by
            `ImageFinder.find`.
        instances
            Instances of an image, if not those of the document.
        """
        return self.add_all([reader], find, instances)[0]

    def add_all(
        self,
        readers: Sequence[DocumentReader],
        find: FindImage | None = None,
        instances: MakeInstances | None = None,
    ) -> list[Document | None]:
        """Read documents, several at a time where files are remote; see `add`."""
        on_error = self.problems.on_error

        def read(reader: DocumentReader) -> tuple[Document | None, Problems, NgffBioError | None]:
            own = Problems(on_error)
            try:
                return read_document(reader, own), own, None
            except NgffBioError as error:
                return None, own, error

        remote = len(readers) > 1 and readers[0].file.path is None
        read_all = shared_pool(remote=True).map(read, readers) if remote else map(read, readers)
        found: list[Document | None] = []
        for reader, (document, own, error) in zip(readers, read_all, strict=True):
            self.problems.notices += own.notices
            if error is not None:
                self.problems.fail(error)
            if document is not None:
                self._add(reader, document, find, instances)
            found.append(document)
        return found

    def _add(
        self,
        reader: DocumentReader,
        document: Document,
        find: FindImage | None,
        instances: MakeInstances | None,
    ) -> None:
        self.read_files.add(reader.file.name)
        if document.record:
            self.documents.append({"file": reader.file.name, "record": document.record})
        near = folder_of(reader.file.name)
        for index, image in enumerate(document.images):
            with self.problems.caught():
                if find is not None:
                    name = find(image.name, reader.file.name)
                else:
                    name = self.finder.find(image.name, near)
                if name is None:
                    raise without_image(reader.file.name, base_of(image.name), image.name)
                entry = _entry(reader, index, image, document.categories)
                self.entries[name].append(replace(entry, instances=instances))

    def check_readable(self, document: str, frames: Sequence[str]) -> None:
        """Refuse a movie of which a frame is not readable: those after it would be counted wrong."""
        lost = [n for n in frames if n not in self.headers]
        if lost:
            raise SourceError(
                "a frame of a movie with tracks is not readable",
                file=document,
                record=lost[0],
                expected=f"{len(frames)} readable frames",
                found=f"{len(lost)} that are not",
                hint="replace them, or leave out the movie with --on-error skip",
            )

    def add_movie(self, reader: DocumentReader, files: Sequence[str]) -> None:
        """Read a document whose images are the frames of one movie, a file each."""
        with self.problems.caught():
            for other in self.movies:
                if not set(files).isdisjoint(other.files):
                    raise given_twice(reader.file.name, other.reader.file.name)
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
        records: Mapping[str, Mapping[str, object]] | None = None,
        record: Mapping[str, object] | None = None,
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
        maker = ImageMaker(self, categories, splits or {}, records or {}, more_layers)
        in_movies = {name for movie in self.movies for name in movie.files}
        single = [n for n in self.headers if n not in in_movies]
        alone = [n for n in single if n not in self.entries]
        masks = masks_among(self.tree, self.headers, alone, self.problems)
        images = [(folder_of(n), i) for n in single if n not in masks for i in maker.of_file(n)]
        images += [(folder_of(m.files[0]), i) for m in self.movies for i in maker.of_movie(m)]
        if not images:
            raise self.problems.nothing("no image file is readable", self.tree.origin)
        named = {s for _, image in images for frame in image.frames for s in frame.splits}
        order = ("train", "val", "valid", "validation", "test")
        ranked = sorted(named, key=lambda s: (order.index(s) if s in order else len(order), s))
        about = {"format": source, "documents": self.documents, **(record or {})}
        return dataset_of(
            self.tree,
            source,
            images,
            splits=ranked,
            attributes={KEY: about},
            read_files=sorted(self.read_files),
        )


def _entry(
    reader: DocumentReader, index: int, image: AnnotatedImage, categories: tuple[Category, ...]
) -> Entry:
    classes = dict.fromkeys(i.category for i in image.instances if i.category is not None)
    count = len(image.instances)
    last = max((i.t for i in image.instances), default=0)
    about = replace(image, instances=())
    top = max((i.value for i in image.instances), default=0)
    return Entry(
        reader, index, about, count, tuple(classes), categories, last_frame=last, max_value=top
    )
