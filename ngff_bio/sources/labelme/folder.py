"""Any folder with labelme files: the shapes of each on its image file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from posixpath import normpath

from ngff_bio.errors import SourceNotFoundError
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.images.headers import ImageHeader, exif_orientation, probe_image
from ngff_bio.formats.labelme.labelme import EmbeddedImage, LabelmeFile, read_labelme
from ngff_bio.formats.names import safe_name
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.tiff.images import OpenedImage
from ngff_bio.model import Frame, InstanceLayer, SourceDataset, SourceImage, axes_from
from ngff_bio.sources.annotated.pairing import ImageFinder, stem
from ngff_bio.sources.assembly import (
    base_of,
    dataset_of,
    folder_of,
    image_files,
    layer_name,
    probe_all,
)
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.mask_content import masks_among
from ngff_bio.sources.images.movies import SERIES_HELP, movies_of
from ngff_bio.sources.images.numbered import Series
from ngff_bio.sources.images.opening import file_images, image_of_file, image_of_frames
from ngff_bio.sources.labelme.shapes import (
    SCALE_HELP,
    note_embedded,
    open_embedded,
    scale_to,
    shape_layer,
    shape_record,
)
from ngff_bio.sources.registry import Source


def detect(tree: FileTree) -> int:
    """1 if a JSON file has labelme's keys."""
    return int(any(_is_labelme(tree, n) for n in tree.names()))


def _is_labelme(tree: FileTree, name: str) -> bool:
    return tree.json_kind(name) == "labelme"


def read(
    tree: FileTree,
    problems: Problems,
    *,
    scale_annotations: bool = False,
    axes: str | None = None,
    series: str | None = None,
) -> SourceDataset:
    """Every image file as an image, with the shapes of its labelme file.

    Parameters
    ----------
    scale_annotations
        Scale shapes whose file states another image size than the image has.
    axes
        Axes of TIFFs that do not state them.
    series
        ``t`` if files whose names differ in a number alone are the frames of one movie.

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If there is no labelme file, or no image file.
    ngff_bio.errors.SourceError
        If a file is damaged, has no image, or does not fit it.
    """
    names = tree.names()
    image_names = image_files(names)
    pairs = _Pairs(ImageFinder(image_names), problems)
    for name in names:
        if name.lower().endswith(".json") and _is_labelme(tree, name):
            with problems.caught():
                pairs.add(read_labelme(tree.file(name), problems))
    if not pairs.contents:
        raise SourceNotFoundError(
            "not a labelme dataset",
            file=tree.origin,
            expected='JSON files with "shapes"',
            found="; ".join(n.what for n in problems.notices[:3]) or "no such file",
            hint="name the folder that holds them",
        )
    layer = layer_name(label for content in pairs.contents for label in content.labels)
    reader = _Reader(tree, problems, scale_annotations, axes, layer)
    alone = [name for name in image_names if name not in pairs.of]
    masks = masks_among(tree, probe_all(tree, alone, Problems("skip")), alone, problems)
    image_names = [name for name in image_names if name not in masks]
    images: list[tuple[str, SourceImage]] = []
    for one in reader.movies(image_names, series):
        if len(one.files) > 1:
            made = reader.of_movie(one, [pairs.of.get(n, []) for n in one.files])
        else:
            made = reader.of_file(one.files[0], pairs.of.get(one.files[0], []))
        images += [(one.folder, image) for image in made]
    taken = {name.lower() for name in image_names}
    for content in pairs.alone:
        name = _embedded_name(content, taken)
        taken.add(name.lower())
        images += [(folder_of(name), i) for i in reader.of_embedded(content, name)]
    if not images:
        raise problems.nothing("no image is readable", tree.origin)
    return dataset_of(tree, "labelme", images, read_files=(c.name for c in pairs.contents))


@dataclass(slots=True)
class _Pairs:
    """Annotation files by their image file.

    The image file of the same name beside it, as labelme saves it; else the one at ``imagePath``; else
    the only one below the root with the name in ``imagePath``, or with the annotation file's name.
    """

    finder: ImageFinder
    problems: Problems
    of: dict[str, list[LabelmeFile]] = field(default_factory=lambda: defaultdict(list))
    #: Files without an image file.
    alone: list[LabelmeFile] = field(default_factory=list)
    contents: list[LabelmeFile] = field(default_factory=list)

    def add(self, content: LabelmeFile) -> None:
        """Find the image file of an annotation file."""
        self.contents.append(content)
        name = self._find(content)
        if name is None:
            self.alone.append(content)
        else:
            self.of[name].append(content)
            note_embedded(content, self.problems)

    def _find(self, content: LabelmeFile) -> str | None:
        folder = folder_of(content.name)
        given = (content.image_path or "").replace("\\", "/")
        path = normpath(f"{folder}/{given}".lstrip("/")) if given else ""
        at_path = path if path in self.finder else None
        beside = self.finder.beside(content.name)
        if beside is not None:
            if at_path is not None and at_path != beside:
                self.problems.warn(
                    f"imagePath is {at_path}, but {beside} has the name of the file and is used",
                    file=content.name,
                )
            elif given and base_of(given) != base_of(beside):
                self.problems.note(
                    "imagePath names a file that is not there: the image of the file's name is used",
                    record=content.name,
                )
            return beside
        found = at_path or (self.finder.find(base_of(given)) if given else None)
        return found or self.finder.of_stem(base_of(content.name))


def _embedded_name(content: LabelmeFile, taken: Container[str]) -> str:
    """Name of the image in an annotation file: that of its ``imagePath``, if no other image has it."""
    base = base_of((content.image_path or "").replace("\\", "/"))
    name = f"{folder_of(content.name)}/{base}".lstrip("/")
    return name if base and name.lower() not in taken else content.name


@dataclass(frozen=True, slots=True)
class _Reader:
    tree: FileTree
    problems: Problems
    scale_annotations: bool
    axes: str | None
    layer: str

    def movies(self, names: Sequence[str], series: str | None) -> list[Series]:
        """Image files that are images by themselves, and those that are frames of a movie."""
        if series != "t":
            return movies_of(names, {}, series, self.problems)
        headers: dict[str, ImageHeader] = {}
        for name in names:
            with self.problems.caught():
                headers[name] = probe_image(self.tree.file(name), self.tree.limits)

        def unlike(files: Sequence[str]) -> str | None:
            turns = {exif_orientation(self.tree.file(n), headers[n]) for n in files}
            return None if turns == {1} else "files that are rotated by their EXIF orientation"

        return movies_of(names, headers, series, self.problems, unlike)

    def of_movie(self, one: Series, contents: Sequence[Sequence[LabelmeFile]]) -> list[SourceImage]:
        """The image of a movie, with the shapes of each frame; `contents` are those of each file."""
        found: list[SourceImage] = []
        with self.problems.caught():
            files = [self.tree.file(n) for n in one.files]
            headers = [probe_image(f, self.tree.limits) for f in files]
            pixels = stack_frames(files, "t", headers=headers, limits=self.tree.limits)
            records: list[dict[str, object]] = [{} for _ in files]
            layers = []
            for number in range(max(map(len, contents))):
                frames = [c[number] if number < len(c) else None for c in contents]
                layer = self.layer if not number else f"{self.layer}-{number + 1}"
                scales = [
                    (1.0, 1.0)
                    if c is None
                    else scale_to(c, headers[t].size, self.scale_annotations, self.problems)
                    for t, c in enumerate(frames)
                ]
                layers.append(shape_layer(layer, self.tree, frames, scales))
                for record, content, scale in zip(records, frames, scales, strict=True):
                    if content is not None:
                        own = shape_record(content, scale, layer)
                        record |= own if not record else {content.name: own}
            named = enumerate(zip(one.files, records, strict=True))
            made = (Frame(name, t, record=record) for t, (name, record) in named)
            found.append(image_of_frames(one.name, pixels, headers[0], layers, made))
        return found

    def of_file(self, name: str, contents: Sequence[LabelmeFile]) -> list[SourceImage]:
        """The images of an image file; annotations are of the first."""
        found: list[SourceImage] = []
        with self.problems.caught():
            file = self.tree.file(name)
            header = probe_image(file, self.tree.limits)
            if not contents:
                self.problems.note("image files without annotations", record=name)
            turn = exif_orientation(file, header)
            for one in file_images(self.tree, name, header, self.axes, turn, self.problems):
                found.append(self._image(name, one, () if found else contents))
        return found

    def of_embedded(self, content: LabelmeFile, name: str) -> list[SourceImage]:
        """The image inside an annotation file, under a name of its own."""
        found: list[SourceImage] = []
        with self.problems.caught():
            expected = f"an image file {PurePosixPath(content.name).stem}.*"
            pixels = open_embedded(self.tree, content, expected)
            header = probe_image(EmbeddedImage(self.tree.file(content.name)), self.tree.limits)
            one = OpenedImage("", pixels, axes_from(pixels.axes), channels=header.channels)
            image = self._image(content.name, one, [content])
            found.append(replace(image, name=base_of(name)))
        return found

    def _image(self, name: str, one: OpenedImage, contents: Sequence[LabelmeFile]) -> SourceImage:
        layers: list[InstanceLayer] = []
        record: dict[str, object] = {}
        size = (one.pixels.shape[-2], one.pixels.shape[-1])
        for content in contents:
            with self.problems.caught():
                scale = scale_to(content, size, self.scale_annotations, self.problems)
                layer = self.layer
                if layers:
                    layer = f"{layer}-{safe_name(stem(base_of(content.name)))}"
                    self.problems.warn("two annotation files of one image", file=content.name)
                later = self._later_frames(content, one)
                layers.append(
                    shape_layer(layer, self.tree, [content, *[None] * later], [scale] * (1 + later))
                )
                own = shape_record(content, scale, layer)
                record |= own if not record else {content.name: own}
        return image_of_file(name, one, layers, record)

    def _later_frames(self, content: LabelmeFile, image: OpenedImage) -> int:
        """Number of frames after the first, which alone has annotations."""
        size = {a.name: n for a, n in zip(image.axes, image.pixels.shape, strict=True)}
        if size.get("t", 1) > 1 or size.get("z", 1) > 1:
            self.problems.warn(
                "the image is a stack: shapes apply to its first frame and to all its planes",
                file=content.name,
            )
        return size.get("t", 1) - 1


SOURCE = Source(
    name="labelme",
    title="labelme: any folder with labelme files and image files",
    layout='*.json with "shapes", and the image of each beside it, inside it, or at its imagePath',
    detect=detect,
    read=read,
    options={
        "scale_annotations": SCALE_HELP,
        "axes": "axes of TIFFs that do not state them, in the order of the file: tyx",
        "series": SERIES_HELP,
    },
)
