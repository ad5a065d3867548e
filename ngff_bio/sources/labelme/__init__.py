"""Folders of image files with labelme annotations."""
