"""Edits of a store of a COCO folder that is written by hand; pycocotools draws what is expected."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from PIL import Image
from pycocotools import mask as coco

import ngff_bio
from ngff_bio.engine.write.manifest import MANIFEST, MANIFEST_CHECKSUM
from ngff_bio.errors import ArgumentError

HEIGHT, WIDTH = 50, 60

#: Two parts that touch, one part within another, one that overlaps others, single ones.
OUTLINES = {
    11: [[2, 2, 12, 2, 12, 9, 2, 9], [20, 3, 28, 3, 24, 11]],
    12: [[5, 20, 25, 20, 25, 40, 5, 40], [10, 25, 15, 25, 15, 30, 10, 30]],
    13: [[18, 30, 40, 30, 40, 46, 18, 46]],
    14: [[45, 5, 57, 5, 57, 18, 45, 18]],
    15: [[30.5, 12.25, 38.75, 12.25, 34.5, 22.0]],
}


def ring() -> Any:
    """The mask of an object with a hole."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[34:48, 44:58] = 1
    mask[38:44, 48:54] = 0
    return mask


def encoded(mask: Any) -> dict[str, Any]:
    """COCO's compressed run-length code."""
    rle = coco.encode(np.asfortranarray(mask))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def drawn(polygons: Any) -> Any:
    """The mask of an outline by pycocotools."""
    parts = [list(map(float, p)) for p in polygons]
    return coco.decode(coco.merge(coco.frPyObjects(parts, HEIGHT, WIDTH))).astype(bool)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coco")
    (folder / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH), "u1")
    Image.fromarray(pixels).save(folder / "images" / "a.png")
    records = []
    shapes: dict[int, Any] = {**OUTLINES, 16: encoded(ring())}
    for number, shape in shapes.items():
        mask = ring().astype(bool) if number == 16 else drawn(shape)
        (y0, x0), (y1, x1) = np.argwhere(mask).min(0), np.argwhere(mask).max(0) + 1
        records.append(
            {"id": number, "image_id": 1, "category_id": 1, "segmentation": shape,
             "area": int(mask.sum()), "bbox": [int(n) for n in (x0, y0, x1 - x0, y1 - y0)],
             "iscrowd": int(number == 16)}
        )  # fmt: skip
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": records,
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "debris"}],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def converted(folder: Path) -> Path:
    ngff_bio.convert(folder, folder.with_suffix(".zarr"))
    return folder.with_suffix(".zarr")


def only_image(store: Path) -> Any:
    dataset = ngff_bio.open(store)
    (path,) = dataset
    return dataset[path]


def row_of(table: pd.DataFrame, number: int) -> Any:
    return table.index[table["source_id"] == str(number)][0]


def whole(image: Any, number: int) -> Any:
    """The pixels of an object in the label image that its row names."""
    table = image.annotations()
    row = table.loc[row_of(table, number)]
    return image.label(row["label_image"]).array(0)[:] == row["label"]


@pytest.fixture(scope="module")
def edited(converted: Path) -> Path:
    """14 is moved in two parts, 15 gets a class, 11 is removed, 13 has a hole, one is added."""
    store = Path(shutil.copytree(converted, converted.with_name("edited.zarr")))
    image = only_image(store)
    table = image.annotations()
    table.at[row_of(table, 14), "polygons"] = MOVED
    table.at[row_of(table, 15), "category"] = "debris"
    at = row_of(table, 13)
    for column, value in zip(
        ("polygons", "rle_size", "rle_counts"), (None, *HOLED.values()), strict=True
    ):
        table.at[at, column] = value
    table = table.drop(index=row_of(table, 11))
    new = pd.DataFrame([{"label": 99, "t": 0, "source_id": "17", "polygons": ADDED}])
    done = image.update_annotations(pd.concat([table, new], ignore_index=True), remove_missing=True)
    assert list(done.values()) == [{"added": 1, "removed": 1, "changed": 3}]
    return store


MOVED = [[41.0, 2, 50, 2, 50, 12, 41, 12], [41.0, 20, 47, 20, 47, 26], [52.5, 22, 58, 22, 55, 29]]
ADDED = [[1.0, 42, 8, 42, 8, 49, 1, 49], [9.0, 43, 14, 43, 14, 49, 9, 49]]
HOLED = encoded(np.pad(np.pad(np.zeros((6, 6), "u1"), 4, constant_values=1), ((25, 11), (20, 26))))


def test_outlines_of_several_parts_and_with_holes_are_drawn_as_pycocotools_draws_them(
    edited: Path,
) -> None:
    image = only_image(edited)
    table = image.annotations()
    counts = {"size": HOLED["size"], "counts": HOLED["counts"].encode()}
    expected = {12: drawn(OUTLINES[12]), 13: coco.decode(counts).astype(bool),
                14: drawn(MOVED), 15: drawn(OUTLINES[15]), 16: ring().astype(bool),
                17: drawn(ADDED)}  # fmt: skip
    assert sorted(map(int, table["source_id"])) == sorted(expected)
    for number, mask in expected.items():
        np.testing.assert_array_equal(whole(image, number), mask, err_msg=str(number))
        row = table.loc[row_of(table, number)]
        assert (row["pixels"], row["area"]) == (mask.sum(), mask.sum())
        (y0, x0), (y1, x1) = np.argwhere(mask).min(0), np.argwhere(mask).max(0) + 1
        box = [row[f"box_{n}"] for n in ("x", "y", "width", "height")]
        assert box == [x0, y0, x1 - x0, y1 - y0]
    name = next(iter(image.layers))
    np.testing.assert_array_equal(
        image.label(name).array(0)[:] > 0, np.any(list(expected.values()), axis=0)
    )


@pytest.mark.parametrize(
    ("polygons", "match"),
    [
        ([[1.0, 1, 9, 1, 9, 9], [1.0, 1, 2, 2]], "outline|polygon|points"),
        ([[1.0, 1, 9, 1, 9, 9], [1.0, 1, 2, 2, 3]], "outline|polygon|points"),
        ([[]], "outline|polygon|points"),
        ([], "outline|polygon|points"),
        ([[1.0, 1, 9, 1, 9, float("nan")]], "outline|polygon|points|number"),
    ],
)
def test_a_part_that_is_no_outline_is_one_error(converted: Path, polygons: Any, match: str) -> None:
    image = only_image(converted)
    table = image.annotations()
    table.at[row_of(table, 14), "polygons"] = polygons
    with pytest.raises(ArgumentError, match=match):
        image.update_annotations(table)


def test_verify_compares_the_objects_that_were_not_edited(edited: Path, folder: Path) -> None:
    done = ngff_bio.verify(edited, folder)
    assert done.equal, done.differences
    notes = [n for n in done.notes if "objects are compared" in n]
    assert len(notes) == 1
    assert "2 objects are compared with the source, 4 that were edited or added are not" in notes[0]
    assert done.instances == 2


@pytest.mark.parametrize("what", ["visible", "whole", "row", "missing"])
def test_a_change_of_an_object_that_was_not_edited_is_found(
    what: str, edited: Path, folder: Path, tmp_path: Path
) -> None:
    store = Path(shutil.copytree(edited, tmp_path / "a.zarr"))
    for name in (MANIFEST, MANIFEST_CHECKSUM):
        (store / name).unlink()
    image = only_image(store)
    table = image.annotations()
    row = table.loc[row_of(table, 12)]
    layer = next(iter(image.layers))
    path = store / image.path / "tables" / layer / "table.parquet"
    if what in ("visible", "whole"):
        name = layer if what == "visible" else row["label_image"]
        labels = zarr.open_array(store / image.path / "labels" / name / "0", mode="r+")
        y, x = (1, 1) if what == "visible" else np.argwhere(whole(image, 12))[0]
        labels[y, x] = row["label"] if what == "visible" else 0
    else:
        rows = pq.read_table(path).to_pylist()
        at = next(i for i, r in enumerate(rows) if r["source_id"] == "12")
        rows[at]["area"] += 1
        kept = [r for i, r in enumerate(rows) if what == "row" or i != at]
        pq.write_table(pa.Table.from_pylist(kept, pq.read_schema(path)), path)
    found = ngff_bio.verify(store, folder).differences
    assert found
    named = [d.instance or d.what for d in found if d.kind in ("mask", "row")]
    assert any("12" in n or f"label {row['label']}" in n for n in named), found
