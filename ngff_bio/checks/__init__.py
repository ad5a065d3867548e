"""Checks of a store: against the specification, against itself, and against its source.

The names load what they need when they are first used: the rules of the specification need no array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ngff_bio.lazy import lazy

if TYPE_CHECKING:
    from ngff_bio.checks.spec.conformance import KINDS as KINDS
    from ngff_bio.checks.spec.conformance import VERSIONS as VERSIONS
    from ngff_bio.checks.spec.conformance import validate_attributes as validate_attributes
    from ngff_bio.checks.spec.findings import Finding as Finding
    from ngff_bio.checks.store.validate import validate as validate

_HOMES = {
    "KINDS": "ngff_bio.checks.spec.conformance",
    "VERSIONS": "ngff_bio.checks.spec.conformance",
    "Finding": "ngff_bio.checks.spec.findings",
    "validate": "ngff_bio.checks.store.validate",
    "validate_attributes": "ngff_bio.checks.spec.conformance",
}

__all__ = [*_HOMES]
__getattr__, __dir__ = lazy(__name__, _HOMES)
