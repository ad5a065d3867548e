"""A store as the source of a conversion: what of it is kept, what is decoded, what bad stores get."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import zarr
from engine.mortal import Killed, Mortal
from makers import make_livecell
from numcodecs import Blosc, GZip, Zstd
from reader.written_stores import SCALE, WRITERS, blobs, by_hand, example_pixels

import ngff_bio
from ngff_bio.checks.source import compare_stores
from ngff_bio.checks.store.validate import validate
from ngff_bio.cli.app import app
from ngff_bio.copying.rewrite.work import convert_store
from ngff_bio.engine import Settings
from ngff_bio.errors import ArgumentError, NgffBioError, SourceError, StoreError
from ngff_bio.export import export
from ngff_bio.storage import FolderStorage, MemoryStorage
from ngff_bio.zarrio.codecs import CodecPipeline, parse_codec


def arrays(path: Path) -> dict[str, Any]:
    """Pixels of all arrays, by zarr-python alone."""
    group = zarr.open_group(path, mode="r")
    return {n: a[...] for n, a in group.members(max_depth=None) if isinstance(a, zarr.Array)}


def assert_same_arrays(one: Path, other: Path) -> None:
    expected, found = arrays(one), arrays(other)
    assert sorted(found) == sorted(expected)
    for name, pixels in expected.items():
        np.testing.assert_array_equal(found[name], pixels, err_msg=name)


def ome(path: Path) -> dict[str, Any]:
    attributes: Any = zarr.open_group(path, mode="r").attrs.asdict()
    return attributes.get("ome", attributes)


def broken_rules(path: Path) -> set[str]:
    return {f.rule for f in validate(path) if f.level == "error"}


def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("a chunk was decoded or encoded")

    monkeypatch.setattr(CodecPipeline, "decode", refuse)
    monkeypatch.setattr(CodecPipeline, "encode", refuse)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("writer", "kind", "version"),
    [
        ("ome-zarr 0.4", "image", "0.5"),
        ("ome-zarr 0.5", "plate", "0.6"),
        ("ngio 0.4", "plate", "0.5"),
        ("ngio 0.5", "image", "0.4"),
        ("by hand filters", "collection", "0.5"),
        ("by hand .", "plate", "0.6"),
        ("ours 0.4", "plate", "0.6"),
        ("ours 0.6", "image", "0.4"),
    ],
)
def test_arrays_scales_and_places_are_those_of_the_store(
    tmp_path: Path, writer: str, kind: str, version: Any
) -> None:
    old, new = tmp_path / "old.zarr", tmp_path / "new.zarr"
    WRITERS[writer][kind](old)
    ngff_bio.convert(old, new, settings=Settings(version=version))
    assert_same_arrays(old, new)
    before, after = ngff_bio.open(old), ngff_bio.open(new)
    assert after.version == version
    assert list(after) == list(before)
    for path, image in before.items():
        found = after[path]
        assert found.rendering == image.rendering
        assert found.units == image.units
        for level in range(len(image.pixels)):
            assert found.pixels.scale(level) == image.pixels.scale(level)
            assert found.pixels.translation(level) == image.pixels.translation(level)
    assert broken_rules(new) <= broken_rules(old)
    assert ngff_bio.verify(new, old).equal


def test_numbers_that_are_not_known_are_not_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old.zarr"
    by_hand("/")["image"](old)
    for more in (["--dry-run"], []):
        arguments = ["convert", str(old), str(tmp_path / "new.zarr")]
        app([*arguments, *more], standalone_mode=False)
        printed = capsys.readouterr().out
        assert "1 images, 1 frames" in printed
        assert not re.search("instances|annotations", printed)


def test_chunks_go_into_shards_as_they_are_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, back = (tmp_path / name for name in ("old.zarr", "new.zarr", "back.zarr"))
    by_hand("/")["image"](old)
    with monkeypatch.context() as patched:
        no_decoding(patched)
        ngff_bio.convert(old, new)
        ngff_bio.convert(new, back, settings=Settings(version="0.4"))
    array: Any = zarr.open_array(new / "s0", mode="r")
    assert (array.shards, array.chunks) == ((1, 2, 1, 120, 150), (1, 1, 1, 40, 50))
    shard = (new / "s0" / "c" / "0" / "0" / "0" / "0" / "0").read_bytes()
    for file in (old / "s0").rglob("*/*/*/*/*"):
        chunk = file.read_bytes()
        assert chunk + google_crc32c.value(chunk).to_bytes(4, "little") in shard
        assert (back / file.relative_to(old)).read_bytes() == chunk
    assert_same_arrays(old, new)


def test_objects_stay_as_they_are_where_only_metadata_changes(tmp_path: Path) -> None:
    old, new = tmp_path / "old.zarr", tmp_path / "new.zarr"
    WRITERS["ome-zarr 0.5"]["image"](old)
    ngff_bio.convert(old, new, settings=Settings(version="0.6", sharded=False))
    chunks = [p.relative_to(old) for p in old.rglob("c/*/*/*") if p.is_file()]
    assert chunks
    assert all((new / p).read_bytes() == (old / p).read_bytes() for p in chunks)


def test_other_chunks_shards_and_codecs_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    old, new = tmp_path / "old.zarr", tmp_path / "new.zarr"
    by_hand("/")["image"](old)
    settings = Settings(
        chunk=(16, 24), shard=(64, 96), codec=parse_codec("zstd-3"), label_codec=parse_codec("none")
    )
    ngff_bio.convert(old, new, settings=settings)
    assert_same_arrays(old, new)
    array: Any = zarr.open_array(new / "s0", mode="r")
    assert (array.shards, array.chunks) == ((1, 1, 1, 64, 96), (1, 1, 1, 16, 24))
    assert array.compressors[0].to_dict()["name"] == "zstd"
    unsharded = tmp_path / "unsharded.zarr"
    ngff_bio.convert(new, unsharded, settings=Settings(sharded=False))
    assert zarr.open_array(unsharded / "s0", mode="r").shards is None
    assert_same_arrays(old, unsharded)


def test_levels_are_made_anew_where_that_is_wanted(tmp_path: Path) -> None:
    old, new = tmp_path / "old.zarr", tmp_path / "new.zarr"
    by_hand("/", sparse=False)["image"](old)
    _change(
        old / ".zattrs",
        lambda d: d["multiscales"][0]["datasets"][1]["coordinateTransformations"][0].update(
            scale=[1, 1, 1, SCALE, SCALE]
        ),
    )
    report = ngff_bio.convert(old, new, settings=Settings(levels=2))
    assert any("contradicts its size" in n.what for n in report.notices)
    image = ngff_bio.open(new)[""]
    pixels = example_pixels().astype(float)
    mean = pixels.reshape(2, 48, 2, 60, 2).mean((2, 4))
    assert len(image.pixels) == 2
    np.testing.assert_array_equal(image.pixels.array(0)[0, :, 0], pixels)
    np.testing.assert_array_equal(image.pixels.array(1)[0, :, 0], np.floor(mean + 0.5))
    assert image.pixels.scale(1)["y"] == 0.5
    assert image.pixels.translation(1)["y"] == 0.125
    np.testing.assert_array_equal(image.label("cell").array(0)[0, 0, 0], blobs())
    assert not (new / "s0").exists()
    assert ngff_bio.verify(new, old).equal


def test_attributes_and_files_that_nobody_knows_are_kept(tmp_path: Path) -> None:
    old, new = tmp_path / "old.zarr", tmp_path / "new.zarr"
    by_hand("/", sparse=False)["image"](old)
    attributes = json.loads((old / ".zattrs").read_text())
    attributes["multiscales"][0] |= {"type": "gaussian", "metadata": {"method": "x"}, "own": [1]}
    attributes["multiscales"][0]["datasets"][1]["note"] = "second"
    window = {"min": 0, "max": 9, "start": 1, "end": 2}
    channel = {"label": "a", "color": "FF0000", "window": window, "coefficient": 1, "family": "f"}
    attributes["omero"] = {"id": 7, "channels": [channel], "rdefs": {"model": "color"}}
    attributes["lab"] = {"operator": "N. N."}
    (old / ".zattrs").write_text(json.dumps(attributes))
    (old / "protocol.txt").write_text("fixed in PFA")
    (old / "tables" / "t").mkdir(parents=True)
    (old / "tables" / "t" / "table.csv").write_text("a,b\n1,2\n")
    for version in ("0.5", "0.6"):
        ngff_bio.convert(old, new, settings=Settings(version=version), overwrite=True)
        found = json.loads((new / "zarr.json").read_text())["attributes"]
        assert found["lab"] == attributes["lab"]
        assert found["ome"]["omero"] == attributes["omero"]
        image = found["ome"]["multiscales"][0]
        assert (image["type"], image["metadata"], image["own"]) == (
            "gaussian",
            {"method": "x"},
            [1],
        )
        assert image["datasets"][1]["note"] == "second"
        assert (new / "protocol.txt").read_text() == "fixed in PFA"
        assert (new / "tables" / "t" / "table.csv").read_text() == "a,b\n1,2\n"
    assert ngff_bio.verify(new).equal
    _change(new / "zarr.json", lambda d: d["attributes"]["ome"].update(scene={"name": "s"}))
    back = tmp_path / "back.zarr"
    ngff_bio.convert(new, back, settings=Settings(version="0.4"))
    assert json.loads((back / ".zattrs").read_text())["scene"] == {"name": "s"}
    assert ngff_bio.verify(back, new).equal


@pytest.mark.parametrize("version", ["0.5", "0.6"])
def test_several_multiscales_of_a_group_are_kept(tmp_path: Path, version: Any) -> None:
    """By the specification the user chooses by name, and the first is the fallback."""
    old, new = tmp_path / "old.zarr", tmp_path / "new.zarr"
    by_hand("/")["image"](old)
    group: Any = zarr.open_group(old)
    axes = [{"name": n, "type": "space"} for n in "yx"]
    levels = [
        {"path": p, "coordinateTransformations": [{"type": "scale", "scale": [s, s]}]}
        for p, s in (("flat", 1.0), ("flat2", 2.0))
    ]
    for level in levels:
        step = int(level["coordinateTransformations"][0]["scale"][0])
        group.create_array(level["path"], data=example_pixels()[0, ::step, ::step], chunks=(40, 50))
    shared = {**group.attrs["multiscales"][0], "name": "shared", "type": "median"}
    projection = {"name": "projection", "axes": axes, "datasets": levels}
    group.attrs["multiscales"] = [*group.attrs["multiscales"], shared, projection]
    report = ngff_bio.convert(old, new, settings=Settings(version=version))
    assert [n.record for n in report.notices if "are kept" in n.what] == ["'shared', 'projection'"]
    assert report.images == 1
    assert_same_arrays(old, new)
    first, second, third = ome(new)["multiscales"]
    assert (second["name"], third["name"]) == ("shared", "projection")
    assert second["type"] == "median"
    assert [d["path"] for d in second["datasets"]] == [d["path"] for d in first["datasets"]]
    assert [d["path"] for d in third["datasets"]] == ["flat", "flat2"]
    assert zarr.open_array(new / "flat", mode="r").metadata.dimension_names == ("y", "x")
    assert not broken_rules(new)
    assert ngff_bio.verify(new, old).equal
    further = ngff_bio.open(new)[""].further
    assert list(further) == ["shared", "projection"]
    np.testing.assert_array_equal(
        further["projection"].array(1)[...], example_pixels()[0, ::2, ::2]
    )
    with pytest.raises(SourceError, match="several multiscales"):
        ngff_bio.convert(old, tmp_path / "made.zarr", settings=Settings(levels=2))


def test_annotations_of_a_converted_dataset_still_export_equal(tmp_path: Path) -> None:
    made = make_livecell(tmp_path, cell_types=("A172",), crowd_every=3, parts_every=4)
    old, new = tmp_path / "old.zarr", tmp_path / "new.zarr"
    ngff_bio.convert(made.root, old, settings=Settings(version="0.4"))
    ngff_bio.convert(old, new, settings=Settings(version="0.6"))
    export(new, tmp_path / "out", to="coco")
    files = sorted(p.relative_to(made.root) for p in made.root.rglob("*.json"))
    assert files
    for name in files:
        expected, found = ((top / name).read_text() for top in (made.root, tmp_path / "out"))
        assert json.loads(found) == json.loads(expected)
    assert ngff_bio.verify(new, made.root).equal
    assert ngff_bio.verify(new, pixels=True).equal


def test_verify_finds_what_differs_from_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "old.zarr", tmp_path / "new.zarr"
    by_hand("/", sparse=False)["image"](old)
    (old / "notes.txt").write_text("a")
    values = partial(zarr.create_array, old / "values", zarr_format=2, overwrite=True)
    values(data=np.array([1, np.nan], ">f4"), chunks=(1,))
    monkeypatch.setattr(compare_stores, "_SLAB", 4)
    ngff_bio.convert(old, new)
    assert ngff_bio.verify(new, old).equal
    values(data=np.array([1, np.nan, 3], ">f4"))
    array: Any = zarr.open_array(old / "s1", mode="a")
    array[0, 1, 0, 3, 4] += 1
    _change(old / ".zattrs", lambda d: d["multiscales"][0]["axes"][-1].pop("unit"))
    (old / "notes.txt").write_text("b")
    found = {(d.kind, d.path) for d in ngff_bio.verify(new, old).differences}
    metadata = {("image", ""), ("object", "notes.txt")}
    assert found == {("pixels", "s1"), ("level", "values"), *metadata}


def older(path: Path, version: str) -> None:
    """A plate of one image as OME-Zarr 0.1, 0.2 and 0.3 describe it, of two levels."""
    group = zarr.open_group(path, mode="w", zarr_format=2)
    rows, columns = [{"name": "B"}], [{"name": "7"}]
    plate = {"rows": rows, "columns": columns, "wells": [{"path": "B/7"}], "version": version}
    group.attrs["plate"] = plate
    well = group.require_group("B/7")
    well.attrs["well"] = {"images": [{"path": "0"}], "version": version}
    for place, pixels in (("0", example_pixels()), ("0/labels/cell", blobs()[None])):
        image = well.require_group(place)
        entry: dict[str, Any] = {"version": version, "datasets": [{"path": "0"}, {"path": "1"}]}
        if version == "0.3":
            entry["axes"] = list("tczyx")
        image.attrs["multiscales"] = [entry]
        for level in range(2):
            image.create_array(
                str(level),
                data=pixels[None, :, None, :: 2**level, :: 2**level],
                chunks=(1, 1, 1, 40, 50),
                chunk_key_encoding={"name": "v2", "separator": "." if version == "0.1" else "/"},
            )
    well["0/labels"].attrs["labels"] = ["cell"]
    well["0/labels/cell"].attrs["image-label"] = {"version": version}


@pytest.mark.parametrize("version", ["0.1", "0.2", "0.3"])
def test_old_versions_are_read_and_converted(tmp_path: Path, version: str) -> None:
    old, new = tmp_path / "old.zarr", tmp_path / "new.zarr"
    older(old, version)
    report = ngff_bio.convert(old, new)
    assert any("no pixel sizes" in n.what for n in report.notices)
    assert_same_arrays(old, new)
    for store in (old, new):
        image = ngff_bio.open(store)["B/7/0"]
        assert image.pixels.scale(1) == {"t": 1, "c": 1, "z": 1, "y": 2, "x": 2}
        np.testing.assert_array_equal(image.level(0)["cell"].squeeze(), blobs())
    assert ome(new)["plate"]["wells"] == [{"path": "B/7", "rowIndex": 0, "columnIndex": 0}]
    assert not broken_rules(new)


def test_groups_that_are_listed_and_missing_are_reported(tmp_path: Path) -> None:
    old, new = tmp_path / "old.zarr", tmp_path / "new.zarr"
    by_hand("/")["plate"](old)
    shutil.rmtree(old / "B/7/0/labels/cell")
    shutil.rmtree(old / "B/7/1")
    shutil.rmtree(old / "C/7")
    report = ngff_bio.convert(old, new)
    (warning,) = (n for n in report.notices if "lists are missing" in n.what)
    assert (warning.record, warning.count) == ("B/7/0/labels/cell, B/7/1, C/7", 3)


def test_some_images_of_a_store(tmp_path: Path) -> None:
    old, new = tmp_path / "old.zarr", tmp_path / "new.zarr"
    by_hand("/")["plate"](old)
    report = ngff_bio.convert(old, new, options={"images": ["C/*/1"]})
    assert not [n for n in report.notices if n.kind == "warning"]
    assert list(ngff_bio.open(new)) == ["C/7/1"]
    assert [w["path"] for w in ome(new)["plate"]["wells"]] == ["C/7"]
    assert ngff_bio.verify(new, old).equal
    assert not (new / "B").exists()
    with pytest.raises(ArgumentError, match="does not apply to a source that is a store"):
        ngff_bio.convert(old, tmp_path / "x.zarr", options={"axes": "tyx"})


def _change(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _missing_level(path: Path) -> None:
    shutil.rmtree(path / "0" / "s1")


def _float_labels(path: Path) -> None:
    for level in ("s0", "s1", "s2"):
        _change(path / "0" / "labels" / "cell" / level / ".zarray", lambda d: d.update(dtype="<f2"))


def _fewer_axes(path: Path) -> None:
    _change(path / "0" / ".zattrs", lambda d: d["multiscales"][0]["axes"].pop())


def _unknown_codec(path: Path) -> None:
    for level in ("s0", "s1", "s2"):
        _change(
            path / "0" / level / ".zarray", lambda d: d.update(compressor={"id": "imagecodecs_x"})
        )


def _cut_chunk(path: Path) -> None:
    (path / "0" / "s0" / "0" / "1" / "0" / "1" / "1").write_bytes(b"")


@pytest.mark.parametrize("codec", [Blosc("lz4"), Zstd(1), GZip(1)])
def test_a_chunk_that_is_cut_off_or_other_is_not_passed_on(tmp_path: Path, codec: Any) -> None:
    for name, data in (("cut", slice(0, -9)), ("other", slice(5, None))):
        old = tmp_path / f"{name}.zarr"
        by_hand("/")["image"](old)
        for level in ("s0", "s1", "s2"):
            pixels = zarr.open_array(old / level, mode="r")[:]
            key = {"name": "v2", "separator": "/"}
            zarr.create_array(
                old / level, data=pixels, chunks=(1, 1, 1, 40, 50), compressors=codec,
                zarr_format=2, chunk_key_encoding=key, overwrite=True,
            )  # fmt: skip
        chunk = old / "s0/0/1/0/1/1"
        chunk.write_bytes(chunk.read_bytes()[data])
        with pytest.raises(StoreError, match="a chunk is damaged"):
            ngff_bio.convert(old, tmp_path / "new.zarr", overwrite=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (_missing_level, "a level that the metadata lists is missing"),
        (_float_labels, "not integers"),
        (_fewer_axes, "axes of its image|cannot be understood"),
        (_unknown_codec, "codec"),
        (_cut_chunk, "a chunk is damaged"),
    ],
)
def test_a_bad_image_is_an_error_or_is_left_out(
    tmp_path: Path, damage: Callable[[Path], None], what: str
) -> None:
    old, new = tmp_path / "old.zarr", tmp_path / "new.zarr"
    by_hand("/")["collection"](old)
    damage(old)
    with pytest.raises(NgffBioError, match=what):
        ngff_bio.convert(old, new)
    report = ngff_bio.convert(old, new, on_error="skip", overwrite=True)
    assert [n for n in report.skipped if "was skipped" in n.what]
    found = ngff_bio.open(new)
    if damage is _float_labels:
        assert found["0"].labels == ()
        assert list(found) == ["0", "1"]
    else:
        assert not (new / "0").exists()
    np.testing.assert_array_equal(found["1"].pixels.array(0)[0, :, 0], example_pixels(1))
    verified = ngff_bio.verify(new, old)
    assert verified.equal
    assert verified.skipped
    _change(old / "1" / ".zattrs", lambda d: d["multiscales"][0]["axes"][-1].update(unit="inch"))
    assert ("image", "1") in {(d.kind, d.path) for d in ngff_bio.verify(new, old).differences}


def test_a_store_without_images_is_refused(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "old.zarr", mode="w").create_array("a", data=np.zeros(3))
    with pytest.raises(StoreError, match="has no OME-Zarr image"):
        ngff_bio.convert(tmp_path / "old.zarr", tmp_path / "new.zarr")
    with pytest.raises(ArgumentError, match="into itself"):
        ngff_bio.convert(tmp_path / "old.zarr", tmp_path / "old.zarr", overwrite=True)


class Stopped(Exception):
    pass


def test_a_store_that_changes_while_it_is_converted_is_an_error(tmp_path: Path) -> None:
    by_hand("/")["image"](tmp_path / "old.zarr")
    source = MemoryStorage()
    for file in filter(Path.is_file, (tmp_path / "old.zarr").rglob("*")):
        source.put(file.relative_to(tmp_path / "old.zarr").as_posix(), file.read_bytes())
    new = FolderStorage(tmp_path / "new.zarr")
    chunk = next(key for key, _ in source.list() if not key.rpartition("/")[2].startswith(".z"))

    def change(done: int, total: int) -> None:
        source.delete(chunk)

    with pytest.raises(SourceError, match="changed while it was converted"):
        convert_store(source, new, Settings(levels=None), progress=change)


def test_an_interrupted_conversion_resumes_with_the_same_bytes(tmp_path: Path) -> None:
    old = tmp_path / "old.zarr"
    by_hand("/")["plate"](old)
    settings = Settings(shard=(40, 50), chunk=(20, 50))
    ngff_bio.convert(old, tmp_path / "whole.zarr", settings=settings)
    new = tmp_path / "new.zarr"

    def stop(done: int, total: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        ngff_bio.convert(old, new, settings=settings, progress=stop)
    with pytest.raises(NgffBioError, match="incomplete"):
        ngff_bio.open(new)
    report = ngff_bio.convert(old, new, settings=settings)
    assert report.resumed

    def contents(top: Path) -> dict[str, bytes]:
        return {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file()}

    assert contents(new) == contents(tmp_path / "whole.zarr")
    again = ngff_bio.convert(old, new, settings=settings)
    assert any("already converted" in n.what for n in again.notices)


def test_a_store_on_a_web_server_that_lists_nothing(tmp_path: Path) -> None:
    old, new = tmp_path / "old.zarr", tmp_path / "new.zarr"
    by_hand("/")["collection"](old)
    (old / "OME").mkdir()
    (old / "OME" / ".zgroup").write_text('{"zarr_format": 2}')
    (old / "OME" / "METADATA.ome.xml").write_text("<OME/>")
    (old / "OME" / ".zattrs").write_text('{"series": ["0", "1"]}')
    with served(tmp_path) as url:
        report = ngff_bio.convert(f"{url}/old.zarr", new, options={"images": ["1"]})
        assert any("cannot be listed" in n.what for n in report.notices)
    assert list(ngff_bio.open(new)) == ["1"]
    assert (new / "OME" / "METADATA.ome.xml").read_text() == "<OME/>"
    np.testing.assert_array_equal(
        zarr.open_array(new / "1" / "s1", mode="r"), zarr.open_array(old / "1" / "s1", mode="r")
    )


def test_killed_at_any_change_it_resumes_or_replaces_with_the_same_bytes(tmp_path: Path) -> None:
    old = tmp_path / "old.zarr"
    by_hand("/")["image"](old)
    (old / "notes.txt").write_text("a")
    storage = Mortal()
    ngff_bio.convert(old, storage)
    whole, changes = dict(storage.objects), storage.changes
    assert changes > 10
    for overwrite in (False, True):
        for left in range(0, changes, 7 if overwrite else 4):
            storage = Mortal()
            if overwrite:
                ngff_bio.convert(old, storage, settings=Settings(version="0.6"))
            storage.left = left
            with pytest.raises(Killed):
                ngff_bio.convert(old, storage, overwrite=overwrite)
            storage.revive()
            ngff_bio.convert(old, storage, overwrite=overwrite)
            assert storage.objects == whole


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    handler = partial(Silent, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_from_a_bucket_into_a_bucket(tmp_path: Path, bucket_server: Any) -> None:
    old = tmp_path / "old.zarr"
    by_hand("/")["collection"](old)
    there, target = bucket_server.storage(), bucket_server.storage()
    ngff_bio.copy(old, there)
    options = {"source_options": there.options, "format": "ome-zarr"}
    ngff_bio.convert(there.address, target, settings=Settings(version="0.6"), **options)
    ngff_bio.copy(target, tmp_path / "new.zarr")
    assert_same_arrays(old, tmp_path / "new.zarr")
    assert ngff_bio.verify(tmp_path / "new.zarr", old).equal
