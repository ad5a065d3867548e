"""The formats of exports, one per module."""
