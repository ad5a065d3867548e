"""Label images of plates in the layouts of BBBC006 and BBBC039: objects, planes and splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from annotated import converted
from makers.paired import SIZE, gray, labels_of, put
from skimage.measure import label

import ngff_bio
from ngff_bio.errors import NgffBioError
from ngff_bio.testing import check_source

UUID = "-1C9B-4C71-B2C5-0E2F0A9AD7E0"


def bbbc006(folder: Path, planes: tuple[int, ...]) -> Path:
    for z in planes:
        for well in ("a01", "a02"):
            for channel in (1, 2):
                digest = f"{z * 100 + channel:08x}{UUID.lower()}"
                name = f"mcf-z-stacks-03212011_{well}_s1_w{channel}{digest}.tif"
                put(folder / f"BBBC006_v1_images_z_{z}" / name, gray(z + channel))
    for well in ("a01", "a02"):
        name = f"mcf-z-stacks-03212011_{well}_s1.png"
        put(folder / "BBBC006_v1_labels" / name, labels_of(3))
    return folder


@pytest.mark.parametrize("planes", [(16,), (15, 16, 17)])
def test_bbbc006(planes: tuple[int, ...], tmp_path: Path) -> None:
    data = converted(bbbc006(tmp_path / "in", planes), tmp_path / "out.zarr")
    assert set(data) == {"A/1/0", "A/2/0"}
    level = data["A/1/0"].level(0)
    assert level["image"].sizes["c"] == 2
    pixels = np.asarray(level["image"])
    found = np.asarray(level["labels"])
    expected = np.zeros((len(planes), *SIZE), int)
    expected[planes.index(16)] = labels_of(3)
    assert (found.reshape(expected.shape) == expected).all()
    assert (pixels[0].reshape(len(planes), *SIZE) == [gray(z + 1) for z in planes]).all()


def test_labels_of_one_plane_of_other_stacks_are_an_error(tmp_path: Path) -> None:
    source = bbbc006(tmp_path / "in", (15, 17))
    with pytest.raises(NgffBioError, match="one plane") as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert "--exclude" in str(error.value.hint)
    done = ngff_bio.convert(source, tmp_path / "out.zarr", exclude=["BBBC006_v1_labels"])
    assert done.images == 2


def bbbc039(folder: Path) -> dict[str, np.ndarray]:
    """Masks as the collection has them: RGBA, values in red, touching objects in other colors."""
    masks = {}
    for number, well in enumerate(("A01", "A02", "B01")):
        name = f"IXMtest_{well}_s2_w1051DAA7C-7042-435F-99F0-1E847D9B42CB"
        put(folder / "images" / f"{name}.tif", gray(number))
        mask = np.zeros((*SIZE, 4), np.uint8)
        mask[..., 3] = 255
        mask[2:9, 2:9, 0], mask[2:9, 9:16, 0], mask[20:30, 3 : 9 + number, 0] = 1, 2, 1
        put(folder / "masks" / f"{name}.png", mask)
        masks[name] = mask[..., 0]
    names = list(masks)
    (folder / "metadata").mkdir()
    (folder / "metadata/training.txt").write_text("".join(f"{n}.png\n" for n in names[:2]))
    (folder / "metadata/validation.txt").write_text(f"{names[2]}.png\n")
    return masks


def test_bbbc039(tmp_path: Path) -> None:
    masks = bbbc039(tmp_path / "in")
    check_source("plate", tmp_path / "in")
    data = converted(tmp_path / "in", tmp_path / "out.zarr")
    splits = []
    for path, mask in zip(("A/1/0", "A/2/0", "B/1/0"), masks.values(), strict=True):
        # skimage.morphology.label, as the collection's own instructions have it
        expected = label(mask)
        found = np.asarray(data[path].level(0)["masks"])
        pairs = {*zip(expected.ravel().tolist(), found.ravel().tolist(), strict=True)}
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == 4
        (frame,) = data[path].attributes["frames"]
        splits.append(frame["splits"])
    assert splits == [["training"], ["training"], ["validation"]]


def test_a_label_image_without_its_field_is_an_error_or_is_skipped(tmp_path: Path) -> None:
    bbbc039(tmp_path / "in")
    next((tmp_path / "in/images").glob("*B01*")).unlink()
    (tmp_path / "in/metadata/validation.txt").unlink()
    with pytest.raises(NgffBioError, match="without its field"):
        ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    done = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", exclude=["*B01*"])
    assert done.images == 2
