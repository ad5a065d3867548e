"""The files of a source: folders, archives, URLs."""
