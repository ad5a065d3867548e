"""``publish``: a store to a public place, with a page and metadata for archives, and a check."""

from ngff_bio.publishing.run import Publication, publish

__all__ = ["Publication", "publish"]
