"""Plates and wells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from ngff_bio.errors import ArgumentError, NameNotFoundError, StoreError, closest_names
from ngff_bio.ngff import PlateMeta
from ngff_bio.printing import printable
from ngff_bio.reader.access.nodes import NodeTree
from ngff_bio.reader.image import ImageT

if TYPE_CHECKING:
    import pandas as pd


class Well(Mapping[str, ImageT]):
    """Fields of a well by name: ``"0"``, ``"1"``, ..."""

    def __init__(self, nodes: NodeTree, path: str, name: str, image_type: type[ImageT]) -> None:
        self._nodes = nodes
        self.path = path
        self.name = name
        self._type = image_type

    @property
    def url(self) -> str:
        """URL of the well's group."""
        return f"{self._nodes.storage.url}/{self.path}"

    @cached_property
    def _fields(self) -> tuple[str, ...]:
        meta = self._nodes.meta(self.path)
        if meta is None or meta.well is None:
            raise StoreError("a well is listed by its plate but missing", file=self.url)
        return meta.well.images

    @property
    def image(self) -> ImageT:
        """The only field.

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If the well has none or several.
        """
        if len(self) != 1:
            raise ArgumentError(
                f"well {self.name} has {len(self)} fields",
                file=self.url,
                hint="select one by name: well['0']",
            )
        return self[self._fields[0]]

    def __getitem__(self, field: str) -> ImageT:
        if str(field) not in self._fields:
            raise NameNotFoundError(
                f"no field {field!r} in well {self.name}",
                file=self.url,
                expected=", ".join(self._fields),
            )
        return self._type(self._nodes, f"{self.path}/{field}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return printable(f"<ngff_bio.Well {self.name}: fields {', '.join(self._fields)}>")


class Plate(Mapping[str, Well[ImageT]]):
    """Wells of a plate by name: ``plate["C7"]``, ``plate["C/7"]`` or ``plate["c07"]``."""

    def __init__(
        self, nodes: NodeTree, path: str, meta: PlateMeta, image_type: type[ImageT]
    ) -> None:
        self._nodes = nodes
        self.path = path
        self.meta = meta
        self._type = image_type

    @property
    def name(self) -> str:
        """Name of the plate, or of its group."""
        return self.meta.name or self.path.rpartition("/")[2]

    @cached_property
    def _wells(self) -> dict[str, tuple[str, str]]:
        return {f"{row}{column}": (row, column) for row, column in self.meta.wells}

    def well_path(self, row: str, column: str) -> str:
        """Path of a well's group."""
        return self._below(f"{row}/{column}")

    def __getitem__(self, well: str) -> Well[ImageT]:
        wanted = _plain(well)
        names = (well, *(n for n in self._wells if _plain(n) == wanted))
        found = next((self._wells[n] for n in names if n in self._wells), None)
        if found is None:
            raise NameNotFoundError(
                f"no well {well!r} on plate {self.name!r}",
                file=f"{self._nodes.storage.url}/{self.path}".rstrip("/"),
                expected=closest_names(well, self._wells) or "the plate lists no wells",
            )
        return Well(self._nodes, self.well_path(*found), "".join(found), self._type)

    def __iter__(self) -> Iterator[str]:
        return iter(self._wells)

    def __len__(self) -> int:
        return len(self._wells)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables of the plate: ``wells``, ``planes``."""
        return self._nodes.names(self._below("tables"), "tables")

    def table(self, name: str) -> pd.DataFrame:
        """A table of the plate.

        Raises
        ------
        ngff_bio.errors.NameNotFoundError
            If it has no such table.
        ngff_bio.errors.StoreError
            If the table is damaged.
        """
        from ngff_bio.reader.tables.tables import open_table, table_rows

        if name not in self.tables:
            raise NameNotFoundError(
                f"no table {name!r} of plate {self.name!r}",
                file=f"{self._nodes.storage.url}/{self.path}".rstrip("/"),
                expected=closest_names(name, self.tables) or "the plate has no tables",
            )
        path = self._below(f"tables/{name}")
        return table_rows(open_table(self._nodes, path), f"{self._nodes.storage.url}/{path}")

    def _below(self, path: str) -> str:
        return f"{self.path}/{path}".lstrip("/")

    def images(self) -> Iterator[tuple[str, str, str]]:
        """Path, well and field of every image."""
        paths = {name: self.well_path(*at) for name, at in self._wells.items()}
        self._nodes.prefetch(paths.values())
        for name, path in paths.items():
            try:
                fields = Well(self._nodes, path, name, self._type)
                yield from ((f"{path}/{field}", name, field) for field in fields)
            except StoreError:
                yield path, name, ""  # reported as unreadable where images are listed

    def __repr__(self) -> str:
        rows, columns = len(self.meta.rows), len(self.meta.columns)
        text = f"{rows} x {columns}, {len(self)} wells with images"
        return printable(f"<ngff_bio.Plate {self.name}: {text}>")


def _plain(well: str) -> str:
    """One spelling of a well: ``C/07`` and ``c7`` are ``C7``."""
    match = re.fullmatch(r"([A-Za-z]+)/?0*(\d+)", well)
    return f"{match[1].upper()}{match[2]}" if match else well.replace("/", "")
