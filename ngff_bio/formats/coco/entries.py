"""Entries of ``images`` and ``categories`` of a COCO file, checked one by one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

import msgspec

from ngff_bio.errors import SourceError
from ngff_bio.formats.json.text import checked
from ngff_bio.model import Category


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One entry of ``images``.

    Parameters
    ----------
    index
        Its position in the list.
    id
        Its id, which may be text.
    file_name
        Name of the image file, relative to some folder of the dataset.
    size
        (height, width) in pixels; ``None`` if the entry does not give both.
    record
        The entry itself.
    """

    index: int
    id: int | str
    file_name: str
    size: tuple[int, int] | None
    record: dict[str, Any]


class _Image(msgspec.Struct):
    id: int | str
    file_name: Annotated[str, msgspec.Meta(min_length=1)]
    height: int | None = None
    width: int | None = None


class _Category(msgspec.Struct):
    id: int | str
    name: str


def parse_image(index: int, entry: Any, name: str) -> CocoImage:
    """One entry of ``images`` of the file `name`."""
    record = f"images[{index}]"
    found: _Image = checked(entry, _Image, file=name, record=record)
    path = found.file_name
    parts = PurePosixPath(path.replace("\\", "/")).parts
    if ".." in parts or path.startswith(("/", "\\")) or path[1:2] == ":":
        raise SourceError(
            "a file name leads out of the source",
            file=name,
            record=f"{record} (id {found.id})",
            expected="a name below the folder of the images",
            found=path,
            hint="write file names relative to the folder of the images",
        )
    size = None
    if found.height is not None and found.width is not None:
        size = (found.height, found.width)
    return CocoImage(index, found.id, path, size, entry)


def parse_category(index: int, entry: Any, name: str) -> Category:
    """One entry of ``categories`` of the file `name`."""
    found: _Category = checked(entry, _Category, file=name, record=f"categories[{index}]")
    rest = {k: v for k, v in entry.items() if k not in ("id", "name")}
    return Category(found.id, found.name, None, rest)
