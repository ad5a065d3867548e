"""What sources of pictures share: headers of many files at once, groups named after folders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.frames import ImageHeader, probe_image, safe_name, safe_names
from ngff_bio.formats.limits import Limits
from ngff_bio.formats.problems import Problems
from ngff_bio.model import SourceFile, SourceImage
from ngff_bio.parallel import shared_pool

#: Files of a source's surroundings, which are no data.
DOCUMENTS = (".md", ".txt", ".pdf", ".py", ".ipynb", ".html", ".yml", ".yaml", ".toml")


def probe_all(
    files: Sequence[SourceFile], limits: Limits, problems: Problems
) -> dict[str, ImageHeader]:
    """Headers by file name; files without a readable one go to `problems`."""

    def probe(file: SourceFile) -> ImageHeader | SourceError:
        try:
            return probe_image(file, limits)
        except SourceError as error:
            return error

    if all(file.path is not None for file in files):
        headers = list(map(probe, files))
    else:
        headers = shared_pool(remote=True).map(probe, files)
    found = {}
    for file, header in zip(files, headers, strict=True):
        if isinstance(header, SourceError):
            problems.fail(header)
        else:
            found[file.name] = header
    return found


def folder_of(name: str) -> str:
    """The folder of a file below the source's root; ``""`` for the root."""
    return name.rpartition("/")[0]


def base_of(name: str) -> str:
    """The last part of a name."""
    return name.rpartition("/")[2]


def placed(images: Iterable[tuple[str, SourceImage]]) -> tuple[SourceImage, ...]:
    """Images with their paths in the store, as the source names them.

    A single one is the root. Those of one folder are named alone; those of several are put below
    the last part of their folder's name, or below all of it where that would not tell them apart.

    Parameters
    ----------
    images
        Each with its folder. Its path, or else its name, is what it is to be called there.
    """
    pairs = list(images)
    if len(pairs) == 1:
        return (replace(pairs[0][1], path=""),)
    below: dict[str, list[str]] = defaultdict(list)
    for folder, image in pairs:
        below[folder].append(image.path or image.name)
    groups = _group_names(list(below)) if len(below) > 1 else dict.fromkeys(below, "")
    names = {folder: safe_names(inside) for folder, inside in below.items()}
    paths = [
        f"{groups[folder]}/{names[folder][image.path or image.name]}".lstrip("/")
        for folder, image in pairs
    ]
    # An image is never put below another: `a.tif` beside a folder `a` with images.
    above = {"/".join(path.split("/")[:n]) for path in paths for n in range(1, path.count("/") + 1)}
    return tuple(
        replace(image, path=f"{path}_" if path in above else path)
        for path, (_, image) in zip(paths, pairs, strict=True)
    )


def _group_names(folders: list[str]) -> dict[str, str]:
    last = {folder: safe_name(base_of(folder)) if folder else "" for folder in folders}
    if len({name.lower() for name in last.values()}) == len(folders):
        return last
    parts = {part for folder in folders for part in folder.split("/") if part}
    safe = safe_names(sorted(parts))
    return {folder: "/".join(safe[p] for p in folder.split("/") if p) for folder in folders}
