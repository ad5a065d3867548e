"""The account of a source's files: each is read, belongs to what is read, is excluded, or is unread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

#: Names of unread files that the attributes of a store list: they are read whenever it is opened.
_MAX_NAMED = 256


@dataclass(frozen=True, slots=True)
class FileAccount:
    """What became of each file of a source: its name, and what it is or looks like.

    Parameters
    ----------
    read
        Files that images, labels and tables are read from.
    belongs
        Files that accompany them and hold no data: licences, documents, thumbnails.
    excluded
        Files that the user excluded, and links that lead out of the source.
    unread
        All others: they are not in the store.
    """

    read: Mapping[str, str] = field(default_factory=dict)
    belongs: Mapping[str, str] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Each list with its count, counts by kind and names."""
        lists: dict[str, Mapping[str, str]] = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            name: {
                "count": len(files),
                "kinds": dict(Counter(files.values()).most_common()),
                "names": list(files),
            }
            for name, files in lists.items()
        }

    def not_read(self) -> dict[str, Any]:
        """What is not in the store, for its attributes: counts, kinds and the first names."""
        found = self.to_json()
        listed = {name: found[name] for name in ("excluded", "unread") if found[name]["count"]}
        for one in listed.values():
            one["names"] = one["names"][:_MAX_NAMED]
        return listed

    def without(self, names: Iterable[str], kind: str) -> FileAccount:
        """The account after files turned out to be unreadable: these are unread."""
        lost = {name: kind for name in names if name in self.read}
        kept = {name: one for name, one in self.read.items() if name not in lost}
        return FileAccount(kept, self.belongs, self.excluded, {**self.unread, **lost})
