"""``ngff-bio serve``: a store over HTTP, for viewers in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from ngff_bio.cli import options as cli
from ngff_bio.cli.buckets import with_bucket_options
from ngff_bio.cli.output import console

if TYPE_CHECKING:
    from ngff_bio.reader import Dataset

#: Images and plates whose links are printed; the page has all of them.
_SHOWN = 3


@with_bucket_options
def serve(
    store: cli.Store,
    storage_options: dict[str, Any],
    port: Annotated[int, typer.Option(help="Port; 0 for a free one.", min=0, max=65535)] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for other machines too.")
    ] = "127.0.0.1",
) -> None:
    """Serve a store over HTTP until Ctrl-C, and print links that open it in web viewers.

    The store may be a folder, a zip or a bucket: requests are then passed on, with your rights. The
    root of the server is a page with links for each image, plate and label image.
    """
    from ngff_bio.reader import open as open_store
    from ngff_bio.storage import storage_at
    from ngff_bio.viewing.serve import open_server
    from ngff_bio.viewing.versions import version_warning

    storage = storage_at(store, storage_options)
    dataset = open_store(storage)
    server = open_server(storage, host, port)
    out = console()
    out.print(f"[bold]{server.url}/[/]  (a page with all links; Ctrl-C to stop)")
    for name, link in _links(dataset, server.url):
        out.print(f"  {name}: {link}", markup=False)
    if (warning := version_warning(dataset.version)) is not None:
        out.print(f"note: {warning}")
    if not server.local:
        out.print("note: everyone who reaches this machine can read the store")
        out.print("note: viewers on https:// pages read only from https:// or from this machine")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        out.print("stopped")
    finally:
        server.server_close()


def _links(dataset: Dataset, url: str) -> Iterator[tuple[str, str]]:
    """Names of what is opened and in which viewer, with links: of the first images and plates."""
    from itertools import islice

    from ngff_bio.viewing.links import group_links, image_links, label_links

    for path in islice(dataset.plates, _SHOWN):
        place = f"{url}/{quote(path)}".rstrip("/")
        for viewer, link in group_links(place, dataset.version).items():
            yield f"plate {path or '(root)'}, {viewer}", link
    for path in islice(dataset, _SHOWN):
        image, place = dataset[path], f"{url}/{quote(path)}".rstrip("/")
        for viewer, link in image_links(image, place, segments=True).items():
            yield f"{path or 'image'}, {viewer}", link
        for name in image.layers:
            for viewer, link in label_links(image, place, name, segments=True).items():
                yield f"{path or 'image'}, label {name}, {viewer}", link
