"""Makes the collection of nuclei in COCO form: fourteen sets of JPEGs with run-length masks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from makers.nuclei_images import (
    DrawnNuclei,
    NucleiRecipe,
    as_jpeg,
    draw_nuclei,
    nuclei_record,
)
from makers.nuclei_sets import (
    SET_BY_NAME,
    SETS,
    NucleiSet,
    NucleiSize,
    file_name,
    named_size,
)
from makers.truth import Truth, written_below
from ngff_bio.errors import ArgumentError


@dataclass(frozen=True)
class NucleiImage:
    """One listed image.

    Attributes
    ----------
    image_id
        Its id, from 0.
    file_name
        Its name as listed, which may hold colons and spaces.
    path
        Where its file is, or would be.
    written
        Whether there is a file.
    annotated
        Whether its nuclei are annotated.
    nuclei_class
        What the set says of its looks.
    first_annotation
        Id of its first annotation; the others follow.
    recipe
        What it is drawn from.
    """

    image_id: int
    file_name: str
    path: Path
    written: bool
    annotated: bool
    nuclei_class: str
    first_annotation: int
    recipe: NucleiRecipe

    def draw(self) -> DrawnNuclei:
        """Pixels before JPEG, and masks. (The file is lossy: compare with another decoder.)"""
        return draw_nuclei(self.recipe)

    @property
    def masks(self) -> tuple[NDArray[np.bool_], ...]:
        """A mask for each annotation, (rows, columns) bool; none where it is not annotated."""
        return self.draw().masks if self.annotated else ()

    def records(self) -> list[dict[str, Any]]:
        """Its annotations as they were written."""
        return [
            nuclei_record(mask, self.image_id, self.first_annotation + index)
            for index, mask in enumerate(self.masks)
        ]

    def entry(self) -> dict[str, Any]:
        """Its element of ``images``."""
        return {
            "file_name": self.file_name,
            "height": self.recipe.shape[0],
            "id": self.image_id,
            "nuclei_class": self.nuclei_class,
            "width": self.recipe.shape[1],
        }


@dataclass(frozen=True)
class NucleiTruth(Truth):
    """What went into the collection.

    Attributes
    ----------
    sets
        The listed images of each set by its name on the page.
    annotation_files
        Path of each set's annotation file.
    stage_2_annotations
        Whether stage-2 test has an ``annotations`` that is ``empty``, or ``missing``.
    """

    sets: dict[str, tuple[NucleiImage, ...]]
    annotation_files: dict[str, Path]
    stage_2_annotations: str

    def coco(self, name: str) -> dict[str, Any]:
        """The content of one annotation file."""
        return _content(
            SET_BY_NAME[name],
            self.sets[name],
            [image.records() for image in self.sets[name]],
            self.stage_2_annotations,
        )


def make_nuclei(
    folder: Path,
    *,
    size: str | NucleiSize = "tiny",
    seed: int = 0,
    sets: Sequence[str] = tuple(SET_BY_NAME),
    overlap: bool = True,
    parts_every: int = 0,
    without_file: int = 0,
    without_annotations: int = 0,
    colliding_names: bool = False,
    plain_names: bool = False,
    stage_2_annotations: Literal["empty", "missing"] = "empty",
    processes: int = 1,
) -> NucleiTruth:
    """Write ``Nuclei/`` below `folder`: a flat folder of JPEGs a set, and ``annotations/*.json``.

    Ids start at 0 and run on from stage-1 train to stage-1 test to stage-2 test; the two local
    splits list images of stage-1 train under the same ids. Segmentations are compressed runs.

    Parameters
    ----------
    folder
        Where ``Nuclei`` is made.
    size
        ``tiny`` (3 images a set, about 40x50), ``small``, ``full`` (as many and as large as in the
        published sets: about 5,500 images), or the numbers themselves.
    seed
        Same seed, same bytes.
    sets
        Which sets, by their names on the page.
    overlap
        Whether masks overlap in BBBC006 and BBBC020.
    parts_every
        Every so many annotations (0: none) one is several blobs.
    without_file
        How many listed images of each external set were never written.
    without_annotations
        How many images of stage-1 train have no nuclei annotated.
    colliding_names
        Whether BBBC007 has two names that become one when spaces are replaced.
    plain_names
        Whether colons and spaces are left out (for file systems that do not take them).
    stage_2_annotations
        How stage-2 test says that it has none.
    processes
        How many processes draw. More than one needs the caller to be importable.
    """
    unknown = [name for name in sets if name not in SET_BY_NAME]
    if unknown:
        raise ArgumentError("no such nuclei set", found=unknown, expected=list(SET_BY_NAME))
    root = Path(folder) / "Nuclei"
    numbers = named_size(size)
    wanted = [each for each in SETS if each.name in sets]
    drawn_sets = _with_origins(wanted)
    planned = {
        owner.name: _planned(
            owner, numbers, seed, root, overlap, parts_every, colliding_names, plain_names
        )
        for owner in drawn_sets
    }
    for owner in drawn_sets:
        images = planned[owner.name]
        if without_file and owner.counter_of is None and owner.name != SETS[0].name:
            for index in range(max(len(images) - without_file, 0), len(images)):
                images[index] = replace(images[index], written=False)
        if owner.name == SETS[0].name:
            for index in range(min(without_annotations, len(images))):
                images[index] = replace(images[index], annotated=False)

    jobs = [image for images in planned.values() for image in images]
    for folder_name in {image.path.parent for image in jobs}:
        folder_name.mkdir(parents=True, exist_ok=True)
    if processes > 1:
        with ProcessPoolExecutor(processes) as pool:
            records = list(pool.map(_write, jobs, chunksize=8))
    else:
        records = [_write(image) for image in jobs]

    made, filled = _numbered(planned, dict(zip((each.path for each in jobs), records, strict=True)))
    truth_sets: dict[str, tuple[NucleiImage, ...]] = {}
    annotation_files: dict[str, Path] = {}
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for each in wanted:
        images_of = made[each.name] if each.part_of is None else _part(each, made[each.part_of])
        truth_sets[each.name] = tuple(images_of)
        path = root / "annotations" / f"{each.file}.json"
        annotation_files[each.name] = path
        content = _content(
            each, images_of, [filled[image.path] for image in images_of], stage_2_annotations
        )
        path.write_text(json.dumps(content))
    return NucleiTruth(
        root=root,
        files=written_below(root),
        sets=truth_sets,
        annotation_files=annotation_files,
        stage_2_annotations=stage_2_annotations,
    )


def _with_origins(wanted: Sequence[NucleiSet]) -> list[NucleiSet]:
    """The sets to draw: those wanted, and those whose images they take."""
    names = {each.part_of or each.name for each in wanted}
    return [each for each in SETS if each.name in names]


def _planned(
    owner: NucleiSet,
    numbers: NucleiSize,
    seed: int,
    root: Path,
    overlap: bool,
    parts_every: int,
    colliding_names: bool,
    plain_names: bool,
) -> list[NucleiImage]:
    """The images of a set, with ids from 0."""
    count = numbers.stage_1 if owner is SETS[0] else numbers.most_images
    images: list[NucleiImage] = []
    for index in range(min(count, owner.images)):
        real_rows, real_columns, nuclei, look = owner.kinds[index % len(owner.kinds)]
        rows, columns = round(real_rows * numbers.side), round(real_columns * numbers.side)
        name = file_name(owner, index, rows, columns, seed)
        if colliding_names and owner.name == "BBBC007" and index == 1:
            name = images[0].file_name.replace(" ", "_")
        if plain_names:
            name = name.replace(":", "-").replace(" ", "_")
        annotated = owner.name != "nuclei_stage_2_test"
        recipe = NucleiRecipe(
            owner=owner.name,
            file_name=name,
            seed=seed,
            shape=(rows, columns),
            nuclei=max(round(nuclei * min(numbers.side * 2, 1)), 5),
            look=look,
            overlap=overlap and owner.overlap,
            parts_every=parts_every,
        )
        density = "sparce" if nuclei < 50 else "dense"
        looks = f"{look}_{look}_{columns}_{rows}_{density}"
        path = root / owner.folder / name
        images.append(NucleiImage(index, name, path, True, annotated, looks, 0, recipe))
    return images


def _write(image: NucleiImage) -> list[dict[str, Any]]:
    """Write the file of an image; its records, whose ids are yet to be given."""
    drawn = image.draw()
    if image.written:
        image.path.write_bytes(as_jpeg(drawn.pixels))
    if not image.annotated:
        return []
    return [nuclei_record(mask, 0, index) for index, mask in enumerate(drawn.masks)]


def _numbered(
    planned: dict[str, list[NucleiImage]], records: dict[Path, list[dict[str, Any]]]
) -> tuple[dict[str, list[NucleiImage]], dict[Path, list[dict[str, Any]]]]:
    """Give the ids: they run on where one set carries on the counters of another."""
    made: dict[str, list[NucleiImage]] = {}
    filled: dict[Path, list[dict[str, Any]]] = {}
    ends: dict[str, tuple[int, int]] = {}
    for name, images in planned.items():
        before = SET_BY_NAME[name].counter_of
        image_id, annotation_id = ends.get(before or "", (0, 0))
        made[name] = []
        for image in images:
            made[name].append(replace(image, image_id=image_id, first_annotation=annotation_id))
            found = records[image.path]
            filled[image.path] = [
                {**record, "image_id": image_id, "id": annotation_id + index}
                for index, record in enumerate(found)
            ]
            image_id += 1
            annotation_id += len(found)
        ends[name] = (image_id, annotation_id)
    return made, filled


def _part(split: NucleiSet, images: Sequence[NucleiImage]) -> list[NucleiImage]:
    """Every eighth image is the local validation set's, the others are the training set's."""
    val = "val" in split.name
    return [image for index, image in enumerate(images) if (index % 8 == 7) == val]


def _content(
    owner: NucleiSet,
    images: Sequence[NucleiImage],
    records: Sequence[list[dict[str, Any]]],
    stage_2_annotations: str,
) -> dict[str, Any]:
    content: dict[str, Any] = {
        "annotations": [record for found in records for record in found],
        "categories": [{"id": 1, "name": "Nucleus"}],
        "images": [image.entry() for image in images],
        "info": {"description": f"coco format Nuclei {owner.title} Dataset"},
    }
    if owner.name == "nuclei_stage_2_test" and stage_2_annotations == "missing":
        del content["annotations"]
    return content
