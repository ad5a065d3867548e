"""A real object store on this machine for tests: SeaweedFS, started when a test asks for a bucket."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

from ngff_bio.storage import BucketStorage

BUCKET = "bench"
#: A bucket that anyone may read, without keys.
PUBLIC = "public"
KEY, SECRET = "AKIATESTKEYID", "s3cr3t-of-the-test-server"
_ATTEMPTS = 4
_SERVICES = ("s3", "master", "volume", "filer", "admin")


@dataclass(frozen=True)
class BucketServer:
    """Where the server listens, and what opens it."""

    endpoint: str

    @property
    def options(self) -> dict[str, Any]:
        """Storage options with the right keys."""
        return {
            "endpoint": self.endpoint,
            "access_key_id": KEY,
            "secret_access_key": SECRET,
            "region": "us-east-1",
        }

    def storage(self, path: str | None = None, **options: Any) -> BucketStorage:
        """A storage below a path of its own."""
        place = f"s3://{BUCKET}/{path or uuid.uuid4().hex}"
        return BucketStorage(place, {**self.options, **options})


def find_weed() -> str | None:
    """SeaweedFS's binary: beside this interpreter, or on the PATH."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


@pytest.fixture(scope="session")
def bucket_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketServer]:
    weed = find_weed()
    if weed is None:
        pytest.skip("the object store of the tests is not installed: no `weed` beside Python")
    home = tmp_path_factory.mktemp("seaweed")
    for attempt in range(_ATTEMPTS):
        place = home / str(attempt)
        place.mkdir()
        try:
            process, endpoint = start(weed, place)
            break
        except RuntimeError:  # another process took one of its ports between asking and using
            if attempt == _ATTEMPTS - 1:
                raise
    try:
        yield BucketServer(endpoint)
    finally:
        process.kill()  # it stops in seconds when asked; nothing of it is kept
        process.wait()
        shutil.rmtree(home, ignore_errors=True)


def start(weed: str, home: Path, *options: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server with an empty bucket, and with further options; returns when it answers.

    A home that has been used is served again: its buckets, at the same address.
    """
    used = home / "ports.json"
    if not used.exists():
        used.write_text(json.dumps(free_ports(2 * len(_SERVICES))))
    ports = json.loads(used.read_text())
    flags = []
    for name, port, grpc in zip(_SERVICES, ports[::2], ports[1::2], strict=True):
        flags += [f"-{name}.port={port}", f"-{name}.port.grpc={grpc}"]
    rights = ["Admin", "Read", "Write", "List", "Tagging"]
    who = {"name": "test", "credentials": [{"accessKey": KEY, "secretKey": SECRET}]}
    config = home / "s3.json"
    everyone = {"name": "anonymous", "actions": [f"Read:{PUBLIC}", f"List:{PUBLIC}"]}
    config.write_text(json.dumps({"identities": [{**who, "actions": rights}, everyone]}))
    (home / "data").mkdir(exist_ok=True)
    command = [weed, "mini", "-ip=127.0.0.1", f"-dir={home / 'data'}", f"-s3.config={config}"]
    more = [
        "-admin.ui=false",
        "-webdav=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.resumeState=false",
        f"-bucket={BUCKET},{PUBLIC}",
        *options,
    ]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([*command, *flags, *more], stdout=log, stderr=log, cwd=home)
    endpoint = f"http://127.0.0.1:{ports[0]}"
    given = {"access_key_id": KEY, "secret_access_key": SECRET, "region": "us-east-1"}
    access: Any = {**given, "client_options": {"allow_http": True}, "endpoint": endpoint}
    retry: Any = {"max_retries": 0}
    stores = [S3Store(name, **access, retry_config=retry) for name in (BUCKET, PUBLIC)]
    until = time.monotonic() + 60
    while True:
        try:
            for store in stores:
                obstore.put(store, "up", b"1")
                obstore.delete(store, "up")
            return process, endpoint
        except Exception:
            if time.monotonic() > until or process.poll() is not None:
                process.kill()
                raise RuntimeError((home / "log").read_text()[-2000:]) from None
            time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
