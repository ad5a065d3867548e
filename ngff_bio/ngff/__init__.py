"""The OME-Zarr specification: neutral metadata to and from each of its versions."""
