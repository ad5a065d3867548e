"""Full-size LIVECell: wall time, peak memory, objects and bytes of a whole process.

    python benchmarks/livecell.py [FOLDER] [SIZE]

Makes the collection (5,239 images, 1.6 million contours, 32 annotation files of 2.5 GB; SIZE may be
``small`` instead of ``full``) if it is not in FOLDER yet, converts it and prints the figures. The
made contours overlap a lot: half of the instances are covered in part, and fields have 4 or 5 hidden
label images of three objects each. Without overlaps there are 2,677 objects.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from makers import make_livecell


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    size = sys.argv[2] if len(sys.argv) > 2 else "full"
    source = folder / "livecell-dataset"
    if not source.exists():
        # In a process of its own: a child's peak memory starts at its parent's.
        with ProcessPoolExecutor(1) as pool:
            pool.submit(make_livecell, folder, size=size, crowd_every=400, parts_every=50).result()
    store = folder / "livecell.zarr"
    shutil.rmtree(store, ignore_errors=True)
    began = time.perf_counter()
    program = "import sys; from ngff_bio.cli import main; main()"
    command = [sys.executable, "-c", program, "convert", str(source), str(store), "--quiet"]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("the conversion failed")
    wall = time.perf_counter() - began
    files = [p for p in store.rglob("*") if p.is_file()]
    stored = sum(p.stat().st_size for p in files) / 1e6
    print("| wall s | processor s | peak MB | objects | MB |")
    print("|---|---|---|---|---|")
    busy = usage.ru_utime + usage.ru_stime
    peak = usage.ru_maxrss / 1024
    print(f"| {wall:.0f} | {busy:.0f} | {peak:.0f} | {len(files)} | {stored:.0f} |")


if __name__ == "__main__":
    main()
