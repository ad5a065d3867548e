"""A storage whose user is killed at any of its changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from ngff_bio.engine.resume.lease import LEASE
from ngff_bio.storage import MemoryStorage
from ngff_bio.storage.base import Buffer


class Killed(BaseException):
    """As if the process had been killed."""


@dataclass
class Mortal(MemoryStorage):
    """A storage whose user is killed at its n-th change: nothing works any more."""

    left: int = 1 << 30
    changes: int = 0
    puts: list[str] = field(default_factory=list)

    def _change(self) -> None:
        if self.left <= 0:
            raise Killed
        self.left -= 1
        self.changes += 1

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        self._change()
        self.puts.append(key)
        return super().put(key, data)

    def compare_and_swap(self, key: str, before: bytes | None, after: bytes) -> bool:
        self._change()
        return super().compare_and_swap(key, before, after)

    def delete(self, key: str) -> None:
        self._change()
        super().delete(key)

    def revive(self) -> None:
        self.left = 1 << 30
        self.puts.clear()
        claim = self.objects.get(LEASE)
        if claim is not None:  # the process that is said to be dead is this one
            self.objects[LEASE] = json.dumps({**json.loads(claim), "started": "0"}).encode()
