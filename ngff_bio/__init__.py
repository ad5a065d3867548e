"""Annotated bio-image datasets to OME-Zarr and back, with nothing lost.

The public names load what they need when they are first used, so that importing the package is cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ngff_bio._version import __version__ as __version__
from ngff_bio.lazy import lazy

if TYPE_CHECKING:
    from ngff_bio.checks import validate as validate
    from ngff_bio.checks.source.verify import verify as verify
    from ngff_bio.compute import map_images as map_images
    from ngff_bio.compute import measure as measure
    from ngff_bio.conversion import convert as convert
    from ngff_bio.copying import copy as copy
    from ngff_bio.editing import describe as describe
    from ngff_bio.editing import remove as remove
    from ngff_bio.editing import update_annotations as update_annotations
    from ngff_bio.editing import upgrade as upgrade
    from ngff_bio.editing import write_image as write_image
    from ngff_bio.editing import write_labels as write_labels
    from ngff_bio.editing import write_table as write_table
    from ngff_bio.engine.plan.settings import Settings as Settings
    from ngff_bio.engine.resume.discard import discard as discard
    from ngff_bio.export import export as export
    from ngff_bio.opening import open as open
    from ngff_bio.publishing import publish as publish
    from ngff_bio.reader.analysis.patches import patches as patches

_HOMES = {
    "__version__": "ngff_bio._version",
    "Settings": "ngff_bio.engine.plan.settings",
    "convert": "ngff_bio.conversion",
    "copy": "ngff_bio.copying",
    "describe": "ngff_bio.editing",
    "discard": "ngff_bio.engine.resume.discard",
    "export": "ngff_bio.export",
    "map_images": "ngff_bio.compute",
    "measure": "ngff_bio.compute",
    "open": "ngff_bio.opening",
    "patches": "ngff_bio.reader.analysis.patches",
    "publish": "ngff_bio.publishing",
    "remove": "ngff_bio.editing",
    "update_annotations": "ngff_bio.editing",
    "upgrade": "ngff_bio.editing",
    "validate": "ngff_bio.checks",
    "verify": "ngff_bio.checks.source.verify",
    "write_image": "ngff_bio.editing",
    "write_labels": "ngff_bio.editing",
    "write_table": "ngff_bio.editing",
}

__all__ = [*_HOMES]
__getattr__, __dir__ = lazy(__name__, _HOMES)
