"""From a store to lazy, labelled arrays."""

from ngff_bio.reader.dataset import Dataset, open
from ngff_bio.reader.image import Image

__all__ = ["Dataset", "Image", "open"]
