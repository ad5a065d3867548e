"""Datasets of nnU-Net: ``imagesTr/CASE_0000.nii.gz``, ``labelsTr/CASE.nii.gz`` and ``dataset.json``.

A file for each channel; labels are classes. Versions 1 and 2 of the format, any ending of files.
https://github.com/MIC-DKFZ/nnUNet/blob/master/documentation/dataset_format.md
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.arrays.opening import is_array_file
from ngff_bio.formats.json.text import checked, parse_json
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.model import Category, SourceDataset
from ngff_bio.sources.assembly import base_of, folder_of
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.paired.pairs import Labels, Pair, PairReader
from ngff_bio.sources.registry import Source

#: Name of the label layer.
LAYER = "labels"

_ENDING = r"(?P<ending>\.nii(?:\.gz)?|\.png|\.tiff?|\.bmp|\.jpe?g|\.h5)$"
_IMAGE = re.compile(
    r"^(?P<top>(?:.*/)?)images(?P<part>Tr|Ts)/(?P<case>[^/]+?)(?:_(?P<channel>\d{4}))?" + _ENDING
)
_LABEL = re.compile(r"^(?P<top>(?:.*/)?)labels(?P<part>Tr|Ts)/(?P<case>[^/]+?)" + _ENDING)

#: Splits, as the names of folders say.
_SPLITS = {"Tr": "train", "Ts": "test"}

#: What nnU-Net computes from a dataset, and the spacing of TIFFs.
_BESIDE = (
    *("dataset_fingerprint.json", "splits_final.json", "nnunetplans.json", "plans.json"),
    *("*imagestr/*.json", "*imagests/*.json", "*labelstr/*.json", "*labelsts/*.json"),
)


def detect(tree: FileTree) -> int:
    """2 if there are folders of nnU-Net."""
    names = tree.names()
    return 2 if any(map(_IMAGE.match, names)) and any(map(_LABEL.match, names)) else 0


def read(tree: FileTree, problems: Problems) -> SourceDataset:
    """Every case as an image: its channels joined, its labels as classes."""
    cases: dict[tuple[str, str, str], dict[int, str]] = defaultdict(dict)
    labels: dict[tuple[str, str, str], str] = {}
    about: dict[str, Mapping[str, object]] = {}
    for name in tree.names():
        if match := _IMAGE.match(name):
            key = (match["top"], match["part"], match["case"])
            cases[key][int(match["channel"] or 0)] = name
        elif match := _LABEL.match(name):
            labels[match["top"], match["part"], match["case"]] = name
        elif base_of(name) == "dataset.json":
            with problems.caught():
                content = parse_json(tree.file(name).read(), name, dict[str, object])
                checked(content, _Stated, SourceRecord(name))
                about[folder_of(name)] = content
    pairs = []
    for (top, part, case), files in sorted(cases.items()):
        stated = about.get(top.rstrip("/"), {})
        with problems.caught():
            channels = _channels(stated, files, f"{top}dataset.json")
            label = labels.pop((top, part, case), None)
            if label is None and part == "Tr":
                problems.warn("a case for training without labels", record=files[min(files)])
            kept = () if label is None else (_labels(label, stated),)
            listed = tuple(files[c] for c in sorted(files))
            split = (_SPLITS[part],)
            pairs.append(Pair(f"{top}{_SPLITS[part]}", case, listed, kept, channels, splits=split))
    for name in labels.values():
        problems.fail(
            SourceError(
                "labels of a case without its image",
                file=name,
                expected="images of the case in imagesTr or imagesTs, as CASE_0000",
                found="no such file",
                hint="add the images, or leave out such labels with --on-error skip",
            )
        )
    if not pairs:
        raise SourceNotFoundError("no case can be read", file=tree.origin)
    return PairReader(tree, problems).dataset(
        "nnunet",
        pairs,
        splits=_SPLITS.values(),
        attributes={"files": {f"{f}/dataset.json".lstrip("/"): a for f, a in about.items()}},
        read_files=[f"{folder}/dataset.json".lstrip("/") for folder in about],
    )


class _Stated(msgspec.Struct):
    """Types of the members of ``dataset.json`` that name channels."""

    channel_names: dict[str, object] | None = None
    modality: dict[str, object] | None = None


def _channels(stated: Mapping[str, Any], files: Mapping[int, str], source: str) -> tuple[str, ...]:
    """Names of the channels in their order; none if they are not stated.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a channel is missing.
    """
    names = stated.get("channel_names") or stated.get("modality") or {}
    count = max(len(names) if isinstance(names, dict) else 0, max(files) + 1)
    missing = [c for c in range(count) if c not in files]
    first = files[min(files)]
    whole = len(files) == 1 and not is_array_file(first)  # a color image is one file
    if missing and not whole:
        raise SourceError(
            "a case lacks a channel",
            file=first,
            expected=f"{count} files, _0000 to _{count - 1:04}, as in {source}",
            found=f"no file _{missing[0]:04}",
            hint="add the file, or leave out such cases with --on-error skip",
        )
    return tuple(str(names.get(str(c), c)) for c in range(count)) if names else ()


def _labels(file: str, stated: Mapping[str, object]) -> Labels:
    """Labels with their classes: version 1 lists names by value, version 2 values by name.

    A region of version 2 is a list of values; it is kept with the dataset.
    """
    names: dict[int, str] = {}
    listed = stated.get("labels")
    for key, value in listed.items() if isinstance(listed, dict) else ():
        if str(key).isdecimal():
            names[int(key)] = str(value)
        elif isinstance(value, int):
            names[value] = str(key)
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, int):
                    names.setdefault(one, str(one))
    names.pop(0, None)
    classes = tuple(Category(number, name) for number, name in sorted(names.items()))
    return Labels(LAYER, file, "semantic", classes, values=tuple(sorted(names)))


SOURCE = Source(
    name="nnunet",
    title="nnU-Net: cases with a file for each channel, and labels as classes",
    layout="imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz, imagesTs, labelsTs, dataset.json",
    detect=detect,
    read=read,
    belongs=_BESIDE,
)
