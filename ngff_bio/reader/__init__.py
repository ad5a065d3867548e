"""From a store to lazy, labelled arrays."""

from ngff_bio.reader.access.dataset import Dataset, open
from ngff_bio.reader.access.image import Image
from ngff_bio.reader.access.plates import Plate, Well

__all__ = ["Dataset", "Image", "Plate", "Well", "open"]
