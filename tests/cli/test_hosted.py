"""Every command reads a store where it is: on a web server, in a bucket, in a zip in a bucket."""

from __future__ import annotations

import json
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bucket_server import KEY, PUBLIC, SECRET, BucketServer
from RangeHTTPServer import RangeRequestHandler
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
sys.path.insert(0, str(Path(__file__).parents[1] / "storage"))

from scenes import plate
from test_bucket import serve

import ngff_bio
from ngff_bio import copy
from ngff_bio.cli.app import app
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.storage import FolderStorage

IMAGE = "A/1/0"


class Quiet(RangeRequestHandler):
    def list_directory(self, path):
        self.send_error(403)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("hosted") / "p.zarr"
    write_dataset(plate(fields=1, frames=1), FolderStorage(place), Settings(chunk=(32, 48)))
    return place


@pytest.fixture(scope="module")
def places(store: Path, bucket_server: BucketServer):
    """The URL of the store in each place, with the options that open it."""
    copy(store, bucket_server.storage("hosted").address, storage_options=bucket_server.options)
    copy(store, store.parent / "p.ozx")
    outer = bucket_server.storage("zips")
    outer.put("p.ozx", (store.parent / "p.ozx").read_bytes())
    bucket = ["--endpoint", bucket_server.endpoint]
    for name, value in (("access_key_id", KEY), ("secret_access_key", SECRET)):
        bucket += ["--storage-option", f"{name}={value}"]
    with serve(partial(Quiet, directory=str(store.parent))) as url:
        yield {
            "web": [f"{url}/p.zarr"],
            "bucket": ["s3://bench/hosted", *bucket],
            "zip in a bucket": ["s3://bench/zips/p.ozx", *bucket],
        }


def run(command: str, *arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [*command.split(), *map(str, arguments)])
    assert bool(done.exit_code) == bool(code), f"{done.exception} {done.output}"
    return f"{done.stdout}{done.exception or ''}"


@pytest.fixture(scope="module")
def local(store: Path) -> tuple[dict, bytes, bytes, bytes]:
    """What commands give for the folder."""
    preview, coco = store.parent / "b.png", store.parent / "b.json"
    run("preview", store, "-o", preview)
    run("export", store, coco, "--to", "coco", "-q")
    run("measure", store, "-o", store.parent / "b.csv", "--properties", "solidity")
    info = json.loads(run("info", store, "--json"))
    return info, preview.read_bytes(), coco.read_bytes(), (store.parent / "b.csv").read_bytes()


@pytest.mark.parametrize("kind", ["web", "bucket", "zip in a bucket"])
def test_it_is_read_where_it_is(kind: str, places, local, tmp_path: Path) -> None:
    place = places[kind]
    found = json.loads(run("info", *place, "--json"))
    local, preview, coco, measured = local
    assert found["images"] == local["images"]
    manifest = 2 if kind == "web" else 0  # sizes come from the manifest, which does not name itself
    assert found["objects"] == local["objects"] - manifest
    assert "0 errors" in run("validate", *place)
    text = run("verify", *place)
    assert "verified" in text
    assert ("cannot be listed" in text) == (kind == "web")
    run("preview", *place, "-o", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == preview
    run("export", *place, "--to", "coco", "-q", tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == coco
    run("measure", *place, "-o", tmp_path / "a.csv", "--properties", "solidity")
    assert (tmp_path / "a.csv").read_bytes() == measured


def test_a_large_file_is_exported_in_parts(
    places, bucket_server: BucketServer, store: Path, local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ngff_bio.export.output._WHOLE", 10)
    options = [o.replace("--storage-option", "--out-option") for o in places["bucket"][1:]]
    run("export", store, "--to", "coco", "s3://bench/parts/a.json", *options, "-q")
    assert bucket_server.storage("parts").get("a.json") == local[2]


def test_an_export_is_written_to_a_bucket(places, bucket_server: BucketServer, store: Path) -> None:
    options = [o.replace("--storage-option", "--out-option") for o in places["bucket"][1:]]
    out = ["s3://bench/exported/labels", *options]
    run("export", store, "--to", "labelme", *out, "-q")
    names = {k for k, _ in bucket_server.storage("exported").list()}
    assert names
    assert {n.partition("/")[0] for n in names} == {"labels"}
    assert "the destination exists" in run("export", store, "--to", "coco", *out, code=2)
    run("export", store, "--to", "yolo", *out, "--overwrite", "-q")
    after = {k for k, _ in bucket_server.storage("exported").list()}
    assert not any(n.endswith(".json") for n in after)
    inside = ["s3://bench/hosted/A", *options]
    here = [places["bucket"][0], *places["bucket"][1:], *inside, "--to", "yolo", "--overwrite"]
    assert "would replace the exported store" in run("export", *here, code=2)


def test_labels_are_written_to_a_bucket_and_removed(places, tmp_path: Path) -> None:
    store, *options = places["bucket"]
    image = json.loads(run("info", store, *options, "--json"))["images"][0]
    shape = [n for a, n in zip(image["axes"], image["levels"][0]["shape"], strict=True) if a != "c"]
    np.save(tmp_path / "v.npy", np.ones(shape, np.uint8))
    run("labels add", store, image["path"], "mine", tmp_path / "v.npy", *options)
    names = [
        x["name"] for x in json.loads(run("info", store, *options, "--json"))["images"][0]["labels"]
    ]
    assert "mine" in names
    run("remove", store, image["path"], "labels/mine", *options)
    assert "verified" in run("verify", store, *options)


@pytest.mark.parametrize("kind", ["web", "zip in a bucket"])
def test_what_can_only_be_read_says_so_at_once(kind: str, places) -> None:
    assert "only be read" in run("remove", *places[kind], IMAGE, "labels/cell", code=2)


def test_a_file_of_this_machine_is_not_a_url(store: Path) -> None:
    assert "on this machine" in run("preview", store, "-o", f"s3://{PUBLIC}/a.png", code=2)


def test_rows_of_measurements_are_written_to_a_file_and_to_the_store(
    store: Path, tmp_path: Path
) -> None:
    copy(store, tmp_path / "p.zarr")
    text = run(
        "measure",
        tmp_path / "p.zarr",
        "--write",
        "m",
        "--image",
        "A/*",
        "-o",
        tmp_path / "a.parquet",
    )
    image = ngff_bio.open(tmp_path / "p.zarr")[IMAGE]
    rows, written = image.annotations("cell-m"), pd.read_parquet(tmp_path / "a.parquet")
    assert written["label"].tolist() == rows["label"].tolist()
    assert f"cell: {len(rows)} rows" in text
    assert "tables/cell-m" in text
    for wrong in (["--image", "B/*"], ["-o", "a.txt"], ["--labels", "none"], ["--units", "inch"]):
        run("measure", tmp_path / "p.zarr", *wrong, code=2)


def test_a_web_server_without_ranges_is_named(store: Path, tmp_path: Path) -> None:
    class Whole(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with serve(partial(Whole, directory=str(store.parent))) as url:
        assert "sends no parts of files" in run("preview", f"{url}/p.zarr", "-o", "a.png", code=2)
        run("copy", f"{url}/p.zarr", tmp_path / "p.zarr", "-q")
