"""Commands that change a finished store, or undo a change: `labels add`, `table add`, `remove`, ..."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ngff_bio.cli import options as cli
from ngff_bio.cli.buckets import with_bucket_options
from ngff_bio.cli.output import console

if TYPE_CHECKING:
    from ngff_bio.reader import Image

_Image = Annotated[
    str, typer.Argument(help="Path of the image in the store; / for the root.", metavar="IMAGE")
]


@with_bucket_options
def add_labels(
    store: cli.Store,
    image: _Image,
    name: Annotated[str, typer.Argument(help="Name of the labels.", show_default=False)],
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Label values of the whole image: .npy, .png, or a TIFF with one image. Several files "
            "are the planes or frames of the image in this order.",
            show_default=False,
        ),
    ],
    storage_options: dict[str, Any],
    class_name: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            help="Values are classes, not objects: the name of one; repeatable.",
            metavar="VALUE=NAME",
        ),
    ] = None,
    author: Annotated[
        str | None, typer.Option(help="Who made them; the name of the user by default.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace labels of this name.")
    ] = False,
) -> None:
    """Add a label image to an image of a store, with levels, table, metadata and manifest.

    All of it becomes visible at once: if the command is killed, the store is the old or the new one.
    """
    from ngff_bio.editing import write_labels
    from ngff_bio.errors import ArgumentError

    opened = _open(store, image, storage_options)
    values, classes = _read_files(files, opened.axes.replace("c", "")), _classes(class_name)
    try:
        write_labels(opened, name, values, classes=classes, overwrite=overwrite, author=author)
    except ArgumentError as error:
        raise type(error)(**{"file": ", ".join(map(str, files)), **error.parts()}) from error
    console().print(f"{opened.url}/labels/{name}", markup=False)


@with_bucket_options
def add_table(
    store: cli.Store,
    image: _Image,
    name: Annotated[str, typer.Argument(help="Name of the table.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="The table: .parquet or .csv.", show_default=False)],
    storage_options: dict[str, Any],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a table of this name.")
    ] = False,
) -> None:
    """Add a table to an image of a store, as Parquet in ngio's layout."""
    from ngff_bio.editing import write_table

    opened = _open(store, image, storage_options)
    write_table(opened, name, _read_table(file), overwrite=overwrite)
    console().print(f"{opened.url}/tables/{name}", markup=False)


@with_bucket_options
def describe(
    store: cli.Store,
    storage_options: dict[str, Any],
    title: Annotated[str | None, typer.Option(help="Name of the dataset.")] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", "--license", help='Terms of use; "" for none.')
    ] = None,
    citation: Annotated[str | None, typer.Option(help='How to cite the data; "" for none.')] = None,
    author: Annotated[
        str | None, typer.Option(help="Who describes it; the name of the user by default.")
    ] = None,
) -> None:
    """Write title, licence or citation of a dataset into its store."""
    from ngff_bio.editing import describe as run

    found = run(
        store,
        title=title,
        licence=licence,
        citation=citation,
        author=author,
        storage_options=storage_options,
    )
    for key, value in found.items():
        console().print(f"{key}: {value or '-'}", markup=False)


@with_bucket_options
def remove(
    store: cli.Store,
    image: _Image,
    path: Annotated[
        str,
        typer.Argument(
            help="What to remove: labels/NAME, images/NAME or tables/NAME.", show_default=False
        ),
    ],
    storage_options: dict[str, Any],
) -> None:
    """Remove labels with what belongs to them, a derived image, or a table of an image of a store."""
    from ngff_bio.editing import remove as run

    run(_open(store, image, storage_options), path)


@with_bucket_options
def discard(store: cli.Store, storage_options: dict[str, Any]) -> None:
    """Undo a write into a store that was interrupted, instead of finishing it.

    The store is what it was before, byte for byte; an interrupted conversion into a new store is
    removed, and what an interrupted copy has left beside a zip.
    """
    import ngff_bio

    done = ngff_bio.discard(store, storage_options)
    text = {
        None: "nothing was interrupted",
        "store": "the incomplete store was removed",
        "append": "what was being appended was removed",
        "replace": "the store that was to replace this one was removed",
        "change": "the change was undone",
        "copy": "what was written of the zip was removed",
        "finished": "the write was visible already: it was finished",
    }[done]
    console().print(text, markup=False)


def _open(store: str, image: str, storage_options: dict[str, Any]) -> Image:
    from ngff_bio.reader import open

    return open(store, storage_options)[image]


def _classes(given: list[str] | None) -> dict[int, str] | None:
    from ngff_bio.errors import ArgumentError

    pairs = cli.parse_pairs(given, "--class")
    if not pairs:
        return None
    wrong = next((value for value in pairs if not value.isdecimal()), None)
    if wrong is not None:
        raise ArgumentError("--class needs a value and a name", expected="1=NAME", found=wrong)
    return {int(value): text for value, text in pairs.items()}


def _read_table(file: Path) -> Any:
    import pyarrow as pa

    from ngff_bio.errors import ArgumentError, SourceError, SourceNotFoundError, StoreError
    from ngff_bio.zarrio.tables import read_csv, read_parquet

    if not file.is_file():
        raise SourceNotFoundError("the file of the table does not exist", file=file)
    if file.suffix.lower() not in (".parquet", ".csv"):
        raise ArgumentError("not a file of a table", expected=".parquet or .csv", found=file.name)
    try:
        if file.suffix.lower() == ".csv":
            return read_csv(pa.memory_map(str(file)), file)
        return read_parquet(file, file)
    except StoreError as error:  # too large
        hint = "leave out columns and rows that are not needed"
        raise SourceError(**{**error.parts(), "hint": hint}) from error
    except (pa.ArrowException, OSError) as error:
        raise SourceError("the file cannot be read", file=file, found=error) from error


def _read_files(files: list[Path], axes: str) -> Any:
    """Values of one file, or of several along the first axis."""
    import numpy as np

    from ngff_bio.errors import ArgumentError

    if len(files) == 1:
        return _read_values(files[0], axes)
    read = [_read_values(file, axes[1:]) for file in files]
    for file, values in zip(files, read, strict=True):
        if values.shape != read[0].shape:
            raise ArgumentError(
                "the files of label values have different shapes",
                file=str(file),
                expected=read[0].shape,
                found=values.shape,
                hint="name files of one image: its planes or frames, all of the same size",
            )
    return np.stack(read)


def _read_values(file: Path, axes: str) -> Any:
    import numpy as np

    from ngff_bio.errors import ArgumentError, SourceError, SourceNotFoundError

    if not file.is_file():
        raise SourceNotFoundError("the file of label values does not exist", file=file)
    if file.suffix.lower() == ".npy":
        from ngff_bio.formats.problems import damage_named

        with damage_named(str(file), "the file cannot be read"):
            return np.load(file, mmap_mode="r", allow_pickle=False)
    if file.suffix.lower() not in (".png", ".tif", ".tiff"):
        raise ArgumentError(
            "not a file of label values", expected=".npy, .png or .tif", found=file.name
        )
    from ngff_bio.formats.images.decoding import decode_image
    from ngff_bio.formats.tiff.images import open_tiff
    from ngff_bio.sources.files.ranges import LocalFile

    place = file.absolute()
    local = LocalFile(str(place.parent), place.name)
    if file.suffix.lower() == ".png":
        values = decode_image(local, indices=True)
        if values.ndim != 2:
            raise SourceError(
                "the file has colours, not label values",
                file=file,
                expected="one number for each pixel: grey, or a palette",
                found=f"{values.shape[-1]} samples for each pixel",
            )
        return values
    images = open_tiff(local, axes=axes)
    if len(images) != 1:
        raise SourceError(
            "the TIFF has several images", file=file, expected="one", found=len(images)
        )
    pixels = images[0].pixels
    return pixels.read(tuple((0, n) for n in pixels.shape))
