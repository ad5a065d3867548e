"""Batches of damaged inputs, each in a forked process with limits of memory and time."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import struct
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random

from fuzz.mutate_formats import mutated, passes_header
from fuzz.targets import TARGETS, damaged_files
from fuzz.worker import Worker, limit_memory

from ngff_bio.sources import registry
from ngff_bio.sources.files.ranges import remove_copies

#: Seconds of processor time, and of waiting, that one input may take.
CPU_SECONDS, WAIT_SECONDS = 20.0, 600.0


@dataclass(frozen=True)
class Input:
    """A damaged file: the target that it belongs to, its name, its bytes."""

    kind: str
    name: str
    data: bytes
    passes_header: bool


class Inputs:
    """Damaged inputs by seed; the same seed gives the same input."""

    def __init__(self, worker: Worker, kinds: list[str]) -> None:
        self._files = {k: damaged_files(TARGETS[k], worker.made(k)) for k in kinds}
        self._kinds = [k for k in kinds for _ in range(TARGETS[k].weight)]

    def make(self, seed: int) -> Input:
        """The input of a seed; its ending is chosen first: of some endings there are many files."""
        random = Random(seed)
        kind = random.choice(self._kinds)
        by_ending: dict[str, list[str]] = {}
        for name in self._files[kind]:
            by_ending.setdefault(name.rpartition("/")[2].partition(".")[2], []).append(name)
        name = random.choice(random.choice(list(by_ending.values())))
        before = self._files[kind][name]
        after = mutated(random, name, before)
        return Input(kind, name, after, passes_header(name, before, after))


@dataclass
class Outcome:
    """How a batch ended: counts by kind, and seeds with what was unexpected."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    unexpected: list[tuple[int, str]] = field(default_factory=list)
    next_seed: int = 0


def run_batch(inputs: Inputs, seeds: range, place: Path, every: int) -> Outcome:
    """Read inputs in a process of its own, one in `every` through the whole chain.

    `place` has the undamaged inputs (``made``), and is repaired after a process that died.
    """
    current = place / "current"
    current.write_bytes(bytes(8))
    child = os.fork()
    if child == 0:
        try:
            _work(inputs, seeds, place, every)
        except BaseException:  # outside of the reading of an input: of what was read before, too
            (place / "died").write_text(traceback.format_exc())
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    outcome = Outcome(next_seed=seeds.stop)
    for line in (place / "results").read_text().splitlines():
        found = json.loads(line)
        count = outcome.counts.setdefault(found["kind"], Counter())
        count[found["result"]] += 1
        count["header"] += found["header"]
        if found["result"] == "unexpected":
            outcome.unexpected.append((found["seed"], found["what"]))
    if status != 0:
        seed, was = struct.unpack("<q", current.read_bytes())[0], os.waitstatus_to_exitcode(status)
        kind = inputs.make(seed).kind
        outcome.counts.setdefault(kind, Counter())["unexpected"] += 1
        what = {-signal.SIGPROF: "took too long", -signal.SIGALRM: "hung"}.get(was, f"code {was}")
        if (died := place / "died").exists():
            what = died.read_text()
            died.unlink()
        outcome.unexpected.append((seed, what))
        outcome.next_seed = seed + 1
        repair(place)
    return outcome


def repair(place: Path) -> None:
    """Copy the undamaged inputs again."""
    for name in ("made", "scratch", "temporary"):
        shutil.rmtree(place / name, ignore_errors=True)
    shutil.copytree(place.parent / "made", place / "made", symlinks=True)
    (place / "temporary").mkdir()


def _work(inputs: Inputs, seeds: range, place: Path, every: int) -> None:
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    limit_memory()
    tempfile.tempdir = str(place / "temporary")
    os.environ["TMPDIR"] = tempfile.tempdir
    registry.entry_points = cache(registry.entry_points)  # type: ignore[attr-defined]
    gc.set_threshold(50_000)
    worker = Worker(place)
    current = os.open(place / "current", os.O_WRONLY)
    with (place / "results").open("w") as out:
        for seed in seeds:
            os.pwrite(current, struct.pack("<q", seed), 0)
            signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
            signal.setitimer(signal.ITIMER_REAL, WAIT_SECONDS)
            one = inputs.make(seed)
            random = Random(seed) if seed % every else None
            found = worker.run(one.kind, one.name, one.data, random)
            remove_copies()
            left = os.listdir(place / "temporary")
            if left and random is None:
                found = {"result": "unexpected", "what": f"temporary files stay: {left}"}
            if found["result"] != "unexpected":
                found["what"] = ""
            found |= {"kind": one.kind, "seed": seed, "header": one.passes_header}
            out.write(json.dumps(found) + "\n")
            out.flush()
    os._exit(0)
