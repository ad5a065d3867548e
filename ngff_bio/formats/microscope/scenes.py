"""Files of microscopes (CZI, ND2, LIF, ...), read plane by plane through bioio and its plug-ins.

A scene of a file is an image with the axes t, c, z, y, x; mosaics are stitched by the plug-in.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ngff_bio.errors import SourceError
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.formats.microscope.metadata import (
    channels_of,
    document_of,
    image_metadata,
    other_images,
    position_of,
    state_of,
)
from ngff_bio.formats.problems import damage_named
from ngff_bio.model import Axis, Channel, PixelArray, Region, SampleType, SourceFile, SourceParts

if TYPE_CHECKING:
    import dask.array as da
    from bioio import BioImage
    from ome_types.model import Image as OmeImage

#: Endings of files that plug-ins read, in lower case, and who makes them.
VENDORS = {
    ".czi": "Zeiss",
    ".zvi": "Zeiss",
    ".nd2": "Nikon",
    ".lif": "Leica",
    ".oir": "Olympus",
    ".oib": "Olympus",
    ".oif": "Olympus",
    ".vsi": "Olympus",
    ".ims": "Imaris",
    ".svs": "Aperio",
    ".ndpi": "Hamamatsu",
    ".qptiff": "PhenoImager",
    ".lsm": "Zeiss",
    ".scn": "Leica",
    ".bif": "Ventana",
    ".mrxs": "3DHistech",
    ".stk": "MetaMorph",
    ".dcimg": "Hamamatsu",
    ".dv": "DeltaVision",
    ".r3d": "DeltaVision",
    ".sldy": "SlideBook",
}

#: Plug-ins for formats that bioio-openreadout does not read, by their ending.
_PLUGINS = {".dv": "bioio-dv", ".r3d": "bioio-dv", ".sldy": "bioio-sldy"}

_UNREADABLE = "the microscope file cannot be read"

#: Files that are kept open in each process.
_OPEN_FILES = 16

#: Axes of bioio's arrays, the samples of RGB pixels last.
_AXES = "TCZYXS"


@dataclass(frozen=True, slots=True)
class Scene:
    """One image of a microscope file.

    Parameters
    ----------
    name
        Its name in the file.
    pixels, axes, channels
        Its pixels, their axes (sizes in micrometers and seconds), and its channels.
    translation
        Position of pixel 0 along each axis in the axis's unit; ``None`` if the file states none.
    """

    name: str
    pixels: ScenePixels
    axes: tuple[Axis, ...]
    channels: tuple[Channel, ...]
    translation: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class MicroscopeFile:
    """What a microscope file contains.

    ``ome_xml`` are the metadata of all scenes, ``None`` if the plug-in has none. ``warnings`` are what
    the plug-in reports of the file, and ``left_out`` what the file contains besides its scenes.
    """

    scenes: tuple[Scene, ...]
    ome_xml: str | None
    warnings: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScenePixels:
    """Pixels of one scene.

    Parameters
    ----------
    file
        The file, on this machine.
    scene
        Index of the scene.
    axes
        Those of its axes that are kept: c, y and x, besides t and z if they are longer than 1.
    shape, dtype, read_block_shape
        As of `ngff_bio.model.Pixels`.
    companions
        Files beside it that contain its planes (VSI, OIF).
    """

    file: SourceFile
    scene: int
    axes: str
    shape: tuple[int, ...]
    dtype: SampleType
    read_block_shape: tuple[int, ...]
    companions: tuple[SourceFile, ...] = ()

    def read(self, region: Region) -> PixelArray:
        """The block of a region, C-contiguous.

        Raises
        ------
        ngff_bio.errors.SourceError
            If the file is damaged, or not as large as expected.
        """
        with _reading(self.file):
            lazy = _array(_open(_path(self.file), self.file.identity, self.scene))
            part = dict(zip(self.axes, region, strict=True))
            samples = lazy.shape[5]
            first, stop = part["c"]
            part["c"] = (first // samples, -(-stop // samples))
            cut = lazy[tuple(slice(*part.get(a, (0, 1))) for a in "tczyx")]
            block = np.asarray(cut.compute(scheduler="synchronous"))
        # Samples of RGB pixels are channels.
        t, c, z, y, x, s = block.shape
        block = np.moveaxis(block, 5, 2).reshape(t, c * s, z, y, x)[:, first % samples :]
        block = block[:, : stop - first]
        block = block[tuple(slice(None) if a in self.axes else 0 for a in "tczyx")]
        expected = tuple(b - a for a, b in region)
        if block.shape != expected:
            raise SourceError(
                "the microscope file has changed", file=self.file.name, expected=expected,
                found=block.shape, hint="convert again",
            )  # fmt: skip
        return np.ascontiguousarray(block, dtype=self.dtype)

    def source_parts(self) -> SourceParts:
        """The file and its companions."""
        return self.file, *self.companions


def open_microscope(
    file: SourceFile, companions: Sequence[SourceFile] = (), *, limits: Limits = DEFAULT_LIMITS
) -> MicroscopeFile:
    """All scenes of a microscope file; no pixel is read.

    Parameters
    ----------
    companions
        Files beside it that contain its planes.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is in an archive or behind a URL, damaged, or no reader of it is installed.
    """
    path, scenes = _path(file), []
    with _reading(file):
        first = _open(path, file.identity, 0)
        warnings, left_out = state_of(file, first)
        document, xml, refused = document_of(first)
        for number, name in enumerate(first.scenes):
            scene = _open(path, file.identity, number)
            image = image_metadata(document, number)
            scenes.append(_scene(file, scene, number, name, image, tuple(companions), limits))
        if not scenes:
            raise SourceError("the microscope file contains no image", file=file.name)
        left_out += other_images(file, [s.pixels.shape[-2:] for s in scenes])
        return MicroscopeFile(tuple(scenes), xml, (*warnings, *refused), left_out)


def _scene(
    file: SourceFile,
    scene: BioImage,
    number: int,
    name: str,
    image: OmeImage | None,
    companions: tuple[SourceFile, ...],
    limits: Limits,
) -> Scene:
    lazy = _array(scene)
    t, c, z, y, x, samples = lazy.shape
    limits.check_plane(y, x, file.name, whole=False)
    sizes = {"t": t, "c": c * samples, "z": z, "y": y, "x": x}
    kept = "".join(a for a, size in sizes.items() if a in "cyx" or size > 1)
    blocks = dict(zip("tczyx", (_block(counts) for counts in lazy.chunks), strict=False))
    blocks["c"] *= samples
    pixels = ScenePixels(
        file, number, kept, tuple(sizes[a] for a in kept), lazy.dtype.newbyteorder("="),
        tuple(blocks[a] for a in kept), companions,
    )  # fmt: skip
    steps = {a: getattr(scene.physical_pixel_sizes, a.upper()) for a in "zyx"}
    interval = scene.time_interval
    scales = {a: (step, "micrometer") for a, step in steps.items() if step}
    if interval is not None and interval.total_seconds() > 0:
        scales["t"] = (interval.total_seconds(), "second")
    axes = tuple(Axis(a, *scales.get(a, (None, None))) for a in kept)
    at = position_of(image)
    return Scene(
        name,
        pixels,
        axes,
        channels_of(scene, samples, image),
        tuple(at.get(a, 0.0) for a in kept) if at else None,
    )


def _block(counts: Sequence[int]) -> int:
    """Size of equal blocks along an axis; the whole axis if they differ (but for the last)."""
    equal = len(set(counts[:-1])) <= 1 and counts[-1] <= counts[0]
    return int(counts[0] if equal else sum(counts))


def _array(scene: BioImage) -> da.Array:
    """The pixels of a scene, with the axes of `_AXES`."""
    import dask.array as da

    lazy = scene.dask_data
    order = scene.dims.order
    if "S" not in order:
        lazy = lazy[..., None]
        order += "S"
    if sorted(order) != sorted(_AXES):
        raise ValueError(f"axes {order}, not {_AXES}")
    moved: da.Array = da.transpose(lazy, [order.index(a) for a in _AXES])
    return moved


@lru_cache(maxsize=_OPEN_FILES)
def _open(path: str, identity: str, scene: int) -> BioImage:
    """A file with one of its scenes selected; `identity` changes when the file does."""
    from bioio import BioImage

    # Without a handler, Python prints a warning for each plug-in that does not take the file.
    logging.getLogger("bioio").addHandler(logging.NullHandler())
    image = BioImage(path)
    image.set_scene(scene)
    return image


def _path(file: SourceFile) -> str:
    if file.path is None:
        raise SourceError(
            "microscope files are read from local folders only",
            file=file.name,
            expected="a file in a folder of this machine",
            found="a file in an archive or behind a URL",
            hint="unpack or download it, and name the folder that holds it",
        )
    return str(file.path)


def _install(name: str) -> str:
    """What installs the reader of a file."""
    ending = f".{name.rpartition('.')[2].lower()}"
    wanted = f"bioio {_PLUGINS[ending]}" if ending in _PLUGINS else '"ngff-bio[vendor]"'
    return f"install it: pip install {wanted}"


@contextmanager
def _reading(file: SourceFile) -> Iterator[None]:
    """Errors of bioio and of its plug-ins as one that names the file."""
    with damage_named(file.name, _UNREADABLE):
        try:
            from bioio_base.exceptions import UnsupportedFileFormatError
        except ImportError as error:
            raise SourceError(
                "reading microscope files needs bioio and a plug-in for the format",
                file=file.name,
                found=str(error),
                hint=_install(file.name),
            ) from error
        try:
            yield
        except UnsupportedFileFormatError as error:
            raise SourceError(
                "no installed plug-in of bioio reads the microscope file",
                file=file.name,
                expected="a file in the format of its ending, and bioio-openreadout or another plug-in",
                found=str(error).partition("\n")[0].partition(". You may need")[0],
                hint=f"check the file; if the plug-in is missing, {_install(file.name)}",
            ) from error
        except ImportError as error:
            raise SourceError(
                "a plug-in of bioio cannot be loaded",
                file=file.name,
                found=str(error),
                hint=_install(file.name),
            ) from error
