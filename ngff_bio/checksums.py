"""CRC-32C, the checksum of chunks, objects and files."""

from __future__ import annotations

from fastcrc.crc32 import iscsi


def crc32c(data: bytes | bytearray | memoryview, start: int = 0) -> int:
    """CRC-32C (Castagnoli, RFC 3720) of bytes, continued from ``start``, that of the bytes before."""
    return iscsi(data, start)
