"""What other programs write differently: axes in capitals, labels on another grid or elsewhere."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from written_stores import SCALE, blobs, by_hand, example_pixels

import ngff_bio
from ngff_bio.errors import StoreError
from ngff_bio.reader.access.image import AlignedLabelsWarning
from ngff_bio.reader.describe import describe
from ngff_bio.viewing.links import image_links
from ngff_bio.viewing.neuroglancer import label_layer


def entry(axes: str, levels: list[tuple[float, float]], **more: Any) -> dict[str, Any]:
    """An entry of multiscales: pixel size and offset along y and x of each level."""
    kinds = {"t": "time", "c": "channel"}
    datasets = []
    for number, (scale, shift) in enumerate(levels):
        rest = len(axes) - 2
        steps = [
            {"type": "scale", "scale": [1.0] * rest + [scale] * 2},
            {"type": "translation", "translation": [0.0] * rest + [shift] * 2},
        ]
        datasets.append({"path": str(number), "coordinateTransformations": steps})
    named = [{"name": a, "type": kinds.get(a.lower(), "space")} for a in axes]
    return {"axes": named, "datasets": datasets, "version": "0.4", **more}


def store(path: Path, axes: str = "cyx") -> Any:
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("0", data=example_pixels())
    group.attrs["multiscales"] = [entry(axes, [(SCALE, 0.0)])]
    group.require_group("labels")
    return group


def add_labels(
    group: Any, name: str, pixels: Any, scale: float, shift: float = 0.0
) -> ngff_bio.reader.Image:
    label = group.require_group(f"labels/{name}")
    label.create_array("0", data=pixels)
    label.attrs.update({"multiscales": [entry("yx", [(scale, shift)])], "image-label": {}})
    group["labels"].attrs["labels"] = [*group["labels"].attrs.get("labels", []), name]
    return ngff_bio.open(group.store.root)[""]


def test_axes_in_capitals_are_those_in_lower_case(tmp_path: Path) -> None:
    store(tmp_path / "s", "CYX")
    image = ngff_bio.open(tmp_path / "s")[""]
    assert image.axes == "cyx"
    found = image.region(x=(0, 10 * SCALE), y=(0, 5 * SCALE))["image"]
    np.testing.assert_array_equal(found, example_pixels()[:, :5, :10])
    ngff_bio.convert(tmp_path / "s", tmp_path / "new")
    array: Any = zarr.open_array(tmp_path / "new" / "0", mode="r")
    assert array.metadata.dimension_names == ("C", "Y", "X")


def test_coarse_labels_are_aligned_with_a_warning(tmp_path: Path) -> None:
    # Half-pixel rule: the first coarse pixel covers two fine ones.
    coarse = blobs()[::2, ::2]
    image = add_labels(store(tmp_path / "s"), "cell", coarse, 2 * SCALE, SCALE / 2)
    with pytest.warns(AlignedLabelsWarning, match="aligned by world coordinates"):
        found = image.level(0)["cell"]
    np.testing.assert_array_equal(found, coarse.repeat(2, 0).repeat(2, 1))


def test_labels_without_a_scale_have_that_of_their_image(tmp_path: Path) -> None:
    image = add_labels(store(tmp_path / "s"), "cell", blobs(), 1.0)
    with pytest.warns(AlignedLabelsWarning, match="has no scale"):
        np.testing.assert_array_equal(image.level(0)["cell"], blobs())


def test_labels_that_are_elsewhere_are_not_all_background(tmp_path: Path) -> None:
    image = add_labels(store(tmp_path / "s"), "cell", blobs(), SCALE, 1000.0)
    with pytest.raises(StoreError, match="do not overlap"):
        image.level(0, labels=["cell"])
    with pytest.warns(UserWarning, match="do not overlap"):
        assert list(image.level(0)) == ["image"]


def test_labels_in_groups_of_labels(tmp_path: Path) -> None:
    image = add_labels(store(tmp_path / "s"), "round/two", blobs(), SCALE)
    np.testing.assert_array_equal(image.level(0)["round/two"], blobs())
    ngff_bio.convert(tmp_path / "s", tmp_path / "new")
    again = ngff_bio.open(tmp_path / "new")[""]
    np.testing.assert_array_equal(again.level(0)["round/two"], blobs())


def spatialdata(path: Path) -> Any:
    """Attributes and arrays as spatialdata 0.7 writes them: labels and tables beside images."""
    root = zarr.open_group(path, mode="w")
    root.attrs["spatialdata_attrs"] = {"version": "0.2"}

    def element(place: str, data: Any, axes: str, to_global: dict[str, Any], **more: Any) -> None:
        group = root.require_group(place)
        group.create_array("s0", data=data)
        named = [{"name": a, "type": "channel" if a == "c" else "space"} for a in axes]
        steps = [{"type": "scale", "scale": [1.0] * len(axes)}]
        output = {"name": "global", "axes": named}
        outer = [{**to_global, "input": {"name": axes, "axes": named}, "output": output}]
        datasets = [{"path": "s0", "coordinateTransformations": steps}]
        image = {"axes": named, "datasets": datasets, "coordinateTransformations": outer}
        ome = {"version": "0.5-dev-spatialdata", "multiscales": [image], **more}
        group.attrs.update({"ome": ome, "spatialdata_attrs": {"version": "0.3"}})

    element("images/img", example_pixels(), "cyx", {"type": "identity"})
    element("labels/cell", blobs(), "yx", {"type": "identity"}, **{"image-label": {}})
    affine = [[2.0, 0.0, 0.5], [0.0, 2.0, 0.5]]
    element("labels/coarse", blobs()[::2, ::2], "yx", {"type": "affine", "affine": affine})
    far = {"type": "translation", "translation": [5000.0, 0.0]}
    element("labels/other", blobs(), "yx", far)
    return root


def test_labels_and_tables_of_spatialdata(tmp_path: Path) -> None:
    import anndata
    import pandas as pd

    root = spatialdata(tmp_path / "s")
    obs = pd.DataFrame({"region": ["cell"] * 2, "instance_id": [1, 5], "kind": ["a", "b"]})
    obs.index = obs.index.astype(str)
    var = pd.DataFrame(index=["area"])
    data = anndata.AnnData(X=np.array([[3.0], [4.0]], np.float32), obs=obs, var=var)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with anndata.settings.override(zarr_write_format=3):
            root.require_group("tables")
            data.write_zarr(tmp_path / "s" / "tables" / "t")
    keys = {"region": "cell", "region_key": "region", "instance_key": "instance_id"}
    root["tables/t"].attrs.update({**keys, "spatialdata-encoding-type": "ngff:regions_table"})
    ngff_bio.convert(tmp_path / "s", tmp_path / "new", on_error="skip")
    labels = describe(tmp_path / "s")["images"][0]["labels"]
    assert [label["levels"][0]["shape"] for label in labels] == [
        list(blobs().shape),
        list(blobs()[::2, ::2].shape),
    ]
    image = ngff_bio.open(tmp_path / "s")["images/img"]
    assert label_layer(image, "http://h/s/images/img", "cell")["source"] == (
        "http://h/s/labels/cell/|zarr3:"
    )
    assert "neuroglancer" not in image_links(image, "http://h/s/images/img")
    for place in ("s", "new"):
        image = ngff_bio.open(tmp_path / place)["images/img"]
        assert image.labels == ("cell", "coarse")
        assert image.tables == ("t",)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AlignedLabelsWarning)
            level = image.level(0)
        np.testing.assert_array_equal(level["cell"], blobs())
        np.testing.assert_array_equal(level["coarse"], blobs()[::2, ::2].repeat(2, 0).repeat(2, 1))
        rows = image.annotations("t", label=[5])
        assert rows[["label", "kind", "area"]].values.tolist() == [[5, "b", 4.0]]


def test_a_zip_of_a_store_is_converted(tmp_path: Path) -> None:
    import zipfile

    by_hand("/")["collection"](tmp_path / "s")
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for file in sorted(p for p in (tmp_path / "s").rglob("*") if p.is_file()):
            archive.write(file, f"s.zarr/{file.relative_to(tmp_path / 's').as_posix()}")
    ngff_bio.convert(tmp_path / "s.zip", tmp_path / "new")
    image = ngff_bio.open(tmp_path / "new")["1"]
    np.testing.assert_array_equal(image.pixels.array(0)[0, :, 0], example_pixels(1))
