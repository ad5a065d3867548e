"""What a hint says, done once: the command that failed succeeds, or another one that it names."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import makers
import numpy as np
import pytest
import tifffile
from PIL import Image

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
    for store, options in (
        ("a.zarr", ()),
        ("v2.zarr", ("--ome-version", "0.4")),
        ("v06.zarr", ("--ome-version", "0.6")),
    ):
        assert run("convert", home / "src", home / store, *options)[0] == 0
    shutil.copytree(home / "a.zarr", home / "bare.zarr")
    for file in (home / "bare.zarr/ngff_bio").glob("manifest.*"):
        file.unlink()
    shutil.copytree(home / "a.zarr", home / "plain.zarr/sub/a")
    for group in ("plain.zarr", "plain.zarr/sub"):
        (home / group / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
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
    _write_more(home)
    for number in range(2):
        (home / "frames").mkdir(exist_ok=True)
        tifffile.imwrite(home / f"frames/x{number}.tif", np.full((20, 30), number, "u1"))
    return home


def _write_more(home: Path) -> None:
    """Label images, a plate, a stack, files for labels and tables, damaged records."""
    noise = np.random.default_rng(1).integers(5, 250, (5, 20, 30)).astype("u1")
    cells = np.zeros((20, 30), "u1")
    cells[3:6, 4:9], cells[9:12, 4:9] = 1, 2
    for name in ("pairs/images/a.tif", "jpeg/images/a.tif", "one/x.tif", "other/a.tif"):
        put(home / name, noise[0])
    put(home / "pairs/masks/a.tif", cells)
    put(home / "other/b_mask.tif", cells)
    (home / "jpeg/masks").mkdir()
    Image.fromarray(noise[1] // 2 + cells * 60).save(home / "jpeg/masks/a.jpg")
    for well in ("A01", "A02"):
        put(home / f"plate/p_{well}_s1_w1.tif", noise[0])
    put(home / "stack/s.tif", noise)
    (home / "twice.csv").write_text("well,drug\nA01,x\nA01,y\n")
    (home / "wells.csv").write_text("well,drug\nA01,x\nA02,y\n")
    np.save(home / "labels.npy", np.ones((24, 30), "u2"))
    np.save(home / "one.npy", cells)
    (home / "table.csv").write_text("label,area\n1,3\n")
    assert run("convert", home / "one", home / "one.zarr")[0] == 0
    for name in ("missing", "short"):
        shutil.copytree(home / "src", home / name)
    min((home / "missing").rglob("*.png")).unlink()
    coco = min((home / "short").rglob("*.json"))
    content = json.loads(coco.read_text())
    content["annotations"][0]["segmentation"] = [[1, 2, 3, 4]]
    coco.write_text(json.dumps(content))
    shutil.copytree(home / "src", home / "untyped")
    coco = min((home / "untyped").rglob("*.json"))
    coco = coco.rename(coco.with_name("cells [1].json"))
    coco.write_text(json.dumps({**content, "categories": 5}))
    makers.make_labelme_folder(home / "utf16", size=(24, 30), images=1, instances=2)
    shutil.copytree(home / "utf16", home / "utf8")
    outlines = next((home / "utf16").rglob("*.json"))
    outlines.write_text(outlines.read_text(), encoding="utf-16")
    for well in ("B02", "C03"):
        put(home / f"cells/{well}_w1.tif", noise[0])
        put(home / f"cells/{well}_nuclei.tif", cells)
    header, rows = "FileName_DNA,Metadata_Well", [("B02_w1.tif", "B02"), ("C03_w1.tif", "C03")]
    lines = [header, *(f"{name},{well}" for name, well in rows)]
    (home / "cells/Image.csv").write_text("\n".join(lines))
    shutil.copytree(home / "cells", home / "named")
    lines = [f"{header},ObjectsFileName_Nuclei"]
    lines += [f"{name},{well},{well}_nuclei.tif" for name, well in rows]
    (home / "named/Image.csv").write_text("\n".join(lines))
    for kind, name, file in (("labels", "mine", "labels.npy"), ("table", "own", "table.csv")):
        assert run(kind, "add", home / "a.zarr", "image_1", name, home / file)[0] == 0


def put(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels)


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
    ("export one.zarr NEW --to milab", "to coco", "export one.zarr NEW --to coco"),
    ("export one.zarr NEW --to parquet", "geoparquet", "export one.zarr NEW --to geoparquet"),
    ("export a.zarr NEW --to coco-stuff", "--labels",
     "export a.zarr NEW --to coco-stuff --labels objects"),
    ("export a.zarr NEW --to yollo", "yolo", "export a.zarr NEW --to yolo"),
    ("convert src NEW --pixel-size 1,2,3um", "--pixel-size 0.65um",
     "convert src NEW --pixel-size 0.65um"),
    ("convert src NEW --axes tyx", "leave it out", "convert src NEW"),
    ("convert src NEW -O kind=x", "leave it out", "convert src NEW"),
    ("convert stack NEW --axes yx", "--axes tyx", "convert stack NEW --axes tyx"),
    ("convert plate NEW --stitch", "without --stitch", "convert plate NEW"),
    ("convert plate NEW --wells twice.csv", "one line for each well",
     "convert plate NEW --wells wells.csv"),
    ("convert plate NEW --wells none.csv", "--wells FILE", "convert plate NEW --wells wells.csv"),
    ("convert pairs NEW --label-kind objects", "--label-kind semantic",
     "convert pairs NEW --label-kind semantic"),
    ("convert pairs NEW --labels x=masks/b*.tif", "", "convert pairs NEW --labels x=masks/*.tif"),
    ("convert jpeg NEW", "--labels none", "convert jpeg NEW --labels none"),
    ("convert masks NEW", "or its beginning", "convert masks NEW --labels x=a*mask.tif"),
    ("convert other NEW", "--exclude GLOB", "convert other NEW --exclude b_mask.tif"),
    ("convert a.zarr NEW --axes tyx", "leave it out", "convert a.zarr NEW"),
    ("convert a.zarr a.zarr/x", "outside of it", "convert a.zarr NEW"),
    ("convert a.zarr NEW --shard 4,4", "--chunk", "convert a.zarr NEW --shard 4,4 --chunk 4,4"),
    ("convert a.zarr v2.zarr --append", "new destination", "convert a.zarr NEW"),
    ("convert missing NEW", "--on-error skip", "convert missing NEW --on-error skip"),
    ("convert short NEW", "--on-error skip", "convert short NEW --on-error skip"),
    ("convert untyped NEW", "--exclude 'coco/annotations/cells [1].json'",
     "convert untyped NEW --exclude 'coco/annotations/cells [1].json'"),
    ("convert cells NEW", "--format images --labels none --ignore-unread",
     "convert cells NEW --format images --labels none --ignore-unread"),
    ("convert cells NEW", "ObjectsFileName_NAME", "convert named NEW"),
    ("convert utf16 NEW", "save JSON files in UTF-8", "convert utf8 NEW"),
    ("export a.zarr NEW --to wbc-crops", "to coco", "export a.zarr NEW --to coco"),
    ("export one.zarr NEW --to label-tiff", "labels add", "labels add one.zarr / own one.npy"),
    ("export a.zarr a.tif --to label-tiff", "choose a folder", "export a.zarr NEW --to label-tiff"),
    ("export a.zarr NEW --to label-studio", "labelme", "export a.zarr NEW --to labelme"),
    ("convert plate NEW --pattern '^(?P<well>[A-P][0-9]+)_'", "searched in the path",
     "convert plate NEW --pattern '(?P<well>[A-P][0-9]+)_'"),
    ("verify a.zarr --source src/coco", "folder that contains it", "verify a.zarr --source src"),
    ("copy one.zarr NEW --images x", "without --images", "copy one.zarr NEW"),
    ("copy a.zarr src", "another destination", "copy a.zarr NEW"),
    ("upgrade a.zarr --ome-version 0.4", "convert STORE NEW_STORE --ome-version 0.4",
     "convert a.zarr NEW --ome-version 0.4"),
    ("describe a.zip --title x", "copy FILE.zip FOLDER", "copy a.zip NEW"),
    ("labels add a.zarr image_1 mine labels.npy", "--overwrite",
     "labels add a.zarr image_1 mine labels.npy --overwrite"),
    ("table add a.zarr image_1 own table.csv", "--overwrite",
     "table add a.zarr image_1 own table.csv --overwrite"),
    ("info src", "folder or URL that holds it", "info a.zarr"),
    ("preview one.zarr -t 5 -o p.png", "leave out -t", "preview one.zarr -o p.png"),
    ("preview one.zarr --sheet plate -o p.png", "preview --sheet images",
     "preview one.zarr --sheet images -o p.png"),
    ("preview a.zarr --sheet z -z 1 -o p.png", "leave out -z",
     "preview a.zarr --sheet images -o p.png"),
    ("preview one.zarr -o s3://b/p.png", "write it to a file here", "preview one.zarr -o p.png"),
    ("view v06.zarr --no-browser", "ngff-bio preview draws it", "preview v06.zarr -o p.png"),
    ("view v06.zarr --no-browser", "convert to 0.5", "convert v06.zarr NEW --ome-version 0.5"),
    ("info a.zarr --storage-option key=env:NOT_SET", "key=@FILE",
     "info a.zarr --storage-option key=@table.csv"),
    ("verify bare.zarr", "--source", "verify bare.zarr --source src"),
    ("info plain.zarr", "group of an image", "info plain.zarr/sub/a/image_1"),
    ("convert a.zarr NEW --append", "new destination", "convert a.zarr NEW"),
    ("convert src a.zarr --append --ome-version 0.6", "another destination",
     "convert src NEW --ome-version 0.6"),
    ("preview a.zarr --sheet images --animate t -o p.png", "leave out --sheet or --animate",
     "preview a.zarr --sheet images -o p.png"),
]  # fmt: skip


@pytest.mark.parametrize(("refused", "hint", "followed"), CASES, ids=[c[0] for c in CASES])
def test_a_hint_that_is_followed_works(
    refused: str, hint: str, followed: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    place = f"new {CASES.index((refused, hint, followed))}"
    code, text = run(*(word.replace("NEW", place) for word in shlex.split(refused)))
    assert code == 2
    assert hint in text.partition("hint:")[2]
    code, text = run(*(word.replace("NEW", place) for word in shlex.split(followed)))
    assert code == 0, text


def test_a_damaged_store_is_whole_again_after_its_hint(made: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    convert = ("convert", made / "src", store, "--chunk", "8,8", "--shard", "16,16")
    preview = ("preview", store, "-o", tmp_path / "p.png")
    assert run(*convert)[0] == 0
    for shard in (store / "image_1/0/c").rglob("*"):
        if shard.is_file():
            shard.write_bytes(shard.read_bytes()[:20])
    code, text = run(*preview)
    assert (code, "convert the source again with --overwrite" in text) == (2, True), text
    assert run(*convert, "--overwrite")[0] == 0
    assert run(*preview)[0] == 0


def test_a_zip_on_a_web_server_has_no_link_until_it_is_unpacked() -> None:
    code, text = run("view", "http://127.0.0.1:9/x.zip", "--link")
    assert (code, "hint: unpack it there" in text) == (2, True), text


def test_wrong_values_of_options_are_errors_of_the_user(made: Path, tmp_path: Path) -> None:
    for options in ("--method x", "--codec x", "--ome-version 9", "--levels 0", "--memory 5Q"):
        code, text = run("convert", made / "src", tmp_path / "x.zarr", *options.split())
        assert (code, "expected:" in text) == (2, True), text
    code, text = run("upgrade", made / "a.zarr", "--ome-version", "9")
    assert (code, "hint:" in text) == (2, False)
