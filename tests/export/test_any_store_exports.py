"""From a store of volumes to formats of instances on planes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from labelme_loader import labelme_label_file, labelme_shape_to_mask
from makers import make_platelet_em
from PIL import Image
from pycocotools.coco import COCO
from skimage.draw import polygon as fill_polygon
from yolo_lines import read_line

from ngff_bio import convert
from ngff_bio.export import export

SHAPE = (3, 40, 56)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("platelet")
    made = make_platelet_em(folder, volumes=["50"], size=SHAPE)
    convert(made.root, folder / "store.zarr")
    return folder / "store.zarr", made.volumes["50"]


def instances(labels):
    return {int(v): labels == v for v in np.unique(labels) if v}


@pytest.mark.parametrize("masks", [None, "rle", "polygons"])
def test_pycocotools_reads_every_mask_of_every_slice(made, tmp_path, masks):
    store, volume = made
    report = export(store, tmp_path / "a.json", to="coco", masks=masks)
    coco = COCO(tmp_path / "a.json")
    assert len(coco.imgs) == SHAPE[0]
    assert report.instances == len(coco.anns)
    for image in coco.imgs.values():
        z = image["id"] - 1
        assert (image["height"], image["width"]) == SHAPE[1:]
        for layer, key in (("instance-cell", "cell"), ("instance-organelle", "organelle")):
            anns = [a for a in coco.imgToAnns[image["id"]] if a["layer"] == layer]
            found = {int(a["source_id"]): coco.annToMask(a).astype(bool) for a in anns}
            expected = instances(volume.labels[key][z])
            assert found.keys() == expected.keys()
            for value, mask in expected.items():
                np.testing.assert_array_equal(found[value], mask)
            for a in anns:
                rows, columns = np.nonzero(expected[int(a["source_id"])])
                x, y, w, h = a["bbox"]
                assert (x, y, x + w, y + h) == (
                    columns.min(),
                    rows.min(),
                    columns.max() + 1,
                    rows.max() + 1,
                )
                assert a["area"] == rows.size


def test_classes_are_those_of_the_source(made, tmp_path):
    store, _ = made
    export(store, tmp_path / "a.json", to="coco", labels="semantic")
    coco = COCO(tmp_path / "a.json")
    names = {c["id"]: c["name"] for c in coco.cats.values()}
    assert names[2] == "mitochondria"
    assert {a["category_id"] for a in coco.anns.values()} <= names.keys()


def test_a_layer_of_classes_is_named_when_left_out(made, tmp_path):
    report = export(made[0], tmp_path / "a.json", to="coco")
    (notice,) = report.skipped
    assert notice.record == "semantic"


def test_a_region_of_coco_holds_its_pixels(made, tmp_path):
    store, volume = made
    export(
        store,
        tmp_path / "a.json",
        to="coco",
        region="z=1,y=5:25,x=10:50",
        labels="instance-organelle",
    )
    coco = COCO(tmp_path / "a.json")
    expected = instances(volume.labels["organelle"][1, 5:25, 10:50])
    found = {int(a["source_id"]): coco.annToMask(a).astype(bool) for a in coco.anns.values()}
    assert found.keys() == expected.keys()
    for value, mask in expected.items():
        np.testing.assert_array_equal(found[value], mask)


def test_image_files_of_coco_hold_the_pixels(made, tmp_path):
    store, volume = made
    export(store, tmp_path / "out", to="coco", images=True)
    for image in COCO(tmp_path / "out" / "annotations.json").imgs.values():
        with Image.open(tmp_path / "out" / "images" / image["file_name"]) as img:
            np.testing.assert_array_equal(np.array(img), volume.image[image["id"] - 1])


def test_labelme_reads_the_files_and_draws_the_same_masks(made, tmp_path):
    store, volume = made
    load, draw = labelme_label_file(), labelme_shape_to_mask()
    del draw  # masks carry their own pixels
    export(store, tmp_path / "out", to="labelme", labels="instance-cell")
    files = sorted((tmp_path / "out").rglob("*.json"))
    assert len(files) == SHAPE[0]
    for z, file in enumerate(files):
        label_file = load(str(file))
        assert label_file.imageData is not None
        expected = instances(volume.labels["cell"][z])
        assert len(label_file.shapes) == len(expected)
        found = {}
        for shape in label_file.shapes:
            mask = np.zeros(SHAPE[1:], bool)
            (x0, y0), (x1, y1) = np.array(shape["points"], int)
            mask[y0 : y1 + 1, x0 : x1 + 1] = shape["mask"]
            found[int(shape["other_data"]["source_id"])] = mask
        for value, mask in expected.items():
            np.testing.assert_array_equal(found[value], mask)


def test_labelme_polygons_hold_each_mask_and_its_border_alone(made, tmp_path):
    store, volume = made
    draw = labelme_shape_to_mask()
    load = labelme_label_file()
    export(store, tmp_path / "out", to="labelme", labels="instance-cell", masks="polygons")
    for z, file in enumerate(sorted((tmp_path / "out").rglob("*.json"))):
        found = {}
        for shape in load(str(file)).shapes:
            assert shape["shape_type"] == "polygon"
            drawn = draw(SHAPE[1:], shape["points"], "polygon")
            value = int(shape["other_data"]["source_id"])
            found[value] = found.get(value, False) | drawn
        for value, mask in instances(volume.labels["cell"][z]).items():
            grown = mask.copy()
            grown[1:] |= mask[:-1]
            grown[:, 1:] |= grown[:, :-1].copy()
            assert not (mask & ~found[value]).any()
            assert not (found[value] & ~grown).any()


def test_yolo_boxes_enclose_the_instances(made, tmp_path):
    store, volume = made
    export(store, tmp_path / "out", to="yolo", labels="instance-organelle", images=True)
    texts = sorted((tmp_path / "out" / "labels").rglob("*.txt"))
    image_files = sorted(p for p in (tmp_path / "out" / "images").rglob("*") if p.is_file())
    assert [p.stem for p in texts] == [p.stem for p in image_files]
    for z, text in enumerate(texts):
        lines = text.read_text().splitlines()
        boxes = []
        for line in lines:
            _, (cx, cy, w, h) = read_line(line, SHAPE[1:])
            boxes.append([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
        expected = []
        for mask in instances(volume.labels["organelle"][z]).values():
            rows, columns = np.nonzero(mask)
            expected.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        np.testing.assert_allclose(boxes, expected, atol=1e-3)


def test_yolo_outlines_fill_the_instances(made, tmp_path):
    store, volume = made
    export(store, tmp_path / "out", to="yolo-seg", labels="instance-cell")
    for z, text in enumerate(sorted((tmp_path / "out" / "labels").rglob("*.txt"))):
        masks = instances(volume.labels["cell"][z]).values()
        for line, mask in zip(text.read_text().splitlines(), masks, strict=True):
            _, flat = read_line(line, SHAPE[1:])
            drawn = np.zeros(SHAPE[1:], bool)
            xy = np.round(np.reshape(flat, (-1, 2)), 3)
            drawn[fill_polygon(xy[:, 1] - 0.5, xy[:, 0] - 0.5, drawn.shape)] = True
            np.testing.assert_array_equal(drawn, mask)


def test_yolo_names_its_classes(made, tmp_path):
    export(made[0], tmp_path / "out", to="yolo", labels="semantic")
    text = (tmp_path / "out" / "data.yaml").read_text()
    assert '  1: "mitochondria"' in text


def test_duckdb_reads_all_instances_of_all_images(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    made = make_platelet_em(tmp_path, size=SHAPE)
    convert(made.root, tmp_path / "store.zarr")
    report = export(tmp_path / "store.zarr", tmp_path / "all.parquet", to="parquet")
    counts = dict(
        duckdb.sql(
            f"select image || '/' || layer, count(*) from '{tmp_path}/all.parquet' group by 1"
        ).fetchall()
    )
    expected = {
        f"{name}/instance-{key}": len(instances(volume.labels[key]))
        for name, volume in made.volumes.items()
        for key in ("cell", "organelle")
    }
    assert counts == expected
    assert report.instances == sum(expected.values())


def test_a_region_of_parquet_holds_the_instances_in_it(made, tmp_path):
    import pyarrow.parquet as pq

    store, volume = made
    export(
        store,
        tmp_path / "a.parquet",
        to="parquet",
        labels="instance-organelle",
        region="z=0:2,y=0:15,x=0:20",
    )
    found = pq.read_table(tmp_path / "a.parquet").column("label").to_pylist()
    assert sorted(found) == sorted(instances(volume.labels["organelle"][0:2, :15, :20]))


def test_geoparquet_holds_outlines_of_the_area_of_each_mask(made, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    del duckdb
    import pyarrow.parquet as pq

    store, volume = made
    export(store, tmp_path / "a.parquet", to="geoparquet", labels="instance-cell")
    table = pq.read_table(tmp_path / "a.parquet")
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["encoding"] == "WKB"
    assert geo["columns"]["geometry"]["crs"] is None
    x0, y0, x1, y1 = geo["columns"]["geometry"]["bbox"]
    assert 0 <= x0 < x1 <= SHAPE[2]
    assert 0 <= y0 < y1 <= SHAPE[1]
    for row in table.to_pylist():
        mask = volume.labels["cell"][row["z"]] == row["label"]
        assert area_of_wkb(row["geometry"]) == mask.sum()


def area_of_wkb(data: bytes) -> float:
    """Area of a Polygon or MultiPolygon, by an own reading of the well-known binary."""
    order, kind, count = np.frombuffer(data[:9], "<u1,<u4,<u4")[0].tolist()
    assert order == 1
    if kind == 6:
        total, at = 0.0, 9
        for _ in range(count):
            area, at = polygon_area(data, at)
            total += area
        assert at == len(data)
        return total
    assert kind == 3
    area, end = polygon_area(data, 0)
    assert end == len(data)
    return area


def polygon_area(data: bytes, at: int) -> tuple[float, int]:
    _, kind, rings = np.frombuffer(data[at : at + 9], "<u1,<u4,<u4")[0].tolist()
    assert kind == 3
    at += 9
    areas = []
    for _ in range(rings):
        count = int(np.frombuffer(data[at : at + 4], "<u4")[0])
        xy = np.frombuffer(data[at + 4 : at + 4 + 16 * count], "<f8").reshape(-1, 2)
        assert (xy[0] == xy[-1]).all()
        x, y = xy[:, 0], xy[:, 1]
        areas.append(abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2)
        at += 4 + 16 * count
    return areas[0] - sum(areas[1:]), at


def test_a_store_of_another_program_exports_its_bare_labels(tmp_path):
    """No ``ngff_bio`` attribute, no table: label values are all there is."""
    import zarr

    labels = np.zeros((2, 10, 12), np.uint16)
    labels[0, 2:5, 3:9], labels[1, 4:8, 1:3] = 7, 300
    root = zarr.open_group(str(tmp_path / "other.zarr"), mode="w", zarr_format=3)
    axes = [{"name": a, "type": "space"} for a in "zyx"]
    scale = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    meta = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    root.attrs["ome"] = {"version": "0.5", "multiscales": meta}
    root.create_array("0", data=labels + 1, chunks=(1, 10, 12))
    below = root.create_group("labels")
    below.attrs["ome"] = {"version": "0.5", "labels": ["spots"]}
    spots = below.create_group("spots")
    spots.attrs["ome"] = {"version": "0.5", "multiscales": meta, "image-label": {}}
    spots.create_array("0", data=labels, chunks=(1, 10, 12))
    report = export(tmp_path / "other.zarr", tmp_path / "a.json", to="coco")
    coco = COCO(tmp_path / "a.json")
    found = {a["image_id"]: coco.annToMask(a) for a in coco.anns.values()}
    np.testing.assert_array_equal(found[1], labels[0] > 0)
    np.testing.assert_array_equal(found[2], labels[1] > 0)
    assert [c["name"] for c in coco.cats.values()] == ["spots"]
    assert any(n.record == "spots" for n in report.notices)
    export(tmp_path / "other.zarr", tmp_path / "labels.tif", to="label-tiff")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "labels.tif"), labels)
