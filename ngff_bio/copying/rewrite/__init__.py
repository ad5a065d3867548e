"""A store in another version of OME-Zarr, with other chunks, shards, codecs or levels."""

from ngff_bio.copying.rewrite.work import convert_store, estimate_store

__all__ = ["convert_store", "estimate_store"]
