"""Images that are masks by their pixels, whatever their names, are labels or an error, never images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import skimage.filters
import skimage.measure
import tifffile
import zarr
from PIL import Image

import ngff_bio
from ngff_bio.errors import SourceError
from ngff_bio.formats.problems import Problems
from ngff_bio.sources import open_tree
from ngff_bio.sources.assembly import image_files, probe_all
from ngff_bio.sources.images.mask_content import find_masks, looks_like_mask

NOISE = np.random.default_rng(0)


def noise() -> np.ndarray:
    return NOISE.integers(20, 200, (60, 80)).astype(np.uint8)


def mask(value: int = 255) -> np.ndarray:
    plane = np.zeros((60, 80), np.uint8)
    plane[10:20, 10:30] = value
    plane[30:50, 50:60] = value
    return plane


def put(folder: Path, **files: np.ndarray) -> Path:
    """Write planes; ``a__b_png`` is the file ``a/b.png``."""
    for name, plane in files.items():
        path = folder / name.replace("__", "/")
        path = path.with_name(".".join(path.name.rsplit("_", 1)))
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".tif":
            tifffile.imwrite(path, plane)
        else:
            Image.fromarray(plane).save(path)
    return folder


def labelled(plane: np.ndarray) -> np.ndarray:
    return skimage.measure.label(plane > skimage.filters.threshold_otsu(plane)).astype(np.uint16)


REAL = [skimage.data.cell, skimage.data.camera, skimage.data.moon, skimage.data.page]


@pytest.mark.parametrize("image", REAL)
def test_real_images_do_not_look_like_masks_and_their_segmentation_does(image: object) -> None:
    plane = image()  # type: ignore[operator]
    assert looks_like_mask(plane[None]) is False
    dark = np.where(plane < np.percentile(plane, 70), 0, plane)  # a background that is cut off
    assert looks_like_mask(dark[None]) is False


def test_photon_counts_and_blurred_spots_do_not_look_like_masks() -> None:
    counts = NOISE.poisson(0.1, (1, 200, 300)).astype(np.uint8)
    assert looks_like_mask(counts) is False
    spots = np.zeros((200, 300))
    spots[NOISE.integers(0, 200, 20), NOISE.integers(0, 300, 20)] = 5000
    blurred = skimage.filters.gaussian(spots, 4).astype(np.uint8)
    assert looks_like_mask(blurred[None]) is False


def test_masks_label_images_and_colored_masks_look_like_masks() -> None:
    assert looks_like_mask(labelled(skimage.data.coins())[None]) is True
    assert looks_like_mask(mask()[None]) is True
    assert looks_like_mask(mask(1)[None] > 0) is True
    colored = np.stack([mask(200), mask(0), mask(100)])
    assert looks_like_mask(colored) is True
    assert looks_like_mask(np.zeros((1, 9, 9), np.uint8)) is None


def test_no_sample_that_is_an_image_looks_like_a_mask(samples: Path) -> None:
    for name in ("livecell", "nuclei", "wbc", "labelme", "tiff", "generic"):
        tree = open_tree(samples / name)
        headers = probe_all(tree, image_files(tree.names()), Problems("skip"))
        found = find_masks(tree, headers, headers)
        assert all("mask" in n or "label" in n for n in found), found
        if name == "generic":
            assert sum("/masks/" in n for n in found) > 20


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize(
    ("image", "label", "layer"),
    [
        ("imgs__a", "truth__a", "truth"),
        ("a", "a_bw", "bw"),
        ("a", "bw_a", "masks"),
        ("raw", "committed_objects", "committed_objects"),
        ("exp1__raw__a", "exp1__manual__a", "manual"),
    ],
)
def test_masks_of_other_names_are_labels_of_their_image(
    image: str, label: str, layer: str, ending: str, tmp_path: Path
) -> None:
    plane = noise()
    put(tmp_path / "in", **{f"{image}_{ending}": plane, f"{label}_{ending}": mask()})
    done = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert (done.images, done.labels) == (1, [layer])
    assert any("look like label images" in n.what for n in done.notices)
    root = zarr.open_group(tmp_path / "out.zarr", mode="r")
    np.testing.assert_array_equal(root["0"][:], plane)
    np.testing.assert_array_equal(root[f"labels/{layer}/0"][:] > 0, mask() > 0)
    done = ngff_bio.convert(tmp_path / "in", tmp_path / "b.zarr", options={"labels": "none"})
    assert (done.images, done.labels) == (2, [])


def test_masks_without_an_image_are_an_error_with_two_ways_out(tmp_path: Path) -> None:
    folder = put(tmp_path / "in", x__a_png=noise(), y__q_png=mask(), y__r_png=mask(3))
    with pytest.raises(SourceError, match="label images without their image") as caught:
        ngff_bio.convert(folder, tmp_path / "out.zarr")
    assert "2 files that look like label images, in y" in str(caught.value.found)
    assert "--labels none" in str(caught.value.hint)
    assert "--labels NAME=GLOB" in str(caught.value.hint)
    none = ngff_bio.convert(folder, tmp_path / "a.zarr", options={"labels": "none"})
    assert none.images == 3
    put(tmp_path / "one", x__a_png=noise(), y__q_png=mask())
    rule = {"labels": ["cells=y/q.png"]}
    named = ngff_bio.convert(tmp_path / "one", tmp_path / "b.zarr", options=rule)
    assert (named.images, named.labels) == (1, ["cells"])


def test_masks_beside_images_of_other_names_are_not_images(tmp_path: Path) -> None:
    folder = put(
        tmp_path, img1_tif=noise(), result1_tif=mask(), img2_tif=noise(), result2_tif=mask(3)
    )
    with pytest.raises(SourceError, match="label images without their image") as caught:
        ngff_bio.convert(folder, tmp_path.parent / "out.zarr")
    assert "2 files that look like label images" in str(caught.value.found)


def test_masks_in_a_coco_or_labelme_folder_are_not_images(tmp_path: Path) -> None:
    coco = put(tmp_path / "coco", images__a_png=noise(), truth__a_png=mask())
    entry = {"id": 1, "file_name": "images/a.png", "width": 80, "height": 60}
    (coco / "a.json").write_text(
        json.dumps({"images": [entry], "annotations": [], "categories": []})
    )
    labelme = put(tmp_path / "labelme", a_png=noise(), truth__b_png=mask(), masks__b_png=noise())
    shapes = {"version": "5.0", "flags": {}, "shapes": [], "imagePath": "a.png", "imageData": None}
    (labelme / "a.json").write_text(json.dumps({**shapes, "imageHeight": 60, "imageWidth": 80}))
    for folder, unread in ((coco, ["truth/a.png"]), (labelme, ["masks/b.png", "truth/b.png"])):
        with pytest.raises(SourceError, match="would not be read") as caught:
            ngff_bio.convert(folder, folder.with_suffix(".zarr"))
        assert "looks like a mask" in str(caught.value.found)
        done = ngff_bio.convert(folder, folder.with_suffix(".zarr"), ignore_unread=True)
        assert done.images == 1
        assert sorted(done.account.unread) == unread
        done = ngff_bio.convert(
            folder, folder.with_suffix(".b.zarr"), exclude=["masks", "truth/*.png"]
        )
        assert sorted(done.account.excluded) == unread


def test_few_files_are_decoded_to_look_for_masks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ngff_bio.sources.images import mask_content

    opened = []
    real = mask_content._middle
    monkeypatch.setattr(mask_content, "_middle", lambda f, h: opened.append(f.name) or real(f, h))
    put(tmp_path / "in", **{f"day{n % 4}__{n:03}_tif": noise() for n in range(40)})
    put(tmp_path / "in", **{f"pngs__{n:03}_png": noise() for n in range(40)})
    tree = open_tree(tmp_path / "in")
    headers = probe_all(tree, image_files(tree.names()), Problems())
    assert find_masks(tree, headers, headers) == []
    assert len(opened) <= 4


def test_a_series_of_label_images_alone_is_refused_with_the_way_on(
    samples: Path, tmp_path: Path
) -> None:
    folder = samples / "generic" / "palette_series"
    with pytest.raises(SourceError, match="label images without their image") as caught:
        ngff_bio.convert(folder, tmp_path / "out.zarr")
    assert "--labels none" in str(caught.value.hint)
    done = ngff_bio.convert(folder, tmp_path / "out.zarr", options={"labels": "none"})
    assert done.images == 1


@pytest.mark.parametrize("colors", [False, True])
@pytest.mark.parametrize("folder", ["masks", "truth"])
def test_masks_in_jpegs_are_found_and_have_no_values_of_compression(
    folder: str, colors: bool, tmp_path: Path
) -> None:
    plane = mask()
    saved = np.stack([plane] * 3, axis=-1) if colors else plane
    empty = np.zeros_like(saved)
    files = {f"{folder}__a_jpg": saved, f"{folder}__b_jpg": empty}
    source = put(tmp_path / "in", images__a_jpg=noise(), images__b_jpg=noise(), **files)
    done = ngff_bio.convert(source, tmp_path / "out.zarr")
    assert ngff_bio.verify(tmp_path / "out.zarr", source).equal
    assert any("compressed as JPEG" in n.what for n in done.notices)
    data = ngff_bio.open(tmp_path / "out.zarr")
    assert {p: [*data[p].layers] for p in data} == {"a": [folder], "b": [folder]}
    assert data["a"].is_semantic(folder)
    assert ((np.asarray(data["a"].level(0)[folder]) == 255) == (plane > 0)).all()
    assert not np.asarray(data["b"].level(0)[folder]).any()


def test_label_values_in_a_jpeg_are_refused(tmp_path: Path) -> None:
    plane = mask()
    plane[30:] //= 2
    source = put(tmp_path / "in", images__a_png=noise(), masks__a_jpg=plane)
    with pytest.raises(SourceError, match="compressed with loss") as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert error.value.file == "masks/a.jpg"
    done = ngff_bio.convert(source, tmp_path / "out.zarr", options={"labels": "none"})
    assert done.images == 2


@pytest.mark.parametrize("image", REAL)
def test_real_images_in_jpegs_do_not_look_like_masks(image: object, tmp_path: Path) -> None:
    source = put(tmp_path / "in", a_jpg=image(), b_jpg=noise())  # type: ignore[operator]
    assert ngff_bio.convert(source, tmp_path / "out.zarr").images == 2
