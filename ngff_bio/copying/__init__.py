"""``copy``: a store, or some of its images, to another place."""

from ngff_bio.copying.transfer import CopyReport, copy

__all__ = ["CopyReport", "copy"]
