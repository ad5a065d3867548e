"""`check_source`: every built-in source and the example keep the contract; broken ones do not."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import makers
import numpy as np
import pytest

import ngff_bio
from ngff_bio.errors import SourceError
from ngff_bio.formats.problems import Problems
from ngff_bio.model import ArrayPixels, InstanceLayer, SourceDataset
from ngff_bio.sources import Source, registry, sources
from ngff_bio.testing import SourceContractError, check_source

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "example_source"

DATASETS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "platelet-em": ("platelet-em", lambda p: makers.make_platelet_em(p, size="tiny")),
    "nuclei": ("nuclei", lambda p: makers.make_nuclei(p, size="tiny")),
    "livecell": ("livecell", lambda p: makers.make_livecell(p, cell_types=["BV2"])),
    "livecell, zipped": (
        "livecell",
        lambda p: makers.make_livecell(p, cell_types=["BV2"], zipped=True),
    ),
    "organoid": ("organoid", lambda p: makers.make_organoid(p, unequal_sizes=True)),
    "wbc": ("wbc", makers.make_wbc),
    "wbc crops": ("wbc", makers.make_wbc_crops),
    "coco": ("coco", makers.make_coco_folder),
    "labelme": ("labelme", makers.make_labelme_folder),
    "cell-tracking": ("cell-tracking", makers.make_cell_tracking),
    "cellpose": ("cellpose", makers.make_cellpose),
    "ilastik": ("ilastik", makers.make_ilastik),
    "nnunet": ("nnunet", makers.make_nnunet),
    "qupath": ("qupath", makers.make_qupath),
    "rois": ("rois", makers.make_rois),
    "well-table": ("well-table", makers.make_well_table),
    "object-masks": ("object-masks", makers.make_object_masks),
    "microscope": ("microscope", makers.make_microscope),
    "images": ("images", lambda p: makers.make_tiff_folder(p, labels=True)),
}


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_built_in_source_keeps_the_contract(dataset: str, tmp_path: Path) -> None:
    source, make = DATASETS[dataset]
    check_source(source, make(tmp_path).root)


def test_every_source_is_checked() -> None:
    tests = (Path(__file__).parent.parent / "sources").rglob("test_*.py")
    named = {n for t in tests for n in re.findall(r'check_source\("([\w-]+)"', t.read_text())}
    assert {source for source, _ in DATASETS.values()} | named == sources().keys() - {"tiff"}


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    """The example source, found by its entry point, and a dataset of it."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.delitem(sys.modules, "npy_boxes", raising=False)
    entry = EntryPoint("npy-boxes", "npy_boxes:SOURCE", registry.GROUP)
    assert f'{entry.name} = "{entry.value}"' in (EXAMPLE / "pyproject.toml").read_text()
    assert registry.GROUP in (EXAMPLE / "pyproject.toml").read_text()
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    folder = tmp_path / "boxes"
    folder.mkdir()
    noise = np.random.default_rng(0)
    for name, kind in (("a b.npy", np.uint8), ("c.npy", np.float32), ("large.npy", np.uint16)):
        size = (700, 600) if name == "large.npy" else (40, 50)
        np.save(folder / name, noise.integers(0, 200, size).astype(kind))
    with (folder / "boxes.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "x", "y", "width", "height", "category"])
        rows.writerow(["a b.npy", 3, 4, 10, 6, "cell"])
        rows.writerow(["a b.npy", 20, 30, 8, 9.5, "debris"])
        rows.writerow(["large.npy", 100, 200, 30, 40, "cell"])
    return sources()["npy-boxes"], folder


def test_the_example_is_found_and_keeps_the_contract_in_80_lines(example: Any) -> None:
    source, folder = example
    check_source(source, folder)
    check_source("npy-boxes", folder)
    assert len((EXAMPLE / "npy_boxes.py").read_text().splitlines()) < 80


def test_the_example_converts(example: Any, tmp_path: Path) -> None:
    _, folder = example
    report = ngff_bio.convert(folder, tmp_path / "out.zarr")
    assert (report.images, report.instances) == (3, 3)
    image = ngff_bio.open(tmp_path / "out.zarr")["a_b.npy"]
    np.testing.assert_array_equal(image.level(0)["image"].values, np.load(folder / "a b.npy"))
    assert image.annotations().category.tolist() == ["cell", "debris"]
    assert not [f for f in ngff_bio.validate(tmp_path / "out.zarr") if f.level == "error"]


@dataclass(frozen=True)
class Changed:
    """Pixels or instances with one behaviour replaced."""

    inner: Any
    changes: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self.changes.get(name)
        return getattr(self.inner, name) if found is None else found

    def read(self, *region: Any) -> Any:
        return self.changes.get("after", _same)(self.inner.read(*region))

    def source_parts(self) -> Any:
        return self.changes.get("parts", self.inner.source_parts())


def _same(block: Any) -> Any:
    return block


def _first_row(block: Any) -> Any:
    return block * 0 + block[:1]


def _swapped(block: Any) -> Any:
    return block.astype(block.dtype.newbyteorder("S"))


def _column_major(block: Any) -> Any:
    return np.asfortranarray(block)


def _far(instances: Any) -> Any:
    return [replace(i, geometry=replace(i.geometry, x0=900, x1=910)) for i in instances]


def _zero(instances: Any) -> Any:
    return [replace(i, value=0) for i in instances]


def _with_pixels(change: Callable[[Any], Any]) -> Callable[[SourceDataset], SourceDataset]:
    return lambda d: d.with_images(replace(i, pixels=change(i.pixels)) for i in d.images)


def _with_instances(change: Callable[[Any], Any]) -> Callable[[SourceDataset], SourceDataset]:
    def changed(layer: InstanceLayer) -> InstanceLayer:
        return replace(layer, instances=change(layer.instances))

    return lambda d: d.with_images(
        replace(i, labels=tuple(map(changed, i.labels)))  # type: ignore[arg-type]
        for i in d.images
    )


BROKEN: dict[str, tuple[Callable[[SourceDataset], SourceDataset], str]] = {
    "no image": (lambda d: replace(d, images=()), "no image"),
    "one path": (
        lambda d: d.with_images(replace(i, path="a") for i in d.images),
        "have the path 'a'",
    ),
    "axes": (lambda d: d.with_images(replace(i, axes=i.axes[::-1]) for i in d.images), "axes xy"),
    "pixels in memory": (
        _with_pixels(lambda p: ArrayPixels(p.read(tuple((0, n) for n in p.shape)))),
        "it holds data",
    ),
    "no pickle": (_with_pixels(lambda p: Changed(p, {"x": lambda: 0})), "does not pickle"),
    "another crop": (_with_pixels(lambda p: Changed(p, {"after": _first_row})), "differs from"),
    "byte order": (_with_pixels(lambda p: Changed(p, {"after": _swapped})), "a block is"),
    "order": (_with_pixels(lambda p: Changed(p, {"after": _column_major})), "not C-contiguous"),
    "undeclared": (_with_pixels(lambda p: Changed(p, {"parts": ()})), "not declared"),
    "unknown parts": (_with_pixels(lambda p: Changed(p, {"parts": (None,)})), "does not declare"),
    "outside": (_with_instances(lambda i: Changed(i, {"after": _far})), "outside of its frame"),
    "value 0": (_with_instances(lambda i: Changed(i, {"after": _zero})), "label value 0"),
    "fewer": (_with_instances(lambda i: Changed(i, {"after": lambda x: x[1:]})), "pickle"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_source_that_breaks_the_contract_is_named_with_the_reason(example: Any, how: str) -> None:
    source, folder = example
    change, why = BROKEN[how]
    broken = replace(source, read=lambda tree, problems: change(source.read(tree, problems)))
    with pytest.raises(SourceContractError, match=why):
        check_source(broken, folder)


def test_detection_is_checked_on_the_dataset_and_on_an_empty_folder(example: Any) -> None:
    source, folder = example
    for answer in (0, 1):
        with pytest.raises(SourceContractError, match="detect"):
            check_source(replace(source, detect=lambda tree, n=answer: n), folder)


def test_pixels_that_are_read_too_early_are_found(example: Any) -> None:
    source, folder = example

    def eager(tree: Any, problems: Problems) -> SourceDataset:
        for name in tree.names():
            tree.file(name).read()
        return source.read(tree, problems)

    with pytest.raises(SourceContractError, match=r"large\.npy: pixels are read on demand"):
        check_source(replace(source, read=eager), folder)


def test_errors_that_are_not_of_the_package_or_name_no_file_are_found(example: Any) -> None:
    source, folder = example

    def raising(error: Exception) -> Callable[[Any], SourceDataset]:
        def read(tree: Any, problems: Problems) -> SourceDataset:
            try:
                return source.read(tree, problems)
            except SourceError:
                raise error from None

        return read

    with pytest.raises(SourceContractError, match="raises KeyError"):
        check_source(replace(source, read=raising(KeyError("x"))), folder)
    with pytest.raises(SourceContractError, match="does not name it"):
        check_source(replace(source, read=raising(SourceError("something is wrong"))), folder)


def test_damage_that_is_ignored_is_found(example: Any) -> None:
    source, folder = example

    def careless(tree: Any, problems: Problems) -> SourceDataset:
        try:
            return source.read(tree, problems)
        except SourceError:
            return SourceDataset("x", "x", "x", "collection", ())

    with pytest.raises(SourceContractError, match="the error does not name it"):
        check_source(replace(source, read=careless), folder)


def test_an_identity_that_stays_when_the_file_changes_is_found(
    example: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ngff_bio.sources.files.ranges import LocalFile

    monkeypatch.setattr(LocalFile, "identity", property(lambda self: self.name))
    with pytest.raises(SourceContractError, match=r"the identity of a b\.npy stays"):
        check_source(*example)


def test_modules_that_the_architecture_page_names_exist() -> None:
    import re

    text = (ROOT / "docs" / "architecture.md").read_text()
    assert len(text.splitlines()) < 60
    named = re.findall(r"`([a-z_0-9]+(?:/[a-z_0-9]+)*(?:\.py|/))`", text)
    assert len(named) > 20
    assert [n for n in named if not (ROOT / "ngff_bio" / n).exists()] == []
