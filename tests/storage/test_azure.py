"""Azure Blob Storage, in its emulator: `npm install azurite`, found by the PATH or `AZURITE`.

Google Cloud Storage is not tested: emulators (fake-gcs-server, gcp-storage-emulator) do not take the
uploads of its XML API, by which obstore writes. Reading, listing and copying from fake-gcs-server were
tried by hand.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from bucket_server import free_ports
from references import contents
from scenes import plate

import ngff_bio
from ngff_bio import copy
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.errors import StorageError
from ngff_bio.storage import BucketStorage, FolderStorage

#: The account that the emulator has: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    program = os.environ.get("AZURITE") or shutil.which("azurite-blob")
    if program is None:
        pytest.skip("azurite-blob is not installed")
    (port,) = free_ports(1)
    home = tmp_path_factory.mktemp("azurite")
    command = [program, "--inMemoryPersistence", "--skipApiVersionCheck", "--silent"]
    process = subprocess.Popen([*command, "--blobPort", str(port)], cwd=home)
    try:
        _make_container(port)
        endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        yield {"account_name": ACCOUNT, "account_key": KEY, "endpoint": endpoint, "max_retries": 1}
    finally:
        process.kill()
        process.wait()


def _make_container(port: int) -> None:
    """Create a container by a signed request ("Authorize with Shared Key")."""
    date, path = formatdate(usegmt=True), "/store?restype=container"
    headers = {"x-ms-date": date, "x-ms-version": "2021-12-02"}
    text = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:2021-12-02\n"
    text += f"/{ACCOUNT}/{ACCOUNT}/store\nrestype:container"
    signed = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signed).decode()}"
    until = time.monotonic() + 30
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request("PUT", f"/{ACCOUNT}{path}", headers=headers)
            answer = connection.getresponse()
            assert answer.status == 201, answer.read()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        finally:
            connection.close()


def test_a_store_is_written_copied_read_and_verified(
    options: dict[str, Any], tmp_path: Path
) -> None:
    settings = Settings(chunk=(32, 48))
    dataset = plate(fields=2, frames=2)
    write_dataset(dataset, FolderStorage(tmp_path / "a"), settings)
    blobs = BucketStorage("az://store/a.zarr", options)
    write_dataset(dataset, blobs, settings)
    assert contents(blobs) == contents(FolderStorage(tmp_path / "a"))
    assert ngff_bio.verify(blobs).equal
    assert not [f for f in ngff_bio.validate(blobs) if f.level == "error"]
    assert copy(tmp_path / "a", "az://store/b.zarr", storage_options=options).sent
    assert copy(tmp_path / "a", "az://store/b.zarr", storage_options=options).sent == 0
    copy("az://store/b.zarr", tmp_path / "b", source_options=options)
    assert contents(FolderStorage(tmp_path / "b")) == contents(FolderStorage(tmp_path / "a"))
    assert blobs.get_range("zarr.json", -3, 3) == blobs.get("zarr.json")[-3:]  # type: ignore[index]


def test_a_key_is_swapped_only_if_it_is_as_before(options: dict[str, Any]) -> None:
    blobs = BucketStorage("az://store/swap", options)
    assert blobs.compare_and_swap("k", None, b"1")
    assert not blobs.compare_and_swap("k", None, b"2")
    assert not blobs.compare_and_swap("k", b"0", b"2")
    assert blobs.compare_and_swap("k", b"1", b"2")
    assert blobs.get("k") == b"2"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"account_key": base64.b64encode(b"wrong").decode()}, "denied"),
        ({"account_key": None, "anon": True}, "denied|not found|no such"),
    ],
)
def test_errors_say_what_was_tried(options: dict[str, Any], given: Any, expected: str) -> None:
    with pytest.raises(StorageError, match=expected) as caught:
        BucketStorage("az://store/a.zarr", {**options, **given}).put("x", b"1")
    assert "tried with credentials" in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_container_that_is_not_there_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(StorageError, match="no such bucket"):
        BucketStorage("az://not-there/a.zarr", options).get("x")
