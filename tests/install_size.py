"""What `pip install ngff-bio` costs: packages and megabytes in a fresh environment.

    make install-size      # python tests/install_size.py

Needs the network, so it is not part of the test suite. It ends with an error where the installation is
larger than `LIMIT_MB`, or where a package is installed that only tests and extras need.

561 MB (of 2**20 bytes) in 44 packages, 100 MB of them the bytecode caches that pip writes. What cannot
be left out: pyarrow 170, pandas (which xarray requires) 84, imagecodecs 80, numpy 73, numcodecs (which
zarr requires) 36.
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
        for path in packages.rglob("*"):
            top = path.relative_to(packages).parts[0]
            if top not in own and not path.is_dir():
                sizes[top] += path.lstat().st_blocks * 512 / 2**20
        installed = len([p for p in packages.glob("*.dist-info") if p.name not in own])
    for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:12]:
        print(f"{size:6.0f} MB  {name}")
    total = sum(sizes.values())
    print(f"{total:6.0f} MB  in {installed} packages")
    found = [name for name in UNWANTED if name in sizes]
    if found or total > LIMIT_MB:
        sys.exit(f"expected at most {LIMIT_MB} MB and none of {UNWANTED}, found {found}")


if __name__ == "__main__":
    main()
