"""Damages a file in a way that fits its format, so that the damage gets past the first check of it."""

from __future__ import annotations

import gzip
import json
import lzma
import struct
from collections.abc import Callable
from random import Random
from typing import Any

#: Values that parsers of numbers, texts and lists trip over.
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, -0.0, 1000, 2**15, 65535, 65536),
    *(2**31 - 1, 2**31, -(2**31)),
    *(2**32 - 1, 2**32, 2**53 + 1, 2**63, 2**64, -(2**63), 10**30, 1e300, -1e300, 1e-300),
    *(float("inf"), float("-inf"), float("nan"), "", "0", "-1", "nan", " ", "a\0b", "\u202ex"),
    *("../../x", "/etc/passwd", "C:\\x.png", "\ud800", "x" * 300, "é\n\x1b[31m", [], {}, [[]]),
    *([0], [None], [-1, -1], {"": None}, [[1, 2]], {"a": [1]}, [1e308] * 6),
)

#: Numbers that headers trip over, by size in bytes.
EDGES = (
    *(0, 1, 2, 3, 7, 8, 255, 256, 32767, 65535, 1 << 16, 1 << 24),
    *((1 << 31) - 1, 1 << 31, (1 << 32) - 1),
)

JSON_NAMES = (".json", ".zattrs", ".zgroup", ".zarray", ".zmetadata")


def mutated(random: Random, name: str, data: bytes) -> bytes:
    """The bytes of a file with one or several faults."""
    kinds: list[Callable[[Random, bytes], bytes]] = [flipped, cut, spliced, numbered]
    lower = name.lower()
    if lower.endswith(JSON_NAMES):
        kinds = [json_value] * 8 + [json_text] * 2 + kinds
    elif lower.endswith((".tif", ".tiff")):
        kinds = [tiff_tag] * 6 + kinds
    elif lower.endswith(".zip"):
        kinds = [zip_header] * 6 + kinds
    elif lower.endswith(".tar"):
        kinds = [tar_header] * 6 + kinds
    elif lower.endswith((".csv", ".txt", ".xml")):
        kinds = [text_field] * 6 + kinds
    if lower.endswith((".tgz", ".txz")) and random.random() < 0.8:
        packing = gzip if lower.endswith(".tgz") else lzma
        return packing.compress(mutated(random, "a.tar", packing.decompress(data)))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        data = random.choice(kinds)(random, data)
    return data


def flipped(random: Random, data: bytes) -> bytes:
    """A few bits or bytes changed."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5, 20))):
        if changed:
            at = random.randrange(len(changed))
            changed[at] = random.choice((changed[at] ^ 1 << random.randrange(8), 0, 255))
    return bytes(changed)


def cut(random: Random, data: bytes) -> bytes:
    """Truncated, or without a part of the middle."""
    start = random.randrange(len(data) + 1)
    stop = random.choice((len(data), min(start + random.randrange(1, 200), len(data))))
    return data[:start] + data[stop:]


def spliced(random: Random, data: bytes) -> bytes:
    """A part repeated elsewhere."""
    start = random.randrange(len(data) + 1)
    piece = data[start : start + random.randrange(1, 400)]
    at = random.randrange(len(data) + 1)
    return data[:at] + piece + data[at + random.choice((0, len(piece))) :]


def numbered(random: Random, data: bytes) -> bytes:
    """A number at the edge of a type, somewhere near the start or the end."""
    where = random.choice((random.randrange(512), len(data) - random.randrange(1, 512)))
    return _put(random, data, max(min(where, len(data) - 1), 0), random.choice((2, 4, 8)))


def _put(random: Random, data: bytes, at: int, size: int) -> bytes:
    order: Any = random.choice(("little", "big"))
    number = random.choice(EDGES) & (1 << 8 * size) - 1
    return data[:at] + number.to_bytes(size, order) + data[at + size :]


def json_value(random: Random, data: bytes) -> bytes:
    """A value of a JSON text replaced, removed, moved or repeated."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return flipped(random, data)
    places: list[tuple[Any, Any]] = []
    _walk(content, places)
    if not places:
        return b"[]"
    # Deep values are many: half of the time one of the first levels is chosen.
    some = places[: max(len(places) // 50, 20)] if random.random() < 0.5 else places
    holder, key = random.choice(some)
    other, other_key = random.choice(places)
    match random.randrange(6):
        case 0:
            holder.pop(key)
        case 1:
            holder[key] = json.loads(json.dumps(other[other_key]))
        case 2 if isinstance(holder, list):
            holder.insert(key, json.loads(json.dumps(holder[key])))
        case 3 if isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
            holder[key] = holder[key] * random.choice((-1, 0.5, 1000, 1e9)) + random.choice((0, 1))
        case _:
            holder[key] = random.choice(VALUES)
    return json.dumps(content, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")


def _walk(value: Any, places: list[tuple[Any, Any]]) -> None:
    """Every place of a value, those of the outer levels first."""
    level = [value]
    while level:
        below = []
        for holder in level:
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            places += [(holder, key) for key in keys]
            below += [holder[key] for key in keys if isinstance(holder[key], dict | list)]
        level = below


def json_text(random: Random, data: bytes) -> bytes:
    """Text that is JSON no more, or barely."""
    deep = b"[" * 100_000 + b"]" * 100_000
    at = random.randrange(len(data) + 1)
    pieces = (b"//", b"NaN", b"1" * 5000, b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\0", b",", deep)
    return random.choice(
        (
            data[:at] + random.choice(pieces) + data[at:],
            b"\xef\xbb\xbf" + data,
            data.decode("utf-8", "replace").encode("utf-16"),
            deep,
            b"",
        )
    )


def text_field(random: Random, data: bytes) -> bytes:
    """A field of a table replaced."""
    fields = data.replace(b"\n", b"\n,").split(b",")
    value = str(random.choice(VALUES)).encode("utf-8", "replace")
    fields[random.randrange(len(fields))] = value
    return b",".join(fields).replace(b"\n,", b"\n")


def tiff_tag(random: Random, data: bytes) -> bytes:
    """An entry of a TIFF's directory changed: tag, type, count or value."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        (at,) = struct.unpack_from(order + "I", data, 4)
        pages = []
        while at and at not in pages and len(pages) < 50:
            pages.append(at)
            (count,) = struct.unpack_from(order + "H", data, at)
            (at,) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)
        page = random.choice(pages)
        (count,) = struct.unpack_from(order + "H", data, page)
        entry = page + 2 + 12 * random.randrange(count)
        offset, size = random.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 4), (8, 2)))
        number = random.choice((*EDGES, *range(1, 20))) & (1 << 8 * size) - 1
        changed = bytearray(data)
        struct.pack_into(order + ("H" if size == 2 else "I"), changed, entry + offset, number)
        return bytes(changed)
    except (struct.error, IndexError, ValueError):
        return flipped(random, data)


def zip_header(random: Random, data: bytes) -> bytes:
    """A field of a local or central header changed."""
    marks = [i for m in (b"PK\1\2", b"PK\3\4", b"PK\5\6") for i in _all(data, m)]
    at = random.choice(marks) + random.randrange(4, 50) if marks else 0
    return _put(random, data, min(at, len(data) - 1), random.choice((1, 2, 4)))


def _all(data: bytes, mark: bytes) -> list[int]:
    found, at = [], data.find(mark)
    while at >= 0:
        found.append(at)
        at = data.find(mark, at + 1)
    return found


#: Start and length of name, mode, size, time, type, link and prefix in the header of a tar.
TAR_FIELDS = ((0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (157, 100), (345, 155))


def tar_header(random: Random, data: bytes) -> bytes:
    """A field of a header changed, with the right checksum."""
    headers = [i for i in range(0, len(data), 512) if data[i + 257 : i + 262] == b"ustar"]
    if not headers:
        return flipped(random, data)
    start = random.choice(headers)
    block = bytearray(data[start : start + 512])
    at, size = random.choice(TAR_FIELDS)
    value = random.choice(
        (
            b"\x80" + bytes(max(size - 9, 0)) + random.randbytes(8),
            b"\xff" * size,
            b"7" * size,
            b"-1",
            b"L" if size == 1 else b"../../x",
            random.choice(b"0123456789xgLKSDN").to_bytes(1, "big"),
        )
    )
    block[at : at + size] = value[:size].ljust(size, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return data[:start] + bytes(block) + data[start + 512 :]
