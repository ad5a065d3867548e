"""A file of a microscope, or a folder of them: each scene is an image."""

from __future__ import annotations

from pathlib import PurePosixPath

from ngff_bio.errors import SourceNotFoundError
from ngff_bio.formats.microscope.scenes import VENDORS, Scene, open_microscope
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Frame, SourceDataset, SourceImage
from ngff_bio.sources.assembly import base_of, dataset_of, ending_of, folder_of
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source


def detect(tree: FileTree) -> int:
    """1 if there is a file with the ending of a microscope's format."""
    return int(any(ending_of(n) in VENDORS for n in tree.names()))


def read(tree: FileTree, problems: Problems) -> SourceDataset:
    """Every scene of every file as an image.

    The metadata of each file are kept as OME-XML in the attributes of the dataset.
    """
    found: list[tuple[str, SourceImage]] = []
    documents: dict[str, str] = {}
    names = [n for n in tree.names() if ending_of(n) in VENDORS]
    for name in names:
        with problems.caught():
            companions = [tree.file(n) for n in _companions(tree, name)]
            opened = open_microscope(tree.file(name), companions, limits=tree.limits)
            scenes = opened.scenes
            if opened.ome_xml is not None:
                documents[name] = opened.ome_xml
            for warning in opened.warnings:
                problems.warn(warning, file=name)
            for part in opened.left_out:
                problems.skip(f"the file contains more than its scenes: {part}", file=name)
            found += [(folder_of(name), _image(name, s, len(scenes) > 1)) for s in scenes]
    if not found:
        raise SourceNotFoundError(
            "no microscope file is readable",
            file=tree.origin,
            expected=f"files that end in {', '.join(VENDORS)}",
            found="; ".join(n.what for n in problems.notices[:3]) or "no such file",
            hint="name the folder that holds them",
        )
    about = {"ome_xml": documents} if documents else {}
    return dataset_of(tree, "microscope", found, attributes=about)


def _companions(tree: FileTree, name: str) -> list[str]:
    """Files that contain the planes of a file: ``_a_/`` of ``a.vsi``, ``a.oif.files/`` of ``a.oif``,
    ``a/`` of ``a.mrxs``, ``a.dir/`` of ``a.sldy``.
    """
    folder, stem = folder_of(name), PurePosixPath(name).stem
    inner = {".vsi": f"_{stem}_/", ".mrxs": f"{stem}/", ".sldy": f"{stem}.dir/"}
    inside = inner.get(ending_of(name), f"{base_of(name)}.files/")
    start = f"{folder}/{inside}".lstrip("/")
    return [n for n in tree.names() if n.startswith(start)]


def _image(name: str, scene: Scene, several: bool) -> SourceImage:
    base = base_of(name)
    stem = PurePosixPath(base).stem
    times = scene.pixels.shape[0] if scene.pixels.axes[0] == "t" else 1
    return SourceImage(
        path=f"{stem}_{scene.name}" if several else stem,
        name=f"{base}/{scene.name}" if several else base,
        axes=scene.axes,
        pixels=scene.pixels,
        channels=scene.channels,
        frames=tuple(Frame(name, t) for t in range(times)),
        translation=scene.translation,
        attributes={"scene": {"index": scene.pixels.scene, "name": scene.name}},
    )


SOURCE = Source(
    name="microscope",
    title="files of microscopes, each scene an image (needs the extra vendor)",
    layout=", ".join(f"*{ending}" for ending in VENDORS),
    detect=detect,
    read=read,
    by_path=True,
)
