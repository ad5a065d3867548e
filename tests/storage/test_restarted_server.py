"""An object store that is killed and started again while commands write to it."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bucket_server import PUBLIC, BucketServer, find_weed, start
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from references import contents

import ngff_bio
from ngff_bio.errors import NgffBioError
from ngff_bio.storage import BucketStorage, FolderStorage


def test_what_is_written_meanwhile_is_equal_in_the_end(tmp_path: Path) -> None:
    """A copy, a conversion and a publication wait for the server, or end in one error and resume."""
    weed = find_weed()
    if weed is None:
        pytest.skip("the object store of the tests is not installed: no `weed` beside Python")
    source, store = tmp_path / "images", tmp_path / "store.zarr"
    source.mkdir()
    for i in range(8):
        Image.fromarray(np.full((20, 30), i, np.uint8)).save(source / f"{i}.png")
        Image.fromarray(np.eye(20, 30, i, np.uint8)).save(source / f"{i}_mask.png")
    ngff_bio.convert(source, store)
    home = tmp_path / "server"
    home.mkdir()
    process, endpoint = start(weed, home)
    processes = [process]
    server, url = BucketServer(endpoint), f"{endpoint}/{PUBLIC}/published.zarr"

    def restart() -> None:
        processes[-1].kill()
        processes[-1].wait()

        def later() -> None:
            time.sleep(0.2)
            processes.append(start(weed, home)[0])

        threading.Thread(target=later).start()

    all_write = threading.Barrier(3, restart)
    waited: set[str] = set()

    def progress(name: str, done: int, total: int) -> None:
        if done > total / 3 and name not in waited:
            waited.add(name)
            all_write.wait(60)

    calls: dict[str, Any] = {
        "copied.zarr": partial(ngff_bio.copy, store),
        "converted.zarr": partial(ngff_bio.convert, source),
        "published.zarr": partial(ngff_bio.publish, store, url=url),
    }

    def write(name: str, **more: Any) -> NgffBioError | None:
        try:
            calls[name](f"s3://{PUBLIC}/{name}", storage_options=server.options, **more)
        except NgffBioError as error:
            return error
        return None

    try:
        ngff_bio.publish(store, tmp_path / "published.zarr", url=url)
        with ThreadPoolExecutor(3) as pool:
            futures = [pool.submit(write, name, progress=partial(progress, name)) for name in calls]
            failed = [future.result() for future in futures]
        assert len(processes) == 2
        for name, error in zip(calls, failed, strict=True):
            if error is not None:
                assert endpoint in str(error)
                assert write(name) is None
            same = tmp_path / name if name == "published.zarr" else store
            stored = BucketStorage(f"s3://{PUBLIC}/{name}", server.options)
            assert contents(stored) == contents(FolderStorage(same)), name
    finally:
        processes[-1].kill()
        processes[-1].wait()
