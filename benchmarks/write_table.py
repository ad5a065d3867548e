"""Compare writers of OME-Zarr: this package, a baseline without libraries, and other packages.

    python benchmarks/write_table.py WORK [--workloads plane,volume,stack,livecell,platelet]
                                          [--rounds 3] [--sharded] [--without-peers]
                                          [--only equal|defaults]

WORK is a folder with space for inputs and outputs (60 GB with ``stack``, else 5 GB); inputs and the
environments of the other packages are created there once. Rounds are interleaved, so changes of the
machine's load affect all rows. A row is the median of whole processes with their start-up; the time of
the baseline excludes the start of its interpreter.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "write"))

import peers
from layouts import layout_of
from measure import Run, run

CODEC = "blosc-zstd-5-shuffle"
EQUAL = f"equal codec ({CODEC})"
CLI = [sys.executable, "-c", "from ngff_bio.cli import main; main()"]
FILES = {"plane": "plane.tif", "volume": "volume.tif", "stack": "stack.ome.tif"}


@dataclass
class Row:
    """A tool, its command, where it writes, and its runs."""

    name: str
    command: list[str]
    dest: Path
    runs: list[Run] = field(default_factory=list)

    def median(self, what: str) -> float:
        return statistics.median(getattr(r, what) for r in self.runs)


def rows_of(work: Path, workload: str, sharded: bool, with_peers: bool) -> dict[str, list[Row]]:
    """Rows of each table of a workload."""
    out = work / "out"
    dest = out / f"{workload}.zarr"
    folder = work / "in" / workload
    mine = [*CLI, "convert", str(folder), str(dest), "--quiet"]
    if workload not in FILES:
        rows = [Row("ngff-bio", mine, dest)]
        if workload == "platelet":
            script = str(peers.HERE / "baseline_platelet.py")
            rows.insert(0, Row("baseline", [sys.executable, script, str(folder), str(dest)], dest))
        return {"default options": rows}
    source = folder / FILES[workload]
    layout = layout_of(source)
    baseline = [sys.executable, str(peers.HERE / "baseline.py"), str(source), str(dest)]
    chunk = layout.inner if sharded else layout.chunk
    shape = ",".join(map(str, chunk[-3:] if workload == "volume" else chunk[-2:]))
    same = ["--codec", CODEC, "--levels", str(layout.levels), "--chunk", shape]
    equal = [Row("baseline", baseline, dest), Row("ngff-bio", [*mine, *same], dest)]
    usual = [Row("ngff-bio", mine, dest)]
    if with_peers:
        envs = work / "peers"
        equal += [Row(p.name, p.command, dest) for p in peers.equal(envs, source, dest, sharded)]
        usual += [
            Row(p.name, p.command, dest.with_suffix(p.suffix))
            for p in peers.defaults(envs, source, dest)
        ]
    return {EQUAL: equal, "default options of each": usual}


def seconds(row: Row) -> float:
    """Seconds that the baseline prints itself; of all others those of the whole process."""
    return statistics.median(times(row))


def times(row: Row) -> list[float]:
    """Seconds of each run; see `seconds`."""
    if row.name == "baseline":
        return [float(r.log_text.split()[-1]) for r in row.runs]
    return [r.wall for r in row.runs]


def table(rows: list[Row]) -> str:
    """A table as Markdown, fastest first."""
    lines = [
        "| | s (min-max) | x baseline | CPU s | peak MB | MB | objects |",
        "|---|---|---|---|---|---|---|",
    ]
    baseline = next(
        (seconds(r) for r in rows if r.name == "baseline" and not r.runs[-1].error), None
    )
    for row in sorted(rows, key=lambda r: (bool(r.runs[-1].error), seconds_or_none(r))):
        if row.runs[-1].error:
            lines.append(f"| {row.name} | failed: {row.runs[-1].error} | | | | | |")
            continue
        wall = seconds(row)
        spread = f"{min(times(row)):.2f}-{max(times(row)):.2f}"
        ratio = f"{wall / baseline:.2f}" if baseline else ""
        lines.append(
            f"| {row.name} | {wall:.2f} ({spread}) | {ratio} | {row.median('cpu'):.2f} | "
            f"{row.median('peak') / 1e6:.0f} | {row.median('nbytes') / 1e6:.1f} | "
            f"{row.median('objects'):.0f} |"
        )
    return "\n".join(lines)


def seconds_or_none(row: Row) -> float:
    return 0.0 if row.runs[-1].error else seconds(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--workloads", default="plane,volume,livecell,platelet")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cap", type=float, default=900)
    parser.add_argument("--sharded", action="store_true")
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--only", choices=["equal", "defaults"])
    given = parser.parse_args()
    workloads = given.workloads.split(",")
    # In a process of its own: a child's peak memory starts at its parent's.
    script = [sys.executable, str(peers.HERE / "data.py"), str(given.work / "in")]
    subprocess.run([*script, *workloads], check=True)
    if not given.without_peers:
        peers.make(given.work / "peers")
    for workload in workloads:
        tables = rows_of(given.work, workload, given.sharded, not given.without_peers)
        for title, rows in tables.items():
            if given.only is not None and (title == EQUAL) != (given.only == "equal"):
                continue
            for number in range(-1 if given.rounds > 1 else 0, given.rounds):  # one to warm up
                for row in rows:
                    if row.runs and row.runs[-1].error:
                        continue
                    done = run(row.command, row.dest, given.cap, {})
                    if number >= 0 or done.error:
                        row.runs.append(done)
            print(f"\n### {workload}, {title}\n\n{table(rows)}", flush=True)


if __name__ == "__main__":
    main()
