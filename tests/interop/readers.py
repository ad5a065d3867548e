"""What other readers make of a store. Runs in the environment of the reader, without this package.

``python readers.py READER CASES``: a JSON list of cases; prints the result of each as JSON. A result is
``ok``, or why not.
"""

from __future__ import annotations

import json
import sys
import zlib
from typing import Any

import numpy as np

Case = dict[str, Any]


def check_pixels(case: Case, found: Any) -> str:
    """Whether pixels are those that zarr-python reads, whatever axes of length 1 are added."""
    array = np.ascontiguousarray(np.squeeze(np.asarray(found)))
    shape = [n for n in case["shape"] if n > 1]
    if list(array.shape) != shape:
        return f"shape {list(array.shape)}, not {shape}"
    crc = zlib.crc32(array.astype(case["dtype"]).tobytes())
    return "ok" if crc == case["crc"] else "other pixels"


def check_mosaic(case: Case, found: Any) -> str:
    """Whether the pixels of each field are somewhere in one plane of the plate."""
    whole = np.squeeze(np.asarray(found))
    missing = 0
    for crc in case["fields"]:
        height, width = case["shape"][-2:]
        tiles = (
            whole[..., y : y + height, x : x + width]
            for y in range(0, whole.shape[-2] - height + 1, height)
            for x in range(0, whole.shape[-1] - width + 1, width)
        )
        missing += not any(
            zlib.crc32(np.ascontiguousarray(tile).astype(case["dtype"]).tobytes()) == crc
            for tile in tiles
        )
    return "ok" if not missing else f"{missing} of {len(case['fields'])} fields are not shown"


def tensorstore(case: Case) -> str:
    import tensorstore as ts

    driver = "zarr" if case["version"] == "0.4" else "zarr3"
    place = {"driver": "file", "path": f"{case['store']}/{case['path']}/0"}
    if case["feature"] not in ("image", "labels"):
        return "-"
    return check_pixels(
        case, ts.open({"driver": driver, "kvstore": place}).result().read().result()
    )


def zarrs(case: Case) -> str:
    import zarr

    if case["feature"] not in ("image", "labels"):
        return "-"
    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    return check_pixels(
        case, zarr.open_array(case["store"], path=f"{case['path']}/0", mode="r")[...]
    )


def ome_zarr_py(case: Case) -> str:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    if case["feature"] in ("table", "collection"):
        return "-"
    place = f"{case['store']}/{case['path']}".rstrip("/")
    nodes = [n for n in Reader(parse_url(place))() if n.data]
    if not nodes:
        return "no image"
    if case["feature"] in ("plate", "root of plates"):
        return check_mosaic(case, nodes[0].data[0])
    found = [check_pixels(case, node.data[0]) for node in nodes]  # labels come with their image
    return "ok" if "ok" in found else found[0]


def napari_ome_zarr(case: Case) -> str:
    from napari_ome_zarr._reader import napari_get_reader

    if case["feature"] == "table":
        return "-"
    path = case["path"].partition("/labels/")[0]
    read = napari_get_reader(f"{case['store']}/{path}".rstrip("/"))
    if read is None:
        return "not recognized"
    layers = read(f"{case['store']}/{path}")
    images = [layer for layer in layers if layer[2] == "image"]
    if not images:
        return "no image"
    if case["feature"] == "collection":
        return "ok" if len(images) == case["count"] else f"{len(images)} images"
    if case["feature"] == "labels":
        found = [check_pixels(case, layer[0][0]) for layer in layers if layer[2] == "labels"]
        return "ok" if "ok" in found else found[0]
    if case["feature"] in ("plate", "root of plates"):
        return check_mosaic(case, images[0][0][0])
    return check_pixels(case, images[0][0][0])


def ngff_zarr(case: Case) -> str:
    import ngff_zarr as nz

    if case["feature"] not in ("image", "labels"):
        return "-"
    found = nz.from_ngff_zarr(f"{case['store']}/{case['path']}".rstrip("/"))
    return check_pixels(case, found.images[0].data.compute())


def ngio(case: Case) -> str:
    from ngio import open_ome_zarr_container, open_ome_zarr_plate

    if case["feature"] == "collection":
        return "-"
    if case["feature"] in ("plate", "root of plates"):
        plate = open_ome_zarr_plate(f"{case['store']}/{case['path']}")
        count = len(plate.images_paths())
        return "ok" if count == case["count"] else f"{count} images"
    path, _, label = case["path"].partition("/labels/")
    image = open_ome_zarr_container(f"{case['store']}/{path}".rstrip("/"))
    if case["feature"] == "labels":
        return check_pixels(case, image.get_label(label).get_as_numpy())
    if case["feature"] == "table":
        table = image.get_table(case["table"])
        linked = getattr(table, "reference_label", None)
        rows = len(table.dataframe)
        if rows != case["rows"]:
            return f"{rows} rows"
        return "ok" if linked == case["table"] else "not linked to its labels"
    return check_pixels(case, image.get_image().get_as_numpy())


def bioio_ome_zarr(case: Case) -> str:
    from bioio_ome_zarr import Reader

    if case["feature"] in ("table", "plate", "root of plates"):
        return "-"
    reader = Reader(f"{case['store']}/{case['path']}".rstrip("/"))
    if case["feature"] == "collection":
        return "ok" if len(reader.scenes) == case["count"] else f"{len(reader.scenes)} scenes"
    return check_pixels(case, reader.data)


def iohub(case: Case) -> str:
    from iohub import open_ome_zarr

    if case["feature"] in ("table", "labels", "collection", "root of plates"):
        return "-"
    with open_ome_zarr(f"{case['store']}/{case['path']}".rstrip("/"), mode="r") as found:
        if case["feature"] == "plate":
            count = len(list(found.positions()))
            return "ok" if count == case["count"] else f"{count} positions"
        return check_pixels(case, found["0"][...])


def spatialdata(case: Case) -> str:
    from spatialdata import read_zarr

    if case["feature"] not in ("image", "labels", "table"):
        return "-"
    place = case["path"].partition("/labels/")[0]
    found = read_zarr(f"{case['store']}/{place}".rstrip("/"))
    return "ok" if list(found.gen_elements()) else "no elements: it opens its own layout"


def duckdb(case: Case) -> str:
    import duckdb as db

    if case["feature"] != "table":
        return "-"
    place = f"{case['store']}/{case['path']}/tables/{case['table']}/table.parquet"
    (found,) = db.sql(f"select count(*) from read_parquet('{place}')").fetchall()
    return "ok" if found == (case["rows"],) else f"{found} rows"


READERS = {
    "tensorstore": tensorstore,
    "zarrs": zarrs,
    "ome-zarr": ome_zarr_py,
    "napari-ome-zarr": napari_ome_zarr,
    "ngff-zarr": ngff_zarr,
    "ngio": ngio,
    "bioio-ome-zarr": bioio_ome_zarr,
    "iohub": iohub,
    "duckdb": duckdb,
    "spatialdata": spatialdata,
}


def main() -> None:
    import contextlib
    import importlib.metadata
    import io
    import warnings

    warnings.simplefilter("ignore")
    reader, cases = sys.argv[1], json.loads(sys.argv[2])
    results = []
    for case in cases:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                feature = case["feature"].removeprefix("written ")  # read like any other labels
                results.append(READERS[reader]({**case, "feature": feature}))
        except Exception as error:  # whatever a reader raises is its result
            results.append(f"{type(error).__name__}: {error}".splitlines()[0][:120])
    print(json.dumps({"version": importlib.metadata.version(reader), "results": results}))


if __name__ == "__main__":
    main()
