"""Whether a change of the code changes what it writes: digests of stores, exports and verdicts.

Converts every made dataset (and the real samples, where they are) to OME-Zarr 0.4, 0.5 and 0.6,
exports each 0.5 store to every format, and validates each store and each published conformance case.
Record before a refactoring, compare after it:

    python tests/store_equality.py record before.json
    python tests/store_equality.py compare before.json

Digests depend on the installed codec libraries: compare only what the same environment recorded.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import makers

import ngff_bio
from ngff_bio.checks import validate_attributes
from ngff_bio.errors import NgffBioError
from ngff_bio.export import exporters

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("NGFF_BIO_SHARED", ROOT.parent / "shared"))
VERSIONS = ("0.4", "0.5", "0.6")

#: Folders of samples that convert without an option.
SAMPLES = (
    "wbc/miLab_test",
    "livecell",
    "nuclei",
    "platelet-em",
    "labelme",
    "tiff",
    "generic/display_ranges",
    "generic/label_series",
)


def made() -> dict[str, tuple[dict[str, Any], Callable[[Path], Any]]]:
    """Options and maker of each made dataset."""

    def with_options(make: Callable[..., Any], **quirks: Any) -> Callable[[Path], Any]:
        return lambda folder: make(folder, **quirks)

    livecell, organoid = makers.make_livecell, makers.make_organoid
    return {
        "platelet-em": ({}, makers.make_platelet_em),
        "nuclei": ({}, makers.make_nuclei),
        "livecell": ({}, livecell),
        "livecell-stitched": ({"stitch": True}, livecell),
        "livecell-zipped": ({}, with_options(livecell, zipped=True)),
        "organoid": ({}, organoid),
        "organoid-unequal": ({}, with_options(organoid, unequal_sizes=True, outside=True)),
        "wbc": ({}, makers.make_wbc),
        "wbc-crops": ({}, makers.make_wbc_crops),
        "coco": ({}, makers.make_coco_folder),
        "labelme": ({}, makers.make_labelme_folder),
        "tiff": ({}, makers.make_tiff_folder),
        "tiff-labels": ({}, with_options(makers.make_tiff_folder, labels=True)),
    }


def digests(folder: Path) -> dict[str, str]:
    """Digest of each file below a folder, or of the one file, by relative path."""
    files = [folder] if folder.is_file() else sorted(p for p in folder.rglob("*") if p.is_file())
    return {
        f.relative_to(folder).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest()[:24]
        for f in files
    }


def _attempt(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except NgffBioError as error:
        return f"error: {type(error).__name__}"


def _validated(store: Path) -> list[str]:
    found = ngff_bio.validate(store, strict=True)
    return sorted(f"{f.level} {f.rule} {f.group} {f.path}" for f in found)


def of_source(source: Path, options: dict[str, Any], work: Path) -> Iterator[tuple[str, Any]]:
    """What is written for one source folder: stores of three versions, verdicts, exports."""
    for version in VERSIONS:
        store = work / f"{version}.zarr"
        settings = ngff_bio.Settings(version=version)

        def convert(store: Path = store, settings: Any = settings) -> dict[str, str]:
            ngff_bio.convert(source, store, settings=settings, options=options)
            return digests(store)

        yield f"store {version}", (written := _attempt(convert))
        if isinstance(written, str):
            return
        yield f"validate {version}", _validated(store)
    for name, exporter in exporters().items():
        out = work / f"export-{name}{exporter.suffixes[0] if exporter.suffixes else ''}"

        def export(image: str | None, out: Path = out, name: str = name) -> dict[str, str]:
            ngff_bio.export(work / "0.5.zarr", out, to=name, image=image)
            return digests(out)

        whole = _attempt(lambda: export(None))
        yield f"export {name}", whole
        if isinstance(whole, str):  # a format that holds one image
            first = next(iter(ngff_bio.open(work / "0.5.zarr")))
            yield f"export {name} of an image", _attempt(partial(export, first))


def conformance() -> dict[str, list[str]]:
    """Rules that each published case breaks."""
    found = {}
    for suite in sorted((SHARED / "conformance" / "0.5").glob("*_suite.json")):
        for test in json.loads(suite.read_text())["tests"]:
            for strict in (False, True):
                findings = validate_attributes(test["data"], strict=strict, as_cases=True)
                rules = sorted(f"{f.level} {f.rule} {f.path}" for f in findings)
                found[f"{suite.stem} {test['formerly']} strict={strict}"] = rules
    return found


def collect(work: Path, only: list[str]) -> dict[str, Any]:
    """All digests and verdicts; stores stay below `work`."""
    result: dict[str, Any] = {}
    sources: dict[str, tuple[Path, dict[str, Any]]] = {}
    for name, (options, make) in made().items():
        if not only or name in only:
            make(work / name / "source")
            sources[name] = (work / name / "source", options)
    for name in SAMPLES:
        if (SHARED / "samples" / name).is_dir() and (not only or name in only):
            sources[f"samples/{name}"] = (SHARED / "samples" / name, {})
    for name, (source, options) in sources.items():
        (work / name).mkdir(parents=True, exist_ok=True)
        result[name] = dict(of_source(source, options, work / name))
        print(name, file=sys.stderr)
    if not only or "conformance" in only:
        result["conformance"] = conformance()
    return result


def differences(before: Any, now: Any, at: str = "") -> Iterator[str]:
    """Paths at which two results differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            yield from differences(before.get(key), now.get(key), f"{at} / {key}".lstrip(" /"))
    elif before != now:
        yield f"{at}: {before!r} -> {now!r}"


def main() -> int:
    """Record or compare; 1 if something differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("record", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--work", type=Path, help="keep the stores in this folder")
    parser.add_argument("--only", nargs="*", default=[], help="names of datasets")
    arguments = parser.parse_args()
    uuid.uuid1 = lambda *_: uuid.UUID(int=1)  # tifffile puts one into each OME-TIFF
    with tempfile.TemporaryDirectory() as temporary:
        result = collect(arguments.work or Path(temporary), arguments.only)
    if arguments.action == "record":
        arguments.file.write_text(json.dumps(result, indent=1, sort_keys=True))
        return 0
    before = json.loads(arguments.file.read_text())
    if arguments.only:
        before = {k: v for k, v in before.items() if k in result}
    found = list(differences(before, result))
    print("\n".join(found) or "equal")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
