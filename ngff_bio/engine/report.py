"""What a conversion did: for the user to read, and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ngff_bio.model import Notice


@dataclass(slots=True)
class Report:
    """Outcome of a conversion.

    ``bytes_raw`` counts pixels of images and labels at level 0; ``bytes_stored`` and ``objects``
    what lies in the store. ``resumed`` is the number of units that were done before.
    """

    source: str
    format: str
    destination: str
    images: int = 0
    frames: int = 0
    instances: int = 0
    overlaps: int = 0
    labels: list[str] = field(default_factory=list)
    codecs: dict[str, str] = field(default_factory=dict)
    units: int = 0
    resumed: int = 0
    objects: int = 0
    bytes_raw: int = 0
    bytes_stored: int = 0
    seconds: float = 0.0
    notices: list[Notice] = field(default_factory=list)

    @property
    def skipped(self) -> list[Notice]:
        """What is not in the store, and why."""
        return [n for n in self.notices if n.kind == "skipped"]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)
