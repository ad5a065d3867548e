"""``ngff-bio view``: an image of a store in Neuroglancer, on this machine."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import typer

from ngff_bio.cli import options as cli
from ngff_bio.cli.buckets import with_bucket_options
from ngff_bio.cli.output import console


@with_bucket_options
def view(
    store: cli.Store,
    storage_options: dict[str, Any],
    image: Annotated[
        str | None, typer.Argument(help="Path of the image; by default the first one.")
    ] = None,
    t: Annotated[
        int | None, typer.Option("-t", "--t", help="Frame; by default the middle.", min=0)
    ] = None,
    z: Annotated[
        int | None, typer.Option("-z", "--z", help="Plane; by default the middle.", min=0)
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(help="Pixels that are shown at first.", metavar="X,Y,WIDTH,HEIGHT"),
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Only print a link, for a store on a web server.")
    ] = False,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
    port: Annotated[
        int, typer.Option(help="Port of the store; 0 for a free one.", min=0, max=65535)
    ] = 0,
) -> None:
    """Show an image with its labels, classes and annotations in Neuroglancer until Ctrl-C.

    Everything is served on this machine, also of a zip or a bucket; a store on a web server is read
    from there.
    """
    import threading
    import webbrowser

    from ngff_bio.errors import ArgumentError
    from ngff_bio.reader import open as open_store
    from ngff_bio.storage import ZipStorage, storage_at
    from ngff_bio.viewing.links import neuroglancer_link
    from ngff_bio.viewing.neuroglancer import neuroglancer_state
    from ngff_bio.viewing.serve import open_server
    from ngff_bio.viewing.view import check_readable, has_published_segments, view_image

    storage = storage_at(store, storage_options)
    web = store.startswith(("http://", "https://"))
    parts = urlsplit(store)
    secret = web and ("@" in parts.netloc or bool(parts.query))
    if link and secret:
        raise ArgumentError(
            "no link can be made of a URL with a password or a query",
            found=storage.url,
            hint="it would be in the link, and a signature is for one object: leave out --link, then "
            "the store is read through this machine",
        )
    hosted = web and not secret and not isinstance(storage, ZipStorage)
    if link and not hosted:
        raise ArgumentError(
            "--link is for a store on a web server",
            found=store,
            hint=f"{'unpack it there' if web else 'give its http:// or https:// address'}, or leave "
            "out --link to look at it here",
        )
    dataset = open_store(storage)
    found = dataset[dataset.first_path if image is None else image]
    place = None if region is None else parse_region(region)
    out = console()
    check_readable(found)
    how: dict[str, Any] = {"t": t, "z": z, "region": place}
    how["segments"] = not hosted or has_published_segments(found)
    if link:
        state = neuroglancer_state(found, at(store, found.path), **how)
        out.print(neuroglancer_link(state), markup=False)
        return
    server = None if hosted else open_server(storage, port=port)
    base = store if server is None else server.url
    shown = view_image(found, at(base, found.path), **how)
    for note in shown.notes:
        out.print(f"  note: {note}", markup=False)
    out.print(f"{shown.url}  (Ctrl-C to stop)", markup=False)
    if browser:
        webbrowser.open(shown.url)
    try:
        if server is None:
            threading.Event().wait()
        else:
            server.serve_forever()
    except KeyboardInterrupt:
        out.print("stopped")
    finally:
        if server is not None:
            server.server_close()


def at(url: str, path: str) -> str:
    """URL of what is at a path of a store."""
    return f"{url.rstrip('/')}/{quote(path)}".rstrip("/")


def parse_region(text: str) -> tuple[int, ...]:
    """``X,Y,WIDTH,HEIGHT`` in pixels.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it is something else.
    """
    from ngff_bio.errors import ArgumentError

    parts = text.split(",")
    if len(parts) != 4 or not all(p.strip().isdecimal() and len(p) < 10 for p in parts):
        raise ArgumentError(
            "--region is not a region in pixels",
            expected="X,Y,WIDTH,HEIGHT such as 100,200,512,512",
            found=text,
        )
    return tuple(int(p) for p in parts)
