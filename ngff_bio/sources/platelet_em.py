"""platelet-em: two volumes of human platelets (SBF-SEM) with semantic and instance labels.

Layout: ``images/{24,50}-images.tif``, ``labels-semantic/{24,50}-semantic.{json|tif}``,
``labels-instance/{24,50}-instance-{cell,organelle}.{json|tif}``; older releases end instance names in
``-2d`` or ``-3d``. Voxels are 40 x 10 x 10 nm (the dataset's page).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.images.color_labels import LabelTiff, open_color_labels
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.rle.rle_json import read_rle_json
from ngff_bio.formats.tiff.images import open_tiff_volume
from ngff_bio.model import (
    Category,
    Frame,
    Pixels,
    RunVolume,
    SourceDataset,
    SourceImage,
    VolumeLayer,
    axes_from,
)
from ngff_bio.sources.assembly import given_twice
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source

_NAME = re.compile(
    r"(?:^|/)(?P<volume>24|50)-(?P<kind>images|semantic|instance-(?:cell|organelle))"
    r"(?P<suffix>-[23]d)?\.(?P<ext>json|tiff?)$",
    re.IGNORECASE,
)
_AXES = axes_from("zyx", z=(40.0, "nanometer"), y=(10.0, "nanometer"), x=(10.0, "nanometer"))

#: Ids and names of the classes, with the colours of the page's figures and of the older release.
CLASSES = (
    Category(1, "cell", (1, 1, 224, 255)),
    Category(2, "mitochondria", (1, 171, 254, 255)),
    Category(3, "alpha granule", (1, 254, 1, 255)),
    Category(4, "canalicular vessel", (255, 224, 0, 255)),
    Category(5, "dense granule body", (250, 94, 0, 255)),
    Category(6, "dense granule core", (245, 0, 203, 255)),
)

#: Both colour tables of published label TIFFs: that of the figures, and the jet map of id / 6.
PALETTES = (
    {c.color[:3]: int(c.id) for c in CLASSES if c.color is not None},
    {
        (0, 40, 255): 1,
        (0, 212, 255): 2,
        (124, 255, 121): 3,
        (255, 229, 0): 4,
        (255, 70, 0): 5,
        (127, 0, 0): 6,
    },
)

_LAYERS = ("semantic", "instance-cell", "instance-organelle")

#: Files of one volume: by part of the collection, then by suffix and kind of file.
_Parts = dict[str, dict[str, dict[str, str]]]


def detect(tree: FileTree) -> int:
    """3 if a file is named as in the collection."""
    return 3 if any(_NAME.search(n) for n in tree.names()) else 0


def read(tree: FileTree, problems: Problems) -> SourceDataset:
    """The volumes that are there, with whichever labels are there.

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If there is no image.
    ngff_bio.errors.SourceError
        If a file is damaged, or labels do not fit their image.
    """
    volumes: dict[str, _Parts] = {}
    for name in tree.names():
        match = _NAME.search(name)
        if match is None:
            continue
        ext = "json" if match["ext"].lower() == "json" else "tif"
        part = volumes.setdefault(match["volume"], {}).setdefault(match["kind"].lower(), {})
        kinds = part.setdefault((match["suffix"] or "").lower(), {})
        if ext in kinds:
            raise given_twice(name, kinds[ext])
        kinds[ext] = name
    if not volumes:
        raise SourceNotFoundError(
            "no volume of platelet-em found",
            file=tree.origin,
            expected="images/50-images.tif or images/24-images.tif",
            hint="name the folder that holds images, labels-semantic and labels-instance",
        )
    skipped: set[str] = set()
    images: list[SourceImage] = []
    for volume in sorted(volumes, key=int):
        parts = volumes[volume]
        files = {f for part in parts.values() for kinds in part.values() for f in kinds.values()}
        count = len(images)
        with problems.caught():
            images.append(_image(tree, volume, parts, volume, problems, skipped))
        if len(images) == count:
            skipped |= files
            for file in sorted(files):
                problems.skip("files of a volume that is skipped", file=file)
    if not images:
        raise problems.nothing("no volume is readable", tree.origin)
    return SourceDataset(
        name="platelet-em",
        source="platelet-em",
        origin=tree.origin,
        layout="collection",
        images=tuple(images),
        attributes={"modality": "serial block-face scanning electron microscopy"},
        read_files=tuple(n for n in tree.names() if _NAME.search(n) and n not in skipped),
    ).single_at_root()


def _image(
    tree: FileTree,
    volume: str,
    parts: _Parts,
    path: str,
    problems: Problems,
    skipped: set[str],
) -> SourceImage:
    """A volume with its labels; files of layers that are skipped are added to `skipped`."""
    name = parts.get("images", {}).get("", {}).get("tif")
    if name is None:
        raise SourceError(
            "labels without their image",
            file=next(
                f for part in parts.values() for kinds in part.values() for f in kinds.values()
            ),
            expected=f"images/{volume}-images.tif beside them",
            found="no such file",
            hint="add the image, or remove its labels",
        )
    stack = open_tiff_volume(tree.file(name))
    if len(stack.shape) != 3:
        raise SourceError(
            "the image is not a stack of grey planes",
            file=name,
            expected="pages of rows x columns",
            found=f"shape {stack.shape}",
        )
    layers: list[VolumeLayer] = []
    for label, files in _named_layers(parts):  # classes first
        skipped.update(files.values())
        with problems.caught():
            classified = any(one.kind == "semantic" for one in layers)
            layers.append(_layer(tree, label, files, stack.shape, name, classified, problems))
            skipped.difference_update(files.values())
    if not layers:
        problems.warn("the image has no labels", file=name)
    return SourceImage(
        path=path,
        name=f"{volume}-images",
        axes=_AXES,
        pixels=stack,
        labels=tuple(layers),
        frames=(Frame(name=name),),
    )


def _named_layers(parts: _Parts) -> list[tuple[str, dict[str, str]]]:
    """Label layers in order. The suffixes ``-2d`` and ``-3d`` are kept only if both are there."""
    return [
        (f"{layer}{suffix}" if len(parts[layer]) > 1 else layer, files)
        for layer in _LAYERS
        for suffix, files in sorted(parts.get(layer, {}).items())
    ]


def _layer(
    tree: FileTree,
    layer: str,
    files: dict[str, str],
    shape: tuple[int, ...],
    image: str,
    classified: bool,
    problems: Problems,
) -> VolumeLayer:
    """A label layer from its JSON file, its TIFF, or both: the JSON has the ids, and is preferred."""
    semantic = layer == "semantic"
    attributes: dict[str, object] = {"files": [files[k] for k in sorted(files)]}
    runs = read_rle_json(tree.file(files["json"])) if "json" in files else None
    colors = None
    if "tif" in files:
        colors = open_color_labels(tree.file(files["tif"]), PALETTES if semantic else None)
        _check_shape(colors.pixels.shape, shape, files["tif"], image)
    pixels: Pixels | RunVolume
    source_ids: dict[int, int | str]
    if runs is not None:
        _check_shape(runs.volume.shape, shape, files["json"], image)
        attributes["run_length"] = dict(runs.spelling)
        pixels, source_ids = runs.volume, dict(runs.source_ids)
        largest = int(runs.volume.values.max(initial=0))
        if semantic:
            _check_classes(runs.ids, files["json"])
    elif colors is not None:
        attributes |= _spelling(colors, semantic)
        pixels, source_ids = colors.pixels, {} if semantic else dict(colors.colors)
        largest = colors.max_value
        if colors.arbitrary_ids:
            attributes["ids"] = "arbitrary: one per colour of the label TIFF; colours may collide"
            problems.warn(
                "objects are distinguished by colour: ids are arbitrary, and some may be merged",
                file=files["tif"],
            )
        if semantic and largest > len(CLASSES):
            _check_classes(range(1, largest + 1), files["tif"])
    return VolumeLayer(
        name=layer,
        pixels=pixels,
        kind="semantic" if semantic else "instance",
        max_value=largest,
        categories=CLASSES if semantic or classified else (),
        source_ids=source_ids,
        classes="semantic" if classified and not semantic else None,
        compare=colors.pixels if runs is not None and colors is not None else None,
        attributes=attributes,
    )


def _spelling(labels: LabelTiff, semantic: bool) -> dict[str, object]:
    """How a label TIFF spells its values; colours of objects are their source ids, in the table."""
    if labels.samples == 1:
        return {"dtype": str(labels.dtype)}
    known = {str(v): c for v, c in labels.colors.items()}
    return {"color_samples": labels.samples} | ({"colors": known} if semantic else {})


def _check_shape(found: tuple[int, ...], shape: tuple[int, ...], file: str, image: str) -> None:
    if tuple(found) != tuple(shape):
        raise SourceError(
            "labels and image differ in shape",
            file=file,
            expected=f"{list(shape)}, the shape of {image}",
            found=list(found),
            hint="check that the two belong together",
        )


def _check_classes(ids: Iterable[int], file: str) -> None:
    unknown = sorted(set(ids) - {int(c.id) for c in CLASSES})
    if unknown:
        raise SourceError(
            "unknown class",
            file=file,
            record=f"label {unknown[0]}",
            expected="classes 1 to 6",
            found=", ".join(map(str, unknown[:10])),
            hint="check that this is the semantic label file",
        )


SOURCE = Source(
    name="platelet-em",
    title="platelet-em: SBF-SEM volumes with semantic and instance labels",
    layout="images/{24,50}-images.tif with labels-semantic/ and labels-instance/ beside it",
    detect=detect,
    read=read,
    belongs=("*.png",),
)
