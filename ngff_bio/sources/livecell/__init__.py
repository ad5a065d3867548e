"""LIVECell."""
