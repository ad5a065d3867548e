"""Pixels in files of arrays: NIfTI, HDF5, and what Cellpose saves with NumPy."""
