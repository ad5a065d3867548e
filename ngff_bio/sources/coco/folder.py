"""Any folder with COCO annotation files: image files anywhere in it, found by their names.

An image file is found by its ``file_name``: from the folder of the COCO file, from ``images`` in it or
from the root; else by the end of its path or its name alone, where one file, the nearest one, or the
one in a folder of the split that the COCO file is named after has it.
Label images of COCO stuff are layers of classes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.coco.file import CocoFile
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.text import text_of
from ngff_bio.model import SourceDataset
from ngff_bio.model.splits import split_of_path, standard_split
from ngff_bio.sources.annotated.pairing import ImageFinder
from ngff_bio.sources.assembly import folder_of, image_files, name_of, paths_below, probe_all
from ngff_bio.sources.coco.files import CocoFiles
from ngff_bio.sources.coco.stuff import StuffMaps, label_files, label_names, stuff_maps
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.mask_content import masks_among
from ngff_bio.sources.images.movies import SERIES_HELP, movies_of
from ngff_bio.sources.registry import Source


def detect(tree: FileTree) -> int:
    """1 if there are image files, and a JSON file with COCO's keys or label images of COCO stuff."""
    names = tree.names()
    maps = stuff_maps(names)
    images = len(image_files(names)) > len(maps)
    return int(images and (bool(maps) or any(_is_coco(tree, n) for n in names)))


def _is_coco(tree: FileTree, name: str) -> bool:
    return tree.json_kind(name) == "coco"


def read(tree: FileTree, problems: Problems, *, series: str | None = None) -> SourceDataset:
    """Every image file as an image, with the annotations of every COCO file.

    Parameters
    ----------
    series
        ``t`` if files whose names differ in a number alone are the frames of one movie.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a file is damaged, or a record is wrong.
    ngff_bio.errors.SourceNotFoundError
        If there is no COCO file, or no image file.
    """
    names = tree.names()
    annotated = [n for n in names if _is_coco(tree, n)]
    maps = stuff_maps(names)
    image_names = sorted(set(image_files(names)).difference(maps))
    if not (annotated or maps) or not image_names:
        raise SourceNotFoundError(
            "not a COCO dataset",
            file=tree.origin,
            expected='a JSON file with "images" and "annotations", and image files',
            found=f"{len(annotated)} such JSON files, {len(image_names)} image files",
            hint="name the folder that holds both",
        )
    stems = {n: PurePosixPath(n).stem for n in annotated}
    if len(set(stems.values())) < len(stems):
        stems = {n: PurePosixPath(n).with_suffix("").as_posix() for n in annotated}
    coco = CocoFiles.open(tree, annotated, None, stems.__getitem__, problems)
    lists = label_files(names) if maps else []
    texts = {name: text_of(tree.file(name), "the list of classes") for name in lists}
    classes = [c for name in lists[:1] for c in label_names(tree, name)]
    classes = classes or list({c.id: c for f in coco.files for c in f.categories}.values())
    stuff = StuffMaps.find(tree, maps, image_names, classes, problems)
    finder = ImageFinder(image_names)

    def find(file: CocoFile, file_name: str) -> str | None:
        found = finder.find(file_name, folder_of(file.name))
        if found is None and (several := finder.candidates(file_name)):
            # instances_train.json and train/a.png, instances_val.json and val/a.png
            split = standard_split(PurePosixPath(file.name).stem)
            own = [n for n in several if split and standard_split(split_of_path(n) or "") == split]
            if len(own) == 1:
                return own[0]
            raise SourceError(
                "a listed image matches several image files",
                file=file.name,
                record=file_name,
                expected="one file of this path, below the folder of the COCO file or the root",
                found=", ".join(several[:5]) + (", ..." if len(several) > 5 else ""),
                hint="put each COCO file into the folder of its image files or above, or leave the "
                "other files out with --exclude GLOB",
            )
        if found is None:
            found = finder.of_stem(file_name, folder_of(file.name))
            if found is not None:
                problems.warn(
                    "listed images have another ending than their image files",
                    file=file.name,
                    record=f"{file_name}: {found}",
                )
        return found

    headers = probe_all(tree, image_names, problems)
    entries = coco.entries(headers, find)
    for name in masks_among(tree, headers, [n for n in headers if not entries[n]], problems):
        del headers[name]
    some_stuff = "files with label images of stuff are not joined"
    found = movies_of(headers, headers, series, problems, lambda _: some_stuff if maps else None)
    names_of = [f"{one.folder}/{one.name}".lstrip("/") for one in found]
    paths = paths_below("", names_of)
    images = []
    for name, one in zip(names_of, found, strict=True):
        with problems.caught():
            image = coco.image(name, paths[name], one.files, headers, entries)
            with problems.caught():
                layer = stuff.layer(one.files[0], headers[one.files[0]].size)
                if layer is not None:
                    image = replace(image, labels=(*image.labels, layer))
            images.append(image)
    if not images:
        raise problems.nothing("no image file is readable", tree.origin)
    return SourceDataset(
        name=name_of(tree.origin) or "coco",
        source="coco",
        origin=tree.origin,
        layout="collection",
        images=tuple(images),
        splits=tuple(coco.splits.values()) if len(coco.files) > 1 else (),
        attributes={"coco": coco.attributes(), **({"files": texts} if texts else {})},
        read_files=(*coco.names, *lists),
    ).single_at_root()


SOURCE = Source(
    name="coco",
    title="COCO: any folder with COCO annotation files and image files",
    layout='*.json with "images" and "annotations", and JPEG, PNG or TIFF files anywhere beside it; '
    "stuff_*_pixelmaps/*.png or stuffthingmaps/*/*.png",
    detect=detect,
    read=read,
    options={"series": SERIES_HELP},
)
