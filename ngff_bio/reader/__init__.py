"""Read OME-Zarr stores as lazy, labelled arrays and tables."""

from ngff_bio.reader.dataset import Dataset, open
from ngff_bio.reader.image import Image
from ngff_bio.reader.plates import Plate, Well

__all__ = ["Dataset", "Image", "Plate", "Well", "open"]
