"""Kill copies and publications into a bucket with `kill -9` at random moments; run them again; compare.

    python tests/engine/copy_runs.py --kills 50        # of each verb

After each kill the destination does not open, or is complete. The last run is not killed: the store is
then equal to the one that was copied, object for object.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from bucket_server import KEY, SECRET, BucketServer, find_weed, start
from references import contents
from scenes import plate

import ngff_bio
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.errors import IncompleteStoreError, StoreNotFoundError
from ngff_bio.storage import FolderStorage

PROGRAM = [sys.executable, "-c", "from ngff_bio.cli import main; main()"]

#: What a publication adds, which has the date in it.
ADDED = (
    "index.html",
    "README.md",
    "croissant.json",
    "ro-crate-metadata.json",
    "annotations.parquet",
    "/segments/info",
)


def main() -> None:
    """Kill until the number is reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--verbs", default="copy,publish")
    given = parser.parse_args()
    weed = find_weed() or sys.exit("the object store of the tests is not installed: no `weed`")
    home = Path(tempfile.mkdtemp())
    write_dataset(plate(fields=6, frames=3), FolderStorage(home / "a"), Settings(chunk=(32, 48)))
    process, endpoint = start(weed, home)
    os.environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    os.environ |= {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1"}
    try:
        for verb in given.verbs.split(","):
            kills, runs = _kill(BucketServer(endpoint), verb, home / "a", given.kills)
            print(f"{verb}: {kills} kills, {runs} stores, all equal")
    finally:
        process.kill()


def _kill(server: BucketServer, verb: str, store: Path, wanted: int) -> tuple[int, int]:
    moments, kills, runs, seconds = random.Random(0), 0, 0, 0.0
    expected = contents(FolderStorage(store))
    while kills < wanted:
        place = f"s3://bench/{verb}-{runs}"
        target = server.storage(f"{verb}-{runs}")
        command = [*PROGRAM, verb, str(store), place, "--quiet"]
        for attempt in range(6):  # the last one, and the first of all, are not killed
            began = time.monotonic()
            run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            if seconds and attempt < 5:
                with suppress(subprocess.TimeoutExpired):
                    run.wait(moments.uniform(0.2, 1) * seconds)
            if seconds and attempt < 5 and run.poll() is None:
                run.send_signal(signal.SIGKILL)
                run.communicate()
                kills += 1
                with suppress(IncompleteStoreError, StoreNotFoundError):
                    ngff_bio.open(target)
                    assert ngff_bio.verify(target).equal, "a store opens that is not complete"
                continue
            _, errors = run.communicate()
            # A private bucket is not public: that is code 1 of `publish`.
            assert run.returncode in ((0,) if verb == "copy" else (0, 1)), errors.decode()
            seconds = seconds or time.monotonic() - began
            break
        runs += 1
        found = {k: v for k, v in contents(target).items() if not k.endswith(ADDED)}
        manifest = (
            {k for k in expected if k.startswith("ngff_bio/")} if verb == "publish" else set()
        )
        assert found.keys() == expected.keys()
        assert all(found[k] == expected[k] for k in expected if k not in manifest)
        assert ngff_bio.verify(target).equal
    return kills, runs


if __name__ == "__main__":
    main()
