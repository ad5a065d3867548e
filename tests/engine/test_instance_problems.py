"""Instances that cannot be drawn, or of which nothing is seen, and those drawn on a part of a frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import zarr
from coco_masks import coco_decode

from ngff_bio.engine import ConversionReport, write_dataset
from ngff_bio.errors import SourceError
from ngff_bio.model import (
    ArrayPixels,
    Box,
    Geometry,
    Instance,
    InstanceLayer,
    Notice,
    OnError,
    Polygons,
    Rle,
    SourceDataset,
    SourceImage,
    axes_from,
)
from ngff_bio.storage import FolderStorage

SQUARE = Polygons(((2.0, 2.0, 7.0, 2.0, 7.0, 7.0, 2.0, 7.0),))


@dataclass
class Fixed:
    instances: list[Instance]

    def read(self, t: int) -> list[Instance]:
        return self.instances


def instance(number: int, geometry: Geometry | None, **more: object) -> Instance:
    found = Instance(number, geometry, files=("f.json",), indices=(number - 1,), source_id=number)
    for key, value in more.items():
        setattr(found, key, value)
    return found


def drawn(
    folder: Path, instances: list[Instance], on_error: OnError = "stop", size: int = 20
) -> tuple[ConversionReport, list[dict[str, object]], np.ndarray]:
    count = len(instances)
    layer = InstanceLayer("cell", Fixed(instances), count, count, on_error=on_error)
    pixels = ArrayPixels(np.zeros((size, size), np.uint8))
    image = SourceImage("", "x", axes_from("yx"), pixels, (layer,))
    dataset = SourceDataset("x", "test", "here", "image", (image,))
    report = write_dataset(dataset, FolderStorage(folder / "out.zarr"))
    table = pq.read_table(folder / "out.zarr/tables/cell/table.parquet").to_pylist()
    labels = zarr.open_array(folder / "out.zarr/labels/cell/0", mode="r")[:]
    return report, table, np.asarray(labels)


@pytest.mark.parametrize(
    ("geometry", "what"),
    [
        (Rle((20, 20), [5, 3]), "do not add up"),
        (Rle((20, 20), [400, -3, 3]), "negative count"),
        (Rle((9, 20), [180]), "size of an RLE"),
        (Rle((20, 20), "~~"), "outside of its code"),
        (Rle((20, 20), "ao02l74M2O1O0O2O1O001O0001O1N2N4L^X[2"), "do not add up"),
    ],
)
def test_runs_that_are_wrong_name_their_record_or_are_left_out(
    tmp_path: Path, geometry: Rle, what: str
) -> None:
    with pytest.raises(SourceError, match=what) as caught:
        drawn(tmp_path / "a", [instance(1, SQUARE), instance(2, geometry)])
    assert caught.value.file == "f.json"
    assert caught.value.record == "annotations[1] (id 2)"
    assert "skip" in str(caught.value.hint)
    report, table, labels = drawn(
        tmp_path / "b", [instance(1, SQUARE), instance(2, geometry)], "skip"
    )
    assert [(n.kind, n.record) for n in report.notices] == [("skipped", "annotations[1] (id 2)")]
    assert [r["pixels"] for r in table] == [25, 0]
    assert table[1]["rle_counts"] or table[1]["rle_runs"]
    assert set(np.unique(labels)) == {0, 1}


def test_one_with_a_notice_of_being_skipped_is_not_drawn(tmp_path: Path) -> None:
    bad = instance(1, SQUARE, notice=Notice("skipped", "wrong", "f.json", "annotations[0]"))
    report, table, labels = drawn(tmp_path, [bad, instance(2, SQUARE)], "skip")
    assert (labels == 2).sum() == 25
    assert not (labels == 1).any()
    assert table[0]["polygons"] == [list(SQUARE.parts[0])]
    assert [n.what for n in report.notices] == ["wrong"]


@pytest.mark.parametrize(
    "geometry",
    [
        Polygons(((100.0, 100.0, 110.0, 100.0, 110.0, 110.0),)),
        Polygons(((3.0, 3.0, 3.0, 3.0, 3.0, 3.0),)),
        Box(30.0, 30.0, 40.0, 40.0),
    ],
    ids=["outside", "zero area", "box outside"],
)
def test_an_outline_that_covers_no_pixel_is_kept_whole_with_a_warning(
    tmp_path: Path, geometry: Geometry
) -> None:
    report, table, _ = drawn(tmp_path, [instance(1, geometry), instance(2, SQUARE)])
    (notice,) = report.notices
    assert (notice.kind, notice.file, notice.record) == (
        "warning",
        "f.json",
        "annotations[0] (id 1)",
    )
    assert table[0]["pixels"] == 0
    if isinstance(geometry, Polygons):
        assert table[0]["polygons"] == [list(geometry.parts[0])]


def test_an_instance_of_a_window_is_drawn_as_on_its_own_image_and_put_there(
    tmp_path: Path,
) -> None:
    # 5.1 + 12 is rounded otherwise than 5.1: only the window's own coordinates give the same mask.
    outline = (0.1, 0.3, 9.7, 1.1, 5.1, 12.5, -3.0, 5.0)
    shapes: list[Geometry] = [
        Polygons((outline,)),
        Rle((10, 8), [11, 5, 64]),
        Box(1.0, 2.0, 12.0, 5.0),
    ]
    made = [
        instance(k + 1, shape, window=(7, 12 * (k % 2), 10, 8)) for k, shape in enumerate(shapes)
    ]
    _, table, _ = drawn(tmp_path, made)
    for k, row in enumerate(table):
        expected = np.zeros((20, 20), bool)
        if k == 0:
            mask = coco_decode([list(outline)], 10, 8)
        elif k == 1:
            mask = coco_decode({"size": [10, 8], "counts": [11, 5, 64]}, 10, 8)
        else:
            mask = np.zeros((10, 8), bool)
            mask[2:5, 1:] = True
        left = 12 * (k % 2)
        expected[7:17, left : left + 8] = mask
        labels = zarr.open_array(tmp_path / f"out.zarr/labels/{row['label_image']}/0", mode="r")
        np.testing.assert_array_equal(np.asarray(labels[:]) == row["label"], expected)
        assert (row["offset_y"], row["offset_x"]) == (7, left)


def test_equal_notices_of_many_frames_are_one_line(tmp_path: Path) -> None:
    outside = Polygons(((100.0, 100.0, 110.0, 100.0, 110.0, 110.0),))
    report, _, _ = drawn(tmp_path, [instance(k, outside) for k in range(1, 31)])
    (notice,) = report.notices
    assert notice.count == 30
    assert (notice.record or "").endswith("and 25 more")
