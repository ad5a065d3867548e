"""What a proof found: each place where a store differs from its manifest or from its source."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal[
    "object",  # bytes of the store against the manifest
    "source",  # files of the source against the manifest
    "dataset",  # what the root says
    "image",  # an image that is missing, or described otherwise
    "frame",  # a frame's place, size, membership, attributes
    "pixels",  # level 0
    "level",  # a level against the one before it
    "label",  # a label image that is missing, or described otherwise
    "mask",  # pixels of an instance
    "row",  # a row of a table
    "tracks",  # the graph of tracked objects
]


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where a store is not what it should be.

    Parameters
    ----------
    kind
        What differs.
    path
        The object, array or table in the store, or the file in the source.
    what
        One sentence.
    where
        The place inside: frame, plane, region.
    instance
        Label value and source id, where it is about one instance.
    expected, found
        What should be there, and what is.
    """

    kind: Kind
    path: str
    what: str
    where: str | None = None
    instance: str | None = None
    expected: str | None = None
    found: str | None = None

    def __str__(self) -> str:
        place = " ".join(
            p
            for p in (self.path or "(root)", self.where, self.instance and f"[{self.instance}]")
            if p
        )
        text = f"{self.kind} {place}: {self.what}"
        if self.expected is not None or self.found is not None:
            text += f" (expected {self.expected}, found {self.found})"
        return text


@dataclass(slots=True)
class Verification:
    """Outcome of a proof.

    Parameters
    ----------
    store, source
        Where both lie; ``source`` is ``None`` where only the manifest was used.
    sampled
        Number of pieces of work that were picked, ``None`` where everything was compared.
    objects, bytes_objects
        Objects of the store that were read and held against the manifest, and their bytes.
    images, frames, instances
        What was compared with the source.
    bytes_pixels
        Pixels compared, as raw bytes, all levels and label images.
    differences
        All of them; the store is proved if there are none.
    notes
        What was not compared, and why.
    """

    store: str
    source: str | None = None
    sampled: int | None = None
    objects: int = 0
    bytes_objects: int = 0
    images: int = 0
    frames: int = 0
    instances: int = 0
    bytes_pixels: int = 0
    seconds: float = 0.0
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {"equal": self.equal, **asdict(self)}


def shorten(value: object, most: int = 80) -> str:
    """A value in one short line."""
    text = repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"
