"""CVAT XML 1.1: shapes on images, and tracks over the frames of a movie."""
