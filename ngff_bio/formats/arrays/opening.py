"""Files of arrays by their endings."""

from __future__ import annotations

from ngff_bio.formats.arrays.image import ArrayImage
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.model import SourceFile

#: Endings of the files that `open_array` reads.
ENDINGS = (".nii", ".nii.gz", ".h5", ".hdf5", "_seg.npy")


def is_array_file(name: str) -> bool:
    """Whether a name ends as files of arrays do."""
    return name.lower().endswith(ENDINGS)


def open_array(file: SourceFile, limits: Limits = DEFAULT_LIMITS) -> ArrayImage:
    """The image of a file of arrays; only headers are read.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is damaged, contains no image, or would run code.
    ngff_bio.errors.DependencyError
        If the library that reads it is not installed.
    """
    name = file.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        from ngff_bio.formats.arrays.nifti import open_nifti

        return open_nifti(file, limits)
    if name.endswith(".npy"):
        from ngff_bio.formats.arrays.seg_npy import open_seg_npy

        return open_seg_npy(file, limits)
    from ngff_bio.formats.arrays.hdf5 import open_hdf5

    return open_hdf5(file, limits)
