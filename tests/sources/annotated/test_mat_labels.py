"""MATLAB files of HoVer-Net: pixels and classes are those of their maps and lists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from annotated import converted, labels, rows, write_files

import ngff_bio
from ngff_bio.errors import SourceError
from ngff_bio.formats import mat_labels
from ngff_bio.testing import check_source

SIZE = (20, 30)
INSTANCES = np.zeros(SIZE)
INSTANCES[2:6, 3:9], INSTANCES[10:15, 20:28], INSTANCES[0, 0] = 7, 3, 12
TYPES = np.select([INSTANCES == 7, INSTANCES == 3, INSTANCES == 12], [2, 5, 2], 0.0)
TYPES[2, 3] = 4  # a pixel of another class

#: Arrays of each dataset, as its files have them.
FILES: dict[str, dict[str, Any]] = {
    "CoNSeP": {
        "inst_map": INSTANCES,
        "type_map": TYPES,
        "inst_type": np.array([[5], [2], [2]], float),
        "inst_centroid": np.zeros((3, 2)),
    },
    "Kumar": {"inst_map": INSTANCES.astype(np.int32)},
    "Lizard": {
        "inst_map": INSTANCES.astype(np.int32),
        "id": np.array([[12], [7], [3], [99]]),
        "class": np.array([[2], [2], [5], [1]]),
        "bbox": np.zeros((4, 4)),
        "centroid": np.zeros((4, 2)),
    },
}


def folder(place: Path, arrays: dict[str, Any]) -> Path:
    write_files(place, {"Train/Images/train_1.png": SIZE, "Train/Images/train_2.png": SIZE})
    (place / "Train/Labels").mkdir()
    for number in (1, 2):
        scipy.io.savemat(place / f"Train/Labels/train_{number}.mat", arrays, do_compression=True)
    return place


@pytest.mark.parametrize("dataset", FILES)
def test_maps_of_each_dataset(dataset: str, tmp_path: Path) -> None:
    source = folder(tmp_path / "in", FILES[dataset])
    check_source("mat-labels", source)
    data = converted(source, tmp_path / "out.zarr")
    (layer,) = data["train_2"].layers
    found = rows(data, "train_2", layer)
    assert [r["source_id"] for r in found] == ["3", "7", "12"]
    drawn = labels(data, "train_2", layer)
    for row in found:
        assert ((drawn == row["label"]) == (int(row["source_id"]) == INSTANCES)).all()
    classes = [None] * 3 if dataset == "Kumar" else ["5", "2", "2"]
    assert [r["category"] for r in found] == classes


def test_overlays_of_consep_and_the_table_of_lizard_belong_to_the_images(tmp_path: Path) -> None:
    """As the archives of both unpack."""
    source = folder(tmp_path / "in", FILES["Lizard"])
    write_files(source, {"Train/Overlay/train_1.png": SIZE, "Train/Overlay/train_2.png": SIZE})
    table = "Filename,Source,Split\ntrain_1,CoNSeP,1\ntrain_2,CoNSeP,3\n"
    write_files(source, {"Labels/info.csv": table})
    data = converted(source, tmp_path / "out.zarr")
    assert [*data] == ["train_1", "train_2"]
    assert data.attributes["attributes"]["annotations"]["tables"] == {"Labels/info.csv": table}


def test_files_of_version_7_3_have_their_axes_the_other_way_round(tmp_path: Path) -> None:
    source = write_files(tmp_path / "in", {"a.png": SIZE})
    with h5py.File(source / "a.mat", "w", userblock_size=512) as file:
        file["inst_map"] = INSTANCES.T
    with (source / "a.mat").open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(512))
    data = converted(source, tmp_path / "out.zarr")
    (layer,) = data[""].layers
    assert ((labels(data, "", layer) > 0) == (INSTANCES > 0)).all()


@pytest.mark.parametrize("how", ["raw data", "link"])
def test_no_other_file_is_read_as_labels(how: str, tmp_path: Path) -> None:
    source = write_files(tmp_path / "in", {"a.png": SIZE})
    (tmp_path / "private").write_bytes(bytes([7]) * 600)
    with h5py.File(tmp_path / "private.h5", "w") as file:
        file["x"] = INSTANCES.T
    with h5py.File(source / "a.mat", "w", userblock_size=512) as file:
        if how == "link":
            file["inst_map"] = h5py.ExternalLink(str(tmp_path / "private.h5"), "/x")
        else:
            at = [(str(tmp_path / "private"), 0, 600)]
            file.create_dataset("inst_map", SIZE[::-1], np.uint8, external=at)
    with (source / "a.mat").open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(512))
    with pytest.raises(SourceError, match="would not be read"):
        ngff_bio.convert(source, tmp_path / "out.zarr")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"inst_map": INSTANCES[:-1], "type_map": TYPES[:-1]}, "another size"),
        ({"inst_map": INSTANCES + 0.5}, "not an integer"),
        ({"inst_map": -INSTANCES}, "negative"),
        ({"type_map": TYPES[1:]}, "differ in shape"),
        ({"inst_map": np.stack([INSTANCES] * 2)}, "not a plane"),
        ({"inst_uid": np.array([1, 2, 3])}, "do not fit"),
        (
            {"inst_uid": np.array([3, 7, 12]), "inst_type": np.array([1, np.nan, 2])},
            "not an integer",
        ),
    ],
)
def test_what_is_wrong_is_one_error_or_is_skipped(
    change: dict[str, Any], what: str, tmp_path: Path
) -> None:
    source = folder(tmp_path / "in", FILES["CoNSeP"])
    scipy.io.savemat(source / "Train/Labels/train_2.mat", FILES["CoNSeP"] | change)
    with pytest.raises(SourceError, match=what) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert error.value.file == "Train/Labels/train_2.mat"
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert done.instances == 3
    assert any(n.kind == "skipped" for n in done.notices)


def test_a_truncated_file_is_one_error(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", FILES["Kumar"])
    file = source / "Train/Labels/train_1.mat"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(SourceError, match="cannot be read") as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert error.value.file == "Train/Labels/train_1.mat"


def test_files_are_read_by_one_process_which_is_started_again_where_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The type of an element that does not exist ends SciPy's process with a segmentation fault."""
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *args, **more: started.append(1) or popen(*args, **more)
    )
    source = folder(tmp_path / "in", FILES["Kumar"])
    bad = source / "Train/Labels/train_0.mat"
    scipy.io.savemat(bad, {"inst_map": INSTANCES})
    content = bytearray(bad.read_bytes())
    at = content.index(b"inst_map") + 8  # the element of numbers, whose type comes first
    content[at : at + 4] = (200).to_bytes(4, "little")
    bad.write_bytes(content)
    write_files(source, {"Train/Images/train_0.png": SIZE})
    reader = mat_labels.SeparateReader()  # that of other tests may run
    monkeypatch.setattr(mat_labels, "_READER", reader)
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert done.instances == 6
    (skipped,) = (n for n in done.skipped if n.file)
    assert "MATLAB file cannot be read" in skipped.what
    assert len(started) == 2
    reader.close()


def test_without_scipy_other_formats_are_detected_and_the_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"images/a.png": SIZE, "labels/a.txt": "0 0.5 0.5 0.25 0.5\n", "classes.txt": "cell\n"}
    source = write_files(tmp_path / "in", files)
    scipy.io.savemat(source / "stains.mat", {"matrix": np.eye(3)})
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(SourceError, match="could hold annotations") as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert error.value.file == "stains.mat"
    assert "pip install 'ngff-bio[objects]'" in str(error.value.hint)
    assert ngff_bio.convert(source, tmp_path / "out.zarr", ignore_unread=True).format == "yolo"
    monkeypatch.undo()
    with pytest.raises(SourceError) as error:
        ngff_bio.convert(source, tmp_path / "new.zarr")
    assert "pip install" not in str(error.value.hint)
