"""Measurements are those of scikit-image's regionprops, however an image is cut into blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import regionprops
from written_stores import CLASSES, OVERLAPPING, example_pixels, our_image, our_plate

import ngff_bio
import ngff_bio.reader.analysis.measures as measures
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.errors import ArgumentError, NameNotFoundError
from ngff_bio.model import ArrayPixels, SourceDataset, SourceImage, VolumeLayer, axes_from
from ngff_bio.reader.analysis.measures import merged, sums_of
from ngff_bio.storage import FolderStorage, MemoryStorage


def expected_rows(
    labels: np.ndarray, pixels: np.ndarray | None, spacing: tuple[float, ...] | None = None
) -> dict[int, dict[str, Any]]:
    rows = {}
    for r in regionprops(labels, pixels, spacing=spacing):
        rows[r.label] = {"area": r.area, "centroid": r.centroid, "bbox": r.bbox}
        if pixels is not None:
            values = pixels[tuple(r.coords.T)]
            rows[r.label] |= {
                "mean": r.intensity_mean,
                "min": r.intensity_min,
                "max": r.intensity_max,
                "std": values.std(axis=0),
            }
    return rows


def check(table: pd.DataFrame, rows: dict[int, dict[str, Any]], axes: str) -> None:
    assert table["label"].tolist() == sorted(rows)
    for row in table.to_dict("records"):
        truth = rows[row["label"]]
        assert row["area"] == pytest.approx(truth["area"])
        assert [row[f"centroid_{a}"] for a in axes] == pytest.approx(list(truth["centroid"]))
        n = len(axes)
        assert [row[f"{a}_start"] for a in axes] == list(truth["bbox"][:n])
        assert [row[f"{a}_stop"] for a in axes] == list(truth["bbox"][n:])
        for name in ("mean", "min", "max", "std"):
            if name in truth:
                assert row[f"intensity_{name}"] == pytest.approx(truth[name])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_sums_of_blocks_add_up_to_regionprops(data: st.DataObject) -> None:
    shape = (data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    labels = rng.integers(0, 5, shape).astype(np.uint32) * rng.integers(1, 3)
    pixels = rng.normal(size=shape).astype(np.float32) * 1e3
    cut = [sorted({0, data.draw(st.integers(0, n)), n}) for n in shape]
    parts = []
    for a, b in zip(cut[0], cut[0][1:], strict=False):
        for c, d in zip(cut[1], cut[1][1:], strict=False):
            block = (slice(a, b), slice(c, d))
            with patch.object(measures, "_SLAB", data.draw(st.integers(1, 40))):
                parts.append(sums_of(labels[block], pixels[block][None], (a, c), None))
    found = merged(parts)
    truth = expected_rows(labels, pixels)
    assert found.keys[:, 1].tolist() == sorted(truth)
    for i, value in enumerate(found.keys[:, 1].tolist()):
        count = found.count[i]
        assert count == truth[value]["area"]
        assert tuple(found.place[i] / count) == pytest.approx(truth[value]["centroid"])
        assert (*found.low[i], *(found.high[i] + 1)) == truth[value]["bbox"]
        assert found.total[i, 0] / count == pytest.approx(truth[value]["mean"], abs=1e-3)
        assert found.least[i, 0] == truth[value]["min"]
        assert found.most[i, 0] == truth[value]["max"]


@pytest.fixture
def volume(monkeypatch: pytest.MonkeyPatch) -> tuple[MemoryStorage, np.ndarray, np.ndarray]:
    """A volume of several blocks: instances reach over their borders."""
    rng = np.random.default_rng(0)
    labels = np.kron(rng.permutation(60).reshape(3, 4, 5), np.ones((5, 11, 13))).astype(np.uint16)
    pixels = example_pixels(0, labels.shape)
    axes = axes_from("zyx", z=(2.0, "micrometer"), y=(0.5, "micrometer"), x=(0.25, "micrometer"))
    layer = VolumeLayer("cell", ArrayPixels(labels), "instance", 59)
    image = SourceImage("", "a", axes, ArrayPixels(pixels), (layer,))
    storage = MemoryStorage()
    how = Settings(chunk=(4, 16, 16), shard_bytes=16 * 16 * 4 * 8)
    write_dataset(SourceDataset("a", "a", "a", "image", (image,)), storage, how)
    monkeypatch.setattr(measures, "block_shape", lambda *a: (4, 16, 32))
    return storage, labels, pixels


def test_a_volume_in_blocks_is_measured_like_the_whole(volume: Any) -> None:
    storage, labels, pixels = volume
    found = ngff_bio.measure(storage)
    check(found, expected_rows(labels, pixels), "zyx")
    assert (found["pixels"] == found["area"]).all()
    spacing = (2.0, 0.5, 0.25)
    world = ngff_bio.measure(storage, units="world")
    check(world, expected_rows(labels, pixels, spacing), "zyx")
    alone = ngff_bio.measure(storage, intensity=False)
    assert not [c for c in alone if c.startswith("intensity")]
    check(alone, expected_rows(labels, None), "zyx")


def test_instances_under_others_are_measured_whole() -> None:
    storage = MemoryStorage()
    our_plate(storage)
    found = ngff_bio.measure(storage, "cell", images=["C/7/1"])
    assert len(found) == 15
    pixels = example_pixels(3, (3, 96, 120))
    for row in found.to_dict("records"):
        x, y, w, h = map(int, OVERLAPPING[(row["label"] - 1) % 5])
        assert row["t"] == (row["label"] - 1) // 5
        assert row["area"] == w * h
        assert (row["centroid_y"], row["centroid_x"]) == (y + (h - 1) / 2, x + (w - 1) / 2)
        inside = pixels[row["t"], y : y + h, x : x + w]
        assert row["intensity_mean"] == pytest.approx(inside.mean())
        assert row["intensity_max"] == inside.max()
        assert row["category"] == CLASSES[(row["label"] - 1) % 5 % 2]
    assert set(found["label_image"]) == {"cell", "cell-hidden-1"}


def test_each_channel_has_its_columns() -> None:
    storage = MemoryStorage()
    our_image(storage)
    found = ngff_bio.measure(storage).set_index("label")
    x, y, w, h = map(int, OVERLAPPING[2])
    for i, name in enumerate(("DAPI", "GFP")):
        inside = example_pixels()[i, y : y + h, x : x + w]
        assert found[f"intensity_mean_{name}"][3] == pytest.approx(inside.mean())
    coarse = ngff_bio.measure(storage, level=1).set_index("label")
    assert coarse["area"][3] == w * h / 4


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_measures_go_into_the_store_as_a_table(tmp_path: Path, version: Any) -> None:
    import ngio

    our_image(FolderStorage(tmp_path / "a"), version=version)
    found = ngff_bio.measure(tmp_path / "a", write="measures")
    image = ngff_bio.open(tmp_path / "a")[""]
    assert image.tables == ("cell", "cell-measures")
    stored = image.annotations("cell-measures")
    pd.testing.assert_frame_equal(stored, found.drop(columns=["image", "layer"]), check_dtype=False)
    table = ngio.open_ome_zarr_container(tmp_path / "a").get_table("cell-measures")
    assert type(table).__name__.startswith("FeatureTable")
    assert table.dataframe["area"].tolist() == found["area"].tolist()
    again = ngff_bio.measure(tmp_path / "a", write="measures", level=1)
    image = ngff_bio.open(tmp_path / "a", consolidated=False)[""]
    assert image.tables == ("cell", "cell-measures")
    assert image.annotations("cell-measures")["area"].tolist() == again["area"].tolist()


def test_what_cannot_be_measured_is_refused() -> None:
    storage = MemoryStorage()
    our_image(storage)
    with pytest.raises(NameNotFoundError, match="cell"):
        ngff_bio.measure(storage, "nuclei")
    with pytest.raises(ArgumentError, match="units"):
        ngff_bio.measure(storage, units="furlong")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="not a name of a table"):
        ngff_bio.measure(storage, write="a/b")


@pytest.mark.parametrize("consolidated", [True, False])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_store_with_measures_matches_its_manifest(
    tmp_path: Path, version: Any, consolidated: bool
) -> None:
    our_plate(FolderStorage(tmp_path / "a"), version=version, consolidated=consolidated)
    for name in ("measures", "again", "measures"):
        ngff_bio.measure(tmp_path / "a", "cell", write=name)
        found = ngff_bio.verify(tmp_path / "a")
        assert not found.differences
        assert not [f for f in ngff_bio.validate(tmp_path / "a") if f.level == "error"]
    for path, image in ngff_bio.open(tmp_path / "a").items():
        assert image.tables[-2:] == ("cell-measures", "cell-again"), path
