"""Random mixtures of files: every file is accounted for, and none that holds data is left out unseen.

``NGFF_BIO_JUNK`` is the number of mixtures (``make junk`` runs 300), ``NGFF_BIO_JUNK_SEED`` the first.
"""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from junk import make_junk

import ngff_bio
from ngff_bio.conversion import estimate
from ngff_bio.errors import NgffBioError
from ngff_bio.model import SourceDataset, SourceFile
from ngff_bio.sources import find_source, open_tree, read_source

_MIXTURES = int(os.environ.get("NGFF_BIO_JUNK", "100"))
_FIRST = int(os.environ.get("NGFF_BIO_JUNK_SEED", "0"))
_LISTS = ("read", "belongs", "excluded", "unread")


def _outcome(folder: Path, **given: object) -> tuple[dict[str, list[str]], bool]:
    """The four lists of files, and whether it converts; any other error than ours is a bug."""
    try:
        found = estimate(folder, **given).account.to_json()  # type: ignore[arg-type]
        done = True
    except NgffBioError as error:
        found, done = error.files or {}, False
    return {name: found[name]["names"] for name in _LISTS}, done


def _image_files(dataset: SourceDataset) -> set[str]:
    """Files that are images without any annotation: a listing can name any file as an image."""
    images = (image for image in dataset.images if not image.labels)
    parts = (p for image in images for p in image.pixels.source_parts() or ())
    return {p.name for p in parts if isinstance(p, SourceFile)}


@pytest.mark.parametrize("batch", range(10))
def test_every_file_of_a_mixture_is_accounted_for(batch: int, tmp_path: Path) -> None:
    ends: Counter[bool] = Counter()
    for seed in range(_FIRST + batch, _FIRST + _MIXTURES, 10):
        folder = tmp_path / str(seed)
        kinds = make_junk(folder, seed)
        if not kinds:
            continue
        chance = random.Random(seed)
        exclude = [chance.choice([*kinds, "*.json", "masks", "*.txt"])] if seed % 3 == 0 else []
        for options in ({}, {"ignore_unread": True}, {"on_error": "skip"}):
            lists, done = _outcome(folder, exclude=exclude, **options)
            ends[done] += 1
            together = [name for names in lists.values() for name in names]
            assert sorted(together) == sorted(kinds), (seed, options)
            accompanying = {kinds[name] for name in lists["belongs"]}
            assert accompanying <= {"document", "thumbnail"}, (seed, options, lists["belongs"])
            if not done:
                continue
            dataset = read_source(
                find_source(tree := open_tree(folder, exclude=exclude)), tree,
                on_error=options.get("on_error", "stop"),
                ignore_unread=options.get("ignore_unread", False),
            )  # fmt: skip
            assert {kinds[n] for n in _image_files(dataset)} <= {"image", "thumbnail", "empty"}, (
                seed, options, {n: kinds[n] for n in _image_files(dataset)},
            )  # fmt: skip
            left = {name: kinds[name] for name in lists["unread"]}
            if not options:
                assert set(left.values()) <= {"neither", "empty", "document"}, (seed, left)
            if options.get("on_error") == "skip":
                named = {n.file for n in dataset.notices if n.kind == "skipped"}
                lost = {n for n, kind in left.items() if kind == "annotations"}
                assert lost <= named, (seed, lost)
    assert len(ends) == 2, "some mixtures convert, and some are refused"


def test_a_mixture_that_converts_is_verified_except_for_what_is_not_read(tmp_path: Path) -> None:
    converted = 0
    for seed in range(60):
        folder, store = tmp_path / str(seed), tmp_path / f"{seed}.zarr"
        kinds = make_junk(folder, seed)
        try:
            done = ngff_bio.convert(folder, store, ignore_unread=True)
        except NgffBioError:
            continue
        found = ngff_bio.verify(store, folder)
        assert found.equal, (seed, found.differences)
        assert sorted(found.not_read) == sorted(done.account.unread), seed
        assert set(kinds) - set(done.account.read) - set(done.account.belongs) == set(
            found.not_read
        )
        converted += 1
        if converted == 5:
            return
    raise AssertionError("too few mixtures convert")


def _followed(hint: str, given: dict[str, Any]) -> bool:
    """Change the options as a hint says; whether it names an option that is not given yet."""
    before = repr(given)
    if "--on-error skip" in hint:
        given["on_error"] = "skip"
    elif "--labels none" in hint:
        given["options"] = {"labels": "none"}
    elif "--ignore-unread" in hint:
        given["ignore_unread"] = True
    elif chosen := re.search(r"--format ([\w-]+)", hint):
        given.setdefault("format", chosen[1])
    return repr(given) != before


@pytest.mark.parametrize("seed", range(24))
def test_an_error_does_not_come_again_after_its_hint_was_followed(
    seed: int, tmp_path: Path
) -> None:
    make_junk(tmp_path / "in", seed)
    given: dict[str, Any] = {}
    before: list[tuple[str, str | None, str | None]] = []
    while True:
        try:
            estimate(tmp_path / "in", **given)
            return
        except NgffBioError as error:
            hint, key = error.hint or "", (error.what, error.file, error.record)
        assert hint, key
        assert key not in before, (key, given)
        before.append(key)
        if not _followed(hint, given):
            return
