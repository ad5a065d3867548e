"""The fourteen nuclei sets: their folders, names, sizes and looks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from makers.truth import preset

#: Rows, columns, how many nuclei about, and what it looks like (see `nuclei_images`).
Kind = tuple[int, int, int, str]


@dataclass(frozen=True)
class NucleiSet:
    """One of the sets.

    Attributes
    ----------
    name
        Its name on the collection's page.
    folder
        Folder of its images below ``Nuclei``.
    file
        Its annotation file below ``Nuclei/annotations``, without ``.json``.
    title
        What its ``info`` says between ``coco format Nuclei`` and ``Dataset``.
    images
        How many images it has in full size.
    kinds
        Sizes and looks that its images take in turn.
    overlap
        Whether masks overlap in the published set.
    counter_of
        The set whose counters of ids it carries on.
    part_of
        The set that it takes its images and ids from.
    """

    name: str
    folder: str
    file: str
    title: str
    images: int
    kinds: tuple[Kind, ...]
    overlap: bool = False
    counter_of: str | None = None
    part_of: str | None = None


_DSB: tuple[Kind, ...] = (
    (256, 320, 30, "dark"),
    (256, 256, 25, "dark"),
    (360, 360, 60, "dark"),
    (256, 320, 20, "purple"),
    (520, 696, 90, "dark"),
    (256, 256, 35, "bright"),
)

SETS = (
    NucleiSet("nuclei_stage1_train", "stage_1_train", "stage1_train", "stage 1 train", 670, _DSB),
    NucleiSet(
        "nuclei_stage_1_local_train_split",
        "stage_1_train",
        "stage_1_local_train_split",
        "stage 1 local train split",
        0,
        (),
        part_of="nuclei_stage1_train",
    ),
    NucleiSet(
        "nuclei_stage_1_local_val_split",
        "stage_1_train",
        "stage_1_local_val_split",
        "stage 1 local val split",
        0,
        (),
        part_of="nuclei_stage1_train",
    ),
    NucleiSet(
        "nuclei_stage_1_test",
        "stage_1_test",
        "stage_1_test",
        "stage 1 test",
        65,
        _DSB,
        counter_of="nuclei_stage1_train",
    ),
    NucleiSet(
        "nuclei_stage_2_test",
        "stage_2_test",
        "stage_2_test",
        "stage 2 test",
        3019,
        _DSB,
        counter_of="nuclei_stage_1_test",
    ),
    NucleiSet(
        "cluster_nuclei",
        "cluster_nuclei",
        "cluster_nuclei",
        "cluster nuclei",
        52,
        ((200, 200, 12, "purple"),),
    ),
    NucleiSet("BBBC007", "BBBC007", "BBBC007", "BBBC007", 16, ((400, 400, 80, "dark"),)),
    NucleiSet(
        "BBBC006", "BBBC006", "BBBC006", "BBBC006", 768, ((520, 696, 90, "dark"),), overlap=True
    ),
    NucleiSet("BBBC018", "BBBC018", "BBBC018", "BBBC018", 56, ((512, 512, 60, "dark"),)),
    NucleiSet(
        "BBBC020", "BBBC020", "BBBC020", "BBBC020", 25, ((416, 555, 70, "dark"),), overlap=True
    ),
    NucleiSet(
        "nucleisegmentationbenchmark",
        "nucleisegmentationbenchmark",
        "nucleisegmentationbenchmark",
        "nucleisegmentationbenchmark",
        120,
        ((500, 500, 170, "purple"),),
    ),
    NucleiSet(
        "2009_ISBI_2DNuclei",
        "2009_ISBI_2DNuclei",
        "2009_ISBI_2DNuclei",
        "2009 ISBI 2DNuclei",
        97,
        ((412, 539, 40, "dark"),),
    ),
    NucleiSet(
        "nuclei_partial_annotations",
        "nuclei_partial_annotations",
        "nuclei_partial_annotations",
        "nuclei partial annotations",
        572,
        ((500, 500, 80, "purple"),),
    ),
    NucleiSet(
        "TNBC_NucleiSegmentation",
        "TNBC_NucleiSegmentation",
        "TNBC_NucleiSegmentation",
        "TNBC NucleiSegmentation",
        50,
        ((512, 512, 80, "purple"),),
    ),
)
SET_BY_NAME: Mapping[str, NucleiSet] = {each.name: each for each in SETS}


@dataclass(frozen=True)
class NucleiSize:
    """How much is made: at most so many images a set, and the side of an image over its real one.

    `stage_1` is the number of stage-1 training images, of which the local splits are parts.
    """

    stage_1: int
    most_images: int
    side: float


SIZES = {
    "tiny": NucleiSize(stage_1=8, most_images=3, side=0.16),
    "small": NucleiSize(stage_1=24, most_images=8, side=0.4),
    "full": NucleiSize(stage_1=670, most_images=10_000, side=1.0),
}


def named_size(size: str | NucleiSize) -> NucleiSize:
    """The numbers behind a size."""
    return preset(size, SIZES) if isinstance(size, str) else size


def file_name(owner: NucleiSet, index: int, rows: int, columns: int, seed: int) -> str:
    """A name as the set has them: hashes, double extensions, spaces, colons of tiles."""
    tile = index % 4
    left, top = tile % 2 * columns, tile // 2 * rows
    window = f":{left}_{left + columns}_x_{top}_{top + rows}"
    digest = hashlib.sha256(f"{owner.name}/{index}/{seed}".encode()).hexdigest()
    names = {
        "cluster_nuclei": f"{index + 1}.jpg",
        "BBBC007": f"A9 p{index + 5}d.tif.jpg",
        "BBBC006": f"mcf-z-stacks-03212011_a{index % 24 + 1:02d}_s{index // 24 + 1}_w1{digest[:8]}"
        ".tif.jpg",
        "BBBC018": f"{735 + index:05d}-DNA.DIB.jpg",
        "BBBC020": f"jw-1h {index + 1}_c5.TIF.jpg",
        "nucleisegmentationbenchmark": f"TCGA-18-{5592 + index // 4}-01Z-00-DX1{window}.jpg",
        "2009_ISBI_2DNuclei": f"dna-{index}.png.jpg",
        "nuclei_partial_annotations": f"12749_500_f{index // 4:05d}_original.tif{window}.jpg",
        "TNBC_NucleiSegmentation": f"{index // 5 + 1:02d}_{index % 5 + 1}.png.jpg",
    }
    return names.get(owner.name, f"{digest}.jpg")
