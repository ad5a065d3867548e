"""Annotation tables and tracks."""
