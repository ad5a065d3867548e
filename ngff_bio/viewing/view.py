"""Neuroglancer on this machine: its client from the package ``neuroglancer``, needing no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import ngff_bio.reader as reader
from ngff_bio.errors import ArgumentError, import_optional
from ngff_bio.viewing.annotations import annotation_layers, segment_properties
from ngff_bio.viewing.neuroglancer import State, neuroglancer_state
from ngff_bio.viewing.serve import StoreServer
from ngff_bio.viewing.versions import UNREADABLE

#: Path of documents that are made for the view, below the root of the server.
_MADE = "/.view"


@dataclass(frozen=True)
class View:
    """An image in Neuroglancer. ``url`` is to be opened in a browser; ``notes``: what is not shown.

    ``viewer`` is a ``neuroglancer.Viewer``.
    """

    viewer: Any
    url: str
    notes: tuple[str, ...]


def view_image(
    image: reader.Image,
    url: str,
    server: StoreServer | None = None,
    *,
    t: int | None = None,
    z: int | None = None,
    region: Sequence[int] | None = None,
    host: str = "127.0.0.1",
) -> View:
    """Start Neuroglancer with an image, its labels with classes and properties, and its annotations.

    Parameters
    ----------
    image
        The image.
    url
        URL of its group, as the browser reaches it.
    server
        Serves the properties of label values; without one they are not shown.
    t, z, region
        What is shown at first; see `neuroglancer_state`.
    host
        Address that the viewer listens on.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If Neuroglancer cannot read the version of the specification.
    ngff_bio.errors.DependencyError
        If the package is not installed.
    """
    check_readable(image)
    neuroglancer = import_optional("neuroglancer", "ngff-bio[viewer]")
    neuroglancer.set_server_bind_address(host)
    state, notes = full_state(image, url, server, t=t, z=z, region=region)
    viewer = neuroglancer.Viewer()
    viewer.set_state(state)
    return View(viewer, viewer.get_viewer_url(), tuple(notes))


def check_readable(image: reader.Image) -> None:
    """Refuse an image of a version that Neuroglancer cannot read.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it cannot.
    """
    version = image.meta.version
    if "neuroglancer" in UNREADABLE.get(version, ()):
        raise ArgumentError(
            f"Neuroglancer cannot read OME-Zarr {version} yet",
            file=image.url,
            expected="0.4 or 0.5",
            found=version,
            hint="ngff-bio preview draws it; or convert to 0.5",
        )


def full_state(
    image: reader.Image,
    url: str,
    server: StoreServer | None,
    **at: Any,
) -> tuple[State, list[str]]:
    """State with annotations and properties, and what of them is not shown."""
    state = neuroglancer_state(image, url, **at)
    notes: list[str] = []
    for layer in list(state["layers"]):
        name = layer["name"]
        if layer["type"] != "segmentation":
            continue
        properties = segment_properties(image, name)
        if server is not None and properties is not None:
            place = f"{_MADE}/{quote(image.below(f'labels/{name}'))}"
            server.documents[f"{place}/info"] = json.dumps(properties).encode()
            made = f"{server.origin}{place}/|neuroglancer-precomputed:"
            layer["source"] = [layer["source"], {"url": made}]
        found, left_out = annotation_layers(image, name, state["dimensions"])
        state["layers"] += found
        notes += left_out
    return state, notes
