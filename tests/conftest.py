"""What every test shares: where the real sample files lie, and a bucket."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bucket_server import bucket_server
from hypothesis import HealthCheck, settings

from ngff_bio.parallel import cpu_count

__all__ = ["bucket_server", "samples"]

# No test measures time: another program may take the processor meanwhile.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = Path(os.environ.get("NGFF_BIO_SAMPLES", ROOT.parent / "shared" / "samples"))


def pytest_xdist_auto_num_workers() -> int:
    """Two workers for each processor: 40 % of the time, tests wait for servers and processes."""
    return 2 * cpu_count()


@pytest.fixture
def samples() -> Path:
    """The folder of real sample files; the test is skipped where it is absent."""
    if not SAMPLES.is_dir():
        pytest.skip(f"real sample files are not on this machine: no folder {SAMPLES}")
    return SAMPLES
