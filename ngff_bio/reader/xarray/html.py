"""Images and datasets as notebooks show them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from ngff_bio.errors import NgffBioError

if TYPE_CHECKING:
    from ngff_bio.reader.access.dataset import Dataset
    from ngff_bio.reader.access.image import Image


@dataclass(frozen=True)
class Shown:
    """Text that a notebook shows as HTML."""

    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


def image_html(image: Image, *, thumbnail: bool = False) -> str:
    """A table of what is known of an image."""
    units = image.units
    rows: list[tuple[str, Any]] = [("path", image.path or "(root)")]
    if image.multiscale.name:
        rows.append(("name", image.multiscale.name))
    rows.append(("size", _sizes(image)))
    scale = [
        f"{a} {s:g} {units[a] or ''}".strip()
        for a, s in image.scale.items()
        if a != "c" and (units[a] or s != 1)
    ]
    if scale:
        rows.append(("pixel size", ", ".join(scale)))
    rows.append(("type", image.dtype))
    rows.append(("levels", len(image.pixels)))
    if image.labels:
        rows.append(("labels", ", ".join(image.labels)))
    if image.tables:
        rows.append(("tables", ", ".join(image.tables)))
    picture = f"<p>{_picture(image, 320)}</p>" if thumbnail else ""
    return f"<div><b>ngff_bio.Image</b>{_table(rows)}{picture}</div>"


def dataset_html(dataset: Dataset, *, thumbnails: bool = False, most: int = 20) -> str:
    """A table with a row for each image."""
    head = ["path", "size", "type", "levels", "labels"]
    rows: list[list[Any]] = []
    pictures: list[str] = []
    for path in list(dataset)[:most]:
        try:
            image = dataset[path]
            row = [path or "(root)", _sizes(image), image.dtype, len(image.pixels)]
            rows.append([*row, ", ".join(image.labels)])
            pictures.append(_picture(image, 96) if thumbnails else "")
        except NgffBioError as error:
            rows.append([path, f"cannot be read: {error.what}", "", "", ""])
            pictures.append("")
    lines = ["<tr>" + "".join(f"<th>{h}</th>" for h in head) + "</tr>"]
    for row, picture in zip(rows, pictures, strict=True):
        cells = "".join(f"<td>{escape(str(v))}</td>" for v in row)
        lines.append(f"<tr>{cells}{f'<td>{picture}</td>' if thumbnails else ''}</tr>")
    more = len(dataset) - most
    rest = f"<p>... and {more} more</p>" if more > 0 else ""
    title = f"<b>ngff_bio.Dataset</b> of {len(dataset)} images in {escape(dataset.url)}"
    return f"<div>{title}<table>{''.join(lines)}</table>{rest}</div>"


def _sizes(image: Image) -> str:
    return " ".join(f"{a}{n}" for a, n in image.sizes.items())


def _table(rows: Sequence[tuple[str, Any]]) -> str:
    cells = [f"<tr><th>{escape(k)}</th><td>{escape(str(v))}</td></tr>" for k, v in rows]
    return f"<table>{''.join(cells)}</table>"


def _picture(image: Image, size: int) -> str:
    out = io.BytesIO()
    image.thumbnail(size).save(out, "PNG")
    data = base64.b64encode(out.getvalue()).decode()
    return f'<img alt="{escape(image.path)}" src="data:image/png;base64,{data}">'
