"""What a converted store says of COCO annotations, read by zarr and pyarrow alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import zarr
from numpy.typing import NDArray
from pycocotools import mask as coco_mask


@dataclass
class Row:
    """One row of a table, and the group of the image that it belongs to."""

    image: Path
    values: dict[str, Any]

    def mask(self) -> NDArray[np.bool_]:
        """Its pixels on its whole frame."""
        labels = zarr.open_array(self.image / "labels" / self.values["label_image"] / "0", mode="r")
        frame = labels[self.values["t"]] if labels.ndim == 3 else labels[:]
        return np.asarray(frame) == self.values["label"]

    def record(self) -> dict[str, Any]:
        """The source's record, written again from the columns."""
        record: dict[str, Any] = json.loads(self.values["record"])
        # Null, or an object of nulls that keeps the order of an RLE's keys.
        blank = record.get("segmentation", "") in (None, {"counts": None, "size": None})
        if blank:
            if self.values["polygons"] is not None:
                record["segmentation"] = self.values["polygons"]
            elif self.values["rle_size"] is not None:
                counts = self.values["rle_counts"] or self.values["rle_runs"]
                size = self.values["rle_size"]
                whole = {"size": size, "counts": counts}
                order = list(record["segmentation"] or whole)
                record["segmentation"] = {k: whole[k] for k in order}
        return record


def image_groups(store: Path) -> list[Path]:
    """Groups of all images."""
    found = []
    for path in sorted(store.rglob("zarr.json")):
        document = json.loads(path.read_text())
        own = document.get("attributes", {}).get("ngff_bio", {})
        if own.get("kind") == "image":
            found.append(path.parent)
    return found


def own_attributes(group: Path) -> dict[str, Any]:
    attributes = json.loads((group / "zarr.json").read_text())["attributes"]
    found: dict[str, Any] = attributes["ngff_bio"]
    return found


def rows(store: Path) -> Iterator[Row]:
    for image in image_groups(store):
        for path in sorted(image.glob("tables/*/table.parquet")):
            for values in pq.read_table(path).to_pylist():
                yield Row(image, values)


def annotations(store: Path) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """Records of each annotation file with their place in it, as the tables have them."""
    found: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for row in rows(store):
        variants = row.values["variants"] or [None] * len(row.values["files"])
        for file, index, variant in zip(
            row.values["files"], row.values["indices"], variants, strict=True
        ):
            record = row.record()
            changes = json.loads(variant) if variant else {}
            changes.pop("key", None)
            found.setdefault(file, []).append((index, {**record, **changes}))
    for each in found.values():
        each.sort(key=lambda pair: pair[0])
    return found


def coco_decode(segmentation: Any, height: int, width: int) -> NDArray[np.bool_]:
    """A mask as pycocotools has it."""
    if isinstance(segmentation, list):
        rle = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        rle = coco_mask.frPyObjects(segmentation, height, width)
    else:
        rle = segmentation
    return np.asarray(coco_mask.decode(rle)).astype(bool)


def same_record(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Equal, and the keys in the same order."""
    return list(one) == list(other) and one == other
