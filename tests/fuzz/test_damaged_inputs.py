"""What the fuzzer damages is read while it is whole, and refused with one error when it is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz.processes import WorkerProcess
from fuzz.targets import TARGETS, damaged_files
from fuzz.worker import Worker

RUN = Path(__file__).with_name("run.py")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Worker:
    return Worker(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def process() -> Iterator[WorkerProcess]:
    with WorkerProcess() as process:
        yield process


@pytest.mark.parametrize("kind", [*TARGETS])
def test_an_undamaged_input_is_read(
    kind: str, made: Worker, process: WorkerProcess, tmp_path: Path
) -> None:
    """Otherwise damage to it would be tried in vain."""
    name, data = next(iter(damaged_files(TARGETS[kind], made.made(kind)).items()))
    (tmp_path / "input").write_bytes(data)
    found = process.run(kind, name, tmp_path / "input")
    assert found["result"] == "equal", found["what"]


def test_some_damaged_inputs_end_as_they_should() -> None:
    """Some hundreds of inputs, the same ones in each run; `make fuzz` tries others."""
    arguments = ("--seed", "1", "--inputs", "600", "--minutes", "2", "--verbose")
    done = subprocess.run(
        [sys.executable, str(RUN), *arguments], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
