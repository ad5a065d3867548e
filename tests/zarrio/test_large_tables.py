"""Tables of a store whose few bytes stand for many rows are refused, by one error."""

from __future__ import annotations

import io
import json

import makers
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ngff_bio
from ngff_bio.checks import validate
from ngff_bio.checks.source.verify import verify
from ngff_bio.cli.edit import _read_table
from ngff_bio.errors import SourceError, StoreError
from ngff_bio.zarrio import tables

#: Rows of the tables, and of a row group.
ROWS, GROUP = 300_001, 1 << 16


def many_rows(names: list[str]) -> bytes:
    """A Parquet file of equal rows: some hundred bytes for each row group."""
    out = io.BytesIO()
    column = pa.repeat(1, GROUP)
    part = pa.table(dict.fromkeys(names, column))
    with pq.ParquetWriter(out, part.schema) as writer:
        for start in range(0, ROWS, GROUP):
            writer.write_table(part.slice(0, ROWS - start))
    return out.getvalue()


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A source, and a store with a table of many rows."""
    folder = tmp_path_factory.mktemp("stored")
    source, store = folder / "source", folder / "a.zarr"
    makers.make_coco_folder(source, size=(24, 30), images=1, instances=3)
    ngff_bio.convert(source, store)
    (table,) = store.rglob("table.parquet")
    table.write_bytes(many_rows(["label", "t"]))
    return source, store, table


def test_a_file_with_too_many_rows_is_not_added(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MOST_BYTES", 800)
    (tmp_path / "a.csv").write_text("label\n" + "1\n" * 100)
    with pytest.raises(SourceError, match="larger than allowed") as error:
        _read_table(tmp_path / "a.csv")
    assert "leave out columns and rows" in str(error.value)


def test_a_table_with_too_many_rows_is_refused_before_it_is_read(stored, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MOST_ROWS", ROWS - 1)
    source, store, _ = stored
    found = [f for f in validate(store) if f.rule == "table-file"]
    assert len(found) == 1
    assert "larger than allowed" in found[0].found
    for whole in (
        lambda: verify(store, source),
        lambda: ngff_bio.export(store, tmp_path / "e", to="coco"),
    ):
        with pytest.raises(StoreError, match="larger than allowed") as error:
            whole()
        assert {"file", "expected", "found", "hint"} <= error.value.parts().keys()


def test_columns_and_rows_of_a_table_are_bounded_by_their_bytes(stored, monkeypatch):
    _, store, _ = stored
    dataset = ngff_bio.open(store)
    assert len(dataset.annotations(columns=["t"], t=[2])) == 0
    monkeypatch.setattr(tables, "MOST_BYTES", 9 * ROWS)  # one column
    assert len(dataset.annotations(columns=["t"])) == ROWS
    with pytest.raises(StoreError, match="larger than allowed"):
        dataset.annotations()
    monkeypatch.setattr(tables, "MOST_BYTES", 16 * GROUP)  # two columns of a row group
    assert len(dataset.annotations(t=[2])) == 0
    with pytest.raises(StoreError, match="larger than allowed"):
        dataset.annotations(t=[1])  # all rows


def test_a_long_text_is_not_written_out_for_each_of_many_rows(tmp_path, monkeypatch):
    text = pa.DictionaryArray.from_arrays(
        pa.repeat(pa.scalar(0, pa.int32()), 4000), ["x" * 100_000]
    )
    pq.write_table(pa.table({"a": text}), tmp_path / "a.parquet", store_schema=False)
    monkeypatch.setattr(tables, "MOST_BYTES", 10_000_000)
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)
    pa.set_memory_pool(pool)
    try:
        with pytest.raises(StoreError, match="larger than allowed"):
            tables.read_parquet(tmp_path / "a.parquet", "a.parquet")
    finally:
        pa.set_memory_pool(before)
    assert pool.max_memory() < 60_000_000  # of 400 MB


def test_a_manifest_with_too_many_rows_is_refused(stored, monkeypatch):
    monkeypatch.setattr(tables, "MOST_ROWS", ROWS - 1)
    _, store, _ = stored
    manifest = store / "ngff_bio" / "manifest.parquet"
    before = manifest.read_bytes()
    manifest.write_bytes(many_rows(["kind", "path", "region", "size", "crc32c"]))
    try:
        found = verify(store).differences
    finally:
        manifest.write_bytes(before)
    assert any("larger than allowed" in difference.what for difference in found)


def test_few_chunks_of_an_anndata_do_not_stand_for_any_shape(tmp_path, monkeypatch):
    anndata = pytest.importorskip("anndata")
    import numpy as np
    import pandas as pd

    source, store = tmp_path / "source", tmp_path / "a.zarr"
    makers.make_coco_folder(source, size=(24, 30), images=1, instances=3)
    ngff_bio.convert(source, store)
    (table,) = store.rglob("table.parquet")
    table.unlink()
    document = table.parent / "zarr.json"
    group = json.loads(document.read_text())
    obs = pd.DataFrame({"label": np.arange(1, 4)}, index=["a", "b", "c"])
    with anndata.settings.override(zarr_write_format=3):
        anndata.AnnData(np.ones((3, 2), np.float32), obs=obs).write_zarr(table.parent)
    written = json.loads(document.read_text())
    group["attributes"] |= written["attributes"] | {"backend": "anndata"}
    document.write_text(json.dumps(group))
    array = table.parent / "X" / "zarr.json"
    content = json.loads(array.read_text())
    content["shape"] = [3, 10**9]
    array.write_text(json.dumps(content))
    root = json.loads((store / "zarr.json").read_text())
    root.pop("consolidated_metadata", None)
    (store / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(StoreError, match="larger than allowed"):
        ngff_bio.open(store).annotations()
