"""Other writers of OME-Zarr: an environment of its own for each, and the commands that run them.

python peers.py FOLDER        # makes the environments below FOLDER
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from layouts import layout_of

HERE = Path(__file__).parent

PACKAGES = {
    "ome-zarr-py": ["ome-zarr==0.18.0", "zarr==3.1.6", "tifffile", "imagecodecs"],
    "ngff-zarr": ["ngff-zarr[cli,dask-image,tifffile]==0.50.0", "zarr==3.1.6", "imagecodecs"],
    "bioio": ["bioio-conversion==3.0.0", "bioio-tifffile", "bioio-ome-tiff"],
    "tensorstore": ["tensorstore==0.1.86", "tifffile", "imagecodecs"],
}

EUBI = "eubi-bridge==0.3.2"


def make(root: Path) -> None:
    """Make what is not there yet."""
    for name, packages in PACKAGES.items():
        if not (root / name / ".made").exists():
            _environment(root / name, packages)
            (root / name / ".made").touch()
    if not (root / "eubi" / ".made").exists():
        _eubi(root / "eubi")
        (root / "eubi" / ".made").touch()


def _environment(place: Path, packages: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    subprocess.run([place / "bin" / "pip", "install", "-q", *packages], check=True)


def _eubi(place: Path) -> None:
    """EuBI-Bridge fetches a Java while it is built. A TIFF needs none: where that cannot be had, a
    file in its place lets the build go on.
    """
    _environment(place, ["wheel"])
    pip = place / "bin" / "pip"
    if subprocess.run([pip, "install", "-q", EUBI], check=False).returncode == 0:
        return
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--no-deps", "--no-binary=eubi-bridge", "-d", folder]
        subprocess.run([pip, "download", "-q", *flags, EUBI], check=True)
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
        (unpacked,) = (p for p in Path(folder).iterdir() if p.is_dir())
        java = unpacked / "eubi_bridge" / "bioformats" / "jdk" / "linux"
        java.mkdir(parents=True, exist_ok=True)
        (java / "README").write_text("none\n")
        subprocess.run([pip, "install", "-q", unpacked], check=True)


@dataclass(frozen=True)
class Peer:
    """A row of the table. ``whole`` peers write metadata; others only arrays."""

    name: str
    command: list[str]
    suffix: str = ".zarr"


def equal(root: Path, source: Path, dest: Path, sharded: bool) -> list[Peer]:
    """Commands that write one layout with one codec."""
    more = ["--sharded"] if sharded else []

    def script(env: str, name: str, *flags: str) -> list[str]:
        python = root / env / "bin" / "python"
        return [str(python), str(HERE / name), str(source), str(dest), *flags, *more]

    return [
        Peer("tensorstore, by hand", script("tensorstore", "by_hand.py")),
        Peer("ngff-zarr, its fastest method", script("ngff-zarr", "by_ngff_zarr.py")),
        Peer("ome-zarr-py, local mean", script("ome-zarr-py", "by_ome_zarr.py", "--equal")),
        Peer("bioio-conversion", script("bioio", "by_bioio.py")),
        Peer("EuBI-Bridge", [*_eubi_command(root, source, dest), *_eubi_equal(source, sharded)]),
    ]


def _eubi_command(root: Path, source: Path, dest: Path) -> list[str]:
    return [str(root / "eubi" / "bin" / "eubi"), "to_zarr", str(source), "--output_path", str(dest)]


def _eubi_equal(source: Path, sharded: bool) -> list[str]:
    layout = layout_of(source)
    inner = layout.inner if sharded else layout.chunk
    outer = layout.shard if sharded else layout.chunk
    depth = (inner[-3], outer[-3] // inner[-3]) if len(inner) > 2 else (1, 1)
    options = {
        "ome_zarr_version": "0.5",
        "auto_chunk": False,
        "z_chunk": depth[0],
        "y_chunk": inner[-2],
        "x_chunk": inner[-1],
        "z_shard_coef": depth[1],
        "y_shard_coef": outer[-2] // inner[-2],
        "x_shard_coef": outer[-1] // inner[-1],
        "n_layers": layout.levels,
        "z_scale_factor": 1,
        "downscale_method": "mean",
        "max_processes": 2,
        "compressor_params": "{'cname':'zstd','clevel':5,'shuffle':1}",
    }
    return [part for k, v in options.items() for part in (f"--{k}", str(v))]


def defaults(root: Path, source: Path, dest: Path) -> list[Peer]:
    """Commands as a user types them."""
    python = str(root / "ome-zarr-py" / "bin" / "python")
    axes = list(layout_of(source).axes)
    dims = ["-d", *axes] if len(axes) < 4 else []
    ome = str(dest.with_suffix(".ome.zarr"))
    ngff = [str(root / "ngff-zarr" / "bin" / "ngff-zarr"), "-q", "-i", str(source), "-o", ome]
    bioio = [str(root / "bioio" / "bin" / "bioio-convert"), str(source)]
    return [
        Peer("ngff-zarr", [*ngff, *dims], ".ome.zarr"),
        Peer("ome-zarr-py", [python, str(HERE / "by_ome_zarr.py"), str(source), str(dest)]),
        Peer("bioio-conversion", [*bioio, "--destination", str(dest)]),
        Peer("EuBI-Bridge", _eubi_command(root, source, dest)),
    ]


if __name__ == "__main__":
    make(Path(sys.argv[1]))
