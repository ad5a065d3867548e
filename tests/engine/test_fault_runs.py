"""Through a faulty network results are equal, or there is one error; more: `make faults`."""

from __future__ import annotations

import pytest
from bucket_server import BucketServer
from fault_proxy import FAULTS, FaultPlan
from fault_runs import Trials


@pytest.fixture(scope="module")
def trials(bucket_server: BucketServer) -> Trials:
    return Trials(bucket_server)


@pytest.mark.parametrize("action", ["convert", "resume", "read", "copy"])
def test_a_faulty_network_gives_equal_results_or_one_error(action: str, trials: Trials) -> None:
    for seed in range(3):
        trials.run(action, seed)
    assert trials.faults.total() > 5


def test_every_fault_occurs_in_a_plan() -> None:
    plan = FaultPlan(1, 0.5)
    for n in range(200):
        plan("GET", f"/bench/a/0/c/{n}")
        plan("GET", f"/bench?list-type=2&prefix={n}")
        plan("PUT", f"/bench/a/0/c/{n}")
    assert plan.done.keys() == FAULTS.keys()
    assert 250 < plan.done.total() < 350
