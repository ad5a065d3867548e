"""Importing is cheap: counted in modules, not in seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from written_stores import our_image

from ngff_bio.storage import FolderStorage

HEAVY = ("zarr", "dask", "xarray", "pandas", "pyarrow", "imagecodecs", "numcodecs", "tifffile",
         "ome_zarr_models", "obstore", "fsspec", "distributed", "PIL", "networkx", "torch")  # fmt: skip


def loaded(code: str) -> set[str]:
    """Heavy packages, and numpy, that a fresh interpreter has loaded after some code."""
    end = "import sys, json; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    run = [sys.executable, "-c", f"{code}\n{end}"]
    names = set(json.loads(subprocess.run(run, check=True, capture_output=True, text=True).stdout))
    return names & {*HEAVY, "numpy", "pydantic", "asyncio"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded("import ngff_bio") == set()


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_opening_an_image_loads_no_more_than_numpy(tmp_path: Path, version: str) -> None:
    our_image(FolderStorage(tmp_path / "a"), version=version)
    code = f"import ngff_bio\nimage = ngff_bio.open({str(tmp_path / 'a')!r})['']\nimage.shape"
    assert loaded(code) <= {"numpy"}
    cut = f"{code}\nimage.pixels.array(0)[0, :5, :5]"
    assert loaded(cut) <= {"numpy", "imagecodecs"}
    drawn = f"{code}\nimage.thumbnail(8, labels=next(iter(image.labels)))"
    assert loaded(drawn) <= {"numpy", "imagecodecs", "PIL"}


def test_converting_an_image_loads_no_other_zarr_no_dask_and_no_pandas(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "a.png")
    places = f"{str(tmp_path / 'a.png')!r}, {str(tmp_path / 'a.zarr')!r}"
    code = (
        "import ngff_bio\nfrom ngff_bio.engine.write.tables import without_pandas\n"
        f"without_pandas()\nngff_bio.convert({places})"
    )
    assert not loaded(code) & {"zarr", "dask", "xarray", "pandas", "distributed", "fsspec"}


def test_converting_a_store_loads_no_readers_of_image_files(tmp_path: Path) -> None:
    our_image(FolderStorage(tmp_path / "a.zarr"), version="0.4")
    run = ["convert", str(tmp_path / "a.zarr"), str(tmp_path / "b.zarr"), "--ome-version", "0.5"]
    code = (
        "from typer.testing import CliRunner\nfrom ngff_bio.cli.app import app\n"
        f"done = CliRunner().invoke(app, {run})\nassert done.exit_code == 0, done.output"
    )
    assert not loaded(code) & {*HEAVY} - {"pyarrow"}
