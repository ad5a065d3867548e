"""The Cell Tracking Challenge: movies in 2-D or 3-D, with gold and silver truth, and results.

``01/t000.tif`` are the frames of a movie. Beside it are ``01_GT/TRA/man_track000.tif`` (markers with
``man_track.txt``), ``01_GT/SEG/man_seg000.tif`` or ``man_seg_000_012.tif`` (frame 0, plane 12),
``01_ST/SEG`` (silver truth), ``01_ERR_SEG/mask000.tif``, and ``01_RES/mask000.tif`` with
``res_track.txt``. https://celltrackingchallenge.net (naming and file content conventions)
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.cell_tracks import Track, TrackedPixels, read_tracks
from ngff_bio.formats.images.composed import stack_pixels
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.images.label_pixels import fit_labels, open_label_image
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Pixels, SourceDataset, SourceImage, VolumeLayer
from ngff_bio.sources.assembly import dataset_of, probe_all
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.numbered import Series
from ngff_bio.sources.images.opening import open_series, series_images
from ngff_bio.sources.registry import Source

_FRAME = re.compile(r"^(?P<data>(?:.*/)?)(?P<movie>\d\d)/t(?P<t>\d{3,})\.tiff?$")
_BESIDE = r"^(?P<data>(?:.*/)?)(?P<movie>\d\d)_(?P<kind>GT|ST|ERR_SEG|RES)/(?:(?P<part>SEG|TRA)/)?"
_LABELS = re.compile(
    _BESIDE + r"(?:man_seg|man_track|mask)_?(?P<t>\d{3,})(?:_(?P<z>\d{3,}))?\.tiff?$"
)
_TRACKS = re.compile(_BESIDE + r"(?:man|res)_track\.txt$")

#: Layers whose values are tracks.
_TRACKED = ("gt-tra", "st-tra", "res")


@dataclass(slots=True)
class _Layer:
    """Files of a label layer, by frame and plane (``None`` for the whole frame)."""

    files: dict[tuple[int, int | None], str] = field(default_factory=dict)
    tracks: str | None = None


@dataclass(slots=True)
class _Movie:
    frames: dict[int, str] = field(default_factory=dict)
    layers: dict[str, _Layer] = field(default_factory=lambda: defaultdict(_Layer))


def detect(tree: FileTree) -> int:
    """2 if there are label images or lists of tracks named as in the challenge."""
    return 2 if any(_LABELS.match(n) or _TRACKS.match(n) for n in tree.names()) else 0


def read(tree: FileTree, problems: Problems) -> SourceDataset:
    """Every movie as an image, with a label layer for each folder of labels."""
    movies: dict[tuple[str, str], _Movie] = defaultdict(_Movie)
    for name in tree.names():
        if match := _FRAME.match(name):
            movies[match["data"], match["movie"]].frames[int(match["t"])] = name
        elif match := _LABELS.match(name):
            plane = None if match["z"] is None else int(match["z"])
            layer = movies[match["data"], match["movie"]].layers[_layer_name(match)]
            layer.files[int(match["t"]), plane] = name
        elif match := _TRACKS.match(name):
            movies[match["data"], match["movie"]].layers[_layer_name(match)].tracks = name
    found = []
    for (data, number), movie in sorted(movies.items()):
        with problems.caught():
            image = _Reader(tree, problems, movie).image(f"{data}{number}")
            found.append((data.rstrip("/"), replace(image, path=number)))
    if not found:
        raise SourceNotFoundError(
            "no movie of the Cell Tracking Challenge found",
            file=tree.origin,
            expected="01/t000.tif beside 01_GT",
            hint="name the folder that holds 01 and 01_GT",
        )
    lists = filter(_TRACKS.match, tree.names())
    return dataset_of(tree, "cell-tracking", found, read_files=lists)


def _layer_name(match: re.Match[str]) -> str:
    """``gt-seg``, ``gt-tra``, ``st-seg``, ``err-seg`` or ``res``."""
    return "-".join(p for p in (match["kind"], match["part"]) if p).lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class _Reader:
    tree: FileTree
    problems: Problems
    movie: _Movie

    def image(self, name: str) -> SourceImage:
        """The movie, named as its folder."""
        movie = self.movie
        if not movie.frames:
            first = next(iter(movie.layers.values()))
            raise SourceError(
                "labels of a movie without its frames",
                file=first.tracks or next(iter(first.files.values())),
                expected=f"frames {name}/t000.tif, ...",
                found="no such file",
                hint="add the folder of the movie, or leave out its labels with --on-error skip",
            )
        numbers = sorted(movie.frames)
        if numbers[-1] - numbers[0] >= len(numbers):
            gap = next(n for n in range(numbers[0], numbers[-1]) if n not in movie.frames)
            self.problems.warn(
                "frames are missing: those that are there follow each other",
                file=movie.frames[numbers[0]],
                record=f"t{gap:03}",
            )
        files = tuple(movie.frames[n] for n in numbers)
        several = len(files) > 1
        along = {"t": tuple(numbers)} if several else None
        series = Series(name, name.rpartition("/")[2], files, "t" if several else "", along)
        headers = probe_all(self.tree, files, Problems())
        deep = len(headers[files[0]].shape) == 3
        opened = open_series(self.tree, series, headers, "zyx" if deep else None)
        for notice in opened[0].notices:
            self.problems.notices.append(notice)
        image = series_images(series, opened)[0]
        layers = []
        for layer, listed in sorted(movie.layers.items()):
            with self.problems.caught():
                if listed.files:
                    layers.append(self._layer(layer, listed, image, numbers))
                else:
                    raise SourceError(
                        "a list of tracks without label images",
                        file=listed.tracks,
                        expected="label images of each frame beside it",
                        hint="add them, or leave out the list with --on-error skip",
                    )
        return replace(image, labels=tuple(layers))

    def _layer(
        self, name: str, listed: _Layer, image: SourceImage, numbers: list[int]
    ) -> VolumeLayer:
        at = {number: t for t, number in enumerate(numbers)}
        lost = [f for (t, _), f in listed.files.items() if t not in at]
        if lost:
            raise SourceError(
                "a label image of a frame that is not there",
                file=lost[0],
                expected=f"one of {len(numbers)} frames from {image.frames[0].name} on",
                found=f"no frame {next(t for t, _ in listed.files if t not in at)}",
                hint="add the frame, or leave out this layer with --on-error skip",
            )
        source, letters = self._stack(listed, image, at)
        pixels, most = fit_labels(source, letters, next(iter(listed.files.values())), image)
        tracked = name in _TRACKED and "t" in image.axis_names
        before = len(self.problems.notices)
        tracks = self._tracks(name, listed, at) if tracked else {}
        values: Pixels = pixels
        if any(n.kind == "skipped" for n in self.problems.notices[before:]):
            self.problems.note(
                "label values are not compared with a list of tracks of which lines were skipped",
                listed.tracks,
            )
        elif tracks:
            spans = tuple((t.label, at[t.first], at[t.last]) for t in tracks.values())
            values = TrackedPixels(pixels, spans, str(listed.tracks))
        return VolumeLayer(
            name,
            values,
            kind="instance",
            max_value=most,
            tracked=tracked if "t" in image.axis_names else None,
            parents={t.label: t.parent for t in tracks.values() if t.parent},
            listed=tuple(tracks),
            attributes=self._about(name, listed, at),
        )

    def _about(self, name: str, listed: _Layer, at: Mapping[int, int]) -> dict[str, object]:
        """Attributes of a layer: its files, and what is annotated if that is not everything."""
        found: dict[str, object] = {
            "files": [listed.files[key] for key in sorted(listed.files, key=str)]
        }
        if listed.tracks:
            found["tracks"] = listed.tracks
        planes = sorted((at[t], z) for t, z in listed.files if z is not None)
        frames = sorted({at[t] for t, _ in listed.files})
        if planes:
            found["annotated_planes"] = [list(p) for p in planes]
        if planes or len(frames) < len(at):
            found["annotated_frames"] = frames
            what = f"{len(frames)} of {len(at)} frames have labels"
            if planes:
                what += f", {len(planes)} of these in single planes"
            self.problems.note(f"{what}: labels are 0 elsewhere", record=f"layer {name}")
        return found

    def _stack(
        self, listed: _Layer, image: SourceImage, at: Mapping[int, int]
    ) -> tuple[Pixels, str]:
        """Label images by frame; planes of a frame are stacked first."""
        headers = probe_all(self.tree, list(listed.files.values()), Problems())
        sizes = dict(zip(image.axis_names, image.pixels.shape, strict=True))
        frames: list[Pixels | None] = [None] * len(at)
        names = [""] * len(at)
        planes: dict[int, dict[int, Pixels]] = defaultdict(dict)
        inner = "zyx" if "z" in sizes else "yx"
        for (t, z), name in listed.files.items():
            axes = "yx" if z is not None else inner
            pixels = self._file(name, headers[name], axes, tuple(sizes[a] for a in axes))
            names[at[t]] = name
            if z is None:
                frames[at[t]] = pixels
            elif z >= sizes.get("z", 0):
                raise SourceError(
                    "a label image of a plane that is not there",
                    file=name,
                    expected=f"planes 0 to {sizes.get('z', 1) - 1}",
                    found=z,
                    hint="leave out this layer with --on-error skip",
                )
            else:
                planes[at[t]][z] = pixels
        for t, of_frame in planes.items():
            if frames[t] is not None:
                raise SourceError(
                    "a frame has both a label image and those of single planes",
                    file=names[t],
                    hint="remove one of the two, or leave out this layer with --on-error skip",
                )
            listed_planes = [of_frame.get(z) for z in range(sizes["z"])]
            named = [names[t]] * sizes["z"]
            frames[t] = stack_pixels(listed_planes, "yx", "z", [sizes["z"]], named)
        stack = stack_pixels(frames, inner, "t", [len(at)], names)
        return stack, stack.axes

    def _file(self, name: str, header: ImageHeader, axes: str, shape: tuple[int, ...]) -> Pixels:
        pixels, _ = open_label_image(self.tree.file(name), header, self.tree.limits)
        if pixels.shape != shape:  # a stack would pad it
            raise SourceError(
                "a label image and its movie differ in shape",
                file=name,
                expected=f"{axes} of {list(shape)}",
                found=list(pixels.shape),
                hint="leave out this layer with --on-error skip",
            )
        return pixels

    def _tracks(self, name: str, listed: _Layer, at: Mapping[int, int]) -> dict[int, Track]:
        """Tracks by label value; none without a list."""
        if listed.tracks is None:
            self.problems.warn("no list of tracks: parents are unknown", record=f"layer {name}")
            return {}
        tracks = read_tracks(self.tree.file(listed.tracks), self.problems)
        for track in tracks.values():
            if track.first not in at or track.last not in at:
                self.problems.fail(
                    SourceError(
                        "a track is on frames that are not there",
                        file=listed.tracks,
                        record=f"track {track.label}",
                        expected=f"frames {min(at)} to {max(at)}",
                        found=f"{track.first} to {track.last}",
                        hint="correct the list, or continue with --on-error skip",
                    )
                )
        return tracks


SOURCE = Source(
    name="cell-tracking",
    title="Cell Tracking Challenge: movies with segmentations, tracks and lineages",
    layout="01/t000.tif, 01_GT/{SEG,TRA}, 01_ST/SEG, 01_ERR_SEG, 01_RES, man_track.txt, res_track.txt",
    detect=detect,
    read=read,
)
