"""What a conversion of each source costs, in operations; each object and page is touched once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from operation_counts import EXPECTED, MAKERS, convert_counted, counts, read_made

from ngff_bio.zarrio.journal import STATE


@pytest.mark.parametrize("source", sorted(MAKERS))
def test_a_source_costs_what_it_did(source: str, tmp_path: Path) -> None:
    storage, counted = convert_counted(read_made(source, tmp_path / "data"))
    twice = {k: n for k, n in storage.puts.items() if n > 1}
    assert not twice, "objects that were put more than once"
    for pixels in counted.pixels:
        assert set(pixels.pages.values()) <= {1}, "pages that were decoded more than once"
    for instances in counted.instances:
        assert set(instances.frames.values()) <= {1}, "annotations that were read more than once"
    assert not [k for k in storage.objects if k.startswith(f"{STATE}/")]
    found = counts(storage, counted)
    expected = json.loads((EXPECTED / f"{source}.json").read_text())
    if found.pop("libraries") != expected.pop("libraries"):
        assert found.pop("bytes") == pytest.approx(expected.pop("bytes"), rel=0.05)
    assert found == expected, "if this is meant: make operations, and look at the difference"


def test_every_source_is_counted() -> None:
    assert {p.stem for p in EXPECTED.glob("*.json")} == set(MAKERS)
