"""From a dataset and settings to arrays and units of work."""
