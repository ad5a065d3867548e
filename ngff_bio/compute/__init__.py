"""Computing on a store: images in pieces, on threads or a cluster; results go into the store."""

from ngff_bio.compute.measuring import measure

__all__ = ["measure"]
