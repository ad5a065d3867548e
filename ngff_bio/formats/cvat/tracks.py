"""Tracks of CVAT for video: shapes on frames, interpolated between key frames as CVAT does.

A file that CVAT writes has a shape on every frame that a track is on, and one with ``outside`` where it
leaves. Where frames are left out, boxes, ellipses and shapes with equal numbers of points change
linearly from one shape to the next; others stay as they are. A track that does not leave lasts to the
end of the movie.
"""

from __future__ import annotations

import copy
import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ngff_bio.formats.cvat.shapes import NO_AREAS, SHAPES, points_of, shape_instance
from ngff_bio.formats.documents import AnnotatedImage
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.formats.xml import Element, number_of
from ngff_bio.model import Instance

#: Numbers of boxes and ellipses that change linearly.
_LINEAR = ("xtl", "ytl", "xbr", "ybr", "cx", "cy", "rx", "ry")


def track_instances(
    root: Element,
    frames: Sequence[int],
    size: tuple[int, int],
    file: str,
    problems: Problems,
    labels: Mapping[str, object],
) -> list[AnnotatedImage]:
    """The frames of the movie, by their numbers, with the tracks that are on each.

    Shapes that leave (``outside``) are rows without pixels: they cover nothing.
    """
    found: dict[int, list[Instance]] = defaultdict(list)
    for value, track in enumerate(root.iterfind("track"), 1):
        own = {f"@{k}": v for k, v in track.attrib.items()}
        at = SourceRecord(file, f"track {track.get('id', value - 1)}")
        with problems.caught():
            for frame, shape, stated in _filled(_shapes(track, frames, at), frames, at):
                inner, label = at.member(f" frame {frame}"), track.get("label", "")
                made = shape_instance(shape, label, size, value - 1, inner, labels)
                made.value = value
                made.track_id = track.get("id", str(value - 1))
                if shape.get("outside") == "1":
                    made.geometry, made.box = None, None
                if shape.tag in NO_AREAS:
                    problems.note(
                        "points, lines, cuboids and skeletons have no area: a row without pixels",
                        file,
                    )
                if not stated:
                    made.record = None
                elif made.record is not None:
                    made.record = _with_track(made.record, own)
                found[frame].append(made)
    return [AnnotatedImage(f"frame_{n:06d}", found[n], record={"frame": n}) for n in frames]


def _with_track(record: str, own: dict[str, Any]) -> str:
    return json.dumps({**json.loads(record), "track": own}, ensure_ascii=False)


def _shapes(track: Element, frames: Sequence[int], at: SourceRecord) -> dict[int, Element]:
    """Shapes of a track by frame."""
    found: dict[int, Element] = {}
    known = frames if isinstance(frames, range) else frozenset(frames)
    for shape in track:
        if shape.tag not in SHAPES:
            continue
        frame = int(number_of(shape, "frame", at))
        if frame not in known:
            raise at.member(f" frame {frame}").error(
                "a shape is on a frame that the movie does not have",
                expected=f"{len(frames)} frames, {min(frames)} to {max(frames)}",
                found=frame,
                hint="add the image files of all frames, or skip such tracks with --on-error skip",
            )
        found[frame] = shape
    return dict(sorted(found.items()))


def _filled(
    shapes: Mapping[int, Element], frames: Sequence[int], at: SourceRecord
) -> Iterator[tuple[int, Element, bool]]:
    """Shapes on all frames of a track, and whether the file states them."""
    numbers = sorted(frames)
    for frame, stop in pairwise([*shapes, numbers[-1] + 1]):
        shape, other = shapes[frame], shapes.get(stop)
        yield frame, shape, True
        if shape.get("outside") == "1":
            continue
        for between in numbers[bisect_right(numbers, frame) : bisect_left(numbers, stop)]:
            part = (between - frame) / (stop - frame)
            yield between, _between(shape, other, part, at), False


def _between(one: Element, other: Element | None, part: float, at: SourceRecord) -> Element:
    """The shape between two, at a part of the way from the first."""
    found = copy.deepcopy(one)
    if other is None or other.tag != one.tag or other.get("outside") == "1":
        return found
    if one.tag in ("box", "ellipse"):
        for key in _LINEAR:
            if one.get(key) is not None and other.get(key) is not None:
                a, b = (number_of(e, key, at) for e in (one, other))
                found.set(key, repr(a + (b - a) * part))
        turns = [float(e.get("rotation") or 0) for e in (one, other)]
        if any(turns):
            step = (turns[1] - turns[0] + 180) % 360 - 180
            found.set("rotation", repr((turns[0] + step * part) % 360))
    elif one.get("points") is not None:
        first, last = points_of(one, at), points_of(other, at)
        if len(first) == len(last):
            moved = (
                f"{p[0] + (q[0] - p[0]) * part!r},{p[1] + (q[1] - p[1]) * part!r}"
                for p, q in zip(first, last, strict=True)
            )
            found.set("points", ";".join(moved))
    return found
