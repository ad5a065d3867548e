"""Version 0.5: all metadata below ``ome``, one version for all of it."""

from __future__ import annotations

from ngff_bio.checks.spec.node import Node
from ngff_bio.checks.spec.rules.axes import check_axes
from ngff_bio.checks.spec.rules.collections import check_collection, check_series
from ngff_bio.checks.spec.rules.images import (
    check_descriptions,
    check_level_order,
    check_omero,
    datasets_of,
    multiscale_images,
)
from ngff_bio.checks.spec.rules.labels import check_image_label, check_labels_list
from ngff_bio.checks.spec.rules.plates import check_plate, check_well
from ngff_bio.checks.spec.rules.scale_translation import check_scale_translation
from ngff_bio.checks.spec.rules.specification import Specification, namespaced_metadata


def check_image(metadata: Node) -> None:
    """Check the multiscale images of a group and their channels."""
    for multiscale in multiscale_images(metadata):
        axes = check_axes(multiscale["axes"])
        datasets = datasets_of(multiscale)
        scales = [
            check_scale_translation(dataset["coordinateTransformations"], axes)
            for dataset in datasets
        ]
        check_level_order(datasets, scales)
        if "coordinateTransformations" in multiscale:
            check_scale_translation(multiscale["coordinateTransformations"], axes)
        check_descriptions(multiscale)
    check_omero(metadata)


SPECIFICATION = Specification(
    version="0.5",
    spellings=frozenset({"0.5"}),
    metadata=namespaced_metadata,
    checks={
        "multiscales": check_image,
        "image-label": check_image_label,
        "labels": check_labels_list,
        "plate": check_plate,
        "well": check_well,
        "bioformats2raw.layout": check_collection,
        "series": check_series,
    },
)
