"""What a file that is not read looks like: a document, a thumbnail, annotations, pixels."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from functools import partial
from pathlib import PurePosixPath

from ngff_bio.sources.assembly import base_of, ending_of, image_files
from ngff_bio.sources.files.archives import is_archive
from ngff_bio.sources.files.tree import FileTree

_MICROSCOPE = (
    ".czi", ".lif", ".lsm", ".nd2", ".oib", ".oif", ".oir", ".vsi", ".ims", ".stk", ".dv", ".r3d",
    ".flex", ".zvi", ".bif", ".dcimg", ".ics", ".ids", ".lei", ".mvd2", ".nd", ".sld", ".sldy",
)  # fmt: skip

#: What a file is by its ending, where every such file could hold annotations or pixels.
_KINDS = {
    ".geojson": "GeoJSON",
    ".xml": "XML, as of Pascal VOC or CVAT",
    ".roi": "ImageJ region",
    ".qpdata": "objects of a QuPath project",
    ".mastodon": "tracks of Mastodon",
    **dict.fromkeys((".swc", ".eswc", ".nml", ".traces", ".marker", ".apo"), "traces of neurons"),
    ".svg": "drawing",
    **dict.fromkeys((".npy", ".npz"), "NumPy arrays"),
    **dict.fromkeys((".pkl", ".pickle"), "pickled objects"),
    ".mat": "MATLAB arrays",
    **dict.fromkeys((".h5", ".hdf5", ".hdf", ".ilp"), "HDF5 arrays"),
    **dict.fromkeys(
        (".parquet", ".feather", ".arrow", ".xlsx", ".xls", ".ods", ".sqlite"), "table"
    ),
    **dict.fromkeys(_MICROSCOPE, "microscope image"),
    **dict.fromkeys(
        (".gif", ".webp", ".jp2", ".dcm", ".svs", ".ndpi", ".mrxs", ".scn", ".qptiff", ".btf"),
        "image of another format",
    ),
    **dict.fromkeys(
        (".mrc", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".raw", ".avi", ".mp4", ".mov"),
        "volume or movie of another format",
    ),
}

#: Tools whose JSON is not read, by a key in it.
_TOOLS = {
    "V7 Darwin": rb'"slot_names"\s*:|"schema_ref"\s*:\s*"[^"]*darwin',
    "Hasty": rb'"export_format_version"\s*:',
    "SuperAnnotate": rb'"className"\s*:',
    "Labelbox": rb'"data_row"\s*:',
    "Encord": rb'"label_hash"\s*:',
    "Segments.ai": rb'"label_status"\s*:',
    "Scalabel": rb'"(?:box|poly)2d"\s*:',
    "Kili": rb'"jsonResponse"\s*:',
}

#: How files of some kinds can be converted.
WAYS = {
    **{f"JSON of {tool}": f"export the annotations of {tool} as COCO" for tool in _TOOLS},
    **dict.fromkeys(
        ("NumPy arrays", "MATLAB arrays", "HDF5 arrays"),
        "to convert arrays of labels, save them as TIFF (tifffile.imwrite) in a folder masks beside "
        "that of the images, each named like its image",
    ),
    "image file": "to read each image file as an image, and nothing else, add --format images "
    "--labels none --ignore-unread",
    "tracks of Mastodon": "export tracks of Mastodon as tables, and add these to the store with "
    "`ngff-bio table add`",
    "JSON in UTF-16": "save JSON files in UTF-8",
    "JSON with comments": "JSON has no comments: remove them",
    "archive": "unpack archives that are beside other files",
    "COCO results": "COCO results list no images: write them as COCO annotations, with images and "
    "categories",
    "link to a file that is missing": "fetch the files that links lead to (git annex get, dvc pull)",
    "objects of a QuPath project": "export its objects in QuPath as GeoJSON, named like the image",
}

#: What a file of an unknown ending is by its first bytes.
_MAGIC = (
    (b"\x89PNG", "image of an unknown ending"),
    (b"\xff\xd8\xff", "image of an unknown ending"),
    (b"II*\0", "image of an unknown ending"),
    (b"MM\0*", "image of an unknown ending"),
    (b"GIF8", "image of an unknown ending"),
    (b"\x89HDF", "HDF5 arrays"),
    (b"\x93NUMPY", "NumPy arrays"),
    (b"Iout", "ImageJ region"),
    (b"PK\x03\x04", "archive"),
    (b"<?xml", "XML, as of Pascal VOC or CVAT"),
    (b"<", "XML of another kind"),
    (b"\x1f\x8b", "compressed file"),
)

#: Base names, without their ending, of files about a dataset.
_ABOUT = re.compile(
    r"(read[-_ ]?me|licen[sc]e|copying|notice|citation|cite|change(s|log)|authors|contributors|"
    r"requirements|attribution|terms)([-_.].*)?",
    re.IGNORECASE,
)
#: Where Cellpose writes models that it trains, without an ending.
_MODEL = re.compile(r"(^|/)models/(cellpose_[^/]+|[^/.]+)$")
_SMALL_COPY = re.compile(r"(^|[/_. -])thumb(nail)?s?([/_. -]|$)", re.IGNORECASE)

#: Endings of files that accompany a dataset and hold no data of it, in lower case.
_DOCUMENTS = (
    ".md", ".rst", ".pdf", ".doc", ".docx", ".odt", ".ppt", ".pptx", ".html", ".css", ".js", ".url",
    ".py", ".ipynb", ".m", ".r", ".sh", ".bat", ".ijm", ".groovy", ".yml", ".yaml", ".toml", ".log",
    ".bib", ".cff", ".md5", ".sha1", ".sha256", ".cppipe", ".cpproj",
)  # fmt: skip

#: Bytes of a text in which names of images are looked for.
_SNIFFED = 1 << 16

_WORD = re.compile(r"[^\s,;\"'|/\\]+")

#: Columns of tables of annotations.
_COLUMNS = re.compile(
    r"encodedpixels|x_?min|bbox|bounding|polygon|vertices|segmentation|mask|region_|shape_attr|"
    r"position[_ ]x|centroid|axis-\d|shape-type|predicted.class|object.?id|"
    r"(^|[,;\t\"])\s*(x1?|rle|points|(class|label|category)(_?name)?|classes|labels)\s*([,;\t\"]|$)",
    re.IGNORECASE | re.MULTILINE,
)

#: Lines of a table in which its columns are looked for: programs put titles before them.
_TITLES = 5

#: ``a_links.txt`` of Omnipose: pairs of labels that are parts of one cell.
_LINKS = re.compile(r"(\s*\d+\s*,\s*\d+\s*)+")

#: The start of JSON, not of a section of settings: ``[General]``.
_JSON = re.compile(r'\s*(\{|\[\s*[\[{"\]\d-])')

#: Least characters of an id in a table that begins the names of image files: ``ID_red.png``.
_ID = 6

#: A line of four numbers or more, as of a box or an outline, with or without a class beside them.
_NUMBERS = re.compile(
    r"^\s*([^\W\d]\S*[\s,;]+)?-?[\d.]+([\s,;]+-?[\d.eE+-]+){3,}([\s,;]+[^\W\d]\S*)?\s*$"
)


def belongs(name: str) -> str | None:
    """What a file is that accompanies a dataset and holds nothing of it; ``None`` for others."""
    base = base_of(name)
    ending = ending_of(name)
    if ending in _DOCUMENTS or (ending in ("", ".txt", ".xml") and _ABOUT.fullmatch(base)):
        return "document"
    if ending in (".pt", ".pth", ".ckpt", ".onnx") or _MODEL.search(name):
        return "weights of a model"
    if _SMALL_COPY.search(name) and image_files([name]):
        return "thumbnail"
    return None


def looks_like(tree: FileTree, names: Sequence[str]) -> dict[str, str]:
    """What files that are not read look like, by name.

    The kind starts with ``other`` if the file holds neither annotations nor pixels, as far as its name
    and its first bytes show; with ``image file`` if it is an image file.
    """
    stems = {PurePosixPath(n).stem for n in image_files(tree.names())}
    look = partial(_kind, tree, stems=stems)
    return dict(zip(names, tree.each(look, names), strict=True))


def _kind(tree: FileTree, name: str, stems: set[str]) -> str:
    path = PurePosixPath(name)
    ending = path.suffix.lower()
    if image_files([name]):
        from ngff_bio.sources.images.label_names import by_convention

        return "image file" + (" named like a label image" if by_convention(name) else "")
    if ending in (".json", ".jsonl", ".ndjson"):
        with tree.file(name).open() as stream:
            head = stream.read(_SNIFFED)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "JSON in UTF-16"
        if head.lstrip().startswith((b"//", b"/*")):
            return "JSON with comments"
        if re.match(rb'\s*\[\s*\{[^{}]*"image_id"\s*:', head):
            return "COCO results"
        found = (f"JSON of {tool}" for tool, key in _TOOLS.items() if re.search(key, head))
        return next(found, "JSON of another kind")
    if ending in _KINDS:
        return _KINDS[ending]
    if is_archive(name):
        return "ImageJ regions" if "roi" in base_of(name).lower() else "archive"
    if ending == ".txt" and path.stem in stems:
        return "text named like an image, as of YOLO"
    with tree.file(name).open() as stream:
        head = stream.read(_SNIFFED)
    if ending in (".csv", ".tsv", ".txt"):
        text = head.decode("utf-8-sig", "replace")
        if path.stem.endswith("_links") and _LINKS.match(text):
            return "links between labels, as of Omnipose"
        return _kind_of_text(text, ending, stems)
    found = (kind for start, kind in _MAGIC if head.lstrip().startswith(start))
    if kind := next(found, None):
        return kind
    if _JSON.match(head.decode("utf-8-sig", "replace")):
        return "JSON of another kind"
    noun = "binary file of an unknown format" if b"\0" in head else "other file"
    return f"{noun} ({ending})" if ending else noun


def _kind_of_text(text: str, ending: str, stems: set[str]) -> str:
    """What a text is: its words are names of images, its columns those of annotations."""
    noun = "text" if ending == ".txt" else "table"
    words = _WORD.findall(text)
    named = {PurePosixPath(w).stem for w in words if image_files([w])}
    bare = {w for w in words if len(w) > 3}  # without an ending, as in lists of splits
    ids = {s[: m.start()] for s in stems for m in re.finditer(r"[_.]", s) if m.start() >= _ID}
    if not (stems.isdisjoint(named) and stems.isdisjoint(bare) and ids.isdisjoint(bare)):
        return f"{noun} that names images"
    lines = [line for line in text.lstrip().split("\n", _TITLES)[:_TITLES] if line.strip()]
    if noun == "table" and _COLUMNS.search("\n".join(lines)):
        return "table with columns of annotations"
    if lines and all(image_files(line.split()[:1]) for line in lines):
        return f"{noun} that names images"  # of another folder, as lists of splits can do
    if noun == "text" and lines and all(map(_NUMBERS.match, lines)):
        return "text of numbers, as of YOLO"
    if _JSON.match(text):
        return "JSON of another kind"
    return f"other {noun}"
