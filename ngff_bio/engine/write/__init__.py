"""From a unit of work to objects: pyramids, labels, tables, metadata."""
