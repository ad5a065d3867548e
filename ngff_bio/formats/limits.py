"""How large a picture may claim to be before it is taken for a bomb."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ngff_bio.errors import SourceError

#: Pixels of one plane that is read piece by piece (tiles or strips): whole-slide scans are smaller.
PLANE = 20_000_000_000

#: Pixels of one plane that can only be decoded as a whole, so that it must fit into memory.
WHOLE_PLANE = 2_000_000_000

#: Uncompressed bytes of one file of an archive.
MEMBER = 16 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """What is read at most. ``None`` is the default of this module.

    Parameters
    ----------
    max_pixels
        Rows times columns of one plane.
    max_bytes
        Uncompressed size of one member of an archive.
    """

    max_pixels: int | None = None
    max_bytes: int | None = None

    @property
    def most_bytes(self) -> int:
        """Largest member of an archive, and largest compressed tar when unpacked."""
        return MEMBER if self.max_bytes is None else self.max_bytes

    def check_plane(self, rows: int, columns: int, file: str, *, whole: bool) -> None:
        """Refuse a plane by its header, before anything is decoded.

        Raises
        ------
        ngff_bio.errors.SourceError
            If it claims more pixels than allowed.
        """
        most = self.max_pixels
        if most is None:
            most = WHOLE_PLANE if whole else PLANE
        if math.prod((rows, columns)) > most:
            raise SourceError(
                "the picture claims to be larger than allowed",
                file=file,
                expected=f"at most {most:,} pixels in a plane",
                found=f"{rows:,} x {columns:,} pixels",
                hint="raise the limit with --max-pixels if the file can be trusted",
            )

    def check_member(self, size: int, file: str) -> None:
        """Refuse a member of an archive by the size that its directory claims.

        Raises
        ------
        ngff_bio.errors.SourceError
            If it claims more bytes than allowed.
        """
        most = self.most_bytes
        if size > most:
            raise SourceError(
                "the archive member claims to be larger than allowed",
                file=file,
                expected=f"at most {most:,} bytes",
                found=f"{size:,} bytes",
                hint="raise the limit with --max-bytes if the archive can be trusted",
            )


DEFAULT_LIMITS = Limits()
