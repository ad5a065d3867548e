from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from makers import make_platelet_em
from PIL import Image

from ngff_bio import convert
from ngff_bio.errors import ArgumentError
from ngff_bio.export import export
from ngff_bio.formats.rle.rle_json import decode_rle_json
from ngff_bio.formats.rle.writer import RunLengthWriter

#: Busy machines are slow: no test fails by the clock.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def items(path: Path) -> list:
    """A JSON object with the order of its keys."""
    return json.loads(path.read_text(), object_pairs_hook=list)


def assert_labels_are_equal(source: Path, exported: Path) -> None:
    files = sorted(p.relative_to(source) for p in source.rglob("*.json"))
    assert files
    assert files == sorted(p.relative_to(exported) for p in exported.rglob("*.json"))
    for name in files:
        assert items(exported / name) == items(source / name), name


@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"volumes": ["24"]},
        {"info_dtype": "np.int", "info_first": True},
        {"info_extra": {"authors": ["a", "ü"], "voxel": [40, 10.5, None]}, "id_gaps": True},
        {"instance_suffixes": ["-2d", "-3d"]},
        {"labels": ["json", "tif"], "disagree": True},
    ],
    ids=str,
)
def test_run_length_files_come_back_value_for_value(tmp_path, quirks):
    made = make_platelet_em(tmp_path, **quirks)
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="rle-json")
    assert_labels_are_equal(made.root, tmp_path / "out")


def test_real_files_come_back_value_for_value(samples, tmp_path):
    convert(samples / "platelet-em", tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="rle-json")
    assert_labels_are_equal(samples / "platelet-em", tmp_path / "out")


def test_a_table_whose_first_row_is_short_keeps_its_columns(tmp_path):
    (tmp_path / "in").mkdir()
    for name in "ab":
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / f"in/{name}.png")
    (tmp_path / "in/t.csv").write_text("ImageId,EncodedPixels\na\nb,1 3\n")
    convert(tmp_path / "in", tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="label-files")
    assert (tmp_path / "out/t.csv").read_text() == "ImageId,EncodedPixels\na,\nb,1 3\n"


def test_a_store_without_annotations_is_refused_and_exported_with_images(tmp_path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    convert(tmp_path / "a.png", tmp_path / "store.zarr")
    with pytest.raises(ArgumentError, match=r"no annotations[\s\S]*add --images"):
        export(tmp_path / "store.zarr", tmp_path / "out", to="label-files")
    assert not (tmp_path / "out").exists()
    export(tmp_path / "store.zarr", tmp_path / "out", to="label-files", images=True)
    assert [p.name for p in (tmp_path / "out").rglob("*")] == ["a.png"]


def test_all_rows_without_runs_come_back(tmp_path):
    (tmp_path / "in").mkdir()
    for name in "ab":
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / f"in/{name}.png")
    table = "ImageId,ClassId,EncodedPixels\na,1,\na,2,\nb,1,1 3\nb,2,\n"
    (tmp_path / "in/t.csv").write_text(table)
    convert(tmp_path / "in", tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="label-files")
    assert (tmp_path / "out/t.csv").read_text() == table


def test_odd_spellings_come_back_as_they_were(tmp_path):
    made = make_platelet_em(tmp_path, volumes=["24"], size=(2, 3, 4))
    cell, organelle = (
        made.volumes["24"].label_files[kind, "json"] for kind in ("cell", "organelle")
    )
    info = {"dtype": "numpy.uint16", "shape": [2, 3, 4], "more": {"a": 1}}
    # Runs that touch, out of order; ids with zeros in front; an id of no pixel; info in the middle.
    cell.write_text(
        json.dumps({"07": "5 1 1 2", ".info": info, "3": "9 2 11 1", "12": "", "2": "20 3"})
    )
    # Runs that end with each row.
    organelle.write_text(json.dumps({"1": "3 2 5 4 9 1", "4": "14 3 17 4", ".info": info}))
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="rle-json")
    assert_labels_are_equal(made.root, tmp_path / "out")


def test_ids_beyond_32_bits_come_back(tmp_path):
    made = make_platelet_em(tmp_path, volumes=["24"], size=(1, 2, 4))
    file = made.volumes["24"].label_files["cell", "json"]
    info = {"shape": [1, 2, 4], "dtype": "int64"}
    file.write_text(json.dumps({"-3": "1 1", "0": "2 1", str(2**40): "4 3", ".info": info}))
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="rle-json")
    assert_labels_are_equal(made.root, tmp_path / "out")


@unhurried
@given(
    arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 3)),
    st.booleans(),
    st.sampled_from([None, 5, 20]),
    st.randoms(use_true_random=False),
)
def test_any_spelling_is_written_again(labels, info_first, split, random):
    content = {str(v): runs(labels, v, split) for v in range(1, 4)}
    keys = list(content)
    random.shuffle(keys)
    entries = [(k, content[k]) for k in keys]
    entries.insert(0 if info_first else len(entries), (".info", {"shape": [3, 4, 5]}))
    found = decode_rle_json(dict(entries))
    writer = RunLengthWriter(labels.shape)
    for z in range(3):
        writer.add(labels[z], z * 20)
    written = writer.finish({}, found.spelling)
    assert json.loads(written, object_pairs_hook=list) == json.loads(
        json.dumps(dict(entries)), object_pairs_hook=list
    )


def runs(labels, value, split):
    """Runs of one value by going through the voxels one by one."""
    found, flat = [], labels.ravel()
    for i, v in enumerate(flat):
        if v != value:
            continue
        touches = found and found[-1][0] + found[-1][1] == i + 1
        if touches and not (split and i % split == 0):
            found[-1][1] += 1
        else:
            found.append([i + 1, 1])
    return " ".join(f"{a} {n}" for a, n in found)


def test_a_region_is_counted_from_its_own_corner(tmp_path):
    made = make_platelet_em(tmp_path, volumes=["50"])
    convert(made.root, tmp_path / "store.zarr")
    out = tmp_path / "cells.json"
    export(
        tmp_path / "store.zarr",
        out,
        to="rle-json",
        labels="instance-cell",
        region="z=1:4,y=10:40,x=5:",
    )
    found = decode_rle_json(json.loads(out.read_text()))
    labels = np.zeros(found.volume.shape, np.int32).ravel()
    volume = found.volume
    for start, length, value in zip(volume.starts, volume.lengths, volume.values, strict=True):
        labels[start : start + length] = value
    expected = made.volumes["50"].labels["cell"][1:4, 10:40, 5:]
    np.testing.assert_array_equal(labels.reshape(volume.shape), expected)


def test_one_file_holds_one_label_image(tmp_path):
    made = make_platelet_em(tmp_path, volumes=["24"])
    convert(made.root, tmp_path / "store.zarr")
    with pytest.raises(ArgumentError, match="one file"):
        export(tmp_path / "store.zarr", tmp_path / "all.json", to="rle-json")
    assert not (tmp_path / "all.json").exists()
