"""Micro-Manager's plates (HCS Site Generator): ``metadata.txt`` in each folder ``A1-Site_0``.

A JSON object with ``Summary`` (``PixelSize_um``, ``z-step_um``, ``ChNames``), and an object for each
plane: ``FrameKey-t-c-z`` of version 1.4, ``Metadata-<path>`` of version 2. It names the ``FileName``
of its plane, the channel, the position of the stage in micrometers and the time in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ngff_bio.formats.json.text import parse_json
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Channel
from ngff_bio.sources.assembly import base_of, folder_of
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.plate.planes import PlateIndex, PlatePlane, number_of

#: Its name in each folder.
DOCUMENT = "metadata.txt"

_PLACED = {"FileName", "XPositionUm", "YPositionUm", "ZPositionUm", "ElapsedTime-ms"}


def described(tree: FileTree, index: PlateIndex, problems: Problems) -> PlateIndex:
    """Planes that their names place, with what the documents beside them state."""
    names = {*tree.names()}
    folders = {folder_of(p.file) for p in index.planes}
    documents = [d for f in sorted(folders) if (d := f"{f}/{DOCUMENT}".lstrip("/")) in names]
    records: dict[str, Mapping[str, Any]] = {}
    summaries: list[Mapping[str, Any]] = []
    for document in documents:
        with problems.caught():
            content = parse_json(tree.file(document).read(), document, dict[str, Any], lenient=True)
            summary = content.get("Summary")
            summaries.append(summary if isinstance(summary, dict) else {})
            folder = folder_of(document)
            for record in _records(content):
                records[f"{folder}/{base_of(str(record['FileName']))}".lstrip("/")] = record
    if not records:
        return index
    if any("YPositionUm" in r for r in records.values()):
        problems.note("positions are those of the stage: which way its y rises is not stated")
    planes = tuple(_placed(p, records.get(p.file, {})) for p in index.planes)
    channels = dict(index.channels)
    for plane in index.planes:
        if name := records.get(plane.file, {}).get("Channel"):
            channels[plane.channel] = Channel(str(name))
    given = [*summaries, *records.values()]
    sizes = [number_of(g, k) for g in given for k in ("PixelSize_um", "PixelSizeUm")]
    steps = [number_of(s, "z-step_um") for s in summaries]
    pixel, step = next(filter(None, sizes), None), next(filter(None, steps), None)
    if len({*filter(None, sizes)}) > 1 or len({*filter(None, steps)}) > 1:
        problems.warn(
            "sizes of pixels or steps along z differ: the first ones are taken", documents[0]
        )
    return replace(
        index,
        planes=planes,
        channels=channels,
        pixel_size=None if pixel is None else (pixel, pixel),
        z_step=step,
        read_files=(*index.read_files, *documents),
        attributes={**index.attributes, "summary": summaries[0] if summaries else {}},
    )


def _records(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key, value in content.items():
        if (
            key.startswith(("FrameKey-", "Metadata-"))
            and isinstance(value, dict)
            and value.get("FileName")
        ):
            yield value


def _placed(plane: PlatePlane, record: Mapping[str, Any]) -> PlatePlane:
    z, y, x = (number_of(record, f"{a}PositionUm") for a in "ZYX")
    taken = number_of(record, "ElapsedTime-ms")
    simple = (str, int, float, bool)
    return replace(
        plane,
        place=(z, y, x),
        seconds=None if taken is None else taken / 1000,
        record={k: v for k, v in record.items() if k not in _PLACED and isinstance(v, simple)},
    )
