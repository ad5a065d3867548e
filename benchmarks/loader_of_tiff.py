"""The loader that people write today: TIFF files, COCO polygons drawn by pycocotools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from pycocotools import mask as coco_mask


# Not named with its items' type: older torch has no such parameter.
class TiffPatches(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Random patches: image, label image and boxes, as :class:`TorchPatches` gives them."""

    def __init__(self, folder: Path, listing: str, size: int, count: int) -> None:
        self.size, self.count = size, count
        files = {p.name: p for p in folder.rglob("*.tif")}
        self.images: list[tuple[Path, list[dict[str, Any]]]] = []
        for path in sorted(folder.rglob(listing)):
            content = json.loads(path.read_text())
            found = content["annotations"]
            records = list(found.values()) if isinstance(found, dict) else found
            by_image: dict[Any, list[dict[str, Any]]] = {}
            for record in records:
                by_image.setdefault(record["image_id"], []).append(record)
            for image in content["images"]:
                name = Path(image["file_name"]).name
                if name in files:
                    self.images.append((files[name], by_image.get(image["id"], [])))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> dict[str, Any]:
        rng = np.random.default_rng([0, number])
        path, records = self.images[int(rng.integers(len(self.images)))]
        pixels = tifffile.imread(path)
        height, width = pixels.shape
        labels = np.zeros((height, width), np.int64)
        for value, record in enumerate(records, 1):
            rles = coco_mask.frPyObjects(record["segmentation"], height, width)
            labels[coco_mask.decode(coco_mask.merge(rles)) != 0] = value
        y = int(rng.integers(max(height - self.size, 0) + 1))
        x = int(rng.integers(max(width - self.size, 0) + 1))
        cut = (slice(y, y + self.size), slice(x, x + self.size))
        part = labels[cut]
        values = np.unique(part)
        values = values[values > 0]
        given = np.array([records[v - 1]["bbox"] for v in values], np.float32).reshape(-1, 4)
        boxes = np.concatenate([given[:, :2], given[:, :2] + given[:, 2:]], 1) - [x, y, x, y]
        return {
            "image": torch.from_numpy(pixels[cut][None].astype(np.float32) / 255),
            "labels": {"cell": torch.from_numpy(part.copy())},
            "objects": {
                "cell": {
                    "values": torch.from_numpy(values),
                    "boxes": torch.from_numpy(boxes.clip(0, self.size).astype(np.float32)),
                }
            },
        }
