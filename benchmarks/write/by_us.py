"""This package with a runner, a number of workers and a destination of one's choice.

    python by_us.py SOURCE DEST [--runner threads|processes|dask] [--workers N] [--codec NAME]

DEST may be a bucket; its options come as JSON in the variable STORAGE_OPTIONS.
"""

from __future__ import annotations

import argparse
import json
import os

from ngff_bio.conversion import convert
from ngff_bio.engine import DaskRunner, ProcessRunner, Settings, ThreadRunner, parse_codec


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("dest")
    parser.add_argument("--runner", default="threads")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--codec", default="blosc-zstd-5-shuffle")
    given = parser.parse_args()
    settings = Settings(codec=parse_codec(given.codec))
    options = json.loads(os.environ.get("STORAGE_OPTIONS", "{}"))
    runner: object = ThreadRunner(given.workers)
    if given.runner == "processes":
        runner = ProcessRunner(given.workers)
    elif given.runner == "dask":
        runner = DaskRunner(os.environ["SCHEDULER"])
    report = convert(
        given.source, given.dest, settings=settings, runner=runner, storage_options=options
    )
    print(f"{report.seconds:.4f} s, {report.objects} objects, {report.bytes_stored} bytes")


if __name__ == "__main__":
    main()
