"""Each place where a store differs from its manifest or from its source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Literal

from ngff_bio.errors import NgffBioError
from ngff_bio.model import Notice
from ngff_bio.printing import clean_json, printable

Kind = Literal[
    "object",  # bytes of the store against the manifest
    "source",  # files of the source against the manifest
    "dataset",  # attributes of the root
    "image",  # an image that is missing, or described differently
    "frame",  # a frame's place, size, membership, attributes
    "pixels",  # level 0
    "level",  # a level against the one before it
    "label",  # a label image that is missing, or described differently
    "mask",  # pixels of an instance
    "row",  # a row of a table
    "tracks",  # the graph of tracked objects
]

#: Called with raw bytes done and in all.
Progress = Callable[[int, int], None]


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
        Label value and source id, where it concerns one instance.
    expected, found
        The value that should be there, and the one that is.
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
        return printable(text)


class DifferenceError(Exception):
    """Stops a comparison at the difference that makes the rest of it impossible."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(str(difference))
        self.difference = difference


@dataclass(slots=True)
class Verification:
    """Result of ``verify``.

    Parameters
    ----------
    store, source
        URLs or paths of both; ``source`` is ``None`` where only the manifest was used.
    sampled
        Number of objects and blocks that were compared, ``None`` where everything was.
    objects, bytes_objects
        Objects of the store that were checked against the manifest, and their bytes.
    images, frames, instances
        Numbers of those that were compared with the source.
    bytes_pixels
        Raw bytes of the pixels that were compared, all levels and label images.
    seconds
        Time that it took.
    differences
        All differences; the store is verified if there are none.
    notes
        What was not compared, and why.
    not_read
        Files of the source that are not in the store, because the conversion did not read them.
    skipped
        Records and images of the source that are not in the store, and why.
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
    not_read: list[str] = field(default_factory=list)
    skipped: list[Notice] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether nothing differs, except what the conversion left out: see `exceptions`."""
        return not self.differences

    @property
    def exceptions(self) -> str:
        """What the conversion left out, with counts; empty if nothing."""
        records = sum(n.count for n in self.skipped)
        files = len(self.not_read)
        counts = [
            (files, "file that was not read", "files that were not read"),
            (
                records,
                "image or record that was not converted",
                "images or records that were not converted",
            ),
        ]
        return " and ".join(f"{n} {one if n == 1 else many}" for n, one, many in counts if n)

    def to_json(self) -> dict[str, object]:
        """All of it as JSON values."""
        found: dict[str, object] = clean_json(asdict(self))
        return {"equal": self.equal, **found}


def shorten(value: object) -> str:
    """A value in one short line."""
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


@dataclass(slots=True)
class Found:
    """What a task compared, and the differences."""

    differences: list[Difference] = field(default_factory=list)
    instances: int = 0
    frames: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """A comparison to run; ``nbytes`` is the raw size of the pixels that it compares."""

    nbytes: int
    run: Callable[[], Found]

    def __call__(self) -> tuple[int, Found]:
        """Run it; returns its size, too."""
        try:
            return self.nbytes, self.run()
        except DifferenceError as error:
            return self.nbytes, Found([error.difference])


@contextmanager
def reading_source(path: str) -> Iterator[None]:
    """Turn an error of the source into a difference at ``path``, the array that is compared."""
    try:
        yield
    except NgffBioError as error:
        what = f"the source cannot be read: {error.what}"
        raise DifferenceError(Difference("source", path, what)) from error
