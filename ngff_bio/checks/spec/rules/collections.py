"""What ``bioformats2raw`` writes above several images, and what kind of group this is at all."""

from __future__ import annotations

from ngff_bio.checks.spec.findings import Rule
from ngff_bio.checks.spec.node import Node, is_number

_BF2RAW = '"bioformats2raw.layout" metadata'

COLLECTION_LAYOUT = Rule(
    "collection-layout",
    "MUST",
    _BF2RAW,
    'conforming groups MUST have the value 3 for the "bioformats2raw.layout" key',
    'write "bioformats2raw.layout": 3',
)
SERIES_LIST = Rule(
    "series-list",
    "MUST",
    _BF2RAW,
    '"series" MUST be a list of strings, each of which is a path to an image group',
    "list the paths of the images as strings",
)
GROUP_KIND = Rule(
    "group-kind",
    "MUST",
    "OME-Zarr metadata",
    "the metadata keys of the specification tell images, labels, plates, wells and collections",
    "add the metadata of what the group is",
)


def check_collection(metadata: Node) -> None:
    """Check the mark of a group that holds several images."""
    layout = metadata["bioformats2raw.layout"]
    if not is_number(layout.value) or layout.value != 3:
        layout.breaks(COLLECTION_LAYOUT)


def check_series(metadata: Node) -> None:
    """Check the order of the images in the OME group."""
    for path in metadata["series"].as_list(SERIES_LIST) or []:
        path.as_text(SERIES_LIST, pattern="(?s).+")
