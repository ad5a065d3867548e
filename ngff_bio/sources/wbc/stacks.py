"""Focal stacks: one JPEG per plane, put along z."""

from __future__ import annotations

from collections.abc import Mapping

from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Frame, SourceImage
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.opening import image_of_frames

#: Focal planes of a complete stack.
PLANES = 10


def stack_image(
    tree: FileTree,
    name: str,
    files: Mapping[int, str],
    headers: Mapping[str, ImageHeader],
    problems: Problems,
    scores: Mapping[int, float] | None = None,
) -> SourceImage | None:
    """The image of a stack, without labels; ``None`` if no plane is readable.

    Parameters
    ----------
    files
        File of each plane by its number. z counts the planes that are readable.
    headers
        Headers of the readable files.
    scores
        Focus score of each plane, if it is known.
    """
    planes = [plane for plane in sorted(files) if files[plane] in headers]
    if not planes:
        problems.skip("no plane of the stack is readable", file=files[min(files)])
        return None
    names = [files[plane] for plane in planes]
    found = [headers[n] for n in names]
    pixels = stack_frames([tree.file(n) for n in names], "z", headers=found, limits=tree.limits)
    expected = range(planes[0] if len(planes) >= PLANES else 0, max(PLANES, planes[-1] + 1))
    missing = sorted(set(expected) - set(planes))
    if missing:
        problems.warn(
            f"planes {', '.join(map(str, missing))} of the stack are missing; z counts the "
            f"{len(planes)} others",
            file=names[0],
        )
    frames = []
    for z, (plane, header) in enumerate(zip(planes, found, strict=True)):
        record: dict[str, object] = {"z": z, "plane": plane}
        if scores is not None:
            record["focus_score"] = scores[plane]
        size = None if header.size == pixels.shape[-2:] else header.size
        frames.append(Frame(name=files[plane], size=size, record=record))
    return image_of_frames(name, pixels, found[0], (), frames)


def planes_of(image: SourceImage) -> list[int]:
    """Number of the plane at each z of an image of `stack_image`."""
    return [frame.record["plane"] for frame in image.frames]
