"""Plates as instruments export them: an index file, or names of files, say what each plane is."""
