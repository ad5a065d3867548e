"""Workers as processes with a limit of time; one that dies or hangs is replaced."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from pathlib import Path
from typing import Any

#: Seconds that one input may take, with the making of its dataset.
SECONDS = 60.0


class WorkerProcess:
    """A process that answers for one input at a time; see ``worker.py``."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, kind: str, name: str, path: Path, step: str = "") -> dict[str, str]:
        """How an input ended; a signal or a time-out is ``unexpected`` too."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("worker.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        request = {"kind": kind, "name": name, "input": str(path), "step": step}
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ)
            ready = waiting.select(SECONDS)
        line = process.stdout.readline() if ready else b""
        if line:
            found: dict[str, str] = json.loads(line)
            return found
        if not ready:
            process.kill()
        code = process.wait()
        self._process = None
        what = f"ended with code {code}" if ready else f"took more than {SECONDS:.0f} s"
        return {"result": "unexpected", "what": what}

    def close(self) -> None:
        """End the process, which removes its files."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(30)
            self._process = None

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
