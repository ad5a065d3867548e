"""The table of layouts in the documentation is what conversions and exports give."""

from __future__ import annotations

from pathlib import Path

import layouts
import pytest

from ngff_bio.sources.registry import BUILT_IN


@pytest.mark.parametrize("layout", layouts.LAYOUTS, ids=lambda one: one.title)
def test_the_row_of_a_layout(layout: layouts.Layout, tmp_path: Path) -> None:
    assert layouts.row(layout, tmp_path) in layouts.DOCUMENT.read_text().splitlines()


def test_the_table_has_a_row_for_each_layout_and_no_other() -> None:
    rows = [n for n in layouts.DOCUMENT.read_text().splitlines() if n.startswith("| ")][1:]
    assert [n.split(" | ")[0].removeprefix("| ") for n in rows] == [
        x.title for x in layouts.LAYOUTS
    ]
    assert {x.source for x in layouts.LAYOUTS} <= set(BUILT_IN)
