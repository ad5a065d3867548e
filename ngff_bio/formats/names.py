"""Names for groups of a store, made of whatever a source calls its files."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from ngff_bio.formats.images.headers import EXTENSIONS

#: Names that mean something of their own in a store, in lower case.
_TAKEN = {"ome", "labels", "tables", "tracks", "c", "zarr.json", "well", "con", "nul", "aux", "prn"}

_LONGEST = 120


def safe_name(original: str) -> str:
    """A store path component for a source's name: ASCII letters, digits, ``-``, ``_`` and ``.``.

    The Zarr v3 specification recommends these characters; colons, spaces and trailing dots besides
    cannot be stored on every file system. Picture endings are dropped (all of them:
    ``A9 p10d.tif.jpg`` is ``A9_p10d``), accents too. Two originals may give one name: use
    `safe_names` where they must not.
    """
    name = original.replace("\\", "/")
    while name.lower().endswith(EXTENSIONS) and name.rpartition(".")[0].rpartition("/")[2]:
        name = name.rpartition(".")[0]
    name = unicodedata.normalize("NFKD", name.replace("µ", "u").replace("μ", "u"))
    name = "".join(ch for ch in name if not unicodedata.combining(ch))
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", name)
    name = re.sub(r"^[._]+|[._]+$", "", name)
    if len(name) > _LONGEST or not name:
        name = f"{name[: _LONGEST - 9]}-{_digest(original)}" if name else f"x-{_digest(original)}"
    return f"{name}_" if name.lower() in _TAKEN else name


def safe_names(originals: Iterable[str]) -> dict[str, str]:
    """A safe name for each original, all different, on file systems without letter case too.

    Where several originals would have one name, each gets a digest of itself added, so that names
    do not depend on the order in which files are listed.
    """
    safe = {name: safe_name(name) for name in originals}
    counts = Counter(s.casefold() for s in safe.values())
    return {
        original: name if counts[name.casefold()] == 1 else f"{name}-{_digest(original)}"
        for original, name in safe.items()
    }


def _digest(original: str) -> str:
    return hashlib.sha256(original.encode("utf-8", "surrogatepass")).hexdigest()[:8]
