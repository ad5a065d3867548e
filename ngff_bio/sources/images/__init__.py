"""Folders of image files with or without label images."""
