"""What is known about a dataset: options, a file ``dataset.yaml``, and what the store says itself."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ngff_bio.errors import ArgumentError, closest_names
from ngff_bio.viewing.landing import Description

_NAMES = tuple(f.name for f in fields(Description))
_LISTS = ("keywords", "creators")

#: American spelling, and names of schema.org.
_ALIASES = {"license": "licence", "name": "title", "authors": "creators"}

_FORMS = {
    "taxon": (re.compile(r"(?:NCBI:txid)?(\d+)"), "an NCBI taxon such as 9606"),
    "fbbi": (re.compile(r"(?:obo:)?(?:FBbi[_:])?(\d{8})"), "a term such as FBbi_00000246"),
}

_CREATIVE_COMMONS = re.compile(
    r"CC[ -](?P<kind>BY(?:-NC)?(?:-SA|-ND)?)[ -](?P<version>\d\.\d)|(?P<zero>CC0)(?:[ -]1\.0)?",
    re.I,
)


def describe_dataset(
    known: Description, file: str | os.PathLike[str] | None, given: Mapping[str, Any]
) -> Description:
    """Options before the file, and the file before what the store says.

    Parameters
    ----------
    known
        What the store says.
    file
        A YAML file with members of :class:`Description`.
    given
        Members by name; ``None`` where an option is not given.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the file cannot be read, has an unknown member or one of a wrong form.
    """
    found: dict[str, Any] = {}
    if file is not None:
        for key, value in _read(Path(file)).items():
            name = _ALIASES.get(str(key), str(key))
            if name not in _NAMES:
                raise ArgumentError(
                    "unknown member in the description of the dataset",
                    file=file,
                    expected=closest_names(name, _NAMES),
                    found=key,
                )
            found[name] = value
    found |= {name: value for name, value in given.items() if value is not None}
    return replace(known, **{name: _checked(name, value) for name, value in found.items()})


def _read(file: Path) -> dict[Any, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ArgumentError(
            "the description of the dataset cannot be read", file=file, found=error
        ) from error
    if not isinstance(content, dict):
        raise ArgumentError("the description is not a mapping", file=file, expected="title: ...")
    return content


def _checked(name: str, value: Any) -> Any:
    if name in _LISTS:
        items = value if isinstance(value, list | tuple) else [value]
        if not all(isinstance(i, str | int | float) for i in items):
            raise ArgumentError(f"{name} are not a list of texts", found=repr(value)[:200])
        return tuple(str(i) for i in items)
    if not isinstance(value, str | int | float):
        raise ArgumentError(f"{name} is not a text", found=repr(value)[:200])
    text = " ".join(str(value).split())
    if name in _FORMS and text:
        pattern, expected = _FORMS[name]
        match = pattern.fullmatch(text)
        if match is None:
            raise ArgumentError(f"{name} has another form", expected=expected, found=text)
        text = match[1]
    return text


def licence_url(licence: str) -> str | None:
    """The URL of a Creative Commons licence, or of one that is a URL; ``None`` for others."""
    if licence.startswith(("https://", "http://")):
        return licence
    match = _CREATIVE_COMMONS.fullmatch(licence.strip())
    if match is None:
        return None
    if match["zero"]:
        return "https://creativecommons.org/publicdomain/zero/1.0/"
    return f"https://creativecommons.org/licenses/{match['kind'].lower()}/{match['version']}/"
