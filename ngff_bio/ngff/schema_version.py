"""Versions of the ``ngff_bio`` attributes: what an older or newer program does with a store.

A minor version only adds keys, which who does not know them passes over. A major version changes
what a key means. Every older version is read.
"""

from __future__ import annotations

import warnings
from typing import Any

#: Where the attributes stand, beside those of OME-Zarr.
KEY = "ngff_bio"

#: Version of the attributes that this package writes.
VERSION = "1.0"


def newer_than_known(own: Any) -> str | None:
    """Say so if attributes are of a newer major version than this package knows.

    A newer minor version only adds what can be passed over; an older one is understood as it is.
    """
    named = own.get("version") if isinstance(own, dict) else None
    if not isinstance(named, str):
        return None
    major = named.partition(".")[0]
    known = VERSION.partition(".")[0]
    if major.isdecimal() and int(major) > int(known):
        return f"version {named}, this program knows {VERSION}"
    return None


class NewerVersionWarning(UserWarning):
    """A store says something in a newer way than this package knows; the rest of it is read."""


def warn_if_newer(own: Any, file: object) -> None:
    """Warn if attributes are of a newer major version: they are read as far as they are understood."""
    newer = newer_than_known(own)
    if newer is not None:
        warnings.warn(
            f"{file}: the attributes {KEY!r} are of {newer}; what is new in them is passed over",
            NewerVersionWarning,
            stacklevel=3,
        )
