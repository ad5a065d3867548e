"""Makes each known dataset in its exact layout, tiny or full-size, with the truth beside it.

Used by the tests and the benchmarks. Every maker has the form
``make_<dataset>(folder, *, size="tiny", seed=0, **quirks) -> Truth``: it writes files below `folder`
and returns what went into them, so that a test compares without reading them again through the code
under test. The same arguments give the same bytes. Makers import nothing of the package but its
errors, so that they stay an independent reference.
"""

from makers.generic_coco import make_coco_folder
from makers.generic_labelme import make_labelme_folder
from makers.generic_tiff import make_tiff_folder
from makers.livecell import make_livecell
from makers.microscope import make_microscope
from makers.nuclei import make_nuclei
from makers.organoid import make_organoid
from makers.paired import (
    make_cell_tracking,
    make_cellpose,
    make_ilastik,
    make_nnunet,
    make_object_masks,
    make_well_table,
)
from makers.platelet_em import make_platelet_em
from makers.plates import make_plate
from makers.regions import make_qupath, make_rois
from makers.wbc import make_wbc, make_wbc_crops

__all__ = [
    "make_cell_tracking",
    "make_cellpose",
    "make_coco_folder",
    "make_ilastik",
    "make_labelme_folder",
    "make_livecell",
    "make_microscope",
    "make_nnunet",
    "make_nuclei",
    "make_object_masks",
    "make_organoid",
    "make_plate",
    "make_platelet_em",
    "make_qupath",
    "make_rois",
    "make_tiff_folder",
    "make_wbc",
    "make_wbc_crops",
    "make_well_table",
]
