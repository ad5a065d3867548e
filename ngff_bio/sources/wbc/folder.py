"""Multi-focus white blood cells (miLab): test folders as the device writes them, and crops of cells.

A test folder holds ``{img_num}_{x}_{y}_{plane}_{score}.jpg`` and ``analyze_result.json`` (or the older
``milab_result.json``). The open dataset holds ``{crop}_{plane}.jpg`` of single cells with
``labels.csv``.
"""

from __future__ import annotations

from ngff_bio.errors import SourceNotFoundError
from ngff_bio.formats.problems import Problems
from ngff_bio.model import OnError, SourceDataset, SourceImage
from ngff_bio.sources.assembly import DOCUMENTS, base_of, placed
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source
from ngff_bio.sources.wbc import crops as wbc_crops
from ngff_bio.sources.wbc import fields as wbc_fields


def detect(tree: FileTree) -> int:
    """Sure by names of planes, of miLab's predictions, or of crops in full sets or with their table."""
    names = tree.names()
    return 3 if wbc_fields.looks_like(names) or wbc_crops.looks_like(names) else 0


def read(tree: FileTree, *, on_error: OnError = "stop") -> SourceDataset:
    """All fields of view and all crops, each a stack of focal planes.

    A field has its cells as boxes on the plane that they are sharpest on. The distance of planes and
    the size of pixels are published nowhere: axes have neither scale nor unit.

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If there is no picture.
    ngff_bio.errors.SourceError
        If a file is damaged or predictions do not fit their images, unless ``on_error`` is ``skip``.
    """
    problems = Problems(on_error)
    used: set[str] = set()
    images: list[tuple[str, SourceImage]] = [
        *wbc_fields.read_fields(tree, problems, used),
        *wbc_crops.read_crops(tree, problems, used),
    ]
    if not images:
        raise SourceNotFoundError(
            "no pictures of white blood cells are here",
            file=tree.origin,
            expected="0152_22800_54359_005_22250.jpg (number, x, y, plane, score), or 0_0.jpg "
            "(crop, plane)",
            found="; ".join(n.what for n in problems.notices[:3]) or "no file of such a name",
            hint="name the folder that holds the test folders",
        )
    for name in tree.names():
        if name not in used and not base_of(name).lower().endswith(DOCUMENTS):
            problems.skip("not a file of this dataset", record=name)
    found = placed(images)
    return SourceDataset(
        name="wbc",
        source="wbc",
        origin=tree.origin,
        layout="image" if found[0].path == "" else "collection",
        images=found,
        citation="A large multi-focus WBC dataset",
        notices=problems.gathered(),
        attributes={"modality": "bright-field microscopy of stained blood smears, focal stacks"},
    )


SOURCE = Source(
    name="wbc",
    title="WBC: focal stacks of blood smears with predicted cells, and crops of white cells",
    layout="<test>/0152_22800_54359_005_22250.jpg, ... with analyze_result.json; or 0_0.jpg ... "
    "0_9.jpg with labels.csv",
    detect=detect,
    read=read,
)
