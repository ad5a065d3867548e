"""Which viewers cannot read which version of OME-Zarr yet; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping

#: Viewers that cannot read a version of the specification yet.
UNREADABLE: Mapping[str | None, tuple[str, ...]] = {
    "0.6": ("neuroglancer", "vizarr"),
    "0.4-dev-spatialdata": ("neuroglancer",),
    "0.5-dev-spatialdata": ("neuroglancer",),
}


def version_warning(version: str | None) -> str | None:
    """Which viewers cannot read a version of OME-Zarr; ``None`` if all can."""
    viewers = UNREADABLE.get(version, ())
    if not viewers:
        return None
    return f"these viewers cannot read OME-Zarr {version} yet: {', '.join(viewers)}"
