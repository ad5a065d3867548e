"""The made platelet-em collection is what its truth says, read by other libraries."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from makers import make_platelet_em
from makers.palettes import PLATELET_JET, PLATELET_OLD, jet
from makers.runs import run_text

from ngff_bio.errors import ArgumentError


def decoded(runs: str, shape: tuple[int, ...]) -> np.ndarray:
    """The page's decoder, written as plainly as can be: 1-based, C order."""
    flat = np.zeros(int(np.prod(shape)), bool)
    numbers = [int(word) for word in runs.split()]
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        flat[start - 1 : start - 1 + length] = True
    return flat.reshape(shape)


def test_the_pages_own_example_is_encoded_as_on_the_page() -> None:
    page = {
        1: "7 2 12 1 21 1 40 1 50 4 60 3 68 1 71 1 81 1",
        2: "1 3 11 1 33 2 42 3 87 2",
    }
    image = np.zeros((10, 10), int)
    for value, runs in page.items():
        image[decoded(runs, (10, 10))] = value
    assert run_text(image) == page
    assert np.unique(image).tolist() == [0, 1, 2]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    made = [
        make_platelet_em(tmp_path / name, seed=seed, labels=("json", "tif"))
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    ]
    names = [[file.relative_to(truth.root) for file in truth.files] for truth in made]
    content = [[file.read_bytes() for file in truth.files] for truth in made]
    assert names[0] == names[1]
    assert content[0] == content[1]
    assert content[0] != content[2]


def test_images_and_json_labels_read_back_as_made(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path)
    assert {str(file.relative_to(tmp_path)) for file in truth.files} == {
        f"platelet-em/{part}"
        for name in ("24", "50")
        for part in (
            f"images/{name}-images.tif",
            f"labels-semantic/{name}-semantic.json",
            f"labels-instance/{name}-instance-cell.json",
            f"labels-instance/{name}-instance-organelle.json",
        )
    }
    for volume in truth.volumes.values():
        image = tifffile.imread(volume.image_file)
        assert image.dtype == np.uint16
        assert (image.min(), image.max()) == (0, 65535)
        np.testing.assert_array_equal(image, volume.image)
        for kind, labels in volume.labels.items():
            raw = json.loads(volume.label_files[kind, "json"].read_text())
            info = raw.pop(".info")
            assert info == {"shape": list(volume.shape), "dtype": "int32"}
            again = np.zeros(volume.shape, np.int32)
            for key, runs in raw.items():
                again[decoded(runs, volume.shape)] = int(key)
            np.testing.assert_array_equal(again, labels)


def test_every_class_is_there_and_organelles_lie_in_cells(tmp_path: Path) -> None:
    volume = make_platelet_em(tmp_path).volumes["50"]
    labels = volume.labels
    assert set(np.unique(labels["semantic"])) == set(range(7))
    assert (labels["cell"][labels["organelle"] > 0] > 0).all()
    assert ((labels["semantic"] > 0) == (labels["cell"] > 0)).all()
    assert len(np.unique(labels["cell"])) > 3


def test_a_full_size_truth_makes_its_arrays_again(tmp_path: Path) -> None:
    volume = make_platelet_em(tmp_path, volumes=["24"]).volumes["24"]
    again = volume.draw()
    np.testing.assert_array_equal(again.organelle, volume.labels["organelle"])
    np.testing.assert_array_equal(again.image, volume.image)


@pytest.mark.parametrize(("palette", "table"), [("old", PLATELET_OLD), ("jet", PLATELET_JET)])
def test_semantic_rgba_has_the_published_colours(
    tmp_path: Path, palette: str, table: dict[int, tuple[int, int, int]]
) -> None:
    truth = make_platelet_em(tmp_path, volumes=["50"], labels=["tif"], palette=palette)  # type: ignore[arg-type]
    volume = truth.volumes["50"]
    assert not any(kind == "json" for _, kind in volume.label_files)
    img = tifffile.imread(volume.label_files["semantic", "tif"])
    assert img.shape == (*volume.shape, 4)
    assert img.dtype == np.uint8
    semantic = volume.labels["semantic"]
    assert (img[semantic == 0] == 0).all()
    for value, colour in table.items():
        assert (img[semantic == value] == (*colour, 255)).all()


def test_the_jet_table_is_the_jet_colour_map() -> None:
    pyplot_jet = pytest.importorskip("matplotlib").colormaps["jet"]
    wanted = (pyplot_jet(np.arange(256))[:, :3] * 255).astype(np.uint8)
    np.testing.assert_array_equal(jet(), wanted)
    for value, colour in PLATELET_JET.items():
        found = np.array(pyplot_jet(value / 6)[:3]) * 255
        assert np.abs(found - colour).max() < 1


def test_instance_rgba_has_one_colour_an_id(tmp_path: Path) -> None:
    volume = make_platelet_em(tmp_path, volumes=["50"], labels=["tif"]).volumes["50"]
    for kind in ("cell", "organelle"):
        img = tifffile.imread(volume.label_files[kind, "tif"])
        labels = volume.labels[kind]
        colours = volume.colours[kind]
        assert len(set(colours.values())) == len(colours)
        for value, colour in colours.items():
            assert (img[labels == value] == (*colour, 255)).all()


def test_jet_instance_colours_collide_when_ids_are_many(tmp_path: Path) -> None:
    truth = make_platelet_em(
        tmp_path,
        size=(10, 192, 224),
        volumes=["50"],
        labels=["tif"],
        instance_colours="jet",
    )
    colours = truth.volumes["50"].colours["organelle"]
    assert len(colours) > 253
    assert len(set(colours.values())) < len(colours)


def test_integer_and_rgb_label_tiffs_store_what_they_say(tmp_path: Path) -> None:
    plain = make_platelet_em(tmp_path / "i", volumes=["24"], labels=["tif"], label_tif="integer")
    volume = plain.volumes["24"]
    ids = tifffile.imread(volume.label_files["organelle", "tif"])
    assert ids.dtype == np.uint16
    np.testing.assert_array_equal(ids, volume.labels["organelle"])
    rgb = make_platelet_em(tmp_path / "r", volumes=["24"], labels=["tif"], label_tif="rgb")
    img = tifffile.imread(rgb.volumes["24"].label_files["semantic", "tif"])
    assert img.shape == (*volume.shape, 3)


def test_ids_may_have_gaps_and_info_other_spellings(tmp_path: Path) -> None:
    truth = make_platelet_em(
        tmp_path,
        volumes=["50"],
        id_gaps=True,
        info_dtype="np.int",
        info_extra={"note": 1},
        info_first=True,
        instance_suffixes=("-2d", "-3d"),
    )
    volume = truth.volumes["50"]
    file = volume.label_files["organelle-2d", "json"]
    assert file.name == "50-instance-organelle-2d.json"
    assert volume.label_files["cell-3d", "json"].name == "50-instance-cell-3d.json"
    raw = json.loads(file.read_text())
    assert next(iter(raw)) == ".info"
    assert raw[".info"] == {"shape": list(volume.shape), "dtype": "np.int", "note": 1}
    ids = sorted(int(key) for key in raw if key != ".info")
    assert 3 not in ids
    assert ids[-1] > len(ids)


def test_a_tiff_may_disagree_with_the_json(tmp_path: Path) -> None:
    truth = make_platelet_em(
        tmp_path, volumes=["50"], labels=("json", "tif"), label_tif="integer", disagree=True
    )
    volume = truth.volumes["50"]
    ids = tifffile.imread(volume.label_files["cell", "tif"])
    np.testing.assert_array_equal(ids, volume.tiff_labels["cell"])
    assert (ids != volume.labels["cell"]).any()


def test_images_come_plain_or_as_imagej_too(tmp_path: Path) -> None:
    for kind in ("plain", "imagej"):
        truth = make_platelet_em(tmp_path / kind, volumes=["24"], image_tiff=kind)  # type: ignore[arg-type]
        volume = truth.volumes["24"]
        with tifffile.TiffFile(volume.image_file) as tiff:
            assert tiff.is_imagej == (kind == "imagej")
            assert len(tiff.pages) == volume.shape[0]
            np.testing.assert_array_equal(tiff.asarray(), volume.image)


def test_an_unknown_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="size"):
        make_platelet_em(tmp_path, size="huge")
