"""JSON as values: parsing, checking the types of records, and recognizing a file's kind.

Whatever a parser raises becomes one `SourceError` that names the file.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, Never, TypeAlias, TypeVar, overload

import msgspec

from ngff_bio.errors import SourceError, plain_reason, plain_type
from ngff_bio.formats.problems import SourceRecord
from ngff_bio.model import SourceFile
from ngff_bio.parallel import decoder_of

T = TypeVar("T")

JsonKind = Literal[
    "coco", "labelme", "coco-panoptic", "via", "label-studio", "supervisely", "geojson", "datumaro"
]

#: A parsed JSON object.
JsonObject: TypeAlias = dict[str, Any]

#: Bytes at each end of a file that are searched for the keys of a format, or for comments.
_SNIFFED = 1 << 16

_SHAPES = re.compile(rb'"shapes"\s*:\s*\[')
_SHAPE = re.compile(rb'"(?:points|shape_type)"\s*:|"shapes"\s*:\s*\[\s*\]')
_LABELME = re.compile(rb'"(?:imageData|imagePath)"\s*:')
_PANOPTIC = re.compile(rb'"segments_info"\s*:\s*\[')
_VIA = re.compile(rb'"_via_(?:img_metadata|settings)"\s*:|"data_format_version"\s*:\s*"3\.')
_VIA_FILE = (re.compile(rb'"regions"\s*:\s*[\[{]'), re.compile(rb'"filename"\s*:\s*"'))
_TASKS = (re.compile(rb'"(?:annotations|completions)"\s*:\s*\['), re.compile(rb'"data"\s*:\s*\{'))
_RESULT = re.compile(
    rb'"(?:original_width|(?:rectangle|polygon|ellipse|brush|keypoint)labels)"\s*:'
)
_SUPERVISELY = (
    re.compile(rb'"objects"\s*:\s*\['),
    re.compile(rb'"size"\s*:\s*\{\s*"(?:height|width)"\s*:'),
)
_DATUMARO = re.compile(
    rb'"dm_format_version"\s*:|"categories"\s*:\s*\{\s*(?:\}|"(?:label|mask|points)"\s*:\s*\{)'
)
_GEOJSON = re.compile(rb'"type"\s*:\s*"Feature(?:Collection)?"')
#: JSON of Hasty, Segments.ai and V7 Darwin: with lists `images` or `annotations` of their own.
_OTHERS = re.compile(
    rb'"(?:export_format_version|project_name|label_status)"\s*:\s*"|"item"\s*:\s*\{'
)
_COCO = re.compile(rb'"(images|annotations|categories)"\s*:\s*[\[{]')

#: An escape of half a character; pairs of them are one.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

#: A comment after something that can stand before one in JSON.
_COMMENT = re.compile(rb'(?:^|[\[\]{},"\d])\s*(?://|/\*|#)')


def json_kind(file: SourceFile) -> JsonKind | None:
    """The annotation format that a JSON file seems to have, by its first and last 64 KiB.

    ``None`` if it is another kind of JSON, or not JSON. labelme files have ``shapes``, ``imagePath``
    or ``imageData``; COCO files a list or object ``images`` or ``annotations``, panoptic ones with
    ``segments_info``; VIA ``regions`` of a ``filename``; Label Studio a list of tasks; Supervisely
    ``objects`` and a ``size``; GeoJSON features; Datumaro categories by the kind of annotation.
    """
    with file.open() as stream:
        head = stream.read(_SNIFFED)
        start = head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
        if start in (b"[", b"{") and _GEOJSON.search(head):
            return "geojson"
        if start == b"[":
            tasks = all(one.search(head) for one in _TASKS) or _RESULT.search(head)
            return "label-studio" if tasks else None
        if start != b"{":
            return None
        if _SHAPES.search(head) and (_SHAPE.search(head) or _LABELME.search(head)):
            return "labelme"
        if _DATUMARO.search(head):
            return "datumaro"
        if _VIA.search(head):
            return "via"
        # A long `annotations` or `info` may come first, and the other keys at the end.
        stream.seek(max(file.size - _SNIFFED, 0))
        tail = stream.read(_SNIFFED)
    if _PANOPTIC.search(head) or _PANOPTIC.search(tail):
        return "coco-panoptic"
    keys = {*_COCO.findall(head)}
    if keys < {b"images", b"annotations"} and _OTHERS.search(head):
        return None
    if keys and (keys != {b"categories"} or file.size > _SNIFFED):
        return "coco"
    if _LABELME.search(head):
        return "labelme"
    if all(one.search(head) for one in _VIA_FILE):
        return "via"
    if all(one.search(head) for one in _SUPERVISELY):
        return "supervisely"
    return "coco" if len(set(_COCO.findall(tail))) > 1 else None


def parse_json(
    data: bytes,
    name: str,
    kind: Any = Any,
    *,
    record: str | None = None,
    lenient: bool = False,
    unique_keys: bool = False,
) -> Any:
    """The value of a JSON text in UTF-8, with or without a byte order mark.

    Parameters
    ----------
    data
        The text.
    name, record
        The file's name, and the part of it that is parsed, for error messages.
    kind
        Type that msgspec decodes to: ``dict[str, msgspec.Raw]`` leaves the members unparsed.
    lenient
        Accept NaN, Infinity and floats beyond their range, as Python's own parser does.
    unique_keys
        Refuse an object that has a key twice: readers differ in which of the two they take.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is empty, truncated, not UTF-8, nested too deeply, has comments, NaN or numbers out of
        range, is not of `kind`, or is not JSON otherwise.
    """
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        if unique_keys:
            return json.loads(
                data.decode(), object_pairs_hook=_unique(name), parse_constant=_not_json
            )
        try:
            return decoder_of(kind).decode(data)
        except msgspec.DecodeError:
            if not lenient:
                raise
            value = json.loads(data.decode())
            if _SURROGATE.search(data):  # half of a character, which no text can store
                json.dumps(value, ensure_ascii=False).encode()
            return value
    except SourceError:
        raise
    except (ValueError, RecursionError) as error:
        if isinstance(error, msgspec.ValidationError) and kind is not Any:
            raise SourceError(
                "the file does not contain a JSON object",
                file=name,
                record=record,
                expected="a JSON object",
                found=repr(data[:40].decode("utf-8", "replace")),
            ) from error
        raise invalid_json(name, data, error, record=record) from error


def _unique(name: str) -> Callable[[list[tuple[str, object]]], JsonObject]:
    def checked(pairs: list[tuple[str, object]]) -> JsonObject:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            raise SourceError(
                "a JSON object has a key twice",
                file=name,
                record=f"key {next(k for k in keys if keys.count(k) > 1)!r}",
                expected="each key once",
                hint="rename or remove one of the two",
            )
        return found

    return checked


def _not_json(text: str) -> Never:
    raise ValueError(f"{text} is not a JSON number")


def invalid_json(
    name: str,
    text: bytes = b"",
    error: object = None,
    *,
    record: str | None = None,
    expected: str = "JSON in UTF-8",
) -> SourceError:
    """The error for text that cannot be parsed as JSON.

    Parameters
    ----------
    text
        The start of the file, or as much of it as is known: what is wrong is looked for in it.
    error
        What the parser says.
    """
    found = plain_reason(error) if isinstance(error, Exception) else str(error)
    hint = "check the file with a JSON tool, or download or copy it again"
    if isinstance(error, RecursionError):
        hint = "check that it is an annotation file"
    elif not text.strip() and record is None:
        found = "an empty file"
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        hint = "save the file in UTF-8"
    elif has_comments(text):
        hint = "JSON has no comments: remove them"
    return SourceError(
        "the file is not valid JSON",
        file=name,
        record=record,
        expected=expected,
        found=found,
        hint=hint,
    )


def has_comments(text: bytes) -> bool:
    """Whether malformed JSON seems to have comments."""
    return _COMMENT.search(text[:_SNIFFED]) is not None


@overload
def checked(value: object, kind: type[T], at: SourceRecord) -> T: ...
@overload
def checked(value: object, kind: object, at: SourceRecord) -> Any: ...
def checked(value: object, kind: object, at: SourceRecord) -> object:
    """A parsed JSON value as a typed one: an instance of a `msgspec.Struct`, for instance.

    Floats without a fraction count as integers.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the value does not have the type; the error then names the member: ``images[3].height``.
    """
    decoder_of(kind)
    try:
        return msgspec.convert(value, kind)
    except UnicodeEncodeError as error:  # of a key: half of a surrogate pair
        raise at.error("a key is not Unicode text", found=ascii(error.object)) from error
    except msgspec.ValidationError:
        try:
            return msgspec.convert(_with_integers(value), kind)
        except msgspec.ValidationError as error:
            expected, path, missing = _parts_of(str(error))
            raise at.member(path).error(
                "a value has the wrong type" if not missing else "a value is missing",
                expected=expected,
                found=shown(_member(value, path)) if not missing else "no such key",
            ) from error


def _with_integers(value: object) -> object:
    """The value with each float that has no fraction as an integer."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list):
        return [_with_integers(v) for v in value]
    if isinstance(value, Mapping):
        return {k: _with_integers(v) for k, v in value.items()}
    return value


def _parts_of(message: str) -> tuple[str | None, str, bool]:
    """What msgspec expected, the path at which (``.points[0]``), and whether it is missing."""
    text, _, path = message.partition(" - at `$")
    text, path = text.replace("`", ""), path.rstrip("`")
    expected = plain_type(text.removeprefix("Expected ").partition(", got ")[0])
    missing = text.removeprefix("Object missing required field ")
    if missing != text:
        return None, f"{path}.{missing}", True
    return expected, path, False


def _member(value: Any, path: str) -> object:
    for name, number in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        value = value[name] if name else value[int(number)]
    return value


def shown(value: object) -> str:
    """A value for an error message: JSON text of at most 80 characters."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 80 else f"{text[:77]}..."
