"""``copy``: a store, or some of its images, to another place.

Names are imported when they are first used: each conversion looks whether its source is a store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ngff_bio.lazy import lazy

if TYPE_CHECKING:
    from ngff_bio.copying.objects import CopyReport as CopyReport
    from ngff_bio.copying.transfer import copy as copy

_HOMES = {"CopyReport": "ngff_bio.copying.objects", "copy": "ngff_bio.copying.transfer"}

__all__ = [*_HOMES]
__getattr__, __dir__ = lazy(__name__, _HOMES)
