"""The parts of the metadata that the versions share, to and from the neutral description."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any

from ngff_bio.errors import StoreError
from ngff_bio.ngff.metadata import (
    AxisMeta,
    ChannelMeta,
    GroupMeta,
    LabelMeta,
    LevelMeta,
    MultiscaleMeta,
    PlateMeta,
    WellMeta,
)


def check(kind: str, content: dict[str, Any]) -> None:
    """Let ome-zarr-models judge what is about to be written.

    Parameters
    ----------
    kind
        Name of a model below ``ome_zarr_models``; it is imported when it is first needed.

    Raises
    ------
    pydantic.ValidationError
        If it does not hold to the specification: a fault of this package, not of the user.
    """
    module, _, name = kind.rpartition(".")
    getattr(import_module(f"ome_zarr_models.{module}"), name).model_validate(content)


def multiscale(meta: MultiscaleMeta) -> dict[str, Any]:
    """``multiscales`` entry (0.4 and 0.5, section "multiscales")."""
    content: dict[str, Any] = {} if meta.name is None else {"name": meta.name}
    content["axes"] = [_without_none(name=a.name, type=a.type, unit=a.unit) for a in meta.axes]
    content["datasets"] = [
        {"path": level.path, "coordinateTransformations": transformations(level)}
        for level in meta.levels
    ]
    if meta.method is not None:
        content["type"] = meta.method
    if meta.metadata is not None:
        content["metadata"] = dict(meta.metadata)
    return content


def transformations(level: LevelMeta) -> list[dict[str, Any]]:
    """Scale and, where it is not nothing, translation of a level."""
    steps: list[dict[str, Any]] = [{"type": "scale", "scale": list(level.scale)}]
    if level.translation is not None and any(level.translation):
        steps.append({"type": "translation", "translation": list(level.translation)})
    return steps


def omero(channels: Iterable[ChannelMeta]) -> dict[str, Any]:
    """``omero`` rendering settings (0.4 and 0.5, section "omero")."""
    return {
        "channels": [
            {
                "label": c.label,
                "color": c.color,
                "active": c.active,
                "window": {"min": c.minimum, "max": c.maximum, "start": c.start, "end": c.end},
            }
            for c in channels
        ]
    }


def image_label(meta: LabelMeta) -> dict[str, Any]:
    """``image-label`` (0.4 and 0.5, section "labels"); empty parts are left out, not empty."""
    content: dict[str, Any] = {}
    if meta.colors:
        content["colors"] = [{"label-value": v, "rgba": list(c)} for v, c in meta.colors.items()]
    if meta.properties:
        content["properties"] = [dict(p) for p in meta.properties]
    if meta.source is not None:
        content["source"] = {"image": meta.source}
    return content


def plate(meta: PlateMeta) -> dict[str, Any]:
    """``plate`` (0.4 and 0.5, section "plate")."""
    content: dict[str, Any] = {
        "name": meta.name,
        "rows": [{"name": r} for r in meta.rows],
        "columns": [{"name": c} for c in meta.columns],
        "wells": [
            {"path": f"{r}/{c}", "rowIndex": meta.rows.index(r), "columnIndex": i}
            for r, c in meta.wells
            for i in [meta.columns.index(c)]
        ],
        "field_count": meta.field_count,
    }
    if meta.acquisitions:
        content["acquisitions"] = [dict(a) for a in meta.acquisitions]
    return content


def well(meta: WellMeta) -> dict[str, Any]:
    """``well`` (0.4 and 0.5, section "well")."""
    acquisitions = meta.acquisitions or (None,) * len(meta.images)
    return {
        "images": [
            _without_none(path=path, acquisition=acquisition)
            for path, acquisition in zip(meta.images, acquisitions, strict=True)
        ]
    }


def decode(
    content: dict[str, Any],
    version: str,
    read_multiscale: Callable[[dict[str, Any]], MultiscaleMeta] | None = None,
) -> GroupMeta:
    """Neutral description of the keys that all versions share.

    ``read_multiscale`` reads an entry of ``multiscales`` where it is not as in 0.4 and 0.5.

    Raises
    ------
    ngff_bio.errors.StoreError
        If a part is there and cannot be understood.
    """
    read = read_multiscale or _read_multiscale
    try:
        return GroupMeta(
            multiscales=tuple(read(m) for m in content.get("multiscales", ())),
            channels=tuple(_read_channels(content.get("omero") or {})),
            label=_read_label(content["image-label"]) if "image-label" in content else None,
            labels=tuple(content["labels"]) if "labels" in content else None,
            plate=_read_plate(content["plate"]) if "plate" in content else None,
            well=_read_well(content["well"]) if "well" in content else None,
            collection="bioformats2raw.layout" in content,
            series=tuple(content["series"]) if content.get("series") is not None else None,
            version=version,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            "the OME-Zarr metadata of a group cannot be understood",
            expected=f"metadata as OME-Zarr {version} has it",
            found=f"{type(error).__name__}: {error}",
            hint="run `ngff-bio validate` on the store to see every finding",
        ) from error


def _read_multiscale(content: dict[str, Any]) -> MultiscaleMeta:
    axes = read_axes(content["axes"])
    outer = _checked(content.get("coordinateTransformations") or [], "the image")
    levels = []
    for dataset in content["datasets"]:
        steps = dataset.get("coordinateTransformations") or []
        inner = _checked(steps, f"level {dataset['path']!r}")
        scale, translation = compose([*inner, *outer], len(axes))
        levels.append(LevelMeta(dataset["path"], scale, translation))
    return made_multiscale(content, axes, levels)


def read_axes(content: Iterable[dict[str, Any]]) -> tuple[AxisMeta, ...]:
    """Axes of their list."""
    return tuple(AxisMeta(a["name"], a.get("type"), a.get("unit")) for a in content)


def made_multiscale(
    content: dict[str, Any], axes: tuple[AxisMeta, ...], levels: Sequence[LevelMeta]
) -> MultiscaleMeta:
    """A multiscale of its axes and levels, with what else its entry says.

    Raises
    ------
    ValueError
        If it has no level, or a pixel has no size.
    """
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


def _checked(steps: list[dict[str, Any]], whose: str) -> list[dict[str, Any]]:
    """At most one scale and one translation (0.4 and 0.5, section "multiscales")."""
    for kind in ("scale", "translation"):
        if sum(step["type"] == kind for step in steps) > 1:
            raise ValueError(f"{whose} has two {kind}s, and nothing says which one holds")
    return steps


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


def _read_channels(content: dict[str, Any]) -> list[ChannelMeta]:
    found = []
    for i, c in enumerate(content.get("channels") or ()):
        window = c.get("window") or {}
        low, high = float(window.get("min", 0)), float(window.get("max", 1))
        found.append(
            ChannelMeta(
                label=str(c.get("label", i)),
                color=str(c.get("color", "FFFFFF")),
                minimum=low,
                maximum=high,
                start=float(window.get("start", low)),
                end=float(window.get("end", high)),
                active=bool(c.get("active", True)),
            )
        )
    return found


def _read_label(content: dict[str, Any]) -> LabelMeta:
    colors = {
        c["label-value"]: tuple(c["rgba"])
        for c in content.get("colors") or ()
        if c.get("rgba") is not None
    }
    source = content.get("source")
    return LabelMeta(
        colors=colors,
        properties=tuple(content.get("properties") or ()),
        source=source.get("image", "../../") if isinstance(source, dict) else None,
    )


def _read_plate(content: dict[str, Any]) -> PlateMeta:
    return PlateMeta(
        name=str(content.get("name", "")),
        rows=tuple(r["name"] for r in content["rows"]),
        columns=tuple(c["name"] for c in content["columns"]),
        wells=tuple((w["path"].split("/")[0], w["path"].split("/")[1]) for w in content["wells"]),
        field_count=int(content.get("field_count", 1)),
        acquisitions=tuple(content.get("acquisitions") or ()),
    )


def _read_well(content: dict[str, Any]) -> WellMeta:
    images = content["images"]
    return WellMeta(tuple(i["path"] for i in images), tuple(i.get("acquisition") for i in images))


def _without_none(**values: Any) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None}
