"""Metadata documents: JSON objects of groups and arrays, read and written, for Zarr v2 and v3.

The metadata of a store is not trusted: :class:`store_errors` is the one place where whatever a
parser raises becomes a :class:`ngff_bio.errors.StoreError` with file and record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

import msgspec

from ngff_bio.errors import NgffBioError, StoreError, plain_reason
from ngff_bio.storage import Storage

T = TypeVar("T")

#: A metadata document, or the attributes in one.
Document: TypeAlias = dict[str, Any]

#: Names of the documents of a node, by Zarr format.
DOCUMENT_NAMES = {2: (".zgroup", ".zarray", ".zattrs"), 3: ("zarr.json",)}

#: JSON text that has not been parsed yet, or the value that it stands for.
Pending: TypeAlias = msgspec.Raw | bytes | object


class store_errors:  # noqa: N801 - a context manager, used like a function
    """Raise whatever a parser makes of stored bytes as a StoreError.

    Errors of this package, of the system and of memory pass as they are.

    Parameters
    ----------
    what
        What is wrong, if anything is.
    parts
        ``file``, ``record``, ``expected``, ``hint`` of the error.
    """

    __slots__ = ("parts", "what")

    def __init__(self, what: str, **parts: Any) -> None:
        self.what, self.parts = what, parts

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception) or isinstance(
            error, NgffBioError | OSError | MemoryError
        ):
            return
        raise StoreError(self.what, found=plain_reason(error)[:300], **self.parts) from error


def parse_json(data: object, file: str) -> Document:
    """A JSON object from text.

    Raises
    ------
    ngff_bio.errors.StoreError
        If it is not one.
    """
    with store_errors("metadata is not JSON", file=file):
        content = _decoded(data)
    if not isinstance(content, dict):
        raise StoreError("metadata is not a JSON object", file=file, found=type(content).__name__)
    return content


def _decoded(data: Any) -> object:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        return json.loads(bytes(data))  # takes NaN, which some writers put into attributes


def split_json(data: Any, file: str, *inner: str) -> dict[str, Pending]:
    """The members of a JSON object, each as text of its own that is parsed when it is needed.

    Parameters
    ----------
    inner
        Keys that lead to the object, from the outermost one.
    """
    if isinstance(data, msgspec.Raw | bytes):
        try:
            members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
            for name in inner:
                members = msgspec.json.decode(members[name], type=dict[str, msgspec.Raw])
            return dict(members)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
            data = parse_json(data, file)
    for name in ("", *inner):
        data = (data.get(name) or {}) if name else data
        if not isinstance(data, dict):
            raise StoreError("metadata is not a JSON object", file=file, record=name or None)
    return dict(data)


def parse_member(raw: object, file: str, record: str) -> object:
    """The value of a member of :func:`split_json`: any JSON."""
    if not isinstance(raw, msgspec.Raw | bytes):
        return raw
    with store_errors("metadata is not JSON", file=file, record=record):
        return _decoded(raw)


def to_json(document: Mapping[str, object], *, compact: bool = False) -> bytes:
    """Indented for people; without white space where all of a store is in it."""
    text = _encoded(document, separators=(",", ":"))
    if compact:
        return text
    try:
        return msgspec.json.format(text, indent=2)  # json indents ten times slower
    except msgspec.DecodeError:  # NaN or infinity, which is not JSON
        return _encoded(document, indent=2)


def _encoded(document: Mapping[str, object], **layout: Any) -> bytes:
    try:
        return json.dumps(document, ensure_ascii=False, **layout).encode()
    except UnicodeEncodeError:  # half of a surrogate pair in a text: only an escape stands for it
        return json.dumps(document, **layout).encode()


def node_key(path: str, name: str) -> str:
    """Key of a document of the node at a path."""
    return f"{path}/{name}" if path else name


def load_document(storage: Storage, key: str) -> Document | None:
    """A document; ``None`` if there is none."""
    data = storage.get(key)
    return None if data is None else parse_json(data, f"{storage.url}/{key}")


def load_node(storage: Storage, path: str, zarr_format: int) -> Document | None:
    """The document of a node in the form of Zarr v3's ``zarr.json``; ``None`` if there is none.

    With Zarr v2 it takes two requests for most nodes.
    """
    if zarr_format == 3:
        return load_document(storage, node_key(path, "zarr.json"))
    attributes = load_document(storage, node_key(path, ".zattrs"))
    grouped = attributes is not None and not attributes.get("_ARRAY_DIMENSIONS")
    for name in (".zgroup", ".zarray") if grouped else (".zarray", ".zgroup"):
        document = load_document(storage, node_key(path, name))
        if document is not None:
            return v2_node({name: document, ".zattrs": attributes or {}})
    return None


def v2_node(documents: Mapping[str, Document]) -> Document:
    """The form of Zarr v3 for the documents of a Zarr v2 node, by their names."""
    kind = "array" if ".zarray" in documents else "group"
    content = documents.get(".zarray") or documents.get(".zgroup") or {}
    return {**content, "node_type": kind, "attributes": documents.get(".zattrs") or {}}


def split_by_node(flat: Mapping[str, T]) -> dict[str, dict[str, T]]:
    """Documents of ``.zmetadata``: by path of the node, then by name."""
    nodes: dict[str, dict[str, T]] = {}
    for key, document in flat.items():
        path, _, name = key.rpartition("/")
        if name in DOCUMENT_NAMES[2]:
            nodes.setdefault(path, {})[name] = document
    return nodes


def attributes_of(document: Document | None) -> Document:
    """Attributes of a node; empty if there are none."""
    found = (document or {}).get("attributes")
    return found if isinstance(found, dict) else {}
