"""platelet-em: two volumes of human platelets (SBF-SEM) with semantic and instance labels.

Layout: ``images/{24,50}-images.tif``, ``labels-semantic/{24,50}-semantic.{json|tif}``,
``labels-instance/{24,50}-instance-{cell,organelle}.{json|tif}``; older releases end instance names in
``-2d`` or ``-3d``. Voxels are 40 x 10 x 10 nm, as the dataset's page says.
"""

from __future__ import annotations

import re
from typing import Any

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.images.color_labels import LabelTiff, open_color_labels
from ngff_bio.formats.rle.rle_json import RunLengthLabels, read_rle_json
from ngff_bio.formats.tiff.images import open_tiff_volume
from ngff_bio.model import (
    Category,
    Frame,
    Notice,
    Pixels,
    RunVolume,
    SourceDataset,
    SourceImage,
    VolumeLayer,
    axes_from,
)
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source

_NAME = re.compile(
    r"(?:^|/)(?P<volume>24|50)-(?P<kind>images|semantic|instance-(?:cell|organelle))"
    r"(?P<suffix>-[23]d)?\.(?P<ext>json|tiff?)$",
    re.IGNORECASE,
)
_AXES = axes_from("zyx", z=(40.0, "nanometer"), y=(10.0, "nanometer"), x=(10.0, "nanometer"))

#: Class ids and names of the dataset's page, with the colours of its figures and of the older release.
CLASSES = (
    Category(1, "cell", (1, 1, 224, 255)),
    Category(2, "mitochondria", (1, 171, 254, 255)),
    Category(3, "alpha granule", (1, 254, 1, 255)),
    Category(4, "canalicular vessel", (255, 224, 0, 255)),
    Category(5, "dense granule body", (250, 94, 0, 255)),
    Category(6, "dense granule core", (245, 0, 203, 255)),
)

#: Both colour tables that label TIFFs were made with: the figures' own, and the jet map of id / 6.
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
    """Sure where a label file or an image of the collection is named as the page names it."""
    return 3 if any(_NAME.search(n) for n in tree.names()) else 0


def read(tree: FileTree) -> SourceDataset:
    """The volumes that are there, with whichever labels are there.

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If there is no image.
    ngff_bio.errors.SourceError
        If a file is damaged, or labels do not fit their image.
    """
    files: dict[str, _Parts] = {}
    notices: list[Notice] = []
    for name in tree.names():
        match = _NAME.search(name)
        if match is None:
            if not name.lower().endswith((".md", ".txt", ".png")):
                notices.append(Notice("skipped", "not a file of this collection", file=name))
            continue
        ext = "json" if match["ext"].lower() == "json" else "tif"
        part = files.setdefault(match["volume"], {}).setdefault(match["kind"].lower(), {})
        kinds = part.setdefault((match["suffix"] or "").lower(), {})
        if ext in kinds:
            raise SourceError(
                "two files are the same part of the collection",
                file=name,
                found=f"{kinds[ext]} and {name}",
                hint="keep one of the two",
            )
        kinds[ext] = name
    volumes = sorted(files, key=int)
    images = []
    for volume in volumes:
        images.append(
            _image(tree, volume, files[volume], "" if len(volumes) == 1 else volume, notices)
        )
    if not images:
        raise SourceNotFoundError(
            "no volume of platelet-em is here",
            file=tree.origin,
            expected="images/50-images.tif or images/24-images.tif",
            hint="name the folder that holds images, labels-semantic and labels-instance",
        )
    return SourceDataset(
        name="platelet-em",
        source="platelet-em",
        origin=tree.origin,
        layout="image" if len(images) == 1 else "collection",
        images=tuple(images),
        notices=tuple(notices),
        attributes={"modality": "serial block-face scanning electron microscopy"},
    )


def _image(
    tree: FileTree, volume: str, parts: _Parts, path: str, notices: list[Notice]
) -> SourceImage:
    name = parts.get("images", {}).get("", {}).get("tif")
    if name is None:
        some = next(f for part in parts.values() for kinds in part.values() for f in kinds.values())
        raise SourceError(
            "labels without their image",
            file=some,
            expected=f"images/{volume}-images.tif beside them",
            found="no such file",
            hint="add the image, or take its labels away",
        )
    stack = open_tiff_volume(tree.file(name))
    if len(stack.shape) != 3:
        raise SourceError(
            "the image is no stack of grey planes",
            file=name,
            expected="pages of rows x columns",
            found=f"shape {stack.shape}",
        )
    layers = tuple(
        _layer(tree, label, kinds, stack.shape, "semantic" in parts, name, notices)
        for label, kinds in _named_layers(parts)
    )
    if not layers:
        notices.append(Notice("warning", "the image has no labels", file=name))
    return SourceImage(
        path=path,
        name=f"{volume}-images",
        axes=_AXES,
        pixels=stack,
        labels=layers,
        frames=(Frame(name=name),),
    )


def _named_layers(parts: _Parts) -> list[tuple[str, dict[str, str]]]:
    """Label layers in order. ``-2d`` and ``-3d`` objects are told apart only where both are there."""
    found = []
    for layer in _LAYERS:
        variants = parts.get(layer, {})
        for suffix, kinds in sorted(variants.items()):
            found.append((f"{layer}{suffix}" if len(variants) > 1 else layer, kinds))
    return found


def _layer(
    tree: FileTree,
    layer: str,
    files: dict[str, str],
    shape: tuple[int, ...],
    classified: bool,
    image: str,
    notices: list[Notice],
) -> VolumeLayer:
    semantic = layer == "semantic"
    attributes: dict[str, Any] = {"files": [files[k] for k in sorted(files)]}
    runs: RunLengthLabels | None = None
    source_ids: dict[int, int | str] = {}
    colors: Pixels | None = None
    if "json" in files:
        runs = read_rle_json(tree.file(files["json"]))
        _same_shape(runs.volume.shape, shape, files["json"], image)
        attributes["run_length"] = dict(runs.spelling)
        source_ids = dict(runs.source_ids)
        if semantic:
            _known_classes(runs.ids, files["json"])
    if "tif" in files:
        found = open_color_labels(tree.file(files["tif"]), PALETTES if semantic else None)
        colors, count = found.pixels, found.max_value
        _same_shape(colors.shape, shape, files["tif"], image)
        if runs is None and found.arbitrary_ids:
            attributes["ids"] = "arbitrary: one per colour of the label TIFF; colours may collide"
            notices.append(
                Notice(
                    "warning",
                    "objects are told apart by colour: ids are arbitrary, and some may be merged",
                    file=files["tif"],
                )
            )
        if runs is None:
            attributes |= _spelling(found, semantic)
            source_ids = dict(found.colors) if not semantic else {}
        if runs is None and semantic:
            _known_classes(range(1, count + 1) if count > len(CLASSES) else (), files["tif"])
    pixels: Pixels | RunVolume | None = runs.volume if runs is not None else colors
    if pixels is None:
        raise SourceError("a label layer without a file", record=layer)
    most = int(runs.volume.values.max(initial=0)) if runs is not None else count
    return VolumeLayer(
        name=layer,
        pixels=pixels,
        kind="semantic" if semantic else "instance",
        max_value=most,
        categories=CLASSES if semantic or classified else (),
        source_ids=source_ids,
        classes="semantic" if classified and not semantic else None,
        compare=colors if runs is not None else None,
        attributes=attributes,
    )


def _spelling(labels: LabelTiff, semantic: bool) -> dict[str, Any]:
    """How a label TIFF says its values; colours of objects are their source ids, in the table."""
    if labels.samples == 1:
        return {"dtype": str(labels.dtype)}
    known = {str(v): c for v, c in labels.colors.items()}
    return {"color_samples": labels.samples} | ({"colors": known} if semantic else {})


def _same_shape(found: tuple[int, ...], shape: tuple[int, ...], file: str, image: str) -> None:
    if tuple(found) != tuple(shape):
        raise SourceError(
            "labels and image differ in shape",
            file=file,
            expected=f"{list(shape)}, as {image} has it",
            found=list(found),
            hint="check that the two belong together",
        )


def _known_classes(ids: Any, file: str) -> None:
    unknown = sorted(set(ids) - {int(c.id) for c in CLASSES})
    if unknown:
        raise SourceError(
            "a class that the dataset does not have",
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
)
