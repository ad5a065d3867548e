"""``ngff-bio info``: the contents of a store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ngff_bio.cli import options as cli
from ngff_bio.cli.buckets import with_bucket_options
from ngff_bio.cli.output import console, print_json, size

if TYPE_CHECKING:
    from rich.tree import Tree

    from ngff_bio.storage import Storage


@with_bucket_options
def info(
    store: cli.Store,
    storage_options: dict[str, Any],
    as_json: cli.AsJson = False,
    limit: Annotated[
        int, typer.Option(help="Maximum number of images to show; 0 for all.", min=0)
    ] = 20,
) -> None:
    """Show the contents of a store: images, shapes, levels, chunks, labels, tables, sizes."""
    from ngff_bio.engine.write.manifest import object_sizes
    from ngff_bio.errors import IncompleteStoreError
    from ngff_bio.reader.describe import describe
    from ngff_bio.storage import storage_at

    storage = storage_at(store, storage_options)
    try:
        found = describe(storage, object_sizes(storage))
    except IncompleteStoreError:
        if not _print_incomplete(storage, as_json):
            raise
        return
    if as_json:
        print_json(found)
        return
    # A tree is cut at the width of the console, which is 80 where there is no terminal.
    width = None if sys.stdout.isatty() else sys.maxsize
    console(soft_wrap=False, width=width).print(_tree(found, limit))


def _print_incomplete(storage: Storage, as_json: bool) -> bool:
    """Print the progress of a conversion; ``False`` if it is not known."""
    from dataclasses import asdict

    from rich.markup import escape

    from ngff_bio.engine.resume.state import progress_of

    state = progress_of(storage)
    if state is None:
        return False
    if as_json:
        print_json({"incomplete": True, **asdict(state)})
        return True
    out = console()
    out.print(f"[bold]{escape(storage.url)}[/]  [yellow]incomplete[/]: it cannot be opened yet")
    out.print(f"  {state.name} ({state.source})", markup=False)
    out.print(
        f"  {state.done} of {state.units} units of work are done, "
        f"{size(state.bytes_done)} of {size(state.bytes)}"
    )
    if state.running is not None:
        out.print(f"  being written by {state.running}", markup=False)
    else:
        out.print("  no conversion is running: the same convert command resumes it")
    return True


def _tree(found: dict[str, Any], limit: int) -> Tree:
    from rich.markup import escape
    from rich.tree import Tree

    title = f"[bold]{escape(found['url'])}[/]  OME-Zarr {found['version']}"
    title += f", {len(found['images'])} images, "
    if found["objects"] is None:
        title += "sizes unknown: the server cannot be listed, and there is no manifest"
    else:
        title += f"{found['objects']} objects, {size(found['bytes'])}"
    tree = Tree(title)
    for key in ("name", "source", "licence"):
        if value := found["dataset"].get(key):
            tree.add(f"{key}: {escape(str(value))}")
    if paths := found["open_in_viewers"]:
        tree.add(f"viewers and other readers open one of: {escape(', '.join(paths))}")
    shown = found["images"][: limit or None]
    for image in shown:
        branch = tree.add(
            f"[bold]{escape(image['path'] or '(root)')}[/]  {escape(str(image['name'] or ''))}"
        )
        _add_array(branch, image)
        for name in image.get("further_multiscales", ()):
            branch.add(f"further multiscale: {escape(name)}")
        for label in image["labels"]:
            below = branch.add(f"labels/[bold]{escape(label['name'])}[/]  {label['values'] or ''}")
            _add_array(below, label)
        for table in image["tables"]:
            branch.add(f"tables/{escape(table)}")
    if len(shown) < len(found["images"]):
        tree.add(f"... and {len(found['images']) - len(shown)} more (--limit 0 for all)")
    return tree


def _add_array(branch: Tree, array: dict[str, Any]) -> None:
    from rich.markup import escape

    units = " ".join(
        f"{a}={s:g}{f' {u}' if u else ''}"
        for a, s, u in zip(array["axes"], array["scale"], array["units"], strict=True)
    )
    amount = "" if array["bytes"] is None else f", {size(array['bytes'])}"
    branch.add(escape(f"{array['dtype']}, {units}{amount}"))
    for level in array["levels"]:
        if not level["shape"]:
            branch.add(escape(f"level {level['path']}: absent"))
            continue
        sizes = " ".join(f"{a}{n}" for a, n in zip(array["axes"], level["shape"], strict=True))
        line = f"level {level['path']}: {sizes}, chunks {'x'.join(map(str, level['chunks']))}"
        if level["shards"]:
            line += f" in shards {'x'.join(map(str, level['shards']))}"
        branch.add(escape(line))
