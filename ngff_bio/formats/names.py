"""Names for groups of a store, from the names of a source's files."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from ngff_bio.formats.images.headers import EXTENSIONS

#: Names with a meaning of their own in a store or on Windows, in lower case.
_TAKEN = {"ome", "labels", "tables", "tracks", "c", "zarr.json", "well", "con", "nul", "aux", "prn"}

_LONGEST = 120


def safe_name(original: str) -> str:
    """A store path component for a source's name: ASCII letters, digits, ``-``, ``_`` and ``.``.

    The Zarr v3 specification recommends these characters; colons, spaces and trailing dots cannot
    be stored on every file system. All extensions of image files (``A9 p10d.tif.jpg`` becomes
    ``A9_p10d``) and accents are removed. Two originals may give the same name: see `safe_names`.
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
    """A safe name for each original, all different, also on case-insensitive file systems.

    If several originals have the same name, a digest of the original is appended to each, so that
    names do not depend on the order of files.
    """
    safe = {name: safe_name(name) for name in originals}
    counts = Counter(s.casefold() for s in safe.values())
    return {
        original: name if counts[name.casefold()] == 1 else f"{name}-{_digest(original)}"
        for original, name in safe.items()
    }


def _digest(original: str) -> str:
    return hashlib.sha256(original.encode("utf-8", "surrogatepass")).hexdigest()[:8]
