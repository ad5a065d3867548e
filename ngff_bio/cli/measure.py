"""``ngff-bio measure``: instances of a store as rows of a table."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from ngff_bio.cli import options as cli
from ngff_bio.cli.buckets import with_bucket_options
from ngff_bio.cli.output import console, writing


@with_bucket_options
def measure(
    store: cli.Store,
    storage_options: dict[str, Any],
    labels: Annotated[
        list[str] | None,
        typer.Option(help="Measure only this label layer; repeatable.", metavar="NAME"),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(help="Measure only images whose path matches; repeatable.", metavar="GLOB"),
    ] = None,
    properties: Annotated[
        list[str] | None,
        typer.Option(
            help="Further columns by scikit-image, separated by commas: eccentricity,solidity; "
            "repeatable.",
            metavar="NAMES",
        ),
    ] = None,
    level: Annotated[int, typer.Option(help="Resolution level that is measured.", min=0)] = 0,
    intensity: Annotated[bool, typer.Option(help="Measure the pixels of the image too.")] = True,
    units: Annotated[
        str, typer.Option(help="Of areas and centroids: pixel, or world for those of the axes.")
    ] = "pixel",
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Write the rows to this file: .csv or .parquet."),
    ] = None,
    write: Annotated[
        str | None,
        typer.Option(
            help="Write the rows into the store too, as tables/LAYER-NAME.", metavar="NAME"
        ),
    ] = None,
    workers: cli.Workers = 0,
    scheduler: cli.Scheduler = None,
) -> None:
    """Measure every instance: area, centroid, box, intensity, and properties of scikit-image.

    Without --out and --write, prints a row per label layer.
    """
    from ngff_bio.compute import measure as run
    from ngff_bio.errors import ArgumentError, NameNotFoundError, closest_names
    from ngff_bio.reader import open

    if out is not None and out.suffix.lower() not in (".csv", ".parquet"):
        raise ArgumentError("not a file of a table", expected=".csv or .parquet", found=out)
    dataset = open(store, storage_options)
    images = None
    if image:
        images = [p for p in dataset if any(fnmatchcase(p, pattern) for pattern in image)]
        if not images:
            raise NameNotFoundError(
                "no image of the store matches",
                file=dataset.url,
                expected=closest_names(image[0], dataset) or "there are no images",
                found=", ".join(image),
            )
    rows = run(
        dataset,
        labels,
        images=images,
        level=level,
        intensity=intensity,
        properties=[n.strip() for n in ",".join(properties or ()).split(",") if n.strip()],
        units=cast("Literal['pixel', 'world']", units),
        write=write,
        cluster=scheduler,
        workers=workers,
    )
    if out is not None:
        with writing(out):
            if out.suffix.lower() == ".csv":
                rows.to_csv(out, index=False)
            else:
                rows.to_parquet(out, index=False)
    screen = console()
    screen.print(f"{len(rows)} rows" + (f"  {out}" if out is not None else ""), markup=False)
    for layer, of_layer in rows.groupby("layer", sort=True) if len(rows) else ():
        text = f"{layer}: {len(of_layer)} rows, mean area {of_layer['area'].mean():.4g}"
        screen.print(f"  {text}" + (f", tables/{layer}-{write}" if write else ""), markup=False)
