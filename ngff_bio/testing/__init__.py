"""Makes each dataset in its exact layout, tiny or full-size, with the truth beside it."""
