"""Read stores with other readers, each in an environment of its own, and write the table of what works.

    python tests/interop/read_stores.py [--only READER ...] [--envs FOLDER]

Environments are made once, in ``.interop`` (about 3 GB for all). The table in ``docs/viewers.md`` is
written again if all readers ran. Exit code 1 if a reader fails where the table says that it works.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import zarr

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

#: Packages of each environment, and the readers that run in it.
ENVIRONMENTS: dict[str, tuple[list[str], list[str]]] = {
    "light": (["tensorstore", "zarrs", "duckdb", "ngff-zarr", "ngio"],) * 2,
    "napari": (["napari-ome-zarr", "ome-zarr"],) * 2,
    "spatialdata": (["spatialdata"],) * 2,
    "bioio": (["bioio-ome-zarr", "bioio"], ["bioio-ome-zarr"]),
    "iohub": (["iohub"],) * 2,
}
FEATURES = ("image", "labels", "written labels", "plate", "root of plates", "collection", "table")
VERSIONS = ("0.4", "0.5", "0.6")
DOCUMENT = ROOT / "docs" / "viewers.md"
START, END = "<!-- readers: made by make interop -->", "<!-- end -->"


def environment(name: str, folder: Path) -> Path:
    """The Python of an environment, which is made if it is not there."""
    python = folder / name / "bin" / "python"
    if not python.exists():
        print(f"making {folder / name}", flush=True)
        venv.create(folder / name, with_pip=True)
        packages = ENVIRONMENTS[name][0]
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return python


def make_cases(folder: Path) -> list[dict[str, Any]]:
    """Stores of each version, and what readers should find in them."""
    import makers

    import ngff_bio

    nuclei = makers.make_nuclei(folder / "nuclei", size="tiny")
    cells = makers.make_livecell(folder / "cells", size="tiny")
    cases = []
    for version in VERSIONS:
        settings = ngff_bio.Settings(version=version)
        collection, plates = folder / f"nuclei-{version}.zarr", folder / f"cells-{version}.zarr"
        ngff_bio.convert(nuclei.root, collection, settings=settings)
        ngff_bio.convert(cells.root, plates, settings=settings)
        dataset = ngff_bio.open(collection)
        image = next(i for i in dataset.values() if i.tables)
        (table,) = image.tables
        label = f"{image.path}/labels/{table}"
        rows = len(image.annotations(table))
        grey = next(p for p in ngff_bio.open(plates))
        values = np.zeros(ngff_bio.open(plates)[grey].shape, np.uint16)
        values[..., 5:30, 8:40], values[..., 35:50, 20:60] = 1, 700
        ngff_bio.open(plates)[grey].write_labels("found", values, author="interop")
        cases += [
            pixels("image", version, plates, grey),
            pixels("labels", version, collection, label),
            pixels("written labels", version, plates, f"{grey}/labels/found"),
            plate(version, plates),
            {**plate(version, plates), "feature": "root of plates", "path": ""},
            {"feature": "collection", "version": version, "store": str(collection), "path": ""}
            | {"count": len(dataset)},
            {"feature": "table", "version": version, "store": str(collection), "path": image.path}
            | {"table": table, "rows": rows},
        ]
    return cases


def pixels(feature: str, version: str, store: Path, path: str) -> dict[str, Any]:
    """What a reader of level 0 should find, by zarr-python."""
    array = np.asarray(zarr.open_array(str(store), path=f"{path}/0", mode="r")[...])
    return {
        "feature": feature,
        "version": version,
        "store": str(store),
        "path": path,
        "shape": list(array.shape),
        "dtype": array.dtype.name,
        "crc": crc_of(array),
    }


def plate(version: str, store: Path) -> dict[str, Any]:
    """What a reader of a plate should find: the first field of each well, and all fields."""
    import ngff_bio

    dataset = ngff_bio.open(store)
    path, found = next(iter(dataset.plates.items()))
    firsts = [well[next(iter(well))].path for well in found.values()]
    case = pixels("plate", version, store, firsts[0])
    crcs = [pixels("plate", version, store, p)["crc"] for p in firsts]
    count = sum(len(well) for well in found.values())
    return {**case, "path": path, "fields": crcs, "count": count}


def crc_of(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(np.squeeze(array)).tobytes())


def table_of(found: dict[str, dict[str, Any]], cases: list[dict[str, Any]]) -> str:
    """The results as Markdown: a row per reader, a column per feature."""
    lines = [
        f"| reader | version | {' | '.join(FEATURES)} |",
        f"|---|---|{'---|' * len(FEATURES)}",
    ]
    for reader, result in found.items():
        cells, notes = [], dict(zip(map(key, cases), result["results"], strict=True))
        for feature in FEATURES:
            states = {v: notes[feature, v] for v in VERSIONS}
            works = [v for v, state in states.items() if state == "ok"]
            none = all(state == "-" for state in states.values())
            cells.append("" if none else ", ".join(works) or "no")
        lines.append(f"| {reader} | {result['version']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def lost(found: dict[str, dict[str, Any]], cases: list[dict[str, Any]]) -> list[str]:
    """What does not work, and did when the table was made."""
    known = {}
    table = DOCUMENT.read_text().partition(START)[2].partition(END)[0].strip().splitlines()
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table)
    for name, *cells in rows:
        known[name] = dict(zip(head[1:], cells, strict=True))
    return [
        f"{reader} {case['version']} {case['feature']}: {result}"
        for reader, one in found.items()
        for case, result in zip(cases, one["results"], strict=True)
        if result != "ok" and case["version"] in known.get(reader, {}).get(case["feature"], "")
    ]


def key(case: dict[str, Any]) -> tuple[str, str]:
    return case["feature"], case["version"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="readers to run")
    parser.add_argument("--envs", type=Path, default=ROOT / ".interop")
    given = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        cases = make_cases(Path(folder))
        for name, (_, readers) in ENVIRONMENTS.items():
            for reader in readers:
                if given.only and reader not in given.only:
                    continue
                python = environment(name, given.envs)
                command = [
                    python,
                    Path(__file__).with_name("readers.py"),
                    reader,
                    json.dumps(cases),
                ]
                clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
                done = subprocess.run(command, env=clean, capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(f"{reader}: {done.stderr[-2000:]}")
                found[reader] = json.loads(done.stdout.splitlines()[-1])
                for case, result in zip(cases, found[reader]["results"], strict=True):
                    if result != "-":
                        print(f"{reader} {case['version']} {case['feature']}: {result}", flush=True)
    made, worse = table_of(found, cases), lost(found, cases)
    if not given.only:
        text = DOCUMENT.read_text()
        between = re.compile(f"{re.escape(START)}.*{re.escape(END)}", re.DOTALL)
        DOCUMENT.write_text(between.sub(lambda _: f"{START}\n{made}\n{END}", text))
    print(made)
    if worse:
        raise SystemExit("\n".join(["what worked does not work any more:", *worse]))


if __name__ == "__main__":
    main()
