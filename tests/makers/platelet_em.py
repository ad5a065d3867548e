"""Makes the platelet-em collection: two electron microscopy volumes and their label sets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from makers.palettes import PLATELET_JET, PLATELET_OLD, coloured, distinct, jet
from makers.runs import run_text
from makers.textures import clouds, ellipsoid, noise, stretched
from makers.truth import Truth, preset, written_below
from ngff_bio.errors import ArgumentError

Shape = tuple[int, int, int]
Labels = NDArray[np.int32]

#: (slices, rows, columns) of each volume.
SIZES: dict[str, dict[str, Shape]] = {
    "tiny": {"24": (4, 48, 64), "50": (6, 48, 64)},
    "small": {"24": (8, 160, 192), "50": (12, 160, 192)},
    "full": {"24": (24, 800, 800), "50": (50, 800, 800)},
}
#: Names of the semantic ids, as on the collection's page.
CLASSES = {
    0: "Background",
    1: "Cell",
    2: "Mitochondria",
    3: "Alpha granule",
    4: "Canalicular vessel",
    5: "Dense granule body",
    6: "Dense granule core",
}
#: Label sets and the folder and file stem of each.
LABEL_SETS = {
    "semantic": ("labels-semantic", "semantic"),
    "cell": ("labels-instance", "instance-cell"),
    "organelle": ("labels-instance", "instance-organelle"),
}
#: Distance of voxels, in nanometre, as z, y, x.
VOXEL_NM = (40.0, 10.0, 10.0)

_GREY = np.array([0.78, 0.58, 0.42, 0.34, 0.74, 0.24, 0.06], np.float32)


@dataclass(frozen=True)
class Scene:
    """The arrays of one volume, all (z, y, x): `image` uint16, the label sets int32."""

    image: NDArray[np.uint16]
    semantic: Labels
    cell: Labels
    organelle: Labels


@dataclass(frozen=True)
class PlateletVolume:
    """One volume as it was written.

    Attributes
    ----------
    name
        ``"24"`` or ``"50"``.
    shape
        Slices, rows, columns.
    image_file
        Path of the image.
    label_files
        Path of each label file by (set, kind): set ``semantic``, ``cell``, ``organelle`` (with the
        suffix of the instance names, as in ``cell-2d``), kind ``json`` or ``tif``.
    colours
        Colour of each id in the label TIFF by set; empty where it stores integers or there is none.
    draw
        Makes the arrays again.
    disagree
        Whether the label TIFFs differ from the JSON, as `tiff_labels` says.
    """

    name: str
    shape: Shape
    image_file: Path
    label_files: dict[tuple[str, str], Path]
    colours: dict[str, dict[int, tuple[int, ...]]]
    draw: Callable[[], Scene]
    disagree: bool

    @cached_property
    def scene(self) -> Scene:
        """The arrays, made again when first asked for."""
        return self.draw()

    @property
    def image(self) -> NDArray[np.uint16]:
        """The image, (z, y, x) uint16."""
        return self.scene.image

    @property
    def labels(self) -> dict[str, Labels]:
        """The label sets as the JSON files have them, (z, y, x) int32."""
        return {kind: getattr(self.scene, kind) for kind in LABEL_SETS}

    @property
    def tiff_labels(self) -> dict[str, Labels]:
        """The label sets as the TIFF files have them, before they were coloured."""
        return {
            kind: _disagreeing(labels) if self.disagree else labels
            for kind, labels in self.labels.items()
        }


@dataclass(frozen=True)
class PlateletTruth(Truth):
    """What went into the collection: its volumes by name."""

    volumes: dict[str, PlateletVolume]


def make_platelet_em(
    folder: Path,
    *,
    size: str | Shape | Mapping[str, Shape] = "tiny",
    seed: int = 0,
    volumes: Sequence[str] = ("24", "50"),
    labels: Sequence[Literal["json", "tif"]] = ("json",),
    label_tif: Literal["rgba", "rgb", "integer"] = "rgba",
    palette: Literal["old", "jet"] = "jet",
    instance_colours: Literal["distinct", "jet"] = "distinct",
    instance_suffixes: Sequence[str] = ("",),
    info_dtype: str = "int32",
    info_extra: Mapping[str, Any] | None = None,
    info_first: bool = False,
    id_gaps: bool = False,
    disagree: bool = False,
    image_tiff: Literal["shaped", "plain", "imagej"] = "shaped",
) -> PlateletTruth:
    """Write ``platelet-em/`` below `folder`.

    Layout: ``images/<v>-images.tif``, ``labels-semantic/<v>-semantic.<json|tif>``,
    ``labels-instance/<v>-instance-<cell|organelle><suffix>.<json|tif>``.

    Parameters
    ----------
    folder
        Where ``platelet-em`` is made.
    size
        ``tiny`` (6x48x64), ``small`` (12x160x192), ``full`` (50x800x800 and 24x800x800, 7 classes,
        hundreds of organelles; under a minute), one shape for all volumes, or a shape for each.
    seed
        Same seed, same bytes.
    volumes
        Which of ``24`` and ``50``.
    labels
        Which files the labels come in.
    label_tif
        ``rgba`` uint8 (z, y, x, 4) with background 0,0,0,0; ``rgb`` without alpha; ``integer``
        uint16 ids as a user would have saved them.
    palette
        Semantic colours: ``old`` (older archive, web figures) or ``jet`` (the RGBA archive).
    instance_colours
        ``distinct`` or ``jet``: the latter has only 253 colours and shares them when ids are more.
    instance_suffixes
        Ends of the instance names: older releases have ``-2d`` and ``-3d``.
    info_dtype
        What ``.info`` says of the data type, such as ``uint16`` or the page's ``np.int``.
    info_extra
        More keys of ``.info``.
    info_first
        Whether ``.info`` is the first key (as on the page) or the last.
    id_gaps
        Whether every third instance id is left out.
    disagree
        Whether the label TIFFs differ from the JSON: one id is missing, another is moved.
    image_tiff
        ``shaped`` as tifffile writes a stack, ``plain`` pages without a description, ``imagej``.
    """
    root = Path(folder) / "platelet-em"
    made: dict[str, PlateletVolume] = {}
    for name, shape in _shapes(size, volumes).items():
        draw = partial(_draw, shape, (seed, int(name)), id_gaps)
        scene = draw()
        sets = {kind: getattr(scene, kind) for kind in LABEL_SETS}
        image_file = root / "images" / f"{name}-images.tif"
        _write_tiff(image_file, scene.image, image_tiff)
        files: dict[tuple[str, str], Path] = {}
        colours: dict[str, dict[int, tuple[int, ...]]] = {}
        for kind, ids in sets.items():
            place, stem = LABEL_SETS[kind]
            suffixes = ("",) if kind == "semantic" else tuple(instance_suffixes)
            if "json" in labels:
                info = {"shape": list(shape), "dtype": info_dtype, **(info_extra or {})}
                text = _label_json(ids, info, info_first)
                for suffix in suffixes:
                    path = root / place / f"{name}-{stem}{suffix}.json"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text)
                    files[kind + suffix, "json"] = path
            if "tif" in labels:
                shown = _disagreeing(ids) if disagree else ids
                if label_tif != "integer":
                    colours[kind] = _colours(kind, shown, palette, instance_colours)
                for suffix in suffixes:
                    path = root / place / f"{name}-{stem}{suffix}.tif"
                    _write_label_tiff(path, shown, label_tif, colours.get(kind, {}))
                    files[kind + suffix, "tif"] = path
        volume = PlateletVolume(name, shape, image_file, files, colours, draw, disagree)
        if scene.image.size < 4_000_000:  # a full volume is made again rather than kept
            volume.__dict__["scene"] = scene
        made[name] = volume
    return PlateletTruth(root=root, files=written_below(root), volumes=made)


def _shapes(size: str | Shape | Mapping[str, Shape], volumes: Sequence[str]) -> dict[str, Shape]:
    for name in volumes:
        if not name.isdigit():
            raise ArgumentError("not the name of a platelet volume", found=name, expected="digits")
    if isinstance(size, tuple):
        return dict.fromkeys(volumes, size)
    named = preset(size, SIZES) if isinstance(size, str) else size
    return {name: named[name] for name in volumes}


def _draw(shape: Shape, seed: tuple[int, int], id_gaps: bool) -> Scene:
    """Cells that do not overlap, organelles inside them, and the image that shows them."""
    rng = np.random.default_rng(seed)
    depth, rows, columns = shape
    semantic, cell, organelle = (np.zeros(shape, np.int32) for _ in range(3))

    reach = max(min(rows, columns) / 5.5, 6.0) if min(rows, columns) < 400 else 110.0
    count = max(round(2.2 * rows * columns / (np.pi * reach**2)), 3)
    cell_ids = _ids(count, id_gaps)
    homes: list[tuple[int, tuple[float, float, float], float]] = []
    for wanted in cell_ids:
        centre = (rng.uniform(0, depth), rng.uniform(0, rows), rng.uniform(0, columns))
        radius = reach * rng.uniform(0.6, 1.3)
        radii = (max(radius / 4, 1.5), radius * rng.uniform(0.6, 1), radius)
        box, inside = ellipsoid(shape, centre, radii, rng.uniform(-0.12, 0.12, (2, 2)))
        free = (inside > 0) & (cell[box] == 0)
        if free.any():
            cell[box][free] = wanted
            homes.append((wanted, centre, radius))
    semantic[cell > 0] = 1

    small = max(reach / 9, 2.0)
    spots = np.flatnonzero(cell.reshape(-1))
    wanted_ids = iter(_ids(100_000, id_gaps))
    for turn in range(max(round(spots.size / (small**3 * 9)), 8)):
        z, y, x = np.unravel_index(int(spots[rng.integers(spots.size)]), shape)
        home = cell[z, y, x]
        radius = small * rng.uniform(0.8, 1.6)
        radii = (max(radius / 4, 0.8), radius * rng.uniform(0.6, 1), radius)
        box, inside = ellipsoid(
            shape, (float(z), float(y), float(x)), radii, rng.uniform(-0.1, 0.1, (2, 2))
        )
        free = (inside > 0) & (cell[box] == home) & (organelle[box] == 0)
        if free.sum() < 4:
            continue
        kind = 2 + turn % 4
        organelle[box][free] = next(wanted_ids)
        semantic[box][free] = kind
        if kind == 5:  # a dense granule is one instance with a body and a core
            semantic[box][free & (inside > 0.5)] = 6
    return Scene(_picture(rng, semantic), semantic, cell, organelle)


def _picture(rng: np.random.Generator, semantic: Labels) -> NDArray[np.uint16]:
    """Grey values by class, cloudy and noisy, over the full range of uint16."""
    image = _GREY[semantic]
    for plane in image:
        plane += clouds(rng, plane.shape, 24.0, 3) * np.float32(0.06)
        plane += noise(rng, plane.shape, 0.04)
    full: NDArray[np.uint16] = stretched(image, np.uint16).astype(np.uint16, copy=False)
    return full


def _ids(count: int, gaps: bool) -> list[int]:
    """1, 2, 3 … or, with gaps, 1, 2, 4, 5, 7 …"""
    return [1 + k + (k // 2 if gaps else 0) for k in range(count)]


def _disagreeing(labels: Labels) -> Labels:
    """`labels` without its largest id, and with its smallest id one column further right."""
    ids = np.unique(labels[labels > 0])
    changed = labels.copy()
    if len(ids) > 1:
        changed[changed == ids[-1]] = 0
        moved = np.zeros(labels.shape, bool)
        moved[..., 1:] = labels[..., :-1] == ids[0]
        changed[changed == ids[0]] = 0
        changed[moved] = ids[0]
    return changed


def _label_json(labels: Labels, info: dict[str, Any], info_first: bool) -> str:
    runs: dict[str, Any] = {str(value): text for value, text in run_text(labels).items()}
    return json.dumps({".info": info, **runs} if info_first else {**runs, ".info": info})


def _colours(
    kind: str, labels: Labels, palette: str, instance_colours: str
) -> dict[int, tuple[int, ...]]:
    if kind == "semantic":
        return dict(PLATELET_OLD if palette == "old" else PLATELET_JET)
    ids = np.unique(labels[labels > 0])
    if instance_colours == "distinct":
        table = distinct(len(ids))
    else:
        # As the archive was made: the colour map at id / highest id.
        top = int(ids.max(initial=1))
        table = jet()[np.minimum(ids * 256 // top, 255)]
    return {
        int(value): tuple(int(part) for part in colour)
        for value, colour in zip(ids, table, strict=True)
    }


def _write_label_tiff(
    path: Path, labels: Labels, label_tif: str, colours: dict[int, tuple[int, ...]]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if label_tif == "integer":
        tifffile.imwrite(path, labels.astype(np.uint16), photometric="minisblack")
        return
    img = coloured(labels, colours, 4 if label_tif == "rgba" else 3)
    extra: Any = ["unassalpha"] if label_tif == "rgba" else None
    tifffile.imwrite(path, img, photometric="rgb", extrasamples=extra)


def _write_tiff(path: Path, image: NDArray[np.uint16], kind: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "imagej":
        tifffile.imwrite(path, image, imagej=True, metadata={"axes": "ZYX"})
    elif kind == "plain":
        tifffile.imwrite(path, image, photometric="minisblack", metadata=None)
    else:
        tifffile.imwrite(path, image, photometric="minisblack")
