"""``ngff-bio upgrade``: a newer version of OME-Zarr in place."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from ngff_bio.cli import options as cli
from ngff_bio.cli.buckets import with_bucket_options
from ngff_bio.cli.output import console, print_json


@with_bucket_options
def upgrade(
    store: cli.Store,
    storage_options: dict[str, Any],
    ome_version: Annotated[
        str | None,
        typer.Option(
            help="0.6 for a store of Zarr v3, 0.4 for one of Zarr v2; the newest by default."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; write nothing.")
    ] = False,
    as_json: cli.AsJson = False,
) -> None:
    """Write the metadata of a store in a newer version of OME-Zarr; pixels stay as they are.

    All of it becomes visible at once. From 0.4 to 0.5 arrays change, too: use `convert`.
    """
    from ngff_bio.editing import upgrade as run
    from ngff_bio.viewing.versions import version_warning

    done = run(store, cast("Any", ome_version), dry_run=dry_run, storage_options=storage_options)
    if as_json:
        print_json(done.to_json())
        return
    out = console()
    if not done.groups and not done.documents:
        out.print(f"{done.store} is OME-Zarr {done.version} already", markup=False)
        return
    verb = "would change" if dry_run else "changed"
    out.print(done.store, markup=False, style="bold")
    if done.groups:
        before = ", ".join(done.versions)
        out.print(f"  {len(done.groups)} groups {verb} from OME-Zarr {before} to {done.version}")
    for key in done.documents:
        out.print(f"  {'would be added' if dry_run else 'added'}: {key}", markup=False)
    for note in done.notes:
        out.print(f"  note: {note}", markup=False)
    if (warning := version_warning(done.version)) is not None:
        out.print(f"  note: {warning}", markup=False)
