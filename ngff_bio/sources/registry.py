"""The known sources, and which of them a folder is.

Other packages register an entry point in the group ``ngff_bio.sources``; its value is a `Source`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points

from ngff_bio.errors import ArgumentError, NgffBioError
from ngff_bio.formats.problems import Problems
from ngff_bio.model import OnError, SourceDataset
from ngff_bio.sources.assembly import with_folder_splits
from ngff_bio.sources.calibration import CALIBRATION, calibrated
from ngff_bio.sources.files.tree import FileTree

GROUP = "ngff_bio.sources"


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of dataset.

    Parameters
    ----------
    name
        The value of ``--format`` that selects it.
    title
        One line for ``ngff-bio formats``.
    layout
        The files that it looks for, for people.
    detect
        From the files to a confidence: 0 is no; 1 a generic guess; 2 and above a dataset's own names.
        It looks at names, and only where they do not suffice into the first kilobytes of few files.
    read
        From the files and a :class:`~ngff_bio.formats.problems.Problems`, which receives wrong records
        and files, to the dataset; keyword options as in ``options``. The notices of the dataset become
        those of the `Problems`. It raises a :class:`~ngff_bio.errors.SourceNotFoundError` if there is
        nothing to read, and a :class:`~ngff_bio.errors.SourceError` if a file is damaged or a record is
        wrong.
    options
        Name to help text.
    belongs
        Globs, in lower case, of files that accompany datasets of this kind and hold nothing of them:
        of whole names if there is a ``/`` in it, else of the last part.
    by_path
        Whether it opens files by their paths, and so reads local folders only.
    details
        Lines about its files, for ``ngff-bio formats NAME``.
    """

    name: str
    title: str
    layout: str
    detect: Callable[[FileTree], int]
    read: Callable[..., SourceDataset]
    options: Mapping[str, str] = field(default_factory=dict)
    belongs: tuple[str, ...] = ()
    by_path: bool = False
    details: tuple[str, ...] = ()


#: Each source that comes with the package, and a pattern that occurs in a name of every dataset of its
#: kind. A module is loaded only if some name matches: loading all takes longer than converting a plane.
#: First those that are sure (3) where they detect their dataset: the others are then not loaded.
_DATASETS = {
    "livecell": ("ngff_bio.sources.livecell.folder:SOURCE", "_phase_|livecell_coco_"),
    "nuclei": ("ngff_bio.sources.coco.nuclei:SOURCE", r"(^|/)annotations/[^/]+\.json$"),
    "organoid": ("ngff_bio.sources.organoid:SOURCE", "proj_"),
    "platelet-em": ("ngff_bio.sources.platelet_em:SOURCE", "-(images|semantic|instance)"),
    "wbc": ("ngff_bio.sources.wbc.folder:SOURCE", r"\d_[^/]+\.jpe?g$|_result\.json$"),
}
BUILT_IN = _DATASETS | {
    "coco": ("ngff_bio.sources.coco.folder:SOURCE", r"\.json$|(^|/)stuff\w+/"),
    "labelme": ("ngff_bio.sources.labelme.folder:SOURCE", r"\.json$"),
    "cell-tracking": ("ngff_bio.sources.paired.cell_tracking:SOURCE", r"(^|/)\d\d_(GT|ST|ERR|RES)"),
    "nnunet": ("ngff_bio.sources.paired.nnunet:SOURCE", r"(^|/)labelsT[rs]/"),
    "cellpose": (
        "ngff_bio.sources.paired.cellpose:SOURCE",
        r"_(seg\.npy|cp_masks|(cp_)?outlines|flows)",
    ),
    "array-stacks": (
        "ngff_bio.sources.paired.array_stacks:SOURCE",
        r"(^|/)[Ii]mages\.npy$|\.npz$",
    ),
    "ilastik": (
        "ngff_bio.sources.paired.ilastik:SOURCE",
        r"[ _](segmentation|identities|predictions|probabilities|uncertainty|tracking-result)\.",
    ),
    "rois": ("ngff_bio.sources.annotated.rois:SOURCE", r"\.(roi|zip|tiff?)$"),
    "qupath": ("ngff_bio.sources.annotated.qupath:SOURCE", r"json(\.gz)?$|\.zip$"),
    "well-table": ("ngff_bio.sources.paired.well_table:SOURCE", r"\.csv$"),
    "object-masks": ("ngff_bio.sources.paired.object_masks:SOURCE", r"(^|/)masks?/|\.csv$"),
    "yolo": ("ngff_bio.sources.annotated.yolo:SOURCE", r"\.txt$"),
    "voc": ("ngff_bio.sources.annotated.voc:SOURCE", r"\.xml$|SegmentationClass"),
    "cvat": ("ngff_bio.sources.annotated.cvat:SOURCE", r"\.xml$"),
    "via": ("ngff_bio.sources.annotated.simple:VIA", r"\.(json|csv)$"),
    "label-studio": ("ngff_bio.sources.annotated.simple:LABEL_STUDIO", r"\.(json|csv|tsv)$"),
    "supervisely": ("ngff_bio.sources.annotated.supervisely:SOURCE", r"(^|/)ann/.*\.json$"),
    "coco-panoptic": ("ngff_bio.sources.annotated.panoptic:SOURCE", r"\.json$"),
    "box-table": ("ngff_bio.sources.annotated.simple:BOXES", r"\.(csv|json)$"),
    "datumaro": ("ngff_bio.sources.annotated.simple:DATUMARO", r"\.json$"),
    "slide-xml": ("ngff_bio.sources.annotated.simple:SLIDE_XML", r"\.xml$"),
    "mat-labels": ("ngff_bio.sources.annotated.simple:MAT", r"\.mat$"),
    "mot": ("ngff_bio.sources.annotated.mot:SOURCE", r"(^|/)gt/gt\.txt$"),
    "trackmate": ("ngff_bio.sources.annotated.simple:TRACKMATE", r"\.xml$"),
    "napari-shapes": ("ngff_bio.sources.annotated.simple:NAPARI", r"\.csv$"),
    "microscope": (
        "ngff_bio.sources.microscope:SOURCE",
        r"\.(czi|zvi|nd2|lif|oir|oib|oif|vsi|ims|svs|ndpi|qptiff|lsm|scn|bif|mrxs|stk|dcimg|dv|r3d|sldy)$",
    ),
    "plate": (
        "ngff_bio.sources.plate.folder:SOURCE",
        r"\.(mlf|htd|xdce)$|index(\.idx)?\.xml$|experiment_descriptor\.xml$|"
        r"(^|[/_])[a-p]\d\d?(_|-site_|f\d\d+d\d)|"
        r"(^|/)([a-p] - \d+\(|r\d\dc\d\df|channel\d+-|image--l\d|well[a-p]\d\d_)",
    ),
    "images": ("ngff_bio.sources.images.folder:SOURCE", ""),
    "tiff": ("ngff_bio.sources.images.folder:TIFF", "$^"),
}


def sources() -> dict[str, Source]:
    """All sources by name: built-in ones first, then those of other packages."""
    return {**_load(BUILT_IN), **_load()}


def _load(built_in: Iterable[str] | None = None) -> dict[str, Source]:
    """Some of the built-in sources, or those of other packages."""
    if built_in is None:
        entries = [e for e in entry_points(group=GROUP) if e.name not in BUILT_IN]
    else:
        entries = [EntryPoint(name, BUILT_IN[name][0], GROUP) for name in built_in]
    found: dict[str, Source] = {}
    for entry in entries:
        source = entry.load()
        if not isinstance(source, Source):
            raise TypeError(
                f"the entry point {entry.name} of {GROUP} is not a Source: {entry.value}"
            )
        found[entry.name] = source
    return found


def _possible(names: list[str], among: Iterable[str]) -> Iterator[str]:
    """Built-in sources whose pattern occurs in some name."""
    for source in among:
        pattern = BUILT_IN[source][1]
        search = re.compile(pattern, re.IGNORECASE).search
        if not pattern or any(map(search, names)):
            yield source


def source_named(name: str) -> Source:
    """The source of a name.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the name is unknown.
    """
    known = sources()
    if name not in known:
        raise ArgumentError(
            "unknown format",
            expected=", ".join(known),
            found=name,
            hint="run `ngff-bio formats` for a list of formats",
        )
    return known[name]


def find_source(tree: FileTree, name: str | None = None) -> Source:
    """The source of a tree of files: the one named `name`, else the one that detects the files.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the name is unknown, or several sources detect the files.
    ngff_bio.errors.SourceNotFoundError
        If no source does.
    """
    if name is not None:
        return source_named(name)
    names = tree.names()
    known = {**_load(_possible(names, _DATASETS)), **_load()}
    confidence = {n: s.detect(tree) for n, s in known.items()}
    if max(confidence.values(), default=0) < 3:
        general = _load(_possible(names, (n for n in BUILT_IN if n not in _DATASETS)))
        confidence |= {n: s.detect(tree) for n, s in general.items()}
        known |= general
    best = [n for n, v in confidence.items() if v and v == max(confidence.values())]
    # Folders with annotations have image files, too; those of a plate are more than images.
    best = [n for n in best if n not in ("images", "microscope", "plate")] or best
    if "plate" in best:
        best = [n for n in best if n != "images"]
    if not best:
        from ngff_bio.sources.unrecognized import unrecognized

        raise unrecognized(tree)
    if len(best) > 1:
        raise ArgumentError(
            "the source matches several formats",
            file=tree.origin,
            found=" and ".join(best),
            hint=f"choose one with --format {' or --format '.join(best)}"
            + _apart(tree, [known[name] for name in best]),
        )
    return known[best[0]]


def _apart(tree: FileTree, matching: list[Source]) -> str:
    """A hint if folders of a source are datasets of different formats: which is which."""
    found = []
    for folder in {n.partition("/")[0]: None for n in tree.names() if "/" in n}:
        inside = tree.below(folder)
        own = [s.name for s in matching if s.detect(inside)]
        found += [f"{folder} ({own[0]})"] if len(own) == 1 else []
    return f"; or convert its folders one by one: {', '.join(found)}" if len(found) > 1 else ""


#: Options of sources that `ngff-bio convert` has under their own names.
NAMED = (
    "labels",
    "series",
    "axes",
    "label_kind",
    "tracked",
    "stitch",
    "pattern",
    "wells",
    "scale_annotations",
    "images",
    *CALIBRATION,
)


def option_text(name: str) -> str:
    """How an option of a source is spelled on the command line."""
    return f"--{name.replace('_', '-')}" if name in NAMED else f"--option {name}=VALUE"


def options_of(source: Source) -> dict[str, str]:
    """All options that a source takes, with their help text: its own, and those of every source."""
    return {**source.options, **CALIBRATION}


def read_source(
    source: Source,
    tree: FileTree,
    options: Mapping[str, object] | None = None,
    *,
    on_error: OnError = "stop",
    ignore_unread: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> SourceDataset:
    """The dataset of a tree of files, with the account of these.

    Parameters
    ----------
    ignore_unread
        Whether files that could hold annotations or pixels, and are not read, are left out.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the source does not have an option.
    ngff_bio.errors.SourceError
        If a file is damaged or a record is wrong, or a file that could hold annotations is not read.
    """
    from ngff_bio.sources.accounting import account_for, checked
    from ngff_bio.sources.ome_documents import with_documents

    given = dict(options or {})
    known = options_of(source)
    for name in given:
        if name not in known:
            raise ArgumentError(
                f"the format {source.name} does not take {option_text(name)}",
                file=tree.origin,
                expected=", ".join(map(option_text, known)),
                hint="leave it out, or choose another format with --format; `ngff-bio formats` lists "
                "the options of each",
            )
    problems = Problems(on_error, progress=progress)
    dataset, account = None, None
    try:
        own = {k: v for k, v in given.items() if k in source.options}
        dataset = replace(source.read(tree, problems, **own), notices=problems.gathered())
        dataset = with_folder_splits(dataset)
        dataset = calibrated(dataset, {k: v for k, v in given.items() if k not in own})
        dataset = with_documents(dataset)
        account = account_for(tree, dataset, source.belongs)
        skipping = on_error == "skip"
        dataset = checked(dataset, account, ignore_unread=ignore_unread, skipping=skipping)
    except NgffBioError as error:
        error.files = (account or account_for(tree, None, source.belongs)).to_json()
        raise
    used = {
        "on_error": on_error if skipping else None,
        "ignore_unread": ignore_unread or None,
        "exclude": list(tree.exclude) or None,
    }
    return replace(dataset, options={**given, **{k: v for k, v in used.items() if v is not None}})
