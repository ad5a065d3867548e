"""Copying and publishing a made LIVECell to an object store on this machine (SeaweedFS).

    python benchmarks/hosting.py [FOLDER] [PART]

Makes and converts the collection in FOLDER if it is not there, with one PART-th of the frames of the
real one (all by default). The raw transfer puts the same files by obstore, with as many threads,
and checks nothing; it and the copy take turns, each after the disk has what was written before, or
the second one waits for the first one's bytes. Each row is a process of its own, but for the raw
transfer.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import obstore
from bucket_server import KEY, PUBLIC, SECRET, find_weed, start
from makers import make_livecell
from makers.livecell_plan import SIZES
from obstore.store import S3Store

from ngff_bio.parallel import REMOTE_THREADS

PROGRAM = [sys.executable, "-c", "from ngff_bio.cli import main; main()"]


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    part = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    store = folder / "livecell.zarr"
    if not store.exists():
        whole = SIZES["full"]
        frames = {name: count // part for name, count in whole.frames.items()}
        make_livecell(folder, size=replace(whole, frames=frames), processes=2)
        run("convert", folder / "livecell-dataset", store, "--quiet")
    home = Path(tempfile.mkdtemp())
    process, endpoint = start(find_weed() or sys.exit("no `weed` beside Python"), home)
    os.environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    os.environ |= {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1"}
    try:
        print("| | s | peak MB | objects | MB | requests |\n|---|---|---|---|---|---|")
        for turn in ("first", "copied"):
            os.sync()
            raw(store, endpoint)
            os.sync()
            copied = run("copy", store, f"s3://{PUBLIC}/{turn}.zarr", "--json")
            row("`copy` to a bucket", *copied)
        row("the same again", *run("copy", store, f"s3://{PUBLIC}/copied.zarr", "--json"))
        row("`publish`", *run("publish", store, f"s3://{PUBLIC}/published.zarr", "--json"))
        row(
            "`copy` back, by HTTP",
            *run("copy", f"{endpoint}/{PUBLIC}/copied.zarr", home / "b", "--json"),
        )
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(home, ignore_errors=True)  # three copies of the store


def raw(store: Path, endpoint: str) -> None:
    """Put every file, and nothing else."""
    given = {"endpoint": endpoint, "region": "us-east-1", "client_options": {"allow_http": True}}
    target: Any = S3Store(
        PUBLIC, prefix="raw", access_key_id=KEY, secret_access_key=SECRET, **given
    )
    files = [p for p in store.rglob("*") if p.is_file()]

    def put(file: Path) -> int:
        data = file.read_bytes()
        obstore.put(target, file.relative_to(store).as_posix(), data, use_multipart=False)
        return len(data)

    began = time.perf_counter()
    with ThreadPoolExecutor(REMOTE_THREADS) as pool:
        total = sum(pool.map(put, files))
    seconds = time.perf_counter() - began
    sizes = f"{len(files)} | {total / 1e6:.0f} | {len(files)} PUT"
    print(f"| obstore's own puts | {seconds:.1f} | | {sizes} |")


def run(*arguments: object) -> tuple[float, float, dict[str, Any]]:
    """Seconds, peak memory in MB and report of a command."""
    began = time.perf_counter()
    process = subprocess.Popen([*PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{arguments[0]} failed")
    seconds = time.perf_counter() - began
    return seconds, usage.ru_maxrss / 1024, json.loads(output or b"{}")


def row(name: str, seconds: float, peak: float, report: dict[str, Any]) -> None:
    copied = report.get("copied", report)
    requests = ", ".join(f"{n} {kind}" for kind, n in copied["requests"].items())
    sizes = f"{copied['sent']} | {copied['bytes_sent'] / 1e6:.0f}"
    print(f"| {name} | {seconds:.1f} | {peak:.0f} | {sizes} | {requests} |")


if __name__ == "__main__":
    main()
