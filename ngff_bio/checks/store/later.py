"""What other programs have added to a store beside its manifest: labels, tables, images."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from ngff_bio.checks.differences import Difference
from ngff_bio.engine.write.manifest import ManifestEntry
from ngff_bio.errors import NgffBioError
from ngff_bio.storage import Storage
from ngff_bio.zarrio.hierarchy import Hierarchy

#: Groups that hold one group for each thing that belongs to an image.
_FOLDERS = ("labels", "tables", "derived")

_DOCUMENTS = ("zarr.json", ".zattrs")

#: What the document of a group has beside attributes.
_GROUP = {"zarr_format": 3, "node_type": "group"}


def without_later(
    storage: Storage, entries: Iterable[ManifestEntry], found: Sequence[Difference]
) -> tuple[list[Difference], dict[str, int]]:
    """Differences without those that only come of what was added, and its groups.

    A group beside an image of which the manifest names nothing was added later, and so was its name in
    the list of such groups, if nothing else of the list has changed.

    Returns
    -------
    list of Difference
        The others.
    dict
        Number of objects by path of the group.
    """
    known = {e.path for e in entries if e.kind == "object"}
    groups = {group for key in known if (group := _group_of(key)) is not None}
    added: Counter[str] = Counter()
    kept: list[Difference] = []
    lists: list[Difference] = []
    for one in found:
        group = _group_of(one.path)
        new = group is not None and group not in groups
        if one.kind == "object" and new and one.path not in known:
            added[str(group)] += 1
        elif one.kind == "object" and _is_list(one.path):
            lists.append(one)
        else:
            kept.append(one)
    names = {group.rpartition("/")[::2] for group in added}
    before = _consolidated(storage) if lists else None
    grown = {folder for folder, _ in names}
    for one in lists:
        if one.path.rpartition("/")[0] not in grown or not _only_longer(
            storage, before, one.path, names
        ):
            kept.append(one)
    return kept, dict(added)


def _group_of(key: str) -> str | None:
    """The outermost group of labels, a table or a derived image that a key is in."""
    parts = key.split("/")
    at = next((i for i, part in enumerate(parts[:-2]) if part in _FOLDERS), None)
    return None if at is None else "/".join(parts[: at + 2])


def _is_list(key: str) -> bool:
    parts = key.split("/")
    return len(parts) > 1 and parts[-2] in _FOLDERS and parts[-1] in _DOCUMENTS


def _consolidated(storage: Storage) -> Hierarchy | None:
    try:
        found = Hierarchy.open(storage)
    except NgffBioError:
        return None
    return found if found.consolidated else None


def _only_longer(
    storage: Storage, before: Hierarchy | None, key: str, added: set[tuple[str, str]]
) -> bool:
    """Whether a list differs from its consolidated copy only by names of what was added."""
    folder, _, document = key.rpartition("/")
    word = folder.rpartition("/")[2]
    try:
        now = json.loads(storage.get(key) or b"null")
        if document == "zarr.json":
            rest = {
                k: v for k, v in now.items() if k not in ("attributes", "consolidated_metadata")
            }
            now = now.get("attributes") if rest == _GROUP else None
        if before is None or not isinstance(now, dict):
            return False
        old = before.attributes(folder) or {}
        return _shortened(now, word, folder, added) == _shortened(old, word, folder, set())
    except (NgffBioError, ValueError, AttributeError):
        return False


def _shortened(
    attributes: dict[str, object], word: str, folder: str, added: set[tuple[str, str]]
) -> object:
    """Attributes without the names of what was added."""
    inner = attributes.get("ome")
    if isinstance(inner, dict) and word in inner:
        return {**attributes, "ome": _shortened(inner, word, folder, added)}
    names = attributes.get(word)
    if not isinstance(names, list):
        return attributes
    return {**attributes, word: [n for n in names if (folder, n) not in added]}
