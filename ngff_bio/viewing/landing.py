"""A page about a store: one HTML file without scripts and external parts, as small as its thumbnails.

Every text of the store is escaped, and the page's own policy forbids whatever it does not contain:
names of images and classes can come from anyone.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import ngff_bio.reader as reader
from ngff_bio.printing import printable
from ngff_bio.viewing.links import group_links, image_links, label_links
from ngff_bio.viewing.summary import PlateMap, Summary

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:0 auto;padding:1rem}
h1{line-height:1.2;margin-bottom:.3rem}h2{margin-top:2rem;border-bottom:1px solid #8884}
h1,h2,td,th,figcaption,dd,p,li{overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{opacity:.7}dd{margin:0}
pre{background:#8882;padding:.7rem;border-radius:.4rem;overflow-x:auto}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:.8rem}
figure{margin:0;font-size:.85rem}
img{width:100%;aspect-ratio:1;object-fit:contain;background:#8882;border-radius:.3rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}
th,td{text-align:left;padding:.15rem .5rem;border-bottom:1px solid #8883}
.plates{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,22rem),1fr));gap:0 2rem}
.plate{font-size:.75rem;border-collapse:separate;border-spacing:2px}
.plate td,.plate th{text-align:center;min-width:1.4rem;height:1.4rem;padding:0;border:0;line-height:1}
.plate td{border-radius:50%;background:#8881}.plate td.full{background:#1b7f4b;color:#fff}
.plate a{color:inherit;text-decoration:none;display:block}
a{color:#2470d6}.n{text-align:right;white-space:nowrap}.bad{color:#b3261e}
@media(prefers-color-scheme:dark){a{color:#7ab0ff}.bad{color:#ff8a80}}
""".replace("\n", "")

#: Parts of the store that cannot be read, of which the page names so many.
_PROBLEMS = 50

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"

_ADDRESS = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;)]")


@dataclass(frozen=True)
class Description:
    """What is known about a dataset besides its pixels; empty where it is not known."""

    title: str = ""
    description: str = ""
    licence: str = ""
    citation: str = ""
    keywords: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    doi: str = ""
    organism: str = ""
    taxon: str = ""
    modality: str = ""
    fbbi: str = ""
    preparation: str = ""

    @classmethod
    def of_store(cls, attributes: Mapping[str, Any], name: str) -> Description:
        """What a store says of itself; `name` is its title if it gives none."""
        more = attributes.get("attributes")
        return cls(
            title=str(attributes.get("name") or name),
            licence=str(attributes.get("licence") or ""),
            citation=str(attributes.get("citation") or ""),
            modality=str(more.get("modality") or "") if isinstance(more, dict) else "",
        )


@dataclass
class _Page:
    summary: Summary
    about: Description
    url: str | None
    files: Mapping[str, str] = field(default_factory=dict)

    def render(self) -> Iterator[str]:
        """Parts of the page."""
        title = _escape(self.about.title)
        yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
        yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        yield f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
        if self.about.description:
            yield f"<p>{_linked(self.about.description)}</p>"
        yield from self._facts()
        yield from self._open()
        yield from self._classes()
        if self.summary.plates:
            yield "<div class=plates>"
            for plate in self.summary.plates:
                yield from self._plate(plate)
            yield "</div>"
        yield from self._images()
        yield from self._problems()
        if self.files:
            yield "<h2>Files</h2><ul>"
            for name, text in self.files.items():
                yield f'<li><a href="{quote(name)}">{_escape(name)}</a>: {_escape(text)}</li>'
            yield "</ul>"
        yield "</body></html>\n"

    def _facts(self) -> Iterator[str]:
        about, dataset = self.about, self.summary.dataset
        version = dataset[dataset.first_path].meta.version
        facts = {
            "Licence": about.licence or "none is given: ask before you use the data",
            "Cite": about.citation,
            "DOI": about.doi and f"https://doi.org/{about.doi.removeprefix('https://doi.org/')}",
            "Authors": ", ".join(about.creators),
            "Organism": about.organism or about.taxon,
            "Imaging": about.modality or about.fbbi,
            "Preparation": about.preparation,
            "Keywords": ", ".join(about.keywords),
            "Contents": f"{_number(len(dataset), 'image')}"
            + (f" on {_number(len(dataset.plates), 'plate')}" if dataset.plates else ""),
            "Format": f"OME-Zarr {version}",
            "Address": self.url or "",
            "Viewers open": self.summary.opened_instead(self.url),
        }
        yield "<dl>"
        for name, value in facts.items():
            if value:
                stores = name in (
                    "Address",
                    "Viewers open",
                )  # there is no page at the URL of a store
                yield f"<dt>{name}</dt><dd>{_escape(value) if stores else _linked(value)}</dd>"
        yield "</dl>"

    def _open(self) -> Iterator[str]:
        dataset = self.summary.dataset
        place = self.url or "."  # no path of this machine: the page is published
        first = dataset.first_path
        plain = f"{place}/{first}/{dataset[first].multiscale.levels[0].path}" if first else place
        code = (
            "# pip install ngff-bio\nimport ngff_bio\n"
            f"store = ngff_bio.open({place!r})\nimage = store[{first!r}]\n"
            "image.level(0)           # pixels and labels, lazy (xarray, dask)\n"
            "store.annotations()      # a row per object\n\n"
            "# or without it: pip install 'zarr[remote]'\nimport zarr\n"
            f"pixels = zarr.open_array({plain!r}, mode='r')\n"
        )
        yield f"<h2>Open it in Python</h2><pre><code>{_escape(code)}</code></pre>"
        if self.url is None:
            yield "<p>Links to viewers need the address of the store on the web.</p>"

    def _classes(self) -> Iterator[str]:
        classes = self.summary.classes
        if classes:
            yield "<h2>Classes</h2><table><tr><th>class</th><th class=n>annotations</th></tr>"
            for name, count in list(classes.items())[:100]:
                yield f"<tr><td>{_escape(name)}</td><td class=n>{count:,}</td></tr>"
            yield "</table>"
            if len(classes) > 100:
                yield f"<p>and {len(classes) - 100} more</p>"

    def _plate(self, plate: PlateMap) -> Iterator[str]:
        fields = sum(plate.wells.values())
        yield f"<div><h2>Plate {_escape(plate.name)}</h2><p>{_number(len(plate.wells), 'well')}, "
        yield f"{_number(fields, 'field')}. {self._links(self._group_links, plate.path)}</p>"
        yield "<div class=wide><table class=plate><tr><th></th>"
        yield "".join(f"<th>{_escape(c)}</th>" for c in plate.columns) + "</tr>"
        for row in plate.rows:
            yield f"<tr><th>{_escape(row)}</th>"
            for column in plate.columns:
                yield self._well(plate, row, column)
            yield "</tr>"
        yield "</table></div></div>"

    def _well(self, plate: PlateMap, row: str, column: str) -> str:
        count = plate.wells.get((row, column))
        if not count:
            return "<td></td>"
        text = str(count)
        if url := self._url(f"{plate.path}/{row}/{column}".lstrip("/")):
            link = self._group_links(url).get("vizarr")
            text = f'<a href="{_escape(link)}">{count}</a>' if link else text
        return f'<td class=full title="{_escape(row + column)}: {count} fields">{text}</td>'

    def _images(self) -> Iterator[str]:
        summary = self.summary
        if summary.thumbnails:
            yield "<h2>Images</h2><div class=grid>"
            for path, source in summary.thumbnails.items():
                name = _escape(path or summary.dataset[path].multiscale.name or "image")
                yield f'<figure><img alt="{name}" src="{source}"><figcaption>{name}<br>'
                yield f"{self._image_links(path)}</figcaption></figure>"
            yield "</div>"
        yield "<h2>All images</h2><div class=wide><table><tr><th>path</th><th>size</th>"
        yield "<th>labels</th><th>open</th></tr>"
        for path in summary.listed:
            image = summary.dataset[path]
            sizes = " ".join(f"{axis}{n}" for axis, n in image.sizes.items())
            labels = ", ".join(self._label(image, name) for name in image.layers)
            yield f"<tr><td>{_escape(path or '(root)')}</td><td>{sizes} {image.dtype}</td>"
            yield f"<td>{labels}</td><td>{self._image_links(path)}</td></tr>"
        yield "</table></div>"
        if more := len(summary.dataset) - len(summary.listed):
            yield f"<p>and {more:,} more</p>"

    def _problems(self) -> Iterator[str]:
        problems = self.summary.problems
        if problems:
            yield f"<h2>Not shown</h2><p class=bad>{_number(len(problems), 'part')} of the store could "
            yield "not be read:</p><ul class=bad>"
            yield "".join(f"<li>{_escape(text)}</li>" for text in problems[:_PROBLEMS]) + "</ul>"

    def _image_links(self, path: str) -> str:
        image = self.summary.dataset[path]
        return self._links(lambda url: image_links(image, url, segments=True), path)

    def _label(self, image: reader.Image, name: str) -> str:
        url = self._url(image.path)
        link = label_links(image, url, name, segments=True).get("neuroglancer") if url else None
        text = _escape(name)
        return f'<a href="{_escape(link)}">{text}</a>' if link else text

    def _url(self, path: str) -> str | None:
        return None if self.url is None else f"{self.url}/{quote(path)}".rstrip("/")

    def _group_links(self, url: str) -> dict[str, str]:
        return group_links(url, self.summary.dataset.version)

    def _links(self, links: Any, path: str) -> str:
        url = self._url(path)
        found = links(url).items() if url else ()
        return " · ".join(f'<a href="{_escape(link)}">{name}</a>' for name, link in found)


def landing_page(
    summary: Summary,
    about: Description,
    url: str | None,
    files: Sequence[tuple[str, str]] = (),
) -> str:
    """The page of a store as HTML.

    Parameters
    ----------
    summary
        What the store contains.
    about
        What is known about the dataset.
    url
        Where a browser reaches the store; ``None`` if it is not known: there are no links then. Links
        to labels expect the documents of `segments_key` there.
    files
        Names of files beside the page, and what they are.
    """
    return "".join(_Page(summary, about, url and url.rstrip("/"), dict(files)).render())


def _linked(text: str) -> str:
    """Escaped text, with links at its URLs."""
    parts, at = [], 0
    for match in _ADDRESS.finditer(text):
        address = _escape(match[0])
        parts += [_escape(text[at : match.start()]), f'<a href="{address}">{address}</a>']
        at = match.end()
    return "".join([*parts, _escape(text[at:])])


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _escape(text: str) -> str:
    """Text as HTML, without characters that change the direction of writing."""
    return "\n".join(html.escape(printable(line)) for line in text.split("\n"))
