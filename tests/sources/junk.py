"""Random mixtures of files from many layouts: images, masks, annotations, documents, empty files."""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import roifile
import tifffile
from PIL import Image

_STEMS = ("a", "b", "cell_01", "cell_02", "img2d", "t000", "00000001")
_FOLDERS = ("", "images", "train/images", "masks", "labels", "annotations", "truth", "01", "x/y")
_SIZE = (12, 16)

#: What a planted file is: an image, a mask, annotations or arrays, a document.
Kinds = dict[str, str]


def _noise(chance: random.Random) -> np.ndarray:
    return np.random.default_rng(chance.randrange(9**9)).integers(5, 250, _SIZE).astype(np.uint8)


def _mask(chance: random.Random) -> np.ndarray:
    plane = np.zeros(_SIZE, np.uint8)
    values = chance.choice([(255, 255), (1, 2), (1, 1), ()])
    if values:
        plane[2:6, 2:8], plane[7:10, 9:14] = values
    else:  # dots that mark objects
        plane[3, 4] = plane[8, 12] = plane[9, 2] = 255
    return plane


def _png(plane: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(plane).save(stream, "PNG")
    return stream.getvalue()


def _image(plane: np.ndarray, ending: str) -> bytes:
    stream = io.BytesIO()
    if ending in (".tif", ".tiff"):
        tifffile.imwrite(stream, plane)
    else:
        Image.fromarray(plane).save(stream, {".jpg": "JPEG", ".bmp": "BMP"}.get(ending, "PNG"))
    return stream.getvalue()


def _coco(stem: str) -> str:
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 5, 4], "area": 20, "iscrowd": 0}
    ring = {"segmentation": [[1, 2, 6, 2, 6, 6, 1, 6]]}
    image = {"id": 1, "file_name": f"{stem}.png", "width": _SIZE[1], "height": _SIZE[0]}
    classes = [{"id": 1, "name": "cell"}]
    return json.dumps({"images": [image], "annotations": [{**box, **ring}], "categories": classes})


def _labelme(stem: str) -> str:
    shape = {"label": "cell", "points": [[1, 2], [6, 6]], "shape_type": "rectangle"}
    about = {"version": "5.0", "flags": {}, "imagePath": f"{stem}.png", "imageData": None}
    return json.dumps({**about, "shapes": [shape], "imageHeight": 12, "imageWidth": 16})


def _voc(stem: str) -> str:
    box = "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>6</xmax><ymax>6</ymax></bndbox>"
    size = "<size><width>16</width><height>12</height><depth>1</depth></size>"
    start = f"<annotation><filename>{stem}.png</filename>{size}"
    return f"{start}<object><name>cell</name>{box}</object></annotation>"


def _cvat(stem: str) -> str:
    box = '<box label="cell" xtl="1" ytl="2" xbr="6" ybr="6" occluded="0" z_order="0"/>'
    image = f'<image id="0" name="{stem}.png" width="16" height="12">{box}</image>'
    return f"<?xml version='1.0'?><annotations><version>1.1</version>{image}</annotations>"


def _geojson(stem: str) -> str:
    ring = {"type": "Polygon", "coordinates": [[[1, 2], [6, 2], [6, 6], [1, 2]]]}
    feature = {"type": "Feature", "geometry": ring, "properties": {"name": stem}}
    return json.dumps({"type": "FeatureCollection", "features": [feature]})


def _via(stem: str) -> str:
    shape = {"name": "rect", "x": 1, "y": 2, "width": 5, "height": 4}
    region = {"shape_attributes": shape, "region_attributes": {}}
    entry = {"filename": f"{stem}.png", "size": 9, "regions": [region], "file_attributes": {}}
    return json.dumps({f"{stem}.png9": entry})


def _npy(stem: str) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.arange(12).reshape(3, 4))
    return stream.getvalue()


def _npz(stem: str) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, X=np.zeros((2, 3, 4)), y=np.ones((2, 3, 4), np.uint8))
    return stream.getvalue()


def _roi(stem: str) -> bytes:
    return bytes(roifile.ImagejRoi.frompoints([[1, 2], [6, 2], [6, 6]]).tobytes())


def _roi_set(stem: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("0001.roi", _roi(stem))
    return stream.getvalue()


def _images_zip(stem: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(f"{stem}.png", _png(np.zeros(_SIZE, np.uint8)))
    return stream.getvalue()


#: Name of a file of annotations or arrays (``*`` is the stem of an image), and its content.
_ANNOTATIONS: dict[str, Callable[[str], str | bytes]] = {
    "instances.json": _coco,
    "_annotations.coco.json": _coco,
    "*.json": _labelme,
    "*.xml": _voc,
    "annotations.xml": _cvat,
    "*.geojson": _geojson,
    "via_region_data.json": _via,
    "*.txt": lambda stem: "0 0.5 0.5 0.2 0.2\n",
    "stray.txt": lambda stem: "0 0.5 0.5 0.2 0.2\n",
    "train.txt": lambda stem: f"{stem}.png\n",
    "boxes.csv": lambda stem: f"image,x,y\n{stem}.png,3,4\n",
    "points.csv": lambda stem: "x_min,y_min,x_max,y_max\n1,2,3,4\n",
    "stage1_train_labels.csv": lambda stem: f"ImageId,EncodedPixels\n{stem},1 3 20 2\n",
    "_annotations.csv": lambda stem: (
        f"filename,width,height,class,xmin,ymin,xmax,ymax\n{stem}.png,16,12,cell,1,2,6,6\n"
    ),
    "train.csv": lambda stem: f"id,annotation,width,height\n{stem},1 3 20 2,16,12\n",
    "default.json": lambda stem: json.dumps(
        {
            "dm_format_version": "1.0",
            "categories": {"label": {"labels": [{"name": "cell"}]}},
            "items": [
                {
                    "id": stem,
                    "annotations": [{"type": "bbox", "label_id": 0, "bbox": [1, 2, 5, 4]}],
                }
            ],
        }
    ),
    "*_regions.xml": lambda stem: (
        '<Annotations><Annotation><Regions><Region Type="0"><Vertices><Vertex X="1" Y="2"/>'
        '<Vertex X="6" Y="2"/><Vertex X="6" Y="6"/></Vertices></Region></Regions></Annotation>'
        "</Annotations>"
    ),
    "movie.xml": lambda stem: (
        '<TrackMate><Model><AllSpots><SpotsInFrame><Spot ID="1" POSITION_X="5" POSITION_Y="5" '
        'POSITION_Z="0" FRAME="0" RADIUS="2"/></SpotsInFrame></AllSpots></Model></TrackMate>'
    ),
    "gt/gt.txt": lambda stem: "1,1,1,2,5,4,1,1,1\n",
    "Shapes.csv": lambda stem: (
        "index,shape-type,vertex-index,axis-0,axis-1\n0,polygon,0,2,1\n0,polygon,1,2,6\n"
        "0,polygon,2,6,6\n"
    ),
    "a.geojson.gz": lambda stem: gzip.compress(_geojson(stem).encode()),
    "cells.tfrecord": lambda stem: b"\x10\0\0\0",
    "_classes.csv": lambda stem: "Pixel Value, Class\n0, background\n1, RBC\n",
    "labels.csv": lambda stem: ",Image,Category\n0,0,NEUTROPHIL\n",
    "polygons.jsonl": lambda stem: json.dumps({"id": stem, "annotations": []}) + "\n",
    "data.qpdata": lambda stem: b"\xac\xed\0\5sr",
    "_annotations.createml.json": lambda stem: json.dumps(
        [
            {
                "image": f"{stem}.png",
                "annotations": [
                    {"label": "a", "coordinates": {"x": 4, "y": 4, "width": 3, "height": 3}}
                ],
            }
        ]
    ),
    "man_track.txt": lambda stem: "1 0 3 0\n2 0 3 1\n",
    "other.json": lambda stem: '{"key": 1}',
    "broken.json": lambda stem: '{"images": [',
    "other.xml": lambda stem: "<settings/>",
    "*_seg.npy": _npy,
    "array.npy": _npy,
    "train.npz": _npz,
    "*.roi": _roi,
    "RoiSet.zip": _roi_set,
    "more.zip": _images_zip,
    "table.xlsx": lambda stem: b"PK\3\4",
    "arrays.mat": lambda stem: b"MATLAB 5.0 MAT-file",
    "arrays.h5": lambda stem: b"\x89HDF\r\n\x1a\n",
    "raw.czi": lambda stem: b"ZISRAWFILE",
    "renamed.dat": lambda stem: _png(np.zeros(_SIZE, np.uint8)),
    "renamed": lambda stem: _coco(stem),
}
_DOCUMENTS = (
    "README.md",
    "LICENSE",
    "readme.txt",
    "paper.pdf",
    "data.yaml",
    "script.py",
    "log.log",
)
_NEITHER = ("notes.txt", "plate.csv", "obj.names", "blob.bin", "Makefile")


def make_junk(folder: Path, seed: int) -> Kinds:
    """Write a mixture; returns what each file is."""
    chance = random.Random(seed)
    kinds: Kinds = {}

    def put(name: str, kind: str, content: str | bytes) -> None:
        path = folder / name
        if name in kinds or any(p.as_posix() in kinds for p in Path(name).parents):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        kinds[name] = kind

    places = chance.sample(_FOLDERS, chance.randint(1, 3))
    stems = chance.sample(_STEMS, chance.randint(1, 3))

    def at(base: str) -> str:
        return f"{chance.choice(places)}/{base}".lstrip("/")

    for stem in stems:
        if chance.random() < 0.9:
            ending = chance.choice([".png", ".png", ".tif", ".jpg", ".bmp"])
            put(at(stem + ending), "image", _image(_noise(chance), ending))
        if chance.random() < 0.4:
            ending = chance.choice([".png", ".tif"])
            added = chance.choice(["", "_mask", "_bw", "_cells", "_1"])
            put(at(stem + added + ending), "mask", _image(_mask(chance), ending))
    for base in chance.sample(sorted(_ANNOTATIONS), chance.choice([0, 0, 1, 1, 2, 4])):
        stem = chance.choice(stems)
        put(at(base.replace("*", stem)), "annotations", _ANNOTATIONS[base](stem))
    for base in chance.sample(_DOCUMENTS, chance.randint(0, 2)):
        put(at(base), "document", "text")
    for base in chance.sample(_NEITHER, chance.randint(0, 1)):
        put(at(base), "neither", "gain 3")
    if chance.random() < 0.3:
        base = chance.choice(["empty.json", "empty.txt", "empty.png", "empty.xml", "empty.csv"])
        put(at(base), "empty", b"")
    if chance.random() < 0.2:
        put(at("thumbs/a_thumb.png"), "thumbnail", _png(_noise(chance)))
    return kinds
