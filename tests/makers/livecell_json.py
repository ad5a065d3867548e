"""Writes all annotation files of LIVECell in one pass, without holding a million records."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from makers.livecell_plan import SPLITS, Listing


def image_entry(listing: Listing, crop: tuple[int, int]) -> dict[str, Any]:
    """One element of ``images``, with the keys of the published files."""
    name = listing.image.file_name
    return {
        "id": listing.image_id,
        "width": crop[1],
        "height": crop[0],
        "file_name": name,
        "original_filename": name.removesuffix(".tif") + ".png",
        "url": f"https://example.org/{listing.image_id}/original",
    }


def rest_of_file(categories: list[dict[str, Any]] | None) -> dict[str, Any]:
    """What comes after ``annotations``."""
    rest: dict[str, Any] = {} if categories is None else {"categories": categories}
    rest["info"] = {"description": "made for tests", "version": "1.0", "year": 2021}
    rest["licenses"] = [{"id": 1, "name": "CC BY-NC 4.0", "url": ""}]
    return rest


def record_bytes(records: list[dict[str, Any]], as_object: bool) -> bytes:
    """Records as the inside of a JSON list, or of an object keyed by their ids as text."""
    if as_object:
        return msgspec.json.encode({str(each["id"]): each for each in records})[1:-1]
    return msgspec.json.encode(records)[1:-1]


class CocoFiles:
    """A context that takes the records of every listing once, in order.

    The three collection-wide files are streamed. Every other file lists some of the same images in
    the same order, so its records are copied out of those at the end.
    """

    def __init__(
        self,
        paths: dict[str, Path],
        listings: dict[str, tuple[Listing, ...]],
        crop: tuple[int, int],
        categories: list[dict[str, Any]] | None,
        as_object: bool,
    ) -> None:
        self._paths = paths
        self._listings = listings
        self._crop = crop
        self._rest = msgspec.json.encode(rest_of_file(categories))[1:]
        self._brackets = (b"{", b"}") if as_object else (b"[", b"]")
        self._wide: dict[str, BinaryIO] = {}
        self._begun: set[str] = set()
        self._place: dict[int, tuple[int, int]] = {}

    def __enter__(self) -> CocoFiles:
        for split in SPLITS:
            name = f"LIVECell/livecell_coco_{split}"
            self._wide[split] = self._paths[name].open("w+b")
            self._wide[split].write(self._head(name))
        return self

    def take(self, listing: Listing, content: bytes) -> None:
        """Append the records of `listing`, made by `record_bytes`."""
        file = self._wide[listing.split]
        if content:
            if listing.split in self._begun:
                file.write(b",")
            self._begun.add(listing.split)
        self._place[listing.image_id] = (file.tell(), len(content))
        file.write(content)

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                for file in self._wide.values():
                    file.write(self._brackets[1] + b"," + self._rest)
                for name in self._listings:
                    if not name.startswith("LIVECell/"):
                        self._copy(name)
        finally:
            for file in self._wide.values():
                file.close()

    def _head(self, name: str) -> bytes:
        entries = [image_entry(listing, self._crop) for listing in self._listings[name]]
        images = msgspec.json.encode(entries)
        return b'{"images":' + images + b',"annotations":' + self._brackets[0]

    def _copy(self, name: str) -> None:
        with self._paths[name].open("wb") as target:
            target.write(self._head(name))
            begun = False
            for listing in self._listings[name]:
                start, length = self._place[listing.image_id]
                if length:
                    source = self._wide[listing.split]
                    source.seek(start)
                    target.write((b"," if begun else b"") + source.read(length))
                    begun = True
            target.write(self._brackets[1] + b"," + self._rest)
