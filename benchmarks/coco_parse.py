"""How fast a COCO file is parsed, and in how much memory, way by way.

    python benchmarks/coco_parse.py [INSTANCES]

Makes a file of that many polygons of 20 to 80 points (200,000 if not given: 150 MB), parses it in a
process of its own for each way, and prints processor seconds and peak memory. Ways that hold the
whole file as Python objects need some ten times its size, so they are left out above a million
instances.

"index" is `open_coco`: NumPy finds the records, msgspec reads three members of
each, the places are kept. "index and read" also reads every annotation of every image, image by image,
into instances with their polygons as arrays, as a conversion does.

Figures of one core of a busy 2-core machine:

==============  =======  ======  ==========  =======  ======
way             150 MB           1,515 MB
--------------  ---------------  --------------------------
json              3.7 s  1.1 GB           -        -
orjson            2.9 s  1.5 GB           -        -
msgspec           2.8 s  1.1 GB           -        -
msgspec typed     2.4 s  1.0 GB           -        -
index             0.8 s   86 MB       5.2 s   225 MB  taken
index and read    3.1 s   81 MB      29.8 s   226 MB  taken
==============  =======  ======  ==========  =======  ======

simdjson reads the numbers of polygons twice as fast as msgspec; that would be 8 of 100 processor
seconds of a full LIVECell, which is no reason for another dependency.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import numpy as np

PER_IMAGE = 400
WHOLE = ("json", "orjson", "msgspec", "msgspec typed")
OURS = ("index", "index and read")


class Annotation(msgspec.Struct, gc=False):
    segmentation: list[list[float]]
    bbox: list[float]
    image_id: int
    category_id: int
    id: int


class Coco(msgspec.Struct):
    annotations: list[Annotation]


def make(path: Path, count: int) -> None:
    """Write a file of `count` annotations."""
    rng = np.random.default_rng(0)
    outlines = [
        rng.uniform(0, 700, 2 * int(rng.integers(20, 80))).round(2).tolist() for _ in range(500)
    ]
    images = [
        {"id": i + 1, "width": 704, "height": 520, "file_name": f"{i}.tif"}
        for i in range(-(-count // PER_IMAGE))
    ]
    with path.open("wb") as file:
        file.write(b'{"images":' + msgspec.json.encode(images) + b',"annotations":[')
        for start in range(0, count, PER_IMAGE):
            records = [
                {
                    "segmentation": [outlines[k % 500]],
                    "area": 123.5,
                    "iscrowd": 0,
                    "bbox": [1.0, 2.0, 3.5, 4.25],
                    "image_id": start // PER_IMAGE + 1,
                    "category_id": 1,
                    "id": k,
                }
                for k in range(start, min(start + PER_IMAGE, count))
            ]
            file.write((b"," if start else b"") + msgspec.json.encode(records)[1:-1])
        file.write(b'],"categories":[{"id":1,"name":"cell"}]}')


def parse(way: str, path: Path) -> int:
    """Parse a file; the number of annotations found."""
    if way == "json":
        import json

        with path.open() as file:
            return len(json.load(file)["annotations"])
    if way == "orjson":
        import orjson

        return len(orjson.loads(path.read_bytes())["annotations"])
    if way == "msgspec":
        return len(msgspec.json.decode(path.read_bytes())["annotations"])
    if way == "msgspec typed":
        return len(msgspec.json.decode(path.read_bytes(), type=Coco).annotations)
    from ngff_bio.formats.coco.index import open_coco
    from ngff_bio.formats.coco.layers import ImageEntry, Placement, annotation_sets, instance_layers
    from ngff_bio.formats.problems import Problems
    from ngff_bio.sources.files.ranges import LocalFile

    coco = open_coco(LocalFile(str(path.parent), path.name), Problems())
    if way == "index":
        return coco.count
    found = 0
    for image in coco.images:
        (annotations,) = annotation_sets([ImageEntry(coco, image)])
        place = Placement(annotations, 0)
        (layer,), _ = instance_layers("cell", [place], {coco.name: ""})
        found += len(layer.instances.read(0))
    return found


def measured(way: str, path: Path) -> tuple[float, float]:
    """Processor seconds and peak memory in MB of a process that parses a file."""
    process = subprocess.Popen([sys.executable, __file__, way, str(path)])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{way} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    if len(sys.argv) == 3:
        if parse(sys.argv[1], Path(sys.argv[2])) < 1:
            raise SystemExit("nothing was found")
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "coco.json")
        make(path, count)
        size = path.stat().st_size / 1e6
        print(f"{count:,} annotations, {size:,.0f} MB")
        for way in (*(WHOLE if count <= 1_000_000 else ()), *OURS):
            seconds, memory = measured(way, path)
            print(f"{way:16} {seconds:7.1f} s {size / seconds:6.0f} MB/s {memory:7.0f} MB")


if __name__ == "__main__":
    main()
