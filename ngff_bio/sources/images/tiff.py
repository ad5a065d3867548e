"""The name ``tiff`` for folders of pictures: see `ngff_bio.sources.images.folder`."""

from __future__ import annotations

from dataclasses import replace

from ngff_bio.sources.images import folder as images

SOURCE = replace(
    images.SOURCE,
    name="tiff",
    title="the same as images",
    detect=lambda tree: 0,
)
