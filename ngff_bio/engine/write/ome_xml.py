"""OME-XML of a collection (``OME/METADATA.ome.xml``), which readers of this layout look for.

The ID of each image is ``Image:<path>``: napari-ome-zarr finds images by it. Documents of the files of
the source are kept, several of them in one; images that none describes are described by the metadata of
the store. It is written with the standard library: importing ome-types takes as long as a small
conversion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from ngff_bio import ngff
from ngff_bio.engine.write.checksums import ChecksummingWriter
from ngff_bio.errors import StoreError
from ngff_bio.model import OmeDocument
from ngff_bio.zarrio.arrays import parse_array
from ngff_bio.zarrio.nodes import Nodes

#: Name of the document in the group ``OME``.
OME_XML = "METADATA.ome.xml"


_SPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"

#: Types of pixels that OME-XML names otherwise. It has no integers of 64 bits: double holds most.
_TYPES = {"bool": "bit", "float16": "float", "float32": "float", "float64": "double"} | {
    "int64": "double",
    "uint64": "double",
}

#: Units as OME-XML spells them.
_UNITS = {
    "nanometer": "nm",
    "micrometer": "µm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "angstrom": "Å",
    "picometer": "pm",
    "second": "s",
    "millisecond": "ms",
    "microsecond": "µs",
    "minute": "min",
    "hour": "h",
    "day": "d",
}

#: Characters that XML cannot hold.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


#: Elements below the root in the order of the schema; those of annotations are put together.
_ORDER = (
    "Project", "Dataset", "Folder", "Experiment", "Plate", "Screen", "Experimenter",
    "ExperimenterGroup", "Instrument", "Image", "StructuredAnnotations", "ROI",
)  # fmt: skip


def add_ome_xml(
    nodes: Nodes, writer: ChecksummingWriter, own: Sequence[OmeDocument], *, appended: bool
) -> None:
    """Write the document of each collection of a store; ``own`` are those of the source.

    What the document of a collection that was ``appended`` to says of its other images is kept.
    """
    for path in [p for p in nodes.groups if p == "OME" or p.endswith("/OME")]:
        meta = ngff.decode(nodes.groups[path])
        if meta is not None and meta.series is not None:
            above = path.removesuffix("OME").rstrip("/")
            key = f"{path}/{OME_XML}"
            there = _there(writer.storage.get(key), above, meta.series) if appended else []
            writer.put(key, collection_xml(nodes, above, meta.series, [*there, *own]))


def _there(document: bytes | None, path: str, series: Sequence[str]) -> list[OmeDocument]:
    """The document that a collection has, if it names images of the collection alone."""
    try:
        names, text = image_paths(document or b""), (document or b"").decode()
    except ValueError:
        return []
    if not set(names) <= set(series):
        return []
    paths = tuple(f"{path}/{name}".lstrip("/") for name in names)
    return [OmeDocument(text, paths)]


def collection_xml(
    nodes: Nodes, path: str, series: Sequence[str], own: Sequence[OmeDocument] = ()
) -> bytes:
    """OME-XML of the images of a collection.

    Parameters
    ----------
    nodes
        Metadata of the store.
    path
        Path of the collection.
    series
        Paths of its images, relative to it.
    own
        Documents of the source, without what they state of images that are not in the store.
    """
    names = {f"{path}/{name}".lstrip("/"): name for name in series}
    kept: list[ElementTree.Element] = []
    described: dict[str, ElementTree.Element] = {}
    for document in own:
        there = [names[p] for p in document.images if p in names]
        root = _of_source(document, names) if there else None
        if root is not None:
            if len(own) > 1:
                _set_apart(root, series.index(there[0]))
            kept.append(root)
            described |= zip(there, root.findall(_tag("Image")), strict=True)
    if len(kept) == 1 and len(described) == len(series):
        return _written(kept[0])
    parts: dict[str, list[ElementTree.Element]] = {_tag(name): [] for name in _ORDER}
    for element in (e for root in kept for e in root):
        if element.tag == _tag("StructuredAnnotations") and parts[element.tag]:
            parts[element.tag][0].extend(element)
        elif element.tag != _tag("Image"):
            parts.setdefault(element.tag, []).append(element)
    parts[_tag("Image")] = [
        described[name]
        if name in described
        else _image(nodes, f"{path}/{name}".lstrip("/"), name, number)
        for number, name in enumerate(series)
    ]
    root = ElementTree.Element(_tag("OME"), {"Creator": "ngff_bio"})
    root.set(f"{{{_INSTANCE}}}schemaLocation", f"{_SPACE} {_SCHEMA}")
    root.extend(e for elements in parts.values() for e in elements)
    return _written(root)


def _set_apart(root: ElementTree.Element, number: int) -> None:
    """Make IDs other than those of images different from those of other documents."""
    for element in root.iter():
        kind, colon, rest = element.get("ID", "").partition(":")
        if colon and kind != "Image":
            element.set("ID", f"{kind}:{number}:{rest}")


def without_images(document: bytes, kept: Sequence[str]) -> bytes:
    """The document of a part of a collection: with the images at some of its paths."""
    root = _parse(document)
    names = {f"Image:{path}" for path in kept}
    for image in root.findall(_tag("Image")):
        if image.get("ID") not in names:
            root.remove(image)
    return _written(root)


def image_paths(document: bytes) -> list[str]:
    """Paths of the images that a document names, or their numbers.

    Raises
    ------
    ValueError
        If it is not OME-XML.
    """
    root = _parse(document)
    if not root.tag.endswith("}OME"):
        raise ValueError(f"the root element is {root.tag!r}")
    return [
        image.get("ID", "").removeprefix("Image:") for image in root if image.tag.endswith("}Image")
    ]


def _parse(document: bytes) -> ElementTree.Element:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: ElementTree.Element = fromstring(document, forbid_dtd=True)
    except (DefusedXmlException, ElementTree.ParseError, LookupError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return root


def _written(root: ElementTree.Element) -> bytes:
    ElementTree.register_namespace("", _SPACE)
    ElementTree.register_namespace("xsi", _INSTANCE)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, "utf-8", xml_declaration=True)
    return text + b"\n"


def _tag(name: str) -> str:
    return f"{{{_SPACE}}}{name}"


def _of_source(document: OmeDocument, names: Mapping[str, str]) -> ElementTree.Element | None:
    """The source's own document with the IDs of images as here, if it describes as many."""
    try:
        root = _parse(document.text.encode())
    except ValueError:
        return None
    images = root.findall(_tag("Image"))
    if len(images) != len(document.images):
        return None
    renamed = {}
    for image, path in zip(images, document.images, strict=True):
        if path in names:
            renamed[image.get("ID")] = f"Image:{names[path]}"
        else:
            root.remove(image)
    for element in root.iter():
        if element.tag in (_tag("Image"), _tag("ImageRef")):
            element.set("ID", renamed.get(element.get("ID"), element.get("ID", "")))
        if element.tag == _tag("Pixels"):
            _without_pixels(element)
    return root


def _without_pixels(pixels: ElementTree.Element) -> None:
    """Replace what says where the pixels are: they are in the store."""
    places = [e for e in pixels if e.tag in (_tag("BinData"), _tag("TiffData"))]
    for element in places:
        pixels.remove(element)
    if places and pixels.find(_tag("MetadataOnly")) is None:
        after = [n for n, e in enumerate(pixels) if e.tag == _tag("Channel")]
        pixels.insert(max(after, default=-1) + 1, ElementTree.Element(_tag("MetadataOnly")))


def _image(nodes: Nodes, path: str, name: str, number: int) -> ElementTree.Element:
    """The element of an image."""
    meta = ngff.decode(nodes.groups.get(path, {})) or ngff.GroupMeta()
    multiscale = next(iter(meta.multiscales), None)
    at = f"{path}/{multiscale.levels[0].path}".lstrip("/") if multiscale is not None else ""
    if multiscale is None or at not in nodes.arrays:
        raise StoreError("a series that is listed is not an image of the store", record=path)
    level = multiscale.levels[0]
    array = parse_array(nodes.arrays[at], nodes.zarr_format, at)
    sizes = dict(zip((a.name for a in multiscale.axes), array.shape, strict=True))
    title = _FORBIDDEN.sub("\ufffd", multiscale.name or name)
    made = ElementTree.Element(_tag("Image"), {"ID": f"Image:{name}", "Name": title})
    given: dict[str, object] = {
        "ID": f"Pixels:{number}",
        "DimensionOrder": "XYZCT",
        "Type": _TYPES.get(array.dtype.name, array.dtype.name),
        **{f"Size{a.upper()}": sizes.get(a, 1) for a in "xyzct"},
    }
    for axis, step in zip(multiscale.axes, level.scale, strict=True):
        unit = _UNITS.get(axis.unit or "")
        if unit is not None and axis.name in "xyzt":
            key = "TimeIncrement" if axis.name == "t" else f"PhysicalSize{axis.name.upper()}"
            given |= {key: step, f"{key}Unit": unit}
    pixels = ElementTree.SubElement(made, _tag("Pixels"), {k: str(v) for k, v in given.items()})
    for index in range(sizes.get("c", 1)):
        entry = {"ID": f"Channel:{number}:{index}", "SamplesPerPixel": "1"}
        if index < len(meta.channels):
            channel = meta.channels[index]
            color = int.from_bytes(bytes.fromhex(f"{channel.rgb}FF"), "big", signed=True)
            entry["Color"] = str(color)
            if channel.label:
                entry["Name"] = _FORBIDDEN.sub("\ufffd", channel.label)
        ElementTree.SubElement(pixels, _tag("Channel"), entry)
    ElementTree.SubElement(pixels, _tag("MetadataOnly"))
    return made
