"""What a plug-in of bioio states of a file: OME-XML, channels, positions, damage, other images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ngff_bio.errors import SourceError
from ngff_bio.model import Channel, SourceFile
from ngff_bio.units import unit_factor, unit_name

if TYPE_CHECKING:
    from bioio import BioImage
    from ome_types.model import OME
    from ome_types.model import Image as OmeImage

#: TIFFs that hold several images: those that a plug-in leaves out are found by tifffile.
_TIFFS = (".svs", ".ndpi", ".qptiff", ".scn", ".bif")

#: Channels of an image.
_CHANNELS = 10_000

_UUID = re.compile(r' UUID="urn:uuid:[^"]*"')


def document_of(scene: BioImage) -> tuple[OME | None, str | None, tuple[str, ...]]:
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


def image_metadata(document: OME | None, number: int) -> OmeImage | None:
    """Metadata of one scene; ``None`` if there are none."""
    images = document.images if document is not None else []
    return images[number] if number < len(images) else None


def state_of(file: SourceFile, image: BioImage) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Warnings and notes of a file that the plug-in openreadout reads; others say nothing of it.

    openreadout recovers what is left of a truncated file: that is an error here. So are sizes that no
    file has.
    """
    opened = getattr(image.reader, "file", None)
    if opened is None or type(opened).__module__.partition(".")[0] != "openreadout":
        return (), ()
    for stated in opened.images:  # its OME-XML has an element for each channel, and can have no end
        if stated["size_c"] > _CHANNELS:
            raise SourceError(
                "the metadata of the file gives more channels than allowed",
                file=file.name,
                record=stated["name"],
                expected=f"at most {_CHANNELS:,} channels",
                found=f"{stated['size_c']:,} channels",
                hint="download or copy it again",
            )
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


def other_images(file: SourceFile, scenes: list[tuple[int, ...]]) -> tuple[str, ...]:
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


def channels_of(scene: BioImage, samples: int, image: OmeImage | None) -> tuple[Channel, ...]:
    """Channels of a scene with the colors of its metadata; each sample of RGB pixels is one."""
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


def position_of(image: OmeImage | None) -> dict[str, float]:
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
