"""TIFF, OME-TIFF and ImageJ TIFF files."""
