"""The makers of folders that follow a format but belong to no published dataset."""

from ngff_bio.testing.generic_coco import CocoFolderTruth, CocoImage, make_coco_folder
from ngff_bio.testing.generic_labelme import (
    LabelmeFolderTruth,
    LabelmeImage,
    make_labelme_folder,
)
from ngff_bio.testing.generic_tiff import TiffFolderTruth, TiffImage, make_tiff_folder

__all__ = [
    "CocoFolderTruth",
    "CocoImage",
    "LabelmeFolderTruth",
    "LabelmeImage",
    "TiffFolderTruth",
    "TiffImage",
    "make_coco_folder",
    "make_labelme_folder",
    "make_tiff_folder",
]
