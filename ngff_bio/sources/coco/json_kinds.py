"""Whether a JSON file holds annotations of a kind that is known, as far as its ends tell."""

from __future__ import annotations

import re

from ngff_bio.model import SourceFile
from ngff_bio.sources.files.tree import FileTree

_LOOKED_AT = 1 << 16

#: Files that are looked into: the first ones tell what the others are.
_MOST = 16

_SHAPES = re.compile(rb'"shapes"\s*:')
_LABELME = re.compile(rb'"(?:imagePath|imageData|imageHeight)"\s*:')
_COCO = re.compile(rb'"(?:annotations|images|categories)"\s*:\s*[\[{]')


def has_annotations(tree: FileTree) -> bool:
    """Whether one of the first JSON files of a tree looks like labelme's or COCO's."""
    names = [n for n in tree.names() if n.lower().endswith(".json")]
    return any(_is_annotation(tree.file(n)) for n in names[:_MOST])


def _is_annotation(file: SourceFile) -> bool:
    with file.open() as stream:
        text = stream.read(_LOOKED_AT)
        if file.size > 2 * _LOOKED_AT:
            stream.seek(file.size - _LOOKED_AT)
        text += stream.read(_LOOKED_AT)
    return bool((_SHAPES.search(text) and _LABELME.search(text)) or _COCO.search(text))
