"""Changing a finished store: labels and tables that are written or removed, its version."""

from ngff_bio.editing.changes import remove, write_labels, write_table
from ngff_bio.editing.version import upgrade

__all__ = ["remove", "upgrade", "write_labels", "write_table"]
