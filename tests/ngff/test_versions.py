"""Neutral metadata survives each version, and is written as its rules and ome-zarr-models require."""

from __future__ import annotations

from dataclasses import replace

import ome_zarr_models.v04.bioformats2raw
import ome_zarr_models.v04.hcs
import ome_zarr_models.v04.image
import ome_zarr_models.v04.image_label
import ome_zarr_models.v04.labels
import ome_zarr_models.v04.well
import ome_zarr_models.v05.bioformats2raw
import ome_zarr_models.v05.hcs
import ome_zarr_models.v05.image
import ome_zarr_models.v05.image_label
import ome_zarr_models.v05.labels
import ome_zarr_models.v05.well
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngff_bio import ngff
from ngff_bio.checks import validate_attributes
from ngff_bio.errors import StoreError
from ngff_bio.ngff import (
    AxisMeta,
    ChannelMeta,
    GroupMeta,
    LabelMeta,
    LevelMeta,
    MultiscaleMeta,
    PlateMeta,
    WellMeta,
)
from ngff_bio.ngff.older import as_04

WRITTEN = ["0.4", "0.5", "0.6"]
sizes = st.floats(1e-3, 1e3, allow_nan=False)


@st.composite
def multiscales(draw: st.DrawFn) -> MultiscaleMeta:
    names = draw(st.sampled_from(["yx", "zyx", "tyx", "cyx", "tczyx", "czyx"]))
    kinds = {"t": "time", "c": "channel"}
    axes = tuple(
        AxisMeta(
            n, kinds.get(n, "space"), "micrometer" if n in "zyx" and draw(st.booleans()) else None
        )
        for n in names
    )
    base = draw(st.lists(sizes, min_size=len(names), max_size=len(names)))
    shift = draw(st.lists(sizes, min_size=len(names), max_size=len(names)))
    levels = tuple(
        LevelMeta(str(k), tuple(s * 2**k for s in base), tuple(v * (k + 1) for v in shift))
        for k in range(draw(st.integers(1, 4)))
    )
    return MultiscaleMeta(axes, levels, draw(st.sampled_from([None, "a name"])), "mean", {"a": 1})


@pytest.mark.parametrize("version", WRITTEN)
@given(meta=multiscales())
def test_an_image_survives(version: str, meta: MultiscaleMeta) -> None:
    channels = (ChannelMeta("DAPI", "0000FF", 0, 255, 3, 200),)
    group = GroupMeta(multiscales=(meta,), channels=channels, version=version)
    assert ngff.decode(ngff.encode(group, version)) == group


#: The model of each kind of group; the models of 0.6 are of a draft.
MODELS = {"0.4": ome_zarr_models.v04, "0.5": ome_zarr_models.v05}


def assert_valid(group: GroupMeta, version: str) -> None:
    """No error by our rules, and accepted by ome-zarr-models where it knows the version."""
    written = ngff.encode(group, version)
    assert [f for f in validate_attributes(written) if f.level == "error"] == []
    models = MODELS.get(version)
    if models is None:
        return
    content = written.get("ome", written)
    for there, model in (
        (group.multiscales and group.label is None, models.image.ImageAttrs),
        (group.multiscales and group.label, models.image_label.ImageLabelAttrs),
        (group.labels, models.labels.LabelsAttrs),
        (group.plate, models.hcs.HCSAttrs),
        (group.well, models.well.WellAttrs),
        (group.collection, models.bioformats2raw.BioFormats2RawAttrs),
    ):
        if there:
            model.model_validate(content)


@pytest.mark.parametrize("version", WRITTEN)
@given(meta=multiscales())
def test_a_written_image_is_valid(version: str, meta: MultiscaleMeta) -> None:
    channels = (ChannelMeta("DAPI", "0000FF", 0, 255, 3, 200),)
    assert_valid(GroupMeta(multiscales=(meta,), channels=channels), version)


@pytest.mark.parametrize("version", WRITTEN)
@pytest.mark.parametrize(
    "group",
    [
        GroupMeta(labels=("cells", "nuclei")),
        GroupMeta(plate=PlateMeta("p", ("A", "B"), ("1", "2"), (("B", "2"),), 3)),
        GroupMeta(well=WellMeta(("0", "1"), (None, None))),
        GroupMeta(well=WellMeta(("0", "1"), (0, 1))),
        GroupMeta(collection=True),
        GroupMeta(series=("a", "b")),
        GroupMeta(
            multiscales=(
                MultiscaleMeta(
                    (AxisMeta("y", "space"), AxisMeta("x", "space")),
                    (LevelMeta("0", (1.0, 1.0), (0.0, 0.0)),),
                ),
            ),
            label=LabelMeta({1: (1, 2, 3, 255)}, ({"label-value": 1, "class": "cell"},)),
        ),
    ],
)
def test_each_kind_of_group_survives(version: str, group: GroupMeta) -> None:
    assert ngff.decode(ngff.encode(group, version)) == replace(group, version=version)
    assert_valid(group, version)


def test_transformations_of_the_whole_image_are_composed() -> None:
    attributes = {
        "ome": {
            "version": "0.5",
            "multiscales": [
                {
                    "axes": [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}],
                    "datasets": [
                        {
                            "path": "0",
                            "coordinateTransformations": [
                                {"type": "scale", "scale": [2, 3]},
                                {"type": "translation", "translation": [1, 1]},
                            ],
                        }
                    ],
                    "coordinateTransformations": [{"type": "scale", "scale": [10, 10]}],
                }
            ],
        }
    }
    found = ngff.decode(attributes)
    assert found is not None
    assert found.multiscales[0].levels[0] == LevelMeta("0", (20.0, 30.0), (10.0, 10.0))


def test_attributes_that_are_no_ome_zarr_are_none() -> None:
    assert ngff.decode({"tables": ["a"]}) is None


def test_an_unknown_version_is_named() -> None:
    with pytest.raises(StoreError, match=r"9\.9"):
        ngff.decode({"ome": {"version": "9.9"}})


def test_broken_metadata_is_a_store_error() -> None:
    with pytest.raises(StoreError, match="cannot be understood"):
        ngff.decode({"ome": {"version": "0.5", "multiscales": [{"axes": "yx"}]}})


@pytest.mark.parametrize(
    ("content", "record", "found"),
    [
        ({"multiscales": [{"datasets": []}]}, "multiscales[0]", "no key 'axes'"),
        (
            {"multiscales": [{"axes": [{"name": "x"}], "datasets": [{"path": "0"}, {}]}]},
            "multiscales[0].datasets[1]",
            "no key 'path'",
        ),
        ({"multiscales": [{"axes": [{"name": 1}]}]}, "multiscales[0].axes[0]", "1 is not a text"),
        ({"omero": {"channels": [{}, 1]}}, "omero.channels[1]", "does not allow"),
        ({"plate": {"rows": 5}}, "plate", "does not allow"),
    ],
)
def test_the_error_of_broken_metadata_names_the_place(
    content: dict[str, object], record: str, found: str
) -> None:
    with pytest.raises(StoreError) as caught:
        ngff.decode({"ome": {"version": "0.5", **content}})
    assert caught.value.record == record
    assert found in (caught.value.found or "")


def test_a_level_of_no_pixels_has_no_scale() -> None:
    image = {"version": "0.1", "datasets": [{"path": "0"}, {"path": "1"}]}
    shapes = {"0": (4, 4), "1": (0, 0)}
    with pytest.raises(ValueError, match="no pixels"):
        as_04({"multiscales": [image]}, shapes.__getitem__)


def test_a_level_with_two_scales_is_not_guessed_at() -> None:
    scales = [{"type": "scale", "scale": [1, 1]}, {"type": "scale", "scale": [2, 2]}]
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scales}]}
    with pytest.raises(StoreError, match="two scales"):
        ngff.decode({"multiscales": [image]})
    system = {"name": "a", "axes": axes}
    image = {"coordinateSystems": [system], "datasets": image["datasets"]}
    with pytest.raises(StoreError, match="not one"):
        ngff.decode({"ome": {"version": "0.6", "multiscales": [image]}})


def test_0_6_reads_the_system_that_its_levels_lead_to() -> None:
    """Systems in any order, an identity, a nested sequence, edges to other systems, a candidate."""
    ends = {"output": {"name": "in"}}
    axes = [{"name": n, "type": "space", "unit": "nanometer", "longName": n * 3} for n in "yx"]
    other = [{"name": n, "type": "space"} for n in "ab"]
    steps = [
        {"type": "scale", "scale": [2, 4]},
        {"type": "sequence", "transformations": [{"type": "translation", "translation": [1, 2]}]},
    ]
    image = {
        "coordinateSystems": [{"name": "out", "axes": other}, {"name": "in", "axes": axes}],
        "datasets": [
            {
                "path": "s0",
                "coordinateTransformations": [
                    {"type": "identity", "input": {"path": "s0"}, **ends}
                ],
            },
            {
                "path": "s1",
                "coordinateTransformations": [
                    {
                        "type": "sequence",
                        "input": {"path": "s1"},
                        **ends,
                        "transformations": steps,
                    }
                ],
            },
        ],
        "coordinateTransformations": [
            {
                "type": "rotation",
                "rotation": [[0, -1], [1, 0]],
                "input": {"name": "in"},
                "output": {"name": "out"},
            }
        ],
    }
    found = ngff.decode({"ome": {"version": "0.6rc0", "multiscales": [image]}})
    assert found is not None
    read = found.multiscales[0]
    assert [(a.name, a.unit) for a in read.axes] == [("y", "nanometer"), ("x", "nanometer")]
    assert read.levels == (
        LevelMeta("s0", (1.0, 1.0), (0.0, 0.0)),
        LevelMeta("s1", (2.0, 4.0), (1.0, 2.0)),
    )
