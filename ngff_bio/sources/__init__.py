"""Published datasets, one module each: where their files are and what their names mean."""

from ngff_bio.sources.files.tree import FileTree, open_tree
from ngff_bio.sources.registry import Source, find_source, read_source, sources

__all__ = ["FileTree", "Source", "find_source", "open_tree", "read_source", "sources"]
