"""platelet-em, whole: every voxel, class, id and statistic of the source is in the store."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from makers import make_platelet_em
from makers.damage import set_in_json, truncate
from ome_zarr_models.v05.image import Image as ImageModel
from ome_zarr_models.v05.labels import Labels as LabelsModel

import ngff_bio
from ngff_bio.errors import NgffBioError, SourceError, SourceNotFoundError

LAYERS = {"semantic": "semantic", "cell": "instance-cell", "organelle": "instance-organelle"}
PAGE_CLASSES = {
    1: "cell",
    2: "mitochondria",
    3: "alpha granule",
    4: "canalicular vessel",
    5: "dense granule body",
    6: "dense granule core",
}


def label(store: Path, name: str, image: str = "", level: int = 0) -> np.ndarray:
    """Pixels of a label image through plain zarr-python."""
    path = f"{image}/labels/{name}/{level}".lstrip("/")
    return np.asarray(zarr.open_array(str(store), path=path, mode="r")[...])


def attributes(store: Path, path: str) -> dict[str, Any]:
    return dict(zarr.open_group(str(store), path=path, mode="r").attrs)


def no_store(place: Path) -> bool:
    """Whether nothing at a place opens as a Zarr group or array."""
    try:
        zarr.open(str(place), mode="r")
    except Exception:
        return True
    return False


def test_every_voxel_of_image_and_labels_equals_the_source(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny")
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    for name, volume in truth.volumes.items():
        pixels = zarr.open_array(str(tmp_path / "out.zarr"), path=f"{name}/0", mode="r")[...]
        np.testing.assert_array_equal(pixels, tifffile.imread(volume.image_file))
        assert pixels.dtype == np.uint16
        for kind, layer in LAYERS.items():
            np.testing.assert_array_equal(
                label(tmp_path / "out.zarr", layer, name), volume.labels[kind]
            )


def test_the_real_slice_converts_voxel_for_voxel(samples: Path, tmp_path: Path) -> None:
    source, store = samples / "platelet-em", tmp_path / "out.zarr"
    ngff_bio.convert(source, store)
    image = tifffile.imread(source / "images/50-images.tif")
    np.testing.assert_array_equal(zarr.open_array(str(store), path="0")[...], image)
    for file, layer in (
        ("labels-semantic/50-semantic.json", "semantic"),
        ("labels-instance/50-instance-cell.json", "instance-cell"),
        ("labels-instance/50-instance-organelle.json", "instance-organelle"),
    ):
        content = json.loads((source / file).read_text())
        flat = np.zeros(int(np.prod(content[".info"]["shape"])), int)
        for key, text in content.items():
            if key != ".info":
                numbers = [int(n) for n in text.split()]
                for start, length in zip(numbers[::2], numbers[1::2], strict=True):
                    flat[start - 1 : start - 1 + length] = int(key)
        np.testing.assert_array_equal(label(store, layer).reshape(-1), flat)


def test_the_semantic_slice_equals_the_published_figure(samples: Path, tmp_path: Path) -> None:
    from PIL import Image

    ngff_bio.convert(samples / "platelet-em", tmp_path / "out.zarr")
    figure = np.asarray(Image.open(samples / "platelet-em/figures/50-semantic.png").convert("RGBA"))
    colors = {
        c["label-value"]: c["rgba"][:3]
        for c in attributes(tmp_path / "out.zarr", "labels/semantic")["ome"]["image-label"][
            "colors"
        ]
    }
    labels = label(tmp_path / "out.zarr", "semantic")[0]
    assert labels.shape == figure.shape[:2]
    for value, color in colors.items():
        shown = np.all(figure[..., :3] == color, axis=-1)
        np.testing.assert_array_equal(shown, labels == value)


def test_the_store_passes_ome_zarr_models_and_ome_zarrs_own_reader(tmp_path: Path) -> None:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    truth = make_platelet_em(tmp_path, size="small", volumes=["50"])
    store = tmp_path / "out.zarr"
    ngff_bio.convert(truth.root, store)
    group = zarr.open_group(str(store), mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ImageModel.from_zarr(group)
        LabelsModel.from_zarr(group["labels"])
    location = parse_url(str(store))
    assert location is not None
    nodes = list(Reader(location)())
    shapes = [node.data[0].shape for node in nodes if node.data]
    assert shapes.count(truth.volumes["50"].shape) == 4  # the image and its three label images


def test_ngio_lists_labels_and_reads_tables(tmp_path: Path) -> None:
    ngio = pytest.importorskip("ngio")
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["50"])
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    container = ngio.open_ome_zarr_container(str(tmp_path / "out.zarr"))
    assert set(container.list_labels()) == set(LAYERS.values())
    assert set(container.list_tables()) == {"instance-cell", "instance-organelle"}
    table = container.get_table("instance-cell").dataframe
    assert sorted(table.index) == np.unique(truth.volumes["50"].labels["cell"])[1:].tolist()


def test_both_volumes_are_a_collection_and_one_is_an_image_at_the_root(tmp_path: Path) -> None:
    both = make_platelet_em(tmp_path / "both", size="tiny")
    ngff_bio.convert(both.root, tmp_path / "both.zarr")
    assert attributes(tmp_path / "both.zarr", "")["ome"]["bioformats2raw.layout"] == 3
    assert attributes(tmp_path / "both.zarr", "OME")["ome"]["series"] == ["24", "50"]
    single = make_platelet_em(tmp_path / "one", size="tiny", volumes=["24"])
    ngff_bio.convert(single.root, tmp_path / "one.zarr")
    assert "multiscales" in attributes(tmp_path / "one.zarr", "")["ome"]
    assert ngff_bio.open(tmp_path / "one.zarr").attributes["source"] == "platelet-em"


def test_scale_is_in_nanometers_as_on_the_page(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="small", volumes=["50"])
    ngff_bio.convert(
        truth.root, tmp_path / "out.zarr", settings=ngff_bio.Settings(chunk=(4, 64, 64))
    )
    multiscale = attributes(tmp_path / "out.zarr", "")["ome"]["multiscales"][0]
    assert [a["unit"] for a in multiscale["axes"]] == ["nanometer"] * 3
    first, second, *_ = multiscale["datasets"]
    assert first["coordinateTransformations"] == [{"type": "scale", "scale": [40, 10, 10]}]
    # z is the coarser axis: it stays; the plane is halved, its pixels' centres move by half a pixel.
    assert second["coordinateTransformations"] == [
        {"type": "scale", "scale": [40, 20, 20]},
        {"type": "translation", "translation": [0, 5, 5]},
    ]


def test_classes_carry_the_pages_names(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["50"])
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    found = attributes(tmp_path / "out.zarr", "labels/semantic")["ome"]["image-label"]
    assert {p["label-value"]: p["class"] for p in found["properties"]} == PAGE_CLASSES


@pytest.mark.parametrize("kind", ["cell", "organelle"])
def test_a_row_per_object_agrees_with_its_voxels(tmp_path: Path, kind: str) -> None:
    truth = make_platelet_em(tmp_path, size="small", volumes=["50"])
    # Small shards: an object then lies in several units, whose counts are put together.
    ngff_bio.convert(
        truth.root, tmp_path / "out.zarr", settings=ngff_bio.Settings(shard_bytes=100_000)
    )
    volume = truth.volumes["50"]
    table = ngff_bio.open(tmp_path / "out.zarr")[""].annotations(LAYERS[kind]).set_index("label")
    objects, classes = volume.labels[kind], volume.labels["semantic"]
    assert sorted(table.index) == np.unique(objects)[1:].tolist()
    for value, row in table.iterrows():
        where = np.nonzero(objects == value)
        assert row["pixels"] == len(where[0])
        for axis, found in zip("zyx", where, strict=True):
            assert (row[f"{axis}_start"], row[f"{axis}_stop"]) == (found.min(), found.max() + 1)
        counts = pd.Series(classes[where]).value_counts()
        assert row["category_fraction"] == pytest.approx(counts.max() / counts.sum())
        winners = {PAGE_CLASSES.get(c) for c in counts.index[counts == counts.max()]}
        assert row["category"] in winners


def test_labels_at_every_level_hold_no_value_that_level_0_does_not(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="small", volumes=["50"])
    store = tmp_path / "out.zarr"
    ngff_bio.convert(truth.root, store, settings=ngff_bio.Settings(chunk=(4, 32, 32)))
    count = len(attributes(store, "")["ome"]["multiscales"][0]["datasets"])
    assert count >= 3
    for layer in LAYERS.values():
        levels = attributes(store, f"labels/{layer}")["ome"]["multiscales"][0]["datasets"]
        assert len(levels) == count
        known = set(np.unique(label(store, layer)))
        for number in range(1, count):
            assert set(np.unique(label(store, layer, level=number))) <= known


@pytest.mark.parametrize("palette", ["old", "jet"])
@pytest.mark.parametrize("label_tif", ["rgba", "rgb"])
def test_semantic_label_tiffs_are_read_with_either_palette(
    tmp_path: Path, palette: Any, label_tif: Any
) -> None:
    truth = make_platelet_em(
        tmp_path, size="tiny", volumes=["50"], labels=["tif"], palette=palette, label_tif=label_tif
    )
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    np.testing.assert_array_equal(
        label(tmp_path / "out.zarr", "semantic"), truth.volumes["50"].labels["semantic"]
    )


def test_instances_of_a_color_tiff_are_separated_by_color(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["50"], labels=["tif"])
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    found = label(tmp_path / "out.zarr", "instance-organelle")
    true = truth.volumes["50"].labels["organelle"]
    pairs = set(zip(found.ravel().tolist(), true.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    assert any("arbitrary" in n.what for n in report.notices)
    own = attributes(tmp_path / "out.zarr", "labels/instance-organelle")["ngff_bio"]
    assert "arbitrary" in own["attributes"]["ids"]


def test_plain_integer_label_tiffs_keep_their_ids(tmp_path: Path) -> None:
    truth = make_platelet_em(
        tmp_path, size="tiny", volumes=["50"], labels=["tif"], label_tif="integer", id_gaps=True
    )
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    for kind, layer in LAYERS.items():
        np.testing.assert_array_equal(
            label(tmp_path / "out.zarr", layer), truth.volumes["50"].labels[kind]
        )


def test_json_wins_over_tiff_and_their_disagreement_is_reported(tmp_path: Path) -> None:
    truth = make_platelet_em(
        tmp_path, size="tiny", volumes=["50"], labels=["json", "tif"], disagree=True
    )
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    volume = truth.volumes["50"]
    for kind, layer in LAYERS.items():
        np.testing.assert_array_equal(label(tmp_path / "out.zarr", layer), volume.labels[kind])
    differ = int(np.count_nonzero(volume.labels["semantic"] != volume.tiff_labels["semantic"]))
    (notice,) = [n for n in report.notices if "'semantic'" in n.what]
    assert notice.count == differ


def test_json_and_tiff_that_agree_are_not_reported(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny", labels=["json", "tif"])
    assert ngff_bio.convert(truth.root, tmp_path / "out.zarr").notices == []


def test_older_names_are_read_and_two_kinds_of_objects_are_kept_apart(tmp_path: Path) -> None:
    older = make_platelet_em(tmp_path / "a", size="tiny", volumes=["50"], instance_suffixes=["-3d"])
    ngff_bio.convert(older.root, tmp_path / "a.zarr")
    assert ngff_bio.open(tmp_path / "a.zarr")[""].labels == tuple(LAYERS.values())
    both = make_platelet_em(
        tmp_path / "b", size="tiny", volumes=["50"], instance_suffixes=["-2d", "-3d"]
    )
    ngff_bio.convert(both.root, tmp_path / "b.zarr")
    names = ngff_bio.open(tmp_path / "b.zarr")[""].labels
    assert {"instance-cell-2d", "instance-cell-3d", "semantic"} <= set(names)


def test_an_image_without_labels_is_converted_with_a_warning(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["24"], labels=[])
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert [n.kind for n in report.notices] == ["warning"]
    assert ngff_bio.open(tmp_path / "out.zarr")[""].labels == ()


def test_one_source_in_a_zip_equals_the_folder(tmp_path: Path) -> None:
    import shutil

    truth = make_platelet_em(tmp_path, size="tiny")
    archive = shutil.make_archive(str(tmp_path / "p"), "zip", truth.root.parent, truth.root.name)
    ngff_bio.convert(truth.root, tmp_path / "folder.zarr")
    ngff_bio.convert(archive, tmp_path / "zip.zarr")
    for name in truth.volumes:
        for layer in LAYERS.values():
            np.testing.assert_array_equal(
                label(tmp_path / "zip.zarr", layer, name),
                label(tmp_path / "folder.zarr", layer, name),
            )


def _break(root: Path, how: str) -> None:
    image = root / "images/50-images.tif"
    semantic = root / "labels-semantic/50-semantic.json"
    if how == "labels without image":
        image.unlink()
    elif how == "shape":
        set_in_json(semantic, (".info", "shape"), [6, 48, 65])
    elif how == "run beyond":
        set_in_json(semantic, ("1",), f"{6 * 48 * 64} 2")
    elif how == "truncated tiff":
        truncate(image, 0.6)
    elif how == "truncated json":
        truncate(semantic)
    elif how == "unknown class":
        set_in_json(semantic, ("9",), "1 1")


@pytest.mark.parametrize(
    ("how", "file"),
    [
        ("labels without image", "50-"),
        ("shape", "50-semantic.json"),
        ("run beyond", "50-semantic.json"),
        ("truncated tiff", "50-images.tif"),
        ("truncated json", "50-semantic.json"),
        ("unknown class", "50-semantic.json"),
    ],
)
def test_bad_input_gets_one_clear_error_and_leaves_no_store(
    tmp_path: Path, how: str, file: str
) -> None:
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["50"])
    _break(truth.root, how)
    with pytest.raises(SourceError) as caught:
        ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert file in (caught.value.file or "")
    assert set(caught.value.parts()) >= {"what", "file", "expected", "found", "hint"}
    assert no_store(tmp_path / "out.zarr")


def test_colours_of_no_palette_are_listed_with_their_counts(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["50"], labels=["tif"])
    file = truth.root / "labels-semantic/50-semantic.tif"
    img = tifffile.imread(file)
    img[0, 0, :5] = (9, 8, 7, 255)
    tifffile.imwrite(file, img, photometric="rgb", extrasamples=["unassalpha"])
    with pytest.raises(SourceError, match=re.escape("(9, 8, 7): 5 pixels")) as caught:
        ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert "--on-error skip" in (caught.value.hint or "")
    ngff_bio.convert(truth.root, tmp_path / "out.zarr", on_error="skip")
    assert set(ngff_bio.open(tmp_path / "out.zarr")[""].labels) == set(LAYERS.values()) - {
        "semantic"
    }
    found = ngff_bio.verify(tmp_path / "out.zarr", truth.root)
    assert (found.equal, list(found.not_read)) == (True, ["labels-semantic/50-semantic.tif"])


def test_an_unrecognized_folder_is_reported_with_its_contents(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("nothing")
    with pytest.raises(SourceNotFoundError) as caught:
        ngff_bio.convert(tmp_path / "a", tmp_path / "out.zarr")
    assert caught.value.found == "1 .txt"
    assert "ngff-bio formats" in str(caught.value.expected)
    with pytest.raises(NgffBioError, match="the source does not exist"):
        ngff_bio.convert(tmp_path / "b", tmp_path / "out.zarr")
