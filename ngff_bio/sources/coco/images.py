"""Images that COCO files list, one store image each: for the nuclei sets and plain COCO folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ngff_bio.errors import SourceError
from ngff_bio.formats.coco.layers import (
    KEY,
    CocoFile,
    CocoImage,
    Entry,
    Placement,
    annotation_sets,
    frame_record,
    instance_layers,
    short_names,
)
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.images.headers import EXTENSIONS, ImageHeader, probe_image
from ngff_bio.formats.names import safe_names
from ngff_bio.formats.problems import Problems, skipped_notice
from ngff_bio.model import Frame, SourceImage, axes_from
from ngff_bio.sources.files.tree import FileTree


@dataclass(frozen=True, slots=True)
class CocoSet:
    """Annotation files over the pictures of one folder.

    Parameters
    ----------
    group
        Path of the set's group in the store, ``""`` for the root.
    coco
        The files; where several list a picture, the first gives its layer the plain name.
    pictures
        Names of the files that are pictures of the set.
    find
        From a ``file_name`` to the name of the file in the tree, or ``None``.
    """

    group: str
    coco: tuple[CocoFile, ...]
    pictures: tuple[str, ...]
    find: Callable[[str], str | None]


@dataclass(slots=True)
class CocoImages:
    """Makes images of sets.

    Parameters
    ----------
    tree
        The files.
    layer
        Name of the first label layer.
    problems
        Takes what is wrong.
    splits
        Name of the split that each annotation file stands for, by the file's name; in the order in
        which the dataset's attributes list the files.
    describe
        From an image's entries to attributes of the image.
    lenient
        Whether entries without a picture are usual, and no error.
    missing
        These entries, by file.
    """

    tree: FileTree
    layer: str
    problems: Problems
    splits: Mapping[str, str]
    describe: Callable[[Sequence[Entry]], dict[str, Any]] = field(default=lambda entries: {})
    lenient: bool = False
    missing: dict[str, list[CocoImage]] = field(default_factory=dict)

    def of(self, one: CocoSet) -> list[SourceImage]:
        """All images of a set, by the names of their files."""
        listed = self._listed(one)
        short = short_names([c.name for c in one.coco])
        names = safe_names([_below_folder(n, one.pictures) for n in one.pictures])
        images = []
        unlisted = 0
        for picture in one.pictures:
            entries = listed.get(picture, [])
            unlisted += not entries
            path = f"{one.group}/{names[_below_folder(picture, one.pictures)]}".lstrip("/")
            try:
                images.append(self._image(picture, path, entries, short))
            except SourceError as error:
                self.problems.fail(error)
        if unlisted and one.coco:
            self.problems.note(
                f"{unlisted} pictures are in no annotation file: kept without annotations",
                record=one.group or None,
            )
        return images

    def _listed(self, one: CocoSet) -> dict[str, list[Entry]]:
        """Entries of each picture that is there; the others are reported."""
        found: dict[str, list[Entry]] = {}
        for coco in one.coco:
            missing = []
            for image in coco.images:
                picture = one.find(image.file_name)
                if picture is None:
                    missing.append(image)
                else:
                    found.setdefault(picture, []).append(Entry(coco, image))
            if missing:
                self.missing[coco.name] = missing
                self._report(coco, missing)
        return found

    def _report(self, coco: CocoFile, missing: Sequence[CocoImage]) -> None:
        error = coco.missing_error(missing)
        if not self.lenient:
            self.problems.fail(error, len(missing))
            return
        self.problems.notices.append(skipped_notice(error, len(missing)))

    def attributes(self, coco: CocoFile) -> dict[str, Any]:
        """What the dataset keeps of an annotation file."""
        return coco.attributes(self.missing.get(coco.name, ()))

    def _image(
        self, picture: str, path: str, entries: list[Entry], short: Mapping[str, str]
    ) -> SourceImage:
        file = self.tree.file(picture)
        header = probe_image(file, self.tree.limits)
        _same_size(entries, header, picture)
        pixels = stack_frames([file], headers=[header], limits=self.tree.limits)
        sets = annotation_sets(entries)
        layers, names = instance_layers(
            self.layer,
            [Placement(one, 0) for one in sets],
            short,
            self.problems.on_error,
        )
        record: dict[str, Any] = {}
        if entries:
            named = [(one, names.get(i)) for i, one in enumerate(sets)]
            record[KEY] = frame_record(named, {n: i for i, n in enumerate(self.splits)})
        splits = dict.fromkeys(self.splits[e.coco.name] for e in entries)
        return SourceImage(
            path=path,
            name=picture,
            axes=axes_from(pixels.axes),
            pixels=pixels,
            labels=layers,
            channels=header.channels,
            frames=(Frame(name=picture, splits=tuple(splits), record=record),),
            attributes=self.describe(entries),
        )


def _same_size(entries: Sequence[Entry], header: ImageHeader, picture: str) -> None:
    for entry in entries:
        if entry.image.size is not None and entry.image.size != header.size:
            raise SourceError(
                "the picture is not of the size that its entry says",
                file=picture,
                record=f"images[{entry.image.index}] of {entry.coco.name}",
                expected=f"{entry.image.size[0]} x {entry.image.size[1]} (height x width)",
                found=f"{header.size[0]} x {header.size[1]}",
                hint="check that the annotations belong to this picture",
            )


def _below_folder(name: str, names: Sequence[str]) -> str:
    """A file's name below the folder that all of them lie in."""
    first = PurePosixPath(names[0]).parts[:-1]
    for other in names:
        parts = PurePosixPath(other).parts[:-1]
        shared = 0
        while shared < min(len(first), len(parts)) and first[shared] == parts[shared]:
            shared += 1
        first = first[:shared]
    return "/".join(PurePosixPath(name).parts[len(first) :])


def pictures_of(names: Sequence[str]) -> list[str]:
    """Names that end as pictures do."""
    return [n for n in names if n.lower().endswith(EXTENSIONS)]
