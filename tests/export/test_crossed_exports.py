"""From each collection to formats that it did not come in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from labelme_loader import labelme_label_file, labelme_shape_to_mask
from makers import make_livecell, make_nuclei, make_organoid, make_wbc
from PIL import Image
from pycocotools.coco import COCO
from yolo_lines import read_line

from ngff_bio import convert
from ngff_bio.export import export


@pytest.fixture(scope="module")
def livecell(tmp_path_factory):
    folder = tmp_path_factory.mktemp("livecell")
    made = make_livecell(
        folder, cell_types=("SkBr3",), single_cells=False, size_splits=False, crowd_every=4
    )
    convert(made.root, folder / "store.zarr")
    return made.root, folder / "store.zarr"


@pytest.fixture(scope="module")
def organoid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("organoid")
    made = make_organoid(folder, trees=["Tracking"], unequal_sizes=True)
    convert(made.root, folder / "store.zarr")
    return made.root, folder / "store.zarr"


def annotations_by_name(root: Path) -> dict[str, tuple[COCO, list[dict]]]:
    found = {}
    for path in root.rglob("*.json"):
        coco = COCO(path)
        for image in coco.imgs.values():
            found[Path(image["file_name"]).stem] = (coco, coco.imgToAnns[image["id"]])
    return found


def test_labelme_holds_polygons_of_livecell_verbatim_and_runs_as_masks(livecell, tmp_path):
    root, store = livecell
    export(store, tmp_path / "out", to="labelme")
    load, known, seen = labelme_label_file(), annotations_by_name(root), set()
    for path in (tmp_path / "out").rglob("*.json"):
        coco, anns = known.get(path.stem, (None, []))
        shapes = load(str(path)).shapes
        polygons = [a["segmentation"] for a in anns if isinstance(a["segmentation"], list)]
        expected = [np.reshape(part, (-1, 2)).tolist() for parts in polygons for part in parts]
        assert [s["points"] for s in shapes if s["shape_type"] == "polygon"] == expected
        masks = [coco.annToMask(a) for a in anns if not isinstance(a["segmentation"], list)]
        found = [s for s in shapes if s["shape_type"] == "mask"]
        for shape, mask in zip(found, masks, strict=True):
            drawn = np.zeros(mask.shape, bool)
            (x0, y0), (x1, y1) = np.array(shape["points"], int)
            drawn[y0 : y1 + 1, x0 : x1 + 1] = shape["mask"]
            np.testing.assert_array_equal(drawn, mask)
        seen |= {s["shape_type"] for s in shapes}
    assert seen == {"polygon", "mask"}


def test_coco_holds_boxes_tracks_and_pixels_of_labelme_rectangles(organoid, tmp_path):
    root, store = organoid
    export(store, tmp_path / "a.json", to="coco")
    coco, draw = COCO(tmp_path / "a.json"), labelme_shape_to_mask()
    for image in coco.imgs.values():
        content = json.loads((root / image["file_name"]).with_suffix(".json").read_text())
        img = tifffile.imread(root / image["file_name"])
        assert (image["height"], image["width"]) == img.shape[:2]
        anns = coco.imgToAnns[image["id"]]
        for ann, shape in zip(anns, content["shapes"], strict=True):
            low, high = np.sort(shape["points"], axis=0)
            np.testing.assert_allclose(ann["bbox"], [*low, *(high - low)])
            assert ann["track_id"] == shape["label"]
            mask = draw(img.shape[:2], [low.tolist(), high.tolist()], "rectangle")
            np.testing.assert_array_equal(coco.annToMask(ann).astype(bool), mask)


def test_frames_of_unequal_size_are_cut_back(organoid, tmp_path):
    root, store = organoid
    export(store, tmp_path / "ome", to="ome-tiff")
    export(store, tmp_path / "yolo", to="yolo", images=True)
    sizes = {tifffile.imread(p).shape[:2] for p in root.rglob("*.tif")}
    assert len(sizes) > 1
    written = [np.array(Image.open(p)) for p in (tmp_path / "yolo" / "images").rglob("*.png")]
    assert {p.shape[:2] for p in written} == sizes
    image_files = {tifffile.imread(p).tobytes() for p in root.rglob("*.tif")}
    assert {p.tobytes() for p in written} == image_files
    ome = [p for p in (tmp_path / "ome").rglob("*.ome.tif") if p.name.count(".") == 2]
    assert {s for p in ome for s in [tifffile.imread(p).squeeze().shape[:2]]} >= sizes


def test_times_are_in_ome_tiff(tmp_path):
    made = make_organoid(tmp_path, trees=["Tracking"])
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="ome-tiff")
    checked = 0
    for path in (tmp_path / "out").rglob("*.ome.tif"):
        with tifffile.TiffFile(path) as tiff:
            image = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
            if "T" in tiff.series[0].axes and image["Pixels"]["SizeT"] > 1:
                assert image["Pixels"]["TimeIncrement"] == 24
                assert image["Pixels"]["TimeIncrementUnit"] == "h"
                checked += 1
    assert checked


def test_rgb_images_of_ome_tiff_are_rgb(tmp_path):
    made = make_wbc(tmp_path)
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="ome-tiff", labels=None, images=True)
    export(tmp_path / "store.zarr", tmp_path / "png", to="yolo", images=True)
    stack = made.stacks[0]
    (path,) = (
        p
        for p in (tmp_path / "out").rglob("*.ome.tif")
        if p.name.startswith(f"{stack.img_num:04}") and p.name.count(".") == 2
    )
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages[0].photometric == tifffile.PHOTOMETRIC.RGB
        pixels = tiff.asarray()
    for z in range(10):
        name = next((tmp_path / "png" / "images").rglob(f"{stack.img_num:04}_*_{z:03}_*.png"))
        np.testing.assert_array_equal(pixels[z], np.array(Image.open(name)))


def test_splits_of_yolo_are_lists_of_images(livecell, tmp_path):
    root, store = livecell
    export(store, tmp_path / "out", to="yolo", images=True)
    lines = (tmp_path / "out" / "data.yaml").read_text().splitlines()
    for split in ("train", "val", "test"):
        (line,) = [x for x in lines if x.startswith(f"{split}:")]
        listed = (
            (tmp_path / "out" / json.loads(line.partition(": ")[2])).read_text().split("\n")[:-1]
        )
        assert all((tmp_path / "out" / name).exists() for name in listed)
        (file,) = root.rglob(f"*_{split}.json")
        images = json.loads(file.read_text())["images"]
        assert {Path(n).stem for n in listed} == {Path(i["file_name"]).stem for i in images}


def test_yolo_boxes_are_those_of_the_source(livecell, tmp_path):
    root, store = livecell
    export(store, tmp_path / "out", to="yolo")
    known = annotations_by_name(root)
    for path in (tmp_path / "out" / "labels").rglob("*.txt"):
        coco, anns = known.get(path.stem, (None, []))
        lines = path.read_text().splitlines()
        assert len(lines) == len(anns)
        for line, ann in zip(lines, anns, strict=True):
            image = coco.imgs[ann["image_id"]]
            number, (cx, cy, w, h) = read_line(line, (image["height"], image["width"]))
            assert number == 0
            x, y, width, height = ann["bbox"]
            right = min(x + width, image["width"])
            bottom = min(y + height, image["height"])
            x, y = max(x, 0), max(y, 0)
            np.testing.assert_allclose(
                [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], [x, y, right, bottom], atol=1e-3
            )


def test_runs_of_overlapping_instances_are_all_there(tmp_path):
    made = make_nuclei(tmp_path, sets=("BBBC006",), overlap=True)
    convert(made.root, tmp_path / "store.zarr")
    report = export(tmp_path / "store.zarr", tmp_path / "out", to="rle-json")
    assert any("overlap" in n.what for n in report.notices)
    (file,) = made.root.rglob("*.json")
    coco = COCO(file)
    covered = sum(int(coco.annToMask(a).sum()) for a in coco.anns.values())
    lengths = 0
    for path in (tmp_path / "out").rglob("*.json"):
        content = json.loads(path.read_text())
        lengths += sum(int(n) for k, v in content.items() if k != ".info" for n in v.split()[1::2])
    visible = sum(
        int(np.any([coco.annToMask(a) for a in anns], axis=0).sum())
        for anns in coco.imgToAnns.values()
    )
    assert lengths >= covered > visible


def test_covered_instances_are_whole_in_coco(tmp_path):
    """As polygons, so that they are read from label images and not from the source's runs."""
    made = make_nuclei(tmp_path, sets=("BBBC006", "BBBC020"), overlap=True)
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "a.json", to="coco", masks="polygons")
    written = COCO(tmp_path / "a.json")
    by_name = {i["file_name"].rpartition("/")[2]: i["id"] for i in written.imgs.values()}
    for path in made.root.rglob("*.json"):
        source = COCO(path)
        for image in source.imgs.values():
            expected = {a["id"]: source.annToMask(a) for a in source.imgToAnns[image["id"]]}
            found = written.imgToAnns[by_name[image["file_name"]]]
            assert [int(a["source_id"]) for a in found] == list(expected)
            for ann in found:
                np.testing.assert_array_equal(
                    written.annToMask(ann), expected[int(ann["source_id"])]
                )
