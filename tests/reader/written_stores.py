"""Stores of several writers, for tests that read them all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from ngff_bio.engine import Settings, write_dataset
from ngff_bio.model import (
    ArrayPixels,
    Axis,
    Box,
    Category,
    Channel,
    Frame,
    Instance,
    InstanceLayer,
    SourceDataset,
    SourceImage,
    SourcePlate,
    axes_from,
)
from ngff_bio.storage import FolderStorage, Storage

SHAPE = (2, 96, 120)  # c, y, x
SCALE = 0.25
CLASSES = ("round", "flat")


def example_pixels(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> NDArray[np.uint16]:
    """Noise on a slope, so that no two places are equal."""
    rng = np.random.default_rng(seed)
    slope = np.add.outer(np.arange(shape[-2]) * 7, np.arange(shape[-1]) * 3)
    return (rng.integers(0, 200, shape) + slope).astype(np.uint16)


def blobs(seed: int = 0, shape: tuple[int, ...] = SHAPE[1:]) -> NDArray[np.uint16]:
    """Label values 1 to 12 on a grid of boxes."""
    labels = np.zeros(shape, np.uint16)
    for i in range(12):
        y, x = 8 + 30 * (i // 4), 5 + 28 * (i % 4) + seed
        labels[y : y + 14, x : x + 17] = i + 1
    return labels


@dataclass(frozen=True)
class BoxInstances:
    """Boxes over time: each frame has every box; some lie on others."""

    boxes: tuple[tuple[float, float, float, float], ...]

    def read(self, t: int) -> list[Instance]:
        return [
            Instance(
                value=len(self.boxes) * t + i + 1,
                geometry=Box(x, y, x + w, y + h),
                t=t,
                category=CLASSES[i % 2],
                category_id=i % 2,
                source_id=1000 + i,
                box=(x, y, w, h),
            )
            for i, (x, y, w, h) in enumerate(self.boxes)
        ]


OVERLAPPING = ((5.0, 5.0, 30.0, 20.0), (10.0, 8.0, 6.0, 6.0), (50.0, 40.0, 30.0, 30.0),
               (60.0, 50.0, 40.0, 40.0), (100.0, 2.0, 10.0, 10.0))  # fmt: skip
HOURS = (0.0, 4.0, 7.5)


def our_plate(storage: Storage, **settings: Any) -> SourceDataset:
    """A plate of two wells: three frames over time at uneven hours, overlapping boxes, splits."""
    images = []
    for number, well in enumerate(("B/7", "C/7")):
        for field in ("0", "1"):
            pixels = example_pixels(number * 2 + int(field), (3, *SHAPE[1:]))
            frames = tuple(
                Frame(
                    f"{well.replace('/', '')}_{field}_{t}.tif",
                    t,
                    elapsed_hours=h,
                    splits=("train",) if t < 2 else ("test",),
                    size=(90, 110) if t == 2 else None,
                )
                for t, h in enumerate(HOURS)
            )
            layer = InstanceLayer(
                "cell",
                BoxInstances(OVERLAPPING),
                count=15,
                max_value=15,
                categories=tuple(Category(i, n) for i, n in enumerate(CLASSES)),
            )
            images.append(
                SourceImage(
                    f"{well}/{field}",
                    f"{well} {field}",
                    axes_from("tyx", y=(SCALE, "micrometer"), x=(SCALE, "micrometer")),
                    ArrayPixels(pixels),
                    (layer,),
                    frames=frames,
                    translation=(0.0, 0.0, 30.0 * int(field)),
                )
            )
    plate = SourcePlate("", "plate", ("A", "B", "C"), tuple(map(str, range(1, 9))))
    dataset = SourceDataset(
        "made", "made", "made", "plates", tuple(images), (plate,), splits=("train", "test")
    )
    write_dataset(dataset, storage, Settings(chunk=(32, 32), levels=2, **settings))
    return dataset


def our_image(storage: Storage, **settings: Any) -> None:
    """A colour image with labels at the root."""
    image = SourceImage(
        "",
        "colours",
        (Axis("c"), Axis("y", SCALE, "micrometer"), Axis("x", SCALE, "micrometer")),
        ArrayPixels(example_pixels()),
        (InstanceLayer("cell", BoxInstances(OVERLAPPING), count=5, max_value=5),),
        channels=(Channel("DAPI"), Channel("GFP")),
    )
    dataset = SourceDataset("made", "made", "made", "image", (image,))
    write_dataset(dataset, storage, Settings(chunk=(32, 32), levels=3, **settings))


def ours(version: Any) -> dict[str, Callable[[Path], Any]]:
    return {
        "image": lambda path: our_image(FolderStorage(path), version=version),
        "plate": lambda path: our_plate(FolderStorage(path), version=version),
    }


def by_ome_zarr(version: str) -> dict[str, Callable[[Path], Any]]:
    from ome_zarr.format import FormatV04, FormatV05
    from ome_zarr.writer import (
        write_image,
        write_labels,
        write_plate_metadata,
        write_well_metadata,
    )

    fmt = FormatV04() if version == "0.4" else FormatV05()
    how: dict[str, Any] = {"fmt": fmt, "scale_factors": [2, 4]}
    sizes = {"y": SCALE, "x": SCALE}
    units = {"y": "micrometer", "x": "micrometer"}

    def image(group: Any, seed: int = 0) -> None:
        write_image(
            example_pixels(seed),
            group,
            axes="cyx",
            scale={"c": 1.0, **sizes},
            axes_units=units,
            **how,
        )
        labels = {"scale": sizes, "axes_units": units}
        write_labels(blobs(), group, name="cell", axes="yx", **labels, **how)

    def root(path: Path) -> Any:
        return zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)

    def plate(path: Path) -> None:
        top = root(path)
        write_plate_metadata(top, ["B", "C"], ["7"], ["B/7", "C/7"], fmt=fmt, name="p")
        for number, row in enumerate("BC"):
            well = top.require_group(f"{row}/7")
            write_well_metadata(well, ["0", "1"], fmt=fmt)
            for field in range(2):
                image(well.require_group(str(field)), number * 2 + field)

    return {"image": lambda path: image(root(path)), "plate": plate}


def by_ngio(version: Any) -> dict[str, Callable[[Path], Any]]:
    import ngio

    def image(path: Path, seed: int = 0) -> None:
        made = ngio.create_ome_zarr_from_array(
            path,
            example_pixels(seed),
            pixelsize=SCALE,
            axes_names="cyx",
            levels=3,
            channels_meta=["DAPI", "GFP"],
            ngff_version=version,
            overwrite=True,
        )
        label = made.derive_label("cell")
        label.set_array(blobs(), axes_order="yx")
        label.consolidate()

    def plate(path: Path) -> None:
        wells = [
            ngio.ImageInWellPath(row=row, column="7", path=field) for row in "BC" for field in "01"
        ]
        ngio.create_empty_plate(path, "p", images=wells, ngff_version=version)
        for number, one in enumerate(wells):
            image(path / one.row / "07" / one.path, number)

    return {"image": image, "plate": plate}


def by_hand(
    separator: str = "/", *, nested_in: str = "", sparse: bool = True, compressor: Any = "auto"
) -> dict[str, Callable[[Path], Any]]:
    """Zarr v2 as bioformats2raw and others lay it out; ``sparse`` leaves out what is optional."""

    def array(path: Path, data: NDArray[Any]) -> None:
        filters = None
        if compressor == "delta":
            import numcodecs

            filters = [numcodecs.Delta(data.dtype.str)]
        made = zarr.create_array(
            path,
            shape=data.shape,
            chunks=(1,) * (data.ndim - 2) + (40, 50),
            dtype=data.dtype,
            zarr_format=2,
            filters=filters,
            compressors=None if compressor in (None, "delta") else "auto",
            chunk_key_encoding={"name": "v2", "separator": separator},
        )
        made[...] = data

    def multiscale(path: Path, data: NDArray[Any], names: str, more: dict[str, Any]) -> None:
        datasets = []
        for level in range(3):
            step = 2**level
            array(path / f"s{level}", data[..., ::step, ::step])
            scale = [1.0] * (data.ndim - 2) + [SCALE * step] * 2
            steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
            datasets.append({"path": f"s{level}", "coordinateTransformations": steps})
        kinds = {"t": "time", "c": "channel"}
        axes = [{"name": n, "type": kinds.get(n, "space")} for n in names]
        entry: dict[str, Any] = {"axes": axes, "datasets": datasets}
        if not sparse:
            entry |= {"version": "0.4", "name": "by hand"}
            for axis in axes[-2:]:
                axis["unit"] = "micrometer"
        attrs({"multiscales": [entry], **more}, path)

    def attrs(content: dict[str, Any], path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        (path / ".zattrs").write_text(json.dumps(content))

    def image(path: Path, seed: int = 0) -> None:
        multiscale(path, example_pixels(seed)[None, :, None], "tczyx", {})
        attrs({"labels": ["cell"]}, path / "labels")
        multiscale(path / "labels" / "cell", blobs()[None, None, None], "tczyx",
                   {"image-label": {}})  # fmt: skip

    def collection(path: Path) -> None:
        top = path / nested_in
        attrs({"bioformats2raw.layout": 3}, top)
        for number in range(2):
            image(top / str(number), number)

    def plate(path: Path) -> None:
        wells = [{"path": f"{row}/7", "rowIndex": i, "columnIndex": 0} for i, row in
                 enumerate("BC")]  # fmt: skip
        rows, columns = [{"name": r} for r in "BC"], [{"name": "7"}]
        content = {"rows": rows, "columns": columns, "wells": wells}
        attrs({"plate": content}, path)
        for number, row in enumerate("BC"):
            attrs({}, path / row)
            attrs({"well": {"images": [{"path": "0"}, {"path": "1"}]}}, path / row / "7")
            for field in range(2):
                image(path / row / "7" / str(field), number * 2 + field)

    return {"image": image, "plate": plate, "collection": collection}


WRITERS: dict[str, dict[str, Callable[[Path], Any]]] = {
    **{f"ours {v}": ours(v) for v in ("0.4", "0.5", "0.6")},
    **{f"ome-zarr {v}": by_ome_zarr(v) for v in ("0.4", "0.5")},
    **{f"ngio {v}": by_ngio(v) for v in ("0.4", "0.5")},
    "by hand /": by_hand("/"),
    "by hand .": by_hand(".", sparse=False),
    "by hand plain": by_hand("/", compressor=None),
    "by hand filters": by_hand(".", compressor="delta"),
}
