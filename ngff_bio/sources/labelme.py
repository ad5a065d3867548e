"""Any folder of pictures with labelme files: shapes on each, whatever the files say of their paths."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from posixpath import normpath

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.images.headers import EXTENSIONS, ImageHeader, exif_orientation, probe_image
from ngff_bio.formats.json.text import json_kind
from ngff_bio.formats.labelme.labelme import (
    EmbeddedImage,
    LabelmeFile,
    LabelmeInstances,
    read_labelme,
)
from ngff_bio.formats.names import safe_name
from ngff_bio.formats.problems import Problems
from ngff_bio.model import (
    Category,
    Frame,
    InstanceLayer,
    OnError,
    SourceDataset,
    SourceImage,
    axes_from,
)
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.files import OpenedImage, PictureFiles
from ngff_bio.sources.images.headers import DOCUMENTS, base_of, folder_of, placed
from ngff_bio.sources.registry import Source

#: Name of the layer where classes do not give it one.
LAYER = "objects"


def detect(tree: FileTree) -> int:
    """A guess where a JSON file has labelme's keys."""
    return int(any(_is_labelme(tree, n) for n in tree.names()))


def _is_labelme(tree: FileTree, name: str) -> bool:
    return name.lower().endswith(".json") and json_kind(tree.file(name)) == "labelme"


def read(
    tree: FileTree,
    *,
    on_error: OnError = "stop",
    scale_annotations: bool = False,
    axes: str | None = None,
) -> SourceDataset:
    """Every picture as an image, with the shapes of its labelme file.

    Parameters
    ----------
    on_error
        ``stop`` at the first wrong file or shape, or ``skip`` it and report.
    scale_annotations
        Scale shapes whose file gives another image size than the image has.
    axes
        What the axes of TIFFs are, where they do not say it.

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If there is no labelme file, or no picture.
    ngff_bio.errors.SourceError
        If a file is damaged, has no image, or does not fit it.
    """
    problems = Problems(on_error)
    names = tree.names()
    pictures = [n for n in names if n.lower().endswith(EXTENSIONS)]
    pairs = _Pairs(pictures, problems)
    for name in names:
        if name.lower().endswith(".json") and _is_labelme(tree, name):
            with problems.caught():
                pairs.add(read_labelme(tree.file(name), problems))
        elif not name.lower().endswith((*EXTENSIONS, *DOCUMENTS)):
            problems.skip("neither a picture nor a labelme file", record=name)
    if not pairs.count:
        raise SourceNotFoundError(
            "no labelme file is here",
            file=tree.origin,
            expected='JSON files with "shapes"',
            found="; ".join(n.what for n in problems.notices[:3]) or "no such file",
            hint="name the folder that holds them",
        )
    maker = _Maker(tree, problems, scale_annotations, axes, _layer_name(pairs.contents))
    images = [(folder_of(name), i) for name in pictures for i in maker.of(name, pairs.of[name])]
    images += [(folder_of(c.name), i) for c in pairs.embedded for i in maker.embedded(c)]
    if not images:
        raise SourceNotFoundError("no picture could be taken", file=tree.origin)
    found = placed(images)
    return SourceDataset(
        name=PurePosixPath(tree.origin.rstrip("/")).stem or "labelme",
        source="labelme",
        origin=tree.origin,
        layout="image" if found[0].path == "" else "collection",
        images=found,
        notices=problems.gathered(),
    )


def _layer_name(contents: Sequence[LabelmeFile]) -> str:
    """The only class's name where it can name a group, else ``objects``."""
    labels = {label for content in contents for label in content.labels}
    name = next(iter(labels)).lower() if len(labels) == 1 else ""
    return name if re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", name) else LAYER


@dataclass(slots=True)
class _Pairs:
    """Annotation files by the picture that they are of.

    A picture of the file's own name beside it is its picture, as labelme saves it; else the one that
    ``imagePath`` leads to; else the only picture below the root with its name, or with the file's.
    """

    pictures: Sequence[str]
    problems: Problems
    of: dict[str, list[LabelmeFile]] = field(default_factory=lambda: defaultdict(list))
    embedded: list[LabelmeFile] = field(default_factory=list)
    contents: list[LabelmeFile] = field(default_factory=list)
    _known: dict[str, list[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of annotation files."""
        return len(self.contents)

    def add(self, content: LabelmeFile) -> None:
        """Find the picture of a file.

        Raises
        ------
        ngff_bio.errors.SourceError
            If it has none, neither beside it nor inside of it.
        """
        self.contents.append(content)
        picture = self._find(content)
        if picture is not None:
            self.of[picture].append(content)
            if content.embedded:
                what = "images inside labelme files are not kept: they are beside them"
                self.problems.note(what, record=content.name)
        elif content.embedded:
            self.embedded.append(content)
        else:
            raise SourceError(
                "annotations without their image",
                file=content.name,
                expected=f"a picture {PurePosixPath(content.name).stem}.* beside it",
                found=f"imagePath {content.image_path!r}, and no image inside the file",
                hint="put the picture beside it, or pass such files over with --on-error skip",
            )

    def _find(self, content: LabelmeFile) -> str | None:
        if not self._known:
            for name in self.pictures:
                for key in (name, _stem(name), base_of(name), _stem(base_of(name))):
                    same = self._known.setdefault(key.lower(), [])
                    if name not in same:
                        same.append(name)
        folder, stem = folder_of(content.name), _stem(base_of(content.name))
        given = (content.image_path or "").replace("\\", "/")
        led = normpath(f"{folder}/{given}".lstrip("/")) if given else ""
        led_to = led if led in self._known.get(led.lower(), ()) else None
        beside = self._only(f"{folder}/{stem}".lstrip("/"), folder)
        if beside is not None:
            if led_to is not None and led_to != beside:
                self.problems.warn(
                    f"imagePath leads to {led_to}, but {beside} has the file's own name and is taken",
                    file=content.name,
                )
            return beside
        return led_to or self._only(base_of(given)) or self._only(stem)

    def _only(self, key: str, folder: str | None = None) -> str | None:
        """The only picture of a name, with or without its ending and folder."""
        found = self._known.get(key.lower(), []) if key else []
        if folder is not None:
            found = [n for n in found if folder_of(n) == folder]
        return found[0] if len(found) == 1 else None


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


@dataclass(slots=True)
class _Maker:
    tree: FileTree
    problems: Problems
    scale_annotations: bool
    axes: str | None
    layer: str

    def of(self, name: str, contents: Sequence[LabelmeFile]) -> list[SourceImage]:
        """The images of a picture file."""
        found: list[SourceImage] = []
        with self.problems.caught():
            header = probe_image(self.tree.file(name), self.tree.limits)
            opened = PictureFiles(self.tree, {name: header}, self.axes, self.problems).open_file(
                name
            )
            if not contents:
                self.problems.note("pictures without annotations", record=name)
            for one in opened:
                labelled = contents if one is opened[0] else ()
                found.append(self._image(name, self._turned(name, header, one), labelled))
        return found

    def embedded(self, content: LabelmeFile) -> list[SourceImage]:
        """The image inside of an annotation file."""
        found: list[SourceImage] = []
        with self.problems.caught():
            file = EmbeddedImage(self.tree.file(content.name))
            header = probe_image(file, self.tree.limits)
            pixels = stack_frames([file], headers=[header], limits=self.tree.limits)
            one = OpenedImage(pixels, axes_from(pixels.axes), channels=header.channels)
            found.append(self._image(content.name, one, [content]))
        return found

    def _turned(self, name: str, header: ImageHeader, one: OpenedImage) -> OpenedImage:
        """The picture as labelme shows it."""
        file = self.tree.file(name)
        turn = exif_orientation(file, header)
        if turn == 1:
            return one
        self.problems.note("pictures turned as their EXIF orientation says", record=name)
        attributes = {**one.attributes, "exif_orientation": turn}
        pixels = stack_frames([file], headers=[header], orientation=turn)
        return replace(one, pixels=pixels, attributes=attributes)

    def _image(self, name: str, one: OpenedImage, contents: Sequence[LabelmeFile]) -> SourceImage:
        layers: list[InstanceLayer] = []
        record: dict[str, object] = {}
        size = (one.pixels.shape[-2], one.pixels.shape[-1])
        for content in contents:
            with self.problems.caught():
                scale = self._scale(content, size)
                layer = self._layer_of(content, one, scale, [x.name for x in layers])
                layers.append(layer)
                said: dict[str, object] = {
                    "annotation_file": content.name,
                    "labelme": content.record,
                    "layer": layer.name,
                }
                if content.embedded:
                    said["image_data"] = "embedded"
                if scale != (1.0, 1.0):
                    said["annotation_scale"] = list(scale)
                # Of a second file over the same picture, under its own name.
                record |= said if not record else {content.name: said}
        base = base_of(name)
        times = one.elapsed_hours or (None,)
        frames = tuple(
            Frame(name, t, elapsed_hours=hours, record=record) for t, hours in enumerate(times)
        )
        return SourceImage(
            path="",
            name=f"{base}/{one.name}" if one.name else base,
            axes=one.axes,
            pixels=one.pixels,
            labels=tuple(layers),
            channels=one.channels,
            frames=frames,
            attributes=one.attributes,
        )

    def _layer_of(
        self,
        content: LabelmeFile,
        image: OpenedImage,
        scale: tuple[float, float],
        taken: Sequence[str],
    ) -> InstanceLayer:
        file = self.tree.file(content.name)
        owners = content.owners()
        size = {a.name: n for a, n in zip(image.axes, image.pixels.shape, strict=True)}
        if size.get("t", 1) > 1 or size.get("z", 1) > 1:
            self.problems.warn(
                "shapes of a stack: they are taken to be of its first frame and of all its planes",
                file=content.name,
            )
        later = (None,) * (size.get("t", 1) - 1)
        name = self.layer
        if name in taken:
            name = f"{name}-{safe_name(_stem(base_of(content.name)))}"
            self.problems.warn("two annotation files of one picture", file=content.name)
        return InstanceLayer(
            name=name,
            instances=LabelmeInstances(
                (file, *later),
                (1,) * (1 + len(later)),
                scales=None if scale == (1.0, 1.0) else (scale,) * (1 + len(later)),
                on_error="skip",  # what is wrong was told of, or ended it all, when it was read
            ),
            count=len(content.shapes),
            max_value=len(set(owners)),
            categories=tuple(Category(n, n) for n in dict.fromkeys(content.labels)),
        )

    def _scale(self, content: LabelmeFile, size: tuple[int, int]) -> tuple[float, float]:
        """Factors of x and y."""
        if content.size is None or content.size == size:
            return 1.0, 1.0
        if self.scale_annotations:
            what = f"annotations scaled from {content.size} to {size} pixels"
            self.problems.warn(what, record=content.name)
            return size[1] / content.size[1], size[0] / content.size[0]
        raise SourceError(
            "the annotations are of an image of another size",
            file=content.name,
            expected=f"{size[0]} x {size[1]} pixels, as the image has",
            found=f"{content.size[0]} x {content.size[1]}",
            hint="if the image was only scaled, say so with --scale-annotations",
        )


SOURCE = Source(
    name="labelme",
    title="labelme: any folder with labelme files and pictures",
    layout='*.json with "shapes", and the picture of each beside it, inside it, or at its imagePath',
    detect=detect,
    read=read,
    options={
        "scale_annotations": "scale annotations whose file gives another image size",
        "axes": "what the axes of TIFFs are where they do not say it, in the order of the file: tyx",
    },
)
