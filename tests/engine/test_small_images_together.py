from __future__ import annotations

import numpy as np
from makers import make_platelet_em

import ngff_bio


def test_layers_named_alike_of_images_written_by_one_unit_keep_their_own_labels(tmp_path):
    made = make_platelet_em(tmp_path, size=(3, 40, 56))
    ngff_bio.convert(made.root, tmp_path / "store.zarr")
    store = ngff_bio.open(tmp_path / "store.zarr")
    for name, volume in made.volumes.items():
        for layer, key in (("instance-cell", "cell"), ("semantic", "semantic")):
            stored = np.asarray(store[name].level(0)[layer].data)
            np.testing.assert_array_equal(stored, volume.labels[key])
