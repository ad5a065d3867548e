"""Tables in Neuroglancer: boxes where the pixels are, class names of values, tracks over frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
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
    assert semantic is not None
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
        state, _ = full_state(image, server.url, server)
        layer = next(x for x in state["layers"] if x["name"] == "semantic")
        path = layer["source"][1]["url"].removeprefix(server.origin).partition("|")[0]
        assert json.loads(server.documents[f"{path}info"]) == semantic


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
