"""Conversions that are killed with `kill -9` end with the same bytes; `crash_runs.py` does more."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from crash_runs import crash_and_go_on

from ngff_bio.storage import FolderStorage


@pytest.mark.parametrize(
    ("runner", "kind", "dataset"),
    [
        ("threads", "folder", "plate"),
        ("processes", "folder", "volume"),
        ("threads", "bucket", "volume"),
        ("threads", "folder", "files"),
    ],
)
def test_killed_at_random_moments_a_conversion_ends_with_the_same_bytes(
    runner: str, kind: str, dataset: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    storage: Any = FolderStorage(tmp_path / "s")
    where: dict[str, Any] = {"folder": str(tmp_path / "s")}
    if kind == "bucket":
        storage = request.getfixturevalue("bucket_server").storage()
        where = {"url": storage.address, "options": dict(storage.options)}
    asked = {"runner": runner, "where": where, "dataset": dataset, "slow": 0.05, "scheduler": None}
    asked |= {"home": str(tmp_path / "files"), "replaces": runner == "threads"}
    crash_and_go_on(asked, storage, random.Random(4))
    assert storage.get("zarr.json") is not None
