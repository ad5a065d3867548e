"""Reads damaged inputs for some time; what ends wrongly becomes a case of the corpus.

    python tests/fuzz/run.py --minutes 30

Prints how many inputs were tried and how many of them passed the header of their format, how many were
read (``equal``), refused with one typed error, or ended in another exception, a signal or a time-out
(``unexpected``); see ``worker.py``. One in ``--chain`` is converted, verified, validated and exported;
the others are read in full, and not written. An input is a function of its seed.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from importlib import import_module
from pathlib import Path
from random import Random

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz.batches import Input, Inputs, repair, run_batch
from fuzz.targets import TARGETS, damaged_files
from fuzz.worker import Worker

CORPUS = Path(__file__).with_name("corpus")

#: Inputs of one process.
BATCH = 400

#: Bytes of the largest input that is saved.
_SAVED = 1 << 16

COLUMNS = ("header", "equal", "refused", "unexpected")


def signature(what: str) -> str:
    """What two inputs share that end in the same way."""
    lines = [line for line in what.splitlines() if line.strip() and set(line.strip()) != {"^"}]
    places = [line for line in lines if line.lstrip().startswith("File ")][-1:]
    last = lines[-1] if lines else ""
    return "".join(c for c in " ".join((*places, last.partition(":")[0])) if not c.isdigit())


def save(one: Input, what: str) -> Path:
    """Make a case of the corpus."""
    case = CORPUS / one.kind / hashlib.sha256(one.data).hexdigest()[:12]
    if len(one.data) <= _SAVED:
        case.mkdir(parents=True, exist_ok=True)
        (case / "name").write_text(one.name)
        (case / "input").write_bytes(one.data)
        last = [line for line in what.splitlines() if line.strip()][-1:]
        (case / "seen").write_text("".join(last) + "\n")
    return case


def make_inputs(folder: Path, kinds: list[str]) -> Inputs:
    """Make the undamaged inputs in another process, whose threads are not forked; load its modules."""
    if (child := os.fork()) == 0:
        code = 1
        try:
            worker = Worker(folder)
            for kind in kinds:
                files = damaged_files(TARGETS[kind], worker.made(kind))
                for random in (Random(0), None):
                    worker.run(kind, *next(iter(files.items())), random)
            (folder / "modules").write_text("\n".join(sys.modules))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit("the undamaged inputs could not be made")
    for name in (folder / "modules").read_text().splitlines():
        with contextlib.suppress(Exception):  # a module that is not one of a file
            import_module(name)
    gc.freeze()  # what is loaded stays shared with the forked processes
    return Inputs(Worker(folder), kinds)


def print_counts(counts: dict[str, Counter[str]]) -> None:
    """Print one line for each target, and one for all."""
    total: Counter[str] = sum(counts.values(), Counter())
    for kind, count in (*counts.items(), ("all", total)):
        tried = sum(count[c] for c in COLUMNS[1:])
        print(f"{kind}: {tried} tried", *(f"{count[c]} {c}" for c in COLUMNS), sep=", ", flush=True)


def main() -> None:
    """Run for the given time, or for the given number of inputs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--inputs", type=int, default=10**12)
    parser.add_argument("--seed", type=int, default=int(time.time()) << 20)
    parser.add_argument("--chain", type=int, default=200)
    parser.add_argument("--targets", nargs="*", default=[*TARGETS])
    parser.add_argument("--verbose", action="store_true", help="print every failure in full")
    given = parser.parse_args()
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in given.targets}
    seen: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="ngff-bio-fuzz-") as folder:
        inputs = make_inputs(Path(folder), given.targets)
        place = Path(folder, "batch")
        place.mkdir()
        repair(place)
        until = time.monotonic() + 60 * given.minutes
        seed, stop, printed = given.seed, given.seed + given.inputs, time.monotonic()
        while seed < stop and time.monotonic() < until:
            seeds = range(seed, min(seed + BATCH, stop))
            found = run_batch(inputs, seeds, place, given.chain)
            seed = found.next_seed
            for kind, count in found.counts.items():
                counts[kind].update(count)
            for number, what in found.unexpected:
                mark = signature(what)
                if mark not in seen:
                    seen.add(mark)
                    case = save(inputs.make(number), what)
                    print(f"{case.relative_to(CORPUS)} (seed {number}): {mark}", flush=True)
                    if given.verbose:
                        print(what, flush=True)
            if time.monotonic() - printed > 120:
                printed = time.monotonic()
                print_counts(counts)
    print_counts(counts)
    print(f"seeds {given.seed} to {seed}, {len(seen)} ways to fail")
    sys.exit(1 if seen else 0)


if __name__ == "__main__":
    main()
