"""Whole commands: time, memory of all their processes, what they leave behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One run of a command: seconds, CPU seconds, bytes of memory at the most, of output, objects.

    ``log_text`` is what it printed; ``error`` is why it has no output.
    """

    wall: float
    cpu: float
    peak: int
    nbytes: int
    objects: int
    log_text: str
    error: str | None = None


def run(command: list[str], destination: Path, cap: float, env: dict[str, str]) -> Run:
    """Run a command into an empty destination; it is killed after ``cap`` seconds."""
    shutil.rmtree(destination, ignore_errors=True)
    log = destination.with_name(f"{destination.name}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    peak = [0]
    # As installed programs are: compiled once, not at every start.
    usual = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, start_new_session=True, env={**usual, **env}
        )
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(process.pid, peak, ended))
    watch.start()
    timer = threading.Timer(cap, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    timer.cancel()
    ended.set()
    watch.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    log_text = log.read_text(errors="replace")
    error = None
    if process.returncode:
        last = log_text.strip().splitlines()[-1:] or [""]
        error = f"over {cap:.0f} s" if wall >= cap else last[0][:120]
    sizes = [p.stat().st_size for p in destination.rglob("*") if p.is_file()]
    most = max(peak[0], usage.ru_maxrss << 10)
    cpu = usage.ru_utime + usage.ru_stime
    return Run(wall, cpu, most, sum(sizes), len(sizes), log_text, error)


def _watch(pid: int, peak: list[int], ended: threading.Event) -> None:
    """Memory of a process and all below it, as often as costs nothing."""
    while not ended.wait(0.05):
        peak[0] = max(peak[0], sum(_resident(p) for p in _family(pid)))


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                text = Path(f"/proc/{one}/task/{task}/children").read_text()
                found += [int(c) for c in text.split()]
        except OSError:
            continue
    return found


def _resident(pid: int) -> int:
    """Memory that is a process's own: files that it has mapped do not count."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
