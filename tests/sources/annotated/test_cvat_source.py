"""CVAT XML 1.1, images and video, as its documentation describes it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from annotated import converted, covers, exported, labels, rows, values_of, write_files
from makers import make_cell_tracking
from PIL import Image
from shapely import Point, Polygon
from shapely import box as shapely_box
from shapely.affinity import rotate, scale

import ngff_bio
from ngff_bio.errors import SourceError
from ngff_bio.testing import check_source

SIZE = (40, 60)

META = """<meta><task><id>4</id><name>cells</name><size>2</size><mode>annotation</mode><labels>
<label><name>cell</name><color>#ff007c</color><type>any</type><attributes><attribute><name>stage</name>
<mutable>False</mutable><input_type>select</input_type><default_value>G1</default_value><values>G1
M</values></attribute></attributes></label>
<label><name>mouse</name><color>#00ff00</color><type>skeleton</type><attributes></attributes></label>
</labels></task><dumped>2024-01-01 00:00:00+00:00</dumped></meta>"""

#: A 3 x 4 mask, rows first, background first: .##. / ##.. / ...#
MASK = (
    '<mask label="cell" source="manual" occluded="0" rle="1, 2, 1, 2, 5, 1" left="50" top="30" '
    'width="4" height="3" z_order="0"/>'
)


def images_xml(shapes: str, name: str = "a.png", extra: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
        f'{META}\n<image id="0" name="{name}" width="60" height="40">{shapes}</image>{extra}\n'
        "</annotations>\n"
    )


def one_image(folder: Path, shapes: str, **changed: str) -> Path:
    files = {"annotations.xml": images_xml(shapes), "images/a.png": SIZE}
    return write_files(folder, files | changed)


ALL = (
    '<box label="cell" source="manual" occluded="1" xtl="2.00" ytl="3.00" xbr="12.00" ybr="8.00" '
    'z_order="1" group_id="3"><attribute name="stage">M</attribute></box>'
    '<polygon label="cell" points="20.5,2.5;30.5,2.5;25.5,12.5" z_order="0"/>'
    '<tag label="cell" source="manual"/>'
    '<polyline label="cell" source="manual" occluded="0" points="1.0,1.0;5.0,5.0" z_order="0"/>'
    '<points label="cell" source="manual" occluded="0" points="7.5,9.5" z_order="0"/>'
    '<ellipse label="cell" cx="15.5" cy="25.5" rx="9.2" ry="5.3" z_order="0"/>'
    '<box label="cell" xtl="35" ytl="10" xbr="47" ybr="20" rotation="30.00" '
    f'z_order="0"/>{MASK}'
    '<skeleton label="mouse" source="manual" z_order="0"><points label="nose" occluded="0" outside="0" '
    'points="3.0,3.0"/></skeleton>'
    '<cuboid label="cell" occluded="0" xtl1="1" ytl1="1" xbl1="1" ybl1="2"/>'
)


def test_every_shape_of_images(tmp_path: Path) -> None:
    source = one_image(tmp_path / "in", ALL)
    check_source("cvat", source)
    data = converted(source, tmp_path / "out.zarr")
    table = rows(data)
    records = [json.loads(r["record"]) for r in table]
    kinds = ["box", "polygon", "polyline", "points", "ellipse", "box", "mask", "skeleton", "cuboid"]
    assert [r["shape"] for r in records] == kinds
    assert [r["indices"].tolist() for r in table] == [[n] for n in (0, 1, 3, 4, 5, 6, 7, 8, 9)]
    assert records[0] == {
        "shape": "box", "@label": "cell", "@source": "manual", "@occluded": "1", "@xtl": "2.00",
        "@ytl": "3.00", "@xbr": "12.00", "@ybr": "8.00", "@z_order": "1", "@group_id": "3",
        "attribute": {"@name": "stage", "#text": "M"},
    }  # fmt: skip
    assert records[7]["points"]["@label"] == "nose"
    drawn = labels(data)
    expected = np.zeros(SIZE, int)
    expected[3:8, 2:12] = 1
    assert ((drawn == 1) == (expected == 1)).all()
    assert covers(drawn == 2, Polygon([(20.5, 2.5), (30.5, 2.5), (25.5, 12.5)]))
    round_shape = scale(Point(15.5, 25.5).buffer(1, 64), 9.2, 5.3)
    assert covers(drawn == 5, round_shape)
    # Clockwise on the screen is counter-clockwise where y points up.
    assert covers(drawn == 6, rotate(shapely_box(35, 10, 47, 20), 30, "center"))
    mask = np.array([[0, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]], bool)
    assert ((drawn == 7)[30:33, 50:54] == mask).all()
    assert (drawn == 7).sum() == 5
    assert {3, 4, 8, 9}.isdisjoint(np.unique(drawn))
    about = data[""].label_attributes("objects")["categories"]
    assert [c["name"] for c in about] == ["cell", "mouse"]
    assert about[0]["color"] == [255, 0, 124, 255]
    frame = data[""].attributes["frames"][0]["record"]["annotations"][0]["record"]
    assert frame["others"] == [[2, "tag", {"@label": "cell", "@source": "manual"}]]


VIDEO = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><name>movie</name><size>5</size><mode>interpolation</mode><start_frame>10</start_frame>
<stop_frame>18</stop_frame><frame_filter>step=2</frame_filter><labels><label><name>cell</name></label></labels>
<original_size><width>60</width><height>40</height></original_size></task></meta>
<track id="7" label="cell" source="manual">
  <box frame="10" keyframe="1" outside="0" occluded="0" xtl="0" ytl="0" xbr="10" ybr="10" z_order="0"/>
  <box frame="14" keyframe="1" outside="0" occluded="1" xtl="20" ytl="8" xbr="30" ybr="18" z_order="0"/>
  <box frame="16" keyframe="1" outside="1" occluded="1" xtl="20" ytl="8" xbr="30" ybr="18" z_order="0"/>
</track>
<track id="9" label="cell" source="manual">
  <polygon frame="14" keyframe="1" outside="0" points="40,10;50,10;50,20;40,20" z_order="0"/>
</track>
</annotations>
"""


def video(folder: Path) -> Path:
    files: dict[str, str | tuple[int, int]] = {"annotations.xml": VIDEO}
    files |= {f"images/frame_{n:06d}.PNG": SIZE for n in range(10, 20, 2)}
    return write_files(folder, files)


def test_a_video_is_a_movie_with_tracks(tmp_path: Path) -> None:
    source = video(tmp_path / "in")
    check_source("cvat", source)
    data = converted(source, tmp_path / "out.zarr")
    assert list(data) == [""]
    drawn = labels(data, layer="cell")
    assert drawn.shape == (5, *SIZE)

    def box(t: int, value: int) -> list[int]:
        y, x = np.nonzero(drawn[t] == value)
        return [x.min(), y.min(), x.max() + 1, y.max() + 1] if len(x) else []

    # Half way between two key frames the box is half way between both.
    assert [box(t, 1) for t in range(5)] == [
        [0, 0, 10, 10],
        [10, 4, 20, 14],
        [20, 8, 30, 18],
        [],
        [],
    ]
    assert [box(t, 2) for t in range(5)] == [[], [], *[[40, 10, 50, 20]] * 3]
    table = rows(data, layer="cell")
    assert [(r["t"], r["label"], r["track_id"]) for r in table] == [
        (0, 1, "7"), (1, 1, "7"), (2, 1, "7"), (2, 2, "9"), (3, 1, "7"), (3, 2, "9"), (4, 2, "9"),
    ]  # fmt: skip
    stated = [json.loads(r["record"]) if r["record"] else None for r in table]
    assert [s is not None for s in stated] == [True, False, True, True, True, False, False]
    assert stated[2]["@occluded"] == "1"
    assert stated[2]["track"] == {"@id": "7", "@label": "cell", "@source": "manual"}
    assert len(data[""].tracks("cell").nodes) > 0


def test_two_documents_of_one_video_are_not_written_into_each_other(tmp_path: Path) -> None:
    source = video(tmp_path / "in")
    (source / "second.xml").write_text(VIDEO.replace('id="7"', 'id="8"'))
    with pytest.raises(SourceError, match="the same part") as caught:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert caught.value.hint is not None
    assert "--exclude 'second.xml'" in caught.value.hint
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert [n.place for n in done.notices if n.kind == "skipped"] == [" (second.xml)"]
    assert ngff_bio.verify(tmp_path / "out.zarr", source).equal
    data = ngff_bio.open(tmp_path / "out.zarr")
    assert {r["track_id"] for r in rows(data, layer="cell")} == {"7", "9"}


@pytest.mark.parametrize("sample", ["export_project", "export_task"])
def test_the_samples_convert(sample: str, samples: Path, tmp_path: Path) -> None:
    source = samples / "generic" / "cvat_images" / sample
    check_source("cvat", source)
    data = converted(source, tmp_path / "out.zarr")
    count = sum(len(rows(data, path)) for path in data)
    assert count == (12 if sample == "export_project" else 4)
    if sample == "export_project":
        assert set(data.attributes["splits"]) == {"Train", "Test", "Validation"}


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        (MASK.replace("5, 1", "5, 2"), "13"),
        (MASK.replace("1, 2, 1", "1, x, 1"), "1, x, 1, 2, 5, 1"),
        (MASK.replace("1, 2, 1", "1, -2, 1"), "1, -2, 1, 2, 5, 1"),
        (MASK.replace('height="3"', 'height="41"'), "41 x 4"),
        ('<polygon label="cell" points="1,1;2,2"/>', "2 points"),
        ('<polygon label="cell" points="1,1;2;3,3"/>', "1,1;2;3,3"),
        ('<polygon label="cell" points="1,1;nan,2;3,3"/>', "[nan, 2.0]"),
        ('<box label="cell" xtl="5" ytl="1" xbr="2" ybr="2"/>', "5, 1, 2, 2"),
        ('<box label="cell" xtl="5" ytl="1" xbr="8"/>', "no such value"),
        ('<box label="dog" xtl="1" ytl="1" xbr="2" ybr="2"/>', "dog"),
    ],
)
def test_a_wrong_shape_is_an_error_or_is_skipped(shape: str, found: str, tmp_path: Path) -> None:
    good = '<box label="cell" xtl="1" ytl="1" xbr="4" ybr="4"/>'
    source = one_image(tmp_path / "in", good + shape + good)
    with pytest.raises(SourceError) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    told = error.value
    assert (told.file, told.found) == ("annotations.xml", found)
    assert str(told.record).startswith("image a.png")
    assert told.expected is not None
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert done.instances == 2
    assert len(done.skipped) == 1


def test_sizes_and_missing_images_are_errors(tmp_path: Path) -> None:
    other = images_xml('<box label="cell" xtl="1" ytl="1" xbr="4" ybr="4"/>', "lost.png")
    source = one_image(tmp_path / "a", "", **{"annotations.xml": other})
    with pytest.raises(SourceError, match="without their image"):
        ngff_bio.convert(source, tmp_path / "out.zarr")
    small = images_xml(MASK).replace('width="60"', 'width="50"')
    source = one_image(tmp_path / "b", "", **{"annotations.xml": small})
    with pytest.raises(SourceError, match="another size"):
        ngff_bio.convert(source, tmp_path / "out.zarr")


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><annotations>&b;</annotations>',
        "<annotations><image></annotations>",
        f"<annotations><meta>{'<a>' * 9000}{'</a>' * 9000}</meta></annotations>",
        "<annotations>",
    ],
)
def test_entities_and_broken_xml_are_refused(text: str, tmp_path: Path) -> None:
    source = one_image(tmp_path / "in", "", **{"annotations.xml": text})
    with pytest.raises(SourceError) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr", format="cvat")
    assert error.value.file == "annotations.xml"


def test_a_track_beyond_the_frames_is_an_error(tmp_path: Path) -> None:
    source = video(tmp_path / "in")
    (source / "images/frame_000018.PNG").unlink()
    text = VIDEO.replace('<polygon frame="14"', '<polygon frame="18"')
    (source / "annotations.xml").write_text(text)
    with pytest.raises(SourceError, match="frame that the movie does not have") as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert (error.value.record, error.value.found) == ("track 9 frame 18", "18")
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert done.instances == 4


@pytest.mark.parametrize("kind", ["images", "video"])
def test_the_export_equals_the_source(kind: str, tmp_path: Path) -> None:
    source = one_image(tmp_path / "in", ALL) if kind == "images" else video(tmp_path / "in")
    files = exported(source, tmp_path, "cvat")
    assert list(files) == ["annotations.xml"]
    assert values_of(files["annotations.xml"]) == values_of(
        (source / "annotations.xml").read_text()
    )


def test_an_export_of_another_source_converts_to_the_same_labels(tmp_path: Path) -> None:
    pixels = np.zeros(SIZE, np.uint8)
    pixels[3:9, 4:12], pixels[4, 6], pixels[20:30, 40:60] = 3, 0, 7
    (tmp_path / "in").mkdir()
    Image.fromarray(np.full(SIZE, 9, np.uint8)).save(tmp_path / "in/a.png")
    Image.fromarray(pixels).save(tmp_path / "in/a_mask.png")
    ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr")
    ngff_bio.export(tmp_path / "a.zarr", tmp_path / "cvat", to="cvat", images=True)
    data = converted(tmp_path / "cvat", tmp_path / "b.zarr")
    (layer,) = data[""].layers
    drawn = labels(data, layer=layer)
    assert ((drawn > 0) == (pixels > 0)).all()
    assert len(rows(data, layer=layer)) == 2


def test_tracks_of_another_source_are_tracks_of_a_video(tmp_path: Path) -> None:
    files = {f"img1/{n}.png": SIZE for n in (1, 2, 3)}
    text = "1,7,5,6,10,8,1,1,1\n2,7,6,6,10,8,1,1,1\n1,3,30,20,4,5,1,1,1\n3,3,31,20,4,5,1,1,1\n"
    write_files(tmp_path / "in", {**files, "gt/gt.txt": text, "gt/labels.txt": "cell\n"})
    ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr")
    ngff_bio.export(tmp_path / "a.zarr", tmp_path / "cvat", to="cvat", images=True)
    root = ElementTree.parse(tmp_path / "cvat/annotations.xml").getroot()
    states = {
        track.get("id"): [(b.get("frame"), b.get("outside")) for b in track]
        for track in root.iter("track")
    }
    assert states == {
        "0": [("0", "0"), ("1", "0"), ("2", "1")],
        "1": [("0", "0"), ("1", "1"), ("2", "0")],
    }
    data = converted(tmp_path / "cvat", tmp_path / "b.zarr")
    before = ngff_bio.open(tmp_path / "a.zarr")
    (layer,), (old,) = data[""].layers, before[""].layers
    assert (labels(data, layer=layer) == labels(before, layer=old)).all()


def test_tracked_pixels_are_outlines_of_a_video(tmp_path: Path) -> None:
    make_cell_tracking(tmp_path / "in")
    ngff_bio.convert(tmp_path / "in/PhC-C2DH-U373", tmp_path / "a.zarr")
    done = ngff_bio.export(
        tmp_path / "a.zarr",
        tmp_path / "cvat",
        to="cvat",
        image="01",
        labels=["gt-tra"],
        images=True,
    )
    data = converted(tmp_path / "cvat", tmp_path / "b.zarr")
    (layer,) = data[""].layers
    found = labels(data, layer=layer)
    expected = labels(ngff_bio.open(tmp_path / "a.zarr"), "01", "gt-tra")
    assert done.images == 1
    assert ((found > 0) == (expected > 0)).mean() > 0.99  # CVAT's rule for outlines is COCO's
    assert len({*np.unique(found)}) == len({*np.unique(expected)})
