"""Files of microscopes (CZI, ND2, LIF, ...), read plane by plane through bioio and its plug-ins.

A scene of a file is an image with the axes t, c, z, y, x; mosaics are stitched by the plug-in.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ngff_bio.errors import SourceError
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.formats.problems import damage_named
from ngff_bio.model import Axis, Channel, PixelArray, Region, SampleType, SourceFile, SourceParts
from ngff_bio.model.axes import unit_factor, unit_name

if TYPE_CHECKING:
    import dask.array as da
    from bioio import BioImage
    from ome_types.model import OME
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

#: TIFFs that hold several images: those that a plug-in leaves out are found by tifffile.
_TIFFS = (".svs", ".ndpi", ".qptiff", ".scn", ".bif")

_UUID = re.compile(r' UUID="urn:uuid:[^"]*"')

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
        warnings, left_out = _state(file, first)
        document, xml, refused = _document(first)
        for number, name in enumerate(first.scenes):
            scene = _open(path, file.identity, number)
            image = _image_metadata(document, number)
            scenes.append(_scene(file, scene, number, name, image, tuple(companions), limits))
        if not scenes:
            raise SourceError("the microscope file contains no image", file=file.name)
        left_out += _other_images(file, [s.pixels.shape[-2:] for s in scenes])
        return MicroscopeFile(tuple(scenes), xml, (*warnings, *refused), left_out)


def _image_metadata(document: OME | None, number: int) -> OmeImage | None:
    images = document.images if document is not None else []
    return images[number] if number < len(images) else None


def _state(file: SourceFile, image: BioImage) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Warnings and notes of a file that the plug-in openreadout reads; others say nothing of it.

    openreadout recovers what is left of a truncated file: that is an error here.
    """
    opened = getattr(image.reader, "file", None)
    if opened is None or type(opened).__module__.partition(".")[0] != "openreadout":
        return (), ()
    findings = opened.check()["findings"]
    wrong = [f["message"] for f in findings if f["severity"] == "error"]
    if wrong:
        raise SourceError(
            "the microscope file is damaged or truncated",
            file=file.name,
            found="; ".join(wrong),
            hint="download or copy it again",
        )
    warnings = tuple(f["message"] for f in findings if f["severity"] == "warning")
    notes = (n.partition(":")[0] for n in opened.info.get("notes") or ())
    return warnings, tuple(n for n in notes if n != "TIFF sub-format")


def _other_images(file: SourceFile, scenes: list[tuple[int, ...]]) -> tuple[str, ...]:
    """Images of a TIFF that are not among the scenes of these sizes: labels, overviews, thumbnails."""
    if not file.name.lower().endswith(_TIFFS):
        return ()
    import tifffile

    found = []
    with file.open() as stream, tifffile.TiffFile(stream) as tiff:
        for series in tiff.series:
            sizes = dict(zip(series.axes, series.shape, strict=True))
            size = (sizes.get("Y", 0), sizes.get("X", 0))
            if size in scenes:
                scenes.remove(size)
            else:
                found.append(f"image {series.name} of {size[0]} x {size[1]} pixels")
    return tuple(found)


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
    at = _position(image)
    return Scene(
        name,
        pixels,
        axes,
        _channels(scene, samples, image),
        tuple(at.get(a, 0.0) for a in kept) if at else None,
    )


def _channels(scene: BioImage, samples: int, image: OmeImage | None) -> tuple[Channel, ...]:
    names = scene.channel_names or [f"Channel:{n}" for n in range(scene.dims.C)]
    if samples > 1:
        colors = ((255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255))
        letters = "RGBA" if samples <= 4 else None
        return tuple(
            Channel(
                f"{name} {letters[s] if letters else s}" if len(names) > 1 or not letters
                else letters[s],
                colors[s] if s < 3 else None,
            )
            for name in names
            for s in range(samples)
        )  # fmt: skip
    stated = image.pixels.channels if image is not None else []
    found = []
    for number, name in enumerate(names):
        color = stated[number].color if number < len(stated) else None
        rgb = color.as_rgb_tuple(alpha=False) if color is not None else None
        # White is the default of the schema, as for a channel without a color.
        shown = (rgb[0], rgb[1], rgb[2], 255) if rgb is not None and rgb[:3] != (255,) * 3 else None
        found.append(Channel(name, shown))
    return tuple(found)


def _position(image: OmeImage | None) -> dict[str, float]:
    """Position of the first plane on the stage in micrometers, by axis."""
    planes = image.pixels.planes if image is not None else []
    found = {}
    for axis in "xyz":
        place = getattr(planes[0], f"position_{axis}", None) if planes else None
        unit = unit_name(str(getattr(planes[0], f"position_{axis}_unit").value)) if planes else None
        factor = unit_factor(unit, "micrometer") if unit is not None else None
        if place is not None and factor is not None:
            found[axis] = float(place) * factor
    return found


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


def _document(scene: BioImage) -> tuple[OME | None, str | None, tuple[str, ...]]:
    """Metadata of all scenes: parsed, as XML, and why they cannot be parsed, if so.

    Pixels can be read whatever the metadata are: a plug-in's document that ome-types refuses is kept
    as it is.
    """
    opened = getattr(scene.reader, "file", None)
    write = getattr(opened, "ome_xml", None)
    xml: str | None = None if write is None else write()
    if xml is not None:
        # openreadout makes a new UUID each time: a store would differ from conversion to conversion.
        xml = _UUID.sub("", xml, count=1)
    try:
        document: OME = scene.ome_metadata
        return document, document.to_xml() if xml is None else xml, ()
    except NotImplementedError:  # what bioio's readers raise if they have no OME metadata
        return None, xml, ()
    except Exception as error:  # ome-types raises errors of pydantic, of XML and of its own
        why = f"metadata that cannot be parsed, channel colors and positions among them: {error}"
        return None, xml, (" ".join(why.split())[:300],)


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
