"""From a dataset to a store: pyramid, chunks, codecs, plan, units, runners.

Names are imported when they are first used: a small conversion takes less time than all imports.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ngff_bio.engine.plan.plan import Plan, plan_dataset
    from ngff_bio.engine.plan.settings import Settings
    from ngff_bio.engine.resume.state import Progress, progress_of
    from ngff_bio.engine.run.cluster import DaskRunner
    from ngff_bio.engine.run.conversion import write_dataset
    from ngff_bio.engine.run.processes import ProcessRunner
    from ngff_bio.engine.run.report import ConversionReport
    from ngff_bio.engine.run.runners import Runner, ThreadRunner
    from ngff_bio.model import OnError
    from ngff_bio.zarrio.codecs import Codec, parse_codec

__all__ = [
    "Codec",
    "ConversionReport",
    "DaskRunner",
    "OnError",
    "Plan",
    "ProcessRunner",
    "Progress",
    "Runner",
    "Settings",
    "ThreadRunner",
    "parse_codec",
    "plan_dataset",
    "progress_of",
    "write_dataset",
]

_HOMES = {
    "Codec": "ngff_bio.zarrio.codecs",
    "DaskRunner": "ngff_bio.engine.run.cluster",
    "OnError": "ngff_bio.model",
    "Plan": "ngff_bio.engine.plan.plan",
    "ProcessRunner": "ngff_bio.engine.run.processes",
    "Progress": "ngff_bio.engine.resume.state",
    "ConversionReport": "ngff_bio.engine.run.report",
    "Runner": "ngff_bio.engine.run.runners",
    "Settings": "ngff_bio.engine.plan.settings",
    "ThreadRunner": "ngff_bio.engine.run.runners",
    "parse_codec": "ngff_bio.zarrio.codecs",
    "plan_dataset": "ngff_bio.engine.plan.plan",
    "progress_of": "ngff_bio.engine.resume.state",
    "write_dataset": "ngff_bio.engine.run.conversion",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
