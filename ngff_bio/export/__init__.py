"""Export of stores to common annotation formats.

The package has the name of its main function, so it can be called itself: ``ngff_bio.export(...)`` is
:func:`ngff_bio.export.run.export`, whether or not the package was imported before.
"""

from __future__ import annotations

import sys
from functools import wraps
from types import ModuleType
from typing import Any

from ngff_bio.export.registry import Exporter, exporters
from ngff_bio.export.report import ExportReport
from ngff_bio.export.run import export

__all__ = ["ExportReport", "Exporter", "export", "exporters"]


class _CallablePackage(ModuleType):
    @wraps(export)
    def __call__(self, *args: Any, **kwargs: Any) -> ExportReport:
        return export(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
