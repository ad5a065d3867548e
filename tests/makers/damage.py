"""Damages files in the ways that real copies are damaged, and makes files that lay traps.

Each function changes or writes one file and returns its path. For tests of refusals: none of these
may crash, hang, fill the memory or write outside its folder.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def truncate(path: Path, share: float = 0.5) -> Path:
    """Keep only the first `share` of the bytes, as a broken download does."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def empty(path: Path) -> Path:
    """Leave no bytes."""
    path.write_bytes(b"")
    return path


def flip_bit(path: Path, at: float = 0.5, bit: int = 0) -> Path:
    """Flip one bit of the byte that lies at `at` (0 to 1) of the file."""
    content = bytearray(path.read_bytes())
    content[min(int(len(content) * at), len(content) - 1)] ^= 1 << bit
    path.write_bytes(bytes(content))
    return path


def replace_with(path: Path, content: bytes) -> Path:
    """Put other bytes in place of a file: a web page saved as an image, and the like."""
    path.write_bytes(content)
    return path


def insert_comments(path: Path) -> Path:
    """Put a ``//`` comment at the end of every line of a JSON file, so that it is none."""
    text = json.dumps(json.loads(path.read_text("utf-8")), indent=1)
    path.write_text("\n".join(f"{line} // note" for line in text.splitlines()), "utf-8")
    return path


def add_byte_order_mark(path: Path) -> Path:
    """Begin the file with the UTF-8 byte order mark, as Windows editors do."""
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    return path


def make_latin_1(path: Path) -> Path:
    """Put a key in Latin-1 into a JSON object, so that the file is not UTF-8."""
    content = path.read_bytes().lstrip()
    path.write_bytes(b'{"caf\xe9": 1, ' + content[1:])
    return path


def nest_deeply(path: Path, depth: int = 100_000) -> Path:
    """Put a key into a JSON object whose value is `depth` lists inside each other."""
    content = path.read_bytes().lstrip()
    path.write_bytes(b'{"deep": ' + b"[" * depth + b"]" * depth + b", " + content[1:])
    return path


def edit_json(path: Path, change: Callable[[Any], Any]) -> Path:
    """Change the content of a JSON file: `change` edits it in place or returns another."""
    content = json.loads(path.read_text("utf-8"))
    changed = change(content)
    path.write_text(json.dumps(content if changed is None else changed), "utf-8")
    return path


def set_in_json(path: Path, keys: tuple[str | int, ...], value: Any) -> Path:
    """Put `value` at the end of `keys`: ``("images", 0, "file_name")`` to ``"../../x.tif"``."""

    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return edit_json(path, change)


def repeat_key(path: Path, key: str, value: Any) -> Path:
    """Give a JSON object `key` a first time with `value`, before all others."""
    content = path.read_bytes().lstrip()
    first = f"{{{json.dumps(key)}: {json.dumps(value)}, ".encode()
    path.write_bytes(first + content[1:])
    return path


def replace_by_link(path: Path, target: Path) -> Path:
    """Replace a file by a symbolic link to `target`, which may lie outside or not exist."""
    path.unlink()
    path.symlink_to(target)
    return path


def link_to_parent(folder: Path, name: str = "loop") -> Path:
    """Put a symbolic link into `folder` that leads back to it: a tree without end."""
    link = folder / name
    link.symlink_to(folder, target_is_directory=True)
    return link


def huge_tiff(path: Path, rows: int = 1_000_000, columns: int = 1_000_000) -> Path:
    """Write a TIFF of some bytes that says it has `rows` x `columns` uint8 pixels."""
    tags = [
        (256, 4, columns),  # ImageWidth
        (257, 4, rows),  # ImageLength
        (258, 3, 8),  # BitsPerSample
        (259, 3, 1),  # Compression: none
        (262, 3, 1),  # PhotometricInterpretation: min is black
        (273, 4, 8),  # StripOffsets
        (277, 3, 1),  # SamplesPerPixel
        (278, 4, rows),  # RowsPerStrip
        (279, 4, 16),  # StripByteCounts
    ]
    directory = struct.pack("<H", len(tags))
    for tag, kind, value in tags:
        directory += struct.pack("<HHII", tag, kind, 1, value)
    head = struct.pack("<2sHI", b"II", 42, 8 + 16)
    path.write_bytes(head + bytes(16) + directory + struct.pack("<I", 0))
    return path


def endless_tiff(path: Path) -> Path:
    """Make the last page of a classic TIFF point to the first as its next."""
    content = bytearray(path.read_bytes())
    order = "<" if content[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", content, 4)
    at = first
    while True:
        (count,) = struct.unpack_from(order + "H", content, at)
        after = at + 2 + 12 * count
        (at,) = struct.unpack_from(order + "I", content, after)
        if at == 0:
            break
    struct.pack_into(order + "I", content, after, first)
    path.write_bytes(bytes(content))
    return path


def huge_png(path: Path, rows: int = 60_000, columns: int = 60_000) -> Path:
    """Write a grey PNG of some bytes that says it has `rows` x `columns` pixels."""
    squeezed = zlib.compressobj(9)
    data = b"".join(squeezed.compress(bytes(columns + 1)) for _ in range(min(rows, 64)))
    data += squeezed.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )
    return path


def zip_of(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write a zip with members of any name, ``../outside.tif`` and ``/etc/x`` among them."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2021, 1, 1, 0, 0, 0)), content)
    return path


def zip_bomb(path: Path, name: str = "image.tif", size: int = 1 << 30) -> Path:
    """Write a zip of about `size` / 1000 bytes whose one member unpacks to `size` zeros."""
    member = zipfile.ZipInfo(name, (2021, 1, 1, 0, 0, 0))
    member.compress_type = zipfile.ZIP_DEFLATED
    block = bytes(1 << 20)
    with (
        zipfile.ZipFile(path, "w") as archive,
        archive.open(member, "w", force_zip64=True) as file,
    ):
        for start in range(0, size, len(block)):
            file.write(block[: min(len(block), size - start)])
    return path
