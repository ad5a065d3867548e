"""Draws a small sample of each known dataset, in the layout in which it is published.

`make_sample` is what ``ngff-bio demo`` and the notebook start from. The pixels are invented, the
annotations fit them, and the same call writes the same files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from pycocotools import mask as coco_mask

FloatImage = NDArray[np.float32]
Rng = np.random.Generator
Shape = tuple[int, int]


def make_sample(source: str, folder: Path) -> Path:
    """Write a sample dataset below `folder`.

    Parameters
    ----------
    source
        One of `SAMPLES`: ``livecell``, ``nuclei``, ``organoid``, ``platelet-em``, ``wbc``.
    folder
        Created where it does not exist.

    Returns
    -------
    Path
        The dataset's own top folder, which ``ngff-bio convert`` takes.
    """
    return SAMPLES[source](folder, np.random.default_rng(sum(source.encode())))


@dataclass(frozen=True)
class _Blob:
    """A wobbly ellipse: centre, radii, rotation, and how strongly it is lobed (3 x 2)."""

    y: float
    x: float
    height: float
    width: float
    turn: float
    lobes: NDArray[np.float64]

    def edge(self, angle: NDArray[Any]) -> NDArray[Any]:
        """Distance of the contour in the direction `angle`, on a circle of radius 1."""
        waves = [
            (even * np.cos(k * angle) + odd * np.sin(k * angle)) / k
            for k, (even, odd) in enumerate(self.lobes, 2)
        ]
        return np.asarray(1 + sum(waves))

    def contour(self, points: int = 40) -> NDArray[np.float64]:
        """Points of the contour, (points, 2) as x, y."""
        angle = np.arange(points) * (2 * np.pi / points)
        u, v = self.edge(angle) * np.cos(angle), self.edge(angle) * np.sin(angle)
        u, v = u * self.width, v * self.height
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        return np.stack([self.x + u * cos - v * sin, self.y + u * sin + v * cos], axis=1)

    def corners(self) -> NDArray[np.float64]:
        """x, y of the upper left and the lower right corner of its box, whole numbers."""
        contour = self.contour()
        return np.stack([contour.min(axis=0), contour.max(axis=0)]).round()

    def scaled(self, factor: float) -> _Blob:
        """The blob with other radii."""
        return replace(self, height=self.height * factor, width=self.width * factor)

    def depth(self, shape: Shape, margin: float = 1.3) -> tuple[Any, FloatImage]:
        """Slices of a box round the blob; in it 1 in the centre, 0 on the contour, less outside."""
        reach = margin * (1 + float(np.abs(self.lobes).sum() / 2)) * max(self.height, self.width)
        box = tuple(
            slice(min(max(int(at - reach), 0), length), max(min(int(at + reach) + 2, length), 0))
            for at, length in zip((self.y, self.x), shape, strict=True)
        )
        y, x = np.ogrid[box[0], box[1]]
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        u = ((x - self.x) * cos + (y - self.y) * sin) / self.width
        v = ((y - self.y) * cos - (x - self.x) * sin) / self.height
        return box, (1 - (np.hypot(u, v) / self.edge(np.arctan2(v, u))) ** 2).astype(np.float32)


def _blob(rng: Rng, at: Iterable[float], radius: float, length: float, lobed: float) -> _Blob:
    """A blob of about `radius` pixels, `length` times as long as wide."""
    stretch = np.sqrt(length * rng.uniform(0.85, 1.15))
    y, x = at
    lobes = rng.uniform(-lobed, lobed, (3, 2))
    return _Blob(y, x, radius / stretch, radius * stretch, rng.uniform(0, np.pi), lobes)


def _places(rng: Rng, shape: Shape, count: int, distance: float) -> NDArray[np.float64]:
    """Up to `count` random points of `shape` that keep `distance` from each other."""
    found: list[NDArray[np.float64]] = []
    for point in rng.uniform(0, shape, (count * 20, 2)):
        if len(found) < count and all(np.hypot(*(point - other)) >= distance for other in found):
            found.append(point)
    return np.array(found)


def _clouds(rng: Rng, shape: Shape, period: int) -> FloatImage:
    """A smooth random field of about -1 to 1."""
    grid = rng.uniform(-1, 1, (shape[0] // period + 3, shape[1] // period + 3))
    nodes = Image.fromarray(grid.astype(np.float32))
    return np.asarray(nodes.resize(shape[::-1], Image.Resampling.BICUBIC))


def _ground(rng: Rng, shape: Shape, level: float, clouds: float, noise: float) -> FloatImage:
    """A cloudy background with camera noise."""
    coarse, fine = _clouds(rng, shape, max(shape) // 3), _clouds(rng, shape, max(shape) // 12)
    ground = level + clouds * (coarse + fine / 3) + rng.normal(0, noise, shape)
    return ground.astype(np.float32)


def _uint8(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    return image.clip(0, 255).astype(np.uint8)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _coco_record(number: int, image: int, segmentation: Any, runs: Any) -> dict[str, Any]:
    """An annotation of COCO; `runs` are the pixels of its segmentation."""
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "segmentation": segmentation,
        "area": int(coco_mask.area(runs)),
        "bbox": coco_mask.toBbox(runs).tolist(),
    }


def _livecell(folder: Path, rng: Rng) -> Path:
    """Two cell types, a well each, three frames of four crops: TIFF and COCO polygons."""
    root = folder / "livecell-dataset" / "LIVECell_dataset_2021"
    crop, splits = (208, 280), ("train", "val", "test")
    whole = (2 * crop[0], 2 * crop[1])
    coco: dict[str, Any] = {split: {"images": [], "annotations": []} for split in splits}
    for cell_type, well, length, lobed in (("A172", "B7", 2.2, 0.2), ("MCF7", "E4", 1.2, 0.14)):
        places = _places(rng, whole, 110, 25)
        cells = [_blob(rng, at, rng.uniform(14, 22), length, lobed) for at in places]
        for time, split in enumerate(splits):
            cells = [replace(c, y=c.y + rng.normal(0, 2), x=c.x + rng.normal(0, 2)) for c in cells]
            shown = cells[: 80 + 15 * time]
            pixels = _phase_contrast(rng, whole, shown)
            place = "livecell_test_images" if split == "test" else "livecell_train_val_images"
            (root / "images" / place).mkdir(parents=True, exist_ok=True)
            for number in range(1, 5):
                y, x = (number - 1) % 2 * crop[0], (number - 1) // 2 * crop[1]
                name = f"{cell_type}_Phase_{well}_1_00d{4 * time:02}h00m_{number}.tif"
                part = pixels[y : y + crop[0], x : x + crop[1]]
                path = root / "images" / place / name
                tifffile.imwrite(path, part, compression="lzw", metadata=None)
                images, annotations = coco[split]["images"], coco[split]["annotations"]
                entry = {"id": len(images) + 1, "file_name": name}
                images.append({**entry, "height": crop[0], "width": crop[1]})
                for cell in shown:
                    points = (cell.contour() - (x, y)).clip(0, (crop[1], crop[0])).round(2)
                    if np.ptp(points, axis=0).min() < 4:
                        continue
                    polygon = points.ravel().tolist()
                    runs = coco_mask.merge(coco_mask.frPyObjects([polygon], *crop))
                    record = _coco_record(len(annotations) + 1, len(images), [polygon], runs)
                    annotations.append(record)
    for split, content in coco.items():
        content["categories"] = [{"id": 1, "name": "cell"}]
        _write_json(root / "annotations" / "LIVECell" / f"livecell_coco_{split}.json", content)
    return root.parent


def _phase_contrast(rng: Rng, shape: Shape, cells: list[_Blob]) -> NDArray[np.uint8]:
    """A dark body, a bright middle and a bright halo for each cell."""
    grey = _ground(rng, shape, 126, 9, 2.5)
    for cell in cells:
        box, depth = cell.depth(shape)
        distance = np.sqrt(1 - depth)
        grey[box] += np.where(depth > 0, 50 * depth**2 - 34, 0)
        grey[box] += 34 * np.exp(-(((distance - 1.06) * cell.height / 2.2) ** 2))
    return _uint8(grey)


#: Colour of the background and of the nuclei: fluorescence and stained tissue.
_DARK = ((16, 16, 16), (165, 165, 165))
_PURPLE = ((228, 194, 222), (104, 60, 140))


def _nuclei(folder: Path, rng: Rng) -> Path:
    """Two of the fourteen sets: JPEG with compressed runs in COCO files, ids from 0."""
    root = folder / "Nuclei"
    names = [f"{rng.bytes(32).hex()}.jpg" for _ in range(4)]
    sets = (
        ("stage_1_train", "stage1_train", names, ((256, 256), _DARK), ((256, 320), _PURPLE)),
        ("BBBC007", "BBBC007", [f"A9 p{k}d.tif.jpg" for k in (5, 7)], ((400, 400), _DARK)),
    )
    for place, stem, files, *kinds in sets:
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        (root / place).mkdir(parents=True, exist_ok=True)
        for index, name in enumerate(files):
            shape, (back, front) = kinds[index % len(kinds)]
            amount, taken = np.zeros(shape, np.float32), np.zeros(shape, bool)
            for centre in _places(rng, shape, 45, 20):
                blob = _blob(rng, centre, rng.uniform(9, 15), 1.3, 0.1)
                box, depth = blob.depth(shape)
                mask = np.zeros(shape, bool)
                mask[box] = (depth > 0) & ~taken[box]
                taken |= mask
                amount[box] += mask[box] * rng.uniform(0.6, 1) * (0.65 + 0.35 * depth.clip(0))
                runs = coco_mask.encode(np.asfortranarray(mask, np.uint8))
                packed = {"size": list(shape), "counts": runs["counts"].decode()}
                annotations.append(_coco_record(len(annotations), index, packed, runs))
            pixels = back + np.subtract(front, back) * amount[..., None]
            pixels += _ground(rng, shape, 0, 5, 3)[..., None]
            Image.fromarray(_uint8(pixels)).save(root / place / name, quality=90)
            images.append({"id": index, "file_name": name, "height": shape[0], "width": shape[1]})
        content = {"annotations": annotations, "categories": [{"id": 1, "name": "Nucleus"}]}
        _write_json(root / "annotations" / f"{stem}.json", {**content, "images": images})
    return root


def _organoid(folder: Path, rng: Rng) -> Path:
    """Two wells of detections, one of tracks: TIFF with labelme boxes."""
    root, shape = folder / "Organoid", (480, 500)
    for tree, well, frames in (
        ("Detection", "W_C10_0", 1),
        ("Detection", "W_D4_1", 2),
        ("Tracking", "W_E4_12", 5),
    ):
        places = _places(rng, shape, 30, 55)
        blobs = [_blob(rng, at, rng.uniform(9, 26), 1.1, 0.08) for at in places]
        drift = rng.normal(0, 3, (len(blobs), 2))
        for time in range(frames):
            grey = _ground(rng, shape, 170, 16, 4)
            boxes = []
            for track, (blob, (dy, dx)) in enumerate(zip(blobs, drift, strict=True)):
                if track % 5 == 4 and time < 2:  # some are seen later
                    continue
                blob = replace(blob.scaled(1.06**time), y=blob.y + dy * time, x=blob.x + dx * time)
                box, depth = blob.depth(shape)
                distance = np.sqrt(1 - depth)
                grey[box] -= 95 * np.exp(-(((distance - 0.88) / 0.13) ** 2)) + 22 * (depth > 0)
                corners = blob.corners().clip(0, (shape[1] - 1, shape[0] - 1))
                if np.ptp(corners, axis=0).min() >= 4:
                    label = str(track + track // 2) if tree == "Tracking" else "0"
                    boxes.append(_labelme_box(label, corners))
            stem = root / tree / well / f"Proj_{time + 1}"
            content: dict[str, Any] = {
                "version": "4.5.6",
                "flags": {},
                "shapes": boxes,
                "imagePath": f"D:\\organoid\\{well}-Phase Contrast-{stem.name}.tif",
                "imageData": None,
                "imageHeight": shape[0],
                "imageWidth": shape[1],
            }
            _write_json(stem.with_suffix(".json"), content)
            tifffile.imwrite(stem.with_suffix(".tif"), _uint8(grey), metadata=None)
    return root


def _labelme_box(label: str, corners: NDArray[np.float64]) -> dict[str, Any]:
    colours = {"line_color": None, "fill_color": None}
    points = {"points": corners.tolist(), "shape_type": "rectangle", "flags": {}}
    return {"label": label, **colours, **points}


#: Grey of the background and of the six classes.
_PLATELET_GREY = np.array([0.78, 0.58, 0.42, 0.34, 0.74, 0.24, 0.06], np.float32)


def _platelet_em(folder: Path, rng: Rng) -> Path:
    """Two volumes: uint16 TIFF, with semantic and instance labels as run-length JSON."""
    root = folder / "platelet-em"
    for name, shape in (("24", (8, 160, 192)), ("50", (12, 160, 192))):
        semantic, cell, organelle = (np.zeros(shape, np.int32) for _ in range(3))
        for number, (z, y, x) in enumerate(rng.uniform(0, shape, (16, 3)), 1):
            blob = _blob(rng, (y, x), rng.uniform(26, 42), 1.3, 0.15)
            _fill(cell, blob, z, 6, number, cell == 0)
        semantic[cell > 0] = 1
        spots = rng.permutation(np.argwhere(cell))[:200]
        for number, (z, y, x) in enumerate(spots.tolist(), 1):
            blob = _blob(rng, (y, x), rng.uniform(2.5, 5.5), 1.2, 0.12)
            free = (cell == cell[z, y, x]) & (organelle == 0)
            _fill(organelle, blob, z, 1.6, number, free)
            semantic[organelle == number] = 2 + number % 4
            if number % 4 == 3:  # a dense granule is one instance with a body and a core
                _fill(semantic, blob.scaled(0.6), z, 1.6, 6, organelle == number)
        grey = _PLATELET_GREY[semantic] + rng.normal(0, 0.04, shape)
        grey += np.stack([_clouds(rng, shape[1:], 24) for _ in range(shape[0])]) * 0.05
        grey = (grey - grey.min()) / np.ptp(grey) * 65535
        image = root / "images" / f"{name}-images.tif"
        image.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(image, grey.astype(np.uint16), photometric="minisblack")
        for place, stem, labels in (
            ("labels-semantic", "semantic", semantic),
            ("labels-instance", "instance-cell", cell),
            ("labels-instance", "instance-organelle", organelle),
        ):
            content = {".info": {"shape": list(shape), "dtype": "int32"}, **_run_lengths(labels)}
            _write_json(root / place / f"{name}-{stem}.json", content)
    return root


def _fill(
    labels: NDArray[np.int32], blob: _Blob, z: float, depth: float, value: int, free: NDArray[Any]
) -> None:
    """Set `value` where `free` inside an ellipsoid: `blob` at `z`, smaller in the planes around."""
    box, inside = blob.depth(labels.shape[1:])
    for plane in range(len(labels)):
        inner = inside > ((plane - z) / depth) ** 2
        labels[plane][box][inner & free[plane][box]] = value


def _run_lengths(labels: NDArray[np.int32]) -> dict[str, str]:
    """``"start length start length …"`` of each label: 1-based, in C order over the volume."""
    flat = labels.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=flat[0] - 1))
    runs = np.stack([starts + 1, np.diff(starts, append=flat.size)], axis=1)
    values = flat[starts]
    return {
        str(value): " ".join(map(str, runs[values == value].ravel().tolist()))
        for value in np.unique(flat[flat > 0])
    }


_SMEAR = np.array([232, 224, 214], np.float32)
_RED_CELL = np.array([206, 160, 158], np.float32)
_NUCLEUS = np.array([104, 70, 146], np.float32)
_PLASMA = (_SMEAR + _NUCLEUS) / np.float32(2)
_PLATELET = np.array([160, 120, 170], np.float32)


def _wbc(folder: Path, rng: Rng) -> Path:
    """Three focal stacks of ten JPEGs, and the analyser's JSON of predicted cells."""
    root, shape = folder / "miLab_test", (480, 640)
    root.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {}
    for number in (1, 2, 4):
        sharp = _SMEAR + _ground(rng, shape, 0, 4, 0)[..., None]
        for centre in _places(rng, shape, 130, 24):
            _stain(sharp, _blob(rng, centre, 14, 1, 0.04), _RED_CELL, hollow=True)
        focus = np.full(shape, 5, np.float32)
        cells = {}
        centres = rng.permutation(_places(rng, (shape[0] - 100, shape[1] - 100), 7, 110) + 50)
        for index, (y, x) in enumerate(centres):
            prediction = (5, 2, 7, 1, 3, 0, 4)[index]
            radius = rng.uniform(10, 12) if prediction == 1 else rng.uniform(28, 36)
            blob = _blob(rng, (y, x), radius, 1, 0.04)
            if prediction > 1:
                _stain(sharp, blob, _PLASMA)
                _stain(sharp, blob.scaled(0.7), _NUCLEUS)
            else:
                _stain(sharp, blob, _PLATELET if prediction else _RED_CELL, hollow=not prediction)
            (left, top), (right, bottom) = blob.corners().astype(int).tolist()
            best = int(rng.integers(2, 8))
            focus[top:bottom, left:right] = best
            box = [left, top, right - left, bottom - top]
            cells[str(index)] = {"prediction": prediction, "location": box, "focus": best}
        soft = Image.fromarray(_uint8(sharp)).filter(ImageFilter.GaussianBlur(5))
        stage = "_".join(str(value) for value in rng.integers(10_000, 60_000, 2))
        for plane in range(10):
            share = (abs(plane - focus) / 9)[..., None]
            pixels = sharp + (np.asarray(soft) - sharp) * share + rng.normal(0, 2, (*shape, 1))
            name = f"{number:04}_{stage}_{plane:03}_{22_000 - 900 * abs(plane - 5)}.jpg"
            Image.fromarray(_uint8(pixels)).save(root / name, quality=90)
            if plane == 5:
                content[str(number - 1)] = {"img_name": name, "cell_prediction": cells}
    _write_json(root / "analyze_result.json", content)
    return root


def _stain(pixels: FloatImage, blob: _Blob, colour: FloatImage, hollow: bool = False) -> None:
    """Colour the inside of a blob; a `hollow` one is paler in the middle."""
    box, depth = blob.depth((pixels.shape[0], pixels.shape[1]))
    amount = (depth * 4).clip(0, 1) * (1 - 0.4 * depth.clip(0) ** 2 * hollow)
    pixels[box] += (colour - pixels[box]) * amount[..., None]


#: What draws the sample of each source.
SAMPLES: dict[str, Callable[[Path, Rng], Path]] = {
    "livecell": _livecell,
    "nuclei": _nuclei,
    "organoid": _organoid,
    "platelet-em": _platelet_em,
    "wbc": _wbc,
}
