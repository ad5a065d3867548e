"""Group attributes from one version of the specification to another; what neither defines is kept.

Unlike `decode` and `encode`, which keep what the specification defines, this changes only what differs
between two versions: where keys are, which parts state a version, axes and transformations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ngff_bio.errors import StoreError
from ngff_bio.ngff.decoding import (
    NOT_UNDERSTOOD,
    OME_KEYS,
    known_version,
    not_understood,
    read_multiscale,
    read_multiscale_06,
    version_of,
)
from ngff_bio.ngff.encoding import VERSIONED, write_multiscale, write_multiscale_06
from ngff_bio.ngff.metadata import VERSIONS, Version
from ngff_bio.ngff.older import OLDER, ShapeOf, as_04, plain_steps

#: Keys of an entry of ``multiscales``, and of its datasets, that are written anew.
_REWRITTEN = ("axes", "datasets", "coordinateSystems", "coordinateTransformations")


@dataclass(slots=True)
class TranslatedAttributes:
    """Attributes in another version.

    ``lost`` says what of them that version cannot hold, ``guessed`` what had to be added.
    """

    attributes: dict[str, object]
    lost: list[str] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)


def translate(
    attributes: Mapping[str, Any], version: Version, shape_of: ShapeOf
) -> TranslatedAttributes:
    """Attributes of a group in another version.

    Parameters
    ----------
    shape_of
        Shapes of arrays below the group: the levels of OME-Zarr 0.1 to 0.3 have no scales.

    Raises
    ------
    ngff_bio.errors.StoreError
        If the version is not known, or the metadata cannot be understood.
    """
    given = dict(attributes)
    before = version_of(given)
    if before is None:
        return TranslatedAttributes(given)
    known = known_version(before)
    if known is None:
        raise StoreError(
            "this version of OME-Zarr is not known",
            expected=", ".join((*OLDER, *VERSIONS)),
            found=before,
        )
    found = TranslatedAttributes({})
    try:
        if known == "0.4":
            raised = as_04(given, shape_of)
            if raised != given:
                found.guessed.append(
                    f"OME-Zarr {before} has no pixel sizes: the scale of a level counts pixels of "
                    "level 0"
                )
            content = {k: raised[k] for k in (*OME_KEYS, "omero") if k in raised}
            rest = {k: v for k, v in raised.items() if k not in content}
        else:
            content = dict(given["ome"])
            rest = {k: v for k, v in given.items() if k != "ome"}
        _translate(content, known, version, found)
    except NOT_UNDERSTOOD as error:
        raise not_understood(error, before) from error
    found.attributes = {**content, **rest} if version == "0.4" else {"ome": content, **rest}
    return found


def _translate(
    content: dict[str, Any], before: Version, version: Version, found: TranslatedAttributes
) -> None:
    """Change OME-Zarr metadata in place."""
    content.pop("version", None)
    images = content.get("multiscales")
    if images is not None:
        change = before == "0.6", version == "0.6"
        content["multiscales"] = [_image(dict(m), *change, found) for m in images]
    if isinstance(content.get("plate"), dict):
        content["plate"] = _plate(dict(content["plate"]))
    for key in ("multiscales", "omero", "image-label", "plate", "well"):
        if key not in content:
            continue
        parts = content[key] if key == "multiscales" else [content[key]]
        plain = [{k: v for k, v in dict(part or {}).items() if k != "version"} for part in parts]
        if key in VERSIONED[version]:
            plain = [{**part, "version": version} for part in plain]
        content[key] = plain if key == "multiscales" else plain[0]
    if version != "0.4":
        rest = dict(content)
        content.clear()
        content.update(version=version, **rest)


def _image(
    image: dict[str, Any], before_06: bool, after_06: bool, found: TranslatedAttributes
) -> dict[str, object]:
    """An entry of ``multiscales``; all that is not of axes and transformations stays as it is."""
    outer = image.get("coordinateTransformations") or []
    if not before_06 and any("output" in step for step in outer):  # of spatialdata
        plain = plain_steps(outer)
        names = [str((s.get("output") or {}).get("name")) for s in outer]
        if len(outer) > 1 or (not plain and outer[0].get("type") != "identity"):
            found.lost.append(f"transformations to coordinate systems {', '.join(names)}")
        image["coordinateTransformations"] = plain
        if not plain:
            del image["coordinateTransformations"]
    if before_06 == after_06:
        return image
    meta = (read_multiscale_06 if before_06 else read_multiscale)(image)
    written = (write_multiscale_06 if after_06 else write_multiscale)(meta)
    axes = image.get("axes")
    if before_06:
        systems = {s["name"]: s["axes"] for s in image["coordinateSystems"]}
        (name,) = {d["coordinateTransformations"][0]["output"]["name"] for d in image["datasets"]}
        axes = systems.pop(name)
        if systems or outer:
            found.lost.append(f"coordinate systems beside {name!r}, and transformations to them")
    if after_06:
        written["coordinateSystems"][0]["axes"] = axes
    else:
        written["axes"] = axes
    for new, old in zip(written["datasets"], image["datasets"], strict=True):
        new.update({k: v for k, v in old.items() if k not in new})
    kept = {k: v for k, v in image.items() if k not in _REWRITTEN}
    return {**kept, **{k: v for k, v in written.items() if k in _REWRITTEN}}


def _plate(plate: dict[str, Any]) -> dict[str, object]:
    """A plate whose wells have the indices of their row and column, which 0.1 to 0.3 do not state."""
    rows = {r["name"]: i for i, r in enumerate(plate["rows"])}
    columns = {c["name"]: i for i, c in enumerate(plate["columns"])}
    wells = []
    for well in plate["wells"]:
        row, column = well["path"].split("/")[:2]
        indices = {"rowIndex": rows[row], "columnIndex": columns[column]}
        wells.append({**well, **{k: v for k, v in indices.items() if k not in well}})
    return {**plate, "wells": wells}
