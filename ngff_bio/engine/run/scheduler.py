"""The order in which units begin: those that choose a codec first, and as many as memory holds."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

from ngff_bio.engine.plan.plan import Unit, WorkPlan
from ngff_bio.engine.write.records import UnitRecord
from ngff_bio.errors import ArgumentError


class Scheduler:
    """Units that do not depend on each other, and which of them may begin.

    Where a codec is not chosen yet, the first unit with such an array chooses it on its pixels, and
    the others with such arrays wait. So the choice does not depend on what runs at the same time.

    Parameters
    ----------
    plan
        With the codecs that are chosen; the attribute `plan` gains those that units choose.
    units
        In the order in which they begin.
    """

    def __init__(self, plan: WorkPlan, units: Iterable[Unit]) -> None:
        self.plan = plan
        self._waiting = deque(units)
        self._in_flight: dict[str, Unit] = {}

    @property
    def left(self) -> bool:
        """Whether any unit is waiting or in flight."""
        return bool(self._waiting or self._in_flight)

    @property
    def waiting(self) -> int:
        """Number of units that have not begun."""
        return len(self._waiting)

    def ready(self, limit: int, memory: int) -> list[Unit]:
        """Units that may begin now; each counts as begun.

        Parameters
        ----------
        limit
            Maximum number of units in flight.
        memory
            Bytes that the units in flight may take together. One unit alone may take twice as much:
            what it takes is estimated high.

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If a unit would take more.
        """
        held = sum(unit.memory for unit in self._in_flight.values())
        being_chosen = {a for unit in self._in_flight.values() for a in self.plan.undecided(unit)}
        passed: list[Unit] = []
        begun: list[Unit] = []
        while self._waiting and len(self._in_flight) < limit:
            unit = self._waiting.popleft()
            undecided = self.plan.undecided(unit)
            waits = not undecided.isdisjoint(being_chosen)
            being_chosen |= undecided
            if waits:
                passed.append(unit)
                continue
            if self._in_flight and held + unit.memory > memory:
                passed.append(unit)
                break
            check_memory(self.plan, [unit], memory)
            self._in_flight[unit.id] = unit
            held += unit.memory
            begun.append(unit)
        self._waiting.extendleft(reversed(passed))
        return begun

    def done(self, unit: Unit, record: UnitRecord) -> None:
        """A unit has ended; the codecs that it chose are used by those that follow."""
        del self._in_flight[unit.id]
        if record.choices:
            chosen = {k: choice.codec for k, choice in record.choices.items()}
            self.plan = self.plan.with_choices({**self.plan.choices, **chosen})


def check_memory(plan: WorkPlan, units: Iterable[Unit], memory: int) -> None:
    """Refuse units of which one alone would take more than twice the memory that is allowed.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there is one.
    """
    for unit in units:
        if unit.memory > 2 * memory:
            needed = math.ceil(unit.memory / 2e6)
            raise ArgumentError(
                "a unit of work would take more memory than allowed",
                expected=f"--memory {needed}M or more",
                found=f"{memory / 1e6:.1f}M",
                record=", ".join(sorted(set(plan.job(unit).names.values()))[:5]),
                hint=f"raise the limit with --memory {needed}M; where shards are larger than what is "
                "read of the source at once, a smaller --shard takes less",
            )


def pilots(plan: WorkPlan, units: Iterable[Unit]) -> list[Unit]:
    """The units on whose pixels all codecs that are not chosen yet will be."""
    found: list[Unit] = []
    covered: set[str] = set()
    for unit in units:
        undecided = plan.undecided(unit)
        if undecided - covered:
            found.append(unit)
            covered |= undecided
    return found
