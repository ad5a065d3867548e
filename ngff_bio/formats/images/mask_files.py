"""Instances of an image that have a mask file each, as in the Data Science Bowl 2018 (BBBC038)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import NgffBioError, SourceError
from ngff_bio.formats.images.decoding import decode_image
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.formats.problems import skipped_notice
from ngff_bio.model import Instance, Notice, OnError, PixelArray, Rle, SourceFile, SourceParts
from ngff_bio.parallel import shared_pool


def rle_of_mask(mask: PixelArray) -> Rle:
    """COCO's compressed run lengths of a mask (y, x), which is not 0 on the object."""
    from pycocotools import mask as coco_mask

    packed = coco_mask.encode(np.asfortranarray(mask != 0, dtype=np.uint8))
    height, width = mask.shape
    return Rle((height, width), packed["counts"].decode("ascii"))


@dataclass(frozen=True, slots=True)
class MaskFiles:
    """Instances of one image of one frame, in the order of their files.

    Parameters
    ----------
    files
        A mask for each instance, as large as the image: 0, and one other value on the object.
    size
        Height and width of the image.
    on_error
        ``stop`` at a mask that is damaged or does not fit, or keep its row without an outline.
    """

    files: tuple[SourceFile, ...]
    size: tuple[int, int]
    on_error: OnError = "stop"
    limits: Limits = DEFAULT_LIMITS

    def read(self, t: int) -> list[Instance]:
        """All instances; label values are 1, 2, ..."""
        remote = any(file.path is None for file in self.files[:1])
        return shared_pool(remote=remote).map(self._instance, range(len(self.files)))

    def source_parts(self) -> SourceParts:
        """The mask files."""
        return self.files

    def _instance(self, number: int) -> Instance:
        file = self.files[number]
        notice, shape = None, None
        try:
            mask = self._mask(file)
            shape = rle_of_mask(mask)
            if not mask.any():
                notice = Notice("warning", "the mask of an object has no pixel", file.name)
        except NgffBioError as error:
            if self.on_error == "stop":
                raise
            notice = skipped_notice(error)
        return Instance(
            value=number + 1,
            geometry=shape,
            source_id=PurePosixPath(file.name).stem,
            record=json.dumps({"file": file.name}, ensure_ascii=False),
            notice=notice,
        )

    def _mask(self, file: SourceFile) -> NDArray[np.bool_]:
        from ngff_bio.formats.images.headers import probe_image

        header = probe_image(file, self.limits)
        if header.size != self.size:
            raise SourceError(
                "a mask and its image differ in size",
                file=file.name,
                expected=f"{self.size[0]} x {self.size[1]} pixels, as the image",
                found=f"{header.size[0]} x {header.size[1]}",
                hint="check that the mask is of this image, or skip it with --on-error skip",
            )
        pixels = decode_image(file, indices=True)
        if pixels.ndim == 3:  # the last of two or four samples is alpha
            colors = pixels.shape[2] - (pixels.shape[2] in (2, 4))
            return np.asarray((pixels[..., :colors] != 0).any(axis=2))
        inside: NDArray[np.bool_] = pixels != 0
        if not ((pixels == pixels.max()) | ~inside).all():
            raise SourceError(
                "the mask of one object has several values",
                file=file.name,
                expected="0, and one other value on the object",
                found=_some(np.unique(pixels)),
                hint="if values are ids of objects, the files are label images: add --format images; "
                "or skip such masks with --on-error skip",
            )
        return inside


def _some(values: Iterable[object]) -> str:
    shown = [str(v) for v in values]
    return ", ".join(shown[:5]) + (f", ... ({len(shown)} values)" if len(shown) > 5 else "")
