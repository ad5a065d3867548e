"""From a store to lazy, labelled arrays."""
