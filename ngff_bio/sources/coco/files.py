"""The COCO files of a dataset: which images they list, and the label layers of an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ngff_bio.errors import SourceError
from ngff_bio.formats.coco.file import CocoFile, CocoImage
from ngff_bio.formats.coco.index import open_coco
from ngff_bio.formats.coco.layers import (
    KEY,
    AnnotationSet,
    ImageEntry,
    Placement,
    annotation_sets,
    frame_record,
    instance_layers,
    short_names,
)
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.problems import Problems, skipped_notice
from ngff_bio.model import Frame, InstanceLayer, SourceImage
from ngff_bio.sources.assembly import layer_name
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.opening import image_of_frames


@dataclass(frozen=True, slots=True)
class ImageLabels:
    """The label layers of one image, and the name of the layer of each set of annotations."""

    layers: tuple[InstanceLayer, ...]
    _names: Mapping[int, str | None]
    _numbers: Mapping[str, int]

    def record(self, sets: Sequence[AnnotationSet]) -> dict[str, object]:
        """What a frame keeps of its entries in the files."""
        found = frame_record(((s, self._names.get(id(s))) for s in sets), self._numbers)
        return {KEY: found} if found else {}


@dataclass(slots=True)
class CocoFiles:
    """The COCO files of a dataset.

    Parameters
    ----------
    tree
        The files of the source.
    files
        In order of preference: where several list an image, the first gives its layer the plain name.
    layer
        Name of the first label layer.
    splits
        Name of the split that each file defines, by the file's name.
    problems
        Takes what is wrong.
    missing
        Entries without an image file, by the file's name.
    """

    tree: FileTree
    files: tuple[CocoFile, ...]
    layer: str
    splits: Mapping[str, str]
    problems: Problems
    missing: dict[str, list[CocoImage]] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        tree: FileTree,
        names: Sequence[str],
        layer: str | None,
        split: Callable[[str], str],
        problems: Problems,
    ) -> CocoFiles:
        """Read the images and categories of files; annotations are located, not read.

        Parameters
        ----------
        names
            Names of the files, in order of preference.
        layer
            Name of the first label layer; ``None`` for that of the only category.
        split
            From the name of a file to that of its split.
        """
        found: list[CocoFile] = []
        for name in names:
            with problems.caught():
                found.append(open_coco(tree.file(name), problems, digests=len(names) > 1))
        layer = layer or layer_name(c.name for coco in found for c in coco.categories)
        return cls(tree, tuple(found), layer, {c.name: split(c.name) for c in found}, problems)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the files."""
        return tuple(c.name for c in self.files)

    def entries(
        self,
        headers: Mapping[str, ImageHeader],
        find: Callable[[CocoFile, str], str | None],
        *,
        lenient: bool = False,
    ) -> dict[str, list[ImageEntry]]:
        """Entries of each image file; entries without one, or of another size, are reported.

        Parameters
        ----------
        headers
            Of the image files, by name.
        find
            From a COCO file and a ``file_name`` in it to the name of the image file.
        lenient
            Whether entries without an image file are usual in the dataset, and not an error.
        """
        found: dict[str, list[ImageEntry]] = {name: [] for name in headers}
        for coco in self.files:
            missing = []
            for image in coco.images:
                with self.problems.caught():
                    name = find(coco, image.file_name)
                    if name is None:
                        missing.append(image)
                    elif name not in headers:
                        self.problems.skip("listed images are not converted", coco.name, name)
                    else:
                        _check_size(image, coco, headers[name], name)
                        found[name].append(ImageEntry(coco, image))
            if missing:
                self.missing[coco.name] = missing
                error = coco.missing_error(missing)
                if lenient:
                    self.problems.notices.append(skipped_notice(error, len(missing)))
                else:
                    self.problems.fail(error, len(missing))
        for name, listing in found.items():
            if self.files and not listing:
                self.problems.note("images that are not listed by any annotation file", record=name)
        return found

    def labels(self, placements: Sequence[Placement]) -> ImageLabels:
        """The label layers of an image, of the annotations on its frames."""
        names = list(self.splits)
        layers, layer_of = instance_layers(
            self.layer, placements, short_names(names), self.problems.on_error
        )
        return ImageLabels(
            layers,
            {id(p.annotations): layer_of.get(i) for i, p in enumerate(placements)},
            {name: number for number, name in enumerate(names)},
        )

    def splits_of(self, entries: Sequence[ImageEntry]) -> tuple[str, ...]:
        """Names of the splits that list an image."""
        return tuple(dict.fromkeys(self.splits[e.coco.name] for e in entries))

    def attributes(self) -> list[dict[str, object]]:
        """What the dataset keeps of the files."""
        return [c.attributes(self.missing.get(c.name, ())) for c in self.files]

    def image(
        self,
        name: str,
        path: str,
        files: Sequence[str],
        headers: Mapping[str, ImageHeader],
        entries: Mapping[str, Sequence[ImageEntry]],
    ) -> SourceImage:
        """An image file, or several as the frames of a movie, as an image with its labels."""
        pixels = stack_frames(
            [self.tree.file(n) for n in files],
            "t" if len(files) > 1 else "",
            headers=[headers[n] for n in files],
            limits=self.tree.limits,
        )
        sets = [annotation_sets(entries[n]) for n in files]
        labels = self.labels([Placement(one, t) for t, same in enumerate(sets) for one in same])
        frames = (
            Frame(file, t, splits=self.splits_of(entries[file]), record=labels.record(sets[t]))
            for t, file in enumerate(files)
        )
        return image_of_frames(name, pixels, headers[files[0]], labels.layers, frames, path)


def _check_size(image: CocoImage, coco: CocoFile, header: ImageHeader, name: str) -> None:
    if image.size is not None and image.size != header.size:
        raise SourceError(
            "the image file has another size than its entry states",
            file=coco.name,
            record=f"images[{image.index}] (id {image.id})",
            expected=f"{image.size[0]} x {image.size[1]} (height x width)",
            found=f"{header.size[0]} x {header.size[1]} in {name}",
            hint="if it is of another file, correct file_name; or skip it with --on-error skip",
        )
