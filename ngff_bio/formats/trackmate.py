"""TrackMate (Fiji): spots of a movie with their tracks, as XML.

Format: https://imagej.net/plugins/trackmate/ and its TmXmlWriter. Positions are in the units of the
image, 0 at the center of the first pixel; a spot is the outline of its ROI, around its position, or a
circle of its radius. Edges lead from spot to spot.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import AnnotatedImage, Document, record_text
from ngff_bio.formats.outlines import ellipse, outline
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.formats.xml import (
    Element,
    as_json,
    from_json,
    number_of,
    parse_xml,
    put_children,
    root_tag,
    take_children,
    write_xml,
)
from ngff_bio.model import Geometry, Instance, SourceFile

ROOT = "TrackMate"

#: Elements with the records, and the elements of these.
_SPOTS, _EDGES = ("SpotsInFrame", "Spot"), ("Track", "Edge")

#: Member of the record of a spot: the edges that lead to it, with their positions among all.
_LEADING = "edges"

_HINT = "save the file again from TrackMate, or skip such spots with --on-error skip"


def is_trackmate(file: SourceFile) -> bool:
    """Whether the root element of a file is that of TrackMate."""
    return root_tag(file) == ROOT


@dataclass(frozen=True, slots=True)
class TrackMateFile:
    """Reads the spots of a movie; between two divisions, those of a track have one label value."""

    file: SourceFile

    #: Pixels whose center is inside, as the program fills its outlines.
    rule: ClassVar[Literal["center"]] = "center"

    def read(self, problems: Problems) -> Document:
        """Read the file."""
        root = parse_xml(self.file.read(), self.file.name)
        about = root.find("Settings/ImageData")
        if about is not None and about.get("filename", "").lower().endswith(".xml"):
            raise SourceRecord(self.file.name, "ImageData.filename").error(
                "tracks of MaMuT, in an image of BigDataViewer, are not read",
                expected="tracks of TrackMate in an image file",
                found=about.get("filename"),
                hint="leave the file out with --exclude GLOB",
            )
        spots = {s.get("ID", ""): s for s in root.iterfind("Model/AllSpots/SpotsInFrame/Spot")}
        tracks = {
            (edge.get("SPOT_SOURCE_ID", ""), edge.get("SPOT_TARGET_ID", "")): track.get("TRACK_ID")
            for track in root.iterfind("Model/AllTracks/Track")
            for edge in track.iterfind("Edge")
        }
        branches = _Branches.of(spots, tracks, self.file.name)
        edges: dict[str, list[tuple[int, object]]] = defaultdict(list)
        for number, edge in enumerate(root.iterfind("Model/AllTracks/Track/Edge")):
            edges[edge.get("SPOT_TARGET_ID", "")].append((number, as_json(edge)))
        instances = []
        for number, (name, spot) in enumerate(spots.items()):
            with problems.caught():
                one = self._instance(name, spot, about)
                one.value, one.indices = branches.values[name], (number,)
                one.record = record_text({**as_json(spot), _LEADING: edges.get(name, [])})
                one.track_id = branches.tracks.get(name)
                instances.append(one)
        stated = "" if about is None else about.get("filename", "")
        image = stated or self.file.name.rpartition("/")[2].rpartition(".")[0]
        counts = {"spots": take_children(root, *_SPOTS), "edges": take_children(root, *_EDGES)}
        return Document(
            [AnnotatedImage(image, instances, placed=True, tracked=True, parents=branches.parents)],
            record={"counts": counts, "content": as_json(root)},
        )

    def _instance(self, name: str, spot: Element, about: Element | None) -> Instance:
        at = SourceRecord(self.file.name, f"Spot {name}", _HINT)
        general = SourceRecord(self.file.name, "ImageData", _HINT)

        def number(key: str) -> float:
            return number_of(spot, key, at)

        def size(key: str) -> float:
            return 1.0 if about is None or not about.get(key) else number_of(about, key, general)

        across, down, deep = size("pixelwidth"), size("pixelheight"), size("voxeldepth")
        if min(across, down, deep) <= 0:
            raise general.error("the size of a pixel is wrong", expected="more than 0")
        x, y = number("POSITION_X") / across + 0.5, number("POSITION_Y") / down + 0.5
        shape: Geometry
        if spot.get("ROI_N_POINTS") and (spot.text or "").strip():
            try:
                flat = [float(v) for v in (spot.text or "").split()]
            except ValueError:
                flat = [0.0]
            if len(flat) % 2:
                raise at.error(
                    "the outline of a spot is wrong",
                    expected="x and y of each point",
                    found=(spot.text or "")[:80],
                )
            points = [
                (x + a / across, y + b / down) for a, b in zip(flat[::2], flat[1::2], strict=True)
            ]
            shape = outline(points, at)
        else:
            radius = number("RADIUS")
            shape = ellipse((x, y), (radius / across, radius / down))
        planes = 0 if about is None else int(number_of(about, "nslices", general))
        z = round(number("POSITION_Z") / deep) if planes > 1 else None
        t = int(number("FRAME"))
        if t < 0 or not 0 <= (z or 0) < max(planes, 1):
            raise at.error(
                "a spot is on a plane or frame that is not there",
                expected=f"{planes} planes",
                found=f"plane {z}, frame {t}",
            )
        return Instance(0, shape, t=t, z=z, source_id=name)


def restored(record: Mapping[str, Any], found: Sequence[tuple[int, Mapping[str, Any]]]) -> bytes:
    """The document of a record, with its spots and the edges that lead to them."""
    root, counts = from_json(ROOT, record["content"]), record["counts"]
    spots = ((n, {k: v for k, v in one.items() if k != _LEADING}) for n, one in found)
    put_children(root, *_SPOTS, counts["spots"], spots)
    put_children(root, *_EDGES, counts["edges"], (e for _, one in found for e in one[_LEADING]))
    return write_xml(root)


@dataclass(frozen=True, slots=True)
class _Branches:
    """Parts of tracks without division or merger: label value and track of each spot, parents."""

    values: Mapping[str, int]
    tracks: Mapping[str, str]
    parents: Mapping[int, int]

    @classmethod
    def of(
        cls, spots: Mapping[str, Element], edges: Mapping[tuple[str, str], str | None], file: str
    ) -> _Branches:
        frames = {
            n: int(number_of(s, "FRAME", SourceRecord(file, f"Spot {n}", _HINT)))
            for n, s in spots.items()
        }
        after: dict[str, list[str]] = defaultdict(list)
        before: dict[str, list[str]] = defaultdict(list)
        tracks: dict[str, str] = {}
        for (one, other), track in edges.items():
            if one not in frames or other not in frames or frames[one] == frames[other]:
                raise SourceError(
                    "an edge does not lead from a spot to one of another frame",
                    file=file,
                    record=f"Edge {one} to {other}",
                    expected="spots of the file",
                    hint="save the file again from TrackMate",
                )
            first, second = (one, other) if frames[one] < frames[other] else (other, one)
            after[first].append(second)
            before[second].append(first)
            for name in (one, other):
                tracks[name] = track or ""
        values: dict[str, int] = {}
        parents: dict[int, int] = {}
        last = 0
        for name in sorted(spots, key=frames.__getitem__):
            above = before[name]
            if len(above) == 1 and len(after[above[0]]) == 1:
                values[name] = values[above[0]]
                continue
            last += 1
            values[name] = last
            if len(above) == 1:
                parents[values[name]] = values[above[0]]
        return cls(values, tracks, parents)
