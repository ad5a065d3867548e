"""Published datasets, one a module: where their files lie and what their names mean."""
