"""What viewers are told about an image: axes, channels with windows and colours, labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import tifffile
from makers import make_nuclei, make_platelet_em
from typer.testing import CliRunner

import ngff_bio
from ngff_bio.cli.app import app
from ngff_bio.errors import ArgumentError
from ngff_bio.reader import Image
from ngff_bio.viewing.links import group_links, image_links, label_links
from ngff_bio.viewing.neuroglancer import neuroglancer_state

URL = "http://127.0.0.1:1/a"


@pytest.fixture(scope="module")
def em(tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("em")
    truth = make_platelet_em(folder, size="tiny", volumes=["50"])
    ngff_bio.convert(truth.root, folder / "em.zarr")
    return ngff_bio.open(folder / "em.zarr")[""]


def channels(folder: Path, **options: Any) -> Image:
    """An image of two channels."""
    source = folder / "images"
    source.mkdir()
    pixels = np.arange(2 * 8 * 9, dtype=np.uint16).reshape(2, 8, 9)
    tifffile.imwrite(source / "a.tif", pixels, ome=True, metadata={"axes": "CYX"})
    ngff_bio.convert(source, folder / "a.zarr", settings=ngff_bio.Settings(**options))
    dataset = ngff_bio.open(folder / "a.zarr")
    return dataset[dataset.first_path]


def test_x_is_the_first_axis_and_units_are_si(em: Image) -> None:
    state = neuroglancer_state(em, URL)
    assert list(state["dimensions"]) == ["x", "y", "z"]
    assert state["dimensions"]["z"] == (pytest.approx(4e-8), "m")
    assert state["displayDimensions"] == ["x", "y", "z"]


def test_the_middle_is_shown_unless_told_otherwise(em: Image) -> None:
    state = neuroglancer_state(em, URL)
    _, height, width = em.shape
    assert state["position"][:2] == [(width - 1) / 2, (height - 1) / 2]
    assert neuroglancer_state(em, URL, z=1)["position"][2] == 1
    assert neuroglancer_state(em, URL, region=(10, 20, 5, 3))["position"][:2] == [12, 21]


def test_what_is_outside_the_image_is_refused(em: Image) -> None:
    for at in ({"z": 99}, {"region": (5000, 0, 9, 9)}, {"region": (0, 0, 0, 9)}):
        with pytest.raises(ArgumentError, match="outside the image"):
            neuroglancer_state(em, URL, **at)


def test_a_link_names_the_image_and_every_label(em: Image) -> None:
    link = image_links(em, URL)["neuroglancer"]
    state = json.loads(unquote(link.partition("#!")[2]))
    kinds = {layer["name"]: layer["type"] for layer in state["layers"]}
    assert kinds == {"image": "image", **dict.fromkeys(em.labels, "segmentation")}
    assert [layer["name"] for layer in state["layers"] if layer.get("visible", True)] == [
        "image",
        "semantic",
    ]
    semantic = next(layer for layer in state["layers"] if layer["name"] == "semantic")
    assert semantic["source"] == f"{URL}/labels/semantic/|zarr3:"
    assert semantic["segmentColors"]["1"] == "#0101e0"


def test_a_colour_image_is_one_layer(tmp_path: Path) -> None:
    truth = make_nuclei(tmp_path, size="tiny")
    ngff_bio.convert(truth.root, tmp_path / "n.zarr")
    dataset = ngff_bio.open(tmp_path / "n.zarr")
    image = next(i for i in dataset.values() if i.sizes.get("c") == 3)
    layers = [x for x in neuroglancer_state(image, URL)["layers"] if x["type"] == "image"]
    assert len(layers) == 1
    assert "emitRGB(vec3(red(), green(), blue()))" in layers[0]["shader"]
    assert list(layers[0]["source"]["transform"]["outputDimensions"]) == ["c^", "y", "x"]


def test_other_channels_are_layers_with_windows_and_colours(tmp_path: Path) -> None:
    image = channels(tmp_path)
    layers = neuroglancer_state(image, URL)["layers"]
    assert [x["localPosition"] for x in layers] == [[0], [1]]
    for layer, channel in zip(layers, image.meta.channels, strict=True):
        assert layer["shaderControls"]["color"] == f"#{channel.color.lower()}"
        assert layer["shaderControls"]["value"]["range"] == [channel.start, channel.end]


def test_no_link_is_made_to_a_viewer_that_cannot_read_the_version(tmp_path: Path) -> None:
    image = channels(tmp_path, version="0.6")
    assert list(image_links(image, URL)) == ["validator"]
    assert label_links(image, URL, "cell") == {}


def test_no_link_to_a_group_is_made_to_a_viewer_that_cannot_read_the_version() -> None:
    assert set(group_links("http://h/a", "0.6")) == {"validator"}


def test_a_link_to_a_label_image_has_that_alone(em: Image) -> None:
    link = label_links(em, URL, "semantic")["neuroglancer"]
    state = json.loads(unquote(link.partition("#!")[2]))
    assert [layer["name"] for layer in state["layers"]] == ["semantic"]
    assert group_links("http://h/a b", "0.5")["vizarr"].endswith("?source=http%3A%2F%2Fh%2Fa%20b")


def test_a_conversion_says_which_viewers_cannot_read_its_version(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.ones((8, 9), np.uint8))
    for version, warned in (("0.5", False), ("0.6", True)):
        store = str(tmp_path / f"{version}.zarr")
        done = CliRunner().invoke(
            app, ["convert", str(tmp_path / "a.tif"), store, "--ome-version", version]
        )
        assert done.exit_code == 0, done.output
        assert ("cannot read OME-Zarr" in done.output) == warned


def test_no_link_is_made_of_a_signed_url() -> None:
    done = CliRunner().invoke(app, ["view", "--link", "https://h/a.zarr?sig=hush"])
    assert "a signature is for one object" in str(done.exception)
    assert "hush" not in str(done.exception)
