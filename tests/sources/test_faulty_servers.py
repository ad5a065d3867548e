"""What a server does not give at the moment is an error: neither left out nor taken for damage."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from fault_proxy import faulty

from ngff_bio import convert
from ngff_bio.errors import SourceNotFoundError, StorageError
from ngff_bio.sources import open_tree
from ngff_bio.sources.files import remote
from ngff_bio.storage import MemoryStorage

NAMES = ("a/one.tif", "b/deep/two.tif")


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(remote, "_PAUSES", (0.01, 0.01))
    for seed, name in enumerate(NAMES):
        (tmp_path / "files" / name).parent.mkdir(parents=True)
        pixels = np.random.default_rng(seed).integers(0, 255, (40, 50), np.uint8)
        tifffile.imwrite(tmp_path / "files" / name, pixels, photometric="minisblack")
    web = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{web.server_port}"
    web.shutdown()
    web.server_close()


def fails(part: str, fault: str, times: int = 1 << 30) -> Callable[[str, str], Any]:
    """A fault for the first requests whose path contains a part."""
    left = iter(range(times))

    def decide(method: str, path: str) -> tuple[str | None, int]:
        return (fault if part in path and next(left, None) is not None else None), 0

    return decide


FAULTS = ("500", "503", "429", "reset", "lost", "cut")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("part", ["/files/b", "/files/a/one"])
def test_a_fault_that_passes_is_not_noticed(server: str, fault: str, part: str) -> None:
    with faulty(server, fails(part, fault, 2)) as endpoint:
        tree = open_tree(f"{endpoint}/files/")
        assert tree.names() == list(NAMES)
        assert tree.file(NAMES[0]).read().startswith(b"II")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_that_cannot_be_listed_is_an_error(server: str, fault: str) -> None:
    with (
        faulty(server, fails("/files/b", fault)) as endpoint,
        pytest.raises(StorageError, match="request failed"),
    ):
        open_tree(f"{endpoint}/files/")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_a_server_does_not_give_now_is_not_skipped(server: str, fault: str) -> None:
    """With --on-error skip, damaged files are skipped: this one is not damaged."""
    with (
        faulty(server, fails("/files/a/one", fault)) as endpoint,
        pytest.raises(StorageError, match="request failed"),
    ):
        convert(f"{endpoint}/files/", MemoryStorage(), on_error="skip")


def test_a_url_without_anything_is_not_found(server: str) -> None:
    with pytest.raises(SourceNotFoundError):
        open_tree(f"{server}/nothing/")
