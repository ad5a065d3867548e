"""Folders of image files with annotation documents: what the sources of all such formats share."""
