"""Limits that protect against decompression bombs."""

from __future__ import annotations

from dataclasses import dataclass

from ngff_bio.errors import SourceError

#: Pixels of one plane that is read in tiles or strips; whole-slide scans are smaller.
_PLANE = 20_000_000_000

#: Pixels of one plane that is decoded as a whole, and so must fit into memory.
_WHOLE_PLANE = 2_000_000_000

#: Bytes of such a plane.
_WHOLE_BYTES = 8 << 30

#: Uncompressed bytes of one member of an archive.
_MEMBER = 16 << 30

#: Bytes of JSON of one annotation; parsed, it takes about fifty times as much memory.
RECORD_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest image planes and archive members that are read; ``None`` for the defaults.

    Parameters
    ----------
    max_pixels
        Rows times columns of one plane.
    max_bytes
        Uncompressed size of one member of an archive.
    """

    max_pixels: int | None = None
    max_bytes: int | None = None

    def given(self) -> dict[str, int]:
        """The limits that are not the defaults, by name."""
        given = {"max_pixels": self.max_pixels, "max_bytes": self.max_bytes}
        return {name: limit for name, limit in given.items() if limit is not None}

    @property
    def most_bytes(self) -> int:
        """Largest member of an archive, and largest unpacked size of a compressed tar."""
        return _MEMBER if self.max_bytes is None else self.max_bytes

    def check_plane(
        self, rows: int, columns: int, file: str, *, whole: bool, pixel_bytes: int = 0
    ) -> None:
        """Refuse a plane by its header, before anything is decoded.

        Parameters
        ----------
        whole
            Whether it can only be decoded as a whole.
        pixel_bytes
            Bytes of a pixel in all channels; 0 if unknown.

        Raises
        ------
        ngff_bio.errors.SourceError
            If it has more pixels than allowed, or is to be decoded as a whole and has too many bytes.
        """
        most = self.max_pixels
        if most is None:
            most = _WHOLE_PLANE if whole else _PLANE
            if whole and pixel_bytes:
                most = min(most, _WHOLE_BYTES // pixel_bytes)
        if rows * columns > most:
            raise SourceError(
                "the image is larger than allowed",
                file=file,
                expected=f"at most {most:,} pixels in a plane",
                found=f"{rows:,} x {columns:,} pixels",
                hint="raise the limit with --max-pixels if the file can be trusted",
            )

    def check_member(self, size: int, file: str) -> None:
        """Refuse a member of an archive by its size in the archive's directory.

        Raises
        ------
        ngff_bio.errors.SourceError
            If it has more bytes than allowed.
        """
        if size > self.most_bytes:
            raise SourceError(
                "the archive member is larger than allowed",
                file=file,
                expected=f"at most {self.most_bytes:,} bytes",
                found=f"{size:,} bytes",
                hint="raise the limit with --max-bytes if the archive can be trusted",
            )


def record_too_large(size: int, file: str, record: str) -> SourceError:
    """The error for an annotation with more than `RECORD_BYTES` of JSON."""
    return SourceError(
        "the record of an annotation is larger than allowed",
        file=file,
        record=record,
        expected=f"at most {RECORD_BYTES:,} bytes of JSON",
        found=f"{size:,} bytes",
        hint="outline it with fewer points, or skip it with --on-error skip",
    )


DEFAULT_LIMITS = Limits()
