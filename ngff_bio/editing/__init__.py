"""Changing a finished store: labels and tables that are written or removed."""

from ngff_bio.editing.changes import remove, write_labels, write_table

__all__ = ["remove", "write_labels", "write_table"]
