"""Images as xarray objects with physical coordinates."""
