"""TIFF of every layout: pixels as tifffile reads them, any part of them, and nothing decoded twice."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import make_tiff_folder

import ngff_bio
from ngff_bio.errors import ArgumentError, SourceError
from ngff_bio.formats.limits import Limits
from ngff_bio.formats.tiff import planes as tiff_planes
from ngff_bio.formats.tiff.images import open_tiff, open_tiff_volume
from ngff_bio.sources.files.ranges import LocalFile
from ngff_bio.sources.files.tree import open_tree

RNG = np.random.default_rng(7)
GREY = RNG.integers(0, 60000, (3, 70, 90)).astype(np.uint16)
SMOOTH = (np.add.outer(np.arange(70), np.arange(90)) % 256).astype(np.uint8)
COLOR = np.dstack([SMOOTH, SMOOTH[::-1], SMOOTH[:, ::-1]])

#: Name to pixels and what tifffile is keywords.
LAYOUTS: dict[str, tuple[np.ndarray, dict[str, object]]] = {
    "one strip": (GREY, {"rowsperstrip": 70}),
    "strips": (GREY, {"rowsperstrip": 11}),
    "big-endian strips": (GREY, {"rowsperstrip": 11, "byteorder": ">"}),
    "big-endian tiles": (GREY, {"tile": (16, 32), "byteorder": ">"}),
    "tiles": (GREY, {"tile": (16, 32)}),
    "lzw strips": (GREY, {"rowsperstrip": 11, "compression": "lzw", "predictor": True}),
    "deflate tiles": (GREY, {"tile": (16, 32), "compression": "zlib"}),
    "zstd strips": (GREY, {"rowsperstrip": 13, "compression": "zstd"}),
    "big-endian lzw": (GREY, {"rowsperstrip": 9, "compression": "lzw", "byteorder": ">"}),
    "jpeg tiles": (COLOR, {"tile": (16, 32), "compression": "jpeg", "photometric": "rgb"}),
    "jpeg strips": (SMOOTH, {"rowsperstrip": 16, "compression": "jpeg"}),
    "float predictor": (
        GREY.astype(np.float32),
        {"rowsperstrip": 8, "compression": "zlib", "predictor": 3},
    ),
    "interleaved rgb": (COLOR, {"photometric": "rgb", "rowsperstrip": 11}),
    "interleaved rgb tiles": (COLOR, {"photometric": "rgb", "tile": (16, 32)}),
    "planar rgb": (
        np.moveaxis(COLOR, 2, 0),
        {"photometric": "rgb", "planarconfig": "separate", "rowsperstrip": 11},
    ),
    "planar rgb lzw tiles": (
        np.moveaxis(COLOR, 2, 0),
        {
            "photometric": "rgb",
            "planarconfig": "separate",
            "tile": (16, 32),
            "compression": "lzw",
        },
    ),
    "planar rgb tiles": (
        np.moveaxis(COLOR, 2, 0),
        {"photometric": "rgb", "planarconfig": "separate", "tile": (32, 16)},
    ),
    "signed": ((GREY.astype(np.int32) - 30000).astype(np.int16), {"rowsperstrip": 11}),
    "bigtiff": (GREY, {"bigtiff": True, "tile": (16, 16)}),
    "one bit": (SMOOTH > 128, {}),
}


def written(folder: Path, name: str) -> tuple[LocalFile, np.ndarray]:
    pixels, keywords = LAYOUTS[name]
    path = folder / "a.tif"
    keywords = {"photometric": "minisblack", "metadata": None, **keywords}
    tifffile.imwrite(path, pixels, **keywords)
    expected = tifffile.imread(path)
    if expected.shape[-1] == 3:
        expected = np.moveaxis(expected, -1, 0)
    if expected.dtype == bool:
        expected = expected.astype(np.uint8)
    return LocalFile(str(folder), "a.tif"), expected


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_has_the_pixels_that_tifffile_reads(name: str, tmp_path: Path) -> None:
    file, expected = written(tmp_path, name)
    (image,) = open_tiff(file)
    pixels = pickle.loads(pickle.dumps(image.pixels))
    assert pixels.shape == expected.shape
    assert pixels.dtype == expected.dtype.newbyteorder("=")
    assert len(pixels.read_block_shape) == len(pixels.shape)
    whole = pixels.read(tuple((0, n) for n in pixels.shape))
    np.testing.assert_array_equal(whole, expected)
    assert whole.flags.c_contiguous


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_part_of_a_plane_equals_the_same_part_of_the_whole(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name = data.draw(st.sampled_from(sorted(LAYOUTS)))
    file, expected = written(tmp_path_factory.getbasetemp(), name)
    (image,) = open_tiff(file)
    region = []
    for size in expected.shape:
        first = data.draw(st.integers(0, size - 1))
        region.append((first, data.draw(st.integers(first + 1, size))))
    cut = tuple(slice(*r) for r in region)
    np.testing.assert_array_equal(image.pixels.read(tuple(region)), expected[cut])


@pytest.mark.parametrize(
    "name", ["lzw strips", "deflate tiles", "jpeg tiles", "planar rgb lzw tiles", "zstd strips"]
)
def test_regions_of_whole_read_blocks_decode_each_segment_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, expected = written(tmp_path, name)
    (image,) = open_tiff(file)
    decoded: Counter[tuple[int, int]] = Counter()
    groups = tiff_planes._together

    def counted(page, numbers):
        decoded.update((page.dataoffsets[n], n) for n in numbers)
        return groups(page, numbers)

    monkeypatch.setattr(tiff_planes, "_together", counted)
    read_block_shape, shape = image.pixels.read_block_shape, image.pixels.shape
    assert read_block_shape[-2] < shape[-2]
    spans = [
        [(i, min(i + 2 * g, n)) for i in range(0, n, 2 * g)]
        for n, g in zip(shape, read_block_shape, strict=True)
    ]
    out = np.zeros_like(expected)
    from itertools import product

    for region in product(*spans):
        out[tuple(slice(*r) for r in region)] = image.pixels.read(region)
    np.testing.assert_array_equal(out, expected)
    with tifffile.TiffFile(file.path) as tiff:
        segments = sum(len(p.dataoffsets) for p in tiff.pages)
    assert len(decoded) == segments
    assert set(decoded.values()) == {1}


def test_a_part_reads_only_its_own_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ngff_bio.formats.tiff.files import TiffBytes

    file, expected = written(tmp_path, "one strip")
    (image,) = open_tiff(file)
    seen = []
    read_into = TiffBytes.read_into

    def counted(self, target, offset):
        seen.append(len(target))
        return read_into(self, target, offset)

    monkeypatch.setattr(TiffBytes, "read_into", counted)
    part = image.pixels.read(((1, 2), (10, 15), (0, 90)))
    np.testing.assert_array_equal(part, expected[1:2, 10:15])
    assert seen == [5 * 90 * 2]


def test_a_palette_is_kept_as_colours_and_of_16_bits_where_8_would_lose(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint16) * 257
    for low, dtype in ((ramp[::-1], np.uint8), (np.full(256, 9000, np.uint16), np.uint16)):
        colors = np.stack([ramp, ramp[::-1], low])
        path = tmp_path / "p.tif"
        tifffile.imwrite(path, SMOOTH, photometric="palette", colormap=colors, metadata=None)
        (image,) = open_tiff(LocalFile(str(tmp_path), "p.tif"))
        assert image.pixels.axes == "cyx"
        assert image.pixels.dtype == dtype
        expected = colors[:, SMOOTH] // (257 if dtype == np.uint8 else 1)
        np.testing.assert_array_equal(image.pixels.read(((0, 3), (0, 70), (0, 90))), expected)
        np.testing.assert_array_equal(
            image.pixels.read(((1, 2), (3, 9), (5, 8))), expected[1:2, 3:9, 5:8]
        )
        assert [c.name for c in image.channels] == ["red", "green", "blue"]


def test_a_look_up_table_of_imagej_is_no_palette(tmp_path: Path) -> None:
    colors = np.stack([np.arange(256, dtype=np.uint16) * 257] * 3)
    tifffile.imwrite(
        tmp_path / "i.tif", SMOOTH, imagej=True, photometric="palette", colormap=colors
    )
    (image,) = open_tiff(LocalFile(str(tmp_path), "i.tif"))
    assert image.pixels.axes == "yx"
    np.testing.assert_array_equal(image.pixels.read(((0, 70), (0, 90))), SMOOTH)


def test_every_kind_of_made_tiff_has_its_pixels_and_its_calibration(tmp_path: Path) -> None:
    truth = make_tiff_folder(tmp_path)
    units = {"µm": "micrometer", "s": "second"}
    for kind, made in truth.images.items():
        if kind == "series":
            continue
        (image,) = open_tiff(LocalFile(str(made.paths[0].parent), made.paths[0].name))
        expected = made.pixels
        if made.palette is not None:
            expected = np.moveaxis(made.palette[made.pixels], -1, 0)
        letters = made.axes.lower().replace("q", "z").replace("s", "c")
        if made.palette is not None:
            letters = "cyx"
        order = sorted(range(len(letters)), key=lambda i: "tczyx".index(letters[i]))
        if made.palette is None:
            expected = expected.transpose(order)
        whole = image.pixels.read(tuple((0, n) for n in image.pixels.shape))
        np.testing.assert_array_equal(whole, expected, err_msg=kind)
        stated = {a.name: (a.scale, a.unit) for a in image.axes if a.scale is not None}
        wanted = {a.lower(): (step, units[unit]) for a, (step, unit) in made.spacing.items()}
        assert stated == wanted, kind
        asked = [n.what for n in image.notices if "--axes" in n.what]
        assert len(asked) == (kind == "uint16_stack")
    names = [c.name for c in open_tiff(LocalFile(str(truth.root), "ome.ome.tif"))[0].channels]
    assert names == ["DAPI", "GFP"]


def test_real_imagej_files_give_axes_pixel_size_units_and_colours(samples: Path) -> None:
    folder = str(samples / "tiff")
    expected = {
        "image_3D_calibrated.tif": ("zyx", (0.52, 558345799 / 4294967295, 558345799 / 4294967295)),
        "xyzc_16bit__spots.tif": ("czyx", (None, 0.39999999999999974, 1e6 / 10623103, None)),
        "xyz_calibrated_16bit__golgi_bfa.tif": ("zyx", (0.3875999999999999, None, None)),
        "xyc_16bit__nuclei_golgi.tif": ("cyx", None),
        "xyt_8bit_polyp.tif": ("tyx", (None, None, None)),
        "img2d.tif": ("yx", (None, None)),
    }
    for name, (axes, steps) in expected.items():
        (image,) = open_tiff(LocalFile(folder, name))
        pixels = image.pixels
        assert pixels.axes == axes
        reference = tifffile.imread(samples / "tiff" / name)
        if axes == "czyx":
            reference = np.moveaxis(reference, 1, 0)
        whole = pixels.read(tuple((0, n) for n in pixels.shape))
        np.testing.assert_array_equal(whole, reference)
        for axis, step in zip(image.axes, steps or (), strict=bool(steps)):
            if step is not None:
                assert axis.scale == pytest.approx(step)
                assert axis.unit == "micrometer"
        if name.startswith("xyt"):
            assert all(a.scale is None and a.unit is None for a in image.axes)
    assert len(open_tiff(LocalFile(folder, "xyzc_16bit__spots.tif"))[0].channels) == 2


def test_each_series_of_a_file_is_an_image(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "m.ome.tif", ome=True) as writer:
        for name, array, size in (("one", GREY, 0.5), ("two", SMOOTH, 0.25)):
            keywords = {"Name": name, "PhysicalSizeX": size, "axes": "ZYX"[-array.ndim :]}
            writer.write(array, photometric="minisblack", metadata=keywords)
    one, two = open_tiff(LocalFile(str(tmp_path), "m.ome.tif"))
    assert (one.name, two.name) == ("one", "two")
    np.testing.assert_array_equal(one.pixels.read(((0, 3), (0, 70), (0, 90))), GREY)
    np.testing.assert_array_equal(two.pixels.read(((0, 70), (0, 90))), SMOOTH)
    assert [(i.axes[-1].scale, i.axes[-1].unit) for i in (one, two)] == [
        (0.5, "micrometer"),
        (0.25, "micrometer"),
    ]


def test_times_of_planes_become_elapsed_hours(tmp_path: Path) -> None:
    keywords = {"axes": "TYX", "Plane": {"DeltaT": [0.0, 3600.0, 5400.0]}}
    tifffile.imwrite(tmp_path / "t.ome.tif", GREY, ome=True, metadata=keywords)
    (image,) = open_tiff(LocalFile(str(tmp_path), "t.ome.tif"))
    assert image.elapsed_hours == (0.0, 1.0, 1.5)


def test_colours_of_several_pages_are_joined_with_their_channels(tmp_path: Path) -> None:
    pages = np.stack([COLOR, 255 - COLOR])
    tifffile.imwrite(tmp_path / "c.ome.tif", pages, ome=True, metadata={"axes": "CYXS"})
    (image,) = open_tiff(LocalFile(str(tmp_path), "c.ome.tif"))
    expected = np.moveaxis(pages, -1, 1).reshape(6, 70, 90)
    assert (image.pixels.axes, image.pixels.shape) == ("cyx", (6, 70, 90))
    np.testing.assert_array_equal(image.pixels.read(((0, 6), (0, 70), (0, 90))), expected)
    np.testing.assert_array_equal(image.pixels.read(((2, 5), (3, 9), (0, 90))), expected[2:5, 3:9])


def test_axes_that_the_file_does_not_say_are_asked_for_by_the_option(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "q.tif", GREY.reshape(3, 1, 70, 90).repeat(2, 1))
    file = LocalFile(str(tmp_path), "q.tif")
    with pytest.raises(SourceError, match="does not define its axes") as caught:
        open_tiff(file)
    assert "--axes" in str(caught.value)
    (image,) = open_tiff(file, axes="ztyx")
    assert image.pixels.axes == "tzyx"
    block = image.pixels.read(((1, 2), (0, 3), (0, 70), (0, 90)))
    np.testing.assert_array_equal(block[0], GREY)
    for wrong in ("zyx", "zzyx", "ztcyx", "abyx"):
        with pytest.raises(ArgumentError, match=r"do not fit|not those of an image"):
            open_tiff(file, axes=wrong)


@pytest.mark.parametrize("name", ["lzw strips", "tiles", "one strip", "jpeg tiles"])
def test_a_cut_off_tiff_is_one_clear_error(name: str, tmp_path: Path) -> None:
    file, _ = written(tmp_path, name)
    data = file.read()
    for keep in (3, 60, len(data) // 2, len(data) - 400):
        cut = LocalFile(str(tmp_path), f"{keep}.tif")
        cut.path.write_bytes(data[:keep])
        with pytest.raises(SourceError) as caught:
            open_tiff(cut)
        assert caught.value.file == f"{keep}.tif"


def test_a_damaged_strip_is_named(tmp_path: Path) -> None:
    file, expected = written(tmp_path, "zstd strips")
    data = bytearray(file.read())
    with tifffile.TiffFile(file.path) as tiff:
        at = tiff.pages[1].dataoffsets[2]
    data[at : at + 8] = bytes(8)
    file.path.write_bytes(bytes(data))
    (image,) = open_tiff(file)
    np.testing.assert_array_equal(image.pixels.read(((0, 1), (0, 70), (0, 90)))[0], expected[0])
    with pytest.raises(SourceError) as caught:
        image.pixels.read(((1, 2), (0, 70), (0, 90)))
    assert (caught.value.file, caught.value.record) == ("a.tif", "plane 1")


def test_a_plane_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    file, _ = written(tmp_path, "tiles")
    with pytest.raises(SourceError, match="larger than allowed"):
        open_tiff(file, limits=Limits(max_pixels=6299))


def test_a_tiff_inside_a_zip_reads_the_same(tmp_path: Path) -> None:
    file, expected = written(tmp_path, "tiles")
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "x.zip", "w", method) as archive:
            archive.write(file.path, "deep/a.tif")
        (image,) = open_tiff(open_tree(tmp_path / "x.zip").file("deep/a.tif"))
        part = image.pixels.read(((0, 3), (5, 60), (7, 80)))
        np.testing.assert_array_equal(part, expected[:, 5:60, 7:80])


def test_a_hyperstack_of_imagej_with_one_page_has_all_its_planes(tmp_path: Path) -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, GREY, imagej=True, metadata={"axes": "ZYX"})
    data = bytearray(stream.getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as tiff:
        page = tiff.pages.first
        count = len(page.tags)
        end_of_directory = page.offset + 2 + 12 * count
    # As ImageJ writes files above 4 GB: only the first page has a directory.
    data[end_of_directory : end_of_directory + 4] = bytes(4)
    (tmp_path / "big.tif").write_bytes(bytes(data))
    (image,) = open_tiff(LocalFile(str(tmp_path), "big.tif"))
    np.testing.assert_array_equal(image.pixels.read(((0, 3), (0, 70), (0, 90))), GREY)


def test_a_replaced_file_is_read_anew(tmp_path: Path) -> None:
    file = LocalFile(str(tmp_path), "r.tif")
    for value in (1, 2):
        file.path.unlink(missing_ok=True)
        tifffile.imwrite(file.path, np.full((9, 9 + value), value, np.uint8))
        (image,) = open_tiff(file)
        assert (image.pixels.read(((0, 9), (0, 9 + value))) == value).all()


def test_more_files_than_stay_open_are_read_by_many_threads(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    images = []
    for n in range(40):
        tifffile.imwrite(tmp_path / f"{n}.tif", GREY + n, compression="lzw", rowsperstrip=9)
        images.append(open_tiff(LocalFile(str(tmp_path), f"{n}.tif"))[0])

    def read(n: int) -> bool:
        block = images[n % 40].pixels.read(((0, 3), (0, 70), (0, 90)))
        return bool((block == GREY + n % 40).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(160)))


@pytest.mark.parametrize("name", ["lzw strips", "tiles", "interleaved rgb", "planar rgb"])
def test_a_stack_of_pages_reads_as_tifffile_does(name: str, tmp_path: Path) -> None:
    file, expected = written(tmp_path, name)
    stack = open_tiff_volume(file)
    if "rgb" in name:
        expected = expected[:, None]
    assert stack.shape == expected.shape
    np.testing.assert_array_equal(stack.read(tuple((0, n) for n in stack.shape)), expected)
    part = tuple((n // 4, n - n // 5) for n in stack.shape)
    np.testing.assert_array_equal(stack.read(part), expected[tuple(slice(*p) for p in part)])


def test_no_open_file_is_left_to_the_end_of_the_program(tmp_path):
    for number in range(20):  # more than stay open
        tifffile.imwrite(tmp_path / f"{number}.tif", np.zeros((8, 8), np.uint8))
    code = (
        "import sys, pathlib\n"
        "from ngff_bio.formats.tiff.images import open_tiff\n"
        "from ngff_bio.sources.files.ranges import LocalFile\n"
        "for path in pathlib.Path(sys.argv[1]).glob('*.tif'):\n"
        "    pixels = open_tiff(LocalFile(sys.argv[1], path.name))[0].pixels\n"
        "    pixels.read(((0, 8), (0, 8)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_rois_of_ome_xml_that_are_not_read_are_reported(tmp_path: Path) -> None:
    """Only a part of many files is looked at to recognize regions: the others are not left out."""
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((4, 5), np.uint8), metadata={"axes": "YX"})
    text = tifffile.tiffcomment(tmp_path / "a.ome.tif")
    shape = '<Rectangle ID="Shape:0" X="1" Y="1" Width="2" Height="2"/>'
    roi = f'<ROI ID="ROI:0"><Union>{shape}</Union></ROI>'
    tifffile.tiffcomment(tmp_path / "a.ome.tif", text.replace("</OME>", f"{roi}</OME>").encode())
    report = ngff_bio.convert(tmp_path, tmp_path / "out.zarr", format="images")
    assert [n.file for n in report.skipped if "ROIs of OME-XML" in n.what] == ["a.ome.tif"]
    regions = ngff_bio.convert(tmp_path, tmp_path / "regions.zarr", format="rois")
    assert (regions.instances, list(regions.skipped)) == (1, [])


@pytest.mark.parametrize("axes", ["ZYX", "TYX", "CYX", "TZYX", "ZTYX", "CZYX"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_three_planes_that_tifffile_writes_as_samples_are_along_their_axis(
    tmp_path: Path, axes: str, compression: str | None
) -> None:
    shape = (2, 3, 20, 30)[-len(axes) :]
    stored = np.arange(np.prod(shape), dtype="u2").reshape(shape)
    tifffile.imwrite(tmp_path / "a.tif", stored, metadata={"axes": axes}, compression=compression)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages[0].samplesperpixel == 3
    [image] = open_tiff(LocalFile(str(tmp_path), "a.tif"))
    letters = "".join(a for a in "TCZYX" if a in axes)
    expected = stored.transpose([axes.index(a) for a in letters])
    assert "".join(a.name for a in image.axes) == letters.lower()
    for part in ([(0, n) for n in expected.shape], [(n // 2, n) for n in expected.shape]):
        wanted = expected[tuple(slice(*span) for span in part)]
        np.testing.assert_array_equal(image.pixels.read(tuple(part)), wanted)
