"""Predictions and crops of miLab (white blood cells)."""
