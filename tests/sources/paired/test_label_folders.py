"""Cellpose, ilastik, nnU-Net: label images equal what the tools' own libraries read."""

from __future__ import annotations

import os
import shutil
from fractions import Fraction
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import pytest
import tifffile
from annotated import converted
from makers import make_cellpose, make_ilastik, make_nnunet
from makers.paired import SIZE, cellpose_seg, disk, gray, labels_of, put
from PIL import Image
from skimage.io import imread
from stores import attributes, pixels, table

import ngff_bio
from ngff_bio.errors import NgffBioError
from ngff_bio.export import export
from ngff_bio.sources import open_tree
from ngff_bio.sources.registry import find_source


def convert(source: Path, **options: Any) -> tuple[Path, Any]:
    store = source.parent / "out.zarr"
    report = ngff_bio.convert(source, store, overwrite=True, **options)
    if not options:
        assert ngff_bio.verify(store, source, pixels=True).equal
        assert not [f for f in ngff_bio.validate(store) if f.level == "error"]
    return store, report


def test_cellpose(tmp_path: Path) -> None:
    source = make_cellpose(tmp_path / "in").root
    store, report = convert(source)
    assert report.images == 3
    saved = np.load(source / "a_seg.npy", allow_pickle=True).item()
    assert (pixels(store, "a/labels/seg") == saved["masks"]).all()
    about = attributes(store, "a/labels/seg")["ngff_bio"]["attributes"]["cellpose"]
    assert about == {"chan_choose": [0, 0], "diameter": 30.5}
    assert (pixels(store, "b/labels/cp_masks") == imread(source / "b_cp_masks.png")).all()
    assert len(table(store, "b", "cp_masks")) == 5
    outlines = table(store, "c_d", "outlines")
    assert [p[0].tolist() for p in outlines.polygons] == [
        [2, 3, 12, 3, 12, 10, 2, 10],
        [20, 20, 30, 22, 24, 30],
    ]
    square = pixels(store, "c_d/labels/outlines") == 1
    assert square[4:9, 3:11].all()
    assert list(report.account.belongs) == ["b_cp_output.png"]


@pytest.mark.parametrize("dtype", ["u2", "<i4", ">u4", "i8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("depth", [None, 1, 4])
def test_seg_npy_of_any_type_and_order(
    dtype: str, order: Any, depth: int | None, tmp_path: Path
) -> None:
    shape = SIZE if depth is None else (depth, *SIZE)
    masks = np.broadcast_to(labels_of(3), shape).astype(dtype, order=order)
    put(tmp_path / "in/a.tif", gray(1) if depth in (None, 1) else np.stack([gray(1)] * 4))
    np.save(tmp_path / "in/a_seg.npy", cellpose_seg(masks, "a.tif"))  # type: ignore[arg-type]
    store, _ = convert(tmp_path / "in")
    stored = pixels(store, "labels/seg")
    assert (stored == masks.reshape(stored.shape)).all()


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (os.environ["HARM"],)


def _nested(value: list[Any]) -> list[Any]:
    for _ in range(200):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"extra": _Runs}, "could run code"),
        ({"extra": lambda: np.array([_Runs()], object)}, "could run code"),
        ({"extra": lambda: Fraction(1, 2)}, "could run code"),
        ({"masks": lambda: [1, 2]}, "no masks"),
        ({"masks": lambda: np.array([["a"]])}, "cannot be read"),
        ({"masks": lambda: np.zeros((9, 9), "u2")}, "differ in shape"),
        ({"masks": lambda: np.full(SIZE, -1, "i4")}, "negative"),
    ],
)
def test_a_seg_npy_that_is_not_masks_is_one_error(
    more: dict[str, Any], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARM", str(tmp_path / "harm"))
    put(tmp_path / "in/a.tif", gray(1))
    put(tmp_path / "in/b.tif", gray(1))
    content = cellpose_seg(labels_of(3), "a.tif") | {k: make() for k, make in more.items()}
    np.save(tmp_path / "in/a_seg.npy", content)  # type: ignore[arg-type]  # pickled
    with pytest.raises(NgffBioError, match=what) as error:
        convert(tmp_path / "in")
    assert error.value.file == "a_seg.npy"
    assert convert(tmp_path / "in", on_error="skip")[1].images == 2
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("path", [Path("/x/a.tif"), PureWindowsPath("C:/x/a.tif")])
def test_a_seg_npy_may_name_its_image_by_a_path(path: Any, tmp_path: Path) -> None:
    """As ``masks_flows_to_seg`` saves it if it is called with paths."""
    put(tmp_path / "in/a.tif", gray(1))
    content = cellpose_seg(labels_of(3), "a.tif") | {"filename": path, "model_path": path}
    np.save(tmp_path / "in/a_seg.npy", content)  # type: ignore[arg-type]  # pickled
    store, _ = convert(tmp_path / "in")
    assert (pixels(store, "labels/seg") == labels_of(3)).all()
    kept = attributes(store, "labels/seg")["ngff_bio"]["attributes"]["cellpose"]
    assert kept["model_path"] == str(path)


@pytest.mark.parametrize("value", [_nested([]), [[[["x" * 50] * 9] * 9] * 9] * 9])
def test_deep_and_wide_values_are_read_and_not_kept(value: list[Any], tmp_path: Path) -> None:
    put(tmp_path / "in/a.tif", gray(1))
    value.append(value)  # a circle
    content = cellpose_seg(labels_of(3), "a.tif", extra=value)
    np.save(tmp_path / "in/a_seg.npy", content)  # type: ignore[arg-type]  # pickled
    store, _ = convert(tmp_path / "in")
    kept = attributes(store, "labels/seg")["ngff_bio"]["attributes"]["cellpose"]
    assert "extra" not in kept


def test_ilastik(tmp_path: Path) -> None:
    import h5py

    source = make_ilastik(tmp_path / "in").root
    store, report = convert(source)
    assert report.images == 3
    for name in "ab":
        for layer, file in {
            "simple-segmentation": f"{name}_Simple Segmentation.tif",
            "object-predictions": f"{name}_Object Predictions.tif",
        }.items():
            assert (pixels(store, f"{name}/labels/{layer}") == tifffile.imread(source / file)).all()
            own = attributes(store, f"{name}/labels/{layer}")["ngff_bio"]
            assert own["values"] == "semantic"
        with h5py.File(source / f"{name}_Object Identities.h5") as opened:
            expected = opened["exported_data"][..., 0]
        assert (pixels(store, f"{name}/labels/object-identities") == expected).all()
        rows = table(store, name, "object-identities")
        assert [r.category_id for r in rows.itertuples()] == ["1", "2", None, "1", "2"]
    with h5py.File(source / "a_Probabilities.h5") as opened:
        expected = np.moveaxis(opened["exported_data"][...], -1, 0)
    assert (pixels(store, "a_Probabilities.h5") == expected).all()


def test_nifti_with_integers_of_64_bits_comes_back(tmp_path: Path) -> None:
    import nibabel

    source = make_nnunet(tmp_path / "in").root
    name = "Dataset001_Liver/imagesTr/liver_001_0000.nii.gz"
    values = np.asarray(nibabel.load(source / name).dataobj).astype(np.int64) - 50
    for c in (0, 1):
        made = nibabel.Nifti1Image(values, np.eye(4), dtype=np.int64)
        nibabel.save(made, source / name.replace("_0000", f"_{c:04}"))
    ngff_bio.convert(source, tmp_path / "out.zarr")
    export(tmp_path / "out.zarr", tmp_path / "back", to="nnunet", images=True)
    written = nibabel.load(tmp_path / "back" / name)
    assert written.get_data_dtype() == np.int64
    assert (np.asarray(written.dataobj) == values).all()


def test_a_time_step_of_nifti_comes_back(tmp_path: Path) -> None:
    import nibabel

    source = make_nnunet(tmp_path / "in").root
    names = [f"Dataset001_Liver/imagesTs/liver_003_{c:04}.nii.gz" for c in (0, 1)]
    for name in names:
        made = nibabel.Nifti1Image(np.ones((12, 10, 4, 3), np.int16), np.diag([0.5, 0.5, 2, 1]))
        made.header.set_zooms((0.5, 0.5, 2.0, 250.0))
        made.header.set_xyzt_units("mm", "msec")
        nibabel.save(made, source / name)
    ngff_bio.convert(source, tmp_path / "out.zarr")
    export(tmp_path / "out.zarr", tmp_path / "back", to="nnunet", images=True)
    header = nibabel.load(tmp_path / "back" / names[1]).header
    assert header.get_zooms() == (0.5, 0.5, 2.0, 250.0)
    assert header.get_xyzt_units() == ("mm", "msec")


def test_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    import h5py

    source = make_ilastik(tmp_path / "in").root
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["exported_data"] = labels_of(1)
    target = source / "a_Object Identities.h5"
    with h5py.File(target, "w") as file:
        file["exported_data"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "exported_data")
    with pytest.raises(NgffBioError, match="the image of an HDF5 file is not known"):
        convert(source)


def test_nnunet(tmp_path: Path) -> None:
    import nibabel

    source = make_nnunet(tmp_path / "in").root
    store, report = convert(source)
    assert report.images == 3
    top = source / "Dataset001_Liver"
    for case, part, split in (("liver_001", "Tr", "train"), ("liver_003", "Ts", "test")):
        group = f"{split}/{case}"
        expected = [
            nibabel.load(top / f"images{part}/{case}_{c:04}.nii.gz").get_fdata().T for c in (0, 1)
        ]
        assert (pixels(store, group) == np.stack(expected)).all()
        meta = attributes(store, group)
        (transform, *_) = meta["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
        assert transform["scale"] == [1.0, 2.0, 0.5, 0.5]
        assert [c["label"] for c in meta["ome"]["omero"]["channels"]] == ["CT", "PET"]
        assert meta["ngff_bio"]["frames"][0]["splits"] == [split]
    labels = nibabel.load(top / "labelsTr/liver_002.nii.gz").get_fdata().T
    assert (pixels(store, "train/liver_002/labels/labels") == labels).all()
    own = attributes(store, "train/liver_002/labels/labels")["ngff_bio"]
    assert [(c["id"], c["name"]) for c in own["categories"]] == [(1, "liver"), (2, "tumor")]


def test_nnunet_of_png_and_version_1(tmp_path: Path) -> None:
    top = tmp_path / "in"
    put(top / "imagesTr/road_1_0000.png", np.zeros((*SIZE, 3), np.uint8))
    put(top / "labelsTr/road_1.png", disk(9, 9, 5, 4))
    text = (
        '{"modality": {"0": "R", "1": "G", "2": "B"}, "labels": {"0": "background", "4": "road"}}'
    )
    (top / "dataset.json").write_text(text)
    store, _ = convert(top)
    assert pixels(store, "").shape == (3, *SIZE)
    assert attributes(store, "labels/labels")["ngff_bio"]["categories"][0]["name"] == "road"
    put(top / "labelsTr/road_1.png", disk(9, 9, 5, 5))
    with pytest.raises(NgffBioError, match="not a class of the dataset") as error:
        convert(top)
    assert (error.value.file, error.value.found) == ("labelsTr/road_1.png", "5")
    put(top / "imagesTr/road_2_0000.png", np.zeros((*SIZE, 3), np.uint8))
    put(top / "labelsTr/road_2.png", disk(9, 9, 5, 4))
    report = convert(top, on_error="skip")[1]
    assert report.images == 1
    (told,) = report.skipped
    assert (told.file, "not a class" in told.what) == ("labelsTr/road_1.png", True)


def test_channels_of_nnunet_that_differ_in_shape_are_an_error(tmp_path: Path) -> None:
    import nibabel

    source = make_nnunet(tmp_path / "in").root
    wrong = "Dataset001_Liver/imagesTr/liver_001_0001.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((11, 10, 4), np.int16), np.eye(4)), source / wrong)
    with pytest.raises(NgffBioError, match="differ in shape") as error:
        convert(source)
    assert (error.value.file, error.value.found) == (wrong, "[4, 10, 11]")
    assert convert(source, on_error="skip")[1].images == 2


@pytest.mark.parametrize(
    ("make", "lost", "what"),
    [
        (make_cellpose, "a.tif", "results of Cellpose without their image"),
        (make_ilastik, "b.png", "exports of ilastik without their image"),
        (make_nnunet, "Dataset001_Liver/imagesTr/liver_001_0001.nii.gz", "lacks a channel"),
    ],
)
def test_a_missing_image_is_one_error_or_is_skipped(
    make: Any, lost: str, what: str, tmp_path: Path
) -> None:
    source = make(tmp_path / "in").root
    (source / lost).unlink()
    with pytest.raises(NgffBioError, match=what):
        convert(source)
    assert convert(source, on_error="skip")[1].images >= 1


def test_rois_that_cellpose_saves_are_not_a_second_format(tmp_path: Path) -> None:
    source = make_cellpose(tmp_path / "in").root
    (source / "b_rois.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    assert find_source(open_tree(source)).name == "cellpose"
    assert "b_rois.zip" in convert(source)[1].account.belongs


def test_folders_of_cellpose_and_files_of_omnipose(tmp_path: Path) -> None:
    labels = np.zeros((20, 30), np.uint16)
    labels[2:8, 3:9] = 1
    flows = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    for folder in ("masks", "flows", "outlines", "txt_outlines", "omni"):
        (tmp_path / "in" / folder).mkdir(parents=True)
    top = tmp_path / "in"
    for name in ("a.tif", "omni/b.tif"):
        tifffile.imwrite(top / name, flows[..., 0])
    for name in ("masks/a_cp_masks.tif", "omni/b_masks.tif"):
        tifffile.imwrite(top / name, labels)
    for name in ("flows/a_flows_cp_masks.tif", "omni/b_flows.tif"):
        tifffile.imwrite(top / name, flows)
    Image.fromarray(flows).save(top / "outlines/a_outlines_cp_masks.png")
    (top / "ncolor_masks").mkdir()
    Image.fromarray(labels.astype(np.uint8)).save(top / "ncolor_masks/a_cp_ncolor_masks.png")
    # What training writes: a model, which is a zip of torch, and its losses.
    (top / "models").mkdir()
    model = top / "models/cellpose_residual_on_style_on_2022_01_01_12_00.1234"
    model.write_bytes(b"PK\x03\x04")
    np.save(f"{model}_train_losses.npy", np.zeros(3))
    (top / "txt_outlines/a_cp_outlines.txt").write_text("3,2,8,2,8,7\n")
    data = converted(top, tmp_path / "out.zarr")
    assert {data[p].attributes["name"]: [*data[p].layers] for p in data} == {
        "a.tif": ["cp_masks"], "b.tif": ["masks"]
    }  # fmt: skip


def test_a_folder_of_two_tools_names_both(tmp_path: Path) -> None:
    make_ilastik(tmp_path)
    shutil.copy(make_cellpose(tmp_path / "x").root / "a_seg.npy", tmp_path / "a_seg.npy")
    with pytest.raises(NgffBioError, match="several formats") as error:
        find_source(open_tree(tmp_path))
    assert error.value.found == "cellpose and ilastik"
