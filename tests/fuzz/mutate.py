"""Damage that fits any file, any text and any JSON."""

from __future__ import annotations

import json
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
    return put_number(random, data, max(min(where, len(data) - 1), 0), random.choice((2, 4, 8)))


def put_number(random: Random, data: bytes, at: int, size: int) -> bytes:
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
    level = [value] if isinstance(value, dict | list) else []
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
