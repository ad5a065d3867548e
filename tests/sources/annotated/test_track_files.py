"""MOTChallenge and TrackMate: frames, label values and edges are those that the files state."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from annotated import converted, labels, rows, write_files
from skimage.draw import polygon2mask

import ngff_bio
from ngff_bio.errors import NgffBioError
from ngff_bio.testing import check_source

SIZE = (40, 60)
GT = "1,7,5,6,10,8,1,2,0.5\n3,7,7,6,10,8,1,2,1.0\n1,3,30,20,4,5,1,1,1.0\n2,3,31,20,4,5,1,1,1.0\n"


def edges(store: Path, layer: str) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    """Edges of the graph of a layer, each end as label value and frame."""
    root = zarr.open_group(store / "tracks" / layer, mode="r")
    nodes = list(
        zip(
            root["nodes/props/label/values"][:].tolist(),
            root["nodes/props/t/values"][:].tolist(),
            strict=True,
        )
    )
    return {(nodes[a], nodes[b]) for a, b in root["edges/ids"][:].tolist()}


@pytest.mark.parametrize("challenge", [True, False])
def test_mot(challenge: bool, tmp_path: Path) -> None:
    top = "MOT17-02/" if challenge else ""
    beside = {"seqinfo.ini": "[Sequence]\nname=MOT17-02\n", "det/det.txt": "1,-1,5,6,10,8,0.9\n"}
    beside = beside if challenge else {"gt/labels.txt": "cell\nnucleus\n"}
    files = {f"{top}{n}": text for n, text in beside.items()}
    frames = {f"{top}img1/frame_{n}.png": SIZE for n in (1, 2, 10)}
    source = write_files(tmp_path / "in", {f"{top}gt/gt.txt": GT, **files, **frames})
    data = converted(source, tmp_path / "out.zarr")
    if not challenge:
        check_source("mot", source)
    (layer,) = data[""].layers
    at = -1 if challenge else 0
    expected = np.zeros((3, *SIZE), int)
    for t, value, (x, y, width, height) in (
        (0, 1, (5, 6, 10, 8)), (2, 1, (7, 6, 10, 8)), (0, 2, (30, 20, 4, 5)), (1, 2, (31, 20, 4, 5))
    ):  # fmt: skip
        expected[t, y + at : y + at + height, x + at : x + at + width] = value
    assert (labels(data, "", layer) == expected).all()
    names = ["2", "2", "1", "1"] if challenge else ["nucleus", "nucleus", "cell", "cell"]
    found = sorted(rows(data), key=lambda r: (r["label"], r["t"]))
    assert [(r["track_id"], r["category"]) for r in found] == [
        (i, n) for i, n in zip(["7", "7", "3", "3"], names, strict=True)
    ]
    assert edges(tmp_path / "out.zarr", layer) == {((1, 0), (1, 2)), ((2, 0), (2, 1))}


def test_sequences_of_motchallenge_without_tracks_do_not_stop_the_others(tmp_path: Path) -> None:
    """As its archives unpack: ``test`` has ``det`` and ``seqinfo.ini``, and no ``gt``."""
    files = {f"{top}/seqinfo.ini": "[Sequence]\nname=x\n" for top in ("train/A", "test/B")}
    files |= {f"{top}/det/det.txt": "1,-1,5,6,10,8,0.9\n" for top in ("train/A", "test/B")}
    frames = {f"{top}/img1/{n:06}.png": SIZE for top in ("train/A", "test/B") for n in (1, 2, 3)}
    source = write_files(tmp_path / "in", {"train/A/gt/gt.txt": GT, **files, **frames})
    data = converted(source, tmp_path / "out.zarr")
    assert [len(data[path].layers) for path in data].count(1) == 1
    assert set(data.attributes["attributes"]["annotations"]["files"]) == {
        "train/A/seqinfo.ini",
        "test/B/seqinfo.ini",
    }


@pytest.mark.parametrize(
    "line", ["4,7,1,1,2,2,1", "0,7,1,1,2,2,1", "2,7,1,1,-2,2,1", "2,7,1,1,2,2,1,9", "1,7,1,1,2,2,1",
             "2,7,1,1,2"]
)  # fmt: skip
def test_a_wrong_line_of_mot_is_one_error_or_is_skipped(line: str, tmp_path: Path) -> None:
    files = {f"img1/{n}.png": SIZE for n in (1, 2, 3)} | {"gt/labels.txt": "cell\nnucleus\n"}
    source = write_files(tmp_path / "in", {**files, "gt/gt.txt": f"{GT}{line}\n"})
    with pytest.raises(NgffBioError) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr", format="mot")
    assert (error.value.file, error.value.record) == ("gt/gt.txt", "line 5")
    done = ngff_bio.convert(source, tmp_path / "out.zarr", format="mot", on_error="skip")
    assert done.instances == 4


def test_a_movie_of_which_a_frame_is_not_readable_is_not_read(tmp_path: Path) -> None:
    files = {f"{top}/img1/{n}.png": SIZE for top in "ab" for n in (1, 2, 3)}
    lists = {f"{top}/gt/gt.txt": GT for top in "ab"}
    source = write_files(tmp_path / "in", {**files, **lists})
    (source / "a/img1/2.png").write_bytes(b"no image")
    done = ngff_bio.convert(source, tmp_path / "out.zarr", format="mot", on_error="skip")
    assert done.instances == 4
    assert "a frame of a movie with tracks is not readable" in " ".join(
        n.what for n in done.notices
    )


def spot(number: int, frame: int, x: float, y: float, text: str = "", radius: float = 2.4) -> str:
    roi = f' ROI_N_POINTS="{len(text.split()) // 2}"' if text else ""
    return (
        f'<Spot ID="{number}" name="ID{number}" POSITION_X="{x}" POSITION_Y="{y}" POSITION_Z="0.0" '
        f'POSITION_T="{frame}.0" FRAME="{frame}" RADIUS="{radius}" VISIBILITY="1" QUALITY="1"{roi}>'
        f"{text}</Spot>"
    )


#: Spots of a track that divides, in units of 0.5 a pixel; one of them with an outline.
SPOTS = {
    0: [spot(11, 0, 10, 10)],
    1: [spot(12, 1, 10, 10, "-4.13 -3.22 5.21 -2.14 0.43 6.31")],
    2: [spot(13, 2, 6, 6), spot(14, 2, 20, 12), spot(15, 2, 25, 4, radius=1)],
}
EDGES = ((11, 12), (12, 13), (14, 12))


def trackmate(edges: tuple[tuple[int, int], ...] = EDGES, spots: str = "") -> str:
    frames = "".join(
        f'<SpotsInFrame frame="{t}">{"".join(s)}</SpotsInFrame>' for t, s in SPOTS.items()
    )
    listed = "".join(f'<Edge SPOT_SOURCE_ID="{a}" SPOT_TARGET_ID="{b}"/>' for a, b in edges)
    return (
        '<?xml version="1.0" encoding="UTF-8"?><TrackMate version="7.6.1"><Log>text</Log>'
        f'<Model spatialunits="um" timeunits="sec"><AllSpots nspots="5">{frames}{spots}</AllSpots>'
        f'<AllTracks><Track name="Track_0" TRACK_ID="4">{listed}</Track></AllTracks></Model>'
        '<Settings><ImageData filename="movie.tif" folder="C:\\x\\" width="60" height="40" '
        'nslices="1" nframes="3" pixelwidth="0.5" pixelheight="0.5" voxeldepth="1.0"/></Settings>'
        "</TrackMate>"
    )


def trackmate_folder(folder: Path, text: str) -> Path:
    write_files(folder, {"spots.xml": text})
    movie = np.random.default_rng(0).integers(0, 255, (3, *SIZE), np.uint8)
    tifffile.imwrite(folder / "movie.tif", movie, imagej=True, metadata={"axes": "TYX"})
    return folder


def test_trackmate(tmp_path: Path) -> None:
    data = converted(trackmate_folder(tmp_path / "in", trackmate()), tmp_path / "out.zarr")
    assert data.attributes["source"] == "trackmate"
    check_source("trackmate", tmp_path / "in")
    found = rows(data)
    assert [r["source_id"] for r in found] == ["11", "12", "13", "14", "15"]
    assert [(r["label"], r["t"]) for r in found] == [(1, 0), (1, 1), (2, 2), (3, 2), (4, 2)]
    assert [r["track_id"] for r in found] == ["4", "4", "4", "4", None]
    assert json.loads(found[1]["record"])["@QUALITY"] == "1"
    pixels = labels(data)
    rim = np.array([[-3.22, -4.13], [-2.14, 5.21], [6.31, 0.43]]) / 0.5 + 20
    # The first pixel's center is 0, 0, as polygon2mask counts.
    assert ((pixels[1] == 1) == polygon2mask(SIZE, rim)).all()
    y, x = np.nonzero(pixels[0] == 1)
    assert (y.mean(), x.mean()) == (20, 20)
    assert abs(len(y) - np.pi * 4.8**2) < 5
    assert edges(tmp_path / "out.zarr", "objects") == {
        ((1, 0), (1, 1)), ((1, 1), (2, 2)), ((1, 1), (3, 2))
    }  # fmt: skip


def test_tracks_of_mamut_are_named(tmp_path: Path) -> None:
    source = trackmate_folder(tmp_path / "in", trackmate().replace('"movie.tif"', '"m.xml"'))
    with pytest.raises(NgffBioError, match="tracks of MaMuT"):
        ngff_bio.convert(source, tmp_path / "out.zarr")


@pytest.mark.parametrize(
    "text",
    [
        trackmate(((11, 99),)),
        trackmate(((13, 14),)),
        trackmate(spots=f'<SpotsInFrame frame="1">{spot(16, 1, 5, 5, "1 2 3")}</SpotsInFrame>'),
        trackmate(spots=f'<SpotsInFrame frame="9">{spot(16, 9, 5, 5)}</SpotsInFrame>'),
        trackmate().replace('pixelwidth="0.5"', 'pixelwidth="0"'),
        trackmate().replace('POSITION_X="6"', 'POSITION_X="x"'),
    ],
)
def test_a_wrong_file_of_trackmate_is_one_error(text: str, tmp_path: Path) -> None:
    source = trackmate_folder(tmp_path / "in", text)
    with pytest.raises(NgffBioError) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert error.value.file == "spots.xml"
    assert error.value.hint
