"""Keys of objects made of names that come from stored metadata."""

from __future__ import annotations

import re
from posixpath import normpath

from ngff_bio.errors import StoreError

#: Halves of characters, which JSON can escape.
_SURROGATES = re.compile("[\ud800-\udfff]")


def join_key(base: str, *names: str, file: str | None = None) -> str:
    """A key below another one, of names that a store's metadata gives.

    Parameters
    ----------
    base
        A path in the store; ``""`` is its root.
    names
        Relative paths, one below the other. A ``/`` at their end and ``.`` as a part are dropped.
    file
        The store or document that names them, for the error.

    Raises
    ------
    ngff_bio.errors.StoreError
        If a name is not a text, is absolute, a URL, leads upwards, or has a character that is not
        one of a key (NUL, backslash).
    """
    parts = [base] if base else []
    for name in names:
        if not isinstance(name, str) or not is_relative(name):
            raise _not_a_key(name, file)
        parts += [part for part in name.split("/") if part not in ("", ".")]
    return "/".join(parts)


def _not_a_key(name: object, file: str | None) -> StoreError:
    return StoreError(
        "a name leads out of the store",
        file=file,
        expected="a path in UTF-8 relative to its group, without '..'",
        found=repr(name)[:200],
    )


def is_relative(name: str) -> bool:
    """Whether a name leads to something below what names it: no absolute path, URL, ``..``, NUL.

    Nor may it have half a character (a lone surrogate), which no file system and no bucket takes.
    """
    return not (
        name.startswith("/")
        or (not name.isascii() and _SURROGATES.search(name) is not None)
        or "\\" in name
        or "\0" in name
        or "://" in name
        or name[1:3] in (":/", ":\\")
        or ".." in name.split("/")
    )


def is_key(path: str) -> bool:
    """Whether a path is that of a node below the root of a store, or of the root."""
    return not path or (is_relative(path) and not {"", "."} & set(path.split("/")))


def leads_out(path: str, target: str) -> bool:
    """Whether a relative path that may lead upwards from a node ends outside of the root."""
    below = [part for part in target.split("/") if part != ".."]
    end = normpath(f"{path or '.'}/{target}")
    return not is_relative("/".join(below)) or end == ".." or end.startswith("../")


def refuse_escape(key: str, url: str) -> None:
    """Raise if a key leads out of a storage: the last line of defence, cheap enough for each request.

    Raises
    ------
    ngff_bio.errors.StoreError
        As :func:`join_key`.
    """
    if (".." in key or "\0" in key or key[:1] in ("/", "\\")) and not is_relative(key):
        raise _not_a_key(key, url)


def checked_key(key: str, file: str | None = None) -> str:
    """The key, if it is one below the root of a store.

    Raises
    ------
    ngff_bio.errors.StoreError
        As :func:`join_key`.
    """
    if not is_key(key):
        raise _not_a_key(key, file)
    return key
