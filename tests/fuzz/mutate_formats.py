"""Damages a file in a way that fits its format, so that the damage gets past the first check of it."""

from __future__ import annotations

import gzip
import io
import lzma
import re
import struct
import zlib
from collections.abc import Callable
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
from fuzz.mutate import (
    EDGES,
    VALUES,
    cut,
    flipped,
    json_text,
    json_value,
    numbered,
    put_number,
    spliced,
    text_field,
)

from ngff_bio.checksums import crc32c
from ngff_bio.zarrio.journal import sealed

JSON_NAMES = (".json", ".geojson", ".ipynb", ".zattrs", ".zgroup", ".zarray", ".zmetadata")

Mutation = Callable[[Random, bytes], bytes]


def mutated(random: Random, name: str, data: bytes) -> bytes:
    """The bytes of a file with one or several faults."""
    lower = name.lower()
    if lower.endswith((".tgz", ".txz")) and random.random() < 0.8:
        packing = gzip if lower.endswith(".tgz") else lzma
        return packing.compress(mutated(random, "a.tar", packing.decompress(data)))
    if lower.endswith(".json") and len(lines := data.splitlines()) == 2 and len(lines[1]) == 8:
        changed = mutated(random, name, lines[0])  # the state of a write, with its checksum
        right = random.random() < 0.7 and not lower.endswith("append.json")  # which holds documents
        return sealed(changed) if right else changed + data[len(lines[0]) :]
    special = fitting(lower, data)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        fits = special and random.random() < 0.75
        kind = random.choice(special if fits else [flipped, cut, spliced, numbered])
        try:
            data = kind(random, data)
        except (ValueError, IndexError, struct.error, zlib.error, OSError):  # damaged before
            data = flipped(random, data)
    return data


def fitting(name: str, data: bytes) -> list[Mutation]:
    """Mutations that know the format of a file."""
    if name.endswith(JSON_NAMES):
        return [json_value] * 4 + [json_text]
    if name.endswith(".request"):
        return [request_line]
    if name.endswith(".arguments"):
        return [argument]
    if name.endswith(".xml"):
        return [xml_value]
    if name.endswith((".csv", ".tsv", ".txt", ".yaml", ".yml")):
        return [text_field]
    for start, found in STARTS.items():
        if data.startswith(start):
            return found
    if data[257:262] == b"ustar":
        return [tar_header]
    parts = name.split("/")
    return [shard, inner_chunk] if "c" in parts or name.rpartition("/")[2].isdecimal() else []


def passes_header(name: str, before: bytes, after: bytes) -> bool:
    """Whether what a reader looks at first is as before: the first bytes, or the first of JSON."""
    if name.lower().endswith(JSON_NAMES):
        return after.lstrip()[:1] == before.lstrip()[:1]
    if before[257:262] == b"ustar":
        return after[257:262] == b"ustar"
    return bool(after) and after[:2] == before[:2]


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
    return put_number(random, data, min(at, len(data) - 1), random.choice((1, 2, 4)))


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


def text_in_tiff(random: Random, data: bytes) -> bytes:
    """A value of OME-XML, or of ImageJ's lines, in the description of a TIFF; its length stays."""
    spans = [m.span(1) for m in re.finditer(rb'="([^"]{1,40})"', data)]
    spans += [m.span(1) for m in re.finditer(rb"\n[A-Za-z]+=([^\n]{1,30})(?=\n)", data)]
    if not spans:
        return tiff_tag(random, data)
    start, stop = random.choice(spans)
    value = str(random.choice((*VALUES, *range(40)))).encode("utf-8", "replace")
    if random.random() < 0.5:  # digits only, so that it stays a number
        value = str(random.choice((*EDGES, 10**9, 10**19, -1))).encode()
    return data[:start] + value[: stop - start].ljust(stop - start) + data[stop:]


def xml_value(random: Random, data: bytes) -> bytes:
    """An attribute or a text of XML replaced, or an element removed or repeated."""
    match random.randrange(4):
        case 0:
            spans = [m.span() for m in re.finditer(rb"<(\w+)[^<>]*(/>|>[^<>]*</\1>)", data)]
        case _:
            spans = [m.span(1) for m in re.finditer(rb'="([^"<>]*)"|(?<=>)([^<>\s]+)(?=<)', data)]
            spans = [span for span in spans if span[0] >= 0]
    if not spans:
        return flipped(random, data)
    start, stop = random.choice(spans)
    value = str(random.choice(VALUES)).encode("utf-8", "replace").replace(b"<", b"")
    if data[start : start + 1] == b"<":
        value = random.choice((b"", data[start:stop] * 2))
    return data[:start] + value + data[stop:]


def png_chunk(random: Random, data: bytes) -> bytes:
    """A chunk of a PNG changed, with its right checksum."""
    at, chunks = 8, []
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    if not chunks:
        return flipped(random, data)
    number = random.choice((0, random.randrange(len(chunks))))
    kind, content = chunks[number]
    match random.randrange(5):
        case 0:
            chunks.pop(number)
        case 1:
            chunks.insert(random.randrange(len(chunks)), chunks[number])
        case 2 if kind == b"IDAT":
            unpacked = zlib.decompressobj().decompress(content, 1 << 20)
            chunks[number] = (kind, zlib.compress(cut(random, unpacked)))
        case 3:
            names = (b"tRNS", b"PLTE", b"acTL", b"iCCP", b"IEND", b"zTXt", kind)
            chunks[number] = (random.choice(names), content)
        case _:
            content = random.choice((flipped, numbered, put_somewhere))(random, content or b"\0")
            chunks[number] = (kind, content)
    return data[:8] + b"".join(
        struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks
    )


def put_somewhere(random: Random, data: bytes) -> bytes:
    """A number at the edge of a type, anywhere."""
    return put_number(random, data, random.randrange(len(data) or 1), random.choice((1, 2, 4)))


def jpeg_segment(random: Random, data: bytes) -> bytes:
    """A segment before the scan of a JPEG changed, repeated or removed."""
    at, segments = 2, []
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        (size,) = struct.unpack_from(">H", data, at + 2)
        segments.append(data[at : at + 2 + size])
        at += 2 + size
    if not segments:
        return flipped(random, data)
    number = random.randrange(len(segments))
    match random.randrange(5):
        case 0:
            segments.pop(number)
        case 1:
            segments.insert(number, segments[number])
        case 2:
            kind = random.choice((0xC0, 0xC1, 0xC2, 0xC9, 0xDD, 0xE0, 0xE1, 0xEE))
            segments[number] = b"\xff" + bytes([kind]) + segments[number][2:]
        case _:
            content = random.choice((flipped, put_somewhere))(random, segments[number][2:])
            segments[number] = segments[number][:2] + content
    return data[:2] + b"".join(segments) + data[at:]


def parquet(random: Random, data: bytes) -> bytes:
    """A table with another type, another value, fewer or more columns."""
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError):
        return flipped(random, data)
    number = random.randrange(table.num_columns)
    name, column = table.column_names[number], table.column(number)
    rows = table.num_rows
    match random.randrange(6):
        case 0:
            table = table.remove_column(number)
        case 1:
            table = table.append_column(name, column)
        case 2:
            table = table.slice(0, random.randrange(rows + 1))
        case 3:
            values = column.to_pylist()
            if values:
                values[random.randrange(rows)] = random.choice((None, *values))
            table = table.set_column(number, name, pa.array(values, column.type))
        case 4:
            numbers = [random.choice((*EDGES, -1, None)) for _ in range(rows)]
            table = table.set_column(number, name, pa.array(numbers, pa.int64()))
        case _:
            texts = ["x\0", "", "../..", "\u202e", "NaN", "1", None]
            table = table.set_column(number, name, pa.array(random.choices(texts, k=rows)))
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def shard(random: Random, data: bytes) -> bytes:
    """An entry of the index at the end of a shard changed, with its right checksum."""
    for count in range(1, min(len(data) // 16, 4096) + 1):
        index = data[-16 * count - 4 : -4]
        if len(index) == 16 * count and crc32c(index) == int.from_bytes(data[-4:], "little"):
            at, size = random.randrange(2 * count) * 8, random.choice((1, 2, 4, 8))
            index = put_number(random, index, at, size)
            return data[: -16 * count - 4] + index + crc32c(index).to_bytes(4, "little")
    return flipped(random, data)


def inner_chunk(random: Random, data: bytes) -> bytes:
    """Compressed bytes changed, with the right checksum at the end of the object or of a chunk."""
    if len(data) < 8:
        return flipped(random, data)
    ends = [n for n in range(8, min(len(data), 4096)) if _sealed(data[:n])] or [len(data)]
    end = random.choice(ends[:3])
    content = random.choice((flipped, put_somewhere))(random, data[: end - 4])[: end - 4]
    return content + crc32c(content).to_bytes(4, "little") + data[end:]


def _sealed(data: bytes) -> bool:
    return crc32c(data[:-4]) == int.from_bytes(data[-4:], "little")


PIECES = (
    *(b"%00", b"/..", b"%2e%2e/", b"//", b"\\", b"?a=b", b"#", b"%", b"%ff", b"\xff", b"\0", b" "),
    *(b"a" * 5000, b"9" * 5000, b"-", b"bytes=", b"0-0,5-", b"\r\n", b"\r\nRange: bytes=-0"),
    *(b"http://[", b"HTTP/9.9", b"POST", b"Content-Length: 99999999999999999999", b"Expect: 100"),
)


def request_line(random: Random, data: bytes) -> bytes:
    """A request of HTTP with something inserted, replaced or repeated."""
    parts = re.split(rb"([ /\r\n:=-]+)", data)
    number = random.randrange(len(parts))
    match random.randrange(4):
        case 0:
            parts[number] = random.choice(PIECES)
        case 1:
            parts.insert(number, random.choice(PIECES))
        case 2:
            parts.insert(number, random.choice(parts))
        case _:
            parts.pop(number)
    return b"".join(parts)


def argument(random: Random, data: bytes) -> bytes:
    """A line of arguments, separated by NUL, with one changed, repeated or removed."""
    parts = data.split(b"\0")
    number = random.randrange(1, len(parts)) if len(parts) > 1 else 0
    value = str(random.choice(VALUES)).encode("utf-8", "replace").replace(b"\0", b"")
    match random.randrange(6):
        case 0:
            parts.pop(number)
        case 1:
            parts.insert(number, random.choice(parts))
        case 2:
            option, equals, _ = parts[number].partition(b"=")
            parts[number] = option + equals + value
        case 3:
            parts.insert(
                number, random.choice((b"--", b"-", b"--json", b"--limit", b"-O", b"--image"))
            )
        case _:
            parts[number] = value
    return b"\0".join(parts)


#: Mutations by the first bytes of a file.
STARTS: dict[bytes, list[Mutation]] = {
    b"II*\0": [tiff_tag, tiff_tag, text_in_tiff],
    b"MM\0*": [tiff_tag, tiff_tag, text_in_tiff],
    b"\x89PNG": [png_chunk],
    b"\xff\xd8": [jpeg_segment],
    b"PK": [zip_header],
    b"PAR1": [parquet],
}
