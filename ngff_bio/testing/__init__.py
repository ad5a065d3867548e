"""Makes each known dataset in its exact layout, tiny or full-size, with the truth beside it.

Used by the tests, the benchmarks, the demonstration, and by authors of plugins. Every maker has
the form ``make_<dataset>(folder, *, size="tiny", seed=0, **quirks) -> Truth``: it writes files
below `folder` and returns what went into them, so that a test compares without reading them again
through the code under test. The same arguments give the same bytes. This room imports no other
room of the package, so that it stays an independent reference.

The makers are imported when first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ngff_bio.testing.generic import make_coco_folder, make_labelme_folder, make_tiff_folder
    from ngff_bio.testing.livecell import make_livecell
    from ngff_bio.testing.nuclei import make_nuclei
    from ngff_bio.testing.organoid import make_organoid
    from ngff_bio.testing.platelet_em import make_platelet_em
    from ngff_bio.testing.wbc import make_wbc, make_wbc_crops

_MODULE_OF = {
    "make_coco_folder": "generic",
    "make_labelme_folder": "generic",
    "make_tiff_folder": "generic",
    "make_livecell": "livecell",
    "make_nuclei": "nuclei",
    "make_organoid": "organoid",
    "make_platelet_em": "platelet_em",
    "make_wbc": "wbc",
    "make_wbc_crops": "wbc",
}

__all__ = [
    "make_coco_folder",
    "make_labelme_folder",
    "make_livecell",
    "make_nuclei",
    "make_organoid",
    "make_platelet_em",
    "make_tiff_folder",
    "make_wbc",
    "make_wbc_crops",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
