"""Documents of a converted store: those of the old one, in the other version."""

from __future__ import annotations

from typing import Any

import numpy as np

from ngff_bio import ngff
from ngff_bio._version import __version__
from ngff_bio.copying.part import attributes_of_part, paths_above
from ngff_bio.copying.rewrite.arrays import RewrittenArray
from ngff_bio.copying.rewrite.inventory import Inventory
from ngff_bio.copying.rewrite.plan import MadeLevels, RewritePlan
from ngff_bio.copying.rewrite.units import whole_array
from ngff_bio.model import Notice
from ngff_bio.ngff.encoding import write_multiscale, write_multiscale_06
from ngff_bio.ngff.versions import translate
from ngff_bio.storage import join_key
from ngff_bio.zarrio.documents import parse_json
from ngff_bio.zarrio.nodes import Nodes


def nodes_of(plan: RewritePlan) -> tuple[Nodes, list[Notice]]:
    """Groups and arrays of the new store, and what its version cannot hold.

    Raises
    ------
    ngff_bio.errors.StoreError
        If the metadata of a group cannot be understood.
    """
    inventory, version = plan.inventory, plan.settings.version
    nodes, notices = Nodes(plan.settings.zarr_format), list[Notice]()
    made = {a.image.path: a for a in plan.arrays if isinstance(a, MadeLevels)}
    for path in sorted(inventory.documents.groups):
        if inventory.is_dropped(path):
            continue
        attributes = _remaining(inventory, path)

        def shape_of(name: str, path: str = path) -> tuple[int, ...]:
            return inventory.shape(join_key(path, name))

        found = translate(attributes, version, shape_of)
        url = inventory.url(path)
        notices += [Notice("skipped", f"OME-Zarr {version} has no {w}", url) for w in found.lost]
        notices += [Notice("note", what, url) for what in found.guessed]
        if path in made:
            _set_levels(found.attributes, made[path], version)
        nodes.groups[path] = found.attributes
    for array, owner in zip(plan.arrays, plan.owners, strict=True):
        if owner is not None and inventory.is_dropped(owner):
            continue
        if isinstance(array, MadeLevels):
            nodes.arrays.update(array.plan.documents())
        else:
            nodes.arrays[array.old.path] = _document(array)
    for path in list(nodes.paths):  # Zarr v3 lets groups between nodes be left out
        while path := path.rpartition("/")[0]:
            nodes.groups.setdefault(path, {})
    return nodes, notices


def _document(array: RewrittenArray) -> dict[str, Any]:
    if array.how != "whole":
        return array.document
    path, objects = array.old.path, whole_array(array)
    attributes = array.document.get("attributes") or {}
    for name in ("zarr.json", ".zarray"):
        if (data := objects.get(f"{path}/{name}")) is not None:
            return {**parse_json(data, path), "attributes": attributes}
    raise ValueError("an array without a document")


def _remaining(inventory: Inventory, path: str) -> dict[str, Any]:
    """Attributes of a group that name nothing that was dropped."""
    attributes = inventory.documents.attributes(path)
    if not inventory.dropped:
        return attributes
    images = {m.path for m in inventory.images()}
    kept = {above for image in images for above in paths_above(image)}
    found = attributes_of_part(path, attributes, images, kept)
    content = found.get("ome", found)
    if isinstance(content, dict) and isinstance(content.get("labels"), list):
        names = content["labels"]
        content["labels"] = [n for n in names if not inventory.is_dropped(join_key(path, n))]
    return found


def _set_levels(attributes: dict[str, Any], made: MadeLevels, version: str) -> None:
    """Put levels that were made into the entry of an image."""
    content = attributes.get("ome", attributes)
    (entry,) = content["multiscales"]
    before = made.image.meta.levels[0]
    start = before.translation or (0.0,) * len(before.scale)
    levels, total = [], np.ones(len(before.scale))
    for level in made.plan.levels:
        total = total * level.factor
        scale = tuple(s * float(f) for s, f in zip(before.scale, total, strict=True))
        # Half-pixel rule, as for levels of a dataset.
        shift = tuple(
            t + s * (float(f) - 1) / 2 for t, s, f in zip(start, before.scale, total, strict=True)
        )
        levels.append(ngff.LevelMeta(level.path, scale, shift))
    meta = ngff.MultiscaleMeta(
        made.image.meta.axes,
        tuple(levels),
        method=made.plan.method,
        metadata={"program": "ngff_bio", "version": __version__},
    )
    written = (write_multiscale_06 if version == "0.6" else write_multiscale)(meta)
    axes = [
        {**axis, "name": name}
        for axis, name in zip(
            written["coordinateSystems"][0]["axes"] if version == "0.6" else written["axes"],
            made.image.axes,
            strict=True,
        )
    ]
    if version == "0.6":
        written["coordinateSystems"][0]["axes"] = axes
    else:
        written["axes"] = axes
    entry.pop("coordinateTransformations", None)
    entry.update(written)
