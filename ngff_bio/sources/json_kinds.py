"""What kind of annotations a JSON file holds, as far as its first and last bytes tell."""

from __future__ import annotations

import re
from typing import Literal

from ngff_bio.model import SourceFile
from ngff_bio.sources.files import FileTree

Kind = Literal["labelme", "coco"]

_LOOKED_AT = 1 << 16

#: Files that are looked into: the first ones tell what the others are.
_MOST = 16

_SHAPES = re.compile(rb'"shapes"\s*:')
_LABELME = re.compile(rb'"(?:imagePath|imageData|imageHeight)"\s*:')
_COCO = re.compile(rb'"(?:annotations|images|categories)"\s*:\s*[\[{]')


def json_kind(file: SourceFile) -> Kind | None:
    """Whether a file looks like labelme's or COCO's; only its ends are read."""
    with file.open() as stream:
        text = stream.read(_LOOKED_AT)
        if file.size > 2 * _LOOKED_AT:
            stream.seek(file.size - _LOOKED_AT)
        text += stream.read(_LOOKED_AT)
    if _SHAPES.search(text) and _LABELME.search(text):
        return "labelme"
    return "coco" if _COCO.search(text) else None


def annotation_files(tree: FileTree, kind: Kind | None = None) -> list[str]:
    """The first JSON files of a tree that hold annotations, of one kind or of any."""
    found = []
    for name in [n for n in tree.names() if n.lower().endswith(".json")][:_MOST]:
        seen = json_kind(tree.file(name))
        if seen is not None and kind in (None, seen):
            found.append(name)
    return found
