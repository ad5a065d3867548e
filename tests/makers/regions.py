"""Makes folders of images with regions of QuPath, ImageJ and OME-TIFF, as these programs write them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from makers.paired import SIZE, gray, put
from makers.truth import Truth, written_below

Ring = list[list[float]]


def square(x: float, y: float, side: float) -> Ring:
    """A closed ring, as GeoJSON has it."""
    corners = [[x, y], [x + side, y], [x + side, y + side], [x, y + side]]
    return [*corners, corners[0]]


def feature(geometry: dict[str, Any], number: int, **properties: Any) -> dict[str, Any]:
    """A feature of QuPath 0.4 and later."""
    return {
        "type": "Feature",
        "id": f"3f2504e0-4f89-11d3-9a0c-0305e82c330{number}",
        "geometry": geometry,
        "properties": properties,
    }


def qupath_features() -> list[dict[str, Any]]:
    """An annotation with a hole, a cell with its nucleus, one of two parts, and a point."""
    tumor = {"name": "Tumor", "color": [200, 0, 0]}
    hole = {"type": "Polygon", "coordinates": [square(2, 2, 16), square(6, 6, 4)]}
    cell = {"type": "Polygon", "coordinates": [square(22.25, 4.25, 8)]}
    parts = {"type": "MultiPolygon", "coordinates": [[square(2, 24, 5)], [square(12, 24, 6)]]}
    return [
        feature(hole, 0, objectType="annotation", classification=tumor, isLocked=True),
        feature(
            cell,
            1,
            objectType="cell",
            classification={"name": "Immune", "colorRGB": -16711936},
            measurements={"Nucleus: Area": 12.5, "Cell: Area": 64.0},
        )
        | {"nucleusGeometry": {"type": "Polygon", "coordinates": [square(24, 6, 3)]}},
        feature(parts, 2, objectType="detection", name="two"),
        feature({"type": "Point", "coordinates": [30, 30]}, 3, objectType="annotation"),
    ]


def make_qupath(folder: Path, *, size: str = "tiny", seed: int = 0) -> Truth:
    """A FeatureCollection and a bare array, each named like its image."""
    for number, name in enumerate(("slide a", "b")):
        put(folder / f"{name}.tif", gray(seed + number, np.uint8))
    collection = {"type": "FeatureCollection", "features": qupath_features()}
    (folder / "slide a.geojson").write_text(json.dumps(collection))
    (folder / "b.json").write_text(json.dumps(qupath_features()[:2]))
    return Truth(folder, written_below(folder))


def imagej_rois() -> dict[str, Any]:
    """A region of each kind by name, as roifile writes them."""
    from roifile import ROI_TYPE, ImagejRoi

    polygon = ImagejRoi.frompoints(np.array([[3, 2], [14, 2], [14, 9], [3, 9]]), name="poly")
    polygon.group, polygon.stroke_color = 2, b"\xff\x00\xff\x00"
    fine = ImagejRoi.frompoints(np.array([[20.5, 3.25], [30.0, 4.5], [25.25, 12.75]]), name="fine")
    fine.group = 2
    rectangle = ImagejRoi(
        roitype=ROI_TYPE.RECT, left=5, top=15, right=15, bottom=22, name="rectangle"
    )
    oval = ImagejRoi(roitype=ROI_TYPE.OVAL, left=20, top=15, right=40, bottom=27, name="oval")
    line = ImagejRoi(roitype=ROI_TYPE.LINE, x1=1, y1=1, x2=9, y2=9, name="line")
    return {r.name: r for r in (polygon, fine, rectangle, oval, line)}


def roi_zip(rois: dict[str, Any]) -> bytes:
    """RoiSet.zip, as the ROI Manager saves it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, roi in rois.items():
            archive.writestr(f"{name}.roi", roi.tobytes())
    return out.getvalue()


OME = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Image ID="Image:0" Name="a"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16"
 SizeX="50" SizeY="40" SizeZ="2" SizeC="1" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>
<TiffData IFD="0" PlaneCount="2"/></Pixels><ROIRef ID="ROI:1"/><ROIRef ID="ROI:2"/></Image>
<ROI ID="ROI:1" Name="cell"><Union><Polygon ID="Shape:1" TheZ="1" TheT="0" Text="c"
 StrokeColor="-16776961" Points="3,2 14,2 14,9 3,9"/></Union></ROI>
<ROI ID="ROI:2"><Union><Rectangle ID="Shape:2" X="20" Y="5" Width="6" Height="7"/>
<Point ID="Shape:3" TheZ="0" TheT="0" X="1" Y="1"/></Union></ROI></OME>"""


def make_rois(folder: Path, *, size: str = "tiny", seed: int = 0) -> Truth:
    """A set in a zip, single files, an overlay of a time series, and an OME-TIFF."""
    rois = imagej_rois()
    put(folder / "cells.tif", gray(seed))
    (folder / "cells_RoiSet.zip").write_bytes(roi_zip(rois))
    put(folder / "one" / "one.png", gray(seed + 1, np.uint8))
    for name in ("poly", "oval"):
        (folder / "one" / f"{name}.roi").write_bytes(rois[name].tobytes())
    placed = imagej_rois()
    placed["poly"].t_position, placed["fine"].t_position = 2, 3
    placed["oval"].position = 3
    frames = np.stack([gray(t) for t in range(3)])
    overlays = [placed[n].tobytes() for n in ("poly", "fine", "oval")]
    tifffile.imwrite(
        folder / "movie.tif", frames, imagej=True, metadata={"axes": "TYX", "Overlays": overlays}
    )
    planes = np.stack([gray(z) for z in range(2)])
    tifffile.imwrite(
        folder / "a.ome.tif",
        planes,
        description=OME.encode(),
        metadata=None,
        photometric="minisblack",
    )
    assert planes.shape[1:] == SIZE
    return Truth(folder, written_below(folder))
