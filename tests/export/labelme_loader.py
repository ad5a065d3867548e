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
