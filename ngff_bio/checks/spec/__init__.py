"""Metadata of one group against the OME-Zarr specification."""
