"""Neuroglancer on this machine: its client from the package ``neuroglancer``, needing no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ngff_bio.reader as reader
from ngff_bio.errors import ArgumentError, import_optional
from ngff_bio.viewing.annotations import annotation_layers
from ngff_bio.viewing.neuroglancer import State, has_segments, neuroglancer_state, segments_key
from ngff_bio.viewing.versions import UNREADABLE


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
    *,
    t: int | None = None,
    z: int | None = None,
    region: Sequence[int] | None = None,
    segments: bool = False,
    host: str = "127.0.0.1",
) -> View:
    """Start Neuroglancer with an image, its labels with classes and properties, and its annotations.

    Parameters
    ----------
    image
        The image.
    url
        URL of its group, as the browser reaches it.
    t, z, region, segments
        What is shown; see `neuroglancer_state`.
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
    state, notes = full_state(image, url, t=t, z=z, region=region, segments=segments)
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


def full_state(image: reader.Image, url: str, **how: Any) -> tuple[State, list[str]]:
    """State with annotations, and what of them is not shown; ``how`` as of `neuroglancer_state`."""
    state = neuroglancer_state(image, url, **how)
    notes: list[str] = []
    for layer in list(state["layers"]):
        if layer["type"] != "segmentation":
            continue
        found, left_out = annotation_layers(image, layer["name"], state["dimensions"])
        state["layers"] += found
        notes += left_out
    return state, notes


def has_published_segments(image: reader.Image) -> bool:
    """Whether the store has the documents of `segments_key`, as `publish` writes them."""
    named = (image.below(f"labels/{n}") for n in image.labels if has_segments(image, n))
    return all(image.storage.size(segments_key(label)) is not None for label in named)
