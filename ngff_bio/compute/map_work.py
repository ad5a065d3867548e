"""The pieces of the images of a dataset, and a function that is applied to each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from ngff_bio.compute.pieces import Cut, Grid, ImagePiece, grid_of, layer_names, pieces_of
from ngff_bio.compute.results import Collected, Kept, Kind, PieceTask, run_batch
from ngff_bio.compute.workers import Batches, Pool, checked_pieces
from ngff_bio.errors import ArgumentError, FunctionError
from ngff_bio.model import OnError
from ngff_bio.reader import Image

if TYPE_CHECKING:
    import pandas as pd

_SMALLER = 'apply the function to smaller pieces: over="plane", or over="block" with block=SIZE'


@dataclass(frozen=True)
class Target:
    """What results are written to, beside each image."""

    kind: Kind
    name: str


@dataclass
class Mapped:
    """What a function returned for the images of a dataset.

    Parameters
    ----------
    table
        Rows of all pieces, with columns that say where they come from: image, and t, z, y_start,
        x_start where images are cut. Empty if they were written into the store.
    arrays
        An array for each image, by path, put together from its pieces.
    failures
        Columns image, piece, error: where the function failed.
    written
        Paths of what was written into the store.
    resumed
        Number of pieces whose results an interrupted run had left.
    """

    table: pd.DataFrame
    arrays: dict[str, Any]
    failures: pd.DataFrame
    written: list[str] = field(default_factory=list)
    resumed: int = 0


class MapWork:
    """The pieces of the images, and what is done with them."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        images: Sequence[Image],
        cut: Cut,
        level: int,
        labels: Sequence[str] | None,
        target: Target | None,
        on_error: OnError,
        pool: Pool,
    ) -> None:
        self.function, self.images, self.cut, self.level = function, images, cut, level
        self.pool, self._stop = pool, on_error == "stop"
        skipped = target.name if target is not None and target.kind == "labels" else None
        self.labels = {i.path: layer_names(i, labels, skipped) for i in images}
        self.failures: list[dict[str, str]] = []
        self._taken = 0

    def grid(self, image: Image) -> Grid:
        """The pieces of an image."""
        return grid_of(image, self.level, self.cut)

    def _pieces(self, done: Mapping[str, Mapping[int, Kept]]) -> Iterator[ImagePiece]:
        for image in self.images:
            self._taken += 1
            known = done.get(image.path, {})
            # Metadata that is forgotten with the piece: that of all images can be gigabytes.
            one = Image(image.nodes.below(image.path), image.path)
            for piece in pieces_of(one, self.level, self.labels[image.path], self.cut):
                if piece.number not in known:
                    yield piece

    def run(
        self, task: PieceTask, done: Mapping[str, Mapping[int, Kept]]
    ) -> Iterator[tuple[ImagePiece, Any, str | None]]:
        """Yield each piece with the value that the function returned, or the name of its object."""
        pieces = checked_pieces(self.pool, self._pieces(done), _SMALLER)
        total = max(len(self.images), 1)
        batches = Batches(pieces, self.pool.threads, lambda: 1 - self._taken / total)
        label = getattr(self.function, "__name__", "map").replace("-", "_").strip("<>")
        for batch, results in self.pool.run(partial(run_batch, task), batches, label):
            for piece, result in zip(batch, results, strict=True):
                if result.error is None:
                    yield piece, result.value, result.name
                    continue
                skippable = isinstance(result.error, FunctionError | ArgumentError)
                if self._stop or not skippable:
                    raise result.error
                lines = str(result.error.found or result.error.what)
                row = {"image": piece.image.path, "piece": piece.title, "error": lines}
                self.failures.append(row)

    def collect(self) -> Mapped:
        """All results, in memory."""
        found = Collected({}, [])
        values = {}
        for piece, value, _ in self.run(PieceTask(self.function), {}):
            values[piece.image.path, piece.number] = piece, value
        failed = {row["image"] for row in self.failures}
        for image in self.images:
            for number in range(self.grid(image).size) if image.path not in failed else ():
                found.add(*values[image.path, number])
        return self.result(found)

    def result(self, found: Collected | None = None, **more: Any) -> Mapped:
        """What is returned."""
        import pandas as pd

        tables = found.tables if found is not None else []
        table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
        columns = ["image", "piece", "error"]
        rows = sorted((r["piece"], r["image"], r["error"]) for r in self.failures)
        failures = pd.DataFrame([(i, p, e) for p, i, e in rows], columns=columns)
        return Mapped(table, found.arrays if found is not None else {}, failures, **more)
