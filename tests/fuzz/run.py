"""Converts and reads damaged files for some time; what ends wrongly becomes a case of the corpus.

    python tests/fuzz/run.py --minutes 30

The outcome is that of ``worker.py``. Prints how many inputs were tried, converted, refused, and how
many ended in another exception, a signal or a time-out.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz.mutate import mutated
from fuzz.processes import WorkerProcess
from fuzz.worker import ARCHIVES, SOURCES, STORES, Worker

CORPUS = Path(__file__).with_name("corpus")


class Inputs:
    """Files of each kind that are damaged, by name."""

    def __init__(self, folder: Path, kinds: list[str]) -> None:
        worker = Worker(folder)
        self._files: dict[str, dict[str, bytes]] = {}
        for kind in kinds:
            place = worker.made(kind)
            paths = [place / ARCHIVES[kind]] if kind in ARCHIVES else sorted(place.rglob("*"))
            self._files[kind] = {
                path.relative_to(place).as_posix(): path.read_bytes()
                for path in paths
                if path.is_file()
            }

    def next(self, random: Random) -> tuple[str, str, bytes]:
        """Kind and name of a file, and damaged bytes of it."""
        kind = random.choice(list(self._files))
        by_ending: dict[str, list[str]] = {}
        for name in self._files[kind]:
            by_ending.setdefault(name.rpartition("/")[2].partition(".")[2], []).append(name)
        name = random.choice(random.choice(list(by_ending.values())))
        return kind, name, mutated(random, name, self._files[kind][name])


def signature(what: str) -> str:
    """What two inputs share that end in the same way."""
    lines = [line for line in what.splitlines() if line.strip() and set(line.strip()) != {"^"}]
    places = [line for line in lines if line.lstrip().startswith("File ")][-1:]
    last = lines[-1] if lines else ""
    return "".join(c for c in " ".join((*places, last.partition(":")[0])) if not c.isdigit())


def save(kind: str, name: str, data: bytes, what: str) -> Path:
    """Make a case of the corpus."""
    case = CORPUS / kind / hashlib.sha256(data).hexdigest()[:12]
    case.mkdir(parents=True, exist_ok=True)
    (case / "name").write_text(name)
    (case / "input").write_bytes(data)
    last = [line for line in what.splitlines() if line.strip()][-1:]
    (case / "seen").write_text("".join(last) + "\n")
    return case


def main() -> None:
    """Run for the given time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kinds", nargs="*", default=[*SOURCES, *ARCHIVES, *STORES])
    given = parser.parse_args()
    until = time.monotonic() + 60 * given.minutes
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in given.kinds}
    seen: set[str] = set()
    lock = threading.Lock()
    with tempfile.TemporaryDirectory(prefix="ngff-bio-fuzz-") as folder:
        inputs = Inputs(Path(folder), given.kinds)

        def work(number: int) -> None:
            random = Random(given.seed * 1000 + number)
            path = Path(folder, f"input-{number}")
            with WorkerProcess() as process:
                while time.monotonic() < until:
                    kind, name, data = inputs.next(random)
                    path.write_bytes(data)
                    found = process.run(kind, name, path)
                    with lock:
                        counts[kind][found["result"]] += 1
                        mark = signature(found["what"])
                        if found["result"] == "unexpected" and mark not in seen:
                            seen.add(mark)
                            case = save(kind, name, data, found["what"])
                            print(f"{case.relative_to(CORPUS)}: {mark}", flush=True)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(given.workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    total: Counter[str] = sum(counts.values(), Counter())
    for kind, count in (*counts.items(), ("all", total)):
        figures = ", ".join(f"{count[r]} {r}" for r in ("equal", "refused", "unexpected"))
        print(f"{kind}: {count.total()} tried, {figures}")
    print(f"seed {given.seed}, {len(seen)} ways to fail")
    sys.exit(1 if total["unexpected"] else 0)


if __name__ == "__main__":
    main()
