"""What a hint says, done once: the command that failed succeeds, or another one that it names."""

from __future__ import annotations

import io
import json
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import makers
import numpy as np
import pytest
import tifffile

from ngff_bio import cli


def run(*arguments: object) -> tuple[int, str]:
    """Exit code and output of the command line, in this process."""
    out, before = io.StringIO(), sys.argv
    sys.argv = ["ngff-bio", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(out):
            return cli._run(), out.getvalue()
    finally:
        sys.argv = before


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources, stores, archives, each with something that a command refuses."""
    home = tmp_path_factory.mktemp("hints")
    makers.make_coco_folder(home / "src", size=(24, 30), images=2, instances=3)
    for store, options in (("a.zarr", ()), ("v2.zarr", ("--ome-version", "0.4"))):
        assert run("convert", home / "src", home / store, *options)[0] == 0
    assert run("copy", home / "a.zarr", home / "a.zip")[0] == 0
    assert run("export", home / "a.zarr", home / "out", "--to", "coco")[0] == 0
    shutil.make_archive(str(home / "packed"), "zip", home / "src")
    shutil.copytree(home / "src", home / "damaged")
    image = min((home / "damaged").rglob("*.png"))
    image.write_bytes(image.read_bytes()[:60])
    shutil.copytree(home / "src", home / "unread")
    (home / "unread/table.csv").write_text("file,x\nimage 1.png,1\n")
    makers.make_labelme_folder(home / "scaled", size=(24, 30), images=1, instances=2)
    outlines = next((home / "scaled").rglob("*.json"))
    content = json.loads(outlines.read_text())
    outlines.write_text(json.dumps({**content, "imageWidth": 60, "imageHeight": 48}))
    for name in ("a_mask", "b"):
        (home / "masks").mkdir(exist_ok=True)
        pixels = np.zeros((20, 30), "u1") if "mask" in name else np.arange(600).reshape(20, 30)
        pixels[3:6, 4:9] = 255
        tifffile.imwrite(home / f"masks/{name}.tif", pixels.astype("u1"))
    for number in range(2):
        (home / "frames").mkdir(exist_ok=True)
        tifffile.imwrite(home / f"frames/x{number}.tif", np.full((20, 30), number, "u1"))
    return home


#: A command that is refused, a part of its hint, and what follows it. ``NEW`` is a new place.
CASES = [
    ("convert src a.zarr --levels 2", "--overwrite", "convert src NEW --levels 2"),
    ("convert src a.zip", "then pack it with `ngff-bio copy", "copy a.zarr NEW.zip"),
    ("convert src NEW --append", "without --append", "convert src NEW"),
    ("convert src NEW --max-pixels 10", "--max-pixels", "convert src NEW --max-pixels 1M"),
    ("convert packed.zip NEW --max-bytes 9", "--max-bytes", "convert packed.zip NEW --max-bytes 1M"),
    ("convert src NEW --memory 1M", "--memory 5M", "convert src NEW --memory 5M --shard 16,16"),
    ("convert damaged NEW", "copy it again", "convert src NEW"),
    ("convert unread NEW", "--ignore-unread", "convert unread NEW --ignore-unread"),
    ("convert unread NEW", "--exclude GLOB", "convert unread NEW --exclude *.csv"),
    ("convert scaled NEW", "--scale-annotations", "convert scaled NEW --scale-annotations"),
    ("convert masks NEW", "--labels none", "convert masks NEW --labels none"),
    ("convert frames NEW --time-interval 5s --series none", "--series t",
     "convert frames NEW --time-interval 5s --series t"),
    ("convert frames NEW --tracked", "without --tracked", "convert frames NEW"),
    ("convert src NEW --format x", "run `ngff-bio formats`", "formats coco"),
    ("copy a.zarr v2.zarr", "--overwrite", "copy a.zarr NEW"),
    ("copy a.zarr a.zip", "--overwrite", "copy a.zarr a.zip --overwrite"),
    ("copy v2.zarr NEW.ozx", "write a .zip", "copy v2.zarr NEW.zip"),
    ("export a.zarr out --to coco", "--overwrite", "export a.zarr out --to coco --overwrite"),
    ("export a.zarr a.zarr/x --to coco", "outside of the store", "export a.zarr NEW --to coco"),
    ("export a.zarr NEW --to via", "another format: coco", "export a.zarr NEW --to coco"),
    ("export a.zarr NEW --to cell-tracking", "to label-tiff", "export a.zarr NEW --to label-tiff"),
]  # fmt: skip


@pytest.mark.parametrize(("refused", "hint", "followed"), CASES, ids=[c[0] for c in CASES])
def test_a_hint_that_is_followed_works(
    refused: str, hint: str, followed: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    place = f"new {CASES.index((refused, hint, followed))}"
    code, text = run(*(word.replace("NEW", place) for word in refused.split()))
    assert code == 2
    assert hint in text.partition("hint:")[2]
    code, text = run(*(word.replace("NEW", place) for word in followed.split()))
    assert code == 0, text
