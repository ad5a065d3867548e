"""Is a store valid, and is it equal to its source?"""

from __future__ import annotations

from ngff_bio.checks.conformance import KINDS, VERSIONS, validate_attributes
from ngff_bio.checks.findings import Finding

__all__ = ["KINDS", "VERSIONS", "Finding", "validate_attributes"]
