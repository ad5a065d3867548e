"""``croissant.json``: images, classes and annotations for catalogues and loaders of training data."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import datetime
from typing import Any

from ngff_bio.errors import StoreError, import_optional
from ngff_bio.parallel import shared_pool
from ngff_bio.publishing.description import licence_url
from ngff_bio.reader.tables.tables import column_names
from ngff_bio.viewing.landing import Description
from ngff_bio.viewing.summary import Summary

NAME = "croissant.json"

#: All annotations in one table, without outlines: what Croissant's records are read from.
ANNOTATIONS = "annotations.parquet"
_COLUMNS = (
    *("label", "t", "z", "category", "track_id", "box_x", "box_y", "box_width", "box_height"),
    *("x_start", "x_stop", "y_start", "y_stop", "z_start", "z_stop", "area", "pixels"),
)


def annotations_table(summary: Summary) -> bytes | None:
    """Annotations of all images as Parquet; ``None`` if the store has none.

    Raises
    ------
    ngff_bio.errors.StoreError
        If a table is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    dataset = summary.dataset
    tables = [(image, name) for image in map(dataset.__getitem__, dataset) for name in image.tables]
    known = set().union(*shared_pool(remote=True).map(lambda at: column_names(*at), tables))
    columns = [c for c in _COLUMNS if c in known]
    if not columns:
        return None
    table = dataset.annotations(columns=columns, to="pyarrow")
    if not table.num_rows:
        return None
    kept = [i for i, f in enumerate(table.schema) if not pa.types.is_null(f.type)]
    file = io.BytesIO()
    pq.write_table(table.select(kept), file, compression="zstd")
    return file.getvalue()


def row_count(annotations: bytes | None) -> int:
    """Number of rows of a table of annotations."""
    import pyarrow.parquet as pq

    return 0 if annotations is None else pq.read_metadata(io.BytesIO(annotations)).num_rows


def croissant(
    summary: Summary, about: Description, url: str | None, annotations: bytes | None
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
    files, records = [], [_images(mlc, ctx, summary)]
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
                content_size=f"{len(annotations)} B",
                encoding_formats=["application/x-parquet"],
                sha256=hashlib.sha256(annotations).hexdigest(),
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


def _annotations(mlc: Any, ctx: Any, annotations: bytes) -> Any:
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
        for column in pq.read_schema(io.BytesIO(annotations))
    ]
    return mlc.RecordSet(
        ctx=ctx,
        id="annotations",
        name="annotations",
        description="annotated objects",
        fields=fields,
    )
