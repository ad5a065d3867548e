"""State of a running conversion, its lease, and stores that are added to."""
