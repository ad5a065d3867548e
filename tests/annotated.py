"""Small datasets in the layouts of annotation tools: written by hand, converted, read back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import ngff_bio


def write_files(folder: Path, files: Mapping[str, str | tuple[int, int]]) -> Path:
    """Write texts, and image files of (height, width) pixels."""
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            place.write_text(content, "utf-8")
        else:
            pixels = np.random.default_rng(len(name)).integers(0, 255, (*content, 3), np.uint8)
            Image.fromarray(pixels).save(place)
    return folder


def converted(folder: Path, out: Path, **options: Any) -> ngff_bio.Dataset:
    """Convert a folder without naming its format; the store is valid, and equal to the folder."""
    ngff_bio.convert(folder, out, **options)
    done = ngff_bio.verify(out, folder)
    assert [str(d) for d in done.differences] == []
    wrong = [str(f) for f in ngff_bio.validate(out) if f.level == "error"]
    assert wrong == []
    return ngff_bio.open(out)


def rows(data: ngff_bio.Dataset, path: str = "", layer: str | None = None) -> list[dict[str, Any]]:
    """Rows of the table of a layer, in the order of the source."""
    return data[path].annotations(layer).to_dict("records")


def labels(data: ngff_bio.Dataset, path: str = "", layer: str = "objects") -> NDArray[Any]:
    """Label values of a layer."""
    return np.asarray(data[path].level(0)[layer])


def exported(folder: Path, out: Path, format: str, **options: Any) -> dict[str, bytes]:
    """Convert a folder, and export it: content of each file by name."""
    ngff_bio.convert(folder, out / "in.zarr", options=options)
    report = ngff_bio.export(out / "in.zarr", out / "exported", to=format)
    assert report.files > 0
    place = out / "exported"
    return {
        f.relative_to(place).as_posix(): f.read_bytes() for f in place.rglob("*.*") if f.is_file()
    }


def values_of(text: str | bytes) -> Any:
    """An XML text as nested values: names, attributes, texts and children."""
    from xml.etree import ElementTree

    def value(element: ElementTree.Element) -> Any:
        children = [value(child) for child in element]
        return element.tag, element.attrib, (element.text or "").strip(), children

    return value(ElementTree.fromstring(text))


def covers(mask: NDArray[Any], shape: Any) -> bool:
    """Whether pixels are those whose middles are in a shape of shapely, up to half a pixel."""
    import shapely

    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    inner, outer = (shapely.contains_xy(shape.buffer(d), x, y) for d in (-0.5, 0.5))
    return bool((inner <= mask).all() and (mask <= outer).all() and mask.any())
