"""Links that open what is at a URL in viewers: the one place that knows the form of their links."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

NEUROGLANCER = "https://neuroglancer-demo.appspot.com/#!"
VIZARR = "https://hms-dbmi.github.io/vizarr/?source="
VALIDATOR = "https://ome.github.io/ome-ngff-validator/?source="


def image_links(
    url: str, labels: Sequence[str] = (), state: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Links that open an image with its labels in web viewers, by viewer.

    Parameters
    ----------
    url
        URL of the image's group.
    labels
        Names of its label images.
    state
        Complete state of Neuroglancer; without it, the layers are opened as Neuroglancer finds them.
    """
    return {
        "neuroglancer": neuroglancer_link(layers_state(url, labels) if state is None else state),
        **group_links(url),
    }


def group_links(url: str) -> dict[str, str]:
    """Links that open a plate or a collection in web viewers, by viewer."""
    source = quote(url, safe="")
    return {"vizarr": f"{VIZARR}{source}", "validator": f"{VALIDATOR}{source}"}


def label_links(url: str, name: str) -> dict[str, str]:
    """Links that open a label image, without its image, in web viewers, by viewer."""
    return {"neuroglancer": neuroglancer_link(layers_state(url, (name,), image=False))}


def neuroglancer_link(state: Mapping[str, Any]) -> str:
    """A link that opens Neuroglancer with a state, as its JSON in the fragment of the URL."""
    return f"{NEUROGLANCER}{quote(json.dumps(state, separators=(',', ':')))}"


def layers_state(url: str, labels: Sequence[str] = (), *, image: bool = True) -> dict[str, Any]:
    """A state of Neuroglancer of an image and its labels; the rest is as Neuroglancer finds it."""
    layers = [{"name": "image", "type": "image", "source": f"zarr://{url}/"}] if image else []
    for name in labels:
        source = f"zarr://{url}/labels/{quote(name)}/"
        layers.append({"name": name, "type": "segmentation", "source": source})
    return {"layers": layers}
