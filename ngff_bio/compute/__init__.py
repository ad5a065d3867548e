"""Computing on a store: images in pieces, on threads or a cluster; results go into the store."""

from ngff_bio.compute.map_work import Mapped
from ngff_bio.compute.mapping import map_images
from ngff_bio.compute.measuring import measure

__all__ = ["Mapped", "map_images", "measure"]
