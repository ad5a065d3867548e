"""A source in a bucket is opened with the same option names as a store in a bucket."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile

import ngff_bio
from ngff_bio.errors import StorageError


@pytest.fixture
def image_in_a_bucket(bucket_server):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    file = io.BytesIO()
    tifffile.imwrite(file, pixels)
    storage = bucket_server.storage()
    storage.put("cell.tif", file.getvalue())
    return storage.address, pixels


def test_options_have_the_names_of_storage_options(image_in_a_bucket, bucket_server, tmp_path):
    url, pixels = image_in_a_bucket
    ngff_bio.convert(url, tmp_path / "out.zarr", source_options=bucket_server.options)
    level = next(iter(ngff_bio.open(tmp_path / "out.zarr").values())).level(0)
    np.testing.assert_array_equal(level["image"].values.squeeze(), pixels)


def test_names_of_s3fs_are_accepted_too(image_in_a_bucket, bucket_server, tmp_path):
    url, _ = image_in_a_bucket
    given = bucket_server.options
    options = {
        "endpoint_url": given["endpoint"],
        "key": given["access_key_id"],
        "secret": given["secret_access_key"],
    }
    ngff_bio.convert(url, tmp_path / "out.zarr", source_options=options)
    assert (tmp_path / "out.zarr").exists()


def test_a_refused_request_says_how_to_give_credentials(image_in_a_bucket, bucket_server, tmp_path):
    url, _ = image_in_a_bucket
    options = {"endpoint": bucket_server.endpoint, "skip_signature": "true"}
    with pytest.raises(StorageError, match="--profile"):
        ngff_bio.convert(url, tmp_path / "out.zarr", source_options=options)
