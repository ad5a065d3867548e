"""Annotated bio-image datasets to OME-Zarr and back, with nothing lost.

The public names load what they need when they are first used, so that importing the package is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ngff_bio._version import __version__

if TYPE_CHECKING:
    from ngff_bio.checks import validate
    from ngff_bio.checks.source.verify import verify
    from ngff_bio.compute import measure
    from ngff_bio.conversion import convert
    from ngff_bio.copying import copy
    from ngff_bio.editing import remove, upgrade, write_labels, write_table
    from ngff_bio.engine.plan.settings import Settings
    from ngff_bio.engine.resume.discard import discard
    from ngff_bio.export import export
    from ngff_bio.publishing import publish
    from ngff_bio.reader import open
    from ngff_bio.reader.analysis.patches import patches

__all__ = [
    "Settings",
    "__version__",
    "convert",
    "copy",
    "discard",
    "export",
    "measure",
    "open",
    "patches",
    "publish",
    "remove",
    "upgrade",
    "validate",
    "verify",
    "write_labels",
    "write_table",
]

_HOMES = {
    "Settings": "ngff_bio.engine.plan.settings",
    "convert": "ngff_bio.conversion",
    "copy": "ngff_bio.copying",
    "discard": "ngff_bio.engine.resume.discard",
    "export": "ngff_bio.export",
    "measure": "ngff_bio.compute",
    "open": "ngff_bio.reader",
    "patches": "ngff_bio.reader.analysis.patches",
    "publish": "ngff_bio.publishing",
    "remove": "ngff_bio.editing",
    "upgrade": "ngff_bio.editing",
    "validate": "ngff_bio.checks",
    "verify": "ngff_bio.checks.source.verify",
    "write_labels": "ngff_bio.editing",
    "write_table": "ngff_bio.editing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
