"""Tasks of a verification: what each weighs, and what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ngff_bio.checks.differences import Difference, DifferenceError
from ngff_bio.errors import NgffBioError


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
