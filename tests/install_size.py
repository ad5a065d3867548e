"""What `pip install ngff-bio` costs: packages and megabytes in a fresh environment.

    make install-size      # python tests/install_size.py

Needs the network, so it is not part of the test suite. It ends with an error where the installation is
larger than `LIMIT_MB`, or where a package is installed that only tests and extras need.

565 MB (of 2**20 bytes) in 44 packages, 103 MB of them bytecode that pip writes (`pip install
--no-compile` does not). What is needed, and by what:

    pyarrow      170   the tables of a store, written and read
    pandas        83   xarray requires it
    imagecodecs   79   blosc and zstd of a store; JPEG, PNG, and TIFF with LZW, of a source
    numpy         72
    numcodecs     36   zarr requires it
    pillow        21   outlines of labelme, BMP, colour tables, previews
    xarray        17   images as they are read
    dask          17   their lazy blocks
    obstore       15   stores in buckets
    pydantic      10   geff-spec requires it; the schemas of the attributes
    pygments      10   rich requires it, and typer rich

The first five are 440 MB: 450 cannot be reached while a store has Parquet tables and is read as xarray.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from collections import defaultdict
from pathlib import Path

LIMIT_MB = 580

#: Packages that must not be installed without an extra.
UNWANTED = ("aiohttp", "botocore", "distributed", "matplotlib", "networkx", "scipy", "skimage")


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        (packages,) = Path(folder).glob("lib/python*/site-packages")
        own = {p.name for p in packages.iterdir()}  # pip, and what it brings
        subprocess.run([python, "-m", "pip", "install", "--quiet", root], check=True)
        sizes: dict[str, float] = defaultdict(float)
        bytecode = 0.0
        for path in packages.rglob("*"):
            top = path.relative_to(packages).parts[0]
            if top not in own and not path.is_dir():
                size = path.lstat().st_blocks * 512 / 2**20
                sizes[top] += size
                bytecode += size if path.suffix == ".pyc" else 0
        installed = len([p for p in packages.glob("*.dist-info") if p.name not in own])
    for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:12]:
        print(f"{size:6.0f} MB  {name}")
    total = sum(sizes.values())
    print(f"{total:6.0f} MB  in {installed} packages, {bytecode:.0f} MB of them bytecode")
    found = [name for name in UNWANTED if name in sizes]
    if found or total > LIMIT_MB:
        sys.exit(f"expected at most {LIMIT_MB} MB and none of {UNWANTED}, found {found}")


if __name__ == "__main__":
    main()
