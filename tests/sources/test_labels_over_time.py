"""Label images of a time series: a row for each object and frame, tracked only where it is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.measure
import tifffile

import ngff_bio
from ngff_bio.checks.source.verify import verify
from ngff_bio.errors import ArgumentError
from ngff_bio.export.run import export

FRAMES = np.zeros((3, 30, 40), np.uint16)
FRAMES[0, 2:8, 3:9] = 1
FRAMES[0, 12:20, 22:33] = 2
FRAMES[1, 4:10, 5:11] = 1
FRAMES[2, 20:25, 30:40] = 2


def write(folder: Path, frames: np.ndarray = FRAMES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for t, labels in enumerate(frames):
        tifffile.imwrite(folder / f"a_t{t}.tif", np.full((30, 40), t, np.uint8), metadata=None)
        tifffile.imwrite(folder / f"a_t{t}_labels.tif", labels, metadata=None)
    return folder


def measured(frames: np.ndarray) -> Iterator[tuple[int, ...]]:
    """Frame, label, pixels and box of every object, as scikit-image finds them."""
    for t, labels in enumerate(frames):
        for one in skimage.measure.regionprops(labels):
            y0, x0, y1, x1 = one.bbox
            yield t, one.label, int(one.area), y0, y1, x0, x1


def rows(store: Path) -> list[tuple[int, ...]]:
    table = ngff_bio.open(store)[""].annotations()
    names = ["t", "label", "pixels", "y_start", "y_stop", "x_start", "x_stop"]
    return [tuple(map(int, row)) for row in table[names].to_numpy()]


def test_equal_values_on_two_frames_are_two_objects(tmp_path: Path) -> None:
    source, store = write(tmp_path / "in"), tmp_path / "o.zarr"
    report = ngff_bio.convert(source, store)
    assert rows(store) == list(measured(FRAMES))
    assert report.instances == 4
    assert any("--tracked" in n.what for n in report.notices)
    found = verify(store, source)
    assert (found.equal, found.instances) == (True, 4)


def test_the_real_series_has_the_objects_of_each_of_its_files(
    samples: Path, tmp_path: Path
) -> None:
    folder, store = samples / "generic" / "label_series", tmp_path / "o.zarr"
    ngff_bio.convert(folder, store)
    files = [f"xy_8bit__mitocheck_incenp_{t}_labels.tif" for t in ("t1", "t70")]
    expected = np.stack([tifffile.imread(folder / f) for f in files]).astype(np.uint16)
    assert len(list(measured(expected))) == 14
    assert rows(store) == list(measured(expected))


def test_tracked_values_are_one_object_over_time(tmp_path: Path) -> None:
    source, store = write(tmp_path / "in"), tmp_path / "o.zarr"
    ngff_bio.convert(source, store, options={"tracked": True})
    image = ngff_bio.open(store)[""]
    assert rows(store) == list(measured(FRAMES))
    assert list(image.annotations()["track_id"]) == ["1", "2", "1", "2"]
    nodes = {n: (one["label"], one["t"]) for n, one in image.tracks().nodes(data=True)}
    follows = sorted((nodes[a], nodes[b]) for a, b in image.tracks().edges)
    assert follows == [((1, 0), (1, 1)), ((2, 0), (2, 2))]
    assert verify(store, source, options={"tracked": True}).equal
    assert not verify(store, source, options={}).equal


def test_a_wrong_row_of_one_frame_is_found(tmp_path: Path) -> None:
    source, store = write(tmp_path / "in"), tmp_path / "o.zarr"
    ngff_bio.convert(source, store)
    other = write(tmp_path / "other", np.stack([FRAMES[0], FRAMES[1], np.roll(FRAMES[2], -3, 1)]))
    wrong = [d for d in verify(store, other).differences if d.kind == "row"]
    assert wrong
    assert all("t=2" in str(d.instance) for d in wrong)


@pytest.mark.parametrize("tracked", [False, True])
def test_frames_with_labels_are_appended(tmp_path: Path, tracked: bool) -> None:
    options: dict[str, Any] = {"tracked": True} if tracked else {}
    settings = ngff_bio.Settings(frames=1)
    source, store = write(tmp_path / "in", FRAMES[:2]), tmp_path / "o.zarr"
    ngff_bio.convert(source, store, settings=settings, options=options)
    write(source)
    ngff_bio.convert(source, store, settings=settings, options=options, append=True)
    assert rows(store) == list(measured(FRAMES))
    assert verify(store, source, options=options).equal


def test_an_export_has_the_objects_of_each_frame(tmp_path: Path) -> None:
    store = tmp_path / "o.zarr"
    ngff_bio.convert(write(tmp_path / "in"), store, options={"tracked": True})
    export(store, tmp_path / "coco.json", to="coco")
    coco = json.loads((tmp_path / "coco.json").read_text())
    files = {i["id"]: i["file_name"] for i in coco["images"]}
    found = sorted((files[a["image_id"]], int(a["area"])) for a in coco["annotations"])
    assert [area for _, area in found] == [m[2] for m in sorted(measured(FRAMES))]


def test_nothing_to_track_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="time series"):
        ngff_bio.convert(
            write(tmp_path / "in", FRAMES[:1]), tmp_path / "o", options={"tracked": True}
        )
