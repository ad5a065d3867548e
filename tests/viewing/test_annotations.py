"""Tables in Neuroglancer: boxes where the pixels are, class names of values, tracks over frames."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
from makers import make_organoid, make_platelet_em

import ngff_bio
from ngff_bio.errors import ArgumentError
from ngff_bio.viewing.annotations import annotation_layers, segment_properties
from ngff_bio.viewing.neuroglancer import neuroglancer_state
from ngff_bio.viewing.serve import StoreServer
from ngff_bio.viewing.view import check_readable, full_state

URL = "http://127.0.0.1:1/a"


def test_classes_and_boxes_of_a_volume(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["50"])
    ngff_bio.convert(truth.root, tmp_path / "em.zarr")
    image = ngff_bio.open(tmp_path / "em.zarr")[""]
    semantic = segment_properties(image, "semantic")
    named = dict(
        zip(semantic["inline"]["ids"], semantic["inline"]["properties"][0]["values"], strict=True)
    )
    assert named["1"] == "cell"
    name = "instance-cell"
    layers, notes = annotation_layers(image, name, neuroglancer_state(image, URL)["dimensions"])
    assert not notes
    values = np.asarray(image.label(name).array(0)[...])
    for box in layers[0]["annotations"]:
        label = int(box["segments"][0][0])
        where = np.argwhere(values == label)
        # Pixel i is at i - 0.5 to i + 0.5; axes are x, y, z here and z, y, x there.
        assert box["pointA"][::-1] == (where.min(axis=0) - 0.5).tolist()
        assert box["pointB"][::-1] == (where.max(axis=0) + 0.5).tolist()
    with StoreServer(tmp_path / "em.zarr") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        state, _ = full_state(image, server.url, segments=True)
        layer = next(x for x in state["layers"] if x["name"] == "semantic")
        place, _, kind = layer["source"][1]["url"].partition("|")
        assert kind == "neuroglancer-precomputed:"
        assert json.loads(urlopen(f"{place}info").read()) == semantic
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{server.url}/labels/nothing/segments/info")
        server.shutdown()


def test_tracks_are_lines_from_frame_to_frame(tmp_path: Path) -> None:
    truth = make_organoid(tmp_path, trees=["Tracking"])
    ngff_bio.convert(truth.root, tmp_path / "o.zarr")
    image = ngff_bio.open(tmp_path / "o.zarr")["Tracking/E/4/0"]
    dimensions = neuroglancer_state(image, URL)["dimensions"]
    layers, _ = annotation_layers(image, "organoid", dimensions)
    kinds = {layer["name"]: layer for layer in layers}
    lines = kinds["organoid tracks"]["annotations"]
    rows = image.annotations("organoid")
    assert len(lines) == sum(n - 1 for n in rows.groupby("label").size())
    first = min(lines, key=lambda line: line["pointA"][2])
    assert first["pointB"][2] > first["pointA"][2]
    assert len(kinds["organoid boxes"]["annotations"]) == len(rows)


def test_a_version_that_neuroglancer_cannot_read_is_refused(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["50"])
    settings = ngff_bio.Settings(version="0.6")
    ngff_bio.convert(truth.root, tmp_path / "em.zarr", settings=settings)
    with pytest.raises(ArgumentError, match="cannot read OME-Zarr"):
        check_readable(ngff_bio.open(tmp_path / "em.zarr")[""])


def test_an_annotation_without_a_label_is_shown_and_a_table_without_labels_is_named(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").mkdir()
    tifffile.imwrite(tmp_path / "a" / "one.tif", np.zeros((40, 50), np.uint8))
    ngff_bio.convert(tmp_path / "a", tmp_path / "one.zarr", format="images")
    dataset = ngff_bio.open(tmp_path / "one.zarr")
    path = dataset.first_path
    ngff_bio.write_labels(dataset[path], "cells", np.ones((40, 50), np.uint8))
    (table,) = (tmp_path / "one.zarr").rglob("tables/cells/table.parquet")
    boxes = {f"box_{k}": [1.0, 2.0] for k in ("x", "y", "width", "height")}
    dimensions = neuroglancer_state(dataset[path], URL)["dimensions"]
    pq.write_table(pa.table({"label": [1, None], "category": ["a", "b"], **boxes}), table)
    image = ngff_bio.open(tmp_path / "one.zarr")[path]
    layers, _ = annotation_layers(image, "cells", dimensions)
    assert [a["description"] for a in layers[0]["annotations"]] == ["1 a", "b"]
    pq.write_table(pa.table(boxes), table)
    image = ngff_bio.open(tmp_path / "one.zarr")[path]
    layers, notes = annotation_layers(image, "cells", dimensions)
    assert not layers
    assert "no column label" in notes[0]
    assert segment_properties(image, "cells")["inline"] == {"ids": [], "properties": []}


def test_columns_that_are_not_numbers_are_no_numbers_of_segments(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "a.tif", np.zeros((4, 4), np.uint8))
    ngff_bio.convert(tmp_path / "images", tmp_path / "s.zarr")
    columns = {"area": [float("inf"), 1], "pixels": ["x", "y"], "iscrowd": [True, False]}
    table = pa.table({"label": [1, 2], **columns}).to_pandas()
    values = np.array([[1, 2, 0, 0]] * 4, np.uint8)
    ngff_bio.write_labels(ngff_bio.open(tmp_path / "s.zarr")[""], "cells", values, table=table)
    found = segment_properties(ngff_bio.open(tmp_path / "s.zarr")[""], "cells")
    json.dumps(found, allow_nan=False)
    assert {p["id"]: p["values"] for p in found["inline"]["properties"]} == {"iscrowd": [1, 0]}
    table["label"] = ["x", "2"]
    ngff_bio.write_labels(ngff_bio.open(tmp_path / "s.zarr")[""], "texts", values, table=table)
    found = segment_properties(ngff_bio.open(tmp_path / "s.zarr")[""], "texts")
    assert found["inline"]["ids"] == ["2"]
