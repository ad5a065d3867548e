"""Annotated bio-image datasets to OME-Zarr and back, with nothing lost."""

__version__ = "0.1.0"
