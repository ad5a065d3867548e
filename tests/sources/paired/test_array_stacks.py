"""PanNuke and TissueNet: pixels, ids and classes are those of the arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import converted, labels, rows

import ngff_bio
from ngff_bio.errors import SourceError
from ngff_bio.testing import check_source

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.float64)


def masks() -> np.ndarray[Any, Any]:
    """Two classes on the first image, whose nuclei overlap; nothing on the second."""
    found = np.zeros((2, 16, 16, 6))
    found[0, 2:6, 2:6, 0], found[0, 10:12, 3:9, 0] = 4, 9
    found[0, 5:9, 5:9, 3] = 12
    found[..., 5] = found[..., :5].max(axis=-1) == 0
    return found


def pannuke(folder: Path, **more: Any) -> Path:
    """A fold, as its archive unpacks."""
    arrays = {"images/fold1/images": IMAGES, "images/fold1/types": np.array(["Breast", "Colon"]),
              "masks/fold1/masks": masks(), **more}  # fmt: skip
    for name, array in arrays.items():
        (folder / f"Fold 1/{name}.npy").parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"Fold 1/{name}.npy", array)
    return folder


def test_pannuke(tmp_path: Path) -> None:
    source = pannuke(tmp_path / "in")
    check_source("array-stacks", source)
    data = converted(source, tmp_path / "out.zarr")
    assert list(data) == ["00000", "00001"]
    for number, path in enumerate(data):
        pixels = np.asarray(data[path].level(0)["image"])
        assert pixels.dtype == np.uint8
        assert (pixels == np.moveaxis(IMAGES[number], -1, 0)).all()
    found = rows(data, "00000", "nuclei")
    assert [(r["source_id"], r["category"]) for r in found] == [
        ("4", "Neoplastic cells"), ("9", "Neoplastic cells"), ("12", "Dead Cells")
    ]  # fmt: skip
    assert [r["pixels"] for r in found] == [16, 12, 16]
    assert not data["00001"].layers
    (frame,) = data["00001"].attributes["frames"]
    assert frame["record"] == {"index": 1, "tissue": "Colon"}


def test_pannuke_of_8_bits_has_the_same_channels(tmp_path: Path) -> None:
    arrays = {
        "images/fold1/images": IMAGES.astype(np.uint8),
        "masks/fold1/masks": masks().astype(int),
    }
    image = converted(pannuke(tmp_path / "in", **arrays), tmp_path / "out.zarr")["00000"]
    assert [c.label for c in image.meta.channels] == ["red", "green", "blue"]
    assert (np.asarray(image.level(0)["image"]) == np.moveaxis(IMAGES[0], -1, 0)).all()


def test_tissuenet(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    x = random.random((2, 16, 20, 2)).astype(np.float32)
    y = random.integers(0, 3, (2, 16, 20, 2)).astype(np.int32)
    (tmp_path / "in").mkdir()
    about = {"tissue_list": np.array(["lung", "gut"]), "meta": np.array([{}, {}], dtype=object)}
    np.savez_compressed(tmp_path / "in/tissuenet_v1.0_val.npz", X=x, y=y, **about)
    np.savez(tmp_path / "in/tissuenet_v1.0_test.npz", X=x[:1], y=y[:1])
    check_source("array-stacks", tmp_path / "in")
    data = converted(tmp_path / "in", tmp_path / "out.zarr")
    first = "tissuenet_v1.0_val/00001"
    assert {p.rpartition("/")[2] for p in data} == {"00000", "00001"}
    assert len(data) == 3
    assert first in data
    assert (np.asarray(data[first].level(0)["image"]) == np.moveaxis(x[1], -1, 0)).all()
    for channel, layer in enumerate(("whole_cell", "nuclear")):
        assert (labels(data, first, layer) == y[1, ..., channel]).all()
    (frame,) = data[first].attributes["frames"]
    assert (frame["splits"], frame["record"]["tissue_list"]) == (["val"], "gut")


@pytest.mark.parametrize(
    ("name", "array", "what"),
    [
        ("images/fold1/types", np.array(["a", {}], dtype=object), "unpickling it could run code"),
        ("images/fold1/types", np.array("Breast"), "does not have the shape"),
        ("masks/fold1/masks", masks()[:1], "does not have the shape"),
        ("masks/fold1/masks", masks()[..., :5], "does not have the shape"),
        ("masks/fold1/masks", masks() + 0.5, "not an integer"),
        ("images/fold1/images", IMAGES + 0.5, "do not fit"),
        ("images/fold1/images", IMAGES[..., 0], "does not have the shape"),
    ],
)
def test_wrong_arrays_are_one_error(
    name: str, array: np.ndarray[Any, Any], what: str, tmp_path: Path
) -> None:
    source = pannuke(tmp_path / "in", **{name: array})
    with pytest.raises(SourceError, match=what) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert error.value.file == f"Fold 1/{name}.npy"


def test_bytes_after_an_array_are_no_part_of_it(tmp_path: Path) -> None:
    source = pannuke(tmp_path / "in")
    with (source / "Fold 1/images/fold1/types.npy").open("ab") as stream:
        stream.write(b"xyz")
    data = converted(source, tmp_path / "out.zarr")
    assert [data[p].attributes["frames"][0]["record"]["tissue"] for p in data] == [
        "Breast",
        "Colon",
    ]


def test_arrays_of_other_shapes_in_an_archive_are_reported(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    x, more = (
        np.ones((2, 8, 8, 2), np.float32),
        {"z": np.zeros((2, 8, 8)), "ids": np.array(["a", "b"])},
    )
    np.savez(tmp_path / "in/a.npz", X=x, y=x.astype(int), **more)
    notices = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr").notices
    assert [n.record for n in notices if "not read" in n.what] == ["z"]


def test_texts_of_no_characters_are_one_error(tmp_path: Path) -> None:
    source = pannuke(tmp_path / "in")
    with (source / "Fold 1/images/fold1/types.npy").open("wb") as stream:
        about = {"descr": "<U0", "fortran_order": False, "shape": (2,)}
        np.lib.format.write_array_header_1_0(stream, about)
    with pytest.raises(SourceError, match="no values"):
        ngff_bio.convert(source, tmp_path / "out.zarr")


def test_a_truncated_array_is_one_error(tmp_path: Path) -> None:
    source = pannuke(tmp_path / "in")
    file = source / "Fold 1/masks/fold1/masks.npy"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(SourceError, match="truncated"):
        ngff_bio.convert(source, tmp_path / "out.zarr")


def test_conic(tmp_path: Path) -> None:
    values = np.zeros((2, 16, 16, 2), np.int32)
    values[0, 2:6, 2:6], values[0, 9:12, 3:9] = (4, 3), (7, 6)  # id and class
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in/images.npy", IMAGES.astype(np.uint8))
    np.save(tmp_path / "in/labels.npy", values)
    (tmp_path / "in/patch_info.csv").write_text("patch_info\nconsep_1-0000\nconsep_1-0001\n")
    check_source("array-stacks", tmp_path / "in")
    data = converted(tmp_path / "in", tmp_path / "out.zarr")
    assert (labels(data, "00000", "nuclei") == values[0, ..., 0]).all()
    assert (labels(data, "00000", "classes") == values[0, ..., 1]).all()
    found = {r["source_id"]: r["category"] for r in rows(data, "00000", "nuclei")}
    assert found == {"4": "lymphocyte", "7": "connective"}
    assert data["00001"].attributes["frames"][0]["record"]["patch"] == "consep_1-0001"
    values[1, 0, 0] = (1, 7)
    np.save(tmp_path / "in/labels.npy", values)
    with pytest.raises(SourceError, match="class of a nucleus") as caught:
        ngff_bio.convert(tmp_path / "in", tmp_path / "more.zarr")
    assert (caught.value.record, caught.value.found) == ("image 1", "7")
