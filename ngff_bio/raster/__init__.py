"""Boxes, polygons and runs to label planes, and back.

`runs` is the representation: sparse masks, and how they are painted. `instances` holds those of a
whole frame; `polygons`, `coco_rle`, `boxes` and `shapes` make them from the annotations of a source;
`overlap` paints them so that no instance is lost; `rings` outlines label planes.
"""
