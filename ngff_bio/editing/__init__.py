"""Changing a finished store: labels, images, tables, annotations; its description and version."""

from ngff_bio.editing.annotations import update_annotations
from ngff_bio.editing.changes import remove, write_image, write_labels, write_table
from ngff_bio.editing.description import describe
from ngff_bio.editing.version import upgrade

__all__ = [
    "describe",
    "remove",
    "update_annotations",
    "upgrade",
    "write_image",
    "write_labels",
    "write_table",
]
