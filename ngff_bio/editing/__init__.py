"""Changing a finished store: labels, images, tables that are written or removed, its version."""

from ngff_bio.editing.changes import remove, write_image, write_labels, write_table
from ngff_bio.editing.version import upgrade

__all__ = ["remove", "upgrade", "write_image", "write_labels", "write_table"]
