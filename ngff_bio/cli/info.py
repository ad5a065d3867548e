"""``ngff-bio info``: what a store holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ngff_bio.cli.text import shape, size

if TYPE_CHECKING:
    from rich.tree import Tree


def info(
    store: Annotated[str, typer.Argument(help="The store.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    most: Annotated[int, typer.Option(help="Most images to show; 0 for all.", min=0)] = 20,
) -> None:
    """Show a store: images, shapes, levels, chunks, labels, tables, sizes on disk."""
    from rich.console import Console

    from ngff_bio.errors import IncompleteStoreError
    from ngff_bio.reader.access.describe import describe

    try:
        found = describe(store)
    except IncompleteStoreError:
        if not _tell_half_made(store, as_json):
            raise
        return
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    Console(highlight=False, soft_wrap=True).print(_tree(found, most))


def _tell_half_made(store: str, as_json: bool) -> bool:
    """Show how far a conversion is; ``False`` if that cannot be known."""
    from dataclasses import asdict

    from rich.console import Console

    from ngff_bio.engine.resume.state import progress_of
    from ngff_bio.storage import storage_at

    state = progress_of(storage_at(store))
    if state is None:
        return False
    if as_json:
        typer.echo(json.dumps({"half_made": True, **asdict(state)}, indent=2, default=str))
        return True
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{store}[/]  [yellow]half-made[/]: it does not open yet")
    console.print(f"  {state.name} ({state.source})", markup=False)
    console.print(
        f"  {state.done} of {state.units} units of work are done, "
        f"{size(state.bytes_done)} of {size(state.bytes)}"
    )
    if state.running is not None:
        console.print(f"  being written by {state.running}", markup=False)
    else:
        console.print("  nobody is at it: the same convert command goes on where it stopped")
    return True


def _tree(found: dict[str, Any], most: int) -> Tree:
    from rich.markup import escape
    from rich.tree import Tree

    title = f"[bold]{escape(found['url'])}[/]  OME-Zarr {found['version']}"
    title += f", {len(found['images'])} images, {found['objects']} objects, {size(found['bytes'])}"
    tree = Tree(title)
    for key in ("name", "source", "licence"):
        if value := found["dataset"].get(key):
            tree.add(f"{key}: {escape(str(value))}")
    shown = found["images"][: most or None]
    for image in shown:
        branch = tree.add(f"[bold]{escape(image['path'] or '(root)')}[/]  {image['name'] or ''}")
        _add_array(branch, image)
        for label in image["labels"]:
            below = branch.add(f"labels/[bold]{escape(label['name'])}[/]  {label['values'] or ''}")
            _add_array(below, label)
        for table in image["tables"]:
            branch.add(f"tables/{escape(table)}")
    if len(shown) < len(found["images"]):
        tree.add(f"... and {len(found['images']) - len(shown)} more (--most 0 for all)")
    return tree


def _add_array(branch: Tree, array: dict[str, Any]) -> None:
    units = " ".join(
        f"{a}={s:g}{f' {u}' if u else ''}"
        for a, s, u in zip(array["axes"], array["scale"], array["units"], strict=True)
    )
    branch.add(f"{array['dtype']}, {units}, {size(array['bytes'])}")
    for level in array["levels"]:
        line = f"level {level['path']}: {shape(array['axes'], level['shape'])}"
        line += f", chunks {'x'.join(map(str, level['chunks']))}"
        if level["shards"]:
            line += f" in shards {'x'.join(map(str, level['shards']))}"
        branch.add(line)
