"""Datasets, images and lazy arrays of a store."""
