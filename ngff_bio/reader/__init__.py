"""From a store to lazy, labelled arrays."""

from ngff_bio.reader.dataset import Dataset, open
from ngff_bio.reader.image import Image
from ngff_bio.reader.plates import Plate, Well

__all__ = ["Dataset", "Image", "Plate", "Well", "open"]
