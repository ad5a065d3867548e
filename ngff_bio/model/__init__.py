"""The vocabulary: what a dataset of images and annotations is. No input, no output, no Zarr."""
