"""labelme's own loader, without the windows that the rest of labelme needs."""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
import types
from pathlib import Path
from typing import Any

import pytest


def labelme_label_file() -> Any:
    """The class ``LabelFile`` of the labelme that is installed."""
    package = importlib.util.find_spec("labelme")
    if package is None or package.submodule_search_locations is None:
        pytest.skip("labelme is not installed")
    folder = Path(package.submodule_search_locations[0])
    logger = types.ModuleType("labelme.logger")
    logger.logger = logging.getLogger("labelme")  # type: ignore[attr-defined]
    top = types.ModuleType("labelme")
    top.PY2, top.QT4, top.__version__ = False, False, "5.5.0"  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "labelme", top)
        patch.setitem(sys.modules, "labelme.logger", logger)
        image = _module("labelme_image", folder / "utils" / "image.py")
        top.utils = image  # type: ignore[attr-defined]
        patch.setitem(sys.modules, "labelme.utils", image)
        return _module("labelme_label_file", folder / "label_file.py").LabelFile


def labelme_shape_to_mask() -> Any:
    """labelme's own rasteriser."""
    package = importlib.util.find_spec("labelme")
    if package is None or package.submodule_search_locations is None:
        pytest.skip("labelme is not installed")
    folder = Path(package.submodule_search_locations[0])
    logger = types.ModuleType("labelme.logger")
    logger.logger = logging.getLogger("labelme")  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "labelme", types.ModuleType("labelme"))
        patch.setitem(sys.modules, "labelme.logger", logger)
        return _module("labelme_shape", folder / "utils" / "shape.py").shape_to_mask


def _module(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ordered(path: Path) -> Any:
    """A JSON file with the order of its keys."""
    return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)


def assert_files_are_equal(source: Path, exported: Path, unlike: tuple[str, ...] = ()) -> None:
    """Every labelme file has come back: the same keys in the same order, the same values."""
    files = sorted(p.relative_to(source) for p in source.rglob("*.json"))
    assert files
    assert files == sorted(p.relative_to(exported) for p in exported.rglob("*.json"))
    for name in files:
        one, other = (dict(ordered(root / name)) for root in (exported, source))
        assert list(one) == list(other)
        for key in other.keys() - set(unlike):
            assert one[key] == other[key], (name, key)
