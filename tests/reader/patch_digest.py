"""What a worker process runs: by itself, so that a spawned one imports little."""

from __future__ import annotations

from ngff_bio.reader.analysis.patches import Patches


def digest(made: Patches, number: int) -> tuple[int, int]:
    patch = made[number]
    return int(patch.image.sum()), len(patch.objects["cell"].values)
