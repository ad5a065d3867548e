"""miLab's predictions: what is read is what was written, and what is wrong is told by its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngff_bio.errors import SourceError
from ngff_bio.formats.milab import (
    MilabImage,
    class_name,
    read_crop_labels,
    restored_entry,
)
from ngff_bio.formats.milab import read_milab as read_with_problems
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Box
from ngff_bio.sources.files.ranges import LocalFile

NEW: dict[str, Any] = {
    "151": {
        "img_name": "0152_22800_54359_005_22250.jpg",
        "cell_prediction": {
            "7": {"prediction": 5, "location": [618, 33, 114, 99], "focus": 5},
            "2": {"focus": 0, "location": [1, 2, 3, 4], "prediction": 0, "extra": [1.5, None]},
        },
        "slide": "ü",
    },
    "3": {"cell_prediction": {}, "img_name": "0004_1_2_000_3.jpg"},
}
OLD = {"0": {"4": [1, 2, 3, 4], "0": [5, 6, 7, 8]}, "12": {}}


def put(folder: Path, content: Any, name: str = "analyze_result.json") -> LocalFile:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / name).write_bytes(data)
    return LocalFile(str(folder), name)


def read_milab(file: Any, problems: Problems | None = None) -> tuple[MilabImage, ...]:
    return read_with_problems(file, problems or Problems())


def encode_milab(images: tuple[MilabImage, ...]) -> dict[str, Any]:
    """The content of the file again, as the exporter writes it."""
    return {
        i.key: restored_entry(i.schema, i.entry, {c.key: json.loads(c.record) for c in i.cells})
        for i in images
    }


@pytest.mark.parametrize("content", [NEW, OLD], ids=["new", "old"])
def test_what_was_read_is_written_again_key_for_key(tmp_path: Path, content: Any) -> None:
    again = encode_milab(read_milab(put(tmp_path, content)))
    assert json.dumps(again) == json.dumps(content)


cells = st.dictionaries(
    st.text("0123456789", min_size=1, max_size=3),
    st.fixed_dictionaries(
        {
            "prediction": st.integers(0, 20),
            "location": st.tuples(*[st.integers(-50, 2000)] * 2, *[st.integers(1, 300)] * 2).map(
                list
            ),
        },
        optional={"focus": st.integers(0, 9), "score": st.floats(0, 1), "name": st.text()},
    ),
    max_size=4,
)


@given(
    st.dictionaries(
        st.integers(0, 400).map(str),
        st.fixed_dictionaries({"img_name": st.text(), "cell_prediction": cells}),
        max_size=4,
    )
)
def test_any_file_of_the_schema_is_written_again(content: Any) -> None:
    class Held:
        name = "x.json"

        def read(self) -> bytes:
            return json.dumps(content).encode()

    again = encode_milab(read_milab(Held()))
    assert json.dumps(again) == json.dumps(content)


def test_location_is_upper_left_corner_width_and_height(tmp_path: Path) -> None:
    (image, _) = read_milab(put(tmp_path, NEW))
    first = image.cells[0]
    assert first.location == (618, 33, 114, 99)
    assert first.box == Box(618, 33, 732, 132)
    assert (first.key, first.prediction, first.focus) == ("7", 5, 5)


def test_the_old_schema_has_neither_class_nor_focus(tmp_path: Path) -> None:
    image = read_milab(put(tmp_path, OLD))[0]
    assert (image.schema, image.img_name) == ("old", None)
    assert [(c.key, c.location, c.prediction, c.focus) for c in image.cells] == [
        ("4", (1, 2, 3, 4), None, None),
        ("0", (5, 6, 7, 8), None, None),
    ]


def test_only_published_classes_have_names() -> None:
    assert [class_name(n) for n in (0, 1, 2, 7)] == [
        "red blood cell",
        "platelet",
        "white blood cell subtype 2",
        "white blood cell subtype 7",
    ]


def test_comments_as_on_the_page_are_no_json(tmp_path: Path) -> None:
    page = b'{\n  "0": { //image index\n    "img_name": "0001_1_2_001_3.jpg" // img name\n }}'
    with pytest.raises(SourceError) as caught:
        read_milab(put(tmp_path, page))
    assert "comments" in (caught.value.hint or "")


def test_slashes_in_text_are_no_comments(tmp_path: Path) -> None:
    content = {"0": {"img_name": "a.jpg", "note": "http://example.org // x"}}
    assert encode_milab(read_milab(put(tmp_path, content))) == content


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"0": {"img_name": "a', "not valid"),
        (b'{"0": {"4": [1, 2', "not valid"),
        (b"", "empty"),
        ('{"0": {"ü": [1, 2, 3, 4]}}'.encode("latin-1"), "UTF-8"),
        (b"[" * 100_000, "too deeply"),
        (b'{"0": {"a": [NaN, 1, 2, 3]}}', "not valid"),
        (b'{"0": {}, "0": {}}', "twice"),
        (b"[1, 2]", "not contain predictions"),
        (b'{"0": {}} x', "not valid"),
    ],
)
def test_what_is_no_json_is_one_error_that_names_the_file(
    tmp_path: Path, data: bytes, says: str
) -> None:
    with pytest.raises(SourceError, match=says) as caught:
        read_milab(put(tmp_path, data))
    assert caught.value.file == "analyze_result.json"


WRONG: list[tuple[Any, str]] = [
    ({"prediction": "5", "location": [1, 2, 3, 4], "focus": 1}, "prediction"),
    ({"prediction": -1, "location": [1, 2, 3, 4], "focus": 1}, "prediction"),
    ({"prediction": True, "location": [1, 2, 3, 4], "focus": 1}, "prediction"),
    ({"prediction": 5, "location": [1, 2, 3, 4], "focus": 1.5}, "focus"),
    ({"prediction": 5, "location": [1, 2, 3], "focus": 1}, "location"),
    ({"prediction": 5, "location": [1, 2, 3, 4.5], "focus": 1}, "location"),
    ({"prediction": 5, "location": [1, 2, "3", 4], "focus": 1}, "location"),
    ({"prediction": 5, "location": "1 2 3 4", "focus": 1}, "location"),
    ({"prediction": 5, "location": [1, 2, 0, 4], "focus": 1}, "location"),
    ({"prediction": 5, "location": [1, 2, 3, -4], "focus": 1}, "location"),
    ({"prediction": 5, "focus": 1}, "location"),
    ([1, 2, 3, 4], "wrong type"),
]


@pytest.mark.parametrize(("cell", "says"), WRONG)
def test_a_wrong_cell_is_named_by_image_and_cell(tmp_path: Path, cell: Any, says: str) -> None:
    good = {"prediction": 5, "location": [1, 2, 3, 4], "focus": 1}
    file = put(tmp_path, {"3": {"img_name": "a", "cell_prediction": {"1": good, "9": cell}}})
    with pytest.raises(SourceError, match=says) as caught:
        read_milab(file)
    assert caught.value.file == "analyze_result.json"
    assert (caught.value.record or "").startswith("image '3', cell '9'")
    problems = Problems("skip")
    (image,) = read_milab(file, problems)
    assert [c.key for c in image.cells] == ["1"]
    assert len(problems.notices) == 1


@pytest.mark.parametrize(
    "entry", [[1, 2], 3, {"img_name": 4}, {"cell_prediction": [1]}, {"0": {"x": 1}}]
)
def test_a_wrong_entry_is_left_out_when_asked(tmp_path: Path, entry: Any) -> None:
    file = put(tmp_path, {"3": entry, "4": {"0": [1, 2, 3, 4]}})
    with pytest.raises(SourceError):
        read_milab(file)
    problems = Problems("skip")
    kept = read_milab(file, problems)
    assert kept[-1].key == "4"
    assert [n.file for n in problems.notices] == ["analyze_result.json"]


HEAD = ",crop_index,test_id,img_num,cell_location\n"


def test_a_real_row_of_the_crops_table_is_read(tmp_path: Path) -> None:
    row = '0,0,Example_TEST,152,"[618, 33, 114, 99]"\n'
    (label,) = read_crop_labels(put(tmp_path, (HEAD + row).encode(), "labels.csv"), Problems())
    assert (label.crop_index, label.test_id, label.img_num) == (0, "Example_TEST", 152)
    assert label.cell_location == (618, 33, 114, 99)
    assert label.row == {
        "": "0",
        "crop_index": "0",
        "test_id": "Example_TEST",
        "img_num": "152",
        "cell_location": "[618, 33, 114, 99]",
    }


@pytest.mark.parametrize(
    "row",
    [
        '0,x,T,152,"[618, 33, 114, 99]"',
        '0,0,T,152,"[618, 33, 114]"',
        '0,0,T,152,"618 33"',
        "0,0,T,152",
        '0,0,T,152,"[1, 2, 3, 4]",more',
        '0,5,T,152,"[1, 2, 3, 4]"',
    ],
)
def test_a_wrong_row_is_named_by_its_line(tmp_path: Path, row: str) -> None:
    text = f'{HEAD}0,5,T,1,"[1, 2, 3, 4]"\n{row}\n'
    problems = Problems("skip")
    kept = read_crop_labels(put(tmp_path, text.encode(), "labels.csv"), problems)
    assert len(kept) == 1
    (notice,) = problems.notices
    assert notice.file == "labels.csv"
    assert (notice.record or "").startswith("line 3")


def test_a_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="columns"):
        read_crop_labels(put(tmp_path, b"name,label\na,b\n", "labels.csv"), Problems())
