"""Zip files with the same bytes every time."""

from __future__ import annotations

import zipfile


def add_member(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Add `content` as `name` with a fixed date, compressed a little."""
    member = zipfile.ZipInfo(name, date_time=(2021, 1, 1, 0, 0, 0))
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    archive.writestr(member, content, compresslevel=1)
