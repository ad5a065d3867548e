"""The layouts of the table in ``docs/formats.md``: small folders, written by hand or by the makers.

``python tests/layouts.py`` converts each and writes the table again.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import h5py
import makers
import nibabel
import numpy as np
import scipy.io
import tifffile
from annotated import values_of, write_files
from PIL import Image

import ngff_bio
from ngff_bio.checks import validate

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "formats.md"

SIZE = (40, 60)

#: Endings of the files that an export must write: annotations and images.
_ENDINGS = (
    *(".json", ".geojson", ".xml", ".csv", ".txt", ".yaml", ".data", ".names", ".roi", ".zip"),
    *(".png", ".jpg", ".tif", ".gz", ".h5", ".npy"),
)


@dataclass(frozen=True)
class Layout:
    """One row: its title, the source that takes it, its files or their maker, and its export."""

    title: str
    source: str
    make: Mapping[str, Any] | Callable[[Path], Any]
    export: str | None = None
    #: Files that a conversion does not read, and reports.
    unread: tuple[str, ...] = ()

    def write(self, folder: Path) -> Path:
        """Write the files; the folder that a user would name."""
        if callable(self.make):
            self.make(folder)
            inner = [p for p in folder.iterdir() if p.is_dir()]
            return inner[0] if len(inner) == 1 and len(list(folder.iterdir())) == 1 else folder
        texts = {n: c for n, c in self.make.items() if not isinstance(c, np.ndarray)}
        write_files(folder, texts)
        for name, pixels in self.make.items():
            if isinstance(pixels, np.ndarray):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                if name.endswith(".tif"):
                    tifffile.imwrite(folder / name, pixels, imagej=True, metadata={"axes": "TYX"})
                else:
                    Image.fromarray(pixels).save(folder / name)
        return folder


_ONE, _TWO = np.s_[2:9, 3:12], np.s_[20:30, 30:50]


def _classes(one: int, two: int) -> np.ndarray[Any, Any]:
    pixels = np.zeros(SIZE, np.uint8)
    pixels[_ONE], pixels[_TWO] = one, two
    return pixels


def _make_pannuke(folder: Path) -> None:
    folder.mkdir(parents=True)
    masks = np.zeros((2, *SIZE, 6))
    masks[0][(*_ONE, 0)], masks[0][(*_TWO, 3)] = 4, 7
    np.save(folder / "images.npy", np.full((2, *SIZE, 3), 7.0))
    np.save(folder / "masks.npy", masks)
    np.save(folder / "types.npy", np.array(["Breast", "Colon"]))


def _make_tissuenet(folder: Path) -> None:
    folder.mkdir(parents=True)
    cells = np.stack([_classes(1, 2), _classes(3, 1)], axis=-1)[None].astype(np.int32)
    pixels = np.ones((1, *SIZE, 2), np.float32)
    np.savez_compressed(folder / "tissuenet_train.npz", X=pixels, y=cells)
    np.savez_compressed(folder / "tissuenet_val.npz", X=pixels, y=cells)


def _make_mat(folder: Path) -> None:
    write_files(folder, {"Images/a.png": SIZE, "Images/b.png": SIZE})
    (folder / "Labels").mkdir()
    for name in "ab":
        maps = {"inst_map": _classes(1, 2), "type_map": _classes(4, 3)}
        scipy.io.savemat(folder / f"Labels/{name}.mat", maps)


_VOC = (
    "<annotation><filename>{0}.png</filename><size><width>60</width><height>40</height></size>"
    "<object><name>cell</name><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>9</xmax><ymax>12</ymax>"
    "</bndbox></object></annotation>"
)
_CVAT = (
    "<annotations><version>1.1</version><meta><task><labels><label><name>cell</name></label>"
    "</labels></task></meta>{0}</annotations>"
)
_RECT = {"name": "rect", "x": 2, "y": 3, "width": 10, "height": 5}
_VIA = {
    "a.png1": {
        "filename": "a.png",
        "size": 1,
        "regions": [{"shape_attributes": _RECT, "region_attributes": {"class": "cell"}}],
        "file_attributes": {},
    }
}
_VIA_3 = {
    "project": {"pid": "x", "data_format_version": "3.1.1", "vid_list": ["1", "2"]},
    "config": {"ui": {"spatial_region_label_attribute_id": "1"}},
    "attribute": {
        "1": {"aname": "kind", "anchor_id": "FILE1_Z0_XY1", "type": 4, "options": {"0": "cell"}},
        "2": {"aname": "of the image", "anchor_id": "FILE1_Z0_XY0", "type": 1, "options": {}},
    },
    "file": {
        str(n): {"fid": n, "fname": f, "type": 2, "loc": 1, "src": ""}
        for n, f in ((1, "a.png"), (2, "b.png"))
    },
    "view": {"1": {"fid_list": ["1"]}, "2": {"fid_list": ["2"]}},
    "metadata": {
        "1_m": {"vid": "1", "flg": 0, "z": [], "xy": [2, 2, 3, 10, 5.5], "av": {"1": "0"}},
        "1_n": {"vid": "1", "flg": 0, "z": [], "xy": [], "av": {"2": "dark"}},
        "2_o": {"vid": "2", "flg": 0, "z": [], "xy": [6, 1, 1, 9, 9], "av": {}},
    },
}
_CSV = (
    "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
    'region_attributes\na.png,1,{},1,0,"{""name"": ""circle"", ""cx"": 9, ""cy"": 9, ""r"": 5}",'
    '"{""class"": ""cell""}"\n'
)
_REGION = {"x": 5, "y": 10, "width": 25, "height": 25, "rotation": 0, "rectanglelabels": ["cell"]}
_SIZES = {"original_width": 60, "original_height": 40}
_TASK = {
    "id": 1,
    "annotations": [{"id": 2, "result": [
        {**_SIZES, "image_rotation": 0, "value": _REGION, "id": "r", "type": "rectanglelabels"}
    ]}],
    "data": {"image": "a.png"},
}  # fmt: skip
_SUPERVISELY = {
    "tags": [],
    "size": {"height": 40, "width": 60},
    "objects": [
        {
            "classTitle": "cell",
            "geometryType": "rectangle",
            "points": {"exterior": [[2, 3], [11, 7]], "interior": []},
        }
    ],
}
_PANOPTIC = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 60, "height": 40}],
    "annotations": [
        {
            "image_id": 1,
            "file_name": "a.png",
            "segments_info": [{"id": 7, "category_id": 3, "area": 63, "bbox": [3, 2, 9, 7]}],
        }
    ],
    "categories": [{"id": 3, "name": "cell", "isthing": 1}],
}  # fmt: skip
_APERIO = (
    '<Annotations MicronsPerPixel="0.25"><Annotation Id="1" Name="cell"><Attributes><Attribute '
    'Name="Description" Value="x"/></Attributes><Regions><RegionAttributeHeaders>'
    '<AttributeHeader Id="9"/></RegionAttributeHeaders>{0}{1}</Regions><Plots/></Annotation>'
    '<Annotation Id="2" Name="other"><Regions>{0}</Regions></Annotation></Annotations>'
).format(
    *(
        f'<Region Id="1" Type="{kind}" Area="9.5"><Attributes/><Vertices><Vertex X="3" Y="4" Z="0"/>'
        '<Vertex X="20" Y="6"/><Vertex X="12" Y="30"/></Vertices></Region>'
        for kind in (0, 3)
    )
)
_SEGMENTS = np.zeros((*SIZE, 3), np.uint8)
_SEGMENTS[_ONE] = (7, 0, 0)

LAYOUTS = (
    Layout(
        "YOLO of Ultralytics: detect",
        "yolo",
        {
            "data.yaml": "train: images/train\nval: images/val\nnames: [cell]\n",
            "images/train/a.png": SIZE,
            "images/val/b.png": SIZE,
            "labels/train/a.txt": "0 0.5 0.5 0.25 0.25\n",
            "labels/val/b.txt": "0 0.5 0.5 0.5 0.5\n",
        },
        "yolo",
    ),
    Layout(
        "YOLO of Ultralytics: pose",
        "yolo",
        {
            "data.yaml": "train: images\nval: images\nkpt_shape: [2, 3]\nnames: [cell]\n",
            "images/a.png": SIZE,
            "labels/a.txt": "0 0.5 0.5 0.25 0.25 0.4 0.4 2 0.6 0.6 1\n",
        },
        "yolo",
    ),
    Layout(
        "YOLO of Ultralytics: segment",
        "yolo",
        {
            "data.yaml": "train: images\nval: images\nnames: [cell]\n",
            "images/a.png": SIZE,
            "labels/a.txt": "0 0.1 0.1 0.5 0.1 0.5 0.5\n",
        },
        "yolo-seg",
    ),
    Layout(
        "YOLO of Ultralytics: obb",
        "yolo",
        {
            "data.yaml": "train: images\nval: images\nnames: [cell]\n",
            "images/a.png": SIZE,
            "labels/a.txt": "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n",
        },
        "yolo-obb",
    ),
    Layout(
        "YOLO of Roboflow",
        "yolo",
        {
            "README.roboflow.txt": "exported",
            "data.yaml": "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['cell']\n",
            "train/images/a.png": SIZE,
            "train/labels/a.txt": "0 0.5 0.5 0.25 0.25\n",
            "valid/images/b.png": SIZE,
            "valid/labels/b.txt": "0 0.5 0.5 0.25 0.25\n",
        },
        "yolo",
    ),
    Layout(
        "YOLO of darknet",
        "yolo",
        {
            "obj.data": "classes = 1\ntrain = data/train.txt\nnames = data/obj.names\n",
            "obj.names": "cell\n",
            "train.txt": "data/obj_train_data/a.png\n",
            "obj_train_data/a.png": SIZE,
            "obj_train_data/a.txt": "0 0.5 0.5 0.25 0.25\n",
        },
        "yolo",
    ),
    Layout(
        "Pascal VOC, with class and object images",
        "voc",
        {
            "Annotations/a.xml": _VOC.format("a"),
            "JPEGImages/a.png": SIZE,
            "ImageSets/Main/train.txt": "a\n",
            "SegmentationClass/a.png": _classes(1, 255),
            "SegmentationObject/a.png": _classes(1, 255),
        },
        "voc",
    ),
    Layout(
        "labelImg: XML beside the images", "voc", {"a.png": SIZE, "a.xml": _VOC.format("a")}, "voc"
    ),
    Layout(
        "CVAT for images 1.1",
        "cvat",
        {
            "annotations.xml": _CVAT.format(
                '<image id="0" name="a.png" subset="train" width="60" height="40"><ellipse '
                'label="cell" cx="20" cy="20" rx="9" ry="5"/></image>'
            ),
            "images/train/a.png": SIZE,
        },
        "cvat",
    ),
    Layout(
        "CVAT for video 1.1",
        "cvat",
        {
            "annotations.xml": _CVAT.format(
                '<track id="0" label="cell"><box frame="0" keyframe="1" outside="0" xtl="1" ytl="1" '
                'xbr="9" ybr="9"/><box frame="1" keyframe="1" outside="1" xtl="1" ytl="1" xbr="9" '
                'ybr="9"/></track>'
            ),
            "images/frame_000000.PNG": SIZE,
            "images/frame_000001.PNG": SIZE,
        },
        "cvat",
    ),
    Layout("VIA project or JSON", "via", {"a.png": SIZE, "via.json": json.dumps(_VIA)}, "via"),
    Layout(
        "VIA 3 project",
        "via",
        {"a.png": SIZE, "b.png": SIZE, "via_project.json": json.dumps(_VIA_3)},
        "via",
    ),
    Layout("VIA CSV", "via", {"a.png": SIZE, "via.csv": _CSV}, "via"),
    Layout(
        "Label Studio JSON",
        "label-studio",
        {"images/a.png": SIZE, "export.json": json.dumps([_TASK])},
        "label-studio",
    ),
    Layout(
        "Label Studio JSON-MIN",
        "label-studio",
        {
            "images/a.png": SIZE,
            "export.json": json.dumps([{"image": "a.png", "label": [{**_REGION, **_SIZES}]}]),
        },
        "label-studio",
    ),
    Layout(
        "Supervisely",
        "supervisely",
        {
            "meta.json": json.dumps(
                {"classes": [{"title": "cell", "color": "#FF0000"}], "tags": []}
            ),
            "train/img/a.png": SIZE,
            "train/ann/a.png.json": json.dumps(_SUPERVISELY),
        },
        "supervisely",
    ),
    Layout(
        "COCO panoptic",
        "coco-panoptic",
        {
            "annotations/panoptic_train.json": json.dumps(_PANOPTIC),
            "annotations/panoptic_train/a.png": _SEGMENTS,
            "train/a.jpg": SIZE,
        },
        "coco-panoptic",
    ),
    Layout(
        "COCO stuff: label images of classes",
        "coco",
        {
            "labels.txt": "0: unlabeled\n1: person\n2: bicycle\n",
            "images/train2017/a.jpg": SIZE,
            "stuffthingmaps/train2017/a.png": _classes(1, 255),
        },
        "coco",
    ),
    Layout(
        "Lists of boxes: CSV of TensorFlow, RetinaNet, makesense",
        "box-table",
        {
            "train/_annotations.csv": "filename,width,height,class,xmin,ymin,xmax,ymax,score\n"
            'a.png,60,40,cell,2,3,12,9,"0,5"\nb.png,60,40,,,,,,\na.png,60,40,,20,10,30,35.50,1\n',
            "train/a.png": SIZE,
            "train/b.png": SIZE,
        },
        "box-table",
    ),
    Layout(
        "CreateML: JSON",
        "box-table",
        {
            "_annotations.createml.json": json.dumps(
                [
                    {
                        "image": "a.png",
                        "split": "x",
                        "annotations": [
                            {
                                "label": "cell",
                                "coordinates": {"x": 7, "y": 6.5, "width": 10, "height": 6},
                            }
                        ],
                    },
                    {"image": "b.png", "annotations": []},
                ]
            ),
            "a.png": SIZE,
            "b.png": SIZE,
        },
        "box-table",
    ),
    Layout(
        "Datumaro",
        "datumaro",
        {
            "annotations/train.json": json.dumps(
                {
                    "dm_format_version": "1.0",
                    "infos": {"author": "x"},
                    "categories": {"label": {"labels": [{"name": "cell", "parent": ""}]}},
                    "items": [
                        {
                            "id": "a",
                            "attr": {"frame": 3},
                            "annotations": [
                                {"id": 1, "type": "bbox", "label_id": 0, "bbox": [2, 3, 10, 6]},
                                {"id": 2, "type": "label", "label_id": 0, "attributes": {}},
                                {"id": 3, "type": "points", "label_id": 0, "points": [1.5, 2]},
                            ],
                        },
                        {"id": "b", "annotations": [{"id": 4, "type": "caption", "caption": "x"}]},
                    ],
                }
            ),
            "images/train/a.png": SIZE,
            "images/train/b.png": SIZE,
        },
        "datumaro",
    ),
    Layout(
        "Aperio ImageScope (MoNuSeg) and ASAP: XML",
        "slide-xml",
        {
            "Annotations/a.xml": _APERIO,
            "Tissue Images/a.tif": SIZE,
            "b.xml": '<ASAP_Annotations><Annotations><Annotation Name="x" Type="Polygon" '
            'PartOfGroup="Tumor" Color="#F4FA58"><Coordinates><Coordinate Order="0" X="3" Y="4"/>'
            '<Coordinate Order="1" X="20" Y="6"/><Coordinate Order="2" X="12" Y="30.5"/></Coordinates>'
            '</Annotation></Annotations><AnnotationGroups><Group Name="Tumor" PartOfGroup="None" '
            'Color="#64FE2E"><Attributes/></Group></AnnotationGroups></ASAP_Annotations>',
            "b.png": SIZE,
        },
        "slide-xml",
    ),
    Layout(
        "MOTChallenge, MOT of CVAT: gt.txt",
        "mot",
        {
            "gt/gt.txt": "1,7,5,6,10,8,1,1,1\n2,7,6,6,10,8,1,1,0.50\n1, 3,30,20,4,5,1,1,1\n",
            "gt/labels.txt": "cell\n",
            "img1/000001.png": SIZE,
            "img1/000002.png": SIZE,
        },
        "mot",
    ),
    Layout(
        "TrackMate",
        "trackmate",
        {
            "movie.xml": '<TrackMate version="7.6.1"><Log>text</Log><Model spatialunits="pixel">'
            '<FeatureDeclarations><SpotFeatures><Feature feature="QUALITY"/></SpotFeatures>'
            '</FeatureDeclarations><AllSpots nspots="2"><SpotsInFrame frame="0">'
            '<Spot ID="1" POSITION_X="9" POSITION_Y="9" POSITION_Z="0" FRAME="0" RADIUS="4"/>'
            '</SpotsInFrame><SpotsInFrame frame="1"><Spot ID="2" POSITION_X="9" POSITION_Y="9" '
            'POSITION_Z="0" FRAME="1" RADIUS="4" ROI_N_POINTS="3">-4.1 -3.2 5.2 -2.1 0.4 6.3</Spot>'
            '</SpotsInFrame></AllSpots><AllTracks><Track name="Track_0" TRACK_ID="0">'
            '<Edge SPOT_SOURCE_ID="1" SPOT_TARGET_ID="2" LINK_COST="1.5"/></Track></AllTracks>'
            '<FilteredTracks><TrackID TRACK_ID="0"/></FilteredTracks></Model><Settings>'
            '<ImageData filename="movie.tif" nslices="1" nframes="2"/></Settings></TrackMate>',
            "movie.tif": np.arange(2 * 40 * 60).reshape(2, *SIZE).astype(np.uint8),
        },
        "trackmate",
    ),
    Layout(
        "napari: shapes as CSV",
        "napari-shapes",
        {
            "Shapes.csv": "index,shape-type,vertex-index,axis-0,axis-1\n0,polygon,0,3.10,2\n"
            "0,polygon,1,5,20\n0,polygon,2,30,11\n1,line,0,1,2\n1,line,1,3,4\n",
            "a.png": SIZE,
        },
        "napari-shapes",
    ),
    Layout(
        "Run lengths in a table (Data Science Bowl, Sartorius, HuBMAP)",
        "object-masks",
        {
            "train.csv": "id,annotation,width,height,cell_type\na,130 5 190 7,60,40,cort\n"
            "b,,60,40,astro\na,250 3,60,40,astro\n",
            "train/a.png": SIZE,
            "train/b.png": SIZE,
        },
        "label-files",
    ),
    Layout("COCO: polygons, run lengths, boxes", "coco", makers.make_coco_folder, "coco"),
    Layout("labelme", "labelme", makers.make_labelme_folder, "labelme"),
    Layout(
        "One mask file per object (Data Science Bowl)",
        "object-masks",
        makers.make_object_masks,
        "label-files",
    ),
    Layout("Cell Tracking Challenge", "cell-tracking", makers.make_cell_tracking, "cell-tracking"),
    Layout("QuPath: GeoJSON", "qupath", makers.make_qupath, "qupath"),
    Layout(
        "ImageJ: .roi, RoiSet.zip, overlays; ROIs of OME-TIFF", "rois", makers.make_rois, "roi-set"
    ),
    Layout(
        "Cellpose: _seg.npy, _cp_masks, _cp_outlines.txt",
        "cellpose",
        makers.make_cellpose,
        "cellpose",
        ("b_cp_output.png", "b_cp_outlines.txt"),
    ),
    Layout("ilastik: TIFF and HDF5", "ilastik", makers.make_ilastik, "label-files"),
    Layout("nnU-Net", "nnunet", makers.make_nnunet, "nnunet"),
    Layout("PanNuke: images.npy and masks.npy", "array-stacks", _make_pannuke),
    Layout("TissueNet: .npz", "array-stacks", _make_tissuenet),
    Layout("HoVer-Net: .mat (CoNSeP, Kumar, Lizard)", "mat-labels", _make_mat),
    Layout(
        "CellProfiler, BBBC: a table of wells", "well-table", makers.make_well_table, "label-files"
    ),
    Layout(
        "Images with label images",
        "images",
        {"a.png": SIZE, "a_mask.png": _classes(1, 2)},
        "label-files",
    ),
)

HEAD = (
    "| layout | `--format` | annotations | classes | splits | tracks | export equal to the source |"
)


def row(layout: Layout, folder: Path) -> str:
    """The row of a layout, as a conversion without an option and an export give it."""
    source = layout.write(folder / "in")
    store = folder / "out.zarr"
    ngff_bio.convert(source, store)
    assert ngff_bio.verify(store, source).equal
    assert not [f for f in validate(store) if f.level == "error"]
    data = ngff_bio.open(store)
    assert data.attributes["source"] == layout.source, layout.title
    layers = [(data[p], layer) for p in data for layer in data[p].layers]
    about = [image.label_attributes(layer) for image, layer in layers]
    frames = [f for p in data for f in data[p].attributes.get("frames") or ()]
    cells = [
        bool(layers),
        any(a.get("categories") for a in about),
        any(f.get("splits") for f in frames),
        any(a.get("tracked") for a in about),
    ]
    marks = ["yes" if cell else "" for cell in cells]
    if layout.export is None:
        exported = ""
    else:
        ngff_bio.export(store, folder / "back", to=layout.export, images=True)
        same = {f for f in (folder / "back").rglob("*.*") if f.is_file()}
        assert same
        files = (f for f in source.rglob("*.*") if not f.name.startswith("README"))
        wanted = {f.relative_to(source) for f in files if f.suffix.lower() in _ENDINGS}
        wanted -= {Path(name) for name in layout.unread}
        assert wanted <= {f.relative_to(folder / "back") for f in same}, layout.title
        for file in same:
            _assert_equal(file, source / file.relative_to(folder / "back"))
        exported = f"`{layout.export}`"
    return f"| {layout.title} | `{layout.source}` | {' | '.join(marks)} | {exported} |"


def _assert_equal(found: Path, expected: Path) -> None:
    if found.suffix in (".json", ".geojson"):
        assert json.loads(found.read_text()) == json.loads(expected.read_text()), found
    elif found.suffix == ".xml":
        assert values_of(found.read_text()) == values_of(expected.read_text()), found
    elif found.suffix == ".png":
        pixels = [np.asarray(Image.open(f)) for f in (found, expected)]
        if pixels[1].shape[2:] == (4,) and (pixels[1][..., 3] == 255).all():  # is not stored
            pixels[1] = pixels[1][..., :3]
        assert (pixels[0] == pixels[1]).all(), found
    elif found.suffix == ".tif":
        assert (tifffile.imread(found) == tifffile.imread(expected)).all(), found
    elif found.suffix == ".zip":
        inside = expected.with_name(expected.name.replace("_RoiSet.zip", ".tif"))
        if expected.exists():
            assert _members(found) == _members(expected), found
        else:  # an overlay of a TIFF
            overlays = tifffile.TiffFile(inside).imagej_metadata["Overlays"]
            assert [*_members(found).values()] == overlays, found
    elif found.suffix == ".csv":
        assert json.dumps(found.read_text().split()) == json.dumps(expected.read_text().split())
    elif found.suffix == ".gz":
        one, other = (nibabel.load(f) for f in (found, expected))
        assert (one.get_fdata() == other.get_fdata()).all(), found
        assert (one.affine == other.affine).all(), found
        assert one.header.get_xyzt_units()[0] == other.header.get_xyzt_units()[0], found
    elif found.suffix == ".h5":
        with h5py.File(found) as one, h5py.File(expected) as other:
            data = one["exported_data"], other["exported_data"]
            assert (data[0][...] == data[1][...]).all(), found
            axes = [[a["key"] for a in json.loads(d.attrs["axistags"])["axes"]] for d in data]
            assert axes[0] == axes[1], found
    elif found.suffix == ".npy":
        one, other = (np.load(f, allow_pickle=True).item() for f in (found, expected))
        assert (one["masks"] == other["masks"]).all(), found
        assert (one["filename"], one["diameter"]) == (other["filename"], other["diameter"])
    elif found.suffix == ".jpg":  # compressed again
        assert Image.open(found).size == Image.open(expected).size, found
    else:
        assert found.read_bytes() == expected.read_bytes(), found


def _members(file: Path) -> dict[str, bytes]:
    with ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def document(rows: list[str]) -> str:
    """The page with the table."""
    return "\n".join(
        [
            "# Layouts that convert without an option",
            "",
            "Made by `python tests/layouts.py`, which converts a small folder of each layout, verifies",
            "the store, exports it in its own format and compares the files value for value.",
            "",
            HEAD,
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        made = [row(one, Path(temporary, str(n))) for n, one in enumerate(LAYOUTS)]
    DOCUMENT.write_text(document(made))
    sys.stdout.write(DOCUMENT.read_text())
