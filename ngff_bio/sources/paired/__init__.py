"""Layouts of images that are paired with label images or masks by folder or name."""
