"""Checks of a store: against the specification, against itself, and against its source.

The names load what they need when they are first used: the rules of the specification need no array.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ngff_bio.checks.spec.conformance import KINDS, VERSIONS, validate_attributes
    from ngff_bio.checks.spec.findings import Finding
    from ngff_bio.checks.store.validate import validate

__all__ = ["KINDS", "VERSIONS", "Finding", "validate", "validate_attributes"]

_HOMES = {
    "KINDS": "spec.conformance",
    "VERSIONS": "spec.conformance",
    "Finding": "spec.findings",
    "validate": "store.validate",
    "validate_attributes": "spec.conformance",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
