"""From a dataset to a store: pyramid, chunks, codecs, plan, units, runners.

The names load what they need when they are first used: runners of other processes need more than
threads do, and a small conversion takes less time than loading all of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ngff_bio.engine.cluster import DaskRunner
    from ngff_bio.engine.codecs import Codec, parse_codec
    from ngff_bio.engine.plan import Plan, plan_dataset
    from ngff_bio.engine.processes import ProcessRunner
    from ngff_bio.engine.report import Report
    from ngff_bio.engine.runners import Runner, ThreadRunner
    from ngff_bio.engine.settings import Settings
    from ngff_bio.engine.state import Progress, progress_of
    from ngff_bio.engine.units import OnError
    from ngff_bio.engine.write import write_dataset

__all__ = [
    "Codec",
    "DaskRunner",
    "OnError",
    "Plan",
    "ProcessRunner",
    "Progress",
    "Report",
    "Runner",
    "Settings",
    "ThreadRunner",
    "parse_codec",
    "plan_dataset",
    "progress_of",
    "write_dataset",
]

_HOMES = {
    "Codec": "codecs",
    "DaskRunner": "cluster",
    "OnError": "units",
    "Plan": "plan",
    "ProcessRunner": "processes",
    "Progress": "state",
    "Report": "report",
    "Runner": "runners",
    "Settings": "settings",
    "ThreadRunner": "runners",
    "parse_codec": "codecs",
    "plan_dataset": "plan",
    "progress_of": "state",
    "write_dataset": "write",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
