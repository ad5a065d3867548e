"""Plates and wells: images by where they lie on a plate."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from ngff_bio.errors import ArgumentError, NameNotFoundError, StorageError, StoreError
from ngff_bio.ngff import PlateMeta
from ngff_bio.reader.access.image import Image
from ngff_bio.reader.access.nodes import NodeTree


class Well(Mapping[str, Image]):
    """The fields of a well by their names, ``"0"``, ``"1"``, ..."""

    def __init__(self, nodes: NodeTree, path: str, name: str) -> None:
        self._nodes = nodes
        self.path = path
        self.name = name

    @cached_property
    def _fields(self) -> tuple[str, ...]:
        meta = self._nodes.meta(self.path)
        if meta is None or meta.well is None:
            raise StoreError(
                "a well that its plate lists is not there",
                file=f"{self._nodes.storage.url}/{self.path}",
            )
        return meta.well.images

    @property
    def image(self) -> Image:
        """Its only field.

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If it has none or several.
        """
        if len(self) != 1:
            raise ArgumentError(
                f"well {self.name} has {len(self)} fields",
                file=f"{self._nodes.storage.url}/{self.path}",
                hint="name one of them: well['0']",
            )
        return self[self._fields[0]]

    def __getitem__(self, field: str) -> Image:
        if str(field) not in self._fields:
            raise NameNotFoundError(
                f"no field {field!r} in well {self.name}",
                file=f"{self._nodes.storage.url}/{self.path}",
                expected=", ".join(self._fields),
            )
        return Image(self._nodes, f"{self.path}/{field}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"<ngff_bio.Well {self.name}: fields {', '.join(self._fields)}>"


class Plate(Mapping[str, Well]):
    """The wells of a plate by their names: ``plate["C7"]``, or ``plate["C/7"]``."""

    def __init__(self, nodes: NodeTree, path: str, meta: PlateMeta) -> None:
        self._nodes = nodes
        self.path = path
        self.meta = meta

    @property
    def name(self) -> str:
        """Its name, or that of its group."""
        return self.meta.name or self.path.rpartition("/")[2]

    @cached_property
    def _wells(self) -> dict[str, tuple[str, str]]:
        return {f"{row}{column}": (row, column) for row, column in self.meta.wells}

    def well_path(self, row: str, column: str) -> str:
        """Path of a well's group."""
        return f"{self.path}/{row}/{column}".lstrip("/")

    def __getitem__(self, well: str) -> Well:
        found = self._wells.get(well) or self._wells.get(well.replace("/", ""))
        if found is None:  # C07 and c7 mean C7
            match = re.fullmatch(r"([A-Za-z]+)/?0*(\d+)", well)
            name = f"{match[1].upper()}{match[2]}" if match else well
            found = next(
                (w for w in self._wells.values() if f"{w[0].upper()}{w[1].lstrip('0')}" == name),
                None,
            )
        if found is None:
            near = difflib.get_close_matches(well, self._wells, 3) or list(self._wells)[:5]
            raise NameNotFoundError(
                f"no well {well!r} on plate {self.name!r}",
                file=f"{self._nodes.storage.url}/{self.path}".rstrip("/"),
                expected=", ".join(near) or "the plate lists no wells",
            )
        return Well(self._nodes, self.well_path(*found), "".join(found))

    def __iter__(self) -> Iterator[str]:
        return iter(self._wells)

    def __len__(self) -> int:
        return len(self._wells)

    def images(self) -> Iterator[tuple[str, str, str]]:
        """Path, well and field of every image."""
        wells = [(name, self.well_path(*at)) for name, at in self._wells.items()]
        self._nodes.prefetch(path for _, path in wells)
        for name, path in wells:
            try:
                fields = Well(self._nodes, path, name)
                yield from ((f"{path}/{field}", name, field) for field in fields)
            except StoreError:
                yield path, name, ""  # marked as broken where images are listed

    def __repr__(self) -> str:
        rows, columns = len(self.meta.rows), len(self.meta.columns)
        return f"<ngff_bio.Plate {self.name}: {rows} x {columns}, {len(self)} wells with images>"


def find_plates(nodes: NodeTree) -> dict[str, Plate]:
    """Plates by the paths of their groups: the root itself, or those below a plain root."""
    found: dict[str, Plate] = {}
    for path in ("",) if nodes.meta("") is not None else groups_below(nodes):
        try:
            meta = nodes.meta(path)
        except StoreError:
            continue
        if meta is not None and meta.plate is not None:
            found[path] = Plate(nodes, path, meta.plate)
    return found


def groups_below(nodes: NodeTree) -> list[str]:
    """Plates, collections and images below a root that is none itself.

    The attribute ``ngff_bio`` lists them, or consolidated metadata knows them, or they are the
    folders below.
    """
    own: dict[str, Any] = (nodes.attributes("") or {}).get("ngff_bio") or {}
    listed = own.get("groups")
    if listed:
        nodes.prefetch(listed)
        return [str(g) for g in listed]
    if nodes.consolidated:
        return _known_below(nodes)
    try:
        return list(nodes.storage.folders())
    except StorageError:  # a web server
        return []


def _known_below(nodes: NodeTree) -> list[str]:
    """Outermost plates and collections, and the images that lie in none of them."""
    found: list[str] = []
    for word in ("plate", "bioformats2raw.layout", "multiscales"):
        for path in nodes.paths_with(word):
            inside = any(path.startswith(f"{p}/") for p in found)
            if path and not inside and "/labels/" not in f"/{path}/":
                found.append(path)
    return sorted(found)
