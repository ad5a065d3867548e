"""QuPath, ImageJ, OME-TIFF: names, classes, colors and outlines are those that the tools state."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import roifile
import shapely
import tifffile
from makers import make_qupath, make_rois
from makers.paired import SIZE, gray, put
from makers.regions import feature, imagej_rois, qupath_features, roi_zip, square
from skimage.draw import polygon2mask
from stores import attributes, mask_of, table

import ngff_bio
from ngff_bio.errors import NgffBioError


def convert(source: Path, **options: Any) -> tuple[Path, Any]:
    store = source.parent / "out.zarr"
    report = ngff_bio.convert(source, store, overwrite=True, **options)
    if not options:
        assert ngff_bio.verify(store, source, pixels=True).equal
        assert not [f for f in ngff_bio.validate(store) if f.level == "error"]
    return store, report


def filled(*rings: Any) -> np.ndarray:
    """Pixels whose center is inside of an odd number of rings (x, y), as scikit-image finds them."""
    found = np.zeros(SIZE, bool)
    for ring in rings:
        found ^= polygon2mask(SIZE, np.asarray(ring)[:, ::-1] - 0.5)
    return found


def test_qupath(tmp_path: Path) -> None:
    source = make_qupath(tmp_path / "in").root
    store, report = convert(source)
    assert (report.images, report.instances) == (2, 6 + 2)  # and two nuclei
    rows = table(store, "slide_a", "objects").to_dict("records")
    assert [r["category"] for r in rows] == ["Tumor", "Immune", None, None]
    assert [r["source_id"] for r in rows] == [f["id"] for f in qupath_features()]
    own = attributes(store, "slide_a/labels/objects")["ngff_bio"]
    colors = {c["name"]: c["color"] for c in own["categories"]}
    assert colors == {"Tumor": [200, 0, 0, 255], "Immune": [0, 255, 0, 255]}
    masks = [mask_of(store, "slide_a", r) for r in rows]
    assert (masks[0] == filled(square(2, 2, 16), square(6, 6, 4))).all()
    assert (masks[1] == filled(square(22.25, 4.25, 8))).all()
    assert (masks[2] == filled(square(2, 24, 5), square(12, 24, 6))).all()
    assert not masks[3].any()
    record = json.loads(rows[1]["record"])
    assert record["nucleusGeometry"] == qupath_features()[1]["nucleusGeometry"]
    assert record["properties"]["measurements"] == {"Nucleus: Area": 12.5, "Cell: Area": 64.0}
    assert any("no area" in n.what for n in report.notices)
    (nucleus,) = table(store, "slide_a", "objects-nuclei").to_dict("records")
    assert (nucleus["source_id"], nucleus["category"]) == (rows[1]["source_id"], "Immune")
    drawn = mask_of(store, "slide_a", nucleus)
    assert (drawn == filled(square(24, 6, 3))).all()


def test_planes_of_qupath_are_planes_and_frames(tmp_path: Path) -> None:
    put(tmp_path / "in/a_t0.tif", np.stack([gray(1)] * 2))
    put(tmp_path / "in/a.tif", np.stack([gray(1)] * 2))
    (tmp_path / "in/a_t0.tif").unlink()
    shape = {
        "type": "Polygon",
        "coordinates": [square(2, 2, 4)],
        "plane": {"c": -1, "z": 1, "t": 0},
    }
    (tmp_path / "in/a.geojson").write_text(json.dumps([feature(shape, 0, objectType="cell")]))
    store, _ = convert(tmp_path / "in")
    found = ngff_bio.open(store)[""].annotations()
    assert list(found["z"]) == [1]
    labels = attributes(store, "labels")["ome"]["labels"]
    row = found.to_dict("records")[0]
    mask = mask_of(store, "", row)
    assert labels == ["objects"]
    assert not mask[0].any()
    assert mask[1].sum() == 16


@pytest.mark.parametrize(
    ("geometry", "what"),
    [
        (
            {"type": "Polygon", "coordinates": [[[1, 1], [5, 5], [1, 1]]]},
            "an outline cannot be drawn",
        ),
        ({"type": "Polygon", "coordinates": []}, "an outline cannot be drawn"),
        (
            {"type": "Polygon", "coordinates": [[[1, "a"], [5, 5]]]},
            "an outline cannot be drawn",
        ),
        ({"type": "Circle", "coordinates": [[1, 1]]}, "a geometry of an unknown kind"),
        (None, "a feature has no geometry"),
        (
            {"type": "Polygon", "coordinates": [square(1, 1, 3)], "plane": {"t": 4}},
            "an object is on a frame that is not there",
        ),
    ],
)
def test_a_wrong_feature_is_one_error_or_is_skipped(
    geometry: Any, what: str, tmp_path: Path
) -> None:
    put(tmp_path / "in/a.png", gray(1, np.uint8))
    put(tmp_path / "in/b.png", gray(1, np.uint8))
    listed = [qupath_features()[0], feature(geometry, 1)]
    (tmp_path / "in/a.geojson").write_text(json.dumps(listed))
    with pytest.raises(NgffBioError, match=what) as error:
        convert(tmp_path / "in")
    assert error.value.file == "a.geojson"
    assert convert(tmp_path / "in", on_error="skip")[1].images == 2


@pytest.mark.parametrize("name", ["x/a.tif.geojson", "x/a.json", "A.GEOJSON", "a.tif.json"])
def test_geojson_is_found_by_the_name_of_its_image(name: str, tmp_path: Path) -> None:
    put(tmp_path / "in/a.tif", gray(1))
    put(tmp_path / "in/b.tif", gray(1))
    file = tmp_path / "in" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(qupath_features()[:1]))
    store, _ = convert(tmp_path / "in")
    assert len(table(store, "a", "tumor")) == 1


@pytest.mark.parametrize(
    "name",
    [
        "RoiSet_a.zip",
        "rois/a.zip",
        "a/RoiSet.zip",
        "a-rois.zip",
        "a_rois/0001.roi",
    ],
)
def test_rois_are_found_by_the_name_of_their_image(name: str, tmp_path: Path) -> None:
    put(tmp_path / "in/a.tif", gray(1))
    put(tmp_path / "in/b.tif", gray(1))
    rois = {"poly": imagej_rois()["poly"]}
    file = tmp_path / "in" / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(roi_zip(rois) if name.endswith(".zip") else rois["poly"].tobytes())
    store, _ = convert(tmp_path / "in")
    assert len(table(store, "a", "objects")) == 1


@pytest.mark.parametrize("name", ["a.geojson.gz", "a.zip", "a.geojson.zip"])
def test_compressed_geojson_is_read_and_written_again(name: str, tmp_path: Path) -> None:
    put(tmp_path / "in/a.tif", gray(1))
    text = json.dumps({"type": "FeatureCollection", "features": qupath_features()}).encode()
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.geojson", text)
    packed = gzip.compress(text) if name.endswith(".gz") else zipped.getvalue()
    (tmp_path / "in" / name).write_bytes(packed)
    store, _ = convert(tmp_path / "in")
    assert len(table(store, "", "objects")) == len(qupath_features())
    ngff_bio.export(store, tmp_path / "back", to="qupath")
    back = (tmp_path / "back" / name).read_bytes()
    if name.endswith(".gz"):
        again = gzip.decompress(back)
    else:
        with zipfile.ZipFile(io.BytesIO(back)) as archive:
            again = archive.read("a.geojson")
    assert json.loads(again) == json.loads(text)


def test_files_that_macos_adds_to_a_zip_are_no_regions(tmp_path: Path) -> None:
    put(tmp_path / "in/a.tif", gray(1))
    rois = io.BytesIO(roi_zip({"poly": imagej_rois()["poly"]}))
    with zipfile.ZipFile(rois, "a") as archive:
        archive.writestr("__MACOSX/._poly.roi", b"\0\5\x16\7")
    (tmp_path / "in/RoiSet.zip").write_bytes(rois.getvalue())
    store, _ = convert(tmp_path / "in")
    assert len(ngff_bio.open(store)[""].annotations()) == 1


def test_geojson_without_its_image_is_an_error(tmp_path: Path) -> None:
    source = make_qupath(tmp_path / "in").root
    (source / "b.tif").unlink()
    with pytest.raises(NgffBioError, match="annotations without their image") as error:
        convert(source)
    assert error.value.file == "b.json"


def test_rois_of_imagej(tmp_path: Path) -> None:
    source = make_rois(tmp_path / "in").root
    store, report = convert(source)
    assert report.images == 4
    rows = {r["source_id"]: r for r in table(store, "cells", "objects").to_dict("records")}
    expected = {r.name: r for r in roifile.roiread(source / "cells_RoiSet.zip")}
    assert list(rows) == list(expected) == list(imagej_rois())
    for name, row in rows.items():
        record = json.loads(row["record"])
        again = roifile.ImagejRoi.frombytes(base64.b64decode(record["roi"]))
        assert again == expected[name]
        mask = mask_of(store, "cells", row)
        if name in ("poly", "fine", "rectangle"):
            wanted = filled(expected[name].coordinates())
            assert (mask == wanted).all()
    assert not mask_of(store, "cells", rows["line"]).any()
    oval = mask_of(store, "cells", rows["oval"])
    assert abs(oval.sum() - np.pi * 10 * 6) < 8
    assert [rows[n]["category"] for n in ("poly", "fine", "oval")] == ["2", "2", None]
    assert {r["source_id"] for r in table(store, "one/one", "objects").to_dict("records")} == {
        "poly",
        "oval",
    }
    assert any("no area" in n.what for n in report.notices)


def test_rectangles_of_imagej_with_round_corners(tmp_path: Path) -> None:
    put(tmp_path / "in/a.tif", gray(0))
    roi = roifile.ImagejRoi(
        roitype=roifile.ROI_TYPE.RECT,
        left=5,
        top=10,
        right=25,
        bottom=22,
        rounded_rect_arc_size=9,
        name="r",
    )
    (tmp_path / "in/RoiSet.zip").write_bytes(roi_zip({"r": roi}))
    store, _ = convert(tmp_path / "in")
    (row,) = table(store, "", "objects").to_dict("records")
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    wanted = shapely.contains_xy(shapely.box(9.5, 14.5, 20.5, 17.5).buffer(4.5, 64), x, y)
    assert (mask_of(store, "", row) == wanted).all()


def test_positions_of_rois_are_frames_and_planes(tmp_path: Path) -> None:
    source = make_rois(tmp_path / "in").root
    store, report = convert(source)
    movie = table(store, "movie", "objects")
    assert dict(zip(movie.source_id, movie.t, strict=True)) == {"poly": 1, "fine": 2, "oval": 2}
    for row in movie.to_dict("records"):
        mask = mask_of(store, "movie", row)
        assert [bool(m.any()) for m in mask] == [t == row["t"] for t in range(3)]
    assert not any("not read" in n.what or "no frame" in n.what for n in report.notices)
    ome = table(store, "a.ome.tif_a", "objects").to_dict("records")
    assert [(r["source_id"], None if r["z"] != r["z"] else r["z"]) for r in ome] == [
        ("ROI:1", 1),
        ("ROI:2", None),
        ("ROI:2", 0),
    ]
    cell = mask_of(store, "a.ome.tif_a", ome[0])
    assert (cell[1] == filled([[3, 2], [14, 2], [14, 9], [3, 9]])).all()
    assert not cell[0].any()
    assert mask_of(store, "a.ome.tif_a", ome[1]).sum() == 2 * 6 * 7


def test_composite_regions_have_holes(tmp_path: Path) -> None:
    outer, inner, other = square(2, 2, 16), square(6, 6, 4), square(30, 20, 6)
    path: list[float] = []
    for ring in (outer, inner, other):
        for number, (x, y) in enumerate(ring[:-1]):
            path += [0.0 if number == 0 else 1.0, x, y]
        path.append(4.0)
    roi = roifile.ImagejRoi(
        roitype=roifile.ROI_TYPE.RECT, left=2, top=2, right=36, bottom=26, name="both"
    )
    roi.multi_coordinates = np.array(path, np.float32)
    roi.shape_roi_size = len(path)
    put(tmp_path / "in/a.tif", gray(1))
    (tmp_path / "in/RoiSet.zip").write_bytes(roi_zip({"both": roi}))
    store, _ = convert(tmp_path / "in")
    row = table(store, "", "objects").to_dict("records")[0]
    assert (mask_of(store, "", row) == filled(outer, inner, other)).all()


def test_regions_of_a_movie_that_state_no_frame_are_reported(tmp_path: Path) -> None:
    roi = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.RECT, left=2, top=2, right=6, bottom=6)
    movie = np.stack([gray(0), gray(1)])
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in/a.tif", movie, imagej=True, metadata={"axes": "TYX"})
    (tmp_path / "in/RoiSet.zip").write_bytes(roi_zip({"r": roi}))
    store, report = convert(tmp_path / "in")
    assert any("state no frame are on the first one" in n.what for n in report.notices)
    assert [row["t"] for row in table(store, "", "objects").to_dict("records")] == [0]


@pytest.mark.parametrize("wrong", ["data", "position", "image", "zip"])
def test_wrong_rois_are_one_error_or_are_skipped(wrong: str, tmp_path: Path) -> None:
    put(tmp_path / "in/a.tif", gray(1))
    put(tmp_path / "in/b.tif", gray(1))
    rois = imagej_rois()
    out = io.BytesIO()
    if wrong == "position":
        rois["poly"].t_position = 7
    out.write(roi_zip(rois))
    if wrong == "data":
        with zipfile.ZipFile(out, "a") as archive:
            archive.writestr("damaged.roi", b"Iout" + bytes(90))
    data = out.getvalue()
    name = "c_RoiSet.zip" if wrong == "image" else "a_RoiSet.zip"
    (tmp_path / "in" / name).write_bytes(data[:-30] if wrong == "zip" else data)
    with pytest.raises(NgffBioError) as error:
        convert(tmp_path / "in")
    assert error.value.file == name
    report = convert(tmp_path / "in", on_error="skip", ignore_unread=True)[1]
    assert report.images == 2
    assert any(n.kind == "skipped" for n in report.notices)


def ome_tiff(file: Path, rois: str, *, refs: tuple[str, ...] = ()) -> Path:
    """An OME-TIFF of two images of different sizes, to which ROIs are added."""
    file.parent.mkdir(parents=True)
    with tifffile.TiffWriter(file, ome=True) as tiff:
        tiff.write(gray(1), metadata={"axes": "YX", "Name": "one"})
        tiff.write(gray(2)[:30], metadata={"axes": "YX", "Name": "two"})
    first, second, rest = tifffile.tiffcomment(file).split("</Pixels>")
    given = "".join(f'<ROIRef ID="{name}"/>' for name in refs)
    xml = f"{first}</Pixels>{second}</Pixels>{given}{rest}".replace("</OME>", f"{rois}</OME>")
    tifffile.tiffcomment(file, xml.encode())
    return file.parent


def roi(name: str, *shapes: str) -> str:
    return f'<ROI ID="{name}"><Union>{"".join(shapes)}</Union></ROI>'


def ome_mask(mask: np.ndarray, x: int, y: int, compression: str = "none") -> str:
    packed = np.packbits(mask).tobytes()
    data = base64.b64encode(zlib.compress(packed) if compression == "zlib" else packed).decode()
    height, width = mask.shape
    return (
        f'<Mask ID="Shape:{x}" X="{x}" Y="{y}" Width="{width}" Height="{height}">'
        f'<BinData BigEndian="true" Length="{len(data)}" Compression="{compression}">{data}</BinData>'
        "</Mask>"
    )


def test_masks_transforms_and_rois_of_later_images(tmp_path: Path) -> None:
    mask = np.random.default_rng(5).random((7, 11)) > 0.4
    turn = '<Transform A00="0" A01="-1" A10="1" A11="0" A02="30" A12="5"/>'
    triangle = f'<Polygon ID="Shape:9" Points="3.2,2.1 14.7,2.3 9.4,9.8">{turn}</Polygon>'
    rois = (
        roi("ROI:1", ome_mask(mask, 3, 4)) + roi("ROI:2", ome_mask(mask, 20, 12, "zlib"))
        + roi("ROI:3", triangle) + roi("ROI:4", '<Rectangle X="2" Y="3" Width="6" Height="7"/>')
    )  # fmt: skip
    source = ome_tiff(tmp_path / "in/a.ome.tif", rois, refs=("ROI:4",))
    store, report = convert(source)
    assert not report.skipped
    first, second = sorted(p for p in ngff_bio.open(store))
    rows = table(store, first, "objects").to_dict("records")
    assert [r["source_id"] for r in rows] == ["ROI:1", "ROI:2", "ROI:3"]
    for row, (y, x) in zip(rows, ((4, 3), (12, 20)), strict=False):
        expected = np.zeros(SIZE, bool)
        expected[y : y + 7, x : x + 11] = mask
        assert (mask_of(store, first, row) == expected).all()
    turned = [(30 - y, 5 + x) for x, y in ((3.2, 2.1), (14.7, 2.3), (9.4, 9.8))]
    assert (mask_of(store, first, rows[2]) == filled(turned)).all()
    (other,) = table(store, second, "objects").to_dict("records")
    assert other["source_id"] == "ROI:4"
    assert mask_of(store, second, other)[3:10, 2:8].all()
    assert other["pixels"] == 42


@pytest.mark.parametrize(
    "shape",
    [
        ome_mask(np.ones((7, 11), bool), 1, 1).replace('Width="11"', 'Width="12"'),
        ome_mask(np.ones((7, 11), bool), 1, 1).replace('Width="11"', 'Width="5000"'),
        ome_mask(np.ones((7, 11), bool), 1, 1).replace("none", "other"),
        ome_mask(np.ones((7, 11), bool), 1, 1).replace("</Mask>", '<Transform A00="1"/></Mask>'),
        '<Rectangle X="2" Y="3" Width="6" Height="7"><Transform A00="1"/></Rectangle>',
        '<Rectangle X="2" Y="3" Width="nan" Height="7"/>',
    ],
)
def test_a_wrong_shape_of_ome_is_one_error_or_is_skipped(shape: str, tmp_path: Path) -> None:
    source = ome_tiff(tmp_path / "in/a.ome.tif", roi("ROI:1", shape))
    with pytest.raises(NgffBioError) as error:
        convert(source)
    assert (error.value.file, error.value.record) == ("a.ome.tif", "ROI:1")
    assert "--on-error skip" in str(error.value.hint)
    _, report = convert(source, on_error="skip")
    assert report.instances == 0
