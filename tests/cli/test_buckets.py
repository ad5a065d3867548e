"""Options of buckets on the command line: the same for every command, and no secret in sight."""

from __future__ import annotations

from pathlib import Path

import pytest
from bucket_server import KEY, PUBLIC, SECRET, BucketServer
from typer.testing import CliRunner

from ngff_bio.cli.app import app

RUN = CliRunner()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


def said(*arguments: object) -> str:
    """What a command that finds no store says."""
    done = RUN.invoke(app, [str(a) for a in arguments])
    assert done.exception is not None
    return f"{done.exception} {done.stderr}"


def test_secrets_come_from_variables_and_files(
    home: Path, bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    (home / "secret").write_text(f"{SECRET}\n")
    command = ["info", "s3://bench/nothing", "--endpoint", bucket_server.endpoint]
    keys = ["--storage-option", "access_key_id=env:MY_KEY", "--storage-option"]
    text = said(*command, *keys, f"secret_access_key=@{home / 'secret'}")
    assert "no Zarr store" in text
    assert "warning" not in text
    text = said(*command, *keys, f"secret_access_key={SECRET}")
    assert "no Zarr store" in text
    assert "warning: --storage-option secret_access_key=" in text
    assert SECRET not in text
    assert "is not set" in said(*command, "--storage-option", "secret_access_key=env:NOPE")
    assert "cannot be read" in said(*command, "--storage-option", "secret_access_key=@nope")


def test_words_hold_for_both_places_unless_one_has_its_own(
    home: Path, bucket_server: BucketServer
) -> None:
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(
        f"[lab]\naws_access_key_id={KEY}\naws_secret_access_key={SECRET}\n"
    )
    command = ["copy", f"s3://{PUBLIC}/nothing", "s3://bench/x"]
    words = ["--endpoint", bucket_server.endpoint, "--profile", "lab"]
    assert "no Zarr store" in said(*command, *words)
    assert "no Zarr store" in said(*command, *words, "--source-option", "anon=true")
    text = said(
        "copy", "s3://bench/nothing", "s3://bench/x", *words, "--source-option", "anon=true"
    )
    assert "none (anonymous)" in text
    assert "denied" in text
