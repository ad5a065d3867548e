"""Image files that are the frames of one movie, in sources with annotations for each file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ngff_bio.errors import ArgumentError
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.problems import Problems
from ngff_bio.sources.assembly import base_of, folder_of
from ngff_bio.sources.images.numbered import Naming, Series, find_series

#: Help text of the option ``series`` of sources that call `movies_of`.
SERIES_HELP = "t: files whose names differ in a number alone are the frames of one movie"


def movies_of(
    names: Iterable[str],
    headers: Mapping[str, ImageHeader],
    series: str | None,
    problems: Problems,
    unlike: Callable[[Sequence[str]], str | None] = lambda _: None,
) -> list[Series]:
    """Image files as images: a file each, or numbered files as one with axis t.

    Parameters
    ----------
    names
        Of all image files.
    headers
        Of those that can be read; they are needed to join files.
    series
        ``t`` to join files whose names differ in a number alone, or in one after a letter t.
    unlike
        Returns why some files cannot be one image, or ``None``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If `series` is another axis.
    """
    if series not in (None, "none", "t"):
        raise ArgumentError(
            "annotations for each file can be joined along t only",
            expected="--series t or --series none",
            found=f"--series {series}",
        )
    if series != "t":
        return [Series(folder_of(n), base_of(n), (n,)) for n in names]

    def why(files: Sequence[str]) -> str | None:
        kinds: set[object] = {(headers[n].shape, headers[n].dtype) for n in files}
        if len(kinds) > 1 or not all(headers[n].single for n in files):
            return "numbered files differ in size or kind, or have several planes"
        return unlike(files)

    found = []
    naming = Naming.of(headers, "t")

    def report(reason: str, file: str) -> None:
        problems.note(reason, record=file)

    for one in find_series(headers, naming, why, report):
        if one.along not in ("", "t"):
            problems.note(
                f"files numbered along {' and '.join(one.along)} are separate images: annotations "
                "for each file can be joined along t only",
                record=one.files[0],
            )
            found += [Series(one.folder, base_of(n), (n,)) for n in one.files]
            continue
        if one.along:
            problems.note(
                "numbered files with annotations for each are the frames of one image, as --series t "
                "says",
                record=f"{one.files[0]} ... {base_of(one.files[-1])}: {len(one.files)} files",
            )
        found.append(one)
    return found
