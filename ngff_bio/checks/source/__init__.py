"""A store against the source that it was made from."""
