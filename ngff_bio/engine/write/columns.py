"""Columns of Arrow tables, made from buffers.

``pyarrow.array`` imports pandas, to check for its objects: that takes longer than a small conversion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


def texts(values: Sequence[str | None]) -> pa.Array:
    """A column of texts (``string``; ``large_string`` beyond 2 GB)."""
    import pyarrow as pa

    encoded = [(v or "").encode() for v in values]
    sizes = np.fromiter(map(len, encoded), np.int64, len(encoded))
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
    wide = bool(offsets[-1] > np.iinfo(np.int32).max)
    kind, dtype = (pa.large_string(), np.int64) if wide else (pa.string(), np.int32)
    buffers = [
        _present(values),
        pa.py_buffer(offsets.astype(dtype)),
        pa.py_buffer(b"".join(encoded)),
    ]
    return pa.Array.from_buffers(kind, len(values), buffers)


def numbers(values: Sequence[float | None], dtype: str) -> pa.Array:
    """A column of numbers of a NumPy type."""
    import pyarrow as pa

    filled = np.fromiter((v or 0 for v in values), dtype, len(values))
    kind = pa.from_numpy_dtype(filled.dtype)
    return pa.Array.from_buffers(kind, len(values), [_present(values), pa.py_buffer(filled)])


def _present(values: Sequence[Any]) -> Any:
    """Arrow's bitmap of values that are not null; ``None`` if all are there."""
    import pyarrow as pa

    there = np.fromiter((v is not None for v in values), bool, len(values))
    return None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little"))
