from __future__ import annotations

import os
from pathlib import Path

import pytest
from makers import make_platelet_em

import ngff_bio.export.registry as registry
from ngff_bio import convert
from ngff_bio.errors import (
    ArgumentError,
    NameNotFoundError,
    StorageError,
    StoreExistsError,
    StoreNotFoundError,
)
from ngff_bio.export import Exporter, export, exporters
from ngff_bio.export.output import place_below


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    made = make_platelet_em(folder, size=(2, 24, 32))
    convert(made.root, folder / "store.zarr")
    return folder / "store.zarr"


@pytest.fixture
def failing(monkeypatch):
    """A format whose writing stops in the middle."""

    class Failing(Exporter):
        def write(self, selection, place, report):
            target = place / "half.txt" if place.is_dir() else place
            target.write_text("half")
            raise OSError(28, "No space left on device")

    found = Failing("failing", "", (".txt",), "")
    monkeypatch.setitem(registry._BY_NAME, "failing", found)


def test_the_error_for_an_unknown_format_lists_all_formats(store, tmp_path):
    with pytest.raises(ArgumentError) as error:
        export(store, tmp_path / "out", to="cocoo")
    for name in exporters():
        assert name in str(error.value)
    assert "one of similar name: coco" in str(error.value)


def test_an_unknown_image_lists_the_known_ones(store, tmp_path):
    with pytest.raises(NameNotFoundError) as error:
        export(store, tmp_path / "out", to="coco", image="51")
    assert "24" in str(error.value)
    assert "50" in str(error.value)


def test_an_unknown_layer_lists_the_known_ones(store, tmp_path):
    with pytest.raises(NameNotFoundError, match="instance-cell"):
        export(store, tmp_path / "out", to="coco", labels=["cell"])


@pytest.mark.parametrize("region", ["y=5:2", "q=0:1", "y", "y=0:9999", "y=-1:5", "c=0:1", ""])
def test_an_invalid_region_is_an_error(store, tmp_path, region):
    with pytest.raises(ArgumentError):
        export(store, tmp_path / "out", to="coco", region=region)
    assert not (tmp_path / "out").exists()


def test_a_missing_store_is_an_error(tmp_path):
    with pytest.raises(StoreNotFoundError):
        export(tmp_path / "none.zarr", tmp_path / "out", to="coco")


def test_the_destination_is_unchanged_without_overwrite(store, tmp_path):
    out = tmp_path / "out.json"
    out.write_text("mine")
    with pytest.raises(StoreExistsError, match="--overwrite"):
        export(store, out, to="coco")
    assert out.read_text() == "mine"
    export(store, out, to="coco", overwrite=True)
    assert out.read_text().startswith("{")


def test_a_folder_is_replaced_as_a_whole(store, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old.txt").write_text("old")
    export(store, out, to="yolo", overwrite=True)
    assert not (out / "old.txt").exists()
    assert (out / "data.yaml").exists()
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("name", ["out", "out.txt"])
def test_a_failed_export_leaves_nothing(store, tmp_path, failing, name):
    with pytest.raises(StorageError, match="No space left"):
        export(store, tmp_path / name, to="failing")
    assert os.listdir(tmp_path) == []


def test_a_failed_export_leaves_what_was_there(store, tmp_path, failing):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(StorageError):
        export(store, tmp_path / "out", to="failing", overwrite=True)
    assert (tmp_path / "out" / "mine").read_text() == "mine"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("below", ["", "..", "labels"])
def test_the_store_is_never_replaced(store, below):
    out = store / below
    out.mkdir(exist_ok=True)
    with pytest.raises(ArgumentError, match="store"):
        export(store, out, to="coco", overwrite=True)
    assert (store / "zarr.json").exists()


def test_the_current_folder_is_never_replaced(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(ArgumentError):
        export(store, ".", to="coco", overwrite=True)
    assert (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    "name", ["../../evil.json", "/etc/evil.json", "a/../../evil.json", "D:\\evil.json", "..", ""]
)
def test_names_of_a_source_never_lead_out_of_the_destination(tmp_path, name):
    place = place_below(tmp_path / "out", name)
    assert (tmp_path / "out") in place.parents
    assert ".." not in place.parts


@pytest.mark.parametrize("image", ["50", "/50/", "50-images", "images/50-images.tif"])
def test_an_image_is_known_by_path_and_by_name(store, tmp_path, image):
    report = export(store, tmp_path / "out", to="coco", image=image)
    assert report.images == 2


def test_the_verb_of_the_package_is_the_room_of_the_same_name(store, tmp_path):
    import ngff_bio

    for number in range(2):
        ngff_bio.export(store, tmp_path / f"{number}.json", to="coco")
        assert (tmp_path / f"{number}.json").exists()
        from ngff_bio.export import ExportReport  # rebinds the package's attribute to the module

        assert ExportReport


def test_the_old_keyword_of_images_is_deprecated(store, tmp_path):
    with pytest.warns(DeprecationWarning, match="use images"):
        export(store, tmp_path / "out", to="yolo", image="50", pictures=True)
    assert list((tmp_path / "out" / "images").iterdir())
