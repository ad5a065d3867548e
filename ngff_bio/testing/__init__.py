"""For authors of sources, and for trying things out: a small sample of each known dataset.

`demo_data.make_sample` draws them; nothing here imports the rest of the package.
"""
