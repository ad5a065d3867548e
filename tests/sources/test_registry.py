"""Which sources are asked about a folder: none that would know it is passed over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import makers
import pytest

from ngff_bio.sources import open_tree, sources
from ngff_bio.sources.registry import find_source

MAKERS = [name for name in makers.__all__ if name.startswith("make_")]


@pytest.mark.parametrize("leave_out", ["", ".json"])
@pytest.mark.parametrize("maker", MAKERS)
def test_a_source_is_found_as_if_all_had_been_asked(
    maker: str, leave_out: str, tmp_path: Path
) -> None:
    make: Callable[[Path], Any] = getattr(makers, maker)
    make(tmp_path)
    for path in tmp_path.rglob("*"):
        if leave_out and path.suffix == leave_out:
            path.unlink()
    tree = open_tree(tmp_path)
    sure = {s.name: s.detect(tree) for s in sources().values()}
    assert sure[find_source(tree).name] == max(sure.values()) > 0
