"""Group attributes of OME-Zarr 0.4, 0.5 and 0.6 to neutral metadata; other attributes are ignored.

Those of 0.1 to 0.3 are brought to 0.4 before: see :mod:`ngff_bio.ngff.older`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from ngff_bio.errors import StoreError, plain_reason
from ngff_bio.ngff.metadata import (
    VERSIONS,
    AxisMeta,
    ChannelMeta,
    GroupMeta,
    LabelMeta,
    LevelMeta,
    MultiscaleMeta,
    PlateMeta,
    Version,
    WellMeta,
)
from ngff_bio.ngff.older import OLDER, older_version, plain_steps

T = TypeVar("T")

#: Versions by other names: release candidates, and what spatialdata writes.
_NAMES = {
    "0.6rc0": "0.6",
    "0.4-dev-spatialdata": "0.4",
    "0.5-dev-spatialdata": "0.5",
    **dict.fromkeys(OLDER, "0.4"),
}

#: Keys of 0.4, which names no version above them.
OME_KEYS = (
    "multiscales",
    "plate",
    "well",
    "labels",
    "image-label",
    "bioformats2raw.layout",
    "series",
)


def version_of(attributes: dict[str, object]) -> str | None:
    """Version that a group's attributes claim, or ``None`` if they are not OME-Zarr."""
    ome = attributes.get("ome")
    if isinstance(ome, dict):
        return str(ome.get("version", "0.5"))
    if not any(key in attributes for key in OME_KEYS):
        return None
    return older_version(attributes) or "0.4"


def known_version(version: str) -> Version | None:
    """The version of the specification by whose rules metadata of a version is read."""
    named = _NAMES.get(version, version)
    return next((known for known in VERSIONS if known == named), None)


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise ValueError(f"{given!r} is not a text")
    return given


def _text_or_none(given: object) -> str | None:
    return None if given is None else _text(given)


def _names(given: Any) -> tuple[str, ...]:
    if isinstance(given, str):
        raise ValueError("names are a list of texts")
    return tuple(map(_text, given))


def decode(attributes: dict[str, Any]) -> GroupMeta | None:
    """Neutral description of a group's attributes; ``None`` if they are not OME-Zarr.

    Raises
    ------
    ngff_bio.errors.StoreError
        If the version is not known, or a part of the metadata cannot be understood.
    """
    version = version_of(attributes)
    if version is None:
        return None
    known = known_version(version)
    if known is None:
        raise StoreError(
            "this version of OME-Zarr is not known",
            expected=", ".join(VERSIONS),
            found=version,
            hint="see whether a newer ngff_bio reads it",
        )
    content = attributes if known == "0.4" else attributes["ome"]
    read = read_multiscale_06 if known == "0.6" else read_multiscale
    try:
        return GroupMeta(
            multiscales=tuple(_each(read, content.get("multiscales", ()), "multiscales")),
            channels=tuple(_member(_read_channels, content, "omero") or ()),
            label=_member(_read_label, content, "image-label"),
            labels=_member(_names, content, "labels"),
            plate=_member(_read_plate, content, "plate"),
            well=_member(_read_well, content, "well"),
            collection="bioformats2raw.layout" in content,
            series=_member(lambda s: None if s is None else _names(s), content, "series"),
            version=version,
        )
    except NOT_UNDERSTOOD as error:
        raise not_understood(error, version) from error


#: What reading metadata raises where they are not as the specification says.
NOT_UNDERSTOOD = (LookupError, TypeError, ValueError, AttributeError)


def not_understood(error: Exception, version: str) -> StoreError:
    """The error for metadata of a group; the notes of `error` are its place in them."""
    return StoreError(
        "the OME-Zarr metadata of a group cannot be understood",
        record=".".join(reversed(getattr(error, "__notes__", ()))) or None,
        expected=f"metadata of OME-Zarr {version}",
        found=plain_reason(error),
        hint="run `ngff-bio validate` on the store to see every finding",
    )


@contextmanager
def _inside(place: str) -> Iterator[None]:
    """Note the place in the document on what is raised for its content."""
    try:
        yield
    except NOT_UNDERSTOOD as error:
        error.add_note(place)
        raise


def _member(read: Callable[[Any], T], content: Mapping[str, Any], name: str) -> T | None:
    """A member of an object; ``None`` if it is not there."""
    if name not in content:
        return None
    with _inside(name):
        return read(content[name])


def _each(read: Callable[[Any], T], values: Iterable[Any], name: str) -> Iterator[T]:
    """The elements of a list."""
    for number, value in enumerate(values):
        with _inside(f"{name}[{number}]"):
            found = read(value)
        yield found


def read_multiscale(content: dict[str, Any]) -> MultiscaleMeta:
    """An entry of ``multiscales`` of 0.4 and 0.5."""
    axes = _read_axes(content["axes"])
    outer = _checked(plain_steps(content.get("coordinateTransformations") or []), "the image")

    def level(dataset: dict[str, Any]) -> LevelMeta:
        path, steps = _text(dataset["path"]), dataset.get("coordinateTransformations") or []
        inner = _checked(steps, f"level {path!r}")
        return LevelMeta(path, *compose([*inner, *outer], len(axes)))

    levels = tuple(_each(level, content["datasets"], "datasets"))
    return _made_multiscale(content, axes, levels)


def _checked(steps: list[dict[str, object]], whose: str) -> list[dict[str, object]]:
    """At most one scale and one translation (0.4 and 0.5, section "multiscales")."""
    for kind in ("scale", "translation"):
        if sum(step["type"] == kind for step in steps) > 1:
            raise ValueError(f"{whose} has two {kind}s")
    return steps


def read_multiscale_06(content: dict[str, Any]) -> MultiscaleMeta:
    """An entry of ``multiscales`` of 0.6, with the axes of the system that its levels are mapped to.

    Transformations from there to other systems do not change pixel sizes and are ignored.
    """
    systems = {s["name"]: s["axes"] for s in content["coordinateSystems"]}
    transformations = []
    for dataset in content["datasets"]:
        steps = dataset["coordinateTransformations"]
        if len(steps) != 1:
            raise ValueError(f"{len(steps)} transformations of level {dataset['path']!r}, not one")
        transformations.append((_text(dataset["path"]), steps[0]))
    names = {step["output"]["name"] for _, step in transformations}
    if len(names) != 1:
        raise ValueError(f"levels lead to {len(names)} coordinate systems, not to one")
    name = names.pop()
    if name not in systems:
        raise ValueError(f"no coordinate system {name!r}")
    axes = _read_axes(systems[name])
    levels = [
        LevelMeta(path, *compose(flat_steps([step]), len(axes))) for path, step in transformations
    ]
    return _made_multiscale(content, axes, levels)


def flat_steps(steps: Iterable[dict[str, Any]]) -> Iterator[dict[str, object]]:
    """Transformations in order, those inside sequences (0.6) in place of the sequence."""
    for step in steps:
        if step.get("type") == "sequence":
            yield from flat_steps(step["transformations"])
        else:
            yield step


def compose(
    steps: Iterable[dict[str, Any]], ndim: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """One scale and one translation out of a list of them, applied in order.

    Raises
    ------
    ValueError
        If one of them is neither or is not as long as there are axes.
    """
    scale, translation = [1.0] * ndim, [0.0] * ndim
    for step in steps:
        if step["type"] == "scale":
            values = [float(v) for v in step["scale"]]
            scale = [s * v for s, v in zip(scale, values, strict=True)]
            translation = [t * v for t, v in zip(translation, values, strict=True)]
        elif step["type"] == "translation":
            values = [float(v) for v in step["translation"]]
            translation = [t + v for t, v in zip(translation, values, strict=True)]
        elif step["type"] != "identity":
            raise ValueError(f"a coordinate transformation of type {step['type']!r}")
    return tuple(scale), tuple(translation)


def _read_axes(content: Iterable[dict[str, object]]) -> tuple[AxisMeta, ...]:
    def axis(a: dict[str, object]) -> AxisMeta:
        return AxisMeta(
            axis_name(a["name"]), _text_or_none(a.get("type")), _text_or_none(a.get("unit"))
        )

    axes = tuple(_each(axis, content, "axes"))
    if len({a.name for a in axes}) < len(axes):
        raise ValueError("two axes have one name")
    return axes


def axis_name(given: object) -> str:
    """The name of an axis; T, C, Z, Y and X (iohub) in lower case."""
    name = _text(given)
    return name.lower() if name in tuple("TCZYX") else name


def _made_multiscale(
    content: dict[str, object], axes: tuple[AxisMeta, ...], levels: Sequence[LevelMeta]
) -> MultiscaleMeta:
    """A multiscale of its axes and levels; it needs a level, and a pixel needs a size."""
    if not levels:
        raise ValueError("an image without any level")
    for level in levels:
        if any(s == 0 and a.type == "space" for s, a in zip(level.scale, axes, strict=True)):
            raise ValueError(f"a scale of 0 of level {level.path!r}")
    name, method = content.get("name"), content.get("type")
    return MultiscaleMeta(
        axes,
        tuple(levels),
        None if name is None else str(name),
        None if method is None else str(method),
        metadata if isinstance(metadata := content.get("metadata"), dict) else None,
    )


def _read_channels(content: dict[str, Any] | None) -> list[ChannelMeta]:
    return [*_each(_read_channel, (content or {}).get("channels") or (), "channels")]


def _read_channel(content: dict[str, Any]) -> ChannelMeta:
    window = content.get("window") or {}
    low, high = float(window.get("min", 0)), float(window.get("max", 1))
    return ChannelMeta(
        label=str(content.get("label", "")),
        color=str(content.get("color", "FFFFFF")),
        minimum=low,
        maximum=high,
        start=float(window.get("start", low)),
        end=float(window.get("end", high)),
        active=bool(content.get("active", True)),
    )


def _read_label(content: dict[str, Any]) -> LabelMeta:
    colors = {
        c["label-value"]: _rgba(c["rgba"])
        for c in content.get("colors") or ()
        if c.get("rgba") is not None
    }
    properties = tuple(content.get("properties") or ())
    if not all(
        isinstance(v, int | float) for v in (*colors, *(p["label-value"] for p in properties))
    ):
        raise ValueError("a label-value is not a number")
    source = content.get("source")
    return LabelMeta(
        colors=colors,
        properties=properties,
        source=source.get("image", "../../") if isinstance(source, dict) else None,
    )


def _rgba(values: Any) -> tuple[int, int, int, int]:
    red, green, blue, alpha = (int(v) for v in values)
    return red, green, blue, alpha


def _read_plate(content: dict[str, Any]) -> PlateMeta:
    return PlateMeta(
        name=str(content.get("name", "")),
        rows=_names(r["name"] for r in content["rows"]),
        columns=_names(c["name"] for c in content["columns"]),
        wells=tuple((w["path"].split("/")[0], w["path"].split("/")[1]) for w in content["wells"]),
        field_count=int(content.get("field_count", 1)),
        acquisitions=tuple(content.get("acquisitions") or ()),
    )


def _read_well(content: dict[str, Any]) -> WellMeta:
    images = content["images"]
    return WellMeta(_names(i["path"] for i in images), tuple(i.get("acquisition") for i in images))
