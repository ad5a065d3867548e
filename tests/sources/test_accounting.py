"""The account of files of a source: in the report, in the store, and in what verify prints."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import write_files
from makers import make_livecell, make_platelet_em, make_rois, make_wbc
from PIL import Image
from stores import attributes
from typer.testing import CliRunner

import ngff_bio
from ngff_bio.cli.app import app
from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.sources import open_tree
from ngff_bio.sources.files.ranges import LocalFile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "in"
    (place / "extra").mkdir(parents=True)
    plane = np.random.default_rng(0).integers(1, 255, (9, 11)).astype(np.uint8)
    for name in ("a.png", "b.png", "extra/c.png"):
        Image.fromarray(plane).save(place / name)
    (place / "README.md").write_text("x")
    (place / "a.xml").write_text("<settings/>")
    (place / "notes.txt").write_text("gain 3")
    return place


def _lists(found: dict[str, object]) -> dict[str, list[str]]:
    return {name: one["names"] for name, one in found.items() if one["names"]}  # type: ignore[index]


def _run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*map(str, arguments)])
    if isinstance(done.exception, SourceError):
        return 2, str(done.exception)
    return done.exit_code, done.output


def test_hidden_files_are_in_the_lists_and_those_with_data_are_noted(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "a.xml").unlink()
    (folder / ".cache").mkdir()
    for name in (".c.png", "._a.png", ".DS_Store", ".cache/d.png"):
        (folder / name).write_bytes(b"x")
    report = ngff_bio.convert(folder, tmp_path / "a.zarr")
    account = report.account
    assert set(account.belongs) == {".c.png", "._a.png", ".DS_Store", "README.md"}
    assert account.excluded == {".cache": "hidden folder"}
    (note,) = [n for n in report.notices if "hidden files" in n.what]
    assert (note.record, note.count) == (".c.png", 1)
    (folder / ".c.png").rename(folder / "named.png")  # as the note says; it is no image
    with pytest.raises(SourceError, match="not an image file"):
        ngff_bio.convert(folder, tmp_path / "b.zarr")


def test_the_report_has_four_lists_also_of_a_failed_conversion_and_of_a_dry_run(
    folder: Path, tmp_path: Path
) -> None:
    report, store = tmp_path / "report.json", tmp_path / "out.zarr"
    command = ("convert", folder, store, "--report", report, "--exclude", "extra")
    code, _ = _run(*command)
    found = json.loads(report.read_text())
    assert code == 2
    assert found["error"]["what"].startswith("1 file that could hold annotations")
    expected = {
        "read": ["a.png", "b.png"],
        "belongs": ["README.md"],
        "excluded": ["extra/c.png"],
        "unread": ["a.xml", "notes.txt"],
    }
    assert _lists(found["files"]) == expected
    assert found["files"]["read"]["kinds"] == {".png": 2}
    assert found["files"]["unread"]["count"] == 2
    for more in (["--dry-run"], []):
        report.unlink()
        code, output = _run(*command, "--ignore-unread", *more)
        assert code == 0
        assert "files: 2 read, 1 documents, 1 excluded, 2 not read" in output
        assert _lists(json.loads(report.read_text())["files"]) == expected


def test_a_source_that_cannot_be_read_has_read_no_file(folder: Path, tmp_path: Path) -> None:
    (folder / "a.png").write_bytes(b"no image")
    report = tmp_path / "report.json"
    assert _run("convert", folder, tmp_path / "out.zarr", "--report", report)[0] == 2
    lists = _lists(json.loads(report.read_text())["files"])
    assert lists.keys() == {"belongs", "unread"}
    assert sorted(lists["belongs"] + lists["unread"]) == open_tree(folder).names()
    assert _run("convert", tmp_path / "in" / "README.md", "x", "--report", report)[0] != 0


def test_the_store_records_what_is_not_read_and_verify_uses_the_same_options(
    folder: Path, tmp_path: Path
) -> None:
    store = tmp_path / "out.zarr"
    ngff_bio.convert(folder, store, exclude=["extra/*"], ignore_unread=True)
    own = attributes(store)["ngff_bio"]
    recorded = own["attributes"]["files_not_read"]
    assert recorded["excluded"]["names"] == ["extra/c.png"]
    assert recorded["unread"]["kinds"] == {"XML, as of Pascal VOC or CVAT": 1, "other text": 1}
    done = ngff_bio.verify(store, folder)
    assert done.equal
    assert done.not_read == ["extra/c.png", "a.xml", "notes.txt"]
    code, output = _run("verify", store, "--source", folder)
    assert code == 0
    assert "equal, except 3 files that were not read" in output
    assert "verified" not in output
    (folder / "b.xml").write_text("<new/>")  # nothing that was converted has changed
    assert "b.xml" in ngff_bio.verify(store, folder).not_read
    whole = ngff_bio.verify(store, folder, exclude=[])
    assert any("extra" in d.path for d in whole.differences)


def test_a_source_of_which_all_is_read_is_verified_and_records_nothing(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path)
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert "files_not_read" not in json.dumps(attributes(tmp_path / "out.zarr"))
    output = _run("verify", tmp_path / "out.zarr", "--source", truth.root)[1]
    assert "verified" in output
    assert "not read" not in output


@pytest.mark.parametrize(
    ("pattern", "excluded"),
    [
        ("extra", ["extra/c.png"]),
        ("extra/", ["extra/c.png"]),
        ("*.png", ["a.png", "b.png", "extra/c.png"]),
        ("extra/*.png", ["extra/c.png"]),
        ("?.xml", ["a.xml"]),
        ("in/extra", []),
    ],
)
def test_a_pattern_is_of_a_name_anywhere_or_of_a_path(
    folder: Path, pattern: str, excluded: list[str]
) -> None:
    tree = open_tree(folder, exclude=[pattern])
    assert sorted(tree.excluded) == excluded
    assert sorted([*tree.names(), *tree.excluded]) == open_tree(folder).names()


def test_links_that_are_not_followed_are_excluded_with_the_reason(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "d.png").write_bytes((folder / "a.png").read_bytes())
    (folder / "d.png").symlink_to(tmp_path / "elsewhere" / "d.png")
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    done = ngff_bio.convert(folder, tmp_path / "out.zarr", ignore_unread=True)
    assert done.images == 3
    assert done.account.excluded == {
        "d.png": "link that leads out of the source",
        "more": "link to a folder",
    }


@pytest.mark.parametrize(
    ("name", "make", "kind"),
    [
        ("a.json", lambda p: p.symlink_to("x/none"), "link to a file that is missing"),
        ("c.json", lambda p: p.symlink_to(p.name), "file that cannot be opened (Too many levels"),
        ("e.xml", os.mkfifo, "pipe, socket or device"),
    ],
)
def test_what_is_not_a_file_is_not_left_out_in_silence(
    name: str, make: Callable[[Path], None], kind: str, folder: Path, tmp_path: Path
) -> None:
    """Data sets of git-annex and DVC have links to what was not fetched."""
    make(folder / name)
    (folder / "LICENSE").symlink_to("nothing")
    given = ["*.txt", "a.xml"]
    with pytest.raises(SourceError, match="1 file that could hold") as caught:
        ngff_bio.convert(folder, tmp_path / "out.zarr", exclude=given)
    assert kind in str(caught.value.found)
    done = ngff_bio.convert(folder, tmp_path / "out.zarr", exclude=[*given, name])
    assert name in done.account.excluded


def test_a_folder_of_links_to_what_was_not_fetched_says_so(folder: Path, tmp_path: Path) -> None:
    for image in folder.rglob("*.png"):
        image.unlink()
        image.symlink_to("annex/none")
    with pytest.raises(
        SourceNotFoundError, match=r"a.png is a link to a file that is missing"
    ) as e:
        ngff_bio.convert(folder, tmp_path / "out.zarr")
    assert "git annex get" in str(e.value.hint)


@pytest.mark.parametrize("kind", ["yolo", "rois", "platelet"])
def test_annotations_of_an_image_that_is_skipped_are_skipped_by_name(
    kind: str, tmp_path: Path
) -> None:
    """They ended the conversion as files that would not be read."""
    source = tmp_path / "in"
    damaged, beside = "images/a.png", "labels/a.txt"
    if kind == "yolo":
        sizes: dict[str, str | tuple[int, int]] = {"images/a.png": (9, 9), "images/b.png": (9, 9)}
        boxes = dict.fromkeys(("labels/a.txt", "labels/b.txt"), "0 0.5 0.5 0.2 0.2\n")
        names = {"data.yaml": "train: images\nnames: [cell]\n"}
        write_files(source, {**sizes, **boxes, **names})
    elif kind == "rois":
        make_rois(source)
        damaged, beside = "cells.tif", "cells_RoiSet.zip"
    else:
        source = make_platelet_em(tmp_path, size="tiny").root
        damaged, beside = "images/24-images.tif", "labels-semantic/24-semantic.json"
    data = (source / damaged).read_bytes()
    (source / damaged).write_bytes(data[: len(data) // 2])
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    named = [n.file or n.record for n in done.notices if n.kind == "skipped"]
    assert {damaged, beside} <= set(named)
    assert ngff_bio.verify(tmp_path / "out.zarr", source).equal


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    """It was an internal error where a source looks at annotations before it reads them."""
    (tmp_path / "a.csv").mkdir()  # which the superuser cannot read either
    file = LocalFile(str(tmp_path), "a.csv")
    for read in (file.read, file.open, lambda: file.read_range(0, 9)):
        with pytest.raises(SourceError, match="the file cannot be read") as caught:
            read()
        assert caught.value.file == "a.csv"


def test_a_folder_that_cannot_be_listed_is_not_left_out_in_silence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def refuse(path: str) -> Any:
        if os.fspath(path).endswith("extra"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceError, match="could hold") as caught:
        ngff_bio.convert(folder, tmp_path / "out.zarr", exclude=["*.txt", "*.xml"])
    assert "folder that cannot be listed (Permission denied): 1 (extra)" in str(caught.value.found)


def test_members_of_an_archive_that_is_read_in_place_are_accounted_for(tmp_path: Path) -> None:
    truth = make_livecell(tmp_path, zipped=True)
    (archive,) = truth.root.rglob("images.zip")
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("images/outlines.roi", b"Iout")
    with pytest.raises(SourceError, match="would not be read") as caught:
        ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert "images.zip/images/outlines.roi" in str(caught.value.found)
    done = ngff_bio.convert(truth.root, tmp_path / "out.zarr", exclude=["*.roi"])
    assert [n.rpartition("/")[2] for n in done.account.excluded] == ["outlines.roi"]


def test_an_image_that_turns_out_to_be_unreadable_is_unread(folder: Path, tmp_path: Path) -> None:
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:-40] + b"\0" * 40)
    done = ngff_bio.convert(
        folder, tmp_path / "out.zarr", on_error="skip", exclude=["*.xml", "*.txt"]
    )
    assert done.images == 2
    assert list(done.account.unread) == ["b.png"]


def test_stores_in_the_folder_of_the_source_are_listed_but_the_own_one_is_verified(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5)).save(folder / "a.png")
    ngff_bio.convert(folder, folder / "own.zarr")
    done = ngff_bio.verify(folder / "own.zarr", folder)
    assert (done.equal, done.not_read) == (True, [])
    ngff_bio.convert(folder, tmp_path / "other.zarr")
    assert ngff_bio.verify(tmp_path / "other.zarr", folder).not_read == ["own.zarr"]
