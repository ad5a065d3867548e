"""HTML representations of images and datasets."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from ngff_bio.errors import NgffBioError
from ngff_bio.printing import printable
from ngff_bio.reader.access.image import ImageNode
from ngff_bio.reader.analysis.render import thumbnail as draw


@dataclass(frozen=True)
class Html:
    """Text that a notebook displays as HTML."""

    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


def image_html(image: ImageNode, *, thumbnail: bool = False) -> str:
    """A table of the properties of an image."""
    scale = [
        f"{a} {s:g} {image.units[a] or ''}".strip()
        for a, s in image.scale.items()
        if a != "c" and (image.units[a] or s != 1)
    ]
    values = {
        "path": image.path or "(root)",
        "name": image.multiscale.name,
        "size": _sizes(image),
        "pixel size": ", ".join(scale),
        "type": str(image.dtype),
        "levels": len(image.pixels),
        "labels": ", ".join(image.labels),
        "tables": ", ".join(image.tables),
    }
    rows = [f"<tr><th>{k}</th>{_cells([v])}</tr>" for k, v in values.items() if v not in ("", None)]
    drawn = f"<p>{_img(image, 320)}</p>" if thumbnail else ""
    return f"<div><b>ngff_bio.Image</b><table>{''.join(rows)}</table>{drawn}</div>"


def dataset_html(
    images: Mapping[str, ImageNode], url: str, *, thumbnails: bool = False, limit: int = 20
) -> str:
    """A table with a row for each image, at most ``limit``."""
    heads = ("path", "size", "type", "levels", "labels")
    lines = ["<tr>" + "".join(f"<th>{h}</th>" for h in heads) + "</tr>"]
    for path in list(images)[:limit]:
        try:
            image = images[path]
            size, levels = _sizes(image), len(image.pixels)
            row = _cells([path or "(root)", size, image.dtype, levels, ", ".join(image.labels)])
            if thumbnails:
                row += f"<td>{_img(image, 96)}</td>"
        except NgffBioError as error:
            row = _cells([path, f"cannot be read: {error.what}"])
        lines.append(f"<tr>{row}</tr>")
    more = len(images) - limit
    rest = f"<p>... and {more} more</p>" if more > 0 else ""
    title = f"<b>ngff_bio.Dataset</b> of {len(images)} images in {escape(url)}"
    return f"<div>{title}<table>{''.join(lines)}</table>{rest}</div>"


def _sizes(image: ImageNode) -> str:
    return " ".join(f"{a}{n}" for a, n in image.sizes.items())


def _cells(values: Sequence[object]) -> str:
    return "".join(f"<td>{escape(printable(str(v)))}</td>" for v in values)


def _img(image: ImageNode, size: int) -> str:
    out = io.BytesIO()
    draw(image, size).save(out, "PNG")
    data = base64.b64encode(out.getvalue()).decode()
    return f'<img alt="{escape(printable(image.path))}" src="data:image/png;base64,{data}">'
