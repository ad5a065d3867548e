"""``ngff-bio serve``: a local store over HTTP, for viewers in a browser."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from ngff_bio.cli.output import console


def serve(
    store: Annotated[str, typer.Argument(help="Folder of the store.", show_default=False)],
    port: Annotated[int, typer.Option(help="Port; 0 for a free one.", min=0, max=65535)] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve a store over HTTP until Ctrl-C, and print links that open it in web viewers."""
    from ngff_bio.errors import ArgumentError
    from ngff_bio.reader import open as open_store
    from ngff_bio.viewing.links import image_links
    from ngff_bio.viewing.serve import StoreServer, folder_of

    folder = folder_of(store)
    dataset = open_store(store)
    first = dataset.first_path
    try:
        server = StoreServer(folder, host, port)
    except OSError as error:
        raise ArgumentError(
            "cannot listen on this address",
            found=f"{host}:{port}: {error.strerror}",
            hint="choose another port, or --port 0 for a free one",
        ) from error
    out = console()
    out.print(f"[bold]{server.url}[/]  (Ctrl-C to stop)")
    links = image_links(dataset[first], f"{server.url}/{quote(first)}".rstrip("/"))
    for name, link in links.items():
        out.print(f"  {name}: ", end="")
        out.print(link, markup=False)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        out.print("stopped")
    finally:
        server.server_close()
