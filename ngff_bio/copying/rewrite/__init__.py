"""A store in another version of OME-Zarr, with other chunks, shards, codecs or levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ngff_bio.lazy import lazy

if TYPE_CHECKING:
    from ngff_bio.copying.rewrite.work import convert_store as convert_store
    from ngff_bio.copying.rewrite.work import estimate_store as estimate_store

_HOMES = {
    "convert_store": "ngff_bio.copying.rewrite.work",
    "estimate_store": "ngff_bio.copying.rewrite.work",
}

__all__ = [*_HOMES]
__getattr__, __dir__ = lazy(__name__, _HOMES)
