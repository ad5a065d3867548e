"""A published store: equal, described, and shown by a page that nothing can break out of."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlcroissant
import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
import zarr
from bucket_server import BUCKET, PUBLIC, BucketServer
from fault_proxy import faulty
from makers import make_platelet_em
from rocrate.rocrate import ROCrate
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent / "checks"))
sys.path.insert(0, str(Path(__file__).parent / "engine"))

from full_store import write_full_store
from scenes import plate

import ngff_bio
from ngff_bio import publish
from ngff_bio.cli.app import app
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.engine.write.manifest import read_manifest
from ngff_bio.engine.write.update import OldPagesWarning
from ngff_bio.errors import ArgumentError, StoreError
from ngff_bio.publishing.description import licence_url
from ngff_bio.publishing.hosting import Check, check_public, public_url
from ngff_bio.publishing.policies import policies
from ngff_bio.storage import FolderStorage
from ngff_bio.viewing.landing import Description, landing_page
from ngff_bio.viewing.neuroglancer import segments_key
from ngff_bio.viewing.serve import StoreServer
from ngff_bio.viewing.summary import PlateMap, summarize
from ngff_bio.viewing.view import has_published_segments

URL = "https://example.org/data/p.zarr"
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("publishing") / "p.zarr"
    write_dataset(plate(fields=2, frames=1), FolderStorage(place), Settings(chunk=(32, 48)))
    (place.parent / "dataset.yaml").write_text(
        "title: from the file\nlicense: CC BY-NC 4.0\ncreators: [Ada L., Lise M.]\ntaxon: 9606\n"
        "organism: Homo sapiens\nfbbi: FBbi_00000247\nkeywords: [cells]\ncitation: A paper, 2026\n"
    )
    return place


@pytest.fixture(scope="module")
def published(store: Path) -> Path:
    about = store.parent / "dataset.yaml"
    done = publish(
        store,
        store.parent / "public.zarr",
        metadata=about,
        url=f"{URL}/",
        title="from an option",
        dry_run=True,
    )
    assert not (store.parent / "public.zarr").exists()
    assert done.notes == []
    assert done.url == URL
    publish(store, store.parent / "public.zarr", metadata=about, title="from an option")
    return store.parent / "public.zarr"


def test_plates_below_a_root_are_named_as_what_viewers_open(store: Path) -> None:
    summary = summarize(ngff_bio.open(store))
    assert summary.opened_instead(URL) == ""  # the root is the plate
    several: Any = SimpleNamespace(plates=dict.fromkeys(["A", "B"]))
    assert replace(summary, dataset=several).opened_instead(URL) == f"{URL}/A or {URL}/B"
    many: Any = SimpleNamespace(plates=dict.fromkeys("ABCDEFGHIJKLM"))
    assert replace(summary, dataset=many).opened_instead(None).endswith("I or J or 3 more")


def test_it_is_the_store_with_files_that_its_manifest_names(store: Path, published: Path) -> None:
    added = {"index.html", "README.md", "croissant.json", "ro-crate-metadata.json"}
    added.add("annotations.parquet")
    added |= {
        f"{i.path}/labels/{n}/segments/info"
        for i in ngff_bio.open(store).values()
        for n in i.tables
    }
    keys = {k for k, _ in FolderStorage(published).list()}
    assert keys == {k for k, _ in FolderStorage(store).list()} | added
    for place, named in ((store, False), (published, True)):
        images = ngff_bio.open(place).values()
        assert {has_published_segments(image) for image in images} == {named}
    label = next(i for i in ngff_bio.open(store).values() if i.tables).below("labels/cell")
    ids = json.loads((published / segments_key(label)).read_text())["inline"]["ids"]
    values = np.unique(zarr.open_array(store, path=f"{label}/0", mode="r")[...])
    assert {str(v) for v in values if v} <= set(ids)
    assert ngff_bio.verify(published).equal
    for text in added - {"annotations.parquet"}:
        assert str(store.parent) not in (published / text).read_text()
    (published / "index.html").write_text("changed")
    assert [d.path for d in ngff_bio.verify(published).differences] == ["index.html"]
    assert [f for f in ngff_bio.validate(published) if f.level == "error"] == []
    again = publish(store, published, overwrite=True, title="another")
    assert again.copied.sent < len(keys)
    assert ngff_bio.verify(published).equal


def test_its_croissant_gives_the_annotations(store: Path, published: Path) -> None:
    found = mlcroissant.Dataset(jsonld=published / "croissant.json")
    assert not found.metadata.issues.errors
    expected = ngff_bio.open(store).annotations()
    rows = list(found.records("annotations"))
    assert [r["annotations/label"] for r in rows] == expected["label"].tolist()
    assert [r["annotations/category"].decode() for r in rows] == expected["category"].tolist()
    images = [r["images/path"] for r in found.records("images")]
    assert images == list(ngff_bio.open(store))


def test_its_crate_has_the_fields_of_the_ngff_challenge(store: Path, tmp_path: Path) -> None:
    about = store.parent / "dataset.yaml"
    publish(store, tmp_path / "p", metadata=about)
    crate = ROCrate(tmp_path / "p")
    assert crate.name == "from the file"
    assert crate.license.id == "https://creativecommons.org/licenses/by-nc/4.0/"
    acquisition = crate.root_dataset["resultOf"]
    biosample = acquisition["specimen"]["biosample"]
    raw = json.loads((tmp_path / "p" / "ro-crate-metadata.json").read_text())["@graph"]
    (sample,) = (e for e in raw if e["@id"] == biosample.id)
    (taken,) = (e for e in raw if e["@type"] == "image_acquisition")
    assert taken["fbbi_id"] == {"@id": "obo:FBbi_00000247"}
    assert sample["organism_classification"] == {"@id": "NCBI:txid9606"}
    assert [a["name"] for a in crate.root_dataset["author"]] == ["Ada L.", "Lise M."]


TAGS = (
    "html head meta title style body h1 h2 p dl dt dd a pre code table tr th td div figure img "
    "figcaption br ul li"
)


class Tags(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(n, v or "") for n, v in attrs]

    def handle_data(self, data):
        self.text += data


def test_the_page_has_no_script_and_nothing_from_elsewhere_whatever_the_names(store: Path) -> None:
    summary = summarize(ngff_bio.open(store))
    assert set(summary.thumbnails) == set(summary.listed)
    assert sum(summary.plates[0].wells.values()) == len(summary.listed)
    hostile = PlateMap("P", HOSTILE, (HOSTILE,), ("1",), {(HOSTILE, "1"): 2})
    summary = replace(summary, classes={HOSTILE: 3}, plates=(hostile,))
    about = Description(*([HOSTILE] * 4), (HOSTILE,), (HOSTILE,), *([HOSTILE] * 6))
    page = Tags()
    text = landing_page(summary, about, URL, [("README.md", HOSTILE)])
    page.feed(text)
    assert len(text) < 200_000
    assert page.tags == set(TAGS.split())
    assert page.text.count(HOSTILE) > 10
    assert not [n for n, _ in page.attributes if n.startswith("on")]
    assert all(v.startswith("data:image/webp;base64,") for n, v in page.attributes if n == "src")
    links = [v for n, v in page.attributes if n == "href"]
    assert all(v.startswith("https://") or v == "README.md" for v in links)
    assert any("vizarr" in v and "example.org%2Fdata" in v for v in links)
    assert any("neuroglancer" in v for v in links)
    local = Tags()
    local.feed(landing_page(summary, replace(about, doi=""), None))
    assert not [v for n, v in local.attributes if n == "href"]


def test_the_page_states_what_of_a_damaged_store_it_does_not_show(
    store: Path, tmp_path: Path
) -> None:
    shutil.copytree(store, tmp_path / "p.zarr")
    first, second = (tmp_path / "p.zarr" / path for path in ngff_bio.open(store))
    next(first.glob("tables/*/table.parquet")).write_bytes(b"PAR1")
    for chunk in second.glob("0/c/**/0"):
        if chunk.is_file():
            chunk.write_bytes(b"short")
    server = StoreServer(tmp_path / "p.zarr")
    page = server.page("").decode()
    server.server_close()
    assert "2 parts of the store could not be read" in page
    assert "<li>table A/1/0/tables/cell: a table cannot be read</li>" in page
    assert "<li>image A/1/1: " in page
    rows = len(ngff_bio.open(store)["A/1/1"].annotations())
    assert f"<td class=n>{rows}</td>" in page


def test_tables_of_measurements_are_not_published_as_annotations(
    store: Path, tmp_path: Path
) -> None:
    shutil.copytree(store, tmp_path / "p.zarr")
    ngff_bio.measure(tmp_path / "p.zarr", write="measured", workers=1)
    publish(tmp_path / "p.zarr", tmp_path / "public.zarr")
    found = pq.read_table(tmp_path / "public.zarr" / "annotations.parquet")
    assert found.num_rows == len(ngff_bio.open(store).annotations())


def test_a_single_image_without_annotations_is_published(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    tifffile.imwrite(tmp_path / "a" / "one.tif", np.zeros((40, 50), np.uint8))
    ngff_bio.convert(tmp_path / "a", tmp_path / "one.zarr", format="images")
    title = "a\x1b[31m \u202eb\r\n- x `c`"
    done = publish(tmp_path / "one.zarr", tmp_path / "public.zarr", url=URL, title=title)
    for name in ("README.md", "index.html"):
        assert all(map(str.isprintable, (tmp_path / "public.zarr" / name).read_text().split("\n")))
    readme = (tmp_path / "public.zarr" / "README.md").read_text()
    assert readme.startswith("# a\\\\x1b\\[31m \\\\u202eb - x \\`c\\`\n")
    assert "annotations.parquet" not in done.files
    assert done.checks == []
    assert ngff_bio.verify(tmp_path / "public.zarr").equal
    page = (tmp_path / "public.zarr" / "index.html").read_text()
    assert page.count("neuroglancer-demo") >= 2
    assert not mlcroissant.Dataset(
        jsonld=tmp_path / "public.zarr" / "croissant.json"
    ).metadata.issues.errors


def test_tables_of_volumes_are_published_though_they_have_other_columns(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["50"])
    ngff_bio.convert(truth.root, tmp_path / "em.zarr")
    publish(tmp_path / "em.zarr", tmp_path / "public.zarr")
    expected = ngff_bio.open(tmp_path / "em.zarr").annotations()
    found = pq.read_table(tmp_path / "public.zarr" / "annotations.parquet")
    assert found["x_start"].to_pylist() == expected["x_start"].tolist()
    readme = (tmp_path / "public.zarr" / "README.md").read_text()
    assert "Viewers open" not in readme
    assert f"1 images, {len(expected)} annotations" in readme


def test_tables_with_and_without_a_required_column_are_published(tmp_path: Path) -> None:
    write_full_store(tmp_path / "full.zarr")  # frames of a movie, and a volume without t
    publish(tmp_path / "full.zarr", tmp_path / "public.zarr")
    expected = ngff_bio.open(tmp_path / "full.zarr").annotations()
    found = pq.read_table(tmp_path / "public.zarr" / "annotations.parquet")
    assert 0 < found["t"].null_count < found.num_rows == len(expected)
    rows = ngff_bio.open(tmp_path / "full.zarr").to_dask_dataframe().compute(scheduler="sync")
    assert rows["label"].tolist() == expected["label"].tolist()


def test_a_collection_without_images_is_not_published(tmp_path: Path) -> None:
    root = zarr.create_group(
        tmp_path / "a.zarr",
        attributes={"ome": {"version": "0.5", "bioformats2raw.layout": 3}},
    )
    root.create_group("OME", attributes={"ome": {"version": "0.5", "series": []}})
    with pytest.raises(StoreError, match="no images"):
        publish(tmp_path / "a.zarr", tmp_path / "public.zarr")


def test_a_public_bucket_passes_the_check_and_a_private_one_says_what_to_do(
    store: Path, bucket_server: BucketServer
) -> None:
    done = publish(store, f"s3://{PUBLIC}/p.zarr", storage_options=bucket_server.options)
    assert done.url == f"{bucket_server.endpoint}/{PUBLIC}/p.zarr"
    assert done.public
    assert len(done.checks) == 5
    assert list(ngff_bio.open(done.url)) == list(ngff_bio.open(store))
    options = [f"--storage-option={k}={v}" for k, v in bucket_server.options.items()]
    run = CliRunner().invoke(app, ["publish", str(store), f"s3://{BUCKET}/published", *options])
    assert run.exit_code == 1
    assert "no everyone may read (status 403)" in run.stdout
    assert "aws s3api put-bucket-policy" in run.stdout
    assert "no licence is given" in run.stdout


def test_a_change_says_that_pages_are_old_and_the_store_is_published_to_itself(
    store: Path, tmp_path: Path
) -> None:
    public = tmp_path / "public.zarr"
    shutil.copytree(store, public)
    url = {"url": "https://example.org/public.zarr"}
    planned = publish(public, public, dry_run=True, **url)
    assert not (public / "index.html").exists()
    done = publish(public, public, **url)  # also what was there before is kept
    assert done.copied.sent == planned.copied.sent == len(done.files)
    publish(store, tmp_path / "copy.zarr", **url)
    copied = FolderStorage(tmp_path / "copy.zarr")
    assert set(read_manifest(FolderStorage(public))) == set(read_manifest(copied))
    program = [sys.executable, "-c", "from ngff_bio.cli import main; main()"]
    described = subprocess.run(
        [*program, "describe", str(public), "--title", "Another title"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert described.stderr.startswith("warning: the page, README, RO-Crate")
    assert described.stderr.count("\n") == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        publish(public, public, **url)
        ngff_bio.describe(store, licence="CC BY 4.0")  # has no pages
        ngff_bio.describe(store, licence="")
    assert "Another title" in (public / "README.md").read_text()
    assert ngff_bio.verify(public).equal
    path = ngff_bio.open(public).first_path
    with pytest.warns(OldPagesWarning, match=r"`ngff-bio publish` again, from .*public\.zarr"):
        ngff_bio.open(public)[path].delete("labels/cell")


def test_a_server_that_does_not_answer_is_not_taken_for_a_private_one(
    store: Path, bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ngff_bio.publishing.hosting._PAUSES", (0, 0))
    options = [f"--storage-option={k}={v}" for k, v in bucket_server.options.items()]
    place = ["publish", str(store), f"s3://{PUBLIC}/unanswered.zarr", *options]
    run = CliRunner().invoke(app, [*place, "--url", "http://127.0.0.1:9/x"])
    assert run.exit_code == 1
    assert "no the server answers" in run.stdout
    assert "the same command checks again" in " ".join(run.stdout.split())
    assert "aws s3api" not in run.stdout
    starting = iter(["503", "reset", None, None, None, None, None])
    with faulty(bucket_server.endpoint, lambda method, path: (next(starting), 0)) as endpoint:
        checks = check_public(f"{endpoint}/{PUBLIC}/unanswered.zarr", "zarr.json")
    assert checks[0] == Check("everyone may read", True, "status 200")


def test_addresses_and_policies_of_each_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    keys = {"access_key_id": "a", "secret_access_key": "b", "region": "eu-west-1"}
    azure = {"account_name": "me", "account_key": "a2V5"}
    for address, options, url in (
        ("s3://b/x", keys, "https://b.s3.eu-west-1.amazonaws.com/x"),
        ("s3://b.c/x", keys, "https://s3.eu-west-1.amazonaws.com/b.c/x"),
        ("s3://b/x y", {**keys, "endpoint": "https://e.org/"}, "https://e.org/b/x%20y"),
        ("gs://b/x", {"anon": True}, "https://storage.googleapis.com/b/x"),
        ("az://b/x", azure, "https://me.blob.core.windows.net/b/x"),
        ("az://b/x", {"account_key": "a2V5"}, None),
        ("abfss://b@me.dfs.core.windows.net/x", azure, "https://me.blob.core.windows.net/b/x"),
        ("/a/folder", {}, None),
    ):
        assert public_url(address, options) == url
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "mine")
    found = public_url("az://b/x", {"account_key": "a2V5"})
    assert found == "https://mine.blob.core.windows.net/b/x"
    for command in policies("s3://b/it's; $(x)").values():
        words = shlex.split(command.partition("\n(")[0])
        assert any("it's; $(x)" in word for word in words)
    policy = policies("s3://b/x")["AWS"].partition("--policy '")[2].partition("'")[0]
    assert json.loads(policy)["Statement"][0]["Resource"] == "arn:aws:s3:::b/x/*"
    assert "allUsers" in policies("gs://b/x")["GCS"]
    azure_commands = policies("az://b/x")["Azure"]
    assert "az storage cors" in azure_commands
    assert "--allow-blob-public-access true" in azure_commands  # false in accounts since 2023


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nope: 1", "unknown member"),
        ("fbbi: x", "FBbi_00000246"),
        ("- a", "not a mapping"),
        ("title: {a: 1}", "title is not a text"),
    ],
)
def test_a_wrong_description_is_refused(
    store: Path, tmp_path: Path, text: str, expected: str
) -> None:
    (tmp_path / "d.yaml").write_text(text)
    with pytest.raises(ArgumentError, match=expected):
        publish(store, tmp_path / "p", metadata=tmp_path / "d.yaml")


@pytest.mark.parametrize(
    "url", ["example.org/x", "ftp://h/x", "https://me:pw@h/x", "https://h/x?sig=hush"]
)
def test_a_url_that_is_not_public_is_refused_without_its_secrets(
    store: Path, tmp_path: Path, url: str
) -> None:
    with pytest.raises(ArgumentError, match="not a public one") as raised:
        publish(store, tmp_path / "p", url=url)
    assert "pw" not in str(raised.value)
    assert "hush" not in str(raised.value)


def test_licences_have_the_addresses_of_creative_commons() -> None:
    assert licence_url("CC BY 4.0") == "https://creativecommons.org/licenses/by/4.0/"
    assert licence_url("CC-BY-NC-SA-3.0") == "https://creativecommons.org/licenses/by-nc-sa/3.0/"
    assert licence_url("CC0 1.0") == "https://creativecommons.org/publicdomain/zero/1.0/"
    assert licence_url("ask us") is None
