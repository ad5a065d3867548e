"""Neutral metadata survives each version, and what is written is what ome-zarr-models accepts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngff_bio import ngff
from ngff_bio.errors import ArgumentError, StoreError
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

WRITTEN = ["0.4", "0.5"]
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
    from dataclasses import replace

    assert ngff.decode(ngff.encode(group, version)) == replace(group, version=version)


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
    with pytest.raises(ArgumentError, match=r"9\.9"):
        ngff.decode({"ome": {"version": "9.9"}})


def test_broken_metadata_is_a_store_error() -> None:
    with pytest.raises(StoreError, match="cannot be understood"):
        ngff.decode({"ome": {"version": "0.5", "multiscales": [{"axes": "yx"}]}})
