"""What is damaged: a maker of undamaged inputs, and what reads them, by name."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import makers
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from annotated import write_files
from layouts import LAYOUTS
from PIL import Image

import ngff_bio
from ngff_bio.engine import Settings, ThreadRunner
from ngff_bio.engine.resume.lease import LEASE
from ngff_bio.engine.write import transaction
from ngff_bio.formats.limits import Limits

SMALL: dict[str, Any] = {"size": (24, 30), "images": 2, "instances": 3}
COCO = partial(makers.make_coco_folder, **SMALL)
SMALL_PLATE: dict[str, Any] = {"wells": ((1, 1), (2, 2)), "times": 1, "planes": 1}
COCO_RLE = partial(COCO, segmentations=("polygon", "rle_str", "rle_list"))
TIFF = partial(makers.make_tiff_folder, size=(24, 30))


@dataclass(frozen=True)
class Target:
    """A kind of input.

    Parameters
    ----------
    make
        Writes the undamaged input below a folder.
    reads
        What reads it: ``source``, ``store``, ``requests`` to a server, ``arguments`` of the command
        line; ``value_files``, labels and tables, that are added to a store; ``map``: an interrupted
        `map_images`;
        ``new``, ``append``, ``replace`` or ``commit``: an interrupted write (`interrupted`).
    opened
        The file below the folder that is opened; the folder itself if empty.
    files
        Pattern of the files that are damaged.
    weight
        How often it is damaged. Datasets of many files take longer.
    options
        Of the conversion: names of files relative to the folder.
    """

    make: Callable[[Path], Any]
    reads: str = "source"
    opened: str = ""
    files: str = "*"
    weight: int = 4
    options: Mapping[str, str] = field(default_factory=dict)


def overlapping(folder: Path) -> None:
    """A COCO folder whose first two instances of each image cover the same pixels."""
    COCO(folder)
    for path in folder.glob("coco/annotations/*.json"):
        content = json.loads(path.read_text())
        first, second = content["annotations"][:2]
        second["segmentation"] = first["segmentation"]
        path.write_text(json.dumps(content))


def written_by(test: str, write: Callable[[Any, Path], Any]) -> Callable[[Path], Any]:
    """Maker that uses what a test of a source of annotations writes by hand."""

    def make(folder: Path) -> None:
        path = Path(__file__).parent.parent / f"sources/annotated/test_{test}_source.py"
        spec = importlib.util.spec_from_file_location(f"fuzz_{test}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        write(module, folder)

    return make


def via(tests: Any, folder: Path) -> None:
    """A project of the VGG Image Annotator."""
    name, text = tests.exported("project", tests.SHAPES)
    write_files(folder, {name: text, "a.png": (60, 80)})


def run_length_table(folder: Path) -> None:
    """The training images of the Data Science Bowl with the run lengths of its table."""
    for name in ("a1", "b2"):
        place = folder / f"stage1_train/{name}/images"
        place.mkdir(parents=True)
        Image.fromarray(np.zeros((24, 30), np.uint8)).save(place / f"{name}.png")
    rows = ("ImageId,EncodedPixels", "a1,1 3 30 4", "a1,100 20", "b2,5 9")
    (folder / "stage1_train_labels.csv").write_text("\n".join(rows) + "\n")


def stuff(folder: Path) -> None:
    """Maps of things and stuff of COCO, with the names of their classes."""
    files = {"labels.txt": "0: unlabeled\n1: person\n", "images/train2017/a.jpg": (24, 30)}
    write_files(
        folder, files | {"stuffthingmaps/train2017/a.png": "", "images/val2017/b.jpg": (24, 30)}
    )
    (folder / "stuffthingmaps/val2017").mkdir()
    for name in ("train2017/a.png", "val2017/b.png"):
        Image.fromarray(np.zeros((24, 30), np.uint8)).save(folder / "stuffthingmaps" / name)


def bitmaps(folder: Path) -> None:
    """Images of 8 bits, of colors, and of a palette, in BMP."""
    folder.mkdir(parents=True)
    values = np.arange(24 * 30, dtype=np.uint8).reshape(24, 30)
    Image.fromarray(values).save(folder / "gray.bmp")
    Image.fromarray(np.stack([values] * 3, -1)).save(folder / "rgb.bmp")
    Image.fromarray(values).convert("P").quantize(16).save(folder / "palette.bmp")


def layout(title: str) -> Callable[[Path], Any]:
    """Maker of a layout of the table of formats, by the beginning of its title."""
    (found,) = (one for one in LAYOUTS if one.title.startswith(title))
    return found.write


def archive_of(name: str, mode: Any) -> Callable[[Path], None]:
    """Maker of an archive with a COCO folder; `mode` is a method of zip, or a mode of tarfile."""

    def make(folder: Path) -> None:
        unpacked = folder.with_name(f"{folder.name} unpacked")
        COCO(unpacked)
        folder.mkdir(parents=True)
        paths = {p.relative_to(unpacked).as_posix(): p for p in sorted(unpacked.rglob("*.*"))}
        if isinstance(mode, int):
            with zipfile.ZipFile(folder / name, "w", mode) as packed:
                for inner, path in paths.items():
                    packed.write(path, inner)
        else:
            with tarfile.open(folder / name, mode) as tar:
                for inner, path in paths.items():
                    tar.add(path, inner)

    return make


def store_of(make: Callable[[Path], Any], **settings: Any) -> Callable[[Path], None]:
    """Maker of the store of a source."""

    def converted(folder: Path) -> None:
        source = folder.with_name(f"{folder.name} source")
        make(source)
        ngff_bio.convert(source, folder, settings=Settings(**settings))

    return converted


def packed(folder: Path) -> None:
    """A store in a zip."""
    unpacked = folder.with_name(f"{folder.name} unpacked")
    store_of(COCO)(unpacked)
    folder.mkdir(parents=True)
    ngff_bio.copy(unpacked, folder / "a.ozx")


def edited(folder: Path) -> None:
    """A store with labels, a table and an image that were added, an edited table, and a page."""
    store_of(COCO)(folder)
    image = next(iter(ngff_bio.open(folder).values()))
    ngff_bio.write_labels(image, "new", np.ones((24, 30), np.uint8), classes={1: "one"})
    ngff_bio.write_image(image, "smooth", np.ones((24, 30), np.float32))
    ngff_bio.write_table(image, "values", pa.table({"label": [1, 2], "area": [1.5, None]}))
    rows = image.annotations("objects")
    ngff_bio.update_annotations(image, rows[1:], remove_missing=True)
    ngff_bio.publish(folder, folder, title="A")


def interrupted(how: str) -> Callable[[Path], None]:
    """Maker of a source, and of a store into which something was being written.

    ``new``: a conversion that was cancelled after its first unit; ``append`` and ``replace`` likewise,
    into a store; ``commit``: labels that are visible, and not moved to their place yet.
    """

    def make(folder: Path) -> None:
        source = folder.with_name(f"{folder.name} source")  # which stays the same file in each copy
        TIFF(source, kinds=("imagej",) if how == "new" else ("imagej", "plain"), labels=True)
        folder.mkdir()
        (folder / "source").symlink_to(source)
        store = folder / "a.zarr"
        if how != "new":
            written_to(folder, "")
        if how == "append":
            for part in ("images", "masks"):
                shutil.copy(source / f"tiff/{part}/plain.tif", source / f"tiff/{part}/second.tif")
        with contextlib.suppress(KeyboardInterrupt):
            if how == "commit":
                with patch.object(transaction, "_complete", side_effect=KeyboardInterrupt):
                    image = next(iter(ngff_bio.open(store).values()))
                    shape = image.level().sizes
                    values = np.ones([n for a, n in shape.items() if a != "c"], np.uint8)
                    ngff_bio.write_labels(image, "new", values)
            else:
                written_to(folder, how, stop=True)
            raise AssertionError("the write was not interrupted")
        lease = {"token": "a", "pid": 1, "started": "5", "machine": "b", "host": "c", "beat": 5.5}
        (store / LEASE).write_text(json.dumps(lease))

    return make


def written_to(folder: Path, how: str, *, store: Path | None = None, stop: bool = False) -> None:
    """Convert what `interrupted` has made, and cancel that after the first unit."""

    def progress(done: int, total: int) -> None:
        if stop and done < total:
            raise KeyboardInterrupt

    settings = replace(STATE_SETTINGS, levels=1) if how == "replace" else STATE_SETTINGS
    ngff_bio.convert(
        folder / "source", store or folder / "a.zarr", settings=settings, limits=LIMITS,
        runner=ThreadRunner(1), progress=progress, append=how in ("append", "commit"),
        overwrite=how == "replace",
    )  # fmt: skip


#: Declared limits of the conversions: made images have a few thousand pixels.
LIMITS = Limits(max_pixels=50_000_000, max_bytes=1 << 28)

STATE_SETTINGS = Settings(chunk=None, shard_bytes=1024)


def requests(folder: Path) -> None:
    """A store, and valid requests to its server."""
    store_of(COCO)(folder / "a.zarr")
    shutil.rmtree(folder / "a.zarr source")
    key = min(p for p in (folder / "a.zarr").rglob("*") if p.suffix != ".json" and p.is_file())
    inner = key.relative_to(folder).as_posix()
    lines = {
        "get": "GET /a.zarr/zarr.json HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "head": "HEAD /a.zarr/zarr.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "range": f"GET /{inner} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=1-20\r\n\r\n",
        "options": "OPTIONS /a.zarr/zarr.json HTTP/1.1\r\nHost: localhost\r\nOrigin: x\r\n\r\n",
    }
    for name, text in lines.items():
        (folder / f"{name}.request").write_text(text)


def value_files(folder: Path) -> None:
    """A store, and files with label values and with rows of its images."""
    store_of(COCO)(folder / "a.zarr")
    shutil.rmtree(folder / "a.zarr source")
    values = np.arange(24 * 30, dtype=np.uint16).reshape(24, 30) // 100
    np.save(folder / "values.npy", values)
    Image.fromarray(values).save(folder / "values.tif")
    rows = pa.table({"label": [1, 2, 5], "area": [1.5, 2.25, None], "kind": ["a", "b", "é"]})
    pa.parquet.write_table(rows, folder / "values.parquet")
    pa.csv.write_csv(rows, folder / "values.csv")


def mapped(folder: Path) -> None:
    """A store, and results of a `map_images` that was cancelled on its last image."""
    store_of(partial(COCO, images=3))(folder / "a.zarr")
    shutil.rmtree(folder / "a.zarr source")
    _LAST.append([*ngff_bio.open(folder / "a.zarr")][-1])
    with contextlib.suppress(KeyboardInterrupt):
        map_store(folder / "a.zarr")
        raise AssertionError("it was not interrupted")
    _LAST.clear()


#: The image on which `map_store` is cancelled.
_LAST: list[str] = []


def _bright(part: Any) -> Any:
    if part.attrs["path"] in _LAST:
        raise KeyboardInterrupt
    pixels = part["image"]
    return (pixels.max("c") if "c" in pixels.dims else pixels).values > 100


def map_store(store: Path) -> None:
    """Map all images to labels, on one thread."""
    ngff_bio.map_images(store, _bright, write="labels/found", author="A", workers=1)


def plate_with_wells(folder: Path) -> None:
    """A plate, and a table of what is in its wells beside it."""
    makers.make_plate(folder, "metaxpress", **SMALL_PLATE)
    text = "well,compound,dose\nA01,DMSO,0.5\nB02,,1e-3\n"
    (folder / "wells.csv").write_text(text)


def arguments(folder: Path) -> None:
    """A source, its store, and valid arguments of commands that use them."""
    COCO_RLE(folder / "source")
    ngff_bio.convert(folder / "source", folder / "a.zarr")
    lines = {
        "info": "info a.zarr --limit=2 --json",
        "validate": "validate a.zarr --quick --json",
        "verify": "verify a.zarr --source=source --json",
        "preview": "preview a.zarr --output=out/a.png --label=objects --width=40 --fill=0.5",
        "export": "export a.zarr out/e --to=coco --region=x=0:10,y=2:9 --masks=rle --labels=objects",
        "estimate": "convert source out/b.zarr --dry-run --format=coco --on-error=skip --max-pixels=1M",
        "plate": "convert source out/b.zarr --format=plate --wells=source/w.csv "
        "--pattern=(?P<row>[a-z])(?P<column>\\d+).*\\.png",
        "convert": "convert source out/b.zarr --ome-version=0.4 --chunk=8,8 --shard=16,16 "
        "--levels=2 --codec=zstd-3 --runner=threads --workers=1",
    }
    for name, text in lines.items():
        (folder / f"{name}.arguments").write_bytes(b"\0".join(text.encode().split(b" ")))


TARGETS: dict[str, Target] = {
    "coco": Target(COCO),
    "coco_rle": Target(COCO_RLE),
    "livecell": Target(
        partial(makers.make_livecell, cell_types=("A172",), size_splits=False), weight=2
    ),
    "nuclei": Target(
        partial(makers.make_nuclei, sets=("nuclei_stage1_train", "BBBC007")), weight=2
    ),
    "labelme": Target(partial(makers.make_labelme_folder, **SMALL)),
    "organoid": Target(makers.make_organoid, weight=1),
    "wbc": Target(makers.make_wbc, weight=2),
    "wbc_crops": Target(makers.make_wbc_crops, files="*.csv", weight=1),
    "platelet": Target(makers.make_platelet_em, weight=2),
    "platelet_tif": Target(partial(makers.make_platelet_em, labels=("tif",)), weight=2),
    "masks": Target(makers.make_object_masks),
    "cell_tracking": Target(makers.make_cell_tracking, weight=2),
    "cellpose": Target(makers.make_cellpose, weight=2),
    "ilastik": Target(makers.make_ilastik, weight=2),
    "nnunet": Target(makers.make_nnunet, weight=2),
    "qupath": Target(makers.make_qupath, files="*.*json"),
    "rois": Target(makers.make_rois),
    "yolo": Target(written_by("yolo", lambda t, f: t.coco8(f)), files="*.[ty]*"),
    "voc": Target(written_by("voc", lambda t, f: t.devkit(f))),
    "cvat": Target(written_by("cvat", lambda t, f: t.one_image(f, t.ALL)), files="*.xml"),
    "cvat_video": Target(written_by("cvat", lambda t, f: t.video(f)), files="*.xml"),
    "via": Target(written_by("via", via), files="*.json"),
    "label_studio": Target(
        written_by("label_studio", lambda t, f: t.folder(f, [t.task(*t.RESULTS, *t.OTHERS)])),
        files="*.json",
    ),
    "supervisely": Target(
        written_by("supervisely", lambda t, f: t.project(f, *t.OBJECTS)), files="*.json"
    ),
    "panoptic": Target(written_by("panoptic", lambda t, f: t.dataset(f))),
    "plate_harmony": Target(partial(makers.make_plate, **SMALL_PLATE), files="*.xml"),
    "plate_metaxpress": Target(
        partial(makers.make_plate, instrument="metaxpress", **SMALL_PLATE), files="*.HTD"
    ),
    "plate_wells": Target(
        plate_with_wells, opened="plate", files="wells.csv", options={"wells": "wells.csv"}
    ),
    "plate_cellvoyager": Target(
        partial(makers.make_plate, instrument="cellvoyager", **SMALL_PLATE), files="*.m*"
    ),
    "plate_incell": Target(
        partial(makers.make_plate, instrument="incell", **SMALL_PLATE), files="*.xdce"
    ),
    "plate_scanr": Target(
        partial(makers.make_plate, instrument="scanr", **SMALL_PLATE), files="*.xml"
    ),
    "microscope": Target(makers.make_microscope, weight=1),
    "run_length_csv": Target(run_length_table, files="*.csv"),
    "stuff": Target(stuff),
    "yolo_darknet": Target(layout("YOLO of darknet"), files="*.*[ta]*", weight=2),
    "labelimg": Target(layout("labelImg"), files="*.xml", weight=2),
    "via_csv": Target(layout("VIA CSV"), files="*.csv", weight=2),
    "via_3": Target(layout("VIA 3"), files="*.json"),
    "pannuke": Target(layout("PanNuke"), files="*.npy"),
    "tissuenet": Target(layout("TissueNet"), files="*.npz"),
    "mat_labels": Target(layout("HoVer-Net"), files="*.mat"),
    "box_table": Target(layout("Lists of boxes"), files="*.csv"),
    "createml": Target(layout("CreateML"), files="*.json", weight=2),
    "datumaro": Target(layout("Datumaro"), files="*.json"),
    "slide_xml": Target(layout("Aperio"), files="*.xml"),
    "mot": Target(layout("MOTChallenge"), files="*.[ti][xn]*"),
    "trackmate": Target(layout("TrackMate"), files="*.xml"),
    "napari_shapes": Target(layout("napari"), files="*.csv"),
    "well_table": Target(makers.make_well_table),
    "bmp": Target(bitmaps, files="*.bmp"),
    "png": Target(partial(COCO, kinds=("png", "rgba", "palette", "png16")), files="*.png"),
    "jpeg": Target(partial(COCO, kinds=("jpg",)), files="*.jpg"),
    "tiff": Target(TIFF, files="*.tif*", weight=2),
    "ome": Target(partial(TIFF, kinds=("ome", "ome_rgb"))),
    "imagej": Target(partial(TIFF, kinds=("imagej",))),
    "label_images": Target(partial(TIFF, kinds=("plain", "palette"), labels=True)),
    "zip": Target(archive_of("a.zip", zipfile.ZIP_DEFLATED), opened="a.zip"),
    "zips": Target(archive_of("a.zip", zipfile.ZIP_STORED), opened="a.zip"),
    "tar": Target(archive_of("a.tar", "w"), opened="a.tar"),
    "tgz": Target(archive_of("a.tgz", "w:gz"), opened="a.tgz", weight=1),
    "txz": Target(archive_of("a.txz", "w:xz"), opened="a.txz", weight=1),
    "store04": Target(store_of(overlapping, version="0.4"), "store"),
    "store05": Target(store_of(overlapping, version="0.5"), "store"),
    "store06": Target(store_of(overlapping, version="0.6"), "store"),
    "storeplain": Target(store_of(overlapping, consolidated=False), "store", files="*.json"),
    "storeplate": Target(store_of(makers.make_organoid), "store", weight=1),
    "storetracks": Target(store_of(makers.make_cell_tracking), "store", weight=1),
    "storezip": Target(packed, "store", opened="a.ozx"),
    "storeedited": Target(edited, "store", files="*.json", weight=2),
    "tables": Target(store_of(overlapping), "store", files="*.parquet"),
    "chunks": Target(store_of(overlapping, chunk=(8, 8)), "store", files="c/*/*"),
    "state": Target(interrupted("new"), "new", files="a.zarr/.ngff_bio/**/*", weight=2),
    "append": Target(interrupted("append"), "append", files="a.zarr/.ngff_bio/**/*.json", weight=1),
    "replace": Target(
        interrupted("replace"), "replace", files="a.zarr/.ngff_bio/**/*.json", weight=2
    ),
    "commit": Target(interrupted("commit"), "commit", files="a.zarr/.ngff_bio/*.json", weight=1),
    "label_files": Target(value_files, "value_files", files="values.*"),
    "map": Target(mapped, "map", files="a.zarr/.ngff_bio/**/*", weight=2),
    "requests": Target(requests, "requests", files="*.request"),
    "arguments": Target(arguments, "arguments", files="*.arguments", weight=2),
}


def damaged_files(target: Target, place: Path) -> dict[str, bytes]:
    """The files of a target that are damaged, by name."""
    pattern = target.files if target.files != "*" else target.opened or "*"
    paths = place.glob(pattern) if "/" in pattern and "**" in pattern else place.rglob(pattern)
    return {
        p.relative_to(place).as_posix(): p.read_bytes()
        for p in sorted(paths)
        if p.is_file() and p.stat().st_size
    }
