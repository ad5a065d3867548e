"""Stores of writers that do not fit into one environment, converted and compared.

    python tests/other_writers.py DIR [NAME ...]

For each writer it makes an environment below DIR (with pip), has the writer write stores there, and
converts these with the `ngff_bio` of this Python: pixels, labels, scales and places must be those
that zarr-python reads of the writer's store, in versions 0.5 and 0.6. NAME limits it to some writers.
Not part of the test suite: the environments take minutes and gigabytes.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

#: Writer: its packages, and what it writes, as a script with the folder in `sys.argv[1]`.
WRITERS: dict[str, tuple[str, str]] = {
    "ngff-zarr": (
        "ngff-zarr tensorstore",
        """
import ngff_zarr as nz
for version in ("0.4", "0.5"):
    image = nz.to_ngff_image(pixels, dims=("c", "y", "x"), scale={"y": 0.5, "x": 0.25},
                             translation={"y": 3.0, "x": 4.0})
    levels = nz.to_multiscales(image, scale_factors=[2], chunks=48)
    nz.to_ngff_zarr(f"{folder}/image-{version}.ome.zarr", levels, version=version)
levels = nz.to_multiscales(image, scale_factors=[2], chunks=24)
nz.to_ngff_zarr(f"{folder}/sharded-0.5.ome.zarr", levels, version="0.5", chunks_per_shard=2)
""",
    ),
    "bioio-conversion": (
        "bioio-conversion bioio-ome-zarr bioio-tifffile",
        """
from bioio_ome_zarr.writers import OMEZarrWriter
for zarr_format, version in ((2, "0.4"), (3, "0.5")):
    writer = OMEZarrWriter(store=f"{folder}/image-{version}.zarr", zarr_format=zarr_format,
                           dtype="uint16",
                           level_shapes=[(2, 96, 120), (2, 48, 60)], axes_names=["c", "y", "x"],
                           axes_types=["channel", "space", "space"], physical_pixel_size=[1, 0.5, 0.25])
    writer.write_full_volume(pixels)
""",
    ),
    "eubi-bridge": (
        "eubi-bridge",
        """
import subprocess, tifffile
tifffile.imwrite(f"{folder}/image.tif", pixels[0])
for zarr_format in (2, 3):
    subprocess.run([sys.executable, "-m", "eubi_bridge.cli", "to_zarr", f"{folder}/image.tif",
                    f"{folder}/out{zarr_format}", f"--zarr_format={zarr_format}"], check=True)
""",
    ),
    "iohub": (
        "iohub",
        """
from iohub import open_ome_zarr
from iohub.ngff import TransformationMeta
path = f"{folder}/plate-0.4.zarr"
with open_ome_zarr(path, layout="hcs", mode="w", channel_names=["a", "b"]) as plate:
    for number, (row, column) in enumerate((("B", "7"), ("C", "8"))):
        position = plate.create_position(row, column, "0")
        position.create_image("0", pixels[None, :, None] + number,
                              transform=[TransformationMeta(type="scale", scale=[1, 1, 2, 0.5, 0.25])])
""",
    ),
    "spatialdata": (
        "spatialdata",
        """
import spatialdata as sd
from spatialdata.models import Image2DModel, Labels2DModel
from spatialdata.transformations import Scale
image = Image2DModel.parse(pixels, dims=("c", "y", "x"), scale_factors=[2])
cell = Labels2DModel.parse(labels, dims=("y", "x"))
coarse = Labels2DModel.parse(labels[::2, ::2], dims=("y", "x"),
                             transformations={"global": Scale([2, 2], axes=("y", "x"))})
data = sd.SpatialData(images={"img": image}, labels={"cell": cell, "coarse": coarse})
data.write(f"{folder}/image-0.5.zarr")
from spatialdata._io.format import SpatialDataContainerFormatV01
data.write(f"{folder}/image-0.4.zarr", sdata_formats=SpatialDataContainerFormatV01())
""",
    ),
}

_START = """
import sys
import numpy as np
folder = sys.argv[1]
pixels = np.random.default_rng(0).integers(0, 60000, (2, 96, 120)).astype(np.uint16)
labels = np.zeros((96, 120), np.uint16)
labels[10:30, 20:60], labels[50:90, 70:110] = 1, 2
"""


def make(folder: Path, name: str) -> list[Path]:
    """Stores that a writer writes."""
    packages, script = WRITERS[name]
    environment, out = folder / f"env-{name}", folder / name
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages.split()], check=True)
    if not out.exists():
        out.mkdir(parents=True)
        subprocess.run([python, "-W", "ignore", "-c", _START + script, out], check=True)
    return sorted(p for p in out.rglob("*.zarr") if not any(a.suffix == ".zarr" for a in p.parents))


def compare(store: Path, version: Any) -> list[str]:
    """What differs between a store and what it is converted to."""
    import numpy as np
    import zarr

    import ngff_bio
    from ngff_bio.engine import Settings

    new = store.parent / f"converted-{version}" / store.name
    ngff_bio.convert(store, new, settings=Settings(version=version), overwrite=True)
    groups = [zarr.open_group(p, mode="r") for p in (store, new)]
    arrays = [
        {n: a for n, a in g.members(max_depth=None) if isinstance(a, zarr.Array)} for g in groups
    ]
    wrong = [f"array {n}" for n in arrays[0].keys() ^ arrays[1].keys()]
    for name in arrays[0].keys() & arrays[1].keys():
        if not np.array_equal(arrays[0][name][...], arrays[1][name][...]):
            wrong.append(f"pixels of {name}")
    before, after = ngff_bio.open(store), ngff_bio.open(new)
    if list(before) != list(after):
        wrong.append(f"images {list(before)}, {list(after)}")
    for path in set(before) & set(after):
        one, other = before[path], after[path]
        for level in range(len(one.pixels)):
            for what in ("scale", "translation"):
                if getattr(one.pixels, what)(level) != getattr(other.pixels, what)(level):
                    wrong.append(f"{what} of level {level} of {path}")
        if (one.labels, one.rendering, one.units) != (other.labels, other.rendering, other.units):
            wrong.append(f"labels, channels or units of {path}")
    return wrong + [str(d) for d in ngff_bio.verify(new, store).differences]


def main() -> None:
    folder, names = Path(sys.argv[1]), sys.argv[2:] or list(WRITERS)
    warnings.simplefilter("ignore")
    failed = False
    for name in names:
        for store in make(folder, name):
            if "converted" in str(store):
                continue
            for version in ("0.5", "0.6"):
                wrong = compare(store, version)
                failed |= bool(wrong)
                print(f"{name} {store.name} -> {version}: {'; '.join(wrong) or 'equal'}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
