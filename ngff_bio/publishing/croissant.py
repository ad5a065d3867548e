"""``croissant.json``: images, classes and annotations for catalogues and loaders of training data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ngff_bio.reader as reader
from ngff_bio.errors import StoreError, import_optional
from ngff_bio.publishing.description import licence_url
from ngff_bio.reader.tables.tables import annotation_parts, types_reported, union_schema
from ngff_bio.viewing.landing import Description
from ngff_bio.viewing.summary import Summary, count_classes, pool_of

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "croissant.json"

#: All annotations in one table, without outlines: what Croissant's records are read from.
ANNOTATIONS = "annotations.parquet"
_COLUMNS = (
    *("label", "t", "z", "category", "track_id", "box_x", "box_y", "box_width", "box_height"),
    *("x_start", "x_stop", "y_start", "y_stop", "z_start", "z_stop", "area", "pixels"),
)

#: Rows that are held at a time.
_ROWS = 1 << 15


def write_annotations(dataset: reader.Dataset, file: Path) -> Path | None:
    """Write annotations of all images as Parquet, table by table; ``None`` if the store has none.

    Raises
    ------
    ngff_bio.errors.StoreError
        If a table is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    pool, parts = pool_of(dataset), annotation_parts(dataset, _COLUMNS)
    every = pool.map(lambda part: part.open().schema, parts)
    with types_reported(dataset.url):
        found = union_schema(pa.schema([f for f in one if f.name in _COLUMNS]) for one in every)
    known = {f.name: f for f in found if not pa.types.is_null(f.type)}
    if not known:
        return None
    origin = [pa.field(name, pa.string()) for name in ("image", "layer")]
    schema = pa.schema([*origin, *(known[c] for c in _COLUMNS if c in known)])
    rows = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for tables in _batched(pool.imap(part.read for part in parts)):
            table = pa.concat_tables(
                [schema.empty_table(), *tables], promote_options="permissive"
            ).select(schema.names)
            writer.write_table(table.cast(schema))
            rows += table.num_rows
    if not rows:
        file.unlink()
    return file if rows else None


def _batched(tables: Iterator[pa.Table]) -> Iterator[list[pa.Table]]:
    """Tables, as many at a time as make a row group."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(t.num_rows for t in held) >= _ROWS:
            yield held
            held = []
    if held:
        yield held


def class_counts(annotations: Path | None) -> dict[str, int]:
    """Number of rows of each class of a table of annotations."""
    import pyarrow.parquet as pq

    if annotations is None or "category" not in pq.read_schema(annotations).names:
        return {}
    return count_classes([pq.read_table(annotations, columns=["category"])])


def row_count(annotations: Path | None) -> int:
    """Number of rows of a table of annotations."""
    import pyarrow.parquet as pq

    return 0 if annotations is None else pq.read_metadata(annotations).num_rows


def croissant(
    summary: Summary, about: Description, url: str | None, annotations: Path | None
) -> bytes:
    """The metadata of a store as Croissant 1.0.

    Raises
    ------
    ngff_bio.errors.DependencyError
        If mlcroissant is not installed.
    ngff_bio.errors.StoreError
        If it is not valid.
    """
    mlc = import_optional("mlcroissant", "ngff-bio[publish]")
    ctx = mlc.Context()
    files = []
    records = [_images(mlc, ctx, summary)] if summary.listed else []
    if summary.classes:
        records.append(_classes(mlc, ctx, summary))
    if annotations is not None:
        files.append(
            mlc.FileObject(
                ctx=ctx,
                id=ANNOTATIONS,
                name=ANNOTATIONS,
                description="all annotations, a row each",
                content_url=f"{url}/{ANNOTATIONS}" if url else ANNOTATIONS,
                content_size=f"{annotations.stat().st_size} B",
                encoding_formats=["application/x-parquet"],
                sha256=_sha256(annotations),
            )
        )
        records.append(_annotations(mlc, ctx, annotations))
    made = mlc.Metadata(
        ctx=ctx,
        name=about.title,
        description=about.description or about.title,
        license=[licence_url(about.licence) or about.licence] if about.licence else None,
        cite_as=about.citation or None,
        creators=[mlc.Person(ctx=ctx, name=name) for name in about.creators],
        keywords=list(about.keywords) or None,
        url=url or (f"https://doi.org/{about.doi}" if about.doi else None),
        version="1.0.0",
        date_published=datetime.combine(datetime.now().date(), datetime.min.time()),
        distribution=files,
        record_sets=records,
    )
    if made.issues.errors:
        raise StoreError(
            "the metadata is not valid Croissant", found="; ".join(sorted(made.issues.errors))[:500]
        )
    return json.dumps(made.to_json(), indent=1, ensure_ascii=False, default=str).encode()


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _images(mlc: Any, ctx: Any, summary: Summary) -> Any:
    """Images that the page lists, with their sizes and labels."""
    rows = [
        {
            "images/path": path or ".",
            "images/size": " ".join(
                f"{axis}{n}" for axis, n in summary.dataset[path].sizes.items()
            ),
            "images/labels": ", ".join(summary.dataset[path].layers),
        }
        for path in summary.listed
    ]
    fields = [
        mlc.Field(
            ctx=ctx, id=f"images/{n}", name=n, description=text, data_types=[mlc.DataType.TEXT]
        )
        for n, text in (
            ("path", "path of the image's group in the store"),
            ("size", "size along each axis"),
            ("labels", "names of its label images"),
        )
    ]
    more = len(summary.dataset) - len(rows)
    text = f"images of the store{f' (the first {len(rows)}; {more} more)' if more else ''}"
    return mlc.RecordSet(
        ctx=ctx, id="images", name="images", description=text, fields=fields, data=rows
    )


def _classes(mlc: Any, ctx: Any, summary: Summary) -> Any:
    name = mlc.Field(
        ctx=ctx, id="classes/name", name="name", description="class", data_types=[mlc.DataType.TEXT]
    )
    return mlc.RecordSet(
        ctx=ctx,
        id="classes",
        name="classes",
        description="classes of annotations",
        data_types=["sc:Enumeration"],
        key=["classes/name"],
        fields=[name],
        data=[{"classes/name": text} for text in summary.classes],
    )


def _annotations(mlc: Any, ctx: Any, annotations: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def kind(of: pa.DataType) -> Any:
        if pa.types.is_integer(of):
            return mlc.DataType.INTEGER
        return mlc.DataType.FLOAT if pa.types.is_floating(of) else mlc.DataType.TEXT

    fields = [
        mlc.Field(
            ctx=ctx,
            id=f"annotations/{column.name}",
            name=column.name,
            description=f"column {column.name} of the table",
            data_types=[kind(column.type)],
            source=mlc.Source(
                ctx=ctx, file_object=ANNOTATIONS, extract=mlc.Extract(ctx=ctx, column=column.name)
            ),
        )
        for column in pq.read_schema(annotations)
    ]
    return mlc.RecordSet(
        ctx=ctx,
        id="annotations",
        name="annotations",
        description="annotated objects",
        fields=fields,
    )
