"""From a store back to the formats that people annotate, train and publish with.

The room is named like its one verb, so the module itself can be called: ``ngff_bio.export(...)`` is
:func:`ngff_bio.export.run.export`, whether or not the module was imported before.
"""

from __future__ import annotations

import sys
from functools import wraps
from types import ModuleType
from typing import Any

from ngff_bio.export.registry import Exporter, exporters
from ngff_bio.export.report import Report
from ngff_bio.export.run import export

__all__ = ["Exporter", "Report", "export", "exporters"]


class _Room(ModuleType):
    @wraps(export)
    def __call__(self, *args: Any, **kwargs: Any) -> Report:
        return export(*args, **kwargs)


sys.modules[__name__].__class__ = _Room
