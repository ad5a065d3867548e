"""Entries of ``images`` and ``categories`` of a COCO file, checked one by one."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

from ngff_bio.errors import SourceError
from ngff_bio.formats.coco.file import CocoImage
from ngff_bio.model import Category


def parse_image(index: int, entry: Any, name: str) -> CocoImage:
    """One entry of ``images``, checked."""
    record = f"images[{index}]"
    if not isinstance(entry, dict):
        raise SourceError(
            "an entry of images is no object", file=name, record=record, found=json.dumps(entry)
        )
    own = entry.get("id")
    if not isinstance(own, int | str) or isinstance(own, bool):
        raise SourceError(
            "an entry of images has no usable id",
            file=name,
            record=record,
            expected="a number or text",
            found=json.dumps(own),
        )
    record += f" (id {own})"
    file_name = entry.get("file_name")
    if not isinstance(file_name, str) or not file_name:
        raise SourceError(
            "an entry of images has no file name",
            file=name,
            record=record,
            expected='text under "file_name"',
            found=json.dumps(file_name) if "file_name" in entry else "no such key",
        )
    parts = PurePosixPath(file_name.replace("\\", "/")).parts
    if ".." in parts or file_name.startswith(("/", "\\")) or file_name[1:2] == ":":
        raise SourceError(
            "a file name leads out of the source",
            file=name,
            record=record,
            expected="a name below the folder of the images",
            found=file_name,
            hint="write file names relative to the folder of the images",
        )
    size = []
    for side in ("height", "width"):
        value = entry.get(side)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise SourceError(
                f"the {side} of an image is no whole number",
                file=name,
                record=record,
                expected="pixels",
                found=json.dumps(value),
            )
        size.append(int(value))
    return CocoImage(index, own, file_name, (size[0], size[1]) if len(size) == 2 else None, entry)


def parse_category(index: int, entry: Any, name: str) -> Category:
    """One entry of ``categories``, checked."""
    if not isinstance(entry, dict):
        raise SourceError(
            "an entry of categories is no object",
            file=name,
            record=f"categories[{index}]",
            found=json.dumps(entry),
        )
    for key in ("id", "name"):
        kinds: Any = str if key == "name" else int | str
        value = entry.get(key)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise SourceError(
                f"a category has no usable {key}",
                file=name,
                record=f"categories[{index}]",
                expected="text" if key == "name" else "a number or text",
                found=json.dumps(value) if key in entry else "no such key",
            )
    rest = {k: v for k, v in entry.items() if k not in ("id", "name")}
    return Category(entry["id"], entry["name"], None, rest)
