"""Brackets of a JSON text, found by NumPy at some GB/s."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]

_QUOTE, _BACKSLASH, _BRACKETS = ord('"'), ord("\\"), 0x7F


@dataclass(slots=True)
class BracketScanner:
    """Brackets outside of strings, block after block of one text."""

    depth: int = 0
    in_string: bool = False
    escapes: bool = False

    def feed(self, block: NDArray[np.uint8]) -> tuple[Positions, NDArray[np.bool_], Positions]:
        """Positions in `block`, whether each opens, and the depth after it."""
        # [ ] { } become 0x7F with these bits set; so do Y, _, y and DEL, which are sorted out next.
        found = np.flatnonzero(((block | 0x26) == _BRACKETS) | (block == _QUOTE))
        code = block[found]
        quote = code == _QUOTE
        escaped = self._escaped(block)
        if escaped.size:
            quote &= ~np.isin(found, escaped)
        inside = (np.cumsum(quote) + self.in_string) % 2 == 1
        if inside.size:
            self.in_string = bool(inside[-1])
        opens = (code == 0x5B) | (code == 0x7B)
        keep = (opens | (code == 0x5D) | (code == 0x7D)) & ~inside
        found, opens = found[keep], opens[keep]
        depth: Positions = np.cumsum(np.where(opens, 1, -1)) + self.depth
        if depth.size:
            self.depth = int(depth[-1])
        return found, opens, depth

    def _escaped(self, block: NDArray[np.uint8]) -> Positions:
        """Positions of characters that follow an odd number of backslashes."""
        slashes = np.flatnonzero(block == _BACKSLASH)
        carried, self.escapes = self.escapes, False
        if not slashes.size:
            return np.zeros(1 if carried else 0, np.int64)
        first = np.flatnonzero(np.diff(slashes, prepend=-2) != 1)
        lengths = np.diff(first, append=slashes.size)
        after: Positions = slashes[first] + lengths
        if carried and slashes[0] == 0:
            lengths[0] += 1
        odd: Positions = after[lengths % 2 == 1]
        if carried and slashes[0] != 0:
            odd = np.concatenate(([0], odd))
        if odd.size and odd[-1] == block.size:
            self.escapes = True
            odd = odd[:-1]
        return odd
