"""Image files: headers, decoding, stacks of frames."""
