"""What a conversion left out is not missing, and no store without it is called verified."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from makers import make_coco_folder
from PIL import Image
from typer.testing import CliRunner

import ngff_bio
from ngff_bio import convert, verify
from ngff_bio.cli.app import app
from ngff_bio.engine import ThreadRunner
from ngff_bio.errors import ArgumentError, NgffBioError, SourceError
from ngff_bio.formats import limits
from ngff_bio.formats.limits import Limits


def bad_polygon(folder: Path) -> Path:
    make_coco_folder(folder)
    (file, *_) = sorted(folder.rglob("*.json"))
    document = json.loads(file.read_text())
    document["annotations"][1]["segmentation"] = [[1, 2, 3]]
    file.write_text(json.dumps(document))
    return folder


def bad_shape(folder: Path) -> Path:
    folder.mkdir()
    for name in "ab":
        Image.fromarray(np.full((30, 40), 9, np.uint8)).save(folder / f"{name}.png")
        shape = {"label": "cell", "shape_type": "polygon", "flags": {}}
        shapes = [{**shape, "points": [[2, 2], [20, 2], [20, 20]]}, {**shape, "points": [[3, 4]]}]
        size = {"imageHeight": 30, "imageWidth": 40, "imageData": None}
        record = {"version": "5", "flags": {}, "shapes": shapes[: 1 + (name == "b")], **size}
        (folder / f"{name}.json").write_text(json.dumps({**record, "imagePath": f"{name}.png"}))
    return folder


def damaged_image(folder: Path) -> Path:
    folder.mkdir()
    for seed, name in enumerate(("one", "two")):
        pixels = np.random.default_rng(seed).integers(0, 255, (40, 30), np.uint8)
        tifffile.imwrite(folder / f"{name}.tif", pixels, compression="zlib", metadata=None)
    with tifffile.TiffFile(folder / "two.tif") as tiff:
        first = tiff.pages.first.dataoffsets[0]
    with (folder / "two.tif").open("r+b") as file:
        file.seek(first)
        file.write(bytes(64))
    return folder


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (bad_polygon, "1 image or record that was not converted"),
        (bad_shape, "1 image or record that was not converted"),
        (damaged_image, "1 image or record that was not converted"),
    ],
)
@pytest.mark.parametrize("with_source", [True, False])
def test_what_was_skipped_is_named_and_nothing_is_called_verified(
    make: Callable[[Path], Path], named: str, with_source: bool, tmp_path: Path
) -> None:
    folder, store = make(tmp_path / "a"), tmp_path / "a.zarr"
    report = convert(folder, store, on_error="skip")
    assert report.skipped
    done = verify(store, folder if with_source else None)
    assert done.differences == []
    assert done.exceptions == named
    printed = CliRunner().invoke(
        app, ["verify", str(store), *(["--source", str(folder)] if with_source else [])]
    )
    assert printed.exit_code == 0
    assert f"equal, except {named}" in " ".join(printed.stdout.split())
    assert "verified" not in printed.stdout


def test_a_store_with_everything_is_verified(tmp_path: Path) -> None:
    make_coco_folder(tmp_path / "a")
    convert(tmp_path / "a", tmp_path / "a.zarr", on_error="skip")
    done = verify(tmp_path / "a.zarr", tmp_path / "a")
    assert (done.equal, done.exceptions) == (True, "")


def test_what_was_skipped_is_validated_as_part_of_the_attributes(tmp_path: Path) -> None:
    convert(bad_polygon(tmp_path / "a"), tmp_path / "a.zarr", on_error="skip")
    assert not [f for f in ngff_bio.validate(tmp_path / "a.zarr") if f.level == "error"]
    (one,) = ngff_bio.open(tmp_path / "a.zarr").attributes["attributes"]["skipped"]
    assert one["file"].endswith(".json")
    assert "annotations[1]" in one["record"]


def test_a_folder_above_or_below_the_source_is_one_error(tmp_path: Path) -> None:
    folder = tmp_path / "all" / "a"
    (folder / "in").mkdir(parents=True)
    for seed, name in enumerate(("one.tif", "in/two.tif", "in/three.tif")):
        pixels = np.random.default_rng(seed).integers(0, 255, (40, 30), np.uint8)
        tifffile.imwrite(folder / name, pixels, metadata=None)
    convert(folder, tmp_path / "a.zarr")
    with pytest.raises(ArgumentError, match="from another folder") as caught:
        verify(tmp_path / "a.zarr", tmp_path / "all")
    assert caught.value.hint is not None
    named = caught.value.hint.rpartition(" ")[2]
    assert verify(tmp_path / "a.zarr", named).equal
    with pytest.raises(ArgumentError, match="from another folder"):
        verify(tmp_path / "a.zarr", folder / "in")


def test_the_source_is_read_with_the_limits_of_the_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_WHOLE_PLANE", 1000)
    folder = tmp_path / "a"
    folder.mkdir()
    for i in range(2):
        Image.fromarray(np.full((40, 50), i, np.uint8)).save(folder / f"{i}x.png")
    with pytest.raises(SourceError, match="larger than allowed"):
        convert(folder, tmp_path / "a.zarr")
    convert(folder, tmp_path / "a.zarr", limits=Limits(max_pixels=5000))
    assert verify(tmp_path / "a.zarr", folder).equal


def test_a_conversion_resumed_with_skip_says_what_differs(tmp_path: Path) -> None:
    folder, store = damaged_image(tmp_path / "a"), tmp_path / "a.zarr"
    with pytest.raises(NgffBioError):
        convert(folder, store, runner=ThreadRunner(1))
    report = convert(folder, store, on_error="skip")
    (note,) = [n.what for n in report.notices if n.kind == "note"]
    assert note.startswith("begun with --on-error stop, resumed with --on-error skip")
    assert verify(store, folder).exceptions.startswith("1 image or record")


def test_a_polygon_that_was_not_drawn_is_exported_as_it_was_and_others_can_be_edited(
    tmp_path: Path,
) -> None:
    folder, store = bad_polygon(tmp_path / "a"), tmp_path / "a.zarr"
    convert(folder, store, on_error="skip")
    ngff_bio.export(store, tmp_path / "coco", to="coco")
    (file,) = (tmp_path / "coco").rglob("*train.json")
    annotations = json.loads(file.read_text())["annotations"]
    assert [1, 2, 3] in [part for a in annotations for part in a["segmentation"]]
    image = next(iter(ngff_bio.open(store).values()))
    rows = image.annotations("objects")
    rows.loc[0, "category"] = "changed"
    assert ngff_bio.update_annotations(image, rows)["objects"]["changed"] == 1
