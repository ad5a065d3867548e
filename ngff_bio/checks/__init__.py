"""Is a store valid, and is it equal to its source?"""

from __future__ import annotations

from ngff_bio.checks.conformance import KINDS, VERSIONS, validate_attributes
from ngff_bio.checks.findings import Finding
from ngff_bio.checks.store import validate

__all__ = ["KINDS", "VERSIONS", "Finding", "validate", "validate_attributes"]
