"""A store against itself: arrays, groups, tables, chunks, manifest."""
