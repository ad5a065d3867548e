"""Zarr v2 and v3 on disk: array and group documents, chunk keys, shards, codecs."""
