"""Image files by the names that annotation documents give them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from posixpath import normpath
from urllib.parse import unquote

from ngff_bio.sources.assembly import base_of, folder_of, image_files


def stem(name: str) -> str:
    """A name without its last ending: of ``a/b.ome.tif`` it is ``a/b.ome``."""
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}{base.rpartition('.')[0] or base}"


class ImageFinder:
    """Finds image files by whole names, by the ends of names, and by names without folder or ending.

    Parameters
    ----------
    names
        Names of the image files.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)
        self._known = set(self.names)
        self._by_base: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            self._by_base[base_of(name).lower()].append(name)
            self._by_stem[stem(base_of(name)).lower()].append(name)

    def find(self, given: str, near: str = "") -> str | None:
        """The image file that a document in the folder `near` calls `given`; ``None`` if there is no
        such file, or it is ambiguous.

        It is the file of this path, from `near`, from `near`/images or from the root; else the only one
        whose path ends so; else the only one of this base name, or of this stem if the document gives
        no ending; of several the only one that is in the folder of the document, or nearest to it.
        Names may be those of a URL: with a query, and with escapes (``a%20b.png``).
        """
        plain = _without_query(given)
        for name in dict.fromkeys((plain, _unescaped(plain))):
            for place in (f"{near}/", f"{near}/images/", ""):
                path = normpath(f"{place}{name}".lstrip("/"))
                if path in self._known:
                    return path
        same = self.candidates(plain)
        if len(same) < 2:
            return same[0] if same else None
        return self._nearest(same, _unescaped(plain), near)

    def candidates(self, given: str) -> list[str]:
        """All image files of a base name, or of a stem if the name has no ending of images."""
        plain = _without_query(given)
        for base in (base_of(name).lower() for name in (plain, _unescaped(plain))):
            same = self._by_base.get(base, [])
            same = same if same or image_files([base]) else self._by_stem.get(base, [])
            if same:
                return same
        return []

    def __contains__(self, name: str) -> bool:
        """Whether there is an image file of this whole name."""
        return name in self._known

    def of_stem(self, name: str, near: str = "") -> str | None:
        """The image file named like another file, whatever the endings; see `find`."""
        plain = stem(name)
        same: dict[str, list[str]] = defaultdict(list)
        for one in self._by_stem.get(base_of(plain).lower(), ()):
            same[stem(one)].append(one)
        found = next(iter(same)) if len(same) == 1 else self._nearest(list(same), plain, near)
        return same[found][0] if found is not None and len(same[found]) == 1 else None

    def beside(self, name: str) -> str | None:
        """The only image file of the same stem in the folder of another file."""
        same = self._by_stem.get(stem(base_of(name)).lower(), ())
        found = [n for n in same if folder_of(n) == folder_of(name)]
        return found[0] if len(found) == 1 else None

    def ending_with(self, path: str) -> list[str]:
        """All image files below folders of this name, or whose name ends so."""
        wanted = path.strip("/")
        inner = f"/{wanted}/"
        return [n for n in self.names if inner in f"/{n}/" or f"/{n}".endswith(f"/{wanted}")]

    def _nearest(self, names: Sequence[str], given: str, near: str) -> str | None:
        parts = [p for p in given.lower().split("/") if p not in ("", ".", "..")]

        def common_end(name: str) -> int:
            own = name.lower().split("/")
            return next((n for n in range(1, len(own) + 1) if own[-n:] != parts[-n:]), len(own) + 1)

        most = max(map(common_end, names), default=0)
        best = [n for n in names if common_end(n) == most]
        if len(best) > 1:
            shared = {n: _common_start(folder_of(n), near) for n in best}
            best = [n for n in best if shared[n] == max(shared.values())]
        return best[0] if len(best) == 1 else None


def _without_query(name: str) -> str:
    return name.replace("\\", "/").partition("?")[0].strip()


def _unescaped(name: str) -> str:
    return unquote(name).replace("\\", "/")


def _common_start(one: str, other: str) -> int:
    count = 0
    for a, b in zip(one.split("/"), other.split("/"), strict=False):
        if a != b:
            break
        count += 1
    return count
