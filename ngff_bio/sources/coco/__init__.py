"""Datasets that are described by COCO files."""
