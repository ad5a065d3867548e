"""Each input that once crashed or hung is converted right, or refused with one error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz.processes import WorkerProcess

CORPUS = Path(__file__).with_name("corpus")

CASES = sorted(p.parent.relative_to(CORPUS).as_posix() for p in CORPUS.glob("*/*/input"))


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerProcess]:
    with WorkerProcess() as process:
        yield process


@pytest.mark.parametrize("case", CASES)
def test_a_saved_input_ends_as_it_should(case: str, worker: WorkerProcess) -> None:
    kind = case.partition("/")[0]
    name = (CORPUS / case / "name").read_text().strip()
    step = CORPUS / case / "step"
    only = step.read_text().strip() if step.exists() else ""
    found = worker.run(kind, name, CORPUS / case / "input", only)
    assert found["result"] in ("equal", "refused"), found["what"]
