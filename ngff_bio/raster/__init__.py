"""Boxes, polygons and runs to label planes, and back."""
