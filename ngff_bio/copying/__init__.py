"""``copy``: a store, or some of its images, to another place."""

from ngff_bio.copying.objects import CopyReport
from ngff_bio.copying.transfer import copy

__all__ = ["CopyReport", "copy"]
