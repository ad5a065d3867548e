"""Multi-focus white blood cells (miLab): test folders as the device writes them, and crops of cells.

A test folder holds ``{img_num}_{x}_{y}_{plane}_{score}.jpg`` and ``analyze_result.json`` (or the older
``milab_result.json``). The open dataset holds ``{crop}_{plane}.jpg`` of single cells with
``labels.csv``.
"""

from __future__ import annotations

from ngff_bio.errors import SourceNotFoundError
from ngff_bio.formats.problems import Problems
from ngff_bio.model import SourceDataset, SourceImage
from ngff_bio.sources.assembly import dataset_of, image_files
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source
from ngff_bio.sources.wbc.crops import has_crops, read_crops
from ngff_bio.sources.wbc.fields import has_fields, read_fields


def detect(tree: FileTree) -> int:
    """3 for names of planes, of miLab's predictions, or of crops in full sets or with their table."""
    names = tree.names()
    return 3 if has_fields(names) or has_crops(names) else 0


def read(tree: FileTree, problems: Problems) -> SourceDataset:
    """All fields of view and all crops, each a stack of focal planes.

    A field has its cells as boxes on their sharpest plane. The distance of planes and the size of
    pixels are not published: axes have neither scale nor unit.
    """
    used: set[str] = set()
    images: list[tuple[str, SourceImage]] = [
        *read_fields(tree, problems, used),
        *read_crops(tree, problems, used),
    ]
    if not images:
        raise SourceNotFoundError(
            "no image of white blood cells found",
            file=tree.origin,
            expected="0152_22800_54359_005_22250.jpg (number, x, y, plane, score), or 0_0.jpg "
            "(crop, plane)",
            found="; ".join(n.what for n in problems.notices[:3]) or "no file of such a name",
            hint="name the folder that holds the test folders",
        )
    return dataset_of(
        tree,
        "wbc",
        images,
        name="wbc",
        citation="A large multi-focus WBC dataset",
        attributes={"modality": "bright-field microscopy of stained blood smears, focal stacks"},
        read_files=sorted(used.difference(image_files(used))),
    )


SOURCE = Source(
    name="wbc",
    title="WBC: focal stacks of blood smears with predicted cells, and crops of white cells",
    layout="<test>/0152_22800_54359_005_22250.jpg, ... with analyze_result.json; or 0_0.jpg ... "
    "0_9.jpg with labels.csv",
    detect=detect,
    read=read,
    belongs=("*/annotation/[0-9]*.jp*g", "annotation/[0-9]*.jp*g"),
)
