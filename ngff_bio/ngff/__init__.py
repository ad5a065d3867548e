"""The OME-Zarr specification: neutral metadata to and from each of its versions."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from ngff_bio.errors import ArgumentError, StoreError
from ngff_bio.ngff.metadata import (
    VERSIONS,
    ZARR_FORMAT,
    AxisMeta,
    ChannelMeta,
    GroupMeta,
    LabelMeta,
    LevelMeta,
    MultiscaleMeta,
    PlateMeta,
    Version,
    WellMeta,
)

__all__ = [
    "VERSIONS",
    "ZARR_FORMAT",
    "AxisMeta",
    "ChannelMeta",
    "GroupMeta",
    "LabelMeta",
    "LevelMeta",
    "MultiscaleMeta",
    "PlateMeta",
    "Version",
    "WellMeta",
    "decode",
    "encode",
    "version_of",
]

_MODULES = {"0.4": "v04", "0.5": "v05", "0.6": "v06"}

#: Release candidates that stores were written with.
_CANDIDATES = {"0.6rc0": "0.6"}


def _module(version: str) -> ModuleType:
    if version not in _MODULES:
        raise ArgumentError(
            "this version of OME-Zarr is not known",
            expected=", ".join(_MODULES),
            found=version,
        )
    return import_module(f"ngff_bio.ngff.{_MODULES[version]}")


def encode(meta: GroupMeta, version: str) -> dict[str, Any]:
    """Group attributes of a neutral description, in one version of the specification.

    The result has been checked with ome-zarr-models, where it knows the version.
    """
    write = cast("Callable[[GroupMeta], dict[str, Any]]", _module(version).encode)
    return write(meta)


def version_of(attributes: dict[str, Any]) -> str | None:
    """Version that a group's attributes claim, or ``None`` if they are not OME-Zarr."""
    ome = attributes.get("ome")
    if isinstance(ome, dict):
        return str(ome.get("version", "0.5"))
    keys = ("multiscales", "plate", "well", "labels", "image-label", "bioformats2raw.layout")
    return "0.4" if any(k in attributes for k in (*keys, "series")) else None


def decode(attributes: dict[str, Any]) -> GroupMeta | None:
    """Neutral description of a group's attributes; ``None`` if they are not OME-Zarr.

    Raises
    ------
    ngff_bio.errors.StoreError
        If the version is not a known one, or the metadata is there and cannot be understood.
    """
    version = version_of(attributes)
    if version is None:
        return None
    version = _CANDIDATES.get(version, version)
    if version not in _MODULES:
        raise StoreError(
            "this version of OME-Zarr is not known",
            expected=", ".join(_MODULES),
            found=version,
            hint="see whether a newer ngff_bio reads it",
        )
    read = cast("Callable[[dict[str, Any]], GroupMeta]", _module(version).decode)
    return read(attributes)
