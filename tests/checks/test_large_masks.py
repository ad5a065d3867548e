"""Instances that cover much of a large frame are compared without a list of their pixels."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import makers
import numpy as np
import pytest
import tensorstore

import ngff_bio
from ngff_bio.checks.source import redraw
from ngff_bio.model import Box, Instance, Polygons


def test_large_instances_are_compared_as_small_ones_are(tmp_path, monkeypatch):
    source, store = tmp_path / "source", tmp_path / "a.zarr"
    makers.make_coco_folder(source, size=(40, 50), images=1, instances=6)
    for path in source.rglob("*.json"):
        content = json.loads(path.read_text())
        for first, second in pairwise(content["annotations"][:2]):
            second["segmentation"] = first["segmentation"]  # a hidden label image
        path.write_text(json.dumps(content))
    ngff_bio.convert(source, store)
    expected = ngff_bio.verify(store, source)
    assert expected.equal
    monkeypatch.setattr(redraw, "_LARGE", 3)
    assert ngff_bio.verify(store, source).equal
    place = next(p.parent for p in Path(store).rglob("labels/*/0/zarr.json"))
    labels = tensorstore.open(
        {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(place)}}
    ).result()
    labels[..., 20:30].write(7).result()
    assert not ngff_bio.verify(store, source).equal


@pytest.mark.parametrize("size", [(31, 45), (32, 40)])
def test_a_large_mask_has_the_pixels_of_a_small_one(size, monkeypatch):
    instances = [
        Instance(1, Box(2.5, 3, 40, 20.25)),
        Instance(2, Polygons(((1.0, 2.0, 44.0, 9.0, 13.0, 30.0),))),
    ]
    small = redraw.redraw(instances, size)
    monkeypatch.setattr(redraw, "_LARGE", 5)
    for one, other in zip(small, redraw.redraw(instances, size), strict=True):
        assert isinstance(other, redraw.LargeMask)
        assert len(one) == len(other)
        assert np.array_equal(one, redraw.offsets_of(other))
        plane = np.zeros(size[0] * size[1], bool)
        plane[redraw.index_of(other)] = True
        assert np.array_equal(np.flatnonzero(plane), one)
