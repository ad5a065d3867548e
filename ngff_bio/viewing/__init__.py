"""Previews of a store, and a web server for viewers."""
