"""From a store back to the formats annotations came from."""
