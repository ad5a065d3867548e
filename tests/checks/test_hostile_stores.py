"""No path in a store's metadata leads out of it: nothing outside is opened, and validation names it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from full_store import SMALL, plate_dataset, write_full_store

import ngff_bio
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.errors import NgffBioError
from ngff_bio.export import exporters
from ngff_bio.reader.describe import describe
from ngff_bio.storage import FolderStorage
from ngff_bio.viewing.preview import draw_preview
from ngff_bio.viewing.serve import StoreServer

MOVIE = "movie"

#: Each leads to the same image as "secret.zarr" beside the store.
NAMES = [
    "{up}secret.zarr/{tail}",
    "{top}/secret.zarr/{tail}",
    "file://{top}/secret.zarr/{tail}",
    "x/../{up}secret.zarr/{tail}",
    "..\\secret.zarr\\{tail}",
    "\0{tail}",
    "x" * 10_000,
    "",
]

Edit = Callable[[dict[str, Any], str], object]


def image(attributes: dict[str, Any]) -> dict[str, Any]:
    return attributes["ome"]["multiscales"][0]


#: Where a name stands: group, levels up to the root of the store, path in an image, the edit.
PLACES: dict[str, tuple[str, int, str, Edit]] = {
    "level": (MOVIE, 1, "0", lambda a, n: image(a)["datasets"][0].update(path=n)),
    "label": (f"{MOVIE}/labels", 2, "labels/cell", lambda a, n: a["ome"]["labels"].append(n)),
    "label level": (f"{MOVIE}/labels/cell", 3, "0",
                    lambda a, n: image(a)["datasets"][0].update(path=n)),
    "label source": (f"{MOVIE}/labels/cell", 3, "",
                     lambda a, n: a["ome"]["image-label"].update(source={"image": n})),
    "hidden": (f"{MOVIE}/labels/cell", 2, "labels/cell",
               lambda a, n: a["ngff_bio"].update(hidden=[n])),
    "table of labels": (f"{MOVIE}/labels/cell", 3, "tables/cell",
                        lambda a, n: a["ngff_bio"].update(table=n)),
    "tracks of labels": (f"{MOVIE}/labels/cell", 3, "tracks/cell",
                         lambda a, n: a["ngff_bio"].update(tracks=n)),
    "table": (f"{MOVIE}/tables", 2, "tables/cell", lambda a, n: a["tables"].append(n)),
    "region": (f"{MOVIE}/tables/cell", 3, "labels/cell",
               lambda a, n: a.update(region={"path": n})),
    "groups": ("", 0, "", lambda a, n: a["ngff_bio"].update(groups=[n])),
    "series": ("OME", 0, "", lambda a, n: a["ome"].update(series=[n])),
    "well": ("", 0, "", lambda a, n: a["ome"]["plate"]["wells"][0].update(path=n)),
    "field": ("A/1", 2, "", lambda a, n: a["ome"]["well"]["images"][0].update(path=n)),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("hostile")
    write_full_store(top / "full.zarr", settings=replace(SMALL, consolidated=False))
    write_dataset(plate_dataset(), FolderStorage(top / "plate.zarr"), Settings(consolidated=False))
    return top


_watched: list[str] = []
_opened: list[str] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("open", "os.listdir", "os.scandir") and _watched:
        place = arguments[0]
        if isinstance(place, str | Path) and "/secret.zarr" in os.path.normpath(place):
            inside = "/store.zarr/" in os.path.normpath(place)
            _opened.extend([] if inside else [str(place)])


sys.addaudithook(_note)


@pytest.fixture
def watched() -> Iterator[list[str]]:
    """Paths with "secret" that are opened or listed meanwhile."""
    _opened.clear()
    _watched.append("")
    yield _opened
    _watched.clear()


def read_all(store: Path) -> None:
    opened = ngff_bio.open(store)
    opened.images  # noqa: B018
    for path in opened:
        try:
            one = opened[path]
            readings = [lambda o=one: o.pixels.array(0)[...], one.annotations, one.tracks]
            readings += [lambda o=one, n=name: o.label(n).array(0)[...] for name in one.labels]
        except NgffBioError:
            continue
        for reading in readings:
            with contextlib.suppress(NgffBioError):
                reading()


def verbs(store: Path, out: Path) -> dict[str, Callable[[], object]]:
    found: dict[str, Callable[[], object]] = {
        "open": lambda: read_all(store),
        "info": lambda: describe(store),
        "validate": lambda: ngff_bio.validate(store),
        "verify": lambda: ngff_bio.verify(store),
        "preview": lambda: draw_preview(store),
        "measure": lambda: ngff_bio.measure(store, labels="cell", write="mine"),
        "append": lambda: write_dataset(plate_dataset(), FolderStorage(store), append=True),
    }
    for name in exporters():
        found[f"export {name}"] = lambda n=name: ngff_bio.export(store, out / n, to=n)
    return found


@pytest.mark.parametrize("place", PLACES)
def test_no_verb_opens_what_is_outside(
    place: str, made: Path, tmp_path: Path, watched: Any
) -> None:
    group, depth, tail, edit = PLACES[place]
    kind = "plate" if place in ("well", "field") else "full"
    for number, name in enumerate(NAMES):
        top = tmp_path / str(number)
        store = top / "store.zarr"
        shutil.copytree(made / f"{kind}.zarr", store)
        secret = "secret.zarr" if kind == "plate" else f"secret.zarr/{MOVIE}"
        hostile = name.format(up="../" * (depth + 1), top=top, tail=tail).replace(
            "secret.zarr", secret
        )
        document = store / group / "zarr.json"
        content = json.loads(document.read_text())
        edit(content["attributes"], hostile)
        document.write_text(json.dumps(content))
        rules = {(f.rule, f.group) for f in ngff_bio.validate(store, quick=True)}
        if number < 6:
            assert ("path-inside", group) in rules, hostile
        else:
            assert ("path-inside", group) not in rules
        shutil.copytree(made / f"{kind}.zarr", top / "secret.zarr")
        before = sorted(p for p in top.rglob("*") if "secret" in str(p))
        wanted = verbs(store, top / "out")
        if number:  # the ways out differ in the join, which is one for all verbs
            wanted = {verb: wanted[verb] for verb in ("open", "verify", "append")}
        for verb, run in wanted.items():
            watched.clear()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with contextlib.suppress(NgffBioError):
                    run()
            assert not watched, f"{verb} with {hostile[:80]!r}"
        assert sorted(p for p in top.rglob("*") if "secret" in str(p)) == before


def test_consolidated_metadata_cannot_name_a_node_outside(tmp_path: Path, watched: Any) -> None:
    write_full_store(tmp_path / "secret.zarr")
    write_full_store(tmp_path / "store.zarr")
    document = tmp_path / "store.zarr" / "zarr.json"
    content = json.loads(document.read_text())
    nodes = content["consolidated_metadata"]["metadata"]
    nodes |= {f"../secret.zarr/{p}": d for p, d in nodes.items()}
    nodes["OME"]["attributes"]["ome"]["series"] = ["../secret.zarr/movie"]
    document.write_text(json.dumps(content))
    watched.clear()
    for run in verbs(tmp_path / "store.zarr", tmp_path / "out").values():
        with contextlib.suppress(NgffBioError):
            run()
    assert not watched
    found = ngff_bio.validate(tmp_path / "store.zarr", quick=True)
    assert ("path-inside", "") in {(f.rule, f.group) for f in found}


@pytest.mark.parametrize("key", ["../a", "/a", "a/../../b", "a\0b"])
def test_a_folder_has_no_key_outside_of_it(key: str, tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "store")
    for ask in (storage.get, storage.size, storage.delete, lambda k: storage.put(k, b"")):
        with pytest.raises(NgffBioError, match="leads out of the store"):
            ask(key)
    assert not list(tmp_path.iterdir())


def test_the_server_answers_names_that_no_file_can_have(tmp_path: Path) -> None:
    server = StoreServer(tmp_path)
    try:
        for path in ("%00", "x" * 10_000, "..%2f..%2fetc/passwd", "%2fetc/passwd"):
            key = server.key_of(f"/{tmp_path.name}/{path}")
            assert key is None or server.storage.size(key) is None
    finally:
        server.server_close()


def test_an_image_cut_from_its_store_may_point_to_what_it_was_cut_from(made: Path) -> None:
    label = made / "full.zarr" / MOVIE / "labels" / "cell"
    found = {f.rule for f in ngff_bio.validate(label, quick=True) if "source" in f.pointer}
    assert "path-inside" not in found
    assert np.asarray(ngff_bio.open(label)[""].pixels.array(0)).size
