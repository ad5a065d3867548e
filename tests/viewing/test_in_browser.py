"""Stores in a real browser: each pixel of the screen is where, and what, the stored pixels are."""

from __future__ import annotations

import io
import threading
import zlib
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile
import zarr
from browser import SIZE, Browser, bundled_readers, start_browser
from bucket_server import PUBLIC, BucketServer
from makers import make_livecell

import ngff_bio
from ngff_bio.reader import Image
from ngff_bio.viewing.neuroglancer import neuroglancer_state
from ngff_bio.viewing.serve import StoreServer

VERSIONS = ("0.4", "0.5")

#: Images by kind, and the frame or plane that is shown.
KINDS: dict[str, dict[str, int]] = {"grey": {}, "rgb": {}, "stack": {"z": 3}, "movie": {"t": 1}}

#: Part of the images that is shown: x, y, width, height.
REGION = (6, 4, 28, 20)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    yield from start_browser(tmp_path_factory.mktemp("profile"))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By version: images of each kind, and a plate."""
    folder = tmp_path_factory.mktemp("seen")
    source = folder / "images"
    source.mkdir()
    draw = np.random.default_rng(3)

    def blocks(*shape: int) -> np.ndarray:
        """Random values in blocks of 4 x 4 pixels."""
        small = draw.integers(0, 256, (*shape[:-2], shape[-2] // 4, shape[-1] // 4), np.uint8)
        return small.repeat(4, axis=-2).repeat(4, axis=-1)

    grey = {"photometric": "minisblack"}
    tifffile.imwrite(source / "grey.tif", blocks(40, 60), **grey)
    tifffile.imwrite(source / "stack.tif", blocks(5, 40, 60), metadata={"axes": "ZYX"}, **grey)
    tifffile.imwrite(source / "movie.tif", blocks(5, 40, 60), metadata={"axes": "TYX"}, **grey)
    PIL.Image.fromarray(np.moveaxis(blocks(3, 40, 60), 0, -1)).save(source / "rgb.png")
    plates = make_livecell(folder, size="tiny")
    found = {}
    for version in VERSIONS:
        settings = ngff_bio.Settings(version=version, chunk=(16, 32))  # 0.5: shards of six chunks
        place = found[version] = folder / f"{version}.zarr"
        ngff_bio.convert(source, place, settings=settings)
        values = np.zeros((40, 60), np.uint8)
        values[8:16, 12:20], values[16:24, 24:40] = 1, 200
        ngff_bio.write_labels(ngff_bio.open(place)["grey"], "object", values)
        found[f"plates {version}"] = folder / f"plates-{version}.zarr"
        ngff_bio.convert(plates.root, found[f"plates {version}"], settings=settings)
    return found


def seen(browser: Browser, state: dict[str, Any]) -> np.ndarray:
    """Colours on the screen at the centre of each pixel of the region."""
    width, height = REGION[2:]
    scale = state["crossSectionScale"]
    columns = SIZE[0] / 2 + (np.arange(width) - (width - 1) / 2) / scale
    rows = SIZE[1] / 2 + (np.arange(height) - (height - 1) / 2) / scale
    return browser.screenshot(state)[np.ix_(rows.astype(int), columns.astype(int))]


def expected(
    store: Path, image: Image, *index: int, region: tuple[int, ...] = REGION
) -> np.ndarray:
    """Colours of a region by the stored pixels and windows, read by zarr-python."""
    x, y, width, height = region
    array = zarr.open_array(str(store), path=f"{image.path}/0", mode="r")
    values = np.asarray(array[(*index, ..., slice(y, y + height), slice(x, x + width))], float)
    planes = values if values.ndim == 3 else values[None].repeat(3, axis=0)
    channels = image.meta.channels
    windows = [(c.start, c.end) for c in (channels if len(channels) == 3 else channels * 3)]
    shades = [(p - a) / (b - a) for p, (a, b) in zip(planes, windows, strict=True)]
    return (np.clip(np.stack(shades, axis=-1), 0, 1) * 255).round()


@contextmanager
def served(store: Path) -> Iterator[str]:
    """URL of a store, as ``ngff-bio serve`` serves it."""
    with StoreServer(store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.url
        server.shutdown()


@contextmanager
def in_bucket(store: Path, bucket: BucketServer) -> Iterator[str]:
    """URL of a copy in a bucket that anyone may read."""
    ngff_bio.copy(store, f"s3://{PUBLIC}/{store.name}", storage_options=bucket.options)
    yield f"{bucket.endpoint}/{PUBLIC}/{store.name}"


@pytest.mark.parametrize("place", ["folder", "bucket"])
@pytest.mark.parametrize("version", VERSIONS)
def test_neuroglancer_shows_each_pixel_where_it_is(
    browser: Browser,
    stores: dict[str, Path],
    version: str,
    place: str,
    request: pytest.FixtureRequest,
) -> None:
    images, plates = stores[version], stores[f"plates {version}"]
    field = next(p for p in ngff_bio.open(plates) if p.endswith("/1"))
    kinds = [(images, path, at) for path, at in KINDS.items()] + [(plates, field, {"t": 0})]
    with ExitStack() as stack:
        if place == "folder":
            urls = {store: stack.enter_context(served(store)) for store in (images, plates)}
        else:
            bucket = request.getfixturevalue("bucket_server")
            urls = {s: stack.enter_context(in_bucket(s, bucket)) for s in (images, plates)}
        for store, path, at in kinds:
            image = ngff_bio.open(store)[path]
            state = neuroglancer_state(image, f"{urls[store]}/{path}", region=REGION, **at)
            plain = [v for v in state["layers"] if v["type"] == "image"]
            pixels = seen(browser, {**state, "layers": plain})
            assert np.abs(pixels - expected(store, image, *at.values())).max() <= 2, path
            if path == "grey":
                labelled = seen(browser, state)
                values = np.asarray(image.label("object").array(0)[...])
                x, y, width, height = REGION
                inside = values[y : y + height, x : x + width] != 0
                np.testing.assert_array_equal((pixels != labelled).any(axis=-1), inside)


@pytest.mark.parametrize("version", VERSIONS)
def test_javascript_readers_get_the_bytes(
    browser: Browser, stores: dict[str, Path], version: str
) -> None:
    browser.driver.execute_script(f"{bundled_readers()}; window.readers = readers;")
    store = stores[version]
    dataset = ngff_bio.open(store)
    with served(store) as root:
        for path, at in {**KINDS, "grey/labels/object": {}}.items():
            array = np.asarray(zarr.open_array(str(store), path=f"{path}/0", mode="r")[...])
            want = {"shape": list(array.shape), "crc": zlib.crc32(array.tobytes())}
            url = f"{root}/{path}"
            assert browser.run("zarritaDigest", f"{url}/0", version) == want
            if path not in KINDS:
                continue
            image = dataset[path]
            planes = array[tuple(at.values())] if at else array
            assert browser.run("vivPlanes", url, at) == {
                "levels": len(image.multiscale.levels),
                "labels": list(image.axes),
                "dtype": "Uint8",
                "planes": [zlib.crc32(p.tobytes()) for p in planes.reshape(-1, 40, 60)],
                "windows": [[c.start, c.end] for c in image.meta.channels],
            }
            if not at:
                drawn = browser.run("omeZarrPlane", url).partition(",")[2]
                plane = np.asarray(PIL.Image.open(io.BytesIO(b64decode(drawn))).convert("RGB"))
                whole = expected(store, image, region=(0, 0, 60, 40))
                assert np.abs(plane - whole).max() <= 1
