"""Full-size platelet-em: wall time, peak memory, objects and bytes of a whole process.

    python benchmarks/platelet_em.py [FOLDER]

Makes the collection (two volumes, 24 and 50 x 800 x 800, three label sets each) if it is not in
FOLDER yet, once with labels as run-length JSON and once as colour TIFF, converts each three times and
prints the medians. The floor is reading the TIFFs and writing them again as one file, nothing else.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from makers import make_platelet_em

ROUNDS = 3


def converted(source: Path, store: Path) -> tuple[float, float]:
    """Wall seconds and peak memory in MB of one conversion in a process of its own."""
    shutil.rmtree(store, ignore_errors=True)
    began = time.perf_counter()
    program = "import sys; from ngff_bio.cli import main; main()"
    command = [sys.executable, "-c", program, "convert", str(source), str(store), "--quiet"]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the conversion of {source} failed")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def floor(source: Path, place: Path) -> float:
    """Seconds to read every page and to write the same bytes again."""
    import tifffile

    began = time.perf_counter()
    for path in sorted(source.rglob("*-images.tif")):
        with tifffile.TiffFile(path) as tiff, place.open("wb") as out:
            for page in tiff.pages:
                out.write(page.asarray().data)
    return time.perf_counter() - began


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    print("| labels | wall s | peak MB | objects | MB | read and write alone s |")
    print("|---|---|---|---|---|---|")
    for kind in ("json", "tif"):
        source = folder / kind / "platelet-em"
        if not source.exists():
            # In a process of its own: a child's peak memory starts at its parent's.
            with ProcessPoolExecutor(1) as pool:
                pool.submit(make_platelet_em, folder / kind, size="full", labels=[kind]).result()
        store = folder / f"{kind}.zarr"
        runs = [converted(source, store) for _ in range(ROUNDS)]
        files = [p for p in store.rglob("*") if p.is_file()]
        size = sum(p.stat().st_size for p in files) / 1e6
        least = statistics.median(floor(source, folder / "copy") for _ in range(ROUNDS))
        wall = statistics.median(r[0] for r in runs)
        peak = max(r[1] for r in runs)
        print(f"| {kind} | {wall:.2f} | {peak:.0f} | {len(files)} | {size:.1f} | {least:.2f} |")


if __name__ == "__main__":
    main()
