"""Tracks of boxes as MOTChallenge has them: ``frame, id, x, y, width, height, confidence, class, ...``.

A line for each box; frames count from 1. In files of the challenge, with a ``seqinfo.ini``, pixels
count from 1 too (https://motchallenge.net/instructions), in those of CVAT from 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import AnnotatedImage, Document, instance_of
from ngff_bio.formats.outlines import check_points
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.formats.text import text_of
from ngff_bio.model import Box, Category, Instance, SourceFile

_HINT = "correct the line, or skip such lines with --on-error skip"
_LINE = re.compile(r"\s*\d+\s*,\s*-?\d+\s*(?:,\s*-?[\d.]+(?:[eE][+-]?\d+)?\s*){4,}$")


def looks_like_mot(text: str) -> bool:
    """Whether lines are those of tracks; the last may be cut."""
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(lines) and all(_LINE.match(line) for line in (lines[:-1] or lines))


@dataclass(frozen=True, slots=True)
class MotFile:
    """Reads the tracks of a movie.

    Parameters
    ----------
    file
        The file of tracks.
    frames
        Number of frames of the movie.
    names
        Names of the classes, from number 1 on; empty if they are not known.
    first
        Number of the first pixel.
    """

    file: SourceFile
    frames: int
    names: tuple[str, ...] = ()
    first: int = 0

    def read(self, problems: Problems) -> Document:
        """Read the file."""
        found: list[list[Instance]] = [[] for _ in range(self.frames)]
        values: dict[int, int] = {}
        seen: set[tuple[int, int]] = set()
        for number, line in enumerate(text_of(self.file, "the list of tracks").splitlines(), 1):
            if not line.strip():
                continue
            with problems.caught():
                at = SourceRecord(self.file.name, f"line {number}", _HINT)
                frame, track, one = self._instance(line, number - 1, at)
                if (frame, track) in seen:
                    raise _wrong(at, "one box of a track on a frame", line)
                seen.add((frame, track))
                one.value = values.setdefault(track, len(values) + 1)
                found[frame].append(one)
        images = [
            AnnotatedImage(f"frame {n}", one, record={"frame": n}) for n, one in enumerate(found, 1)
        ]
        used = dict.fromkeys(i.category for one in found for i in one if i.category is not None)
        classes = tuple(Category(n, n) for n in self.names or used)
        return Document(images, classes, {"mot": {"first_pixel": self.first}}, movie=True)

    def _instance(self, line: str, number: int, at: SourceRecord) -> tuple[int, int, Instance]:
        cells = [c.strip() for c in line.split(",")]
        try:
            frame, track = int(cells[0]) - 1, int(cells[1])
            x, y, width, height = (float(c) for c in cells[2:6])
        except ValueError:
            raise _wrong(at, "frame, id, x, y, width, height", line) from None
        if not 0 <= frame < self.frames:
            raise _wrong(at, f"a frame of 1 to {self.frames}", line)
        check_points([(x, y), (width, height)], 2, at)
        if width < 0 or height < 0:
            raise _wrong(at, "a width and height of 0 or more", line)
        category = None
        if len(cells) > 7 and cells[7].isdecimal() and cells[7] != "0":
            category = cells[7]
            if self.names:
                if int(category) > len(self.names):
                    raise _wrong(at, f"a class of 1 to {len(self.names)}", line)
                category = self.names[int(category) - 1]
        x, y = x - self.first, y - self.first
        shape, box = Box(x, y, x + width, y + height), (x, y, width, height)
        one = instance_of(shape, {"line": line}, number, category=category, box=box)
        one.track_id = track
        return frame, track, one


def _wrong(at: SourceRecord, expected: str, line: str) -> SourceError:
    what = "a line of a list of tracks is wrong"
    return at.error(what, expected=expected, found=line.strip()[:80])
