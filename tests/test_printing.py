"""No secret of a URL and nothing that a terminal obeys is printed, reported or stored."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
import traceback
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import makers
import numpy as np
import pytest
import zarr

import ngff_bio
from ngff_bio.checks.differences import Difference
from ngff_bio.errors import NgffBioError, SourceError, StorageError
from ngff_bio.printing import clean_json, printable, without_secrets
from ngff_bio.sources.files.remote import list_url
from ngff_bio.storage import storage_at

SECRET = "hunter2"

URLS = [
    f"http://user:{SECRET}@host/a.zip",
    f"https://{SECRET}@host:8000/a",
    f"s3://key:{SECRET}@bucket/a",
    f"http://user:p@{SECRET}@host/a",
    f"https://host/a?X-Amz-Credential={SECRET}&X-Amz-Signature={SECRET}&x-amz-security-token={SECRET}",
    f"https://host/a?sv=2022&sig={SECRET}",
    f"https://host/a?token={SECRET}#x",
    f"https://host/a?AWSAccessKeyId=x{SECRET}&Signature={SECRET}",
    f"https://host/a?X-Goog-Signature={SECRET};access_token={SECRET}",
    f"http://user:a/{SECRET}?b@host/a",
    f"https://host/a?pwd={SECRET}&code={SECRET}",
    f"https://host/a?userPass={SECRET}#access_token={SECRET}",
    f"404, message='Not Found', url='http://user:{SECRET}@host/a?api_key={SECRET}'",
]


@pytest.mark.parametrize("url", URLS)
def test_no_secret_of_a_url_is_left(url: str) -> None:
    assert SECRET not in without_secrets(url)
    assert "host" in without_secrets(url) or "bucket" in without_secrets(url)
    error = SourceError(url, file=url, record=url, expected=url, found=url, hint=url)
    assert SECRET not in str(error) + repr(error) + str(error.parts()) + str(error.args)
    assert SECRET not in json.dumps(clean_json({url: [url, {"a": (url,)}]}))


@pytest.mark.parametrize(
    "text",
    [
        "https://host/a?id=3&key",
        "http://host:8080/a@2/b",
        "a@b.org and c=d",
        "/data/x=1&y",
        "s3://bucket/a@2/b",
        "Zelle µm 細胞",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert without_secrets(text) == text
    assert printable(text) == text


def test_a_terminal_is_given_nothing_to_obey() -> None:
    hostile = "a\x1b[2J\x1b]0;title\x07\nerror: \u202egnp.exe\u2066\x9b\ud800\x00\r\u2028b"
    shown = printable(hostile)
    assert shown.isprintable()
    assert "\\x1b" in shown
    assert "\\u202e" in shown
    lines = str(SourceError("wrong", file=hostile, found=hostile)).splitlines()
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


class _Server(http.server.SimpleHTTPRequestHandler):
    """Gives files to who knows the password."""

    def do_GET(self) -> None:
        if "Authorization" in self.headers or SECRET in self.path:
            super().do_GET()
        else:
            self.send_error(401)

    do_HEAD = do_GET  # type: ignore[assignment]  # the same, with a body that is not read

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    makers.make_coco_folder(tmp_path / "made")
    (tmp_path / "web").mkdir()
    with zipfile.ZipFile(tmp_path / "web" / "data.zip", "w") as archive:
        for file in sorted(p for p in (tmp_path / "made").rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(tmp_path / "made").as_posix())
    (tmp_path / "web" / "broken.zip").write_bytes(b"PK\3\4 this is not an archive")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Server, directory=str(tmp_path / "web"))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def run(*arguments: object) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", "from ngff_bio.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        check=False,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "form", ["http://user:{s}@127.0.0.1:{p}/{n}", "http://127.0.0.1:{p}/{n}?X-Amz-Signature={s}"]
)
def test_the_secrets_of_a_source_appear_nowhere(form: str, port: int, tmp_path: Path) -> None:
    url = form.format(s=SECRET, p=port, n="data.zip")
    store, report = tmp_path / "a.zarr", tmp_path / "report.json"
    code, shown = run("convert", url, store, "--report", report)
    assert code == 0, shown
    code, verified = run("verify", store, "--source", url)
    assert code == 0, verified
    shown += verified + run("verify", store, "--source", url, "--json")[1] + run("info", store)[1]
    for name in ("broken.zip", "absent.zip"):
        there = form.format(s=SECRET, p=port, n=name)
        code, wrong = run("convert", there, tmp_path / "b.zarr", "--debug")
        assert code == 2, wrong
        assert "Traceback" in wrong
        shown += wrong
        with pytest.raises(NgffBioError) as caught:
            ngff_bio.convert(there, tmp_path / "b.zarr")
        shown += "".join(traceback.format_exception(caught.value))
    shown += run("view", form.format(s=SECRET, p=port, n="a.zarr"), "--link")[1]
    assert "no link can be made of a URL with a password or a query" in shown
    shown += repr(list_url(url))
    assert SECRET not in shown
    assert SECRET not in report.read_text()
    for file in (p for p in store.rglob("*") if p.is_file()):
        assert SECRET.encode() not in file.read_bytes(), file


def test_a_store_is_read_with_the_password_of_its_url(port: int, tmp_path: Path) -> None:
    (tmp_path / "web" / "zarr.json").write_bytes(b"{}")
    assert storage_at(f"http://us%65r:{SECRET}@127.0.0.1:{port}").get("zarr.json") == b"{}"
    with pytest.raises(StorageError, match="USER:PASSWORD@"):
        storage_at(f"http://127.0.0.1:{port}").get("0/c/0")


def test_names_of_files_do_not_reach_the_terminal_as_they_are(tmp_path: Path) -> None:
    made = tmp_path / "made"
    makers.make_coco_folder(made)
    (made / "a\x1b[31m\u202e\nerror: all is lost.png").write_bytes(b"no image")
    for on_error in ("stop", "skip"):
        store = tmp_path / f"{on_error}.zarr"
        _, shown = run("convert", made, store, "--on-error", on_error)
        _, listed = run("info", store)
        assert not {"\x1b", "\u202e"} & set(shown + listed)
        assert not any(line.startswith("error: all is lost") for line in shown.splitlines())


def test_what_python_prints_of_a_store_is_clean(tmp_path: Path) -> None:
    hostile = "a\x1b[31m\u202e\r\nerror: b"
    level = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}
    axes = [{"name": name, "type": "space"} for name in "yx"]
    image = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}
    well = {"path": "A/1", "rowIndex": 0, "columnIndex": 0}
    plate = {"name": hostile, "rows": [{"name": "A"}], "columns": [{"name": "1"}], "wells": [well]}
    root = zarr.create_group(tmp_path / "a.zarr", attributes={"ome": {"plate": plate}})
    well_attributes = {"version": "0.5", "well": {"images": [{"path": hostile}]}}
    field = root.create_group("A/1", attributes={"ome": well_attributes})
    field = field.create_group(hostile, attributes={"ome": image})
    field["0"] = np.zeros((4, 5), np.uint8)
    root.attrs["ome"] = {"version": "0.5", "plate": plate}
    store = ngff_bio.open(tmp_path / "a.zarr")
    found = store[f"A/1/{hostile}"]
    findings = ngff_bio.validate(tmp_path / "a.zarr")
    assert any(hostile in finding.group for finding in findings)
    difference = Difference("image", hostile, hostile)
    for shown in (store, found, found.pixels.array(0), store.plate, store.plate["A1"], difference):
        assert all(map(str.isprintable, repr(shown).split("\n")))
        assert all(map(str.isprintable, str(shown).split("\n")))
    for finding in findings:
        assert len(str(finding).split("\n")) == 3
        assert all(map(str.isprintable, str(finding).split("\n")))
