"""How much memory there is, and how the C library hands it out."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path

# Parameters of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def free_memory() -> int:
    """Bytes of memory that this process may still take; a guess of 8 GiB where it cannot be known."""
    free = 8 << 30
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) << 10
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if limit != "max":  # a container
            stat = Path("/sys/fs/cgroup/memory.stat").read_text().split()
            free = min(free, int(limit) - int(stat[stat.index("anon") + 1]))
    except (OSError, ValueError):
        pass
    return max(free, 0)


@cache
def keep_freed_memory() -> None:
    """Let this process keep up to 256 MB that it has freed, for the next unit of work.

    For worker processes. Left to itself, glibc gives large blocks back at once and fetches new ones
    page by page, and workers of dask are told to give back even small ones: with a fast codec that
    takes a third of the time. Does nothing where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, 32 << 20)
    mallopt(_M_TRIM_THRESHOLD, 256 << 20)
