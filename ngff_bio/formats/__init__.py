"""Annotation and image formats, one a module: file to model and back."""
