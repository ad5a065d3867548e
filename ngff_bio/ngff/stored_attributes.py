"""The attribute ``ngff_bio`` of a stored group: what is read of it has the types of its schema.

The schemas themselves are in `ngff_bio.ngff.attributes`, whose models take long to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ngff_bio.errors import StoreError, plain_reason
from ngff_bio.ngff.schema_version import KEY, newer_than_known
from ngff_bio.parallel import decoder_of

_Fields = dict[str, Any]


class _Category(msgspec.Struct):
    id: int | str
    name: str
    color: tuple[int, int, int, int] | None = None
    record: _Fields | None = None


class _Frame(msgspec.Struct):
    name: str
    t: int = 0
    size: tuple[int, int] | None = None
    elapsed_hours: float | None = None
    splits: list[str] | None = None
    record: _Fields | None = None


class _Attributes(msgspec.Struct):
    """Keys of all kinds; those that a newer version has added are ignored."""

    kind: str | None = None
    name: str | None = None
    source: str | None = None
    converter: _Fields | None = None
    options: _Fields | None = None
    licence: str | None = None
    citation: str | None = None
    splits: list[str] | None = None
    images: int | None = None
    groups: list[str] | None = None
    frames: list[_Frame] | None = None
    layer: str | None = None
    values: str | None = None
    categories: list[_Category] | None = None
    table: str | None = None
    hidden: list[str] | None = None
    hides: str | None = None
    tracked: bool | None = None
    tracks: str | None = None
    attributes: _Fields | None = None
    dataset: _Attributes | None = None


def own_attributes(attributes: Mapping[str, Any] | None, file: str) -> dict[str, Any]:
    """What a group has under the key ``ngff_bio``; empty if there is nothing.

    Of attributes of a newer major version, keys with other types are left out.

    Parameters
    ----------
    attributes
        All attributes of the group.
    file
        For messages.

    Raises
    ------
    ngff_bio.errors.StoreError
        If a key that is read has another type than its schema says.
    """
    found = (attributes or {}).get(KEY)
    if found is None:
        return {}
    wrong = _fault(found)
    if wrong is None:
        return dict(found)
    if newer_than_known(found) and isinstance(found, dict):
        return {key: value for key, value in found.items() if _fault({key: value}) is None}
    raise StoreError(
        f"the attributes {KEY!r} of a group cannot be understood", file=file, found=wrong
    )


def _fault(found: object) -> str | None:
    decoder_of(_Attributes)  # makes `convert` safe in threads
    try:
        msgspec.convert(found, _Attributes)
    except (msgspec.ValidationError, RecursionError, UnicodeEncodeError) as error:
        return plain_reason(error)
    return None
