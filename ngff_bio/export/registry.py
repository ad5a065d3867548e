"""The formats of exports, by name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ngff_bio.errors import ArgumentError, closest_names

if TYPE_CHECKING:
    from ngff_bio.export.report import ExportReport
    from ngff_bio.export.selection import Selection


@dataclass(frozen=True, slots=True)
class Exporter:
    """A format to export to.

    Parameters
    ----------
    name
        Name for ``--to``.
    title
        Description, one line.
    suffixes
        Suffixes of a destination that is one file; any other destination is a folder.
    function
        Module below `formats` and function that writes, imported on demand: ``coco:write``.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    function: str

    def is_file(self, out: Path) -> bool:
        """Whether the destination `out` is one file."""
        return bool(self.suffixes) and out.name.lower().endswith(self.suffixes)

    def write(self, selection: Selection, place: Path, report: ExportReport) -> None:
        """Write a selection of a store to a file to create, or into an existing folder."""
        module, _, name = self.function.partition(":")
        getattr(import_module(f"ngff_bio.export.formats.{module}"), name)(selection, place, report)


_EXPORTERS = (
    Exporter(
        "coco",
        "COCO: polygons and RLE of the source, other masks as RLE",
        (".json",),
        "coco:write",
    ),
    Exporter(
        "coco-stuff",
        "COCO stuff: label images of classes, and their regions as RLE",
        (),
        "coco_stuff:write",
    ),
    Exporter("labelme", "labelme JSON files beside their image files", (), "labelme:write"),
    Exporter(
        "rle-json",
        "run-length JSON of label volumes, as in platelet-em",
        (".json",),
        "rle_json:write",
    ),
    Exporter(
        "milab",
        "predictions of blood cells (analyze_result.json), for stores converted from them",
        (".json",),
        "milab:write",
    ),
    Exporter(
        "label-tiff",
        "label layers as calibrated TIFF (ImageJ hyperstack if possible)",
        (".tif", ".tiff"),
        "tiff:write_labels",
    ),
    Exporter(
        "ome-tiff",
        "images and label layers as OME-TIFF with physical sizes",
        (".tif", ".tiff"),
        "tiff:write_ome",
    ),
    Exporter(
        "wbc-crops",
        "crops of white blood cells with labels.csv, as by the authors of WBC",
        (),
        "wbc_crops:write",
    ),
    Exporter("yolo", "YOLO text with a box per instance", (), "yolo:write_boxes"),
    Exporter("yolo-seg", "YOLO text with an outline per instance", (), "yolo:write_outlines"),
    Exporter("yolo-obb", "YOLO text with a rotated box per instance", (), "yolo:write_rotated"),
    Exporter("voc", "Pascal VOC: boxes as XML, class and object label images", (), "voc:write"),
    Exporter("cvat", "CVAT XML 1.1: polygons, boxes and masks", (), "cvat:write"),
    Exporter(
        "coco-panoptic",
        "COCO panoptic: segments as JSON, their pixels as PNG",
        (),
        "panoptic:write",
    ),
    *(
        Exporter(name, f"{title}, for stores converted from it", (), "restored:write")
        for name, title in (
            ("via", "VIA"),
            ("label-studio", "Label Studio"),
            ("supervisely", "Supervisely"),
            ("datumaro", "Datumaro"),
            ("box-table", "lists of boxes as CSV or CreateML"),
            ("mot", "MOTChallenge"),
            ("trackmate", "TrackMate"),
            ("slide-xml", "regions of Aperio ImageScope and ASAP"),
            ("napari-shapes", "shapes of napari"),
        )
    ),
    Exporter("qupath", "QuPath: GeoJSON with a polygon per instance", (), "regions:write_qupath"),
    Exporter("roi-set", "ImageJ: RoiSet.zip for each image", (), "regions:write_rois"),
    Exporter(
        "cell-tracking",
        "Cell Tracking Challenge: its own folders again, or results (RES) of tracked layers",
        (),
        "cell_tracking:write",
    ),
    Exporter("cellpose", "Cellpose: a.tif with a_cp_masks.tif", (), "label_folders:write_cellpose"),
    Exporter(
        "stardist", "StarDist: images and masks, train and test", (), "label_folders:write_stardist"
    ),
    Exporter(
        "label-files",
        "label images, masks and tables of the source again (ilastik, object masks, images)",
        (),
        "label_files:write",
    ),
    Exporter(
        "nnunet",
        "nnU-Net: a TIFF for each channel, classes as labels",
        (),
        "label_folders:write_nnunet",
    ),
    Exporter(
        "parquet",
        "the tables of all instances as one Parquet file",
        (".parquet", ".pq"),
        "parquet:write_table",
    ),
    Exporter(
        "geoparquet",
        "all instances as one GeoParquet file, outlines as geometry",
        (".parquet", ".geoparquet", ".pq"),
        "parquet:write_geometry",
    ),
)
_BY_NAME = {exporter.name: exporter for exporter in _EXPORTERS}


def exporters() -> dict[str, Exporter]:
    """All formats by name."""
    return dict(_BY_NAME)


def find_exporter(name: str) -> Exporter:
    """The format of a name.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there is no such format; the message lists all.
    """
    key = name.strip().lower().replace("_", "-")
    if key not in _BY_NAME:
        raise ArgumentError(
            "unknown export format",
            expected=", ".join(_BY_NAME),
            found=name,
            hint=f"one of similar name: {closest_names(key, _BY_NAME)}",
        )
    return _BY_NAME[key]
