"""Listings that show what was written until now: that of a bucket can be an old one."""

from __future__ import annotations

import time
import uuid

from ngff_bio.errors import StorageError
from ngff_bio.storage import Storage
from ngff_bio.zarrio.journal import ROWS

#: Seconds to wait before a listing is asked for again.
_WAITS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)


def current_keys(storage: Storage) -> list[str]:
    """All keys of a bucket, from a listing that shows an object which was written just before.

    Of another storage none: what is listed there is always all that there is.

    Raises
    ------
    ngff_bio.errors.StorageError
        If the listing does not show it for half a minute. What would be removed by it could stay.
    """
    if storage.locality != "network":
        return []
    mark = f"{ROWS}/listing-{uuid.uuid4().hex}"  # a killed process leaves it where all is removed
    storage.put(mark, b"")
    try:
        for wait in _WAITS:
            time.sleep(wait)
            keys = [key for key, _ in storage.list()]
            if mark in keys:
                return [key for key in keys if key != mark]
    finally:
        storage.delete(mark)
    raise StorageError(
        "the listing of the bucket does not show what was written half a minute ago",
        file=storage.url,
        hint="nothing was removed: wait, then run the same command again",
    )
