"""Checks of a store: against the specification, against itself, and against its source."""

from __future__ import annotations

from ngff_bio.checks.spec.conformance import KINDS, VERSIONS, validate_attributes
from ngff_bio.checks.spec.findings import Finding
from ngff_bio.checks.store.validate import validate

__all__ = ["KINDS", "VERSIONS", "Finding", "validate", "validate_attributes"]
