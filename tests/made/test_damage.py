"""Each kind of damage is what independent readers stumble over."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from makers import damage
from PIL import Image


@pytest.fixture
def json_file(tmp_path: Path) -> Path:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"images": [{"file_name": "a.tif"}], "n": 1}))
    return path


@pytest.fixture
def tiff_file(tmp_path: Path) -> Path:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        np.arange(6000, dtype=np.uint16).reshape(3, 40, 50),
        photometric="minisblack",
        metadata=None,
    )
    return path


@pytest.mark.parametrize(
    "break_json", [damage.truncate, damage.empty, damage.insert_comments, damage.make_latin_1]
)
def test_broken_json_is_refused_by_the_standard_reader(json_file: Path, break_json) -> None:  # type: ignore[no-untyped-def]
    json.loads(json_file.read_bytes())
    break_json(json_file)
    with pytest.raises(ValueError, match=r".+"):
        json.loads(json_file.read_text("utf-8"))


def test_a_byte_order_mark_is_all_that_is_added(json_file: Path) -> None:
    before = json_file.read_text("utf-8")
    damage.add_byte_order_mark(json_file)
    assert json_file.read_text("utf-8-sig") == before
    assert json_file.read_text("utf-8") != before


def test_nesting_exceeds_what_the_standard_reader_takes(json_file: Path) -> None:
    damage.nest_deeply(json_file)
    with pytest.raises(RecursionError):
        json.loads(json_file.read_text())
    assert json.loads(
        damage.nest_deeply(damage.replace_with(json_file, b'{"n": 1}'), 3).read_text()
    )


def test_values_in_json_are_set_and_keys_repeated(json_file: Path) -> None:
    damage.set_in_json(json_file, ("images", 0, "file_name"), "../../x.tif")
    assert json.loads(json_file.read_text())["images"][0]["file_name"] == "../../x.tif"
    damage.repeat_key(json_file, "n", 5)
    pairs = json.loads(json_file.read_text(), object_pairs_hook=list)
    assert [value for key, value in pairs if key == "n"] == [5, 1]
    damage.edit_json(json_file, lambda content: [content])
    assert isinstance(json.loads(json_file.read_text()), list)


def test_one_bit_differs(tiff_file: Path) -> None:
    before = np.frombuffer(tiff_file.read_bytes(), np.uint8)
    after = np.frombuffer(damage.flip_bit(tiff_file, 0.7, 3).read_bytes(), np.uint8)
    assert np.unpackbits(before ^ after).sum() == 1


def test_a_truncated_tiff_does_not_give_its_pixels(tiff_file: Path) -> None:
    before = tifffile.imread(tiff_file)
    damage.truncate(tiff_file, 0.6)
    try:
        after = tifffile.imread(tiff_file)
    except (ValueError, OSError, IndexError):
        return
    assert not np.array_equal(after, before)


def test_a_tiff_may_claim_to_be_huge(tmp_path: Path) -> None:
    path = damage.huge_tiff(tmp_path / "huge.tif")
    assert path.stat().st_size < 1000
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages[0].shape == (1_000_000, 1_000_000)
        assert tiff.pages[0].dtype == np.uint8


def test_a_tiff_may_have_a_circle_of_pages(tiff_file: Path) -> None:
    first = tifffile.TiffFile(tiff_file)
    offsets = [page.offset for page in first.pages]
    first.close()
    assert len(offsets) == 3
    damage.endless_tiff(tiff_file)
    content = tiff_file.read_bytes()
    count = int.from_bytes(content[offsets[-1] : offsets[-1] + 2], "little")
    end = offsets[-1] + 2 + 12 * count
    assert int.from_bytes(content[end : end + 4], "little") == offsets[0]


def test_a_png_may_claim_to_be_huge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Pillow's own default, which labelme takes away for the whole process when it is imported.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1 << 28)
    path = damage.huge_png(tmp_path / "huge.png")
    assert path.stat().st_size < 100_000
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)


def test_links_lead_outside_and_back(tmp_path: Path, json_file: Path) -> None:
    damage.replace_by_link(json_file, Path("/nowhere/at/all"))
    assert json_file.is_symlink()
    assert not json_file.exists()
    link = damage.link_to_parent(tmp_path)
    assert (link / "loop" / "loop").resolve() == tmp_path.resolve()


def test_zips_hold_names_that_lead_outside_and_bombs(tmp_path: Path) -> None:
    path = damage.zip_of(tmp_path / "a.zip", {"../x.tif": b"1", "/etc/x": b"2"})
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["../x.tif", "/etc/x"]
    bomb = damage.zip_bomb(tmp_path / "b.zip", size=20_000_000)
    with zipfile.ZipFile(bomb) as archive:
        assert archive.infolist()[0].file_size == 20_000_000
    assert bomb.stat().st_size < 40_000
