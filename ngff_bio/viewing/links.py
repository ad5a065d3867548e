"""Links that open what is at a URL in viewers: the one place that knows the form of their links."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import ngff_bio.reader as reader
from ngff_bio.viewing.neuroglancer import label_layer, neuroglancer_state
from ngff_bio.viewing.versions import UNREADABLE

NEUROGLANCER = "https://neuroglancer-demo.appspot.com/#!"
VIZARR = "https://hms-dbmi.github.io/vizarr/?source="
VALIDATOR = "https://ome.github.io/ome-ngff-validator/?source="


def image_links(image: reader.Image, url: str, *, segments: bool = False) -> dict[str, str]:
    """Links that open an image with its labels in web viewers that can read it, by viewer.

    Parameters
    ----------
    image
        The image.
    url
        URL of its group, as the browser reaches it.
    segments
        Whether the names of label values can be read there; see `neuroglancer_state`.
    """
    links = {
        "neuroglancer": neuroglancer_link(neuroglancer_state(image, url, segments=segments)),
        **group_links(url, image.meta.version),
    }
    return _readable(links, image.meta.version)


def group_links(url: str, version: str | None) -> dict[str, str]:
    """Links that open a group in web viewers that can read its version of OME-Zarr, by viewer."""
    source = quote(url, safe="")
    return _readable({"vizarr": f"{VIZARR}{source}", "validator": f"{VALIDATOR}{source}"}, version)


def _readable(links: Mapping[str, str], version: str | None) -> dict[str, str]:
    return {k: v for k, v in links.items() if k not in UNREADABLE.get(version, ())}


def label_links(
    image: reader.Image, url: str, name: str, *, segments: bool = False
) -> dict[str, str]:
    """Links that open a label image, without its image, in web viewers, by viewer.

    ``url`` is that of the image's group; for ``segments`` see `neuroglancer_state`.
    """
    if image.meta.version in UNREADABLE:
        return {}
    layer = label_layer(image, url, name, segments)
    state = {**neuroglancer_state(image, url), "layers": [layer]}
    return {"neuroglancer": neuroglancer_link(state)}


def neuroglancer_link(state: Mapping[str, Any]) -> str:
    """A link that opens Neuroglancer with a state, as its JSON in the fragment of the URL."""
    return f"{NEUROGLANCER}{quote(json.dumps(state, separators=(',', ':')))}"
