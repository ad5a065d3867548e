"""Where the time of one conversion goes: its steps one after another, and what its threads do.

    python benchmarks/write_profile.py FOLDER STORE [options of `ngff-bio convert`]

Runs the command in this process with a clock around its parts. Steps are wall time since the process
began. What threads do is their processor time, which they spend side by side; loading what the last
step needs goes on beside them.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any


def age() -> float:
    """Seconds since this process began (Linux)."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - ticks / 100


BEGAN = time.perf_counter() - age()
STEPS: list[tuple[str, float]] = []
SPENT: dict[str, float] = defaultdict(float)
LOCAL = threading.local()


def step(name: str) -> None:
    """What has just ended."""
    STEPS.append((name, time.perf_counter() - BEGAN))


def after(module: Any, name: str, what: str) -> None:
    """Note the end of each call as a step."""
    function = getattr(module, name)

    @functools.wraps(function)
    def noted(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        finally:
            step(what)

    setattr(module, name, noted)


def around(module: Any, name: str, what: str) -> None:
    """Add up the processor time of all calls, less that of other calls within."""
    function = getattr(module, name)

    @functools.wraps(function)
    def timed(*args: Any, **options: Any) -> Any:
        outer, LOCAL.inner = getattr(LOCAL, "inner", 0.0), 0.0
        began = time.thread_time()
        try:
            return function(*args, **options)
        finally:
            whole = time.thread_time() - began
            SPENT[what] += whole - LOCAL.inner
            LOCAL.inner = outer + whole

    setattr(module, name, timed)


def main() -> None:
    import sys

    step("the interpreter")
    from ngff_bio.cli.app import app

    step("the command line")
    import ngff_bio.conversion as conversion

    step("the package with NumPy")
    from ngff_bio.engine.run import conversion as write
    from ngff_bio.engine.write import checksums, instances, units, volumes
    from ngff_bio.storage import folder
    from ngff_bio.zarrio import codecs

    after(conversion, "open_tree", "options, listing files")
    after(conversion, "find_source", "finding out what they are")
    after(conversion, "read_source", "reading annotations")
    after(write.state, "write_plan", "the plan")
    after(write._Run, "skip_failed_images", "units of work")
    after(write._NewStore, "finish", "tables, metadata, manifest")
    around(units._Worker, "read", "reading pixels")
    around(volumes, "read_volume", "painting runs")
    around(volumes, "measure_volume", "measuring objects")
    around(instances, "draw_instances", "drawing outlines")
    around(units, "reduce_block", "making levels")
    around(units, "choose_codec", "trying codecs")
    around(units, "checksum", "checksums")
    around(checksums, "crc32c", "checksums")
    around(codecs.Codec, "encode", "compressing")
    around(folder.FolderStorage, "put", "writing")
    around(write, "_load_validators", "loading what checks the metadata")

    try:
        app(args=["convert", *sys.argv[1:], "--quiet"])
    except SystemExit as done:
        if done.code:
            raise
    step("the rest")
    print("| step | until, s | took, s |\n|---|---|---|")
    before = 0.0
    for name, until in STEPS:
        print(f"| {name} | {until:.3f} | {until - before:.3f} |")
        before = until
    print("\n| threads | processor s |\n|---|---|")
    for name, spent in sorted(SPENT.items(), key=lambda item: -item[1]):
        print(f"| {name} | {spent:.3f} |")


if __name__ == "__main__":
    main()
