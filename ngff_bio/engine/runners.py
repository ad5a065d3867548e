"""Where units run. One interface: jobs in, records out, in any order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

from ngff_bio.engine.plan import Plan, Unit
from ngff_bio.engine.records import UnitRecord
from ngff_bio.engine.units import run_unit
from ngff_bio.storage import Storage


class Runner(Protocol):
    """Runs the units of one phase."""

    def run(
        self, plan: Plan, units: Sequence[Unit], storage: Storage
    ) -> Iterator[tuple[Unit, UnitRecord]]:
        """Yield each unit with its record as it is done; the first error ends the run."""
        ...


@dataclass
class ThreadRunner:
    """Threads of this process: decoding, reduction and compression leave the interpreter's lock."""

    workers: int = 0

    def run(
        self, plan: Plan, units: Sequence[Unit], storage: Storage
    ) -> Iterator[tuple[Unit, UnitRecord]]:
        """Yield each unit with its record as it is done."""
        count = self.workers or usable_cores()
        waiting = iter(units)
        running: dict[Future[UnitRecord], Unit] = {}
        with ThreadPoolExecutor(count, thread_name_prefix="unit") as pool:
            try:
                while True:
                    while len(running) < count and (unit := next(waiting, None)) is not None:
                        running[pool.submit(run_unit, plan.job(unit), storage)] = unit
                    if not running:
                        return
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield running.pop(future), future.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def usable_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
