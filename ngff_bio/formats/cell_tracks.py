"""Tracks of the Cell Tracking Challenge: ``man_track.txt`` and ``res_track.txt``, and their labels.

A line is ``L B E P``: label value, first and last frame, and label value of the parent, 0 for none.
https://celltrackingchallenge.net (naming and file content conventions)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ngff_bio.errors import SourceError
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.model import PixelArray, Pixels, Region, SampleType, SourceFile, SourceParts, parts_of

_HINT = "correct the line, or leave out such lines with --on-error skip"


@dataclass(frozen=True, slots=True)
class Track:
    """A line: label value, first and last frame, and the parent's label value, 0 for none."""

    label: int
    first: int
    last: int
    parent: int


def read_tracks(file: SourceFile, problems: Problems) -> dict[int, Track]:
    """Tracks by label value. Wrong lines go to `problems`; a wrong parent alone is left out.

    Raises
    ------
    ngff_bio.errors.SourceError
        Unless errors are skipped: if a line is not four integers, a label is listed twice, or a
        parent is not in the file or does not end before its part begins.
    """
    found: dict[int, Track] = {}
    lines: dict[int, str] = {}
    for number, line in enumerate(file.read().decode("utf-8-sig", "replace").splitlines(), 1):
        if not line.strip():
            continue
        with problems.caught():
            try:
                track = Track(*map(int, line.split()))
            except (TypeError, ValueError):
                track = Track(0, 0, 0, 0)
            wrong = track.label < 1 or not 0 <= track.first <= track.last or track.parent < 0
            if wrong or track.label in found:
                raise SourceRecord(file.name, f"line {number}", _HINT).error(
                    "a line of the list of tracks is not a track",
                    expected="label (new, from 1 on), first and last frame, label of the parent or 0",
                    found=line.strip()[:60],
                )
            found[track.label] = track
            lines[track.label] = f"line {number}"
    for track in list(found.values()):
        above = found.get(track.parent)
        if track.parent and (above is None or above.last >= track.first):
            found[track.label] = Track(track.label, track.first, track.last, 0)
            fault = "is not in the list" if above is None else "does not end before its part begins"
            problems.fail(
                SourceRecord(file.name, lines[track.label], _HINT).error(
                    f"the parent of a track {fault}",
                    expected=f"a track {track.parent} that ends before frame {track.first}",
                    found=f"{track.label} {track.first} {track.last} {track.parent}",
                )
            )
    return found


@dataclass(frozen=True, slots=True)
class TrackedPixels:
    """Label values along t first, each of them on a frame of its track.

    Parameters
    ----------
    source
        The label values.
    spans
        Label value, first and last index along t of each track.
    file
        The list of tracks, for errors.
    """

    source: Pixels
    spans: tuple[tuple[int, int, int], ...]
    file: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis."""
        return self.source.shape

    @property
    def dtype(self) -> SampleType:
        """Type of the label values."""
        return self.source.dtype

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """The source's own."""
        return self.source.read_block_shape

    def read(self, region: Region) -> PixelArray:
        """The block of a region.

        Raises
        ------
        ngff_bio.errors.SourceError
            If a label value is in no track, or on a frame before or after its track.
        """
        block = self.source.read(region)
        for t, frame in enumerate(block, region[0][0]):
            known = {label for label, first, last in self.spans if first <= t <= last}
            strange = sorted(set(np.unique(frame).tolist()) - known - {0})
            if strange:
                raise SourceError(
                    "a label value is on a frame on which the list has no such track",
                    file=self.file,
                    record=f"track {strange[0]}",
                    expected=f"a track {strange[0]} that includes frame {t} (from 0)",
                    found="another track or none",
                    hint="correct the list or the label image, or skip the movie with --on-error skip",
                )
        return block

    def source_parts(self) -> SourceParts:
        """Those of the label values, and the tracks."""
        return (*parts_of(self.source), repr(self.spans))


def tracks_text(tracks: Iterable[Track]) -> str:
    """The text of tracks, in their order."""
    return "".join(f"{t.label} {t.first} {t.last} {t.parent}\n" for t in tracks)
