"""Masks, measurements, patches and thumbnails."""
