"""Reads one damaged input and reports how that ended: ``equal``, ``refused`` or ``unexpected``.

``equal``: it was read without an error; ``refused``: one typed error; ``unexpected``: anything else. As
a program it answers requests, one JSON object a line (``kind``, ``name``, ``input``: a path, ``step``:
the only one that is taken, or empty).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import resource
import shutil
import socket
import sys
import tempfile
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz.targets import LIMITS, TARGETS, Target, map_store, written_to

import ngff_bio
from ngff_bio import cli
from ngff_bio.checks import validate
from ngff_bio.checks.source.verify import verify
from ngff_bio.cli import edit
from ngff_bio.engine import plan_dataset
from ngff_bio.engine.resume.discard import discard
from ngff_bio.engine.resume.state import progress_of
from ngff_bio.errors import ArgumentError, NgffBioError
from ngff_bio.export import exporters
from ngff_bio.model import InstanceLayer, Pixels
from ngff_bio.raster.geometries import rasterize_geometries
from ngff_bio.reader.describe import describe
from ngff_bio.sources import find_source, open_tree, read_source
from ngff_bio.storage import storage_at
from ngff_bio.viewing.preview import draw_preview
from ngff_bio.viewing.serve import StoreServer, _Handler
from ngff_bio.viewing.sheets import draw_sheet
from ngff_bio.viewing.view import full_state

#: Address space that a worker may take beyond what it has at its start, in bytes.
MEMORY = 4 << 30

#: Pixels of an image that are read as a whole.
_PIXELS = 1 << 20

Result = dict[str, str]


class Worker:
    """Undamaged inputs of each kind that was asked for, and a place for what is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: set[str] = set()

    def made(self, kind: str) -> Path:
        """The undamaged input of a kind; made once."""
        place = self._folder / "made" / kind
        if kind not in self._made:
            if not place.exists():
                TARGETS[kind].make(place)
            self._made.add(kind)
        return place

    def run(self, kind: str, name: str, data: bytes, random: Random | None = None) -> Result:
        """Replace a file of a kind's input, read the input, put the file back.

        With `random` it is read quickly, else it goes through all that there is: conversion,
        validation, verification, export.
        """
        place = self.made(kind)
        with self._replaced(place / name, data), self._scratch() as scratch:
            try:
                out = io.StringIO()
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                    return _READ[TARGETS[kind].reads](TARGETS[kind], place, data, scratch, random)
            except NgffBioError as error:
                try:
                    return {"result": "refused", "what": str(error).encode().decode()}
                except UnicodeEncodeError:
                    return {"result": "unexpected", "what": "the error's text cannot be printed"}
            except BaseException as error:
                where = "".join(traceback.format_exception(error)[-8:])
                return {"result": "unexpected", "what": where}

    def failures(
        self, kind: str, name: str, data: bytes, only: str = ""
    ) -> Iterator[tuple[str, str]]:
        """Steps of a damaged store that raise anything but one typed error, with the traceback."""
        target, place = TARGETS[kind], self.made(kind)
        with self._replaced(place / name, data), self._scratch() as scratch:
            steps = store_steps(place / target.opened, scratch)
            for step, run in {only: steps[only]}.items() if only else steps.items():
                try:
                    with contextlib.redirect_stdout(io.StringIO()):
                        run()
                except NgffBioError:
                    pass
                except Exception as error:
                    yield step, "".join(traceback.format_exception(error)[-8:])

    @contextlib.contextmanager
    def _replaced(self, path: Path, data: bytes) -> Iterator[None]:
        before = path.read_bytes() if path.exists() else None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        try:
            yield
        finally:
            if before is None:
                path.unlink()
            else:
                path.write_bytes(before)

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        scratch = self._folder / "scratch"
        scratch.mkdir()
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch)


def _source(
    target: Target, place: Path, data: bytes, scratch: Path, random: Random | None
) -> Result:
    source = place / target.opened
    options = {name: str(place / file) for name, file in target.options.items()}
    if random is None:
        return _converted(source, data, scratch, options)
    tree = open_tree(source, limits=LIMITS)
    dataset = read_source(find_source(tree), tree, options)
    plan_dataset(dataset, ngff_bio.Settings())
    for image in dataset.images:
        _read_pixels(image.pixels)
        for layer in image.labels:
            if not isinstance(layer, InstanceLayer):
                if isinstance(layer.pixels, Pixels):
                    _read_pixels(layer.pixels)
                continue
            frames = image.pixels.shape[0] if image.axes[0].name == "t" else 1
            for t in range(min(frames, 100)):
                size = image.pixels.shape[-2], image.pixels.shape[-1]
                rasterize_geometries(layer.instances.read(t), size)
    return {"result": "equal", "what": ""}


def _read_pixels(pixels: Pixels) -> None:
    whole = tuple((0, n) for n in pixels.shape)
    count = 1
    for size in pixels.shape:
        count *= size
    few = tuple((0, min(n, 8)) for n in pixels.shape)
    pixels.read(whole if count <= _PIXELS else few)


def _converted(source: Path, data: bytes, scratch: Path, options: dict[str, str]) -> Result:
    store = scratch / "a.zarr"
    try:
        ngff_bio.convert(source, store, limits=LIMITS, options=options)
    except NgffBioError:
        _must_not_open(store)
        raise
    _must_be_whole(store, source, options)
    for name, step in _some(store_steps(store, scratch), data).items():
        try:
            step()
        except ArgumentError:  # a store without labels, or not of the format's own
            continue
        except NgffBioError as error:
            raise AssertionError(f"{name}: {error}") from error
    return {"result": "equal", "what": ""}


def _must_not_open(store: Path) -> None:
    with contextlib.suppress(NgffBioError):
        ngff_bio.open(store)
        raise AssertionError("a store that a failed conversion left can be opened")


def _must_be_whole(
    store: Path, source: Path, options: Mapping[str, str] = MappingProxyType({})
) -> None:
    found = verify(store, source, options=options)
    assert found.equal, f"verify: {'; '.join(map(str, found.differences[:5]))}"
    wrong = [str(f) for f in validate(store) if f.level == "error"]
    assert not wrong, f"validate: {'; '.join(wrong[:5])}"


def _store(
    target: Target, place: Path, data: bytes, scratch: Path, random: Random | None
) -> Result:
    """Some of what reads, exports or changes a store is tried, whatever the rest of it raises."""
    steps = store_steps(place / target.opened, scratch)
    if random is None:
        chosen = {name: steps[name] for name in _ALWAYS} | _some(steps, data)
    elif random.random() < 0.7:
        chosen = {name: steps[name] for name in random.sample(_FAST, 2)}
    else:
        chosen = dict([random.choice(list(steps.items()))])
    refused: list[str] = []
    for name, step in chosen.items():
        try:
            step()
        except ArgumentError:  # it does not apply to this store
            continue
        except NgffBioError as error:
            refused.append(f"{name}: {error.what}")
    return {"result": "refused" if refused else "equal", "what": "; ".join(refused)}


Steps = dict[str, Callable[[], object]]

#: Steps of `_reading` that take little time, and that are taken by each input that is saved.
_FAST = ("open", "describe", "quick", "copy", "rewrite", "view")
_ALWAYS = ("open", "describe", "validate", "verify", "preview", "measure", "copy", "rewrite")


def store_steps(store: Path, scratch: Path) -> Steps:
    """All that is done with a store, by name; its source is beside it."""
    changing = _changing(store, scratch) if store.is_dir() else {}
    return _reading(store, scratch) | _exporting(store, scratch) | changing


def _some(steps: Steps, data: bytes) -> Steps:
    """A few steps, the same ones for the same input."""
    count = int(os.environ.get("NGFF_BIO_FUZZ_STEPS", "3"))
    names = Random(zlib.crc32(data)).sample(sorted(steps), min(count, len(steps)))
    return {name: steps[name] for name in names}


def _reading(store: Path, scratch: Path) -> Steps:
    return {
        "open": lambda: _opened(store),
        "describe": lambda: describe(storage_at(store)),
        "quick": lambda: validate(store, quick=True),
        "validate": lambda: validate(store),
        "verify": lambda: verify(store),
        "compare": lambda: verify(store, _source_of(store)),
        "tree": lambda: _first_image(store).to_datatree(),
        "frames": lambda: ngff_bio.open(store).annotations(to="dask").compute(),
        "preview": lambda: draw_preview(store),
        "sheet": lambda: draw_sheet(ngff_bio.open(store), "images"),
        "view": lambda: full_state(_first_image(store), "http://a"),
        "measure": lambda: ngff_bio.measure(store),
        "copy": lambda: ngff_bio.copy(store, scratch / "copy.zarr"),
        "pack": lambda: ngff_bio.copy(store, scratch / "copy.ozx"),
        "rewrite": lambda: ngff_bio.convert(store, scratch / "rewrite.zarr", limits=LIMITS),
        "publish": lambda: ngff_bio.publish(store, scratch / "published.zarr"),
    }


def _exporting(store: Path, scratch: Path) -> Steps:
    return {
        f"to {name}": partial(ngff_bio.export, store, scratch / f"to {name}", to=name)
        for name in exporters()
    }


def _changing(store: Path, scratch: Path) -> Steps:
    """Changes of a copy of the store, which is what it was after a change that is refused."""

    def changed(change: Callable[[Path], object], resumable: bool) -> None:
        copy = scratch / "changed.zarr"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(store, copy)
        try:
            change(copy)
        except NgffBioError:
            if resumable:
                with contextlib.suppress(NgffBioError):
                    discard(copy)
            assert _content(copy) == _content(store), "a refused change has left something"
            raise
        _must_be_read(copy, quick=True)

    def labels(store: Path) -> None:
        image = _first_image(store)
        shape = [n for axis, n in image.level().sizes.items() if axis != "c"]
        ngff_bio.write_labels(image, "new", np.ones(shape, np.uint8))

    def removed(store: Path) -> None:
        image = _first_image(store)
        for name in image.labels[:1]:
            ngff_bio.remove(image, f"labels/{name}")

    def edited(store: Path) -> None:
        image = _first_image(store)
        for name in [n for n in image.labels if n in image.tables][:1]:
            ngff_bio.update_annotations(image, image.annotations(name)[1:], remove_missing=True)

    changes: dict[str, Callable[[Path], object]] = {
        "upgrade": ngff_bio.upgrade,
        "titled": lambda s: ngff_bio.describe(s, title="new"),
        "labels": labels,
        "table": lambda s: ngff_bio.write_table(
            _first_image(s), "new", pa.table({"label": [1, 2]})
        ),
        "remove": removed,
        "edited": edited,
        "measured": lambda s: ngff_bio.measure(s, write="new"),
        "published": lambda s: ngff_bio.publish(s, s),
        "mapped": map_store,
        "appended": lambda s: ngff_bio.convert(_source_of(store), s, append=True),
    }
    can_resume = ("mapped", "appended")
    return {name: partial(changed, change, name in can_resume) for name, change in changes.items()}


def _source_of(store: Path) -> Path:
    source = store.with_name(f"{store.name} source")
    if not source.exists():
        raise ArgumentError("the source is not kept")
    return source


def _first_image(store: Path) -> Any:
    found = next(iter(ngff_bio.open(store).values()), None)
    if found is None:
        raise ArgumentError("the store has no image")
    return found


def _content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def _opened(store: Path) -> None:
    dataset = ngff_bio.open(store)
    list(dataset.images.columns)
    for path in dataset:
        image = dataset[path]
        image.level(0).compute()
        image.annotations()
        image.html()
        image.elapsed_hours  # noqa: B018


def _state(target: Target, place: Path, _: bytes, scratch: Path, random: Random | None) -> Result:
    """An interrupted write is resumed, or refused; a new store does not open before."""
    store = scratch / "a.zarr"
    shutil.copytree(place / "a.zarr", store)
    look = (
        _must_not_open
        if target.reads == "new"
        else partial(_must_be_read, quick=random is not None)
    )
    with contextlib.suppress(NgffBioError):
        progress_of(storage_at(store))
    look(store)
    try:
        if random is not None and random.random() < 0.3:
            discard(store)
            if target.reads != "new":
                look(store)
            return {"result": "equal", "what": ""}
        written_to(place, target.reads, store=store)
    except NgffBioError:
        look(store)
        raise
    if random is None:
        _must_be_whole(store, place / "source")
    return {"result": "equal", "what": ""}


def _must_be_read(store: Path, quick: bool) -> None:
    """A store during a write is read, or refused."""
    for read in (_opened,) if quick else (_opened, validate, verify):
        with contextlib.suppress(NgffBioError):
            read(store)


def _map(_: Target, place: Path, __: bytes, scratch: Path, random: Random | None) -> Result:
    """What was kept of an interrupted run is taken over, done again, or refused."""
    store = scratch / "a.zarr"
    shutil.copytree(place / "a.zarr", store)
    try:
        map_store(store)
    finally:
        _must_be_read(store, quick=random is not None)
    for image in ngff_bio.open(store).values():
        level = image.level()
        pixels = level["image"].values
        bright = (pixels if pixels.ndim == 2 else pixels.max(0)) > 100
        assert np.array_equal(level["found"].values, bright)
    assert verify(store).equal
    return {"result": "equal", "what": ""}


def _value_files(_: Target, place: Path, __: bytes, scratch: Path, ___: Random | None) -> Result:
    """Each file is added to a store, or refused and the store is what it was."""
    store = scratch / "a.zarr"
    shutil.copytree(place / "a.zarr", store)
    image = next(iter(ngff_bio.open(store).values()))
    try:
        for number, file in enumerate(sorted(place.glob("values.*"))):
            if file.suffix in (".csv", ".parquet"):
                ngff_bio.write_table(image, f"new {number}", edit._read_table(file))
            else:
                ngff_bio.write_labels(image, f"new {number}", edit._read_values(file, "yx"))
    finally:
        assert verify(store).equal
    return {"result": "equal", "what": ""}


def _requests(_: Target, place: Path, data: bytes, __: Path, ___: Random | None) -> Result:
    """One connection; the answer is HTTP, and is not a file from elsewhere."""
    server = StoreServer(place / "a.zarr")
    ours, theirs = socket.socketpair()
    try:
        ours.sendall(data[:60_000])
        ours.shutdown(socket.SHUT_WR)
        _Handler(theirs, ("127.0.0.1", 0), server)
        theirs.close()
        answer = _received(ours)
    finally:
        ours.close()
        theirs.close()
        server.server_close()
    if not re.match(
        rb"(HTTP/1\.[01] \d{3} |$|<!DOCTYPE HTML)", answer, re.ASCII | re.I
    ):  # HTTP 0.9
        # With the lines of a header below the first one: also a range of the file.
        assert any(answer in p.read_bytes() for p in (place / "a.zarr").rglob("*") if p.is_file())
    good = b" 200 " in answer[:20] or b" 206 " in answer[:20]
    return {"result": "equal" if good else "refused", "what": ""}


def _received(connection: socket.socket) -> bytes:
    """All bytes until the other side closes, also where it left a part of the request unread."""
    parts: list[bytes] = []
    with contextlib.suppress(ConnectionResetError):
        parts.extend(iter(lambda: connection.recv(1 << 16), b""))
    return b"".join(parts)


def _arguments(_: Target, place: Path, data: bytes, scratch: Path, ___: Random | None) -> Result:
    """A command line ends with a code of success or of an error of the user."""
    given = [part.decode("utf-8", "surrogateescape") for part in data.split(b"\0")]
    if not given or given[0] in ("serve", "demo"):  # these run forever, or write much
        return {"result": "refused", "what": ""}
    for name in ("source", "a.zarr"):
        (scratch / name).symlink_to(place / name)
    (scratch / "out").mkdir()
    before, arguments, errors = Path.cwd(), sys.argv, io.StringIO()
    os.chdir(scratch)
    sys.argv = ["ngff-bio", *(a for a in given if a != "--debug")]
    try:
        with contextlib.redirect_stderr(errors):
            code = cli._run()
    finally:
        os.chdir(before)
        sys.argv = arguments
    said = errors.getvalue()
    assert code in (0, 2) or (code == 1 and given[0] in ("validate", "verify")), f"{code}: {said}"
    assert "internal error" not in said, said
    assert "Traceback" not in said, said
    return {"result": "refused" if code else "equal", "what": said}


_READ: dict[str, Callable[[Target, Path, bytes, Path, Random | None], Result]] = {
    "source": _source,
    "store": _store,
    **dict.fromkeys(("new", "append", "replace", "commit"), _state),
    "value_files": _value_files,
    "map": _map,
    "requests": _requests,
    "arguments": _arguments,
}


def limit_memory() -> None:
    """Limit what this process may take beyond what it has."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    warnings.simplefilter("ignore")


def main() -> None:
    """Answer requests until the input ends."""
    folder = Path(tempfile.mkdtemp(prefix="ngff-bio-fuzz-"))
    tempfile.tempdir = str(folder)
    out = os.fdopen(os.dup(1), "w")
    worker = Worker(folder)
    limit_memory()
    try:
        for line in sys.stdin:
            asked: dict[str, Any] = json.loads(line)
            given = asked["kind"], asked["name"], Path(asked["input"]).read_bytes()
            if asked["step"]:
                what = [text for _, text in worker.failures(*given, asked["step"])]
                found = {"result": "unexpected" if what else "equal", "what": "".join(what)}
            else:
                found = worker.run(*given)
            print(json.dumps(found), file=out, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
