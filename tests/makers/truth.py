"""What every maker returns, and what every maker is asked with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ngff_bio.errors import ArgumentError

Preset = TypeVar("Preset")


@dataclass(frozen=True)
class Truth:
    """What went into a dataset that was made.

    Attributes
    ----------
    root
        The dataset's own top folder, as a user would name it to a converter.
    files
        Every file that was written, sorted.
    """

    root: Path
    files: tuple[Path, ...]


def preset(size: str, presets: Mapping[str, Preset]) -> Preset:
    """The numbers behind a named size; `ArgumentError` where there is no such name."""
    if size not in presets:
        raise ArgumentError(
            "no such size of a made dataset", expected=", ".join(presets), found=repr(size)
        )
    return presets[size]


def written_below(root: Path) -> tuple[Path, ...]:
    """Every file below `root`, sorted."""
    return tuple(sorted(path for path in root.rglob("*") if not path.is_dir()))
