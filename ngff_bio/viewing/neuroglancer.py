"""The state of Neuroglancer that shows an image.

A state of Neuroglancer names axes, channels, windows and colours, because it takes no more than sizes
and units from the metadata of 0.5. Without a state it shows a plane transposed (axes in stored order),
and the channels of an image one at a time, in grey.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from posixpath import relpath
from typing import Any
from urllib.parse import quote, urljoin

import ngff_bio.reader as reader
from ngff_bio.errors import ArgumentError
from ngff_bio.ngff import AxisMeta, ChannelMeta

#: A JSON object of a viewer's state.
State = dict[str, Any]

_PREFIXES = {"": 0, "deca": 1, "hecto": 2, "deci": -1, "centi": -2} | {
    name: 3 * (number + (1 if number >= 0 else 0))
    for number, name in enumerate(
        [
            "yocto",
            "zepto",
            "atto",
            "femto",
            "pico",
            "nano",
            "micro",
            "milli",
            "kilo",
            "mega",
            "giga",
            "tera",
            "peta",
            "exa",
            "zetta",
            "yotta",
        ],
        start=-8,
    )
}

#: Units of OME-Zarr in SI units.
_UNITS = {
    **{
        f"{prefix}{unit}": (float(f"1e{power}"), unit[0])
        for unit in ("meter", "second")
        for prefix, power in _PREFIXES.items()
    },
    "angstrom": (1e-10, "m"),
    "foot": (0.3048, "m"),
    "inch": (0.0254, "m"),
    "mile": (1609.34, "m"),
    "parsec": (3.0856775814913673e16, "m"),
    "yard": (0.9144, "m"),
    "minute": (60, "s"),
    "hour": (3600, "s"),
    "day": (86400, "s"),
}

#: Width and height that the first view is made for, in pixels of the screen.
_WINDOW = (700, 500)

#: Colours of three channels that are one colour image.
_RGB = ("FF0000", "00FF00", "0000FF")

#: Colours of channels without metadata.
_TINTS = ("FF00FF", "00FF00", "0099FF", "FFFF00")


def neuroglancer_state(
    image: reader.Image,
    url: str,
    *,
    t: int | None = None,
    z: int | None = None,
    region: Sequence[int] | None = None,
    segments: bool = False,
) -> State:
    """State of Neuroglancer that shows an image with its labels.

    Parameters
    ----------
    image
        The image.
    url
        URL of its group, as the browser reaches it.
    t, z
        Frame and plane that are shown at first; the middle if ``None``.
    region
        (x, y, width, height) in pixels that the view shows at first; the whole plane if ``None``.
    segments
        Whether the documents of `segments_key` are at the URL, so that label values have names.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it is outside the image, or empty.
    """
    sizes, scale = image.sizes, image.scale
    shift = image.pixels.translation()
    shown = [a for a in "xyzt" if a in sizes]
    x, y, width, height = region or (0, 0, sizes["x"], sizes["y"])
    if not (width > 0 and height > 0 and x < sizes["x"] and y < sizes["y"]):
        raise ArgumentError(
            "the region is outside the image, or empty",
            file=image.url,
            expected=f"a part of {sizes['x']} x {sizes['y']} pixels",
            found=f"{width} x {height} at {x}, {y}",
        )
    middle = {"x": x + (width - 1) / 2, "y": y + (height - 1) / 2, "z": z, "t": t}
    position = []
    for axis in shown:
        at = middle[axis]
        index = (sizes[axis] - 1) // 2 if at is None else at
        if not 0 <= index < sizes[axis]:
            raise ArgumentError(
                f"the index along {axis} is outside the image",
                file=image.url,
                expected=f"0 to {sizes[axis] - 1}",
                found=index,
            )
        position.append(index + shift[axis] / scale[axis])
    dimensions = _dimensions(image)
    space = [a for a in "xyz" if a in sizes]
    volume = sizes.get("z", 1) > 1 and None not in (image.units.get(a) for a in space)
    smallest = min(dimensions[a][0] for a in space)
    extents = {"x": width, "y": height, "z": sizes.get("z", 1)}
    wide, high, *deep = (extents[a] * dimensions[a][0] / smallest for a in space)
    panels = 2 if volume else 1
    shown_at_first = shown_label(image)
    layers = _image_layers(image, url, dimensions)
    for name in image.labels:
        layer = label_layer(image, url, name, segments)
        layers.append({**layer, "visible": name == shown_at_first})
    return {
        "dimensions": {a: dimensions[a] for a in shown},
        "displayDimensions": space,
        "position": position,
        "crossSectionScale": panels * max(wide / _WINDOW[0], high / _WINDOW[1]),
        "projectionScale": 1.5 * max(wide, high, *deep),
        "layers": layers,
        "layout": "4panel" if volume else "xy",
        "showAxisLines": False,
    }


def _dimensions(image: reader.Image) -> dict[str, tuple[float, str]]:
    """Size of a pixel along each axis, and its SI unit."""
    return {a.name: _dimension(a, image.scale[a.name]) for a in image.multiscale.axes}


def _dimension(axis: AxisMeta, step: float) -> tuple[float, str]:
    factor, unit = _UNITS.get(axis.unit or "", (1, ""))
    return step * factor, unit


def _source(image: reader.Image, url: str) -> str:
    return f"{url}/|zarr{image.nodes.zarr_format}:"


def _image_layers(
    image: reader.Image, url: str, dimensions: Mapping[str, tuple[float, str]]
) -> list[State]:
    """One layer for a grey or a colour image, else one for each channel, added up."""
    source: State = {"url": _source(image, url)}
    count = image.sizes.get("c", 1)
    channels: Sequence[ChannelMeta | None] = image.meta.channels
    if len(channels) != count:
        channels = (None,) * count
    if count == 1:
        return [{"name": "image", "source": source, **_shader(channels[0])}]
    colors = tuple(c.rgb for c in channels if c is not None)
    if colors == _RGB and _channels_in_chunk(image):
        dimensions = {"c^" if a == "c" else a: d for a, d in dimensions.items()}
        source["transform"] = {"outputDimensions": dimensions}
        return [{"name": "image", "source": source, **_shader_of_rgb(channels)}]
    return [
        {
            "name": f"{i} {channel.label}" if channel is not None and channel.label else str(i),
            "source": source,
            "localDimensions": {"c'": dimensions["c"]},
            "localPosition": [i],
            "visible": channel is None or channel.active,
            **_shader(channel, _TINTS[i % len(_TINTS)]),
        }
        for i, channel in enumerate(channels)
    ]


def _channels_in_chunk(image: reader.Image) -> bool:
    """Whether each chunk has all channels: Neuroglancer gives a shader those of one chunk only."""
    axis, count = image.axes.index("c"), image.sizes["c"]
    return all(image.pixels.array(n).chunks[axis] >= count for n in image.pixels.present())


def _shader(channel: ChannelMeta | None, color: str = "FFFFFF") -> State:
    """Layer of one channel in its colour; Neuroglancer chooses the window where there is none."""
    if channel is not None:
        color = channel.rgb
    code = "#uicontrol vec3 color color\n#uicontrol invlerp value\n"
    controls: State = {"color": f"#{color.lower()}"}
    if channel is not None:
        controls["value"] = _range_of(channel)
    return {
        **_layer(code + "void main() { emitRGB(color * value()); }\n"),
        "shaderControls": controls,
    }


def _shader_of_rgb(channels: Sequence[ChannelMeta | None]) -> State:
    names = ("red", "green", "blue")
    code = "".join(f"#uicontrol invlerp {n}(channel={i})\n" for i, n in enumerate(names))
    code += "void main() { emitRGB(vec3(red(), green(), blue())); }\n"
    pairs = zip(names, channels, strict=True)
    controls = {
        n: {**_range_of(c), "channel": [i]} for i, (n, c) in enumerate(pairs) if c is not None
    }
    return {**_layer(code), "shaderControls": controls}


def _layer(shader: str) -> State:
    return {"type": "image", "shader": shader, "opacity": 1, "blend": "additive"}


def _range_of(channel: ChannelMeta) -> State:
    return {
        "range": [channel.start, channel.end],
        "window": [channel.minimum, channel.maximum],
    }


def shown_label(image: reader.Image) -> str | None:
    """Label image that is shown at first: the semantic one, or else the first."""
    layers = image.layers
    return next((n for n in layers if image.is_semantic(n)), next(iter(layers), None))


def segments_key(label: str) -> str:
    """Key of the document of names and numbers of label values, by the path of the label image.

    Neuroglancer reads it from a URL (its format "precomputed", ``info`` of segment properties).
    """
    return f"{label}/segments/info"


def has_segments(image: reader.Image, name: str) -> bool:
    """Whether there may be names or numbers of the values of a label image of an image."""
    if image.label_path(name) != image.below(f"labels/{name}"):  # of spatialdata: of several images
        return False
    meta = image.label_meta(name).label
    return name in image.tables or any("class" in p for p in (meta.properties if meta else ()))


def label_layer(image: reader.Image, url: str, name: str, segments: bool = False) -> State:
    """Layer of a label image, with the colours and, with ``segments``, the names that it has.

    ``url`` is that of the image's group.
    """
    meta = image.label_meta(name).label
    path = relpath(image.label_path(name), image.path or ".")
    place = urljoin(f"{url}/", quote(path))
    source: str | list[Any] = _source(image, place)
    if segments and has_segments(image, name):
        info = segments_key(place).removesuffix("info")
        source = [source, {"url": f"{info}|neuroglancer-precomputed:"}]
    layer: State = {
        "type": "segmentation",
        "name": name,
        "source": source,
        "selectedAlpha": 0.4,
    }
    if meta is not None and meta.colors:
        layer["segmentColors"] = {
            str(value): "#{:02x}{:02x}{:02x}".format(*rgba) for value, rgba in meta.colors.items()
        }
    return layer
