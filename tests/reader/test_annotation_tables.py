"""Tables as data frames of several libraries, with rows chosen before they are read."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest
import tifffile
from makers import make_platelet_em
from written_stores import CLASSES, OVERLAPPING, our_plate

import ngff_bio
from ngff_bio.engine.write.tables import from_parquet, to_parquet
from ngff_bio.errors import (
    ArgumentError,
    DependencyError,
    NameNotFoundError,
    StorageError,
    StoreError,
)
from ngff_bio.publishing.croissant import write_annotations
from ngff_bio.storage import FolderStorage, MemoryStorage


@pytest.fixture(scope="module")
def storage() -> MemoryStorage:
    made = MemoryStorage()
    our_plate(made)
    return made


@pytest.fixture(scope="module")
def plate(storage: MemoryStorage) -> ngff_bio.reader.Dataset:
    return ngff_bio.open(storage)


def test_rows_are_those_of_the_file(plate: Any, storage: MemoryStorage) -> None:
    expected = from_parquet(storage.objects["B/7/0/tables/cell/table.parquet"]).to_pandas()
    found = plate["B/7/0"].annotations("cell")
    assert found.equals(expected)
    every = plate["B/7/0"].annotations()
    assert every.columns[0] == "layer"
    assert every.drop(columns="layer").equals(expected)


def test_a_frame_a_class_and_a_label_are_chosen(plate: Any) -> None:
    image = plate["B/7/0"]
    whole = image.annotations("cell")
    for wanted, rows in (
        ({"t": 1}, whole[whole.t == 1]),
        ({"t": [0, 2]}, whole[whole.t != 1]),
        ({"t": slice(1, None)}, whole[whole.t >= 1]),
        ({"category": "flat"}, whole[whole.category == "flat"]),
        ({"category": CLASSES}, whole),
        ({"label": [1, 7]}, whole[whole.label.isin([1, 7])]),
        (
            {"where": {"source_id": "1003"}, "t": 2},
            whole[(whole.source_id == "1003") & (whole.t == 2)],
        ),
        ({"where": pc.field("pixels") > 500}, whole[whole.pixels > 500]),
    ):
        found = image.annotations("cell", **wanted)
        assert found.equals(rows.reset_index(drop=True)), wanted


@pytest.mark.parametrize("units", ["pixel", "world"])
def test_a_box_takes_the_rows_that_touch_it(plate: Any, units: Any) -> None:
    image = plate["B/7/0"]
    scale = 0.25 if units == "world" else 1
    for x, y in (
        ((0, 35), (0, 25)),
        ((11, 12), (9, 10)),
        ((36, 49), (0, 90)),
        ((90, 100), (60, 90)),
    ):
        inside = [
            i
            for i, (bx, by, w, h) in enumerate(OVERLAPPING)
            if bx < x[1] and bx + w > x[0] and by < y[1] and by + h > y[0]
        ]
        found = image.annotations(
            "cell",
            t=0,
            x=(x[0] * scale, x[1] * scale),
            y=(y[0] * scale, y[1] * scale),
            units=units,
        )
        assert found["source_id"].tolist() == [str(1000 + i) for i in inside]


def test_polygons_stand_in_for_a_box_that_is_not_given(storage: MemoryStorage) -> None:
    copy = MemoryStorage(dict(storage.objects))
    key = "B/7/0/tables/cell/table.parquet"
    table = from_parquet(copy.objects[key]).to_pandas()
    table["box_x"] = None
    table["polygons"] = [
        [[x, y, x + w, y, x + w, y + h]] for _ in range(3) for x, y, w, h in OVERLAPPING
    ]
    import pyarrow as pa

    schema = from_parquet(copy.objects[key]).schema
    copy.put(key, to_parquet(pa.Table.from_pandas(table, schema)))
    image = ngff_bio.open(copy)["B/7/0"]
    found = image.annotations("cell", t=0, x=(0, 8), y=(0, 8), units="pixel", columns=["label"])
    assert found.columns.tolist() == ["label"]
    assert found["label"].tolist() == [1]


def test_all_images_together_say_where_a_row_is_from(plate: Any) -> None:
    found = plate.annotations(category="round", columns=["label", "t"])
    assert found.columns.tolist() == ["image", "layer", "label", "t"]
    assert found["image"].unique().tolist() == list(plate)
    assert len(found) == 4 * 3 * 3
    wells = plate.images[plate.images["well"] == "C7"]
    some = plate.annotations("cell", images=wells["path"])
    assert set(some["image"]) == {"C/7/0", "C/7/1"}


def test_each_library_holds_the_same_rows(plate: Any) -> None:
    expected = plate.annotations(t=1, columns=["label", "category"])
    for to in ("polars", "pyarrow", "dask"):
        found = plate.annotations(t=1, columns=["label", "category"], to=to)
        frame = found.compute() if to == "dask" else found.to_pandas()
        assert frame.reset_index(drop=True)["label"].tolist() == expected["label"].tolist()
        assert frame["category"].tolist() == expected["category"].tolist()
        assert list(frame["image"]) == list(expected["image"])
    lazy = plate.annotations(to="dask")
    assert lazy.npartitions == 4
    assert int(lazy["pixels"].sum().compute()) == plate.annotations()["pixels"].sum()


def test_geopandas_holds_geometry_or_is_asked_for(plate: Any) -> None:
    try:
        import geopandas  # noqa: F401
    except ImportError:
        with pytest.raises(DependencyError, match="geopandas"):
            plate.annotations(to="geopandas")
        return
    found = plate["B/7/0"].annotations("cell", t=0, to="geopandas")
    assert [tuple(g.bounds) for g in found.geometry] == [
        (x, y, x + w, y + h) for x, y, w, h in OVERLAPPING
    ]


def test_tables_of_ngio_are_read(tmp_path: Any) -> None:
    import ngio
    import pandas as pd
    from ngio.tables import FeatureTable
    from written_stores import by_ngio

    by_ngio("0.5")["image"](tmp_path / "a")
    rows = pd.DataFrame({"label": [1, 2, 3], "area": [1.5, 2.5, 3.5]}).set_index("label")
    container = ngio.open_ome_zarr_container(tmp_path / "a")
    backends = ("parquet", "csv", "json", "anndata")
    for backend in backends:
        container.add_table(f"t_{backend}", FeatureTable(rows), backend=backend)
    image = ngff_bio.open(tmp_path / "a")[""]
    for backend in backends:
        found = image.annotations(f"t_{backend}", where={"label": [2, 3]})
        assert found.reset_index()[["label", "area"]].values.tolist() == [[2, 2.5], [3, 3.5]]


def test_names_that_are_not_there_are_refused(plate: Any) -> None:
    with pytest.raises(NameNotFoundError, match="cell"):
        plate.annotations("cels")
    with pytest.raises(NameNotFoundError, match="no table has a column 'lable'"):
        plate.annotations(columns=["t", "lable"])
    with pytest.raises(NameNotFoundError, match="no column 'colour'"):
        plate.annotations(where={"colour": 3})
    with pytest.raises(ngff_bio.errors.ArgumentError, match="pandas"):
        plate.annotations(to="excel")


def test_an_unknown_filter_offers_the_nearest_names(plate: Any) -> None:
    for read in (plate.annotations, plate["B/7/0"].annotations):
        with pytest.raises(ArgumentError, match="no filter 'catgory'") as caught:
            read(catgory="round")
        assert caught.value.expected == "category"
        with pytest.raises(ArgumentError, match=r"where=\{'pixels': ...\}"):
            read(pixels=3)
    with pytest.raises(ArgumentError, match="unknown units"):
        plate.annotations(x=(0, 9), units="pixels")


def test_an_unknown_category_offers_the_nearest_names(plate: Any) -> None:
    for read in (plate.annotations, plate["B/7/0"].annotations):
        for to in ("pandas", "dask"):
            with pytest.raises(NameNotFoundError, match="no category 'rund'") as caught:
                read(category="rund", to=to)
            assert caught.value.expected == "round"
        with pytest.raises(NameNotFoundError, match="no category 'fla'"):
            read(category=["round", "fla"], columns=["label"])
        assert len(read(category="round", t=0, label=2)) == 0


def test_a_category_of_the_attributes_needs_no_rows(storage: MemoryStorage) -> None:
    copy = MemoryStorage(dict(storage.objects))
    key = "B/7/0/tables/cell/table.parquet"
    copy.put(key, to_parquet(from_parquet(copy.objects[key]).slice(0, 0)))
    image = ngff_bio.open(copy)["B/7/0"]
    assert len(image.annotations(category="round")) == 0
    with pytest.raises(NameNotFoundError, match="no category 'rund'"):
        image.annotations(category="rund")


def test_a_damaged_table_is_named(storage: MemoryStorage) -> None:
    copy = MemoryStorage(dict(storage.objects))
    key = "B/7/0/tables/cell/table.parquet"
    copy.put(key, copy.objects[key][:-30])
    with pytest.raises(StoreError, match="table") as caught:
        ngff_bio.open(copy)["B/7/0"].annotations()
    assert "B/7/0/tables/cell" in str(caught.value.file)
    copy.delete(key)
    with pytest.raises(StoreError, match="listed but missing"):
        ngff_bio.open(copy)["B/7/0"].annotations()


def test_images_and_frames_are_tables_to_filter(plate: Any) -> None:
    table = plate.images
    assert table["well"].tolist() == ["B7", "B7", "C7", "C7"]
    assert table["frames"].tolist() == [3] * 4
    assert table["time_stop"].tolist() == [7.5] * 4
    assert table[["t", "y", "x"]].values.tolist() == [[3, 96, 120]] * 4
    assert [i.path for i in plate.select(well="C7", field="1")] == ["C/7/1"]
    assert [i.path for i in plate.select(split="test", well=["B7", "C7"])] == list(plate)
    assert plate.select(split="tes") == []
    frames = plate.frames
    assert len(frames) == 12
    assert frames.query("split == 'test'")["height"].tolist() == [90] * 4
    assert frames["hours"].tolist()[:3] == [0.0, 4.0, 7.5]
    with pytest.raises(ngff_bio.errors.ArgumentError, match="'wel'"):
        plate.select(wel="C7")
    assert np.array_equal(table["path"], list(plate))


def test_a_storage_that_gives_no_answer_is_not_a_damaged_table(tmp_path):
    class Silent(FolderStorage):
        def get_range(self, key, start, length):
            if key.endswith(".parquet"):
                raise StorageError("no answer", file=key)
            return super().get_range(key, start, length)

    truth = make_platelet_em(tmp_path, size="tiny", volumes=["24"])
    ngff_bio.convert(truth.root, tmp_path / "a.zarr")
    opened = ngff_bio.open(Silent(tmp_path / "a.zarr"))
    with pytest.raises(StorageError, match="no answer"):
        opened[next(iter(opened))].annotations()


def test_tables_whose_columns_differ_in_type_are_one_error(tmp_path: Path) -> None:
    source = tmp_path / "images"
    source.mkdir()
    for name in "ab":
        tifffile.imwrite(source / f"{name}.tif", np.zeros((4, 4), np.uint8))
    ngff_bio.convert(source, tmp_path / "s.zarr", format="images")
    for name, category in (("a", "cat"), ("b", 5)):
        table = pd.DataFrame({"label": [1], "category": [category]})
        ngff_bio.write_table(ngff_bio.open(tmp_path / "s.zarr")[name], "cells", table)
    dataset = ngff_bio.open(tmp_path / "s.zarr")
    for read in (
        dataset.annotations,
        lambda: dataset.annotations(to="dask").compute(scheduler="sync"),
        partial(write_annotations, dataset, tmp_path / "all.parquet"),
    ):
        with pytest.raises(StoreError, match=r"different types[\s\S]*category"):
            read()
