"""Makes a folder of images with COCO files that belongs to no published dataset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from makers.generic_scenes import SHAPES, Blob, as_integers, as_rgb, draw_blobs
from makers.truth import Truth, preset, written_below

#: Segmentation kinds that the annotations of an image take in turn.
SEGMENTATIONS = ("polygon", "parts", "rle_str", "rle_list", "none", "empty")


@dataclass(frozen=True)
class CocoImage:
    """One image.

    Attributes
    ----------
    file_name
        As listed, with ``/`` where it lies in a sub-folder.
    path
        Where it lies.
    pixels
        What was written: (rows, columns) or (rows, columns, channels); before JPEG where lossy.
    lossy
        Whether the file is a JPEG.
    """

    file_name: str
    path: Path
    pixels: NDArray[np.generic]
    lossy: bool


@dataclass(frozen=True)
class CocoFolderTruth(Truth):
    """What went into the folder: images by listed name, content and path of each COCO file."""

    images: dict[str, CocoImage]
    content: dict[str, dict[str, Any]]
    annotation_files: dict[str, Path]


def make_coco_folder(
    folder: Path,
    *,
    size: str | tuple[int, int] = "tiny",
    seed: int = 0,
    images: int = 4,
    instances: int = 6,
    kinds: Sequence[Literal["png", "png16", "rgba", "palette", "jpg", "tif"]] = ("png", "jpg"),
    segmentations: Sequence[str] = ("polygon",),
    files: Sequence[str] = ("instances_train", "instances_val"),
    beside: bool = False,
    subfolders: bool = False,
    string_ids: bool = False,
    first_id: int = 1,
    categories: Literal["several", "one", "missing"] = "several",
    keypoints: bool = False,
    extra_keys: bool = False,
    without_area: bool = False,
    unknown_category: bool = False,
) -> CocoFolderTruth:
    """Write ``coco/images/*`` and ``coco/annotations/*.json`` below `folder`.

    Parameters
    ----------
    folder
        Where ``coco`` is made.
    size
        ``tiny`` (48x64), ``small``, ``full`` (2048x2560), or rows and columns.
    seed
        Same seed, same bytes.
    images, instances
        How many images, and annotations in each.
    kinds
        File kinds that the images take in turn: grey PNG of 8 or 16 bits, RGBA PNG, palette PNG,
        RGB JPEG, RGB TIFF.
    segmentations
        What annotations take in turn: ``polygon``, ``parts`` (two polygons), ``rle_str``,
        ``rle_list`` (both ``iscrowd`` 1), ``none`` (no key), ``empty`` (an empty list).
    files
        Names of the COCO files, over which the images are dealt.
    beside
        Whether images and JSON lie in one folder.
    subfolders
        Whether images lie in sub-folders that ``file_name`` names.
    string_ids
        Whether all ids are text.
    first_id
        Where ids of images and annotations begin; may be 0 or negative, or beyond 32 bits.
    categories
        ``several`` with supercategories and gaps in their ids, ``one``, or no such key.
    keypoints
        Whether annotations have keypoints, and their category the names.
    extra_keys
        Whether every record has keys that COCO does not know, some of them nested.
    without_area
        Whether ``area`` and ``iscrowd`` are left out.
    unknown_category
        Whether the last annotation names a category that is not listed.
    """
    shape = preset(size, SHAPES) if isinstance(size, str) else size
    root = Path(folder) / "coco"
    image_root = root if beside else root / "images"
    json_root = root if beside else root / "annotations"
    listed = _categories(categories, keypoints)
    made: dict[str, CocoImage] = {}
    content: dict[str, dict[str, Any]] = {
        name: {
            "info": {"description": "made for tests", "version": "1.0"},
            "licenses": [{"id": 1, "name": "CC0 1.0", "url": ""}],
            "images": [],
            "annotations": [],
        }
        for name in files
    }

    def spelled(number: int) -> int | str:
        return str(number) if string_ids else number

    annotation_id = first_id
    for index in range(images):
        rng = np.random.default_rng((seed, 15, index))
        grey, blobs = draw_blobs(rng, shape, instances)
        kind = kinds[index % len(kinds)]
        name = f"image {index + 1}.{ {'jpg': 'jpg', 'tif': 'tif'}.get(kind, 'png') }"
        if subfolders:
            name = f"plate_{index % 2}/{name}"
        path = image_root / name
        made[name] = CocoImage(name, path, _write_image(path, grey, kind), kind == "jpg")
        target = content[files[index % len(files)]]
        entry: dict[str, Any] = {
            "id": spelled(first_id + index),
            "file_name": name,
            "height": shape[0],
            "width": shape[1],
        }
        if extra_keys:
            entry |= {"license": 1, "date_captured": "2021-05-04 13:00", "stain": {"dye": "H&E"}}
        target["images"].append(entry)
        for number, blob in enumerate(blobs):
            record: dict[str, Any] = {
                "id": spelled(annotation_id),
                "image_id": entry["id"],
                "category_id": spelled(listed[number % len(listed)]["id"]),
            }
            record |= _segmentation(blob, shape, segmentations[number % len(segmentations)])
            if without_area:
                del record["area"], record["iscrowd"]
            if keypoints:
                x, y = blob.centre
                record |= {"keypoints": [x, y, 2, x + blob.radius / 2, y, 1, 0, 0, 0]}
                record |= {"num_keypoints": 2}
            if extra_keys:
                record |= {"score": 0.25 + number, "attributes": {"mitotic": number % 2 == 0}}
            target["annotations"].append(record)
            annotation_id += 1
    if unknown_category:
        content[files[-1]]["annotations"][-1]["category_id"] = spelled(999)
    annotation_files = {}
    json_root.mkdir(parents=True, exist_ok=True)
    for name, each in content.items():
        if categories != "missing":
            each["categories"] = [{**one, "id": spelled(one["id"])} for one in listed]
        annotation_files[name] = json_root / f"{name}.json"
        annotation_files[name].write_text(json.dumps(each))
    return CocoFolderTruth(
        root=root,
        files=written_below(root),
        images=made,
        content=content,
        annotation_files=annotation_files,
    )


def _categories(kind: str, keypoints: bool) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = [{"id": 3, "name": "cell", "supercategory": "object"}]
    if kind == "several":
        listed += [
            {"id": 7, "name": "nucleus", "supercategory": "object"},
            {"id": 90, "name": "débris", "supercategory": ""},
        ]
    if keypoints:
        listed[0] |= {"keypoints": ["centre", "rim", "pole"], "skeleton": [[1, 2]]}
    return listed


def _write_image(path: Path, grey: NDArray[np.float32], kind: str) -> NDArray[np.generic]:
    """Write an image file of some kind; returns its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels: NDArray[np.generic]
    if kind == "png16":
        pixels = as_integers(grey, np.uint16)
    elif kind in ("png", "palette"):
        pixels = as_integers(grey, np.uint8)
    elif kind == "rgba":
        alpha = np.full((*grey.shape, 1), 255, np.uint8)
        alpha[:2] = 0
        pixels = np.concatenate([as_rgb(grey), alpha], axis=2)
    else:
        pixels = as_rgb(grey)
    if kind == "tif":
        tifffile.imwrite(path, pixels, photometric="rgb")
        return pixels
    img = Image.fromarray(pixels)
    if kind == "palette":
        img = img.convert("P")
        img.putpalette([part for grey_value in range(256) for part in (grey_value, 0, 90)])
    if kind == "jpg":
        img.save(path, quality=92)
    else:
        img.save(path)
    return pixels


def _segmentation(blob: Blob, shape: tuple[int, int], kind: str) -> dict[str, Any]:
    contour = blob.contour
    left, top = contour.min(axis=0)
    right, bottom = contour.max(axis=0)
    box = [round(float(value), 2) for value in (left, top, right - left, bottom - top)]
    x, y = contour.T
    area = round(float(abs(np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y)) / 2), 3)
    plain = {"bbox": box, "area": area, "iscrowd": 0}
    if kind == "none":
        return plain
    if kind == "empty":
        return {"segmentation": [], **plain}
    if kind == "parts":
        middle = len(contour) // 2
        halves = [contour[: middle + 1], np.concatenate([contour[middle:], contour[:1]])]
        return {"segmentation": [half.ravel().tolist() for half in halves], **plain}
    polygon = contour.ravel().tolist()
    if kind == "polygon":
        return {"segmentation": [polygon], **plain}
    runs = coco_mask.merge(coco_mask.frPyObjects([polygon], *shape))
    counts: Any = runs["counts"].decode("ascii")
    if kind == "rle_list":
        flat = coco_mask.decode(runs).ravel(order="F")
        edges = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]])
        counts = ([0] if flat[0] else []) + np.diff(edges).tolist()
    return {
        "segmentation": {"counts": counts, "size": list(shape)},
        "bbox": [float(value) for value in coco_mask.toBbox(runs)],
        "area": int(coco_mask.area(runs)),
        "iscrowd": 1,
    }
