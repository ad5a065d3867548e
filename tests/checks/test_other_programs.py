"""Stores of other programs, and what other validators say of ours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import ome_zarr_models
import pytest
import zarr
from full_store import edit_attributes, plate_dataset, set_pixel, write_full_store
from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.writer import write_image, write_labels

from ngff_bio.checks import validate
from ngff_bio.engine import Settings

rng = np.random.default_rng(0)


def found(store: Path, level: str = "error") -> dict[str, set[str]]:
    """Groups by rule."""
    rules: dict[str, set[str]] = {}
    for finding in validate(store):
        if finding.level == level:
            rules.setdefault(finding.rule, set()).add(finding.group)
    return rules


def write_with_ome_zarr(folder: Path, version: str) -> Path:
    fmt = FormatV04() if version == "0.4" else FormatV05()
    root = zarr.open_group(str(folder), mode="w", zarr_format=2 if version == "0.4" else 3)
    write_image(rng.integers(0, 255, (2, 3, 150, 131)).astype("u1"), root, axes="czyx", fmt=fmt)
    labels = np.zeros((3, 150, 131), "u2")
    labels[:, 10:70, 10:60] = 5
    labels[:, 80:140, 40:99] = 900
    write_labels(labels, root, name="cells", axes="zyx", fmt=fmt)
    return folder


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_py_breaks_no_demand_but_one_that_it_is_known_for(version, tmp_path):
    store = write_with_ome_zarr(tmp_path / "a.zarr", version)
    # It writes no version beside the list of labels in 0.5, where the text demands one.
    assert found(store).keys() <= ({"ome-version"} if version == "0.5" else set())


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_damage_to_a_store_of_ome_zarr_py_is_found(version, tmp_path):
    store = write_with_ome_zarr(tmp_path / "a.zarr", version)
    levels = sorted(p.name for p in (store / "labels/cells").iterdir() if p.name[-1].isdecimal())
    set_pixel(store, f"labels/cells/{levels[1]}", (0, 0, 0), 77)
    image = next(p for p in sorted(store.iterdir()) if p.name.endswith("0"))
    chunk = next(p for p in sorted(image.rglob("0")) if p.is_file())
    chunk.write_bytes(b"\x02\x01" + bytes(30))
    rules = found(store)
    assert rules["level-values"] == {"labels/cells"}
    assert rules["chunk-decodes"] == {image.name}


def test_a_store_of_ngio_with_tables_is_read_and_held_against_its_labels(tmp_path):
    import pandas as pd
    from ngio import create_ome_zarr_from_array
    from ngio.tables import FeatureTable

    image = rng.integers(0, 255, (3, 64, 70)).astype("u1")
    container = create_ome_zarr_from_array(str(tmp_path / "a.zarr"), image, pixelsize=0.5)
    label = container.derive_label("nuclei")
    pixels = np.zeros(image.shape, "u4")
    pixels[:, 5:30, 5:30] = 7
    pixels[:, 40:60, 40:60] = 9
    label.set_array(pixels)
    label.consolidate()
    rows = pd.DataFrame({"label": [7, 9], "area": [1.0, 2.0]}).set_index("label")
    container.add_table("features", FeatureTable(rows, reference_label="nuclei"), backend="parquet")
    assert found(tmp_path / "a.zarr") == {}
    rows = pd.DataFrame({"label": [7, 11], "area": [1.0, 2.0]}).set_index("label")
    container.add_table("wrong", FeatureTable(rows, reference_label="nuclei"), backend="parquet")
    assert found(tmp_path / "a.zarr") == {"table-labels": {"tables/wrong"}}


def bioformats2raw(folder: Path, count: int = 2) -> Path:
    """The layout that bioformats2raw writes: numbered images, 0.4, dots between nothing."""
    root = zarr.open_group(str(folder), mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    ome = root.create_group("OME")
    ome.attrs["series"] = [str(i) for i in range(count)]
    (folder / "OME/METADATA.ome.xml").write_text("<OME/>")
    for number in range(count):
        image = root.create_group(str(number))
        datasets = []
        for level, size in enumerate((64, 32)):
            data = rng.integers(0, 99, (1, 1, 1, size, size)).astype(">u2")
            zarr.create_array(
                image.store_path, name=str(level), data=data, zarr_format=2,
                chunk_key_encoding={"name": "v2", "separator": "/"},
            )  # fmt: skip
            scale = [1.0, 1.0, 1.0, 64.0 / size, 64.0 / size]
            datasets.append({
                "path": str(level),
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            })  # fmt: skip
        axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
        axes += [{"name": n, "type": "space"} for n in "zyx"]
        image.attrs["multiscales"] = [{
            "version": "0.4", "name": "a", "axes": axes, "datasets": datasets,
            "metadata": {"method": "loci.common.image.SimpleImageScaler"}, "type": "simple",
        }]  # fmt: skip
    return folder


def test_the_layout_of_bioformats2raw_holds(tmp_path):
    assert found(bioformats2raw(tmp_path / "a.zarr")) == {}


def test_a_series_of_bioformats2raw_without_its_image_is_found(tmp_path):
    store = bioformats2raw(tmp_path / "a.zarr")
    series = json.loads((store / "OME/.zattrs").read_text())["series"]
    (store / "OME/.zattrs").write_text(json.dumps({"series": [*series, "2"]}))
    assert found(store) == {"series-image-there": {""}}


def agrees(store: Path, group: str) -> bool:
    """Whether ome-zarr-models takes a group."""
    try:
        ome_zarr_models.open_ome_zarr(zarr.open_group(str(store), path=group, mode="r"))
    except Exception:  # whatever ome-zarr-models and zarr raise, it means that they do not take it
        return False
    return True


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("make", [None, plate_dataset])
def test_ome_zarr_models_takes_every_group_that_we_hold_valid(make, version, tmp_path):
    settings = Settings(version=version, chunk=(4, 16, 16))
    store = write_full_store(tmp_path / "a.zarr", make and make(), settings)
    assert found(store) == {}
    root = zarr.open_group(str(store), mode="r")
    groups = [p for p, node in root.members(max_depth=None) if isinstance(node, zarr.Group)]
    described = [
        p
        for p in groups
        if (a := dict(root[p].attrs)).get("ome") or "multiscales" in a or "well" in a
    ]
    assert len(described) >= 6
    # A list of labels, or of series, is not a group that ome-zarr-models opens by itself.
    alone = [p for p in described if p.rpartition("/")[2] not in ("labels", "OME")]
    assert {p: agrees(store, p) for p in alone} == dict.fromkeys(alone, True)


DISAGREED = {
    # what is broken: who finds it (ours, theirs)
    "no datasets": (lambda o: o["multiscales"][0]["datasets"].clear(), True, True),
    "scale twice": (
        lambda o: o["multiscales"][0]["datasets"][0]["coordinateTransformations"].append(
            {"type": "scale", "scale": [1, 1, 1]}),
        True, True,
    ),
    "axes out of order": (lambda o: o["multiscales"][0]["axes"].reverse(), True, True),
    # Theirs compares numbers of dimensions and names of a level, not one level with another.
    "levels of another order": (
        lambda o: o["multiscales"][0]["datasets"].reverse(), True, True,
    ),
    # The text says MUST; their models do not check the levels of labels.
    "a label with fewer levels": (None, True, False),
}  # fmt: skip


@pytest.mark.parametrize("name", DISAGREED)
def test_where_ome_zarr_models_disagrees_we_are_the_stricter(name, tmp_path):
    spoil, ours, theirs = DISAGREED[name]
    store = write_full_store(tmp_path / "a.zarr")
    group = "movie"
    if spoil is None:
        group = "movie/labels/cell"
        spoil = lambda o: o["multiscales"][0]["datasets"].pop()  # noqa: E731
    edit_attributes(store, group, lambda a: spoil(a["ome"]))
    assert bool(found(store)) == ours
    assert (not agrees(store, group)) == theirs
