"""Units of length and time."""

from __future__ import annotations

import pytest

from ngff_bio.units import LENGTHS, SYMBOLS, TIMES, unit_factor, unit_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nm", "nanometer"),
        ("µm", "micrometer"),
        ("\N{GREEK SMALL LETTER MU}m", "micrometer"),
        ("um", "micrometer"),
        (" microns ", "micrometer"),
        ("Micrometre", "micrometer"),
        ("Mm", "megameter"),
        ("mm", "millimeter"),
        ("inches", "inch"),
        ("ms", "millisecond"),
        ("min", "minute"),
        ("Hours", "hour"),
        ("pixel", None),
        ("", None),
    ],
)
def test_a_unit_is_known_by_its_spellings(text: str, name: str | None) -> None:
    assert unit_name(text) == name


def test_every_unit_has_a_symbol_that_names_it() -> None:
    assert SYMBOLS.keys() == LENGTHS.keys() | TIMES.keys()
    assert {unit_name(symbol) for symbol in SYMBOLS.values()} == SYMBOLS.keys()


def test_factors_are_between_units_of_one_kind() -> None:
    assert unit_factor("micrometer", "nanometer") == pytest.approx(1000)
    assert unit_factor("minute", "hour") == 1 / 60
    assert unit_factor("second", "meter") is None
    assert unit_factor("second", "fortnight") is None
