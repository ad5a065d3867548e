"""Versions of the ``ngff_bio`` attributes.

A minor version only adds keys, which older programs ignore. A major version changes the meaning of a
key. Every older version is read.
"""

from __future__ import annotations

import warnings

from ngff_bio.printing import printable

#: The key of the attributes, beside those of OME-Zarr.
KEY = "ngff_bio"

#: Version of the attributes that this package writes.
VERSION = "1.0"


def newer_than_known(own: object) -> str | None:
    """How attributes are newer, if their major version is newer than this package knows."""
    named = own.get("version") if isinstance(own, dict) else None
    if not isinstance(named, str):
        return None
    major = named.partition(".")[0]
    known = VERSION.partition(".")[0]
    if major.isdecimal() and (len(major) > 9 or int(major) > int(known)):
        return f"version {named}, this program knows {VERSION}"
    return None


class NewerVersionWarning(UserWarning):
    """Attributes of a store have a newer version than this package knows."""


def warn_if_newer(own: object, file: object) -> None:
    """Warn if attributes have a newer major version: they are read as far as they are understood."""
    newer = newer_than_known(own)
    if newer is not None:
        warnings.warn(
            printable(
                f"{file}: the attributes {KEY!r} are of {newer}; what is new in them is ignored"
            ),
            NewerVersionWarning,
            stacklevel=3,
        )
