"""No file that could hold annotations is left out unseen: the conversion stops, or reports it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import ngff_bio
from ngff_bio.cli.app import app
from ngff_bio.errors import SourceError

COCO = """{"images": [{"id": 1, "file_name": "a.png", "width": 5, "height": 4}],
"annotations": [], "categories": []}"""
LABELME = """{"version": "5.0", "flags": {}, "shapes": [], "imagePath": "a.png", "imageData": null,
"imageHeight": 4, "imageWidth": 5}"""


@pytest.fixture(params=["images", "coco", "labelme"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    place = tmp_path / "in"
    place.mkdir()
    Image.fromarray(np.ones((4, 5), np.uint8)).save(place / "a.png")
    if request.param == "coco":
        (place / "listed.json").write_text(COCO)
    if request.param == "labelme":
        (place / "a.json").write_text(LABELME)
    return place


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "cell 5 5 1 1"),
        ("labels/a.txt", "cell 5 5 1 1"),
        ("train.txt", "elsewhere/b.jpg\nelsewhere/c.jpg\n"),
        ("annotations.xml", "<regions/>"),
        ("cells.geojson", "{}"),
        ("regions.json", "{}"),
        ("boxes.csv", "file,x\nimages/a.png,3"),
        ("boxes.npy", ""),
        ("a.mat", ""),
        ("a.h5", ""),
        ("more.lei", ""),
        ("points.csv", "index,axis-0,axis-1\n0,3,4\n"),
        ("a_table.csv", "object_id,timestep,Predicted Class\n1,0,cell\n"),
        ("positions.csv", "\nPosition\n=====\nPosition X,Position Y,Unit\n1,2,um\n"),
        ("a.nml", "<things/>"),
        ("cells.tfrecord", "\x10\0\0\0"),
        ("a_links.txt", "1,2\n1,3\n"),
        ("gt.txt", "\xef\xbb\xbf1,1,5,6,10,8\n"),
        ("gt_a.txt", "5,6,15,6,15,18,5,18,cell\n"),
        ("objects.txt", "cell 5 6 15 18\nnucleus 6 7 9.5 8\n"),
        ("tasks.ndjson", '{"data_row": {"external_id": "a.png"}}\n'),
        ("more.gz", "\x1f\x8b\x08"),
    ],
)
def test_a_file_that_could_hold_annotations_stops_the_conversion_or_is_reported(
    folder: Path, name: str, text: str, tmp_path: Path
) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(text.encode("latin-1"))
    for on_error in ("stop", "skip"):
        with pytest.raises(SourceError, match="could hold annotations") as error:
            ngff_bio.convert(folder, tmp_path / "out.zarr", on_error=on_error)
        assert name in str(error.value.found)
        assert "--ignore-unread" in str(error.value.hint)
    with pytest.raises(SourceError, match="could hold annotations"):
        ngff_bio.conversion.estimate(folder)
    done = ngff_bio.convert(folder, tmp_path / "out.zarr", ignore_unread=True)
    assert done.images == 1
    (skipped,) = done.skipped
    assert skipped.record == name
    assert "--ignore-unread" in skipped.what
    assert ngff_bio.verify(tmp_path / "out.zarr", folder).equal


def test_documents_and_tables_of_other_things_are_no_annotations(
    folder: Path, tmp_path: Path
) -> None:
    for name in ("README.md", "LICENSE.txt", "obj.names", "plate.csv", "data.yaml"):
        (folder / name).write_text("gain, 3")
    done = ngff_bio.convert(folder, tmp_path / "out.zarr")
    assert {n.record for n in done.skipped} == {"obj.names", "plate.csv"}
    assert set(done.account.belongs) == {"README.md", "LICENSE.txt", "data.yaml"}


def test_the_command_line_stops_and_has_the_option(folder: Path, tmp_path: Path) -> None:
    (folder / "a.txt").write_text("cell 5 5 1 1")
    command = ["convert", str(folder), str(tmp_path / "out.zarr")]
    assert CliRunner().invoke(app, command).exit_code != 0
    done = CliRunner().invoke(app, [*command, "--ignore-unread"])
    assert done.exit_code == 0
    assert "a.txt" in done.output


def test_unlisted_images_of_a_coco_folder_that_are_named_like_masks_are_no_images(
    tmp_path: Path,
) -> None:
    place = tmp_path / "in"
    (place / "masks").mkdir(parents=True)
    for name in ("a.png", "masks/a.png"):
        Image.fromarray(np.ones((4, 5), np.uint8)).save(place / name)
    (place / "listed.json").write_text(COCO.replace('"a.png"', '"./a.png"').replace("./", ""))
    with pytest.raises(SourceError, match="could hold annotations") as error:
        ngff_bio.convert(place, tmp_path / "out.zarr")
    assert "masks/a.png" in str(error.value.found)
    done = ngff_bio.convert(place, tmp_path / "out.zarr", ignore_unread=True)
    assert done.images == 1


@pytest.mark.parametrize(
    ("tool", "text"),
    [
        # Documented at docs.v7labs.com, docs.segments.ai and docs.superannotate.com.
        (
            "V7 Darwin",
            '{"version": "2.0", "item": {"name": "a.png"}, "annotations": [{"slot_names":',
        ),
        ("Segments.ai", '{"dataset": {"samples": [{"label_status": "LABELED", "annotations": [{'),
        ("SuperAnnotate", '{"metadata": {"name": "a.png"}, "instances": [{"className": "cell"}]}'),
    ],
)
def test_json_of_a_tool_that_is_not_read_is_named(tool: str, text: str, tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 5), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(SourceError, match="would not be read") as caught:
        ngff_bio.convert(tmp_path, tmp_path.parent / "out.zarr")
    assert f"JSON of {tool}" in str(caught.value.found)
    assert f"export the annotations of {tool} as COCO" in str(caught.value.hint)
