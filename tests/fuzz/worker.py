"""Converts or reads one damaged input at a time, and says how that ended. Runs in a process of its own.

Reads a JSON object a line (``kind``, ``name``, ``input``: a path) and prints one: ``result`` is
``equal`` (converted or read without an error), ``refused`` (one typed error) or ``unexpected``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import sys
import tarfile
import tempfile
import traceback
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import makers

import ngff_bio
from ngff_bio.checks import validate
from ngff_bio.checks.source.verify import verify
from ngff_bio.errors import NgffBioError
from ngff_bio.formats.limits import Limits
from ngff_bio.reader.describe import describe

#: Address space that a worker may take beyond what it has at its start, in bytes.
MEMORY = 4 << 30

#: Declared limits of the conversions: made images have a few thousand pixels.
LIMITS = Limits(max_pixels=50_000_000, max_bytes=1 << 28)

SMALL: dict[str, Any] = {"size": (24, 30), "images": 2, "instances": 3}
COCO = partial(makers.make_coco_folder, **SMALL)

#: Maker of the source of each kind.
SOURCES: dict[str, Callable[[Path], Any]] = {
    "coco": COCO,
    "coco_rle": partial(COCO, segmentations=("polygon", "rle_str", "rle_list")),
    "livecell": makers.make_livecell,
    "nuclei": makers.make_nuclei,
    "labelme": partial(makers.make_labelme_folder, **SMALL),
    "organoid": makers.make_organoid,
    "wbc": makers.make_wbc,
    "wbc_crops": makers.make_wbc_crops,
    "platelet": makers.make_platelet_em,
    "platelet_tif": partial(makers.make_platelet_em, labels=("tif",)),
    "png": partial(COCO, kinds=("png", "rgba", "palette")),
    "jpeg": partial(COCO, kinds=("jpg",)),
    "tiff": makers.make_tiff_folder,
}

#: How an archive of the kind is written.
ARCHIVES = {"zip": "a.zip", "zips": "a.zip", "tar": "a.tar", "tgz": "a.tgz", "txz": "a.txz"}

#: Maker of the source and settings of each kind of store.
STORES: dict[str, tuple[Callable[[Path], Any], dict[str, Any]]] = {
    "store04": (lambda folder: overlapping(folder), {"version": "0.4"}),
    "store05": (lambda folder: overlapping(folder), {"version": "0.5"}),
    "store06": (lambda folder: overlapping(folder), {"version": "0.6"}),
    "storeplate": (makers.make_organoid, {}),
}


def overlapping(folder: Path) -> None:
    """A COCO folder whose first two instances of each image cover the same pixels."""
    COCO(folder)
    for path in folder.glob("coco/annotations/*.json"):
        content = json.loads(path.read_text())
        first, second = content["annotations"][:2]
        second["segmentation"] = first["segmentation"]
        path.write_text(json.dumps(content))


def write_archive(folder: Path, kind: str) -> None:
    """Pack everything below a folder into an archive inside it."""
    archive = folder / ARCHIVES[kind]
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    if kind.startswith("zip"):
        method = zipfile.ZIP_STORED if kind == "zips" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(archive, "w", method) as packed:
            for path in paths:
                packed.write(path, path.relative_to(folder).as_posix())
        return
    mode: Any = {"tar": "w", "tgz": "w:gz", "txz": "w:xz"}[kind]
    with tarfile.open(archive, mode) as tar:
        for path in paths:
            tar.add(path, path.relative_to(folder).as_posix())


class Worker:
    """Made datasets of each kind that was asked for, and a place for what is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Path] = {}

    def made(self, kind: str) -> Path:
        """The undamaged dataset or store of a kind; made once."""
        if kind not in self._made:
            place = self._folder / "made" / kind
            if kind in STORES:
                make, settings = STORES[kind]
                make(place.with_name(f"{kind} source"))
                ngff_bio.convert(
                    place.with_name(f"{kind} source"),
                    place,
                    settings=ngff_bio.Settings(**settings),
                )
            elif kind in ARCHIVES:
                COCO(place)
                write_archive(place, kind)
            else:
                SOURCES[kind](place)
            self._made[kind] = place
        return self._made[kind]

    def run(self, kind: str, name: str, data: bytes) -> dict[str, str]:
        """Replace a file of a kind's dataset, convert or read it, put the file back."""
        place = self.made(kind)
        target = place / name
        before = target.read_bytes() if target.exists() else None
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        scratch = self._folder / "scratch"
        scratch.mkdir()
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                if kind in STORES:
                    return self._read(place, scratch)
                return self._convert(target if kind in ARCHIVES else place, scratch)
        except NgffBioError as error:
            try:
                return {"result": "refused", "what": str(error).encode().decode()}
            except UnicodeEncodeError:
                return {"result": "unexpected", "what": "the error's text cannot be printed"}
        except BaseException as error:
            where = "".join(traceback.format_exception(error)[-8:])
            return {"result": "unexpected", "what": where}
        finally:
            shutil.rmtree(scratch)
            if before is None:
                target.unlink()
            else:
                target.write_bytes(before)

    def _convert(self, source: Path, scratch: Path) -> dict[str, str]:
        store = scratch / "a.zarr"
        try:
            ngff_bio.convert(source, store, limits=LIMITS)
        except NgffBioError:
            with contextlib.suppress(NgffBioError):
                ngff_bio.open(store)
                raise AssertionError(
                    "a store that a failed conversion left can be opened"
                ) from None
            raise
        found = verify(store, source)
        assert found.equal, f"verify: {'; '.join(map(str, found.differences[:5]))}"
        wrong = [str(f) for f in validate(store) if f.level == "error"]
        assert not wrong, f"validate: {'; '.join(wrong[:5])}"
        return {"result": "equal", "what": ""}

    def _read(self, store: Path, scratch: Path) -> dict[str, str]:
        """Everything that reads a store is tried, whatever the others raise."""
        refused: list[str] = []
        steps: dict[str, Callable[[], object]] = {
            "open": lambda: _opened(store),
            "describe": lambda: describe(store),
            "validate": lambda: validate(store),
            "verify": lambda: verify(store),
            "coco": lambda: ngff_bio.export(store, scratch / "coco.json", to="coco"),
            "parquet": lambda: ngff_bio.export(store, scratch / "parquet", to="parquet"),
        }
        for name, step in steps.items():
            try:
                step()
            except NgffBioError as error:
                refused.append(f"{name}: {error.what}")
        return {"result": "refused" if refused else "equal", "what": "; ".join(refused)}


def _opened(store: Path) -> None:
    dataset = ngff_bio.open(store)
    list(dataset.images.columns)
    for path in dataset:
        image = dataset[path]
        image.level(0).compute()
        image.annotations()
        image.html()


def main() -> None:
    """Answer requests until the input ends."""
    folder = Path(tempfile.mkdtemp(prefix="ngff-bio-fuzz-"))
    tempfile.tempdir = str(folder)
    out = os.fdopen(os.dup(1), "w")
    worker = Worker(folder)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            data = Path(asked["input"]).read_bytes()
            print(json.dumps(worker.run(asked["kind"], asked["name"], data)), file=out, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
