"""Image files and label files of the source again: names, formats and values that they had."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import import_optional
from ngff_bio.export.image_files import write_image, write_pixels
from ngff_bio.export.output import place_below
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage
from ngff_bio.export.stacks import stack_of
from ngff_bio.formats.tiff.writer import write_ome_tiff, write_plain_tiff
from ngff_bio.model import PixelArray

_TIFF = (".tif", ".tiff")
_NIFTI = (".nii", ".nii.gz")
_HDF5 = (".h5", ".hdf5")

#: NIfTI's names of units.
_UNITS = {"meter": "meter", "millimeter": "mm", "micrometer": "micron"}
_TIMES = {"second": "sec", "millisecond": "msec", "microsecond": "usec"}

#: Types of axes of vigra, as ilastik writes them.
_TYPES = {"c": 1, "t": 8}


def write_image_files(image: SelectedImage, place: Path, report: ExportReport) -> None:
    """Write the image files of an image below a folder."""
    for name, part, channel in _parts(image):
        planes = list(part.planes())
        if channel is None and len(planes) == 1 and not name.lower().endswith((*_NIFTI, *_HDF5)):
            write_image(planes[0], place, name, report)
        else:
            _write(place_below(place, name), part, None, channel)


def write_label_files(image: SelectedImage, layer: str, place: Path, report: ExportReport) -> None:
    """Write the label files of a layer below a folder."""
    about = image.stored.source_attributes(layer)
    files = [str(name) for name in about.get("files") or ()]
    changed = "objects" in about or any(n.lower().endswith((".jpg", ".jpeg")) for n in files)
    parts = [image] if len(files) == 1 else _planes(image)
    places = about.get("file_places") or range(len(files))
    if changed or len(parts) <= max(places, default=0):
        report.skip("label files whose values are not those of the store", record=layer)
        return
    for name, number in zip(files, places, strict=True):
        file = place_below(place, name)
        if name.lower().endswith("_seg.npy"):
            _write_seg(file, image, layer, about)
            report.skip("members of _seg.npy other than masks, outlines and settings", record=name)
        else:
            _write(file, parts[number], layer, None)
    labels = (image.stored.plane(layer, p.t, p.z) for p in image.planes())
    report.instances += len({v for plane in labels for v in np.unique(plane).tolist() if v})


def _parts(image: SelectedImage) -> Iterator[tuple[str, SelectedImage, int | None]]:
    """Each image file with its part of the image, and its channel if it is one of several."""
    listed = list(image.selected_frames)
    if len({str(frame.get("name")) for _, frame in listed}) == 1:
        yield str(listed[0][1].get("name")), image, None
        return
    for t, frame in listed:
        at: dict[str, Any] = {"t": t, **(frame.get("record") or {})}
        spans = {a: (at[a], at[a] + 1) for a in "tz" if a in image.spans and a in at}
        yield str(frame.get("name")), replace(image, spans={**image.spans, **spans}), at.get("c")


def _planes(image: SelectedImage) -> list[SelectedImage]:
    """Parts of an image along t, else along z."""
    axis = "t" if image.stored.size("t") > 1 else "z"
    spans = ({**image.spans, axis: (i, i + 1)} for i in range(*image.span(axis)))
    return [replace(image, spans=s) for s in spans]


def _array(image: SelectedImage, name: str | None, channel: int | None) -> PixelArray:
    """Values of the image (``None``) or a label image: (t, z, y, x), or (t, z, y, x, c)."""
    found = np.stack(
        [plane.pixels() if name is None else plane.labels(name) for plane in image.planes()]
    )
    counts = [image.span(a)[1] - image.span(a)[0] for a in "tz"]
    found = found.reshape(*counts, *found.shape[1:])
    return found if channel is None or found.ndim < 5 else found[..., channel]


def _write(file: Path, image: SelectedImage, name: str | None, channel: int | None) -> None:
    lower = file.name.lower()
    if lower.endswith(_TIFF) and channel is None:
        write = write_ome_tiff if ".ome." in lower else write_plain_tiff
        write(file, stack_of(image, name))
        return
    array, about = _array(image, name, channel), image.stored.source_attributes(name)
    if lower.endswith(_NIFTI):
        _write_nifti(file, array, image, about)
    elif lower.endswith(_HDF5):
        _write_hdf5(file, array, about)
    else:
        plane = array.reshape(array.shape[2:])
        fits = plane.dtype.itemsize > 2 and int(plane.max(initial=0)) < 1 << 16
        write_pixels(plane.astype(np.uint16) if name is not None and fits else plane, file)


def _write_nifti(
    file: Path, array: PixelArray, image: SelectedImage, about: Mapping[str, Any]
) -> None:
    """x first, with the transformation of the source."""
    nibabel = import_optional("nibabel", "ngff-bio[nifti]")
    letters = [a for a in "tzyx" if a in image.stored.axes]
    values = array.reshape([n for a, n in zip("tzyx", array.shape, strict=True) if a in letters])
    affine = np.array((about.get("nifti") or {}).get("affine") or np.eye(4))
    # The type is named: without it, nibabel refuses integers of 64 bits.
    made = nibabel.Nifti1Image(np.ascontiguousarray(values.T), affine, dtype=values.dtype)
    units = {a.name: a.unit for a in image.stored.multiscale.axes}
    time = _TIMES.get(units.get("t") or "")
    if time is not None:
        steps = image.stored.multiscale.levels[0].scale
        made.header["pixdim"][4] = steps[image.stored.axes.index("t")]
    made.header.set_xyzt_units(_UNITS.get(units["x"] or "", 0), time or 0)
    nibabel.save(made, file)


def _write_hdf5(file: Path, array: PixelArray, about: Mapping[str, Any]) -> None:
    """The dataset of the source, on its axes."""
    h5py = import_optional("h5py", "ngff-bio[hdf5]")
    kept = about.get("hdf5") or {}
    axes = str(kept.get("axes", "tzyxc"))
    array = array if array.ndim == 5 else array[..., None]
    values = array.transpose(
        ["tzyxc".index(a) for a in (*axes, *(a for a in "tzyxc" if a not in axes))]
    )
    tags = [
        {"key": a, "typeFlags": _TYPES.get(a, 2), "resolution": 0, "description": ""} for a in axes
    ]
    with h5py.File(file, "w") as opened:
        shape = values.shape[: len(axes)]
        data = opened.create_dataset(
            str(kept.get("dataset", "exported_data")), data=values.reshape(shape)
        )
        data.attrs["axistags"] = json.dumps({"axes": tags})


def _write_seg(file: Path, image: SelectedImage, layer: str, about: Mapping[str, Any]) -> None:
    """A file of Cellpose: masks, outlines, and the settings that the store has."""
    masks = _array(image, layer, None)
    masks = masks.reshape([n for n in masks.shape[:2] if n > 1] + list(masks.shape[2:]))
    content = {
        **(about.get("cellpose") or {}),
        "masks": masks,
        "outlines": masks * _rims(masks),
        "filename": str(next(iter(image.frames.values()), {}).get("name", "")),
    }
    np.save(file, np.array(content, dtype=object), allow_pickle=True)


def _rims(masks: PixelArray) -> NDArray[np.bool_]:
    """Pixels of objects that have one of another value above, below, left or right of them."""
    padded = np.pad(masks, [(0, 0)] * (masks.ndim - 2) + [(1, 1), (1, 1)])
    inner = padded[..., 1:-1, 1:-1]
    around = (
        padded[..., :-2, 1:-1],
        padded[..., 2:, 1:-1],
        padded[..., 1:-1, :-2],
        padded[..., 1:-1, 2:],
    )
    rims: NDArray[np.bool_] = np.logical_or.reduce([inner != other for other in around]) & (
        inner > 0
    )
    return rims
