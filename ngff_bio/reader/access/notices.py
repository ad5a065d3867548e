"""What is said where part of a store cannot be read and reading goes on around it."""

from __future__ import annotations

import warnings


class PartlyUnreadableWarning(UserWarning):
    """Part of a store cannot be read, and was left out."""


def left_out(what: str, why: object, *, depth: int = 3) -> None:
    """Warn that something is left out."""
    warnings.warn(f"{what} is left out: {why}", PartlyUnreadableWarning, stacklevel=depth)
